package ccip

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"dens/chain"
	"dens/internal/dial"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
)

// The contracts of these tests are functions of call data; the encoding around them is go-ethereum's, so
// that it is a second opinion on this package's.

var head = chain.Head{Number: 7, Hash: common.HexToHash("0x77"), Time: time.Unix(1700000000, 0)}

type contract func(data []byte) chain.Output

// fakeChain is an inner Caller over contracts. It records its calls.
type fakeChain struct {
	mu        sync.Mutex
	contracts map[common.Address]contract
	calls     []chain.Call
	fail      func(n int) error // of the n-th call, from 1
	change    func(n int, r *chain.Result)
}

func (f *fakeChain) Call(_ context.Context, call chain.Call) (chain.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
	if f.fail != nil {
		if err := f.fail(len(f.calls)); err != nil {
			return chain.Result{}, err
		}
	}
	r := chain.Result{Head: head, Trust: chain.Quorum, Backends: []string{"one", "two"}}
	for _, m := range call.Msgs {
		r.Outputs = append(r.Outputs, f.contracts[m.To](m.Data))
	}
	if f.change != nil {
		f.change(len(f.calls), &r)
	}
	return r, nil
}

func typ(name string, parts ...abi.ArgumentMarshaling) abi.Argument {
	t, err := abi.NewType(name, "", parts)
	if err != nil {
		panic(err)
	}
	return abi.Argument{Type: t}
}

var requestParts = []abi.ArgumentMarshaling{{Name: "sender", Type: "address"}, {Name: "urls", Type: "string[]"}, {Name: "data", Type: "bytes"}}

// element is one of a batch, as go-ethereum packs it.
type element struct {
	Sender common.Address
	Urls   []string
	Data   []byte
}

func pack(selector string, args abi.Arguments, values ...any) []byte {
	out, err := args.Pack(values...)
	if err != nil {
		panic(err)
	}
	return append(common.FromHex(selector), out...)
}

func offchain(sender common.Address, urls []string, data []byte, callback string, extra []byte) chain.Output {
	args := abi.Arguments{typ("address"), typ("string[]"), typ("bytes"), typ("bytes4"), typ("bytes")}
	return chain.Output{Reverted: true, Data: pack("0x556f1830", args, sender, urls, data, [4]byte([]byte(callback)), extra)}
}

func query(elements ...element) []byte {
	return pack("0xa780bab6", abi.Arguments{typ("tuple[]", requestParts...)}, elements)
}

func unpackCallback(t testing.TB, data []byte) (selector string, response, extra []byte) {
	t.Helper()
	values, err := abi.Arguments{typ("bytes"), typ("bytes")}.Unpack(data[4:])
	if err != nil {
		t.Fatal(err)
	}
	return string(data[:4]), values[0].([]byte), values[1].([]byte)
}

func unpackBatch(t testing.TB, data []byte) ([]bool, [][]byte) {
	t.Helper()
	values, err := abi.Arguments{typ("bool[]"), typ("bytes[]")}.Unpack(data)
	if err != nil {
		t.Fatal(err)
	}
	return values[0].([]bool), values[1].([][]byte)
}

// asks is a contract that asks for look-ups, one after the other as its steps say, and returns what the
// last gateway said. A callback's extra data is the number of the step it belongs to.
func asks(t testing.TB, self common.Address, steps ...func() (urls []string, data []byte)) contract {
	ask := func(n int) chain.Output {
		urls, data := steps[n]()
		return offchain(self, urls, data, "back", []byte{byte(n)})
	}
	return func(data []byte) chain.Output {
		if string(data[:4]) != "back" {
			return ask(0)
		}
		_, response, extra := unpackCallback(t, data)
		if n := int(extra[0]) + 1; n < len(steps) {
			return ask(n)
		}
		return chain.Output{Data: response}
	}
}

func step(data string, urls ...string) func() ([]string, []byte) {
	return func() ([]string, []byte) { return urls, []byte(data) }
}

// gateway answers look-ups by their data as its table says; the URL's first path segment picks a fault.
type gateway struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string // method, path and what it was asked
}

func newGateway(t testing.TB, handle func(w http.ResponseWriter, r *http.Request, asked string)) *gateway {
	g := &gateway{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		asked := g.asked(t, r)
		g.seen = append(g.seen, r.Method+" "+strings.SplitN(r.URL.Path, "/", 3)[1]+" "+asked)
		g.mu.Unlock()
		handle(w, r, asked)
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *gateway) asked(t testing.TB, r *http.Request) string {
	if r.Method == http.MethodPost {
		var body struct{ Data, Sender string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Sender) != 42 || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("posted %+v, %v", body, err)
		}
		return unhex(body.Data)
	}
	_, last, _ := strings.Cut(strings.TrimSuffix(r.URL.Path, ".json"), "0x")
	if _, data, ok := strings.Cut(last, "0x"); ok {
		return unhex(data)
	}
	return ""
}

func unhex(s string) string {
	b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		return "not hex: " + s
	}
	return string(b)
}

func (g *gateway) log() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.seen...)
}

func (g *gateway) get(path string) string  { return g.URL + "/" + path + "/{sender}/{data}.json" }
func (g *gateway) post(path string) string { return g.URL + "/" + path }

func reply(w io.Writer, data string) { fmt.Fprintf(w, `{"data":"0x%x"}`, data) }

// answers says "re:" and what it was asked; the path picks a fault.
func answers(w http.ResponseWriter, r *http.Request, asked string) {
	kind := strings.SplitN(r.URL.Path, "/", 3)[1]
	body := map[string]string{
		"garbage": "<html>", "empty": "", "null": `{"data":null}`, "number": `{"data":1}`, "nohex": `{"data":"0xzz"}`, "odd": `{"data":"0x123"}`,
		"bare": `{"data":"1234"}`, "list": `["0x12"]`, "twice": `{"data":"0x12","data":"0x34"}`, "cased": `{"DATA":"0x12"}`, "tail": `{"data":"0x12"} x`,
		"deep": strings.Repeat("[", 100000), "huge": `{"data":"0x` + strings.Repeat("00", maxBody) + `"}`,
	}
	switch kind {
	case "404":
		http.Error(w, `{"message":"no such name, see https://gw.example/KEY"}`, http.StatusNotFound)
	case "500", "503":
		http.Error(w, "oops", http.StatusInternalServerError)
	case "close":
		panic(http.ErrAbortHandler)
	case "drip":
		for range 100 {
			if _, err := io.WriteString(w, " "); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	case "hang":
		<-r.Context().Done()
	default:
		if b, ok := body[kind]; ok {
			_, _ = io.WriteString(w, b)
			return
		}
		reply(w, "re:"+asked)
	}
}

// open is a dialer that resolves every host to loopback and allows it.
func open() chain.Dialer {
	return dial.New(dial.Config{Lookup: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}}).DialContext
}

func newCaller(t testing.TB, inner chain.Caller, cfg Config) *Caller {
	if cfg.Dial == nil {
		cfg.Dial = open()
	}
	c := New(inner, cfg)
	t.Cleanup(c.Close)
	return c
}

// ask runs one message to a contract that goes through the steps.
func ask(t *testing.T, cfg Config, steps ...func() ([]string, []byte)) chain.Output {
	t.Helper()
	self := common.HexToAddress("0xC0")
	inner := &fakeChain{contracts: map[common.Address]contract{self: asks(t, self, steps...)}}
	result, err := newCaller(t, inner, cfg).Call(t.Context(), chain.Call{Msgs: []chain.Msg{{To: self, Data: []byte("call")}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := result.Outputs[0].Err; err != nil && (strings.Contains(err.Error(), "://") || strings.Contains(err.Error(), "KEY")) {
		t.Errorf("the error holds a URL: %v", err)
	}
	return result.Outputs[0]
}

func portOf(t testing.TB, server *httptest.Server) string {
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
