package main

import (
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/wire"
)

// TestValidatedForwarding: an upstream server that strips signatures is not believed where its answers are
// to be validated, is where they are not, and the verdict is counted.
func TestValidatedForwarding(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 1)}}
		}
		_ = w.WriteMsg(m)
	})}
	go srv.ActivateAndServe() //nolint:errcheck // ends with Shutdown
	t.Cleanup(func() { _ = srv.Shutdown() })
	for _, tt := range []struct {
		keys  string
		name  string
		rcode int
		bogus bool
	}{
		{"", "www.example.org.", dns.RcodeSuccess, false},
		{"validate: true", "www.example.org.", dns.RcodeServerFailure, true},
		{"validate: true, negative_anchors: [example.org]", "www.example.org.", dns.RcodeSuccess, false},
		{"zones: [{ zone: corp.example, forward: [" + conn.LocalAddr().String() + "], validate: true }]", "www.corp.example.", dns.RcodeServerFailure, true},
		{"validate: true, zones: [{ zone: corp.example, forward: [" + conn.LocalAddr().String() + "] }]", "www.corp.example.", dns.RcodeSuccess, false},
	} {
		t.Run(tt.keys, func(t *testing.T) {
			cfg := parseConfig(t, `
listen: { dns: ["127.0.0.1:0"], http: "" }
chains: {}
names: []
resolve: { forward: ["`+conn.LocalAddr().String()+`"], `+tt.keys+` }
`)
			d, err := startDaemon(cfg, quietLogger())
			if err != nil {
				t.Fatal(err)
			}
			defer d.shutdown(time.Second) //nolint:errcheck // nothing is under way
			req, err := new(dns.Msg).SetQuestion(tt.name, dns.TypeA).Pack()
			if err != nil {
				t.Fatal(err)
			}
			from := wire.Peer{}
			m := new(dns.Msg)
			if err := m.Unpack(answer(t, d.current.Load().cache, req, from)); err != nil || m.Rcode != tt.rcode {
				t.Errorf("%v, %v", err, m)
			}
			judged := d.current.Load().stack.recursion().Validations
			if got := judged["bogus"]+judged["indeterminate"] > 0; got != tt.bogus {
				t.Errorf("validations %v, want bogus ones: %v", judged, tt.bogus)
			}
		})
	}
}
