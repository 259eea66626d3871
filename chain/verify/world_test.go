package verify

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"

	"dens/chain"
	"dens/chain/pool"
	"dens/internal/demo"
)

// theChain is a real node with real contracts, which all tests share.
var theChain *demo.Chain

func TestMain(m *testing.M) {
	var err error
	if theChain, err = demo.Start(context.Background(), demo.Config{Period: -1}); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := theChain.Close(); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// request is one JSON-RPC request as a backend sees it.
type request struct {
	ID     json.RawMessage   `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
}

// response is what it answers.
type response struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

type rpcError struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// backend is an RPC endpoint that says what the node says, or something else.
type backend struct {
	*httptest.Server
	delay time.Duration
	lie   func(request, *response) // changes an answer; nil: honest
	slow  func(method string) time.Duration
	trips atomic.Int64 // HTTP requests for state
	mu    sync.Mutex
	seen  map[string]int // requests by method
}

func newBackend(t testing.TB, lie func(request, *response)) *backend {
	b := &backend{lie: lie, seen: map[string]int{}}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var batch []request
	single := json.Unmarshal(body, &batch) != nil
	if single {
		batch = make([]request, 1)
		if json.Unmarshal(body, &batch[0]) != nil {
			return
		}
	}
	out := make([]response, len(batch))
	state := false
	delay := b.delay
	for i, q := range batch {
		if b.slow != nil {
			delay = max(delay, b.slow(q.Method))
		}
		out[i] = b.answer(r.Context(), q)
		state = state || q.Method == "eth_getProof" || q.Method == "eth_createAccessList" || q.Method == "eth_getCode" || q.Method == "eth_getBlockByHash"
	}
	if state {
		b.trips.Add(1)
	}
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if single {
		json.NewEncoder(w).Encode(out[0]) //nolint:errcheck // the client sees it
		return
	}
	json.NewEncoder(w).Encode(out) //nolint:errcheck // the client sees it
}

func (b *backend) answer(ctx context.Context, q request) response {
	b.mu.Lock()
	b.seen[q.Method]++
	b.mu.Unlock()
	out := response{Version: "2.0", ID: q.ID}
	params := make([]any, len(q.Params))
	for i := range q.Params {
		params[i] = q.Params[i]
	}
	var result json.RawMessage
	err := theChain.Client().CallContext(ctx, &result, q.Method, params...)
	var answered rpc.Error
	switch {
	case errors.As(err, &answered):
		out.Error = &rpcError{Code: answered.ErrorCode(), Message: answered.Error()}
		if de, ok := err.(rpc.DataError); ok {
			out.Error.Data, _ = json.Marshal(de.ErrorData())
		}
	case err != nil:
		out.Error = &rpcError{Code: -32000, Message: err.Error()}
	default:
		out.Result = result
		if result == nil {
			out.Result = json.RawMessage("null")
		}
	}
	if b.lie != nil {
		b.lie(q, &out)
	}
	return out
}

func (b *backend) count(method string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[method]
}

func newPool(t testing.TB, backends ...*backend) *pool.Pool {
	conf := pool.Config{Timeout: 30 * time.Second}
	for i, b := range backends {
		conf.Endpoints = append(conf.Endpoints, pool.EndpointConfig{
			Name: string(rune('a' + i)), Operator: string(rune('a' + i)), URL: b.URL, ChainID: theChain.ChainID(), Timeout: 20 * time.Second, MaxBody: 2 << 20,
		})
	}
	p, err := pool.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		ready := 0
		for _, e := range p.Endpoints() {
			if _, seen := e.Head(); !seen.IsZero() {
				ready++
			}
		}
		if ready == len(backends) {
			return p
		}
		if time.Now().After(end) {
			t.Fatal("backends were not reached")
		}
	}
}

// honestAnchor vouches for the node's newest block.
type honestAnchor struct{}

func (honestAnchor) Anchor(ctx context.Context) (chain.Anchor, error) {
	return chain.Anchor{Head: newest(ctx), Source: chain.AnchorTrusted, Vouchers: []string{"test"}}, nil
}

func newest(ctx context.Context) chain.Head {
	var h *types.Header
	if err := theChain.Client().CallContext(ctx, &h, "eth_getBlockByNumber", "latest", false); err != nil {
		panic(err)
	}
	return chain.Head{Number: h.Number.Uint64(), Hash: h.Hash(), Time: timeOf(h)}
}

func newVerifier(t testing.TB, p Provider) *Verifier {
	return newVerifierWith(t, Config{Provider: p})
}

func newVerifierWith(t testing.TB, conf Config) *Verifier {
	conf.ChainID = theChain.ChainID()
	if conf.Anchors == nil {
		conf.Anchors = honestAnchor{}
	}
	v, err := New(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// text asks the resolver through the universal resolver for a text record.
func text(t testing.TB, name, key string) chain.Msg {
	inner, err := demo.Pack(demo.Resolver, "text(bytes32,string)", demo.Namehash(name), key)
	if err != nil {
		t.Fatal(err)
	}
	data, err := demo.Pack(demo.UniversalResolver, "resolve(bytes,bytes)", wireName(name), inner)
	if err != nil {
		t.Fatal(err)
	}
	return chain.Msg{To: theChain.UniversalResolver, Data: data}
}

func wireName(name string) []byte {
	var out []byte
	label := []byte{}
	for _, c := range []byte(name + ".") {
		if c == '.' {
			out = append(append(out, byte(len(label))), label...)
			label = label[:0]
			continue
		}
		label = append(label, c)
	}
	return append(out, 0)
}

// truth is what the node itself says of a message.
func truth(t testing.TB, m chain.Msg, at common.Hash) (data []byte, reverted bool) {
	p := newPool(t, newBackend(t, nil))
	head := newest(t.Context())
	head.Hash = at
	r, err := p.Call(t.Context(), chain.Call{Msgs: []chain.Msg{m}, At: &head})
	if err != nil {
		t.Fatal(err)
	}
	if r.Outputs[0].Err != nil {
		t.Fatal(r.Outputs[0].Err)
	}
	return r.Outputs[0].Data, r.Outputs[0].Reverted
}
