package recursive

import (
	"context"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"dens/resolver"
)

type nobody struct{}

func (nobody) Exchange(context.Context, netip.AddrPort, []byte, []byte) ([]byte, error) {
	return nil, context.DeadlineExceeded
}

// message makes a reply of sections in presentation form.
func message(t testing.TB, rcode int, sections ...[]string) *dns.Msg {
	m := new(dns.Msg).SetQuestion("www.example.org.", dns.TypeA)
	m.Response, m.Authoritative, m.Rcode = true, true, rcode
	for i, to := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} {
		if i >= len(sections) {
			break
		}
		for _, line := range sections[i] {
			rr, err := dns.NewRR(line)
			if err != nil {
				t.Fatal(err)
			}
			*to = append(*to, rr)
		}
	}
	return m
}

func TestRead(t *testing.T) {
	soa := "example.org. 3600 IN SOA ns hostmaster 1 2 3 4 300"
	tests := []struct {
		name     string
		msg      *dns.Msg
		want     string // describe's word, a referral, or ""
		negative bool
	}{
		{"answer", message(t, 0, []string{"www.example.org. 60 IN A 192.0.2.1"}), "answer", false},
		{"answer in other case", message(t, 0, []string{"WWW.Example.Org. 60 IN A 192.0.2.1"}), "answer", false},
		{"no name", message(t, 3, nil, []string{soa}), "no such name", true},
		{"no data", message(t, 0, nil, []string{soa}), "no such record", true},
		{"no data without SOA", message(t, 0), "no such record", true},
		{"alias inside", message(t, 0, []string{"www.example.org. 60 IN CNAME b.example.org."}), "alias of b.example.org.", false},
		{"alias outside", message(t, 0, []string{"www.example.org. 60 IN CNAME b.", "b. 60 IN A 6.6.6.6"}), "alias of b.", false},
		{"alias outside, denied", message(t, 3, []string{"www.example.org. 60 IN CNAME b."}, []string{". 60 IN SOA a. b. 1 2 3 4 5"}), "alias of b.", false},
		{"alias inside, denied", message(t, 3, []string{"www.example.org. 60 IN CNAME b.example.org."}, []string{soa}), "no such name", true},
		{"referral", message(t, 0, nil, []string{"www.example.org. 60 IN NS ns.www.example.org."}), "referral to www.example.org.", false},
		{"referral for another name", message(t, 0, nil, []string{"x.example.org. 60 IN NS ns."}), "no such record", true},
		{"denial of another zone", message(t, 0, nil, []string{"org. 60 IN SOA a. b. 1 2 3 4 5"}), "no such record", true},
		{"garbage", message(t, 0, []string{"x.example.org. 60 IN A 192.0.2.1"}, []string{soa}), "no such record", true},
		{"DNAME", message(t, 0, []string{"example.org. 60 IN DNAME b."}), "alias of www.b.", false},
	}
	for _, tt := range tests {
		in, err := read(tt.msg, "example.org.", "www.example.org.", dns.TypeA)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := "referral to " + in.child
		if in.child == "" {
			got = describe(testResolver(t).newResponse(tt.msg, in, "example.org.", "www.example.org.", dns.TypeA, netip.AddrPort{}))
		}
		if got != tt.want || in.negative != tt.negative {
			t.Errorf("%s: %s, negative %v", tt.name, got, in.negative)
		}
	}
	for name, m := range map[string]*dns.Msg{
		"upward":    message(t, 0, nil, []string{". 60 IN NS ns."}),
		"sideways":  message(t, 0, nil, []string{"example.org. 60 IN NS ns."}),
		"no answer": message(t, 0),
	} {
		m.Authoritative = false
		if in, err := read(m, "example.org.", "www.example.org.", dns.TypeA); err == nil {
			t.Errorf("%s: %+v", name, in)
		}
	}
	for name, m := range map[string]*dns.Msg{
		"hearsay": message(t, 0, []string{"www.example.org. 60 IN A 192.0.2.1"}),
		"denial":  message(t, 3, nil, []string{soa}),
		"no data": message(t, 0, nil, []string{soa}),
		"empty":   message(t, 0),
	} {
		m.Authoritative = name == "empty"
		if in, err := read(m, "example.org.", "www.example.org.", dns.TypeA); err != nil || in.doubt == nil {
			t.Errorf("%s: %+v, %v", name, in, err)
		}
	}
}

func testResolver(t testing.TB) *Resolver {
	r, err := New(Config{UDP: nobody{}, TCP: nobody{}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// FuzzRead holds for any reply: what is believed is about the zone that was asked, a referral leads down
// and towards the name, and nothing lives longer than it may.
func FuzzRead(f *testing.F) {
	for _, m := range []*dns.Msg{
		message(f, 0, []string{"www.example.org. 60 IN CNAME b.example.org.", "b.example.org. 60 IN A 192.0.2.1"}),
		message(f, 0, nil, []string{"www.example.org. 60 IN NS ns.example.org.", "www.example.org. 60 IN DS 1 8 2 00"}, []string{"ns.example.org. 60 IN A 192.0.2.1"}),
		message(f, 3, nil, []string{"example.org. 60 IN SOA a. b. 1 2 3 4 5", "a.example.org. 60 IN NSEC z.example.org. A"}),
		message(f, 0, []string{"example.org. 60 IN DNAME b.org."}),
	} {
		packed, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed, uint16(dns.TypeA))
	}
	const zone, name = "example.org.", "www.example.org."
	r := testResolver(f)
	f.Fuzz(func(t *testing.T, packed []byte, rrtype uint16) {
		var m dns.Msg
		if m.Unpack(packed) != nil {
			return
		}
		in, err := read(&m, zone, name, rrtype)
		if err != nil {
			return
		}
		if in.child != "" {
			c := r.newCut(&m, zone, in.child)
			if in.child == zone || !dns.IsSubDomain(zone, in.child) || !dns.IsSubDomain(in.child, name) {
				t.Fatalf("referral to %s", in.child)
			}
			for host, addrs := range c.glue {
				if !dns.IsSubDomain(zone, host) || len(addrs) > maxGlue {
					t.Fatalf("glue %s %v", host, addrs)
				}
			}
			if len(c.hosts) > maxHosts || len(c.referral) > maxReferralRRs {
				t.Fatalf("%d hosts, %d records", len(c.hosts), len(c.referral))
			}
			return
		}
		resp := r.newResponse(&m, in, zone, name, rrtype, netip.AddrPort{})
		for _, rr := range append(resp.Ns, resp.Answer...) {
			if owner := dns.CanonicalName(rr.Header().Name); !dns.IsSubDomain(zone, owner) {
				t.Fatalf("%v is not of %s", rr, zone)
			}
			if rr.Header().Ttl > 1<<31-1 {
				t.Fatalf("TTL of %v", rr)
			}
		}
		if resp.expires.Sub(resp.stored) > r.cfg.MaxTTL {
			t.Fatalf("kept for %v", resp.expires.Sub(resp.stored))
		}
		a := r.answer(resp, nil)
		if a.Target != "" && dns.IsSubDomain(zone, a.Target) && in.negative {
			t.Fatalf("leads on to %s, which is denied", a.Target)
		}
		if _, err := resolver.Follow(resolver.Query{Name: name, Type: rrtype}, zone, a.Answer); err != nil {
			t.Fatal(err)
		}
	})
}
