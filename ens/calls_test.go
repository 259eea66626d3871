package ens

import (
	"testing"

	"github.com/miekg/dns"
)

// TestOneCall counts what a cold look-up costs in real contracts, for each type and each kind of name: one
// Call where there is a UniversalResolver, one more for each round of CCIP-Read, and two without one. Each
// costs a provider's round trips, so that more has to have a reason.
func TestOneCall(t *testing.T) {
	demoChain := realChain(t)
	node := &evmCaller{client: demoChain.Client()}
	caller := followed(t, node)
	u, d := deployments(demoChain)
	types := []uint16{dns.TypeA, dns.TypeTXT, dns.TypeDS, 65300}
	for _, tt := range []struct {
		name                string
		universal, registry int32
	}{
		{"eth.", 1, 1},
		{"alice.eth.", 1, 2},                // EIP-1185
		{"www.alice.eth.", 1, 2},            // below it, in its zone
		{"www.old.alice.eth.", 1, 2},        // below a DNAME
		{"bob.eth.", 1, 2},                  // a content hash
		{"_dnslink.bob.eth.", 1, 2},         //
		{"carol.eth.", 1, 2},                // text records
		{"dave.eth.", 1, 2},                 // a delegation, DS and all
		{"www.cut.alice.eth.", 1, 2},        // a delegation within a zone
		{"x.e.d.c.b.a.alice.eth.", 2, 4},    // one so deep that its DS are asked for apart
		{"hello.wild.eth.", 1, 2},           // a wildcard resolver (ENSIP-10)
		{"bare.eth.", 1, 1},                 // registered, without a resolver
		{"nobody.eth.", 1, 1},               //
		{"1.2.3.4.5.6.7.nobody.eth.", 1, 1}, // as deep as is looked
		{"1.2.3.4.5.6.7.alice.eth.", 1, 2},
		{"offchain.eth.", 2, 3},      // and the callback
		{"anna.offchain.eth.", 2, 3}, //
	} {
		for i, kind := range types {
			for _, way := range []struct {
				Deployment
				want int32
			}{{u, tt.universal}, {d, tt.registry}} {
				if way.Deployment == d && i > 0 {
					continue // one type tells
				}
				node.calls.Store(0)
				if _, err := New(caller, way.Deployment).LookupCuts(t.Context(), tt.name, kind); err != nil {
					t.Errorf("%s %s: %v", tt.name, typeName(kind), err)
				}
				if n := node.calls.Load(); n != way.want {
					t.Errorf("%s %s: %d calls, want %d (universal %v)", tt.name, typeName(kind), n, way.want, way.Deployment == u)
				}
			}
		}
	}
}
