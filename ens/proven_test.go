package ens

import (
	"context"
	"reflect"
	"testing"
	"time"

	"dens/chain"
	"dens/chain/pool"
	"dens/chain/verify"
	"dens/internal/demo"
	"dens/names"

	"github.com/miekg/dns"
)

// headAnchor vouches for a demo chain's newest block.
type headAnchor struct{ *demo.Chain }

func (a headAnchor) Anchor(context.Context) (chain.Anchor, error) {
	h := a.Head()
	head := chain.Head{Number: h.Number.Uint64(), Hash: h.Hash(), Time: time.Unix(int64(h.Time), 0)}
	return chain.Anchor{Head: head, Source: chain.AnchorTrusted, Vouchers: []string{"test"}}, nil
}

// prover returns a Caller that proves what a demo chain holds.
func prover(t *testing.T, c *demo.Chain) chain.Caller {
	p, err := pool.New(pool.Config{Endpoints: []pool.EndpointConfig{{Name: "one", Operator: "one", URL: c.HTTPURL(), ChainID: c.ChainID()}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	v, err := verify.New(verify.Config{ChainID: c.ChainID(), Provider: p, Anchors: headAnchor{c}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return followed(t, v)
}

// TestProven looks names up over proven state: they hold what the node itself says, the evidence is complete,
// and a look-up costs two trips when it is cold, one at a new block and none within a block.
func TestProven(t *testing.T) {
	demoChain := realChain(t)
	d, _ := deployments(demoChain)
	believing, proving := followed(t, &evmCaller{client: demoChain.Client()}), prover(t, demoChain)
	look := func(caller chain.Caller, name string, kind uint16) names.Records {
		t.Helper()
		r, err := New(caller, d).LookupCuts(t.Context(), name, kind)
		if err != nil {
			t.Fatalf("%s %s: %v", name, typeName(kind), err)
		}
		return r
	}
	for _, tt := range []struct {
		name     string
		kind     uint16
		gateways int
	}{
		{"alice.eth.", dns.TypeA, 0}, {"anything.alice.eth.", dns.TypeA, 0}, {"www.old.alice.eth.", dns.TypeA, 0}, {"bob.eth.", dns.TypeTXT, 0},
		{"_dnslink.bob.eth.", dns.TypeTXT, 0}, {"carol.eth.", dns.TypeMX, 0}, {"wallet.eth.", typeWallet, 0}, {"www.dave.eth.", dns.TypeA, 0},
		{"hello.wild.eth.", dns.TypeTXT, 0}, {"bare.eth.", dns.TypeA, 0}, {"nobody.eth.", dns.TypeA, 0}, {"anna.offchain.eth.", dns.TypeTXT, 1},
	} {
		var trips []int
		for range 3 {
			r := look(proving, tt.name, tt.kind)
			src := r.Source
			if p := src.Proof; src.Trust != chain.Proven || p == nil || p.Anchor.Head != src.Head || len(p.Accounts) < 2 || len(src.Gateways) != tt.gateways || src.Signature != (tt.gateways > 0) {
				t.Fatalf("%s: source is %+v with %+v", tt.name, src, p)
			}
			trips = append(trips, src.Proof.Trips)
			held := look(believing, tt.name, tt.kind)
			if held.Source, r.Source = (names.Source{}), (names.Source{}); !reflect.DeepEqual(held, r) {
				t.Errorf("%s: proven is %+v, the node says %+v", tt.name, r, held)
			}
			if len(trips) == 1 {
				if _, err := demoChain.Mine(); err != nil {
					t.Fatal(err)
				}
			}
		}
		t.Logf("%-20s %v trips", tt.name, trips)
		// A callback's data is new each time; here, what the chain alone says.
		if want := []int{2, 1, 0}; tt.gateways == 0 && !reflect.DeepEqual(trips, want) {
			t.Errorf("%s: %v trips, want %v", tt.name, trips, want)
		}
	}
}
