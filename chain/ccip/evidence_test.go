package ccip

import (
	"context"
	"net"
	"reflect"
	"slices"
	"testing"

	"dens/chain"

	"github.com/ethereum/go-ethereum/common"
)

// proven makes what an inner Caller says proven, at one trip for each call.
func proven(accounts ...chain.ProvenAccount) func(int, *chain.Result) {
	return func(n int, r *chain.Result) {
		r.Trust = chain.Proven
		r.Proof = &chain.Proof{StateRoot: common.Hash{5}, Accounts: accounts[:min(n, len(accounts))], Trips: 1, Bytes: 100 * n}
		r.Proof.Anchor.Head = r.Head
	}
}

func TestEvidenceOfAllCalls(t *testing.T) {
	g := newGateway(t, answers)
	self := common.Address{1}
	accounts := []chain.ProvenAccount{{Address: common.Address{1}, Slots: 2}, {Address: common.Address{2}}, {Address: common.Address{3}, Slots: 1}}
	steps := []func() ([]string, []byte){step("a", g.get("ok")), step("b", g.get("ok"))}
	inner := &fakeChain{contracts: map[common.Address]contract{self: asks(t, self, steps...)}, change: proven(accounts...)}
	call := chain.Call{Msgs: []chain.Msg{{To: self, Data: []byte("call")}}}
	result, err := newCaller(t, inner, Config{AllowHTTP: true, AllowPrivate: true}).Call(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	if p := result.Proof; result.Trust != chain.Proven || p == nil || p.Trips != 3 || p.Bytes != 600 || !reflect.DeepEqual(p.Accounts, accounts) || p.Anchor.Head != head {
		t.Errorf("trust %v, proof %+v", result.Trust, p)
	}
	// A callback that nobody has proven leaves no evidence for the whole.
	inner.calls, inner.change = nil, func(n int, r *chain.Result) {
		if n < 3 {
			proven(accounts...)(n, r)
		}
	}
	result, err = newCaller(t, inner, Config{AllowHTTP: true, AllowPrivate: true}).Call(t.Context(), call)
	if err != nil || result.Trust != chain.Quorum || result.Proof != nil {
		t.Errorf("trust %v, proof %+v, %v", result.Trust, result.Proof, err)
	}
}

// TestSignature: a signature counts when a callback checked it, be it the last one or one before. That of the
// first call was over nothing that a gateway said.
func TestSignature(t *testing.T) {
	g := newGateway(t, answers)
	self := common.Address{1}
	for _, tt := range []struct {
		signed [3]bool // first call, first callback, second callback
		want   bool
	}{
		{[3]bool{false, false, false}, false},
		{[3]bool{true, false, false}, false},
		{[3]bool{false, true, false}, true},
		{[3]bool{false, false, true}, true},
	} {
		inner := &fakeChain{
			contracts: map[common.Address]contract{self: asks(t, self, step("a", g.get("ok")), step("b", g.get("ok")))},
			change:    func(n int, r *chain.Result) { r.Outputs[0].Signature = tt.signed[n-1] },
		}
		result, err := newCaller(t, inner, Config{AllowHTTP: true, AllowPrivate: true}).Call(t.Context(), chain.Call{Msgs: []chain.Msg{{To: self, Data: []byte("call")}}})
		if err != nil || result.Outputs[0].Signature != tt.want {
			t.Errorf("%v: got %+v, %v", tt.signed, result, err)
		}
	}
}

// TestFailedLookupsLeaveATrace: a contract may take the failure of a look-up in a batch for the absence of
// data. Who cuts the way to a gateway must not thereby make up what looks like the chain's own word.
func TestFailedLookupsLeaveATrace(t *testing.T) {
	g := newGateway(t, answers)
	cut := Config{AllowHTTP: true, AllowPrivate: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }}
	open := Config{AllowHTTP: true, AllowPrivate: true}
	for _, tt := range []struct {
		what string
		cfg  Config
		urls []string
		want []string
	}{
		{"the way is cut", cut, []string{"http://one.example/", "http://two.example/{data}"}, []string{"one.example", "two.example"}},
		{"all fail", open, []string{g.get("500"), g.get("garbage")}, []string{"127.0.0.1"}},
		{"refused", open, []string{g.get("404")}, []string{"127.0.0.1"}},
		{"not allowed here", Config{}, []string{"http://one.example/"}, []string{nobody}},
		{"no URL", open, nil, []string{nobody}},
	} {
		out := ask(t, tt.cfg, batchStep([]string{batchGateway}, element{Urls: tt.urls, Data: []byte("x")}))
		if failures, _ := unpackBatch(t, out.Data); !failures[0] || !slices.Equal(out.Gateways, tt.want) {
			t.Errorf("%s: failures %v, gateways %v, want %v", tt.what, failures, out.Gateways, tt.want)
		}
	}
}
