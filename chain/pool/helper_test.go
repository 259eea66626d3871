package pool

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
	"dens/chain/internal/rpctest"
)

var contract = common.HexToAddress("0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e")

func msgs(texts ...string) []chain.Msg {
	out := make([]chain.Msg, len(texts))
	for i, s := range texts {
		out[i] = chain.Msg{To: contract, Data: []byte(s)}
	}
	return out
}

// fakeNode starts a node that ends with the test.
func fakeNode(t testing.TB) *rpctest.Node {
	t.Helper()
	n := rpctest.New()
	t.Cleanup(n.Close)
	return n
}

// endpoint starts an Endpoint that ends with the test; its times are short.
func endpoint(t testing.TB, url string, change ...func(*EndpointConfig)) *Endpoint {
	t.Helper()
	cfg := quick(url)
	for _, f := range change {
		f(&cfg)
	}
	e, err := NewEndpoint(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func quick(url string) EndpointConfig {
	return EndpointConfig{URL: url, ChainID: 1, BlockInterval: 100 * time.Millisecond, IdlePoll: 200 * time.Millisecond, Timeout: 20 * time.Second}
}

func newPool(t testing.TB, cfg Config) *Pool {
	t.Helper()
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits until f holds.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}

// noLeaks fails when there are more goroutines at the end of the test than now.
func noLeaks(t testing.TB) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		var after int
		for range 3000 {
			if after = runtime.NumGoroutine(); after <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines before, %d after\n%s", before, after, stacks[:runtime.Stack(stacks, true)])
	})
}

// logged collects a log.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func hasAny(text string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// dialTo makes every connection go to one address, as a resolver would.
func dialTo(address string) chain.Dialer {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialAddress(ctx, network, address)
	}
}

// calm is three whose endpoints stand in the order of preference, are not polled, and are given all the
// time that there is before another is asked too.
func calm(t testing.TB, cfg Config, operators ...string) (*Pool, []*rpctest.Node) {
	t.Helper()
	p, nodes := several(t, cfg, func(ec *EndpointConfig) { ec.BlockInterval, ec.IdlePoll = time.Hour, time.Hour }, operators...)
	settle(p)
	return p, nodes
}

// settle puts the endpoints back in order.
func settle(p *Pool) {
	prefer(p)
	for _, e := range p.endpoints {
		e.health.mu.Lock()
		e.health.failing, e.health.ring[0] = 0, hedgeMost
		e.health.mu.Unlock()
	}
}

func several(t testing.TB, cfg Config, change func(*EndpointConfig), operators ...string) (*Pool, []*rpctest.Node) {
	t.Helper()
	nodes := make([]*rpctest.Node, len(operators))
	for i, op := range operators {
		nodes[i] = fakeNode(t)
		ec := quick(nodes[i].URL())
		ec.Operator, ec.Name = op, fmt.Sprintf("n%d", i)
		change(&ec)
		cfg.Endpoints = append(cfg.Endpoints, ec)
	}
	p := newPool(t, cfg)
	eventually(t, "heads", func() bool {
		for _, s := range p.Status() {
			if s.Head.Number != 100 {
				return false
			}
		}
		return true
	})
	return p, nodes
}

// patient has those who asked e leave it all the time that there is.
func patient(e *Endpoint) {
	e.health.mu.Lock()
	defer e.health.mu.Unlock()
	e.health.ring[0] = hedgeMost
}

// prefer makes p prefer its endpoints as they stand.
func prefer(p *Pool) {
	for i, e := range p.endpoints {
		e.health.mu.Lock()
		e.health.latency, e.health.count = float64(i+1)/1000, 1
		e.health.ring[0] = time.Millisecond
		e.health.mu.Unlock()
	}
}
