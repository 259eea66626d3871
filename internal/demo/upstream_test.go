package demo

import (
	"testing"

	"github.com/miekg/dns"
)

func TestUpstream(t *testing.T) {
	w := reading(t)
	tests := []struct {
		name      string
		rrtype    uint16
		class     uint16
		edns      uint16
		network   string
		rcode     int
		answers   int
		truncated bool
	}{
		{"www.example.org.", dns.TypeA, dns.ClassINET, 0, "udp", dns.RcodeSuccess, 1, false},
		{"WWW.example.ORG.", dns.TypeAAAA, dns.ClassINET, 1232, "tcp", dns.RcodeSuccess, 1, false},
		{"www.example.org.", dns.TypeMX, dns.ClassINET, 0, "udp", dns.RcodeSuccess, 0, false},
		{"example.net.", dns.TypeSOA, dns.ClassINET, 0, "udp", dns.RcodeSuccess, 1, false},
		{"onchain.example.org.", dns.TypeA, dns.ClassINET, 0, "udp", dns.RcodeSuccess, 1, false},
		{"nothere.example.org.", dns.TypeA, dns.ClassINET, 0, "udp", dns.RcodeNameError, 0, false},
		{"alice.eth.", dns.TypeA, dns.ClassINET, 0, "udp", dns.RcodeNameError, 0, false},
		{".", dns.TypeSOA, dns.ClassINET, 0, "udp", dns.RcodeSuccess, 1, false},
		{"org.", dns.TypeA, dns.ClassINET, 0, "udp", dns.RcodeSuccess, 0, false},
		{"www.example.org.", dns.TypeA, dns.ClassCHAOS, 0, "udp", dns.RcodeRefused, 0, false},
		{"big.example.org.", dns.TypeTXT, dns.ClassINET, 0, "udp", dns.RcodeSuccess, 2, true},
		{"big.example.org.", dns.TypeTXT, dns.ClassINET, 1232, "udp", dns.RcodeSuccess, 5, true},
		{"big.example.org.", dns.TypeTXT, dns.ClassINET, 1232, "tcp", dns.RcodeSuccess, bigTexts, false},
	}
	for _, tt := range tests {
		q := new(dns.Msg).SetQuestion(tt.name, tt.rrtype)
		q.Question[0].Qclass = tt.class
		if tt.edns > 0 {
			q.SetEdns0(tt.edns, false)
		}
		r, _, err := (&dns.Client{Net: tt.network}).ExchangeContext(t.Context(), q, w.DNS)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if r.Rcode != tt.rcode || len(r.Answer) != tt.answers || r.Truncated != tt.truncated {
			t.Errorf("%s %s: %v", tt.network, tt.name, r)
		}
		if negative := r.Rcode != dns.RcodeRefused && tt.answers == 0; negative != (len(r.Ns) == 1) {
			t.Errorf("%s: authority section is %v", tt.name, r.Ns)
		}
	}
}
