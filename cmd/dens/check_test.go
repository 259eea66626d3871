package main

import (
	"net"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestCheckStubs: check asks the servers of stub zones for their zone, and prints no tables without rows.
func TestCheckStubs(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		soa := &dns.SOA{Hdr: dns.RR_Header{Name: "corp.example.", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60}, Ns: "ns.corp.example.", Mbox: "h.corp.example.", Minttl: 60}
		if !strings.EqualFold(q.Question[0].Name, "corp.example.") {
			m.Rcode = dns.RcodeRefused
		} else {
			m.Answer = []dns.RR{soa}
		}
		_ = w.WriteMsg(m)
	})}
	go srv.ActivateAndServe() //nolint:errcheck // ends with Shutdown
	t.Cleanup(func() { _ = srv.Shutdown() })
	at := conn.LocalAddr().String()
	cfg := parseConfig(t, "chains: {}\nnames: []\nresolve: { mode: forward, forward: [], zones: [{ zone: corp.example, stub: ['"+at+"'] }] }\n")
	for _, tt := range []struct {
		zone string
		ok   bool
		want string
	}{
		{"corp.example.", true, `^ZONE +SERVER +LATENCY +VERDICT\ncorp\.example\. +` + regexp.QuoteMeta(at) + ` +\S+ +ok\n$`},
		{"other.example.", false, `^ZONE +SERVER +LATENCY +VERDICT\nother\.example\. +` + regexp.QuoteMeta(at) + ` +- +\S.*REFUSED\n$`},
	} {
		cfg.Resolve.Zones[0].Zone = tt.zone
		var out strings.Builder
		ok, err := check(t.Context(), cfg, &out)
		if err != nil || ok != tt.ok || !regexp.MustCompile(tt.want).MatchString(out.String()) {
			t.Errorf("%s: %v, %v\n%s", tt.zone, ok, err, out.String())
		}
	}
}
