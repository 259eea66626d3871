package special_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dens/resolver"
	"dens/resolver/special"
)

func ask(t *testing.T, name, rrtype string) (*resolver.Answer, error) {
	t.Helper()
	return special.New().Resolve(t.Context(), resolver.Query{Name: name, Type: dns.StringToType[rrtype], Class: dns.ClassINET})
}

func data(rrs []dns.RR) string {
	var out []string
	for _, rr := range rrs {
		out = append(out, strings.Join(strings.Fields(rr.String()), " "))
	}
	return strings.Join(out, "; ")
}

func reverse(t *testing.T, addr string) string {
	t.Helper()
	name, err := dns.ReverseAddr(addr)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestNames(t *testing.T) {
	tests := []struct {
		name, rrtype, rcode, want string
		zone                      string // owner of the SOA of a negative answer
	}{
		{"localhost.", "A", "NOERROR", "localhost. 3600 IN A 127.0.0.1", ""},
		{"localhost.", "AAAA", "NOERROR", "localhost. 3600 IN AAAA ::1", ""},
		{"a.b.localhost.", "A", "NOERROR", "a.b.localhost. 3600 IN A 127.0.0.1", ""},
		{"a.localhost.", "AAAA", "NOERROR", "a.localhost. 3600 IN AAAA ::1", ""},
		{"a.localhost.", "MX", "NOERROR", "", "localhost."},
		{"a.localhost.", "SOA", "NOERROR", "", "localhost."},
		{"localhost.", "TXT", "NOERROR", "", "localhost."},
		{"localhost.", "ANY", "NOERROR", "localhost. 3600 IN A 127.0.0.1", ""},
		{"localhost.", "SOA", "NOERROR", "localhost. 10800 IN SOA localhost. nobody.invalid. 1 3600 1200 604800 10800", ""},
		{"1.0.0.127.in-addr.arpa.", "PTR", "NOERROR", "1.0.0.127.in-addr.arpa. 3600 IN PTR localhost.", ""},
		{"1.0.0.127.in-addr.arpa.", "A", "NOERROR", "", "127.in-addr.arpa."},
		{"0.0.127.in-addr.arpa.", "PTR", "NOERROR", "", "127.in-addr.arpa."},
		{"0.127.in-addr.arpa.", "PTR", "NOERROR", "", "127.in-addr.arpa."},
		{"2.0.0.127.in-addr.arpa.", "PTR", "NXDOMAIN", "", "127.in-addr.arpa."},
		{"invalid.", "A", "NOERROR", "", "invalid."},
		{"a.invalid.", "A", "NXDOMAIN", "", "invalid."},
		{"a.test.", "A", "NXDOMAIN", "", "test."},
		{"printer.local.", "AAAA", "NXDOMAIN", "", "local."},
		{"facebookwkhpilnemxj7asaniu7vnjjbiltxjqhye3mhbshg7kx5tfyd.onion.", "A", "NXDOMAIN", "", "onion."},
		{"a.alt.", "HTTPS", "NXDOMAIN", "", "alt."},
		{"router.home.arpa.", "A", "NXDOMAIN", "", "home.arpa."},
		{"home.arpa.", "NS", "NOERROR", "home.arpa. 10800 IN NS home.arpa.", ""},
		{"home.arpa.", "ANY", "NOERROR", "home.arpa. 10800 IN SOA home.arpa. nobody.invalid. 1 3600 1200 604800 10800", ""},
		{"db.internal.", "A", "NXDOMAIN", "", "internal."},
		{"_dns.resolver.arpa.", "SVCB", "NOERROR", "", "resolver.arpa."},
		{"resolver.arpa.", "SVCB", "NOERROR", "", "resolver.arpa."},
		{reverse(t, "::1"), "PTR", "NOERROR", reverse(t, "::1") + " 3600 IN PTR localhost.", ""},
		{reverse(t, "::1"), "NS", "NOERROR", reverse(t, "::1") + " 10800 IN NS " + reverse(t, "::1"), ""},
		{reverse(t, "::"), "PTR", "NOERROR", "", reverse(t, "::")},
	}
	for _, tt := range tests {
		a, err := ask(t, tt.name, tt.rrtype)
		if err != nil {
			t.Errorf("%s %s: %v", tt.name, tt.rrtype, err)
			continue
		}
		if got := dns.RcodeToString[a.Rcode]; got != tt.rcode || data(a.Answer) != tt.want {
			t.Errorf("%s %s: %s %q, want %s %q", tt.name, tt.rrtype, got, data(a.Answer), tt.rcode, tt.want)
		}
		soa := ""
		if tt.zone != "" {
			soa = tt.zone + " 10800 IN SOA " + tt.zone + " nobody.invalid. 1 3600 1200 604800 10800"
		}
		if data(a.Ns) != soa {
			t.Errorf("%s %s: authority %q, want %q", tt.name, tt.rrtype, data(a.Ns), soa)
		}
		if !a.Authoritative || a.AuthenticatedData || a.Zone != special.Kind || a.Target != "" {
			t.Errorf("%s %s: %+v", tt.name, tt.rrtype, a)
		}
	}
}

// Every range of RFC 6303 sections 4.1 to 4.6, RFC 7793, and RFC 6762 section 4, at both of its ends;
// and the addresses next to them, which are somebody's.
func TestReverseZones(t *testing.T) {
	tests := []struct{ inside, outside []string }{
		{[]string{"10.0.0.0", "10.255.255.255"}, []string{"9.255.255.255", "11.0.0.0"}},
		{[]string{"172.16.0.0", "172.31.255.255"}, []string{"172.15.255.255", "172.32.0.0"}},
		{[]string{"192.168.0.0", "192.168.255.255"}, []string{"192.167.255.255", "192.169.0.0"}},
		{[]string{"0.0.0.0", "0.255.255.255"}, []string{"1.0.0.0"}},
		{[]string{"127.0.0.0", "127.255.255.255"}, []string{"126.255.255.255", "128.0.0.0"}},
		{[]string{"169.254.0.0", "169.254.255.255"}, []string{"169.253.255.255", "169.255.0.0"}},
		{[]string{"192.0.2.0", "192.0.2.255"}, []string{"192.0.1.255", "192.0.3.0"}},
		{[]string{"198.51.100.0", "198.51.100.255"}, []string{"198.51.99.255", "198.51.101.0"}},
		{[]string{"203.0.113.0", "203.0.113.255"}, []string{"203.0.112.255", "203.0.114.0"}},
		{[]string{"255.255.255.255"}, []string{"255.255.255.254"}},
		{[]string{"100.64.0.0", "100.127.255.255"}, []string{"100.63.255.255", "100.128.0.0"}},
		{[]string{"::", "::1"}, []string{"::2", "::1:0"}},
		{[]string{"fd00::", "fdff:ffff::1"}, []string{"fc00::", "fe00::"}},
		{[]string{"fe80::", "febf:ffff::1"}, []string{"fe7f::", "fec0::"}},
		{[]string{"2001:db8::", "2001:db8:ffff::1"}, []string{"2001:db7::", "2001:db9::"}},
	}
	for _, tt := range tests {
		for _, addr := range tt.inside {
			a, err := ask(t, reverse(t, addr), "PTR")
			if err != nil {
				t.Errorf("%s: %v", addr, err)
				continue
			}
			if len(a.Ns) != 1 && addr != "::1" {
				t.Errorf("%s: %+v", addr, a)
			}
		}
		for _, addr := range tt.outside {
			_, err := ask(t, reverse(t, addr), "PTR")
			var e *resolver.Error
			if !errors.As(err, &e) || e.Rcode != dns.RcodeRefused {
				t.Errorf("%s: error %v, want REFUSED", addr, err)
			}
		}
	}
}

func TestOthersAreRefused(t *testing.T) {
	for _, name := range []string{".", "arpa.", "in-addr.arpa.", "eth.", "example.org.", "xlocalhost.", "localhost.example.", `a\.localhost.`} {
		if _, err := ask(t, name, "A"); err == nil {
			t.Errorf("%s was answered", name)
		}
	}
}

func TestZonesGoIntoARouter(t *testing.T) {
	r := special.New()
	var routes []resolver.Route
	for _, z := range special.Zones() {
		routes = append(routes, resolver.Route{Zone: z, Resolver: r})
		a, err := r.Resolve(t.Context(), resolver.Query{Name: z, Type: dns.TypeSOA, Class: dns.ClassINET})
		if err != nil || len(a.Answer) != 1 || a.Answer[0].Header().Name != z {
			t.Errorf("%s SOA: %v %v", z, a, err)
		}
	}
	router, err := resolver.NewRouter(routes)
	if err != nil {
		t.Fatal(err)
	}
	a, err := router.Resolve(t.Context(), resolver.Query{Name: "www.localhost.", Type: dns.TypeA, Class: dns.ClassINET})
	if err != nil || len(a.Answer) != 1 {
		t.Errorf("%v %v", a, err)
	}
	if _, err := router.Resolve(t.Context(), resolver.Query{Name: "eth.", Type: dns.TypeA, Class: dns.ClassINET}); err == nil {
		t.Error("eth was answered")
	}
}
