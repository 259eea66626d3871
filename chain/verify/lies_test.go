package verify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"dens/chain"
	"dens/internal/demo"
)

// proofAnswer is the answer to eth_getProof, to be changed.
type proofAnswer struct {
	Address      common.Address `json:"address"`
	AccountProof []string       `json:"accountProof"`
	StorageProof []struct {
		Key   string   `json:"key"`
		Value string   `json:"value"`
		Proof []string `json:"proof"`
	} `json:"storageProof"`
}

// onProof changes the answers to eth_getProof.
func onProof(change func(params []json.RawMessage, p *proofAnswer)) func(request, *response) {
	return func(q request, r *response) {
		if q.Method != "eth_getProof" || r.Error != nil {
			return
		}
		var p proofAnswer
		if json.Unmarshal(r.Result, &p) != nil {
			return
		}
		change(q.Params, &p)
		r.Result, _ = json.Marshal(p)
	}
}

// onSlots changes the proofs of slots.
func onSlots(change func(nodes []string) []string) func(request, *response) {
	return onProof(func(_ []json.RawMessage, p *proofAnswer) {
		for i := range p.StorageProof {
			p.StorageProof[i].Proof = change(p.StorageProof[i].Proof)
		}
	})
}

// on changes the result of one method.
func on(method string, change func(q request, result json.RawMessage) any) func(request, *response) {
	return func(q request, r *response) {
		if q.Method == method && r.Error == nil {
			r.Result, _ = json.Marshal(change(q, r.Result))
		}
	}
}

// flip changes one byte in the middle of a node.
func flip(node string) string {
	b := common.FromHex(node)
	b[len(b)/2] ^= 1
	return "0x" + common.Bytes2Hex(b)
}

// foreignProof is what the node says of another account and its slots.
func foreignProof(t *testing.T, address common.Address, q request) json.RawMessage {
	var slots []common.Hash
	if err := json.Unmarshal(q.Params[1], &slots); err != nil {
		t.Error(err)
	}
	var result json.RawMessage
	if err := theChain.Client().CallContext(t.Context(), &result, "eth_getProof", address, slots, json.RawMessage(q.Params[2])); err != nil {
		t.Error(err)
	}
	return result
}

// lies are what a backend may say, each with what must come of it when there is no other backend; nil: the
// lie has no effect.
func lies(t *testing.T) map[string]struct {
	lie  func(request, *response)
	want error
} {
	field := func(name string, value any) func(request, *response) {
		return on("eth_getBlockByHash", func(_ request, result json.RawMessage) any {
			var block map[string]any
			json.Unmarshal(result, &block) //nolint:errcheck // it is the node's
			block[name] = value
			return block
		})
	}
	null := func(method string) func(request, *response) {
		return on(method, func(request, json.RawMessage) any { return nil })
	}
	return map[string]struct {
		lie  func(request, *response)
		want error
	}{
		"altered leaf of an account": {onProof(func(_ []json.RawMessage, p *proofAnswer) {
			p.AccountProof[len(p.AccountProof)-1] = flip(p.AccountProof[len(p.AccountProof)-1])
		}), chain.ErrBadProof},
		"altered root node": {onProof(func(_ []json.RawMessage, p *proofAnswer) {
			p.AccountProof[0] = flip(p.AccountProof[0])
		}), chain.ErrBadProof},
		"altered leaf of a slot": {onSlots(func(n []string) []string {
			if len(n) > 0 {
				n[len(n)-1] = flip(n[len(n)-1])
			}
			return n
		}), chain.ErrBadProof},
		"truncated path of an account": {onProof(func(_ []json.RawMessage, p *proofAnswer) {
			p.AccountProof = p.AccountProof[:len(p.AccountProof)-1]
		}), chain.ErrBadProof},
		"truncated path of a slot": {onSlots(func(n []string) []string { return n[:max(len(n)-1, 0)] }), chain.ErrBadProof},
		"no proof of an account":   {onProof(func(_ []json.RawMessage, p *proofAnswer) { p.AccountProof = nil }), chain.ErrBadProof},
		"no proof of slots":        {onSlots(func([]string) []string { return []string{} }), chain.ErrBadProof},
		"swapped nodes": {onProof(func(_ []json.RawMessage, p *proofAnswer) {
			p.AccountProof[0], p.AccountProof[1] = p.AccountProof[1], p.AccountProof[0]
		}), chain.ErrBadProof},
		"swapped slots": {onProof(func(_ []json.RawMessage, p *proofAnswer) {
			if n := len(p.StorageProof); n > 1 {
				p.StorageProof[0], p.StorageProof[n-1] = p.StorageProof[n-1], p.StorageProof[0]
			}
		}), nil}, // one by one they are right
		"dropped slot": {onProof(func(_ []json.RawMessage, p *proofAnswer) {
			p.StorageProof = p.StorageProof[:max(len(p.StorageProof)-1, 0)]
		}), chain.ErrMalformed},
		"a slot more": {onProof(func(_ []json.RawMessage, p *proofAnswer) {
			if len(p.StorageProof) > 0 {
				p.StorageProof = append(p.StorageProof, p.StorageProof[0])
			}
		}), chain.ErrMalformed},
		"foreign nodes at the end": {onProof(func(_ []json.RawMessage, p *proofAnswer) {
			p.AccountProof = append(p.AccountProof, "0xf84c"+strings.Repeat("00", 76))
		}), nil},
		"proof of another account": {func(q request, r *response) {
			if q.Method == "eth_getProof" {
				r.Result = foreignProof(t, theChain.WildcardResolver, q)
			}
		}, chain.ErrBadProof},
		"values beside the proofs": {onProof(func(_ []json.RawMessage, p *proofAnswer) {
			for i := range p.StorageProof {
				p.StorageProof[i].Value, p.StorageProof[i].Key = "0x666", "0x1"
			}
		}), nil},
		"wrong code": {on("eth_getCode", func(request, json.RawMessage) any { return "0x600160015260206001f3" }), chain.ErrBadProof},
		"altered code": {on("eth_getCode", func(_ request, code json.RawMessage) any {
			var text string
			json.Unmarshal(code, &text) //nolint:errcheck // it is the node's
			return flip(text)
		}), chain.ErrBadProof},
		"empty code":        {on("eth_getCode", func(request, json.RawMessage) any { return "0x" }), chain.ErrBadProof},
		"code that is none": {on("eth_getCode", func(request, json.RawMessage) any { return "code" }), chain.ErrMalformed},
		"huge code": {func(q request, r *response) {
			if q.Method == "eth_getCode" && strings.EqualFold(string(q.Params[0]), fmt.Sprintf("%q", theChain.UniversalResolver.Hex())) {
				r.Result = json.RawMessage(`"0x` + strings.Repeat("00", maxCode+1) + `"`)
			}
		}, chain.ErrMalformed},
		"changed state root":          {field("stateRoot", crypto.Keccak256Hash([]byte("another state"))), chain.ErrBadProof},
		"changed number":              {field("number", "0x9999"), chain.ErrBadProof},
		"changed time":                {field("timestamp", "0x9999"), chain.ErrBadProof},
		"a field of rules to come":    {field("requestsHash", crypto.Keccak256Hash([]byte("rules"))), chain.ErrBadProof},
		"a header without its number": {field("number", nil), chain.ErrMalformed},
		"a stale block": {on("eth_getBlockByHash", func(request, json.RawMessage) any {
			var block json.RawMessage
			if err := theChain.Client().CallContext(t.Context(), &block, "eth_getBlockByNumber", "0x0", false); err != nil {
				t.Error(err)
			}
			return block
		}), chain.ErrBadProof},
		"proofs of a stale block": {func(q request, r *response) {
			if q.Method != "eth_getProof" {
				return
			}
			if err := theChain.Client().CallContext(t.Context(), &r.Result, q.Method, q.Params[0], q.Params[1], "0x0"); err != nil {
				t.Error(err)
			}
		}, chain.ErrBadProof},
		"null for a block":     {null("eth_getBlockByHash"), chain.ErrUnknownBlock},
		"null for a proof":     {null("eth_getProof"), chain.ErrMalformed},
		"null for code":        {null("eth_getCode"), chain.ErrMalformed},
		"null for access list": {null("eth_createAccessList"), nil},
		"no word of the block": {func(q request, r *response) {
			if q.Method != "eth_chainId" && q.Method != "eth_getBlockByNumber" {
				r.Result, r.Error = nil, &rpcError{Code: -32000, Message: "header not found"}
			}
		}, chain.ErrUnknownBlock},
		"no proofs at all": {func(q request, r *response) {
			if q.Method == "eth_getProof" {
				r.Result, r.Error = nil, &rpcError{Code: -32601, Message: "the method eth_getProof does not exist"}
			}
		}, chain.ErrUnavailable},
		"huge": {func(q request, r *response) { // more than a backend may send
			if q.Method == "eth_getProof" && strings.EqualFold(string(q.Params[0]), fmt.Sprintf("%q", theChain.UniversalResolver.Hex())) {
				r.Result = json.RawMessage(`{"accountProof":["0x` + strings.Repeat("ab", 9<<17) + `"]}`)
			}
		}, chain.ErrUnavailable},
		"many nodes": {onProof(func(_ []json.RawMessage, p *proofAnswer) {
			for range 66 {
				p.AccountProof = append(p.AccountProof, "0x00")
			}
		}), chain.ErrMalformed},
		"deep nesting": {func(q request, r *response) {
			if q.Method == "eth_getProof" {
				r.Result = json.RawMessage(strings.Repeat("[", 500) + strings.Repeat("]", 500))
			}
		}, chain.ErrUnavailable},
		"forged access list": {on("eth_createAccessList", func(request, json.RawMessage) any {
			var list []map[string]any
			for i := range 40 {
				slot := common.BigToHash(common.Big1)
				list = append(list, map[string]any{"address": common.BytesToAddress([]byte{9, byte(i)}), "storageKeys": []common.Hash{slot}})
			}
			return map[string]any{"accessList": list}
		}), nil},
		"endless access list": {on("eth_createAccessList", func(request, json.RawMessage) any {
			var list []map[string]any
			for i := range 5000 {
				list = append(list, map[string]any{"address": common.BytesToAddress([]byte{9, byte(i >> 8), byte(i)}), "storageKeys": []common.Hash{}})
			}
			return map[string]any{"accessList": list}
		}), nil},
		"access list of nothing": {on("eth_createAccessList", func(request, json.RawMessage) any {
			return map[string]any{"accessList": []any{}}
		}), nil},
		"access list that is none": {on("eth_createAccessList", func(request, json.RawMessage) any { return "list" }), nil},
		"no access lists": {func(q request, r *response) {
			if q.Method == "eth_createAccessList" {
				r.Result, r.Error = nil, &rpcError{Code: -32601, Message: "the method eth_createAccessList does not exist"}
			}
		}, nil},
	}
}

// TestLies has a backend tell each lie, alone and beside an honest one.
func TestLies(t *testing.T) {
	m := text(t, "wallet.eth", "url")
	want, _ := truth(t, m, newest(t.Context()).Hash)
	right := func(r chain.Result) bool {
		out := r.Outputs[0]
		return r.Trust == chain.Proven && out.Err == nil && !out.Reverted && bytes.Equal(out.Data, want)
	}
	for what, tt := range lies(t) {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			liar := newBackend(t, tt.lie)
			r, err := newVerifier(t, newPool(t, liar)).Call(t.Context(), chain.Call{Msgs: []chain.Msg{m}})
			switch {
			case tt.want == nil && (err != nil || !right(r)):
				t.Errorf("alone: got %+v, %v", r, err)
			case tt.want != nil && !errors.Is(err, tt.want):
				t.Errorf("alone: got %+v, %v, want %v", r, err, tt.want)
			case err != nil && !strings.Contains(err.Error(), "a: "):
				t.Errorf("the error does not name the backend: %v", err)
			}
			honest := newBackend(t, nil)
			liar.mu.Lock()
			liar.seen = map[string]int{}
			liar.mu.Unlock()
			both := inTurn{newPool(t, liar), newPool(t, honest)}
			r, err = newVerifier(t, both).Call(t.Context(), chain.Call{Msgs: []chain.Msg{m}})
			if err != nil || !right(r) {
				t.Errorf("beside an honest one: got %+v, %v", r, err)
			}
			if liar.count("eth_createAccessList")+liar.count("eth_getProof") == 0 {
				t.Error("the liar was not asked")
			}
			if tt.want != nil && honest.count("eth_getProof") == 0 {
				t.Error("the honest one was not asked")
			}
		})
	}
}

// TestSlowBackend has one that never answers for proofs: the other is asked before the time is up.
func TestSlowBackend(t *testing.T) {
	slow := newBackend(t, nil)
	slow.slow = func(method string) time.Duration {
		if method == "eth_getProof" {
			return 2 * time.Second
		}
		return 0
	}
	honest := newBackend(t, nil)
	honest.delay = 60 * time.Millisecond
	v := newVerifier(t, newPool(t, slow, honest))
	r, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{text(t, "wallet.eth", "url")}})
	if err != nil || fmt.Sprint(r.Backends) != "[b]" {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestLiarLosesRank has a backend whose proofs do not hold: it is not asked again for a while.
func TestLiarLosesRank(t *testing.T) {
	liar := newBackend(t, onSlots(func([]string) []string { return []string{} }))
	honest := newBackend(t, nil)
	honest.delay = 60 * time.Millisecond
	p := newPool(t, liar, honest)
	v := newVerifier(t, p)
	call(t, v, text(t, "wallet.eth", "url"))
	asked := liar.count("eth_getProof")
	mine(t)
	for _, m := range texts(t)[:6] {
		call(t, v, m)
	}
	if got := liar.count("eth_getProof"); got != asked || asked == 0 {
		t.Errorf("the liar was asked %d times, then %d", asked, got)
	}
	if s := v.Status(); s.BadProofs != 1 {
		t.Errorf("got %+v", s)
	}
}

// TestForgedListLosesRank has a backend whose guesses are of no use. The first ones may be a contract's doing.
func TestForgedListLosesRank(t *testing.T) {
	forger := newBackend(t, lies(t)["forged access list"].lie)
	honest := newBackend(t, nil)
	honest.delay = 250 * time.Millisecond // it is asked only if need be
	v := newVerifier(t, newPool(t, forger, honest))
	all := texts(t)
	for i := range allowedBad + 1 {
		call(t, v, all[i])
		mine(t)
	}
	asked := forger.count("eth_createAccessList")
	for _, m := range all[10:12] {
		call(t, v, m)
	}
	if got := forger.count("eth_createAccessList"); got != asked || asked != allowedBad+1 {
		t.Errorf("the forger was asked for %d lists, then %d", asked, got)
	}
}

// TestOtherChain has a backend that gives itself out for one of the chain and serves another.
func TestOtherChain(t *testing.T) {
	other, err := demo.StartNode(t.Context(), demo.NodeConfig{ChainID: theChain.ChainID(), Time: time.Now().Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close() //nolint:errcheck // the node is for this test alone
	stranger := newBackend(t, func(q request, r *response) {
		params := make([]any, len(q.Params))
		for i := range q.Params {
			params[i] = q.Params[i]
		}
		r.Result, r.Error = nil, nil
		if err := other.Client().CallContext(t.Context(), &r.Result, q.Method, params...); err != nil {
			r.Error = &rpcError{Code: -32000, Message: err.Error()}
		}
		if r.Error == nil && r.Result == nil {
			r.Result = json.RawMessage("null")
		}
	})
	m := text(t, "wallet.eth", "url")
	if r, err := newVerifier(t, newPool(t, stranger)).Call(t.Context(), chain.Call{Msgs: []chain.Msg{m}}); !errors.Is(err, chain.ErrUnknownBlock) {
		t.Errorf("got %+v, %v", r, err)
	}
	honest := newBackend(t, nil)
	honest.delay = 60 * time.Millisecond
	call(t, newVerifier(t, newPool(t, stranger, honest)), m)
}
