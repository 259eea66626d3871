package discovery_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dens/resolver"
	"dens/resolver/discovery"
	"dens/resolver/special"
)

func text(rrs []dns.RR) string {
	var lines []string
	for _, rr := range rrs {
		lines = append(lines, strings.Join(strings.Fields(rr.String()), " "))
	}
	return strings.Join(lines, "\n")
}

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func at(list ...string) (out []netip.AddrPort) {
	for _, s := range list {
		out = append(out, netip.MustParseAddrPort(s))
	}
	return out
}

func TestAnswers(t *testing.T) {
	offer := discovery.Offer{Name: "dns.example.", Names: []string{"dns.example.", "other.example."}, Endpoints: []discovery.Endpoint{
		{ALPN: []string{"h2", "h3"}, Port: 443, Path: "/dns-query", Addrs: addrs("192.0.2.1", "2001:db8::1")},
		{ALPN: []string{"dot", "doq"}, Port: 853, Addrs: addrs("192.0.2.1", "192.0.2.2")},
	}}
	r := discovery.New(discovery.Config{Offer: func() discovery.Offer { return offer }, Rest: special.New()})
	ask := func(name string, rrtype uint16) (*resolver.Answer, error) {
		return r.Resolve(t.Context(), resolver.Query{Name: name, Type: rrtype, Class: dns.ClassINET})
	}
	for _, name := range []string{"_dns.resolver.arpa.", "_dns.dns.example.", "_dns.other.example."} {
		for _, rrtype := range []uint16{dns.TypeSVCB, dns.TypeANY} {
			a, err := ask(name, rrtype)
			if err != nil {
				t.Fatal(err)
			}
			want := name + ` 300 IN SVCB 1 dns.example. alpn="h2,h3" port="443" ipv4hint="192.0.2.1" ipv6hint="2001:db8::1" dohpath="/dns-query{?dns}"` + "\n" +
				name + ` 300 IN SVCB 2 dns.example. alpn="dot,doq" port="853" ipv4hint="192.0.2.1,192.0.2.2"`
			if got := text(a.Answer); got != want || !a.Authoritative || a.Rcode != 0 || a.AuthenticatedData {
				t.Errorf("%s:\n%s, want\n%s", name, got, want)
			}
			want = "dns.example. 300 IN A 192.0.2.1\ndns.example. 300 IN AAAA 2001:db8::1\ndns.example. 300 IN A 192.0.2.2"
			if got := text(a.Extra); got != want {
				t.Errorf("%s: additional\n%s, want\n%s", name, got, want)
			}
			// What is said can be packed, and is the same when unpacked.
			m := &dns.Msg{Answer: a.Answer, Extra: a.Extra}
			packed, err := m.Pack()
			var back dns.Msg
			if err == nil {
				err = back.Unpack(packed)
			}
			if err != nil || text(back.Answer) != text(a.Answer) {
				t.Errorf("%v\n%s", err, text(back.Answer))
			}
		}
	}
	// All else is NODATA, and stays here.
	for _, tt := range []struct {
		name   string
		rrtype uint16
	}{{"_dns.resolver.arpa.", dns.TypeA}, {"_dns.resolver.arpa.", dns.TypeTXT}, {"resolver.arpa.", dns.TypeSVCB}, {"a._dns.resolver.arpa.", dns.TypeSVCB}, {"b.resolver.arpa.", dns.TypeA}} {
		a, err := ask(tt.name, tt.rrtype)
		if err != nil || a.Rcode != 0 || len(a.Answer) != 0 || len(a.Ns) != 1 {
			t.Errorf("%s: %+v %v", tt.name, a, err)
		}
	}
	// What is not ours goes on to who answers it, who refuses it here.
	for name, rrtype := range map[string]uint16{"_dns.dns.example.": dns.TypeTXT, "_dns.third.example.": dns.TypeSVCB, "a._dns.dns.example.": dns.TypeSVCB, "dns.example.": dns.TypeSVCB} {
		if _, err := ask(name, rrtype); err == nil {
			t.Errorf("%s did not go on", name)
		}
	}
	// Without a name, or without a listener: NODATA.
	whole := offer
	for _, none := range []discovery.Offer{{Endpoints: whole.Endpoints}, {Name: "dns.example."}, {Pending: true}} {
		offer = none
		a, err := ask("_dns.resolver.arpa.", dns.TypeSVCB)
		if err != nil || a.Rcode != 0 || len(a.Answer) != 0 || len(a.Ns) != 1 || a.Uncacheable != none.Pending {
			t.Errorf("%+v: %+v %v", none, a, err)
		}
	}
}

func TestEndpoints(t *testing.T) {
	here := addrs("192.0.2.1", "2001:db8::1", "::ffff:192.0.2.2")
	for name, tt := range map[string]struct {
		l    discovery.Listeners
		want []string
	}{
		"nothing": {discovery.Listeners{}, nil},
		"all of all": {discovery.Listeners{DoH: at("0.0.0.0:443", "[::]:443"), DoT: at("[::]:853"), DoQ: at("0.0.0.0:853", "[::]:853"), Path: "/q"}, []string{
			"h2,h3 443 /q 192.0.2.1 192.0.2.2 2001:db8::1", "dot,doq 853  192.0.2.1 192.0.2.2 2001:db8::1"}},
		"one family": {discovery.Listeners{DoT: at("0.0.0.0:853"), DoQ: at("127.0.0.1:853")}, []string{
			"dot 853  192.0.2.1 192.0.2.2", "doq 853  127.0.0.1"}},
		"ports": {discovery.Listeners{DoH: at("192.0.2.1:443", "192.0.2.1:8443", "192.0.2.9:443"), DoQ: at("192.0.2.1:784"), Path: "/q"}, []string{
			"h2,h3 443 /q 192.0.2.1 192.0.2.9", "h2,h3 8443 /q 192.0.2.1", "doq 784  192.0.2.1"}},
		"a port that is not known": {discovery.Listeners{DoT: at("127.0.0.1:0")}, nil},
		"an address of one link":   {discovery.Listeners{DoT: at("[fe80::1%eth0]:853", "[2001:db8::2]:853")}, []string{"dot 853  2001:db8::2"}},
	} {
		var got []string
		for _, e := range tt.l.Endpoints(here) {
			line := fmt.Sprintf("%s %d %s", strings.Join(e.ALPN, ","), e.Port, e.Path)
			for _, a := range e.Addrs {
				line += " " + a.String()
			}
			got = append(got, line)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	var many discovery.Listeners
	for port := range uint16(100) {
		for host := range byte(20) {
			many.DoT = append(many.DoT, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, host}), 1000+port))
		}
	}
	if got := many.Endpoints(nil); len(got) > 8 || len(got[0].Addrs) > 8 {
		t.Errorf("%d endpoints of %d addresses", len(got), len(got[0].Addrs))
	}
}
