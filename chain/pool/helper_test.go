package pool

import (
	"bytes"
	"context"
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
	return EndpointConfig{URL: url, ChainID: 1, BlockInterval: 100 * time.Millisecond, IdlePoll: 200 * time.Millisecond, Timeout: 2 * time.Second}
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
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
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
		for range 200 {
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
