package wire_test

import (
	"math/rand/v2"
	"testing"

	"github.com/miekg/dns"

	"dens/internal/wire"
)

func packed(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFreshness(t *testing.T) {
	rr := func(text string) dns.RR {
		r, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	soa := "org. 600 IN SOA a. b. 1 2 3 4 60"
	tests := []struct {
		name       string
		rcode      int
		answer, ns []string
		want       uint32
	}{
		{"least of the answers", 0, []string{"a.org. 300 IN A 192.0.2.1", "a.org. 20 IN A 192.0.2.2"}, nil, 20},
		{"authority does not count", 0, []string{"a.org. 300 IN A 192.0.2.1"}, []string{"org. 5 IN NS a.org."}, 300},
		{"NODATA", 0, nil, []string{soa}, 60},
		{"NXDOMAIN", 3, nil, []string{"org. 30 IN SOA a. b. 1 2 3 4 60"}, 30},
		{"NXDOMAIN behind an alias", 3, []string{"a.org. 300 IN CNAME b.org."}, []string{soa}, 60},
		{"no SOA", 3, nil, nil, 0},
		{"referral", 0, nil, []string{"org. 5 IN NS a.org."}, 0},
		{"SERVFAIL", 2, []string{"a.org. 300 IN A 192.0.2.1"}, nil, 0},
		{"high bit", 0, []string{"a.org. 2147483648 IN A 192.0.2.1"}, nil, 0},
	}
	for _, tt := range tests {
		m := new(dns.Msg).SetReply(new(dns.Msg).SetQuestion("a.org.", dns.TypeA))
		m.Rcode, m.Compress = tt.rcode, true
		for _, s := range tt.answer {
			m.Answer = append(m.Answer, rr(s))
		}
		for _, s := range tt.ns {
			m.Ns = append(m.Ns, rr(s))
		}
		m.SetEdns0(1232, false) // whose TTL field is none
		b := packed(t, m)
		if got := wire.Freshness(b); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
		b[2] |= 2
		if got := wire.Freshness(b); got != 0 {
			t.Errorf("%s, truncated: %d, want 0", tt.name, got)
		}
	}
}

// TestFreshnessOfCutSOA: an SOA whose data ends early says nothing about time.
func TestFreshnessOfCutSOA(t *testing.T) {
	m := new(dns.Msg).SetReply(new(dns.Msg).SetQuestion("a.org.", dns.TypeA))
	m.Rcode = dns.RcodeNameError
	m.Ns = []dns.RR{&dns.RFC3597{
		Hdr:   dns.RR_Header{Name: "org.", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 600},
		Rdata: "0000" + "00000258" + "00000258", // two root names and two of the five numbers
	}}
	if got := wire.Freshness(packed(t, m)); got != 0 {
		t.Errorf("%d, want 0", got)
	}
}

// FuzzFreshness: never more than what the DNS library reads of the same message.
func FuzzFreshness(f *testing.F) {
	m := new(dns.Msg).SetReply(new(dns.Msg).SetQuestion("a.org.", dns.TypeA))
	a, _ := dns.NewRR("a.org. 300 IN A 192.0.2.1")
	soa, _ := dns.NewRR("org. 600 IN SOA a. b. 1 2 3 4 60")
	m.Answer, m.Ns = []dns.RR{a}, []dns.RR{soa}
	f.Add(packed(f, m))
	f.Add(packed(f, m)[:20+rand.IntN(10)])
	f.Fuzz(func(t *testing.T, b []byte) {
		got := wire.Freshness(b)
		var m dns.Msg
		if m.Unpack(b) != nil || got == 0 {
			return
		}
		for _, rr := range m.Answer {
			if ttl := rr.Header().Ttl; ttl < got || ttl > 1<<31-1 {
				t.Fatalf("%d, but %v", got, rr)
			}
		}
		if len(m.Answer) > 0 {
			return
		}
		for _, rr := range m.Ns {
			if soa, ok := rr.(*dns.SOA); ok && (soa.Minttl < got || soa.Hdr.Ttl < got) {
				t.Fatalf("%d, but %v", got, rr)
			}
		}
	})
}
