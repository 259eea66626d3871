// Package rpctest is an Ethereum node for tests: a made-up chain behind a real HTTP and WebSocket server
// on a loopback socket, which can be told to misbehave.
package rpctest

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/gorilla/websocket"

	"dens/chain"
)

// Reply is what a contract does when called: it returns Data, or fails with an error object.
type Reply struct {
	Data  []byte
	Code  int    // of a JSON-RPC error; 0 is none
	Error string // its message
	Extra any    // its data
}

// Node is a fake node. Its fields may be changed only by its methods.
type Node struct {
	server *httptest.Server

	mu        sync.Mutex
	chainID   uint64
	blocks    []chain.Head
	call      func(to common.Address, data []byte) Reply
	intercept http.HandlerFunc // answers in the place of the node
	delay     time.Duration
	noBatch   bool
	requests  int
	calls     int
	heads     int
	conns     map[*websocket.Conn]*sync.Mutex
	address   string
	window    uint64 // of how many of the newest blocks proofs are served
	handlers  map[string]func(params []json.RawMessage) Answer
}

// Answer is what a method answers: Result, or an error object if Code is not 0.
type Answer struct {
	Result any
	Code   int
	Error  string
}

// New starts a node of chain 1 whose head is block 100.
func New() *Node {
	n := &Node{chainID: 1, window: math.MaxUint64, conns: make(map[*websocket.Conn]*sync.Mutex),
		handlers: make(map[string]func([]json.RawMessage) Answer)}
	n.call = func(_ common.Address, data []byte) Reply { return Reply{Data: append([]byte("echo:"), data...)} }
	now := time.Now().Truncate(time.Second)
	for i := range uint64(101) {
		n.blocks = append(n.blocks, Block(i, "main", now.Add(-time.Duration(100-i)*time.Second)))
	}
	n.start("127.0.0.1:0")
	return n
}

// Block makes a block whose hash follows from its number and the name of its branch.
func Block(number uint64, branch string, at time.Time) chain.Head {
	return chain.Head{Number: number, Hash: crypto.Keccak256Hash([]byte(branch + strconv.FormatUint(number, 10))), Time: at.UTC()}
}

func (n *Node) start(address string) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		panic(err) // a test cannot go on
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: n}}
	server.Start()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.server, n.address = server, l.Addr().String()
}

// URL is the HTTP address; WS the same server's WebSocket address.
func (n *Node) URL() string { return "http://" + n.address }

// WS is the WebSocket address.
func (n *Node) WS() string { return "ws://" + n.address }

// Close stops the server and drops its connections.
func (n *Node) Close() {
	n.mu.Lock()
	for c := range n.conns {
		c.Close()
	}
	server := n.server
	n.mu.Unlock()
	server.CloseClientConnections()
	server.Close()
}

// Restart begins to serve again on the same address after Close.
func (n *Node) Restart() { n.start(n.address) }

// SetChainID changes what the node says its chain is.
func (n *Node) SetChainID(id uint64) { n.locked(func() { n.chainID = id }) }

// SetDelay makes each answer take so long.
func (n *Node) SetDelay(d time.Duration) { n.locked(func() { n.delay = d }) }

// RefuseBatches makes the node answer batches with one error object.
func (n *Node) RefuseBatches(refuse bool) { n.locked(func() { n.noBatch = refuse }) }

// SetCall changes what all contracts do.
func (n *Node) SetCall(f func(to common.Address, data []byte) Reply) { n.locked(func() { n.call = f }) }

// SetWindow makes the node serve proofs of its newest blocks only; 0 is of none.
func (n *Node) SetWindow(blocks uint64) { n.locked(func() { n.window = blocks }) }

// Handle puts f in the place of a method, or takes it away again when f is nil. f must not use the node.
func (n *Node) Handle(method string, f func(params []json.RawMessage) Answer) {
	n.locked(func() {
		if n.handlers[method] = f; f == nil {
			delete(n.handlers, method)
		}
	})
}

// Intercept puts a handler in the place of the node's HTTP side; nil takes it away. The request's body
// can be read.
func (n *Node) Intercept(f http.HandlerFunc) { n.locked(func() { n.intercept = f }) }

// Counts returns how many HTTP requests (or WebSocket messages) came, how many eth_calls were in them, and
// how often the newest block was asked for.
func (n *Node) Counts() (requests, calls, heads int) {
	n.locked(func() { requests, calls, heads = n.requests, n.calls, n.heads })
	return requests, calls, heads
}

// Head is the newest block.
func (n *Node) Head() chain.Head {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.blocks[len(n.blocks)-1]
}

// Extend replaces the blocks above number by count blocks of a branch and tells subscribers.
func (n *Node) Extend(number uint64, count int, branch string, newest time.Time) {
	n.mu.Lock()
	n.blocks = n.blocks[:number+1]
	var announce []any
	for i := range count {
		b := Block(number+1+uint64(i), branch, newest.Add(-time.Duration(count-1-i)*time.Second))
		n.blocks = append(n.blocks, b)
		announce = append(announce, n.block(b.Number))
	}
	conns := make(map[*websocket.Conn]*sync.Mutex, len(n.conns))
	for c, mu := range n.conns {
		conns[c] = mu
	}
	n.mu.Unlock()
	for c, mu := range conns {
		mu.Lock()
		for _, b := range announce {
			_ = c.WriteJSON(map[string]any{"jsonrpc": "2.0", "method": "eth_subscription",
				"params": map[string]any{"subscription": "0x1", "result": b}})
		}
		mu.Unlock()
	}
}

func (n *Node) locked(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// ServeHTTP implements http.Handler.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	intercept, delay := n.intercept, n.delay
	n.requests++
	n.mu.Unlock()
	if intercept != nil {
		body, err := io.ReadAll(r.Body) // or the server would not notice that the client left
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		intercept(w, r)
		return
	}
	if r.Header.Get("Upgrade") != "" {
		n.serveWS(w, r)
		return
	}
	time.Sleep(delay)
	n.Serve(w, r)
}

// Serve answers as a good node does; for handlers given to Intercept.
func (n *Node) Serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(n.Answer(body))
}

// Answer answers one message or batch.
func (n *Node) Answer(body []byte) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !strings.HasPrefix(string(body), "[") {
		var q request
		_ = json.Unmarshal(body, &q)
		return encode(n.answer(q))
	}
	if n.noBatch {
		return []byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch requests are not supported"}}`)
	}
	var list []request
	_ = json.Unmarshal(body, &list)
	out := make([]any, 0, len(list))
	for i := range list {
		out = append(out, n.answer(list[len(list)-1-i])) // any order is allowed
	}
	return encode(out)
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func (n *Node) serveWS(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	writing := new(sync.Mutex)
	n.locked(func() { n.conns[c] = writing })
	defer func() {
		n.locked(func() { delete(n.conns, c) })
		c.Close()
	}()
	for {
		_, body, err := c.ReadMessage()
		if err != nil {
			return
		}
		var delay time.Duration
		n.locked(func() { n.requests++; delay = n.delay })
		time.Sleep(delay)
		writing.Lock()
		err = c.WriteMessage(websocket.TextMessage, n.Answer(body))
		writing.Unlock()
		if err != nil {
			return
		}
	}
}
