package intake_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/cache"
	"dens/internal/wire"
	"dens/reply"
	"dens/resolver"
	"dens/server/intake"
)

// zone answers with what attackers look for: long answers to short questions.
type zone struct{}

const (
	rsa2048 = 344 // octets of a signature of 256 in base64
	owner   = "a.example."
)

func (zone) Resolve(_ context.Context, q resolver.Query) (*resolver.Answer, error) {
	a := &resolver.Answer{Rcode: dns.RcodeSuccess}
	rr := func(format string, args ...any) dns.RR {
		out, err := dns.NewRR(fmt.Sprintf(format, args...))
		if err != nil {
			panic(err)
		}
		return out
	}
	sig := func(owner, covered string) dns.RR {
		return rr("%s 300 RRSIG %s 8 2 300 20300101000000 20200101000000 1 example. %s", owner, covered, strings.Repeat("A", rsa2048))
	}
	switch {
	case q.Name == "nx.example.":
		a.Rcode = dns.RcodeNameError
		a.Ns = append(a.Ns, rr("example. 300 SOA ns.example. root.example. 1 2 3 4 300"), sig("example.", "SOA"))
		for _, name := range []string{"example.", "m.example."} {
			a.Ns = append(a.Ns, rr("%s 300 NSEC z.example. A NS SOA MX TXT RRSIG NSEC DNSKEY", name), sig(name, "NSEC"))
		}
	case q.Type == dns.TypeTXT:
		for i := range 8 {
			a.Answer = append(a.Answer, rr("%s 300 TXT %q", q.Name, strings.Repeat(string(rune('a'+i)), 250)))
		}
	case q.Type == dns.TypeSPF: // fills what a reply by UDP may have
		for i := range 4 {
			a.Answer = append(a.Answer, rr("%s 300 SPF %q", q.Name, strings.Repeat(string(rune('a'+i)), 250)))
		}
	default:
		for i := range 4 {
			a.Answer = append(a.Answer, rr("%s 300 A 192.0.2.%d", q.Name, i))
		}
		a.Answer = append(a.Answer, sig(q.Name, "A"))
	}
	return a, nil
}

// flood is one kind of question that an attacker sends in the name of a victim.
type flood struct {
	name   string
	change func(*dns.Msg)
	cut    int  // octets left out at the end
	closed bool // the victim is none of those who may ask
}

var floods = []flood{
	{name: "A", change: func(m *dns.Msg) {}},
	{name: "A with DO", change: func(m *dns.Msg) { m.SetEdns0(4096, true) }},
	{name: "ANY with DO", change: func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeANY; m.SetEdns0(4096, true) }},
	{name: "big TXT", change: func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT; m.SetEdns0(4096, false) }},
	{name: "1 KiB of SPF", change: func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeSPF; m.SetEdns0(4096, false) }},
	{name: "NXDOMAIN with NSEC", change: func(m *dns.Msg) { m.Question[0].Name = "nx.example."; m.SetEdns0(4096, true) }},
	{name: "client cookie", change: func(m *dns.Msg) {
		m.Question[0].Qtype = dns.TypeSPF
		m.SetEdns0(4096, true)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}}
	}},
	{name: "forged cookie", change: func(m *dns.Msg) {
		m.Question[0].Qtype = dns.TypeSPF
		m.SetEdns0(4096, true)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708" + strings.Repeat("01", 16)}}
	}},
	{name: "REFUSED", change: func(m *dns.Msg) { m.SetEdns0(4096, true) }, closed: true},
	{name: "zone transfer", change: func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR }},
	{name: "BADVERS", change: func(m *dns.Msg) { m.SetEdns0(4096, true); m.IsEdns0().SetVersion(1) }},
	{name: "FORMERR", change: func(m *dns.Msg) {}, cut: 2},
	{name: "NOTIMP", change: func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }},
	{name: "version.bind", change: func(m *dns.Msg) {
		m.Question[0] = dns.Question{Name: "version.bind.", Qtype: dns.TypeTXT, Qclass: dns.ClassCHAOS}
	}},
}

func (f flood) request(t *testing.T) []byte {
	m := new(dns.Msg).SetQuestion(owner, dns.TypeA)
	f.change(m)
	req, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return req[:len(req)-f.cut]
}

// A flood in the name of one network, 20 times over its rate for 20 seconds, brings the network hardly more
// octets than it cost the attacker, whatever was asked; within the rate, answers are whole.
func TestAmplification(t *testing.T) {
	const (
		rate, burst = 50, 100
		times       = 20
		seconds     = 20
		most        = 1.5
	)
	open := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	for _, f := range floods {
		conf := intake.Config{Cookies: intake.NewCookies(), Stats: new(intake.Stats)}
		c := cache.New(cache.NewMemory(cache.MemoryConfig{}), reply.New(zone{}, reply.Config{Version: "dens"}), cache.Config{})
		allow := open
		if f.closed {
			allow = nil
		}
		in := intake.New(conf, c, intake.NewRateLimit(intake.RateConfig{Rate: rate, Burst: burst}, conf.Stats), intake.NewAccess(allow, conf.Stats))
		req := f.request(t)
		start, buf := time.Now(), make([]byte, 4096)
		var sent, received, longest int
		for i := range rate * times * seconds {
			q := &wire.Query{
				Msg: req, Start: start.Add(time.Duration(i) * time.Second / (rate * times)),
				From: wire.Peer{Protocol: wire.UDP, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i * 7)}), uint16(i))},
			}
			out, done := in.Take(q, buf)
			if !done {
				out = in.Wait(q, buf)
			}
			sent, received, longest = sent+len(req), received+len(out), max(longest, len(out))
		}
		factor := float64(received) / float64(sent)
		t.Logf("%-20s question %3d octets, longest reply %4d (%.1f times), of the flood %.2f times", f.name, len(req), longest, float64(longest)/float64(len(req)), factor)
		if factor > most || received == 0 {
			t.Errorf("%s: %d octets lead to %d: %.2f times as many, want at most %.1f", f.name, sent, received, factor, most)
		}
		in.Close()
		c.Close(t.Context())
	}
}
