package pool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"

	"dens/chain"
	"dens/chain/internal/rpctest"
)

func TestProbe(t *testing.T) {
	n := fakeNode(t)
	for _, url := range []string{n.URL(), n.WS()} {
		e := endpoint(t, url)
		p, err := e.Probe(within(t, 30*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if p.ChainID != 1 || p.Head.Hash != n.Head().Hash || !p.Archive || !p.Proofs || p.ProofWindow != 101 || !p.Batches || !p.ByHash || !p.AccessLists || p.Latency <= 0 {
			t.Errorf("%s: %+v", url, p)
		}
	}
	n.RefuseBatches(true)
	p, err := endpoint(t, n.URL()).Probe(within(t, 30*time.Second))
	if err != nil || p.Batches || p.ProofWindow != 101 || !p.AccessLists {
		t.Errorf("refused batches: %+v, %v", p, err)
	}
	n.SetChainID(5)
	p, err = endpoint(t, n.URL()).Probe(within(t, 30*time.Second))
	if !errors.Is(err, chain.ErrWrongChain) || p.ChainID != 5 {
		t.Errorf("wrong chain: %+v, %v", p, err)
	}
	n.Close()
	defer n.Restart()
	if _, err = endpoint(t, n.URL()).Probe(within(t, 30*time.Second)); !errors.Is(err, chain.ErrUnavailable) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("down: %v", err)
	}
}

// TestProbeWindow: how far back proofs are served is found to within the distances that are asked for.
func TestProbeWindow(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		height int // of the chain
		served uint64
		want   uint64
	}{
		{"none", 400, 0, 0}, {"the head alone", 400, 1, 1}, {"two", 400, 2, 2}, {"an epoch", 400, 33, 33},
		{"between", 400, 60, 33}, {"as geth", 400, 128, 128}, {"three hundred", 400, 300, 257},
		{"all", 400, 1000, 401}, {"a short chain", 3, 1000, 4}, {"a short chain, the head", 3, 1, 1}, {"genesis", 0, 1000, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := fakeNode(t)
			n.Extend(0, tt.height, "main", time.Now())
			n.SetWindow(tt.served)
			p, err := endpoint(t, n.URL()).Probe(within(t, 30*time.Second))
			if err != nil || p.ProofWindow != tt.want || p.Proofs != (tt.want > 0) || !p.ByHash {
				t.Errorf("%+v, %v, want %d", p, err, tt.want)
			}
		})
	}
}

// TestProbeLacks: what a backend does not do, or only seems to.
func TestProbeLacks(t *testing.T) {
	t.Parallel()
	refusing := func([]json.RawMessage) rpctest.Answer { return rpctest.Answer{Code: -32601, Error: "not served"} }
	proof := func(node ...string) func([]json.RawMessage) rpctest.Answer {
		return func([]json.RawMessage) rpctest.Answer {
			return rpctest.Answer{Result: map[string]any{"accountProof": node}}
		}
	}
	result := func(v any) func([]json.RawMessage) rpctest.Answer {
		return func([]json.RawMessage) rpctest.Answer { return rpctest.Answer{Result: v} }
	}
	tests := []struct {
		name, method string
		does         func([]json.RawMessage) rpctest.Answer
		window       uint64
		lists, hash  bool
	}{
		{"proofs refused", "eth_getProof", refusing, 0, true, true},
		{"no proof", "eth_getProof", proof(), 0, true, true},
		{"null", "eth_getProof", result(nil), 0, true, true},
		{"no object", "eth_getProof", result("0x"), 0, true, true},
		{"of another block", "eth_getProof", proof("0x1234"), 0, true, true},
		{"not hexadecimal", "eth_getProof", proof("0xzz"), 0, true, true},
		{"empty node", "eth_getProof", proof("0x"), 0, true, true},
		{"lists refused", "eth_createAccessList", refusing, 101, false, true},
		{"null list", "eth_createAccessList", result(nil), 101, false, true},
		{"no list", "eth_createAccessList", result(map[string]any{"gasUsed": "0x1"}), 101, false, true},
		{"no balance", "eth_getBalance", result(nil), 101, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := fakeNode(t)
			n.Handle(tt.method, tt.does)
			p, err := endpoint(t, n.URL()).Probe(within(t, 30*time.Second))
			if err != nil || p.ProofWindow != tt.window || p.Proofs != (tt.window > 0) || p.AccessLists != tt.lists || p.ByHash != tt.hash {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

// TestProbeBounds: larger batches refused, no block objects, requests that are too many: never more than
// some thirty requests.
func TestProbeBounds(t *testing.T) {
	t.Parallel()
	n := fakeNode(t)
	n.Extend(0, 400, "main", time.Now())
	n.Intercept(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Count(string(body), "method") > 3 {
			fmt.Fprint(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}`)
			return
		}
		_, _ = w.Write(n.Answer(body))
	})
	p, err := endpoint(t, n.URL(), func(c *EndpointConfig) { c.BlockInterval, c.IdlePoll = time.Hour, time.Hour }).Probe(within(t, 30*time.Second))
	if err != nil || p.Batches || p.ProofWindow != 401 {
		t.Errorf("%+v, %v", p, err)
	}
	if requests, _, _ := n.Counts(); requests > 35 {
		t.Errorf("%d requests", requests)
	}
	limited := fakeNode(t)
	limited.Handle("eth_getProof", func([]json.RawMessage) rpctest.Answer { return rpctest.Answer{Code: 429, Error: "slow down"} })
	if p, err = endpoint(t, limited.URL()).Probe(within(t, 30*time.Second)); !errors.Is(err, errRateLimited) || !p.Archive {
		t.Errorf("rate limited: %+v, %v", p, err)
	}
	long := fakeNode(t)
	long.Handle("eth_getProof", func([]json.RawMessage) rpctest.Answer { return rpctest.Answer{Result: strings.Repeat("x", 100<<10)} })
	if p, err = endpoint(t, long.URL(), func(c *EndpointConfig) { c.MaxBody = 512 << 10 }).Probe(within(t, 30*time.Second)); !errors.Is(err, chain.ErrLimit) || p.Proofs {
		t.Errorf("too long: %+v, %v", p, err)
	}
}

// FuzzProbeAnswers: nothing is taken for a proof, a list or a block but what is one.
func FuzzProbeAnswers(f *testing.F) {
	f.Add([]byte(`{"accountProof":["0x00"]}`))
	f.Add([]byte(`{"accessList":[],"hash":"0x01","stateRoot":"0x02"}`))
	f.Add([]byte(`"0x0"`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var object map[string]json.RawMessage
		isObject := json.Unmarshal(raw, &object) == nil
		if isProof(raw, common.Hash{1}) || isProof(raw, common.Hash{}) {
			t.Error("a proof of a root that hashes to nothing")
		}
		if isAccessList(raw) && !isObject {
			t.Error("a list out of nothing")
		}
		if b := rootOf(raw); b != (rooted{}) && !isObject {
			t.Error("a block out of nothing")
		}
		if isQuantity(raw) && isObject {
			t.Error("a quantity of an object")
		}
		node := hexutil.Encode(append(raw, 0))
		if !isProof([]byte(`{"accountProof":["`+node+`"]}`), crypto.Keccak256Hash(append(raw, 0))) {
			t.Error("a proof is not recognised")
		}
	})
}
