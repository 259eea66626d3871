package pool

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
	"dens/chain/internal/rpctest"
)

func TestCallAtIsOneRequest(t *testing.T) {
	n := fakeNode(t)
	for _, url := range []string{n.URL(), n.WS()} {
		t.Run(url[:2], func(t *testing.T) {
			e := endpoint(t, url, func(c *EndpointConfig) { c.BlockInterval, c.IdlePoll = time.Hour, time.Hour })
			eventually(t, "a head", func() bool { _, seen := e.Head(); return !seen.IsZero() })
			if url[:2] == "ws" {
				eventually(t, "a subscription", func() bool { return e.Status().Subscribes == Yes })
			}
			before, _, _ := n.Counts()
			outputs, err := e.CallAt(within(t, 30*time.Second), msgs("a", "b", "c"), n.Head())
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []string{"echo:a", "echo:b", "echo:c"} {
				if got := string(outputs[i].Data); got != want || outputs[i].Reverted || outputs[i].Err != nil {
					t.Errorf("output %d is %+v, want %q", i, outputs[i], want)
				}
			}
			if after, _, _ := n.Counts(); after-before != 1 {
				t.Errorf("three messages took %d requests, want 1", after-before)
			}
			if s := e.Status(); s.Batches != Yes || s.ChainID != 1 || s.Head.Number != 100 || s.Calls != 1 {
				t.Errorf("status %+v", s)
			}
		})
	}
}

func TestBatchRefused(t *testing.T) {
	t.Parallel()
	refusals := map[string]func(n *rpctest.Node) http.HandlerFunc{
		"one error object": func(n *rpctest.Node) http.HandlerFunc { n.RefuseBatches(true); return nil },
		"status 400":       onBatch(http.StatusBadRequest, "no"),
		"status 500":       onBatch(http.StatusInternalServerError, `{"error":1}`),
		"missing answers":  onBatch(200, `[]`),
		"error without id": onBatch(200, `[{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Batch size too large"}}]`),
		"no array":         onBatch(200, `"what?"`),
	}
	for name, refuse := range refusals {
		t.Run(name, func(t *testing.T) {
			n := fakeNode(t)
			n.Intercept(refuse(n))
			e := endpoint(t, n.URL(), func(c *EndpointConfig) { c.BlockInterval, c.IdlePoll = time.Hour, time.Hour })
			eventually(t, "a head", func() bool { _, seen := e.Head(); return !seen.IsZero() })
			for round, want := range []int{21, 20} { // the second time no batch is tried
				before, _, _ := n.Counts()
				outputs, err := e.CallAt(within(t, 30*time.Second), msgs(strings.Split("abcdefghijklmnopqrst", "")...), n.Head())
				if err != nil {
					t.Fatal(err)
				}
				if string(outputs[19].Data) != "echo:t" {
					t.Errorf("last output %q", outputs[19].Data)
				}
				if after, _, _ := n.Counts(); after-before != want {
					t.Errorf("round %d took %d requests, want %d", round, after-before, want)
				}
			}
			if s := e.Status(); s.Batches != No || s.State != Closed || s.LastError != "" {
				t.Errorf("status %+v", s)
			}
		})
	}
}

func TestBatchRefusedByStream(t *testing.T) {
	t.Parallel()
	n := fakeNode(t)
	n.RefuseBatches(true)
	e := endpoint(t, n.WS(), func(c *EndpointConfig) { c.BlockInterval, c.IdlePoll = time.Hour, time.Hour })
	eventually(t, "a head", func() bool { _, seen := e.Head(); return !seen.IsZero() })
	for range 2 {
		outputs, err := e.CallAt(within(t, 30*time.Second), msgs("a", "b"), n.Head())
		if err != nil || string(outputs[1].Data) != "echo:b" {
			t.Fatalf("%v", err)
		}
	}
	if s := e.Status(); s.Batches != No || s.State != Closed {
		t.Errorf("status %+v", s)
	}
}

// onBatch answers batches so, and all else as the node does.
func onBatch(status int, body string) func(n *rpctest.Node) http.HandlerFunc {
	return func(n *rpctest.Node) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			request, _ := io.ReadAll(r.Body)
			if request[0] != '[' {
				_, _ = w.Write(n.Answer(request))
				return
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
}

func TestBatchIsTriedAgain(t *testing.T) {
	var b batchSupport
	now := time.Now()
	if !b.worth(now) {
		t.Fatal("a batch must be tried first")
	}
	b.set(No, now)
	if b.worth(now.Add(batchRetry - 1)) {
		t.Error("tried again too soon")
	}
	if !b.worth(now.Add(batchRetry)) {
		t.Error("never tried again")
	}
	if b.worth(now.Add(batchRetry + 1)) {
		t.Error("tried by everyone at once")
	}
}

func TestOutputs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		reply    rpctest.Reply
		data     string
		reverted bool
		limit    bool  // Output.Err
		err      error // of the whole call
	}{
		{name: "empty", reply: rpctest.Reply{}},
		{name: "data", reply: rpctest.Reply{Data: []byte("x")}, data: "x"},
		{name: "geth revert", reply: rpctest.Reply{Code: 3, Error: "execution reverted: no", Extra: "0x6e6f"}, data: "no", reverted: true},
		{name: "anvil empty revert", reply: rpctest.Reply{Code: 3, Error: "execution reverted", Extra: "0x"}, reverted: true},
		{name: "geth empty revert", reply: rpctest.Reply{Code: -32000, Error: "execution reverted"}, reverted: true},
		{name: "custom revert", reply: rpctest.Reply{Code: -32000, Error: "Execution reverted", Extra: "0x6e6f"}, data: "no", reverted: true},
		{name: "nethermind revert", reply: rpctest.Reply{Code: -32015, Error: "VM execution error.", Extra: "Reverted 0x6e6f"}, data: "no", reverted: true},
		{name: "hardhat revert", reply: rpctest.Reply{Code: -32603, Error: "reverted", Extra: map[string]any{"data": "0x6e6f"}}, data: "no", reverted: true},
		{name: "invalid opcode", reply: rpctest.Reply{Code: -32000, Error: "invalid opcode: INVALID"}, reverted: true},
		{name: "nethermind halt", reply: rpctest.Reply{Code: -32015, Error: "VM execution error.", Extra: "Bad instruction fe"}, reverted: true},
		{name: "old jump", reply: rpctest.Reply{Code: -32000, Error: "invalid jump destination"}, reverted: true},
		{name: "out of gas", reply: rpctest.Reply{Code: -32000, Error: "out of gas"}, limit: true},
		{name: "gas cap", reply: rpctest.Reply{Code: -32000, Error: "gas required exceeds allowance (50000000)"}, limit: true},
		{name: "node timeout", reply: rpctest.Reply{Code: -32000, Error: "execution aborted (timeout = 5s)"}, limit: true},
		{name: "too large for node", reply: rpctest.Reply{Code: -32003, Error: "response too large"}, limit: true},
		{name: "too large for us", reply: rpctest.Reply{Data: make([]byte, chain.MaxOutput+1)}, limit: true},
		{name: "revert too large", reply: rpctest.Reply{Code: 3, Error: "execution reverted", Extra: "0x" + strings.Repeat("00", chain.MaxOutput+1)}, limit: true},
		{name: "revert without data", reply: rpctest.Reply{Code: -32000, Error: "execution reverted: because"}, err: chain.ErrUnavailable},
		{name: "revert with odd data", reply: rpctest.Reply{Code: 3, Error: "execution reverted", Extra: "0x6"}, err: chain.ErrMalformed},
		{name: "pruned", reply: rpctest.Reply{Code: -32000, Error: "missing trie node 0123 (path ) state 0xab is not available"}, err: chain.ErrUnknownBlock},
		{name: "unknown to besu", reply: rpctest.Reply{Code: -32001, Error: "Block not found"}, err: chain.ErrUnknownBlock},
		{name: "rate", reply: rpctest.Reply{Code: -32005, Error: "daily request count exceeded"}, err: errRateLimited},
		{name: "other", reply: rpctest.Reply{Code: -32601, Error: "the method eth_call does not exist"}, err: chain.ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := fakeNode(t)
			good := rpctest.Reply{Data: []byte("good")}
			n.SetCall(func(_ common.Address, data []byte) rpctest.Reply {
				if string(data) == "good" {
					return good
				}
				return tt.reply
			})
			e := endpoint(t, n.URL(), func(c *EndpointConfig) { c.Timeout = 30 * time.Second })
			for _, batch := range [][]chain.Msg{msgs("bad"), msgs("good", "bad")} {
				outputs, err := e.CallAt(within(t, 30*time.Second), batch, n.Head())
				if tt.err != nil {
					if !errors.Is(err, tt.err) {
						t.Errorf("error %v, want %v", err, tt.err)
					}
					if s := e.Status(); s.State != Closed {
						t.Errorf("one bad call put the backend out of use")
					}
					if tt.err == errRateLimited {
						return // no second round for a second
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				got := outputs[len(outputs)-1]
				if string(got.Data) != tt.data || got.Reverted != tt.reverted || errors.Is(got.Err, chain.ErrLimit) != tt.limit {
					t.Errorf("got %.80q, reverted %v, %v", got.Data, got.Reverted, got.Err)
				}
				if len(outputs) == 2 && string(outputs[0].Data) != "good" {
					t.Errorf("a neighbour's output is %q", outputs[0].Data)
				}
			}
		})
	}
}

func TestUnknownBlock(t *testing.T) {
	n := fakeNode(t)
	e := endpoint(t, n.URL())
	_, err := e.CallAt(within(t, 20*time.Second), msgs("a"), chain.Head{Number: 7, Hash: common.Hash{1}})
	if !errors.Is(err, chain.ErrUnknownBlock) {
		t.Errorf("call: %v", err)
	}
	if _, err := e.BlockAt(within(t, 20*time.Second), 1000); !errors.Is(err, chain.ErrUnknownBlock) {
		t.Errorf("hash: %v", err)
	}
	var named *chain.BackendError
	if !errors.As(err, &named) || named.Backend != e.Name() {
		t.Errorf("%v does not name the backend", err)
	}
}

func TestSizeOfCall(t *testing.T) {
	n := fakeNode(t)
	e := endpoint(t, n.URL())
	for _, count := range []int{0, chain.MaxMsgs + 1} {
		if _, err := e.CallAt(t.Context(), make([]chain.Msg, count), n.Head()); !errors.Is(err, chain.ErrLimit) {
			t.Errorf("%d messages: %v", count, err)
		}
	}
	if _, calls, _ := n.Counts(); calls != 0 {
		t.Errorf("%d calls were sent", calls)
	}
}

func TestConfigErrors(t *testing.T) {
	tests := map[string]EndpointConfig{
		"no URL given":                {ChainID: 1},
		"no chain id":                 {URL: "http://127.0.0.1"},
		`scheme "ftp"`:                {URL: "ftp://secret-key@127.0.0.1/secret-key", ChainID: 1},
		"cannot be parsed":            {URL: "http://secret-key:x@[::/secret-key", ChainID: 1},
		"no host":                     {URL: "http:///secret-key", ChainID: 1},
		"neither a URL with a scheme": {URL: "secret-key", ChainID: 1},
	}
	for want, cfg := range tests {
		_, err := NewEndpoint(cfg)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret-key") {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a pool of nothing was made")
	}
	if _, err := New(Config{Endpoints: []EndpointConfig{quick("http://127.0.0.1:1"), {}}}); err == nil || !strings.Contains(err.Error(), "endpoint 2") {
		t.Errorf("the bad endpoint is not told: %v", err)
	}
}
