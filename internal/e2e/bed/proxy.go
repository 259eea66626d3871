package bed

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Fault is what a Proxy does to the answers of the node behind it.
type Fault int

const (
	None       Fault = iota
	Down             // connections are closed without an answer
	Slow             // answers come after 3 seconds
	TooMany          // 429 with Retry-After: 1
	WrongChain       // eth_chainId says 5
	StaleHead        // the newest block stays the one of when the fault began
	Forged           // results of eth_call are changed in one byte
	Garbage          // answers are no JSON
	Huge             // answers are 64 MiB
	Drip             // answers come a byte every 100 ms
	CloseMid         // connections are closed after half of the answer
	NoBatch          // JSON-RPC batches are refused
)

// Faults are all of them but None.
var Faults = map[string]Fault{
	"down": Down, "slow": Slow, "429": TooMany, "wrong chain id": WrongChain, "stale head": StaleHead,
	"forged results": Forged, "garbage": Garbage, "huge": Huge, "drip-fed": Drip, "closing in mid-answer": CloseMid,
	"no batches": NoBatch,
}

// Proxy stands between dens and a node's HTTP endpoint, counts the requests, and injects faults.
type Proxy struct {
	URL    string
	target string

	mu       sync.Mutex
	fault    Fault           // guarded by mu, as all below
	stale    json.RawMessage // the block of StaleHead
	requests int             // HTTP requests
	calls    int             // HTTP requests that hold at least one eth_call
	methods  map[string]int  // JSON-RPC calls by method
	fetches  int             // HTTP requests that ask for a part of the state
	lie      Lie
	delay    time.Duration
}

// NewProxy starts a proxy in front of target, an http URL, until the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	p := &Proxy{target: target, methods: map[string]int{}}
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	p.URL = server.URL
	return p
}

// Set switches to a fault.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.stale = f, nil
}

// Reset sets the counts to zero.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests, p.calls, p.fetches, p.methods = 0, 0, 0, map[string]int{}
}

// Calls is how many HTTP requests held at least one eth_call.
func (p *Proxy) Calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// Requests is how many HTTP requests came in all.
func (p *Proxy) Requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// Methods is how often each JSON-RPC method was called.
func (p *Proxy) Methods() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]int{}
	for m, n := range p.methods {
		out[m] = n
	}
	return out
}

type rpcRequest struct {
	ID     json.RawMessage   `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
}

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err != nil {
		return
	}
	requests, batch := parseRequests(body)
	fault, lie, delay := p.count(requests)
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return
	}
	switch {
	case fault == Down:
		hangUp(w)
		return
	case fault == Slow:
		select {
		case <-time.After(3 * time.Second):
		case <-r.Context().Done():
			return
		}
	case fault == TooMany:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many requests", http.StatusTooManyRequests)
		return
	case fault == Garbage:
		io.WriteString(w, "<html>\x00\xff this is no JSON") //nolint:errcheck // the client may be gone
		return
	case fault == Huge:
		writeHuge(w)
		return
	case fault == NoBatch && batch:
		http.Error(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch requests are not supported"}}`, http.StatusBadRequest)
		return
	}
	answer, err := p.forward(body)
	if err != nil {
		hangUp(w)
		return
	}
	answer = p.distort(fault, lie, requests, answer)
	w.Header().Set("Content-Type", "application/json")
	switch fault {
	case Drip:
		drip(w, r, answer)
	case CloseMid:
		w.Write(answer[:len(answer)/2]) //nolint:errcheck // as above
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	default:
		w.Write(answer) //nolint:errcheck // as above
	}
}

func parseRequests(body []byte) (requests []rpcRequest, batch bool) {
	if json.Unmarshal(body, &requests) == nil {
		return requests, true
	}
	var one rpcRequest
	if json.Unmarshal(body, &one) == nil {
		return []rpcRequest{one}, false
	}
	return nil, false
}

func (p *Proxy) count(requests []rpcRequest) (Fault, Lie, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	calls, fetches := 0, 0
	for _, r := range requests {
		p.methods[r.Method]++
		if r.Method == "eth_call" {
			calls = 1
		}
		if fetchMethods[r.Method] {
			fetches = 1
		}
	}
	p.calls, p.fetches = p.calls+calls, p.fetches+fetches
	return p.fault, p.lie, p.delay
}

func (p *Proxy) forward(body []byte) ([]byte, error) {
	resp, err := http.Post(p.target, "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, 32<<20))
}

// distort changes single results in an answer, be it of one call or of a batch.
func (p *Proxy) distort(fault Fault, lie Lie, requests []rpcRequest, answer []byte) []byte {
	if fault != WrongChain && fault != StaleHead && fault != Forged && lie == nil {
		return answer
	}
	var replies []map[string]json.RawMessage
	batch := json.Unmarshal(answer, &replies) == nil
	if !batch {
		replies = make([]map[string]json.RawMessage, 1)
		if json.Unmarshal(answer, &replies[0]) != nil {
			return answer
		}
	}
	asked := map[string]rpcRequest{}
	for _, r := range requests {
		asked[string(r.ID)] = r
	}
	for _, reply := range replies {
		result, ok := reply["result"]
		if !ok {
			continue
		}
		r := asked[string(reply["id"])]
		if result = p.distortResult(fault, r, result); lie != nil {
			result = lie(r.Method, r.Params, result)
		}
		if reply["result"] = result; result == nil {
			delete(reply, "result")
		}
	}
	var out []byte
	var err error
	if batch {
		out, err = json.Marshal(replies)
	} else {
		out, err = json.Marshal(replies[0])
	}
	if err != nil {
		return answer
	}
	return out
}

func (p *Proxy) distortResult(fault Fault, r rpcRequest, result json.RawMessage) json.RawMessage {
	switch {
	case fault == WrongChain && r.Method == "eth_chainId":
		return json.RawMessage(`"0x5"`)
	case fault == StaleHead && r.Method == "eth_getBlockByNumber" && len(r.Params) > 0 && string(r.Params[0]) == `"latest"`:
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.stale == nil {
			p.stale = result
		}
		return p.stale
	case fault == Forged && r.Method == "eth_call" && len(result) > 12:
		return forge(result)
	}
	return result
}

// forge changes the last digit that is not zero: lengths and offsets stay, so the lie decodes.
func forge(result json.RawMessage) json.RawMessage {
	digits := []byte(result)
	for i := len(digits) - 2; i > 2; i-- {
		if at := strings.IndexByte("123456789abcdef", digits[i]); at >= 0 {
			digits[i] = "23456789abcdef1"[at]
			break
		}
	}
	return digits
}

func hangUp(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0) //nolint:errcheck // a plain close will do
	}
	conn.Close()
}

func writeHuge(w http.ResponseWriter) {
	io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":"0x`) //nolint:errcheck // the client hangs up
	block := bytes.Repeat([]byte("00"), 32<<10)
	for range 1024 {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
	io.WriteString(w, `"}`) //nolint:errcheck // as above
}

func drip(w http.ResponseWriter, r *http.Request, answer []byte) {
	for i := range answer {
		if _, err := w.Write(answer[i : i+1]); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		select {
		case <-time.After(100 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
}
