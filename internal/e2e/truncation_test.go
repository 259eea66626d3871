package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// TestTruncation asks for what does not fit, with several EDNS sizes.
func TestTruncation(t *testing.T) {
	t.Parallel()
	up := startStub(t, func(reply *dns.Msg, q dns.Question) {
		hdr := dns.RR_Header{Name: q.Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 300}
		if strings.HasPrefix(q.Name, "alias.") {
			hdr.Name = "big" + q.Name[len("alias"):]
			reply.Answer = append(reply.Answer, &dns.CNAME{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 300}, Target: hdr.Name})
		}
		n := 20
		if strings.HasPrefix(q.Name, "medium.") {
			n = 4 // some 950 octets: more than 512, less than 1232
		}
		for i := range n {
			reply.Answer = append(reply.Answer, &dns.TXT{Hdr: hdr, Txt: []string{fmt.Sprintf("%02d %s", i, strings.Repeat("x", 200))}})
		}
	})
	s := bed.Serve(t, fmt.Sprintf("resolve: { forward: [%q] }\nchains: {}\nnames: []\n", up.addr))
	for _, c := range []struct {
		name      string
		size      uint16 // 0 is no EDNS
		cname     int    // CNAMEs that fit
		texts     int
		truncated bool
	}{
		{"big.example.org.", 0, 0, 0, true},
		{"big.example.org.", 512, 0, 0, true},
		{"big.example.org.", 1232, 0, 0, true},
		{"big.example.org.", 4096, 0, 0, true}, // dens sends at most 1232 octets by UDP
		{"alias.example.org.", 1232, 1, 0, true},
		{"medium.example.org.", 0, 0, 0, true},
		{"medium.example.org.", 100, 0, 0, true}, // below 512 is 512
		{"medium.example.org.", 1232, 0, 4, false},
		{"medium.example.org.", 65535, 0, 4, false},
	} {
		query := new(dns.Msg).SetQuestion(c.name, dns.TypeTXT)
		if c.size > 0 {
			query.SetEdns0(c.size, false)
		}
		packed, err := query.Pack()
		if err != nil {
			t.Fatal(err)
		}
		raw := exchangeRaw(t, "udp", s.DNS, packed)
		reply := new(dns.Msg)
		if err := reply.Unpack(raw); err != nil {
			t.Fatal(err)
		}
		cnames, texts := countTypes(reply.Answer)
		if reply.Truncated != c.truncated || cnames != c.cname || texts != c.texts || (reply.IsEdns0() != nil) != (c.size > 0) {
			t.Errorf("%s with size %d: TC %v, %d CNAME, %d TXT; want %v, %d, %d\n%v", c.name, c.size, reply.Truncated, cnames, texts, c.truncated, c.cname, c.texts, reply)
		}
		if most := min(max(int(c.size), 512), 1232); len(raw) > most {
			t.Errorf("%s with size %d: %d octets, want at most %d", c.name, c.size, len(raw), most)
		}
		whole := exchange(t, "tcp", s.DNS, query)
		if _, texts := countTypes(whole.Answer); whole.Truncated || texts != map[bool]int{true: 4, false: 20}[strings.HasPrefix(c.name, "medium.")] {
			t.Errorf("%s by TCP: TC %v, %d TXT", c.name, whole.Truncated, texts)
		}
	}
}

func countTypes(rrs []dns.RR) (cnames, texts int) {
	for _, rr := range rrs {
		switch rr.Header().Rrtype {
		case dns.TypeCNAME:
			cnames++
		case dns.TypeTXT:
			texts++
		}
	}
	return cnames, texts
}
