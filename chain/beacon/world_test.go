package beacon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"dens/chain"
	"dens/chain/light"
	"dens/internal/demo/consensus"
)

// world is a beacon chain and what a client must know of it: a young checkpoint or, with a History, an old one.
type world struct {
	t          testing.TB
	chain      *consensus.Chain
	network    *light.Network
	checkpoint common.Hash
	slot       uint64 // of the checkpoint
	blocks     *blocks
}

func newWorld(t testing.TB, cfg consensus.Config) *world {
	t.Helper()
	cfg.Port = -1
	made := &blocks{hashes: map[common.Hash]bool{}}
	cfg.Head = made.head
	c, err := consensus.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	n, err := light.ParseNetwork("made-up", c.NetworkConfig())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, chain: c, network: n, blocks: made}
	w.checkpoint, w.slot = c.Checkpoint()
	if cfg.History == 0 {
		w.checkpoint, w.slot = c.Finalized().Root, c.Finalized().Slot
	}
	return w
}

// blocks is a node that has a new block each time it is asked, and knows those that it had.
type blocks struct {
	mu     sync.Mutex
	hashes map[common.Hash]bool
}

func (b *blocks) head() *types.Header {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := block(uint64(len(b.hashes) + 1))
	b.hashes[h.Hash()] = true
	return h
}

func (b *blocks) has(hash common.Hash) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.hashes[hash]
}

func block(n uint64) *types.Header {
	used, withdrawals := uint64(0), common.Hash{3}
	return &types.Header{
		Number: new(big.Int).SetUint64(n), Time: 1_700_000_000 + 12*n, BaseFee: big.NewInt(7), Difficulty: new(big.Int),
		GasLimit: 30_000_000, BlobGasUsed: &used, ExcessBlobGas: &used, WithdrawalsHash: &withdrawals,
	}
}

// config is one that follows the world by some endpoints.
func (w *world) config(endpoints ...Endpoint) Config {
	return Config{Network: w.network, Checkpoint: w.checkpoint, Endpoints: endpoints, Timeout: 3 * time.Second, Patience: 20 * time.Second, MaxCheckpointAge: -1}
}

// client starts a client that is closed with the test.
func (w *world) client(cfg Config) *Client {
	w.t.Helper()
	c, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	return c
}

// advance makes a block.
func (w *world) advance() consensus.Block {
	w.t.Helper()
	if _, err := w.chain.Advance(); err != nil {
		w.t.Fatal(err)
	}
	return w.chain.Head()
}

// anchor is the anchor that a client has within some seconds.
func anchor(t testing.TB, c *Client) chain.Anchor {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	a, err := c.Anchor(ctx)
	if err != nil {
		t.Fatalf("no anchor: %v", err)
	}
	return a
}

// server is a beacon API that behaves as its script says.
type server struct {
	mu     sync.Mutex
	script script
	asked  map[string]int // requests by the last part of the path
	honest http.Handler
}

// script answers a request; honest is the chain's own answer.
type script func(kind string, w http.ResponseWriter, r *http.Request, honest http.Handler)

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, rest, _ := strings.Cut(r.URL.Path, "/eth/v1/beacon/light_client/")
	kind, _, _ := strings.Cut(rest, "/")
	s.mu.Lock()
	s.asked[kind]++
	do := s.script
	s.mu.Unlock()
	if do == nil {
		s.honest.ServeHTTP(w, r)
		return
	}
	do(kind, w, r, s.honest)
}

// set changes what it does; nil is honesty.
func (s *server) set(do script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = do
}

// count is how often it was asked for a kind; "" is all.
func (s *server) count(kind string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kind != "" {
		return s.asked[kind]
	}
	n := 0
	for _, more := range s.asked {
		n += more
	}
	return n
}

// server makes an endpoint on a real socket.
func (w *world) server(name string, do script) (*server, Endpoint) {
	s := &server{script: do, asked: map[string]int{}, honest: w.chain.Handler()}
	h := httptest.NewServer(s)
	w.t.Cleanup(func() { h.CloseClientConnections(); h.Close() })
	return s, Endpoint{URL: h.URL, Name: name}
}

// inside makes an endpoint that a synctest bubble can hold.
func (w *world) inside(name string, do script) (*server, Endpoint) {
	s := &server{script: do, asked: map[string]int{}, honest: w.chain.Handler()}
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	h := &http.Server{Handler: s}
	done := make(chan struct{})
	go func() { defer close(done); _ = h.Serve(l) }()
	w.t.Cleanup(func() { h.Close(); <-done })
	return s, Endpoint{URL: "http://" + name + ".example", Dial: l.dial}
}

// pipes is a net.Listener in memory.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.IPAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, errors.New("nobody listens")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Scripts.

// rewrite changes the body of an honest answer.
func rewrite(kinds string, change func([]byte) []byte) script {
	return func(kind string, w http.ResponseWriter, r *http.Request, honest http.Handler) {
		if !strings.Contains(kinds, kind) {
			honest.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		honest.ServeHTTP(rec, r)
		w.WriteHeader(rec.Code)
		_, _ = w.Write(change(rec.Body.Bytes()))
	}
}

// instead answers with a fixed body.
func instead(kinds string, body []byte) script {
	return rewrite(kinds, func([]byte) []byte { return body })
}

// status answers with a status and a message.
func status(kinds string, code int, message string) script {
	return func(kind string, w http.ResponseWriter, r *http.Request, honest http.Handler) {
		if !strings.Contains(kinds, kind) {
			honest.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, message)
	}
}

const everything = "bootstrap updates finality_update optimistic_update"

// logged is a log that can be read.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
