package recursive_test

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
	"dens/resolver/recursive"
)

// TestOwnAnchor: a zone that only its own servers know, with an anchor of its own, says nothing about the
// root, and priming says nothing about the zone.
func TestOwnAnchor(t *testing.T) {
	in := small(t)
	corp := in.add("corp.", "127.9.4.4", true, "@ NS ns\nns A 127.9.4.4\nwww A 192.0.2.40\n")
	at := netip.AddrPortFrom(netip.MustParseAddr("127.9.4.4"), in.port)
	trust := func(z *zone) dnssec.Trust { return dnssec.Trust{DS: []*dns.DS{dnssec.NewDS(z.signer.Key, dns.SHA256)}} }
	anchors := new(dnssec.Anchors).With(".", trust(in.zones["."])).With("corp.", trust(corp))
	r := in.resolver(func(c *recursive.Config) { c.Anchors = func() *dnssec.Anchors { return anchors } })
	for range 2 {
		if h := r.Check(t.Context()); !h.Primed || h.Problem != "" || h.Trust.Status != dnssec.Secure {
			t.Fatalf("%+v", h)
		}
		a, err := r.ResolveAt(t.Context(), &resolver.Delegation{Zone: "corp.", Servers: []netip.AddrPort{at}, Trust: resolver.ByOwnAnchors},
			resolver.Query{Name: "www.corp.", Type: dns.TypeA, Class: dns.ClassINET})
		if err != nil || !a.AuthenticatedData || data(a) != "192.0.2.40" {
			t.Fatalf("%+v, %v", a, err)
		}
	}
}
