package special

import (
	"context"
	"testing"

	"github.com/miekg/dns"

	"dens/resolver"
)

func TestResolve(t *testing.T) {
	v6 := "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa."
	tests := []struct {
		name   string
		rrtype uint16
		rcode  int
		data   string // of the first answer
		apex   string // of the SOA in a negative answer
	}{
		{"localhost.", dns.TypeA, 0, "127.0.0.1", ""},
		{"localhost.", dns.TypeAAAA, 0, "::1", ""},
		{"db.localhost.", dns.TypeA, 0, "127.0.0.1", ""},
		{"localhost.", dns.TypeMX, 0, "", "localhost."},
		{"localhost.", dns.TypeNS, 0, "localhost.", ""},
		{"invalid.", dns.TypeA, 0, "", "invalid."},
		{"x.invalid.", dns.TypeA, dns.RcodeNameError, "", "invalid."},
		{"x.test.", dns.TypeA, dns.RcodeNameError, "", "test."},
		{"printer.local.", dns.TypeA, dns.RcodeNameError, "", "local."},
		{"facebookcorewwwi.onion.", dns.TypeA, dns.RcodeNameError, "", "onion."},
		{"ns.dens.alt.", dns.TypeA, dns.RcodeNameError, "", "alt."},
		{"nas.home.arpa.", dns.TypeA, dns.RcodeNameError, "", "home.arpa."},
		{"_dns.resolver.arpa.", dns.TypeSVCB, dns.RcodeNameError, "", "resolver.arpa."},
		{"x.internal.", dns.TypeA, dns.RcodeNameError, "", "internal."},
		{"1.0.0.127.in-addr.arpa.", dns.TypePTR, 0, "localhost.", ""},
		{"0.0.127.in-addr.arpa.", dns.TypePTR, 0, "", "127.in-addr.arpa."},
		{"2.0.0.127.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError, "", "127.in-addr.arpa."},
		{v6, dns.TypePTR, 0, "localhost.", ""},
		{"0" + v6[1:], dns.TypePTR, 0, "", "0" + v6[1:]},
		{"4.3.2.10.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError, "", "10.in-addr.arpa."},
		{"1.0.16.172.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError, "", "16.172.in-addr.arpa."},
		{"1.0.31.172.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError, "", "31.172.in-addr.arpa."},
		{"1.1.168.192.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError, "", "168.192.in-addr.arpa."},
		{"1.1.254.169.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError, "", "254.169.in-addr.arpa."},
		{"1.2.0.192.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError, "", "2.0.192.in-addr.arpa."},
		{"1.100.51.198.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError, "", "100.51.198.in-addr.arpa."},
		{"1.113.0.203.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError, "", "113.0.203.in-addr.arpa."},
		{"255.255.255.255.in-addr.arpa.", dns.TypePTR, 0, "", "255.255.255.255.in-addr.arpa."},
		{"1.0.64.100.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError, "", "64.100.in-addr.arpa."},
		{"1.d.f.ip6.arpa.", dns.TypePTR, dns.RcodeNameError, "", "d.f.ip6.arpa."},
		{"1.b.e.f.ip6.arpa.", dns.TypePTR, dns.RcodeNameError, "", "b.e.f.ip6.arpa."},
		{"1.8.b.d.0.1.0.0.2.ip6.arpa.", dns.TypePTR, dns.RcodeNameError, "", "8.b.d.0.1.0.0.2.ip6.arpa."},
	}
	r := New()
	for _, tt := range tests {
		a, err := r.Resolve(context.Background(), resolver.Query{Name: tt.name, Type: tt.rrtype, Class: dns.ClassINET})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		data := ""
		if len(a.Answer) > 0 {
			data = a.Answer[0].String()[len(a.Answer[0].Header().String()):]
		}
		apex := ""
		if len(a.Ns) > 0 {
			apex = a.Ns[0].Header().Name
		}
		if a.Rcode != tt.rcode || data != tt.data || apex != tt.apex || !a.Authoritative {
			t.Errorf("%s %s: rcode %d, data %q, SOA of %q; want %d, %q, %q", tt.name, dns.Type(tt.rrtype), a.Rcode, data, apex, tt.rcode, tt.data, tt.apex)
		}
	}
}

// TestNotOurs has names beside the zones refused, so that a wrong route shows.
func TestNotOurs(t *testing.T) {
	for _, name := range []string{"eth.", ".", "example.org.", "32.172.in-addr.arpa.", "128.100.in-addr.arpa.", "notlocalhost.", "c.e.f.ip6.arpa."} {
		if a, err := New().Resolve(context.Background(), resolver.Query{Name: name, Type: dns.TypeA, Class: dns.ClassINET}); err == nil {
			t.Errorf("%s: %v, want an error", name, a)
		}
	}
}

// TestZonesPack wants every zone to be a name that can be sent.
func TestZonesPack(t *testing.T) {
	if n := len(Zones()); n != 14+8+16+64+4 {
		t.Errorf("%d zones", n)
	}
	for _, zone := range Zones() {
		m := new(dns.Msg)
		m.Ns = []dns.RR{soa(zone)}
		if _, err := m.Pack(); err != nil {
			t.Errorf("%s: %v", zone, err)
		}
	}
}
