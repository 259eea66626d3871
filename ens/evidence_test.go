package ens

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"dens/chain"

	"github.com/ethereum/go-ethereum/common"
	"github.com/miekg/dns"
)

// witness is a Caller that proves what a world says: one trip, 100 bytes and one account of its own for each
// call, and what change makes of it.
type witness struct {
	*world
	change func(n int, c chain.Call, r *chain.Result)
	calls  int
}

func (w *witness) Call(ctx context.Context, c chain.Call) (chain.Result, error) {
	r, err := w.world.Call(ctx, c)
	w.calls++
	r.Trust = chain.Proven
	r.Proof = &chain.Proof{StateRoot: common.Hash{9}, Trips: 1, Bytes: 100, Accounts: []chain.ProvenAccount{{Address: common.Address{19: byte(w.calls)}, Slots: 1}}}
	r.Proof.Anchor.Head = r.Head
	if w.change != nil {
		w.change(w.calls, c, &r)
	}
	return r, err
}

// TestProofOfAllCalls: what several Calls rest on is one body of evidence, and a Call without any leaves none.
func TestProofOfAllCalls(t *testing.T) {
	d := sample(t).systems()["registry"].Deployment()
	deep := "e.d.c.b.a.alice.eth."
	for calls, change := range map[int]func(int, chain.Call, *chain.Result){
		3: nil,
		0: func(n int, _ chain.Call, r *chain.Result) {
			if n == 2 {
				r.Trust, r.Proof = chain.Quorum, nil
			}
		},
	} {
		w := &witness{world: sample(t), change: change}
		w.code[w.resolvers[testNode("alice.eth")]].zone("alice.eth", deep+" 60 IN NS ns.example.org.")
		r, err := New(w, d).LookupCuts(t.Context(), deep, dns.TypeA)
		if err != nil || describeCuts(r) != deep+" NS:1" {
			t.Fatalf("got %s, %v", describeCuts(r), err)
		}
		if calls == 0 {
			if r.Source.Trust != chain.Quorum || r.Source.Proof != nil {
				t.Errorf("source is %+v", r.Source)
			}
			continue
		}
		p := r.Source.Proof
		if r.Source.Trust != chain.Proven || p == nil || w.calls < calls || p.Trips != w.calls || p.Bytes != 100*w.calls || len(p.Accounts) != w.calls {
			t.Errorf("%d calls, source is %+v with %+v", w.calls, r.Source, p)
		}
	}
}

func TestCallsAtTwoBlocks(t *testing.T) {
	w := &witness{world: sample(t), change: func(n int, _ chain.Call, r *chain.Result) {
		if n > 1 {
			r.Head.Hash[0]++
		}
	}}
	_, err := New(w, w.systems()["registry"].Deployment()).Lookup(t.Context(), "alice.eth.", dns.TypeA)
	if !errors.Is(err, chain.ErrConflict) {
		t.Errorf("got %v", err)
	}
}

// TestSignatures: that no signature was checked is said of an answer only if it is so of all its parts that
// came from gateways; signatures elsewhere, and in what was not used, say nothing about it.
func TestSignatures(t *testing.T) {
	item := func(method string) func(chain.Msg) bool {
		return func(m chain.Msg) bool {
			return isMethod(m.Data, "resolve") && bytes.Contains(m.Data, wired.Methods[method].ID)
		}
	}
	for _, tt := range []struct {
		what     string
		gateways bool
		signed   func(chain.Msg) bool
		want     bool
	}{
		{"none", true, func(chain.Msg) bool { return false }, false},
		{"all", true, func(chain.Msg) bool { return true }, true},
		{"one of several", true, item("contenthash"), true},
		{"one that does not count", true, func(m chain.Msg) bool { return m.To == fakeRegistry }, false},
		{"no gateways", false, func(chain.Msg) bool { return true }, false},
	} {
		for how := range newWorld(t).systems() {
			base := newWorld(t)
			c := base.newWildcard()
			if tt.gateways {
				c.gateways = []string{"gateway.example"}
			}
			c.contenthash("x.base.eth", ipfsHash)
			base.register("base.eth", c)
			w := &witness{world: base, change: func(_ int, call chain.Call, r *chain.Result) {
				for i, m := range call.Msgs {
					r.Outputs[i].Signature = tt.signed(m)
				}
			}}
			r, err := New(w, base.systems()[how].Deployment()).LookupCuts(t.Context(), "x.base.eth.", dns.TypeA)
			if err != nil || describe(r) != "exists in base.eth. "+ipfsPath || r.Source.Signature != tt.want || (len(r.Source.Gateways) > 0) != tt.gateways {
				t.Errorf("%s, %s: got %s, %v, source %+v", tt.what, how, describe(r), err, r.Source)
			}
		}
	}
}

// TestGatewaysInPassing: who decides where to look, or whether a name is there, has a part in the answer.
func TestGatewaysInPassing(t *testing.T) {
	for _, tt := range []struct {
		how, name string
		method    string
	}{
		{"universal", "alice.eth.", "findResolver"},
		{"universal", "nobody.eth.", "owner"},
		{"registry", "alice.eth.", "resolver"},
		{"registry", "alice.eth.", "supportsInterface"},
		{"registry", "nobody.eth.", "owner"},
	} {
		w := &witness{world: sample(t), change: func(_ int, c chain.Call, r *chain.Result) {
			for i, m := range c.Msgs {
				if isMethod(m.Data, tt.method) {
					r.Outputs[i].Gateways, r.Outputs[i].Signature = []string{"gateway.example"}, true
				}
			}
		}}
		r, err := New(w, w.systems()[tt.how].Deployment()).Lookup(t.Context(), tt.name, dns.TypeA)
		if err != nil || !slices.Equal(r.Source.Gateways, []string{"gateway.example"}) || !r.Source.Signature {
			t.Errorf("%s, %s: got %+v, %v", tt.how, tt.method, r.Source, err)
		}
	}
}

// TestRefusalsAfterAGateway: a callback that fails on what the gateway said, in whatever words, does not make
// a name without records.
func TestRefusalsAfterAGateway(t *testing.T) {
	for _, refusal := range []reply{
		reverts("ResolverNotFound", []byte("\x05alice\x03eth\x00")), reverts("ResolverNotContract", []byte{}, common.Address{}),
		{data: errorNoWildcard[:], reverted: true}, reverts("ResolverError", []byte{1, 2, 3, 4}), {reverted: true},
	} {
		refusal.gateways = []string{"gateway.example"}
		w := sample(t)
		w.override = func(m chain.Msg) *reply {
			if m.To == fakeUniversal && isMethod(m.Data, "resolve") {
				return &refusal
			}
			return nil
		}
		if r, err := w.systems()["universal"].Lookup(t.Context(), "alice.eth.", dns.TypeA); !errors.Is(err, chain.ErrGateway) {
			t.Errorf("%x: got %s, %v", refusal.data, describe(r), err)
		}
	}
}

// TestSameMessages: a name that is asked for again is asked for in the very same messages, whichever System
// asks, so that what was learned about them at one block serves at the next.
func TestSameMessages(t *testing.T) {
	w := sample(t)
	for how := range w.systems() {
		for _, name := range []string{"alice.eth.", "_dnslink.alice.eth.", "x.y.wild.alice.eth.", "*.alice.eth.", "texts.eth.", "sub.wild.eth.", "nobody.eth.", "eth."} {
			for _, kind := range []uint16{dns.TypeTXT, typeWallet} {
				var first []chain.Call
				for i := range 3 {
					system := w.systems()[how]
					if i > 0 { // this one has asked before
						if _, err := system.LookupCuts(t.Context(), name, kind); err != nil {
							t.Fatal(err)
						}
					}
					w.reset()
					if _, err := system.LookupCuts(t.Context(), name, kind); err != nil {
						t.Fatal(err)
					}
					calls := w.reset()
					if first == nil {
						first = calls
					}
					if !reflect.DeepEqual(calls, first) {
						t.Errorf("%s, %s: other messages the second time", how, fmt.Sprint(name, " ", typeName(kind)))
					}
				}
			}
		}
	}
}

// TestSameMessagesOffChain: of a name off the chain the first look-up teaches to ask for less, and then it stays
// so, whoever asks for a wildcard in between.
func TestSameMessagesOffChain(t *testing.T) {
	for how, system := range newWorld(t).systems() {
		w := newWorld(t)
		c := w.newWildcard()
		c.gateways = []string{"gateway.example"}
		c.contenthash("x.base.eth", ipfsHash)
		w.register("base.eth", c)
		system = New(w, system.Deployment())
		var calls [3][]chain.Call
		for i := range calls {
			w.reset()
			if _, err := system.LookupCuts(t.Context(), "x.base.eth.", dns.TypeA); err != nil {
				t.Fatal(err)
			}
			calls[i] = w.reset()
			if _, err := system.LookupCuts(t.Context(), "*.base.eth.", dns.TypeA); err != nil {
				t.Fatal(err)
			}
		}
		if reflect.DeepEqual(calls[0], calls[1]) || !reflect.DeepEqual(calls[1], calls[2]) {
			t.Errorf("%s: %d, %d and %d messages", how, len(calls[0][0].Msgs), len(calls[1][0].Msgs), len(calls[2][0].Msgs))
		}
	}
}
