package ens

import (
	"errors"
	"reflect"
	"testing"

	"dens/chain"
	"dens/chain/ccip"

	"github.com/miekg/dns"
)

// TestEVMCuts looks for zone cuts in real contracts, both ways: they cost no more calls than the names that
// have none, and are the same both ways.
func TestEVMCuts(t *testing.T) {
	demoChain := realChain(t)
	node := &evmCaller{client: demoChain.Client()}
	caller := followed(t, node)
	u, d := deployments(demoChain)
	universal, direct := New(caller, u), New(caller, d)

	texts := `carol.eth. NS=["ns.example.org"] DS=["1 13 2 00"]`
	for _, tt := range []struct {
		name  string
		kind  uint16
		want  string
		calls int32 // of the UniversalResolver
	}{
		{"dave.eth.", dns.TypeA, "dave.eth. NS:2 DS:1", 1},
		{"dave.eth.", dns.TypeDS, "dave.eth. NS:2 DS:1", 1},
		{"www.dave.eth.", dns.TypeNS, "dave.eth. NS:2 DS:1", 1},
		{"cut.alice.eth.", dns.TypeA, "cut.alice.eth. NS:1 DS:1", 1},
		{"x.cut.alice.eth.", dns.TypeDS, "cut.alice.eth. NS:1 DS:1", 1},
		{"c.b.a.cut.alice.eth.", dns.TypeA, "cut.alice.eth. NS:1 DS:1", 2},
		{"f.e.d.c.b.a.alice.eth.", typeWallet, "e.d.c.b.a.alice.eth. NS:1 DS:1", 2},
		{"alice.eth.", dns.TypeNS, "", 1},
		{"www.alice.eth.", dns.TypeA, "", 1},
		{"1.2.3.4.5.6.7.alice.eth.", dns.TypeTXT, "", 1},
		{"carol.eth.", dns.TypeA, texts, 1},
		{"www.carol.eth.", dns.TypeA, texts, 1},
		{"bob.eth.", dns.TypeA, "", 1},
		{"nobody.eth.", dns.TypeA, "", 1},
		{"eth.", dns.TypeNS, "", 1},
		{"offchain.eth.", dns.TypeA, "", 2},
		{"anna.offchain.eth.", dns.TypeA, "", 2},
		{"a.b.anna.offchain.eth.", dns.TypeMX, "", 2},
		{"1.2.3.4.5.6.7.offchain.eth.", typeWallet, "", 2}, // within the bounds of a Call's gateways
		{"hello.wild.eth.", dns.TypeMX, "", 1},
		{"a.hello.wild.eth.", dns.TypeMX, "", 1},
	} {
		node.calls.Store(0)
		u, err := universal.LookupCuts(t.Context(), tt.name, tt.kind)
		if err != nil || describeCuts(u) != tt.want {
			t.Errorf("%s %s: got  %s, %v\nwant %s", tt.name, typeName(tt.kind), describeCuts(u), err, tt.want)
		}
		if n := node.calls.Load(); n != tt.calls {
			t.Errorf("%s %s: %d calls, want %d", tt.name, typeName(tt.kind), n, tt.calls)
		}
		if r, err := direct.LookupCuts(t.Context(), tt.name, tt.kind); err != nil || !reflect.DeepEqual(r, u) {
			t.Errorf("%s %s: registry says %+v, %v\nthe UniversalResolver %+v", tt.name, typeName(tt.kind), r, err, u)
		}
	}
	lost := New(ccip.New(node, ccip.Config{}), universal.Deployment())
	if r, err := lost.LookupCuts(t.Context(), "a.anna.offchain.eth.", dns.TypeA); !errors.Is(err, chain.ErrGateway) {
		t.Errorf("without a gateway: got %s, %v", describeCuts(r), err)
	}
}
