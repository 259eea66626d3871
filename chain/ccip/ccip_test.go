package ccip

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dens/chain"

	"github.com/ethereum/go-ethereum/common"
)

func TestGatewaysInTheirOrder(t *testing.T) {
	g := newGateway(t, answers)
	plain := Config{AllowHTTP: true, AllowPrivate: true, Timeout: time.Second}
	tests := []struct {
		name string
		urls []string
		want string // data, or part of the error
		log  []string
	}{
		{"GET", []string{g.get("ok")}, "re:q", []string{"GET ok q"}},
		{"POST", []string{g.post("ok")}, "re:q", []string{"POST ok q"}},
		{"POST with sender in the URL", []string{g.URL + "/ok/{sender}"}, "re:q", []string{"POST ok q"}},
		{"first is enough", []string{g.get("ok"), g.get("second")}, "re:q", []string{"GET ok q"}},
		{"5xx goes on", []string{g.get("500"), g.post("ok")}, "re:q", []string{"GET 500 q", "POST ok q"}},
		{"4xx ends", []string{g.get("404"), g.get("ok")}, "status 404: no such name, see (URL)", []string{"GET 404 q"}},
		{"a closed connection goes on", []string{g.post("close"), g.get("ok")}, "re:q", []string{"POST close q", "GET ok q"}},
		{"a hanging gateway goes on", []string{g.get("hang"), g.get("ok")}, "re:q", []string{"GET hang q", "GET ok q"}},
		{"a dripping gateway goes on", []string{g.get("drip"), g.get("ok")}, "re:q", []string{"GET drip q", "GET ok q"}},
		{"only hanging", []string{g.get("hang")}, "gateway 127.0.0.1: no answer in time", []string{"GET hang q"}},
		{"only dripping", []string{g.get("drip")}, "no answer in time", []string{"GET drip q"}},
		{"only 5xx", []string{g.get("500"), g.get("503")}, "status 500", []string{"GET 500 q", "GET 503 q"}},
		{"no URL", nil, "the contract names no gateway", nil},
		{"not URLs", []string{"", ":", "http://", "http://a b/", "http://[::1", "ftp://127.0.0.1/", "mailto:a@b", "http://u:p@127.0.0.1/", "http://%7f/"}[:maxURLs], "gateway", nil},
		{"bad URLs go on", []string{"nonsense", "file:///etc/passwd", "data:application/json,{}", g.get("ok")}, "re:q", []string{"GET ok q"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := len(g.log())
			out := ask(t, plain, step("q", tt.urls...))
			if log := g.log()[before:]; !slices.Equal(log, tt.log) {
				t.Errorf("the gateway saw %q", log)
			}
			if out.Err == nil {
				if string(out.Data) != tt.want || !slices.Equal(out.Gateways, []string{"127.0.0.1"}) {
					t.Errorf("got %q by %v", out.Data, out.Gateways)
				}
				return
			}
			if !errors.Is(out.Err, chain.ErrGateway) || !strings.Contains(out.Err.Error(), tt.want) || out.Data != nil || out.Reverted {
				t.Errorf("got %+v", out)
			}
		})
	}
}

func TestBadBodies(t *testing.T) {
	g := newGateway(t, answers)
	for _, kind := range []string{"garbage", "empty", "null", "number", "nohex", "odd", "bare", "list", "twice", "cased", "tail", "deep", "huge"} {
		out := ask(t, Config{AllowHTTP: true, AllowPrivate: true}, step("q", g.get(kind)))
		if out.Err == nil || !errors.Is(out.Err, chain.ErrGateway) {
			t.Errorf("%s: got %q, %v", kind, out.Data, out.Err)
		}
		if want := chain.ErrMalformed; kind != "huge" && !errors.Is(out.Err, want) || kind == "huge" && !errors.Is(out.Err, chain.ErrLimit) {
			t.Errorf("%s: %v", kind, out.Err)
		}
		if out := ask(t, Config{AllowHTTP: true, AllowPrivate: true}, step("q", g.get(kind), g.get("ok"))); string(out.Data) != "re:q" {
			t.Errorf("%s: the next gateway was not asked: %v", kind, out.Err)
		}
	}
}

func TestRequestIsAsSpecified(t *testing.T) {
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		got = append(got, fmt.Sprintf("%s %s %s %s", r.Method, r.URL, r.UserAgent(), body))
		reply(w, "x")
	}))
	defer server.Close()
	ask(t, Config{AllowHTTP: true, AllowPrivate: true}, step("\xAB\xCD", server.URL+"/{sender}/{data}.json?again={data}"))
	ask(t, Config{AllowHTTP: true, AllowPrivate: true}, step("\xAB\xCD", server.URL+"/{sender}"))
	const sender = "0x00000000000000000000000000000000000000c0"
	want := []string{
		"GET /" + sender + "/0xabcd.json?again=0xabcd dens ",
		"POST /" + sender + ` dens {"data":"0xabcd","sender":"` + sender + `"}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestNestedLookups(t *testing.T) {
	g := newGateway(t, answers)
	plain := Config{AllowHTTP: true, AllowPrivate: true}
	var steps []func() ([]string, []byte)
	for n := 1; n <= 6; n++ {
		steps = append(steps, step(fmt.Sprint(n), g.get("ok")))
		before := len(g.log())
		out := ask(t, plain, steps...)
		asked := len(g.log()) - before
		if n <= 4 {
			if string(out.Data) != fmt.Sprintf("re:%d", n) || asked != n {
				t.Errorf("%d look-ups: %q, %v, asked %d times", n, out.Data, out.Err, asked)
			}
			continue
		}
		if !errors.Is(out.Err, chain.ErrLimit) || !errors.Is(out.Err, chain.ErrGateway) || asked != 4 {
			t.Errorf("%d look-ups: %v, asked %d times", n, out.Err, asked)
		}
	}
}

// TestOneCallForAllCallbacks has outputs of every kind side by side.
func TestOneCallForAllCallbacks(t *testing.T) {
	g := newGateway(t, answers)
	addr := func(n byte) common.Address { return common.Address{19: n} }
	revert := chain.Output{Data: []byte("no"), Reverted: true}
	inner := &fakeChain{contracts: map[common.Address]contract{
		addr(1): func([]byte) chain.Output { return chain.Output{Data: []byte("plain")} },
		addr(2): asks(t, addr(2), step("a", g.get("ok"))),
		addr(3): func([]byte) chain.Output { return revert },
		addr(4): asks(t, addr(4), step("b", g.post("ok")), step("c", g.get("ok"))),
		addr(5): asks(t, addr(5), step("d", g.get("500"))),
		addr(6): func([]byte) chain.Output { return offchain(addr(2), []string{g.get("stolen")}, nil, "back", nil) },
		addr(7): func(data []byte) chain.Output {
			if string(data[:4]) == "back" {
				return revert // the callback does not believe the gateway
			}
			return offchain(addr(7), []string{g.get("forged")}, []byte("e"), "back", nil)
		},
		addr(8): func([]byte) chain.Output { return chain.Output{Err: chain.ErrLimit} },
	}}
	var msgs []chain.Msg
	for n := byte(1); n <= 8; n++ {
		msgs = append(msgs, chain.Msg{To: addr(n), Data: []byte("call")})
	}
	result, err := newCaller(t, inner, Config{AllowHTTP: true, AllowPrivate: true}).Call(t.Context(), chain.Call{Msgs: msgs})
	if err != nil {
		t.Fatal(err)
	}
	gateways := []string{"127.0.0.1"}
	want := []chain.Output{{Data: []byte("plain")}, {Data: []byte("re:a"), Gateways: gateways}, revert, {Data: []byte("re:c"), Gateways: gateways}, {}, {},
		{Data: []byte("no"), Reverted: true, Gateways: gateways}, {Err: chain.ErrLimit}}
	for i, out := range result.Outputs {
		if i == 4 || i == 5 {
			if !errors.Is(out.Err, chain.ErrGateway) || out.Data != nil {
				t.Errorf("output %d: %+v", i, out)
			}
			continue
		}
		if !reflect.DeepEqual(out, want[i]) {
			t.Errorf("output %d: %+v, want %+v", i, out, want[i])
		}
	}
	if !errors.Is(result.Outputs[5].Err, errSender) || strings.Contains(fmt.Sprint(g.log()), "stolen") {
		t.Errorf("another contract's look-up was followed: %v", result.Outputs[5].Err)
	}
	if len(inner.calls) != 3 || len(inner.calls[1].Msgs) != 3 || len(inner.calls[2].Msgs) != 1 {
		t.Errorf("%d calls", len(inner.calls))
	}
	for _, call := range inner.calls[1:] {
		if call.At == nil || *call.At != head {
			t.Errorf("a callback was made at %v", call.At)
		}
	}
	if result.Head != head || result.Trust != chain.Quorum || !slices.Equal(result.Backends, []string{"one", "two"}) {
		t.Errorf("result: %+v", result)
	}
}

func TestTrustIsThatOfTheWeakerCall(t *testing.T) {
	g := newGateway(t, answers)
	self := common.Address{1}
	inner := &fakeChain{
		contracts: map[common.Address]contract{self: asks(t, self, step("a", g.get("ok")))},
		change: func(n int, r *chain.Result) {
			if n == 2 {
				r.Trust, r.Backends = chain.Single, []string{"three"}
			}
		},
	}
	result, err := newCaller(t, inner, Config{AllowHTTP: true, AllowPrivate: true}).Call(t.Context(), chain.Call{Msgs: []chain.Msg{{To: self, Data: []byte("call")}}})
	if err != nil || result.Trust != chain.Single || !slices.Equal(result.Backends, []string{"one", "two", "three"}) {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestFailuresOfTheChain(t *testing.T) {
	g := newGateway(t, answers)
	self := common.Address{1}
	call := chain.Call{Msgs: []chain.Msg{{To: self, Data: []byte("call")}}}
	tests := []struct {
		name   string
		fail   func(int) error
		change func(int, *chain.Result)
		want   error
	}{
		{"first call", func(int) error { return chain.ErrUnavailable }, nil, chain.ErrUnavailable},
		{"callback", func(n int) error {
			if n == 2 {
				return chain.ErrConflict
			}
			return nil
		}, nil, chain.ErrConflict},
		{"other block", nil, func(n int, r *chain.Result) { r.Head.Hash[0] = byte(n) }, chain.ErrConflict},
		{"too few outputs", nil, func(_ int, r *chain.Result) { r.Outputs = nil }, chain.ErrMalformed},
		{"too many outputs for the callbacks", nil, func(n int, r *chain.Result) {
			if n == 2 {
				r.Outputs = append(r.Outputs, chain.Output{})
			}
		}, chain.ErrMalformed},
	}
	for _, tt := range tests {
		inner := &fakeChain{contracts: map[common.Address]contract{self: asks(t, self, step("a", g.get("ok")))}, fail: tt.fail, change: tt.change}
		if _, err := newCaller(t, inner, Config{AllowHTTP: true, AllowPrivate: true}).Call(t.Context(), call); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestSlowGatewayLeavesTimeForCallbacks(t *testing.T) {
	g := newGateway(t, answers)
	slow, quick := common.Address{1}, common.Address{2}
	inner := &fakeChain{contracts: map[common.Address]contract{slow: asks(t, slow, step("a", g.get("hang"))), quick: asks(t, quick, step("b", g.get("ok")))}}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	result, err := newCaller(t, inner, Config{AllowHTTP: true, AllowPrivate: true}).Call(ctx, chain.Call{Msgs: []chain.Msg{{To: slow, Data: []byte("call")}, {To: quick, Data: []byte("call")}}})
	if err != nil || !errors.Is(result.Outputs[0].Err, chain.ErrGateway) || string(result.Outputs[1].Data) != "re:b" {
		t.Errorf("%+v, %v", result.Outputs, err)
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w, "sealed") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that are meant to fail
	server.StartTLS()
	defer server.Close()
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	port := portOf(t, server)
	if out := ask(t, Config{AllowPrivate: true, TLS: &tls.Config{RootCAs: pool}}, step("q", "https://Example.com:"+port+"/{data}")); string(out.Data) != "sealed" || !slices.Equal(out.Gateways, []string{"example.com"}) {
		t.Errorf("got %+v", out)
	}
	for name, cfg := range map[string]Config{"unknown authority": {AllowPrivate: true}, "other name": {AllowPrivate: true, TLS: &tls.Config{RootCAs: pool}}} {
		host := map[string]string{"unknown authority": "example.com", "other name": "example.org"}[name]
		if out := ask(t, cfg, step("q", "https://"+host+":"+port+"/{data}")); out.Err == nil {
			t.Errorf("%s: got %q", name, out.Data)
		}
	}
}

func TestConnectionsAreReused(t *testing.T) {
	var conns atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reply(w, "x") }))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	ask(t, Config{AllowHTTP: true, AllowPrivate: true}, step("1", server.URL), step("2", server.URL), step("3", server.URL))
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for three look-ups", n)
	}
}
