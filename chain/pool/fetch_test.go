package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
	"dens/chain/internal/rpctest"
	"dens/chain/verify"
)

var _ verify.Provider = (*Pool)(nil)

// proofs asks for the proof of an account at a block, and a few things more.
func proofs(at chain.Head) []chain.Request {
	block := map[string]any{"blockHash": at.Hash}
	return []chain.Request{
		{Method: "eth_getProof", Params: []any{contract, []common.Hash{}, block}},
		{Method: "eth_getBlockByHash", Params: []any{at.Hash, false}},
		{Method: "eth_getBlockByHash", Params: []any{common.Hash{1}, false}},
		{Method: "eth_getNothing"},
	}
}

// takes accepts everything and remembers the last reply.
func takes(last *chain.Reply) func(chain.Reply) error {
	return func(r chain.Reply) error { *last = r; return nil }
}

// refuses accepts nothing of the backends named.
func refuses(err error, backends ...string) func(chain.Reply) error {
	return func(r chain.Reply) error {
		if strings.Contains(strings.Join(backends, " "), r.Backend) {
			return fmt.Errorf("account 7: %w", err)
		}
		return nil
	}
}

func TestFetchIsOneRequest(t *testing.T) {
	n := fakeNode(t)
	for _, url := range []string{n.URL(), n.WS()} {
		ec := quick(url)
		ec.Name, ec.Operator, ec.BlockInterval, ec.IdlePoll = "n0", "op", time.Hour, time.Hour
		p := newPool(t, Config{Endpoints: []EndpointConfig{ec}})
		eventually(t, "a head", p.Ready)
		if strings.HasPrefix(url, "ws") {
			eventually(t, "a subscription", func() bool { return p.Status()[0].Subscribes == Yes })
		}
		before, _, _ := n.Counts()
		var got chain.Reply
		if err := p.Fetch(t.Context(), proofs(n.Head()), takes(&got)); err != nil {
			t.Fatal(err)
		}
		if after, _, _ := n.Counts(); after-before != 1 {
			t.Errorf("%d requests, want 1", after-before)
		}
		if got.Backend != "n0" || got.Operator != "op" || len(got.Results) != 4 || len(got.Errs) != 4 {
			t.Fatalf("%+v", got)
		}
		sum := 0
		for i, want := range []string{"accountProof", n.Head().Hash.Hex(), "null", ""} {
			if !strings.Contains(string(got.Results[i]), want) || (got.Results[i] == nil) == (got.Errs[i] == nil) {
				t.Errorf("%d: %s, %v", i, got.Results[i], got.Errs[i])
			}
			sum += len(got.Results[i])
		}
		var named *chain.BackendError
		if string(got.Results[2]) != "null" || got.Bytes != sum || !errors.As(got.Errs[3], &named) || named.Backend != "n0" || !errors.Is(named, chain.ErrUnavailable) {
			t.Errorf("%+v", got)
		}
		if s := p.Status()[0]; s.Fetches != 1 || s.Bytes != uint64(sum) || s.Rejected != 0 || s.Errors != 0 || s.Demoted != 0 {
			t.Errorf("status %+v", s)
		}
	}
}

func TestFetchSizes(t *testing.T) {
	p, nodes := three(t, Config{}, "a")
	for _, count := range []int{0, chain.MaxRequests + 1} {
		err := p.Fetch(t.Context(), make([]chain.Request, count), func(chain.Reply) error { t.Error("accepted"); return nil })
		if !errors.Is(err, chain.ErrLimit) {
			t.Errorf("%d requests: %v", count, err)
		}
	}
	if err := p.Fetch(t.Context(), []chain.Request{{Method: "m", Params: []any{make(chan int)}}}, nil); err == nil || !strings.Contains(err.Error(), "parameter 1 of m") {
		t.Errorf("not JSON: %v", err)
	}
	full := make([]chain.Request, chain.MaxRequests)
	for i := range full {
		full[i] = chain.Request{Method: "eth_getBlockByNumber", Params: []any{fmt.Sprintf("0x%x", i), false}}
	}
	for _, batches := range []bool{true, false} {
		nodes[0].RefuseBatches(!batches)
		var got chain.Reply
		if err := p.Fetch(t.Context(), full, takes(&got)); err != nil {
			t.Fatal(err)
		}
		for i, raw := range got.Results {
			if want := fmt.Sprintf(`"number":"0x%x"`, i); i <= 100 && !strings.Contains(string(raw), want) || i > 100 && string(raw) != "null" {
				t.Errorf("batches %v: %d is %.60s", batches, i, raw)
			}
		}
	}
}

// TestFetchEncodesOnce: parameters are the caller's again when Fetch returns, though backends are still asked.
func TestFetchEncodesOnce(t *testing.T) {
	t.Parallel()
	p, nodes := three(t, Config{}, "a", "b", "c")
	prefer(p)
	nodes[0].SetDelay(300 * time.Millisecond)
	param := &counted{}
	err := p.Fetch(t.Context(), []chain.Request{{Method: "eth_getBalance", Params: []any{param}}}, func(chain.Reply) error { return nil })
	if n := param.n; err != nil || n != 1 {
		t.Errorf("encoded %d times, %v", n, err)
	}
}

type counted struct{ n int }

func (c *counted) MarshalJSON() ([]byte, error) { c.n++; return []byte(`"0x0"`), nil }

// TestFetchRefusals: an error of one request is told in its place and with its kind, and is for accept to judge.
func TestFetchRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		code int
		text string
		want error
	}{
		{-32601, "the method eth_getProof does not exist/is not available", chain.ErrUnavailable},
		{-32601, "eth_getProof is only available for paid plans", chain.ErrUnavailable},
		{-32602, "invalid argument 2", chain.ErrUnavailable},
		{-32000, "header not found", chain.ErrUnknownBlock},
		{-32000, "header for hash not found", chain.ErrUnknownBlock},
		{-32001, "Unknown block", chain.ErrUnknownBlock},
		{-32000, "block #17 not found", chain.ErrUnknownBlock},
		{-32000, "block 0xab is not available", chain.ErrUnknownBlock},
		{-32000, "missing trie node 0123 (path ) state 0xab is not available", chain.ErrUnknownBlock},
		{-32000, "historical state ab is not available", chain.ErrUnknownBlock},
		{-32603, "distance to target block exceeds maximum proof window", chain.ErrUnknownBlock},
		{-32000, "proofs are only available for the latest 128 blocks", chain.ErrUnknownBlock},
		{-32000, "requested block is too old, block must be within 1000 blocks of the head block number (currently 9)", chain.ErrUnknownBlock},
		{-32000, "project does not have access to archive state", chain.ErrUnknownBlock},
		{-32000, "World state unavailable", chain.ErrUnknownBlock},
		{-32003, "response too large", chain.ErrLimit},
		{-32002, "request timed out", chain.ErrLimit},
		{3, "execution reverted", chain.ErrUnavailable},
		{-32005, "daily request count exceeded", errRateLimited},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			p, nodes := three(t, Config{}, "a")
			nodes[0].Handle("eth_getProof", func([]json.RawMessage) rpctest.Answer {
				return rpctest.Answer{Code: tt.code, Error: tt.text}
			})
			var got chain.Reply
			if err := p.Fetch(t.Context(), proofs(nodes[0].Head())[:2], takes(&got)); err != nil {
				t.Fatal(err)
			}
			if !errors.Is(got.Errs[0], tt.want) || !strings.Contains(got.Errs[0].Error(), tt.text) || got.Errs[1] != nil || got.Results[0] != nil {
				t.Errorf("%v, want %v", got.Errs[0], tt.want)
			}
			limited := tt.want == errRateLimited
			if limited && !errors.Is(got.Errs[0], chain.ErrUnavailable) {
				t.Errorf("%v is none of package chain's", got.Errs[0])
			}
			if s := p.Status()[0]; s.State != Closed || s.Demoted != 0 || (s.Limited > 0) != limited {
				t.Errorf("status %+v", s)
			}
		})
	}
}

// TestFetchAllLimited: a backend that answers none for being asked too much is one that failed.
func TestFetchAllLimited(t *testing.T) {
	t.Parallel()
	for _, batches := range []bool{true, false} {
		p, nodes := calm(t, Config{}, "a", "b")
		nodes[0].RefuseBatches(!batches)
		nodes[0].Handle("eth_getBalance", func([]json.RawMessage) rpctest.Answer {
			return rpctest.Answer{Code: 429, Error: "slow down"}
		})
		var got chain.Reply
		err := p.Fetch(t.Context(), []chain.Request{{Method: "eth_getBalance"}, {Method: "eth_getBalance"}}, takes(&got))
		if err != nil || got.Operator != "b" {
			t.Errorf("%+v, %v", got, err)
		}
		if s := p.Status()[0]; s.Limited == 0 || s.LimitedFor <= 0 || s.State != Closed {
			t.Errorf("status %+v", s)
		}
	}
}

// TestFetchHedges: while accept looks at an answer, others come in; it is never run twice at a time, and
// its word counts.
func TestFetchHedges(t *testing.T) {
	t.Parallel()
	p, nodes := three(t, Config{}, "a", "b", "c", "d")
	prefer(p)
	for i, n := range nodes {
		n.SetDelay(time.Duration(20*i) * time.Millisecond)
	}
	for range 5 {
		var inside, calls, after atomic.Int32
		seen := 0 // guarded by accept's being alone: the race detector looks
		err := p.Fetch(t.Context(), proofs(nodes[0].Head()), func(chain.Reply) error {
			if inside.Add(1) != 1 || after.Load() != 0 {
				t.Error("accept runs twice at a time, or late")
			}
			defer inside.Add(-1)
			seen++
			time.Sleep(5 * time.Millisecond)
			if calls.Add(1) < 3 {
				return chain.ErrUnknownBlock
			}
			return nil
		})
		after.Store(1)
		if err != nil || seen != 3 {
			t.Fatalf("%d answers, %v", seen, err)
		}
	}
	time.Sleep(100 * time.Millisecond) // for those that were overtaken
}

func TestFetchHedgesSilence(t *testing.T) {
	t.Parallel()
	p, nodes := three(t, Config{}, "a", "a", "b")
	prefer(p)
	nodes[0].Intercept(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	var got chain.Reply
	if err := p.Fetch(t.Context(), proofs(nodes[1].Head()), takes(&got)); err != nil || got.Backend == "n0" {
		t.Errorf("%s, %v", got.Backend, err)
	}
}

// TestFetchBackendsFail: what is no answer never reaches accept, and the next backend is asked in time.
func TestFetchBackendsFail(t *testing.T) {
	t.Parallel()
	faults := map[string]http.HandlerFunc{
		"garbage": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "}{") },
		"huge":    func(w http.ResponseWriter, _ *http.Request) { flood(w, 2<<20) },
		"deep": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `[{"jsonrpc":"2.0","id":1,"result":`+strings.Repeat("[", 999)+strings.Repeat("]", 999)+`}]`)
		},
		"status 500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"drip":       drip,
		"closed":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"429":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) },
		"empty":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `[]`) },
		"null":       func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `null`) },
		"many": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `[`+strings.Repeat(`{"jsonrpc":"2.0","id":1,"result":1},`, 999)+`{}]`)
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, nodes := several(t, Config{}, func(ec *EndpointConfig) {
				ec.BlockInterval, ec.IdlePoll, ec.Timeout, ec.MaxBody = time.Hour, time.Hour, 3*time.Second, 1<<20
			}, "a", "b")
			settle(p)
			nodes[0].Intercept(fault)
			took := 0
			err := p.Fetch(within(t, 30*time.Second), proofs(nodes[1].Head()), func(r chain.Reply) error {
				took++
				if r.Operator != "b" {
					t.Errorf("%+v", r)
				}
				return nil
			})
			if err != nil || took != 1 {
				t.Errorf("%d answers, %v", took, err)
			}
		})
	}
}

// TestFetchMissingElement: who leaves out one answer of a batch is asked one by one.
func TestFetchMissingElement(t *testing.T) {
	t.Parallel()
	n := fakeNode(t)
	n.Intercept(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var answers []json.RawMessage
		if json.Unmarshal(n.Answer(body), &answers) != nil {
			_, _ = w.Write(n.Answer(body))
			return
		}
		_ = json.NewEncoder(w).Encode(answers[1:])
	})
	p := newPool(t, Config{Endpoints: []EndpointConfig{quick(n.URL())}})
	var got chain.Reply
	if err := p.Fetch(t.Context(), proofs(n.Head()), takes(&got)); err != nil || !strings.Contains(string(got.Results[0]), "accountProof") {
		t.Errorf("%+v, %v", got, err)
	}
	if s := p.Status()[0]; s.Batches != No {
		t.Errorf("status %+v", s)
	}
}

// TestFetchSumOfSingles: answers that come one by one are bounded as if they had come together.
func TestFetchSumOfSingles(t *testing.T) {
	t.Parallel()
	n := fakeNode(t)
	n.Handle("eth_getCode", func([]json.RawMessage) rpctest.Answer {
		return rpctest.Answer{Result: strings.Repeat("0", 20<<10)}
	})
	ec := quick(n.URL())
	ec.NoBatch, ec.MaxBody = true, 256<<10
	p := newPool(t, Config{Endpoints: []EndpointConfig{ec}})
	requests := make([]chain.Request, 20)
	for i := range requests {
		requests[i].Method = "eth_getCode"
	}
	var got chain.Reply
	if err := p.Fetch(t.Context(), requests[:10], takes(&got)); err != nil || got.Bytes < 10*20<<10 {
		t.Errorf("%d bytes, %v", got.Bytes, err)
	}
	if err := p.Fetch(t.Context(), requests, takes(&got)); !errors.Is(err, chain.ErrLimit) || !strings.Contains(err.Error(), "262144 bytes") {
		t.Errorf("too much: %v", err)
	}
	if s := p.Status()[0]; s.State != Closed {
		t.Errorf("status %+v", s)
	}
}

// TestFetchEnds: when the context or the Pool ends, so does Fetch, and accept is not run any more.
func TestFetchEnds(t *testing.T) {
	noLeaks(t)
	for name, end := range map[string]func(cancel func(), p *Pool){
		"cancel": func(cancel func(), _ *Pool) { cancel() },
		"close":  func(_ func(), p *Pool) { p.Close() },
	} {
		p, nodes := three(t, Config{}, "a", "b", "c")
		for _, n := range nodes {
			n.Intercept(silent)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var working sync.WaitGroup
		for range 8 {
			working.Go(func() {
				err := p.Fetch(ctx, proofs(nodes[0].Head()), func(chain.Reply) error { t.Errorf("%s: accepted", name); return nil })
				if !errors.Is(err, chain.ErrUnavailable) && !errors.Is(err, chain.ErrTimeout) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		time.Sleep(50 * time.Millisecond)
		end(cancel, p)
		working.Wait()
		cancel()
		p.Close()
		if err := p.Fetch(t.Context(), proofs(nodes[0].Head()), func(chain.Reply) error { return nil }); !errors.Is(err, chain.ErrUnavailable) {
			t.Errorf("after Close: %v", err)
		}
		for _, n := range nodes {
			n.Close()
		}
	}
}

func TestFetchDeadline(t *testing.T) {
	t.Parallel()
	p, nodes := several(t, Config{Timeout: 200 * time.Millisecond}, func(ec *EndpointConfig) { ec.Timeout = time.Minute }, "a", "b")
	for _, n := range nodes {
		n.Intercept(drip)
	}
	began := time.Now()
	err := p.Fetch(context.Background(), proofs(nodes[0].Head()), func(chain.Reply) error { return nil })
	if !errors.Is(err, chain.ErrTimeout) || !strings.HasPrefix(err.Error(), chain.ErrTimeout.Error()) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("took %v", took)
	}
}
