package resolver_test

import (
	"testing"

	"github.com/miekg/dns"

	"dens/resolver"
)

// TestWeakestOrigin: of an alias chain from one on-chain name to the next, the origin shown is that of the
// link that deserves the least trust, the first of them.
func TestWeakestOrigin(t *testing.T) {
	by := func(name, trust string, gateways ...string) *resolver.Origin {
		return &resolver.Origin{Name: name, Trust: trust, Gateways: gateways}
	}
	signed := by("b.eth.", "proven", "g")
	signed.Signature = true
	for _, tt := range []struct {
		first, second *resolver.Origin
		want          string
	}{
		{by("a.eth.", "proven"), by("b.eth.", "proven"), "a.eth."},
		{by("a.eth.", "proven"), by("b.eth.", "quorum"), "b.eth."},
		{by("a.eth.", "quorum"), by("b.eth.", "single"), "b.eth."},
		{by("a.eth.", "single"), by("b.eth.", "unknown"), "b.eth."},
		{by("a.eth.", "single"), by("b.eth.", "proven", "g"), "a.eth."},
		{by("a.eth.", "proven"), by("b.eth.", "proven", "g"), "b.eth."},
		{by("a.eth.", "proven", "g"), by("b.eth.", "proven"), "a.eth."},
		{by("a.eth.", "proven", "g"), signed, "b.eth."},
		{by("a.eth.", "proven"), nil, "a.eth."},
		{nil, by("b.eth.", "proven"), "b.eth."},
	} {
		one, two := answer("a.eth. 60 IN CNAME b.eth."), answer("b.eth. 60 IN A 192.0.2.1")
		one.Target, one.Origin, two.Origin = "b.eth.", tt.first, tt.second
		a, _, err := world{eth: m{"a.eth.": one, "b.eth.": two}}.resolve(t, ask("a.eth.", dns.TypeA))
		if err != nil || a.Origin == nil || a.Origin.Name != tt.want {
			t.Errorf("%+v and %+v: got %+v, %v", tt.first, tt.second, a.Origin, err)
		}
	}
}
