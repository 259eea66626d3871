package internet

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The lines of the specification about the cache and about what questions are answered.
func TestAnswers(t *testing.T) {
	moody := new(Switch)
	n := Start(t, topZones(), goodZones(), aliasZones(), lineZones(moody))
	r := n.StartDens(t)
	t.Run("stale", func(t *testing.T) { testStale(t, n, r, moody) })
	t.Run("TTL", func(t *testing.T) { testTTL(t, n, r) })
	t.Run("odd questions", func(t *testing.T) { testOddQuestions(t, n, r) })
	t.Run("special names", func(t *testing.T) { testSpecial(t, n, r) })
	t.Run("rebinding", func(t *testing.T) { testRebinding(t, n) })
}

// RFC 8767: when a zone's servers are gone, old answers are better than none, and marked as such.
func testStale(t *testing.T, n *Internet, r *Resolver, moody *Switch) {
	r.must(t, "short.moody.net", dns.TypeA, "NOERROR | short.moody.net. a 203.119.6.1")
	moody.Set(true)
	time.Sleep(1100 * time.Millisecond)
	reply := r.must(t, "short.moody.net", dns.TypeA, "NOERROR | short.moody.net. a 203.119.6.1")
	if !hasEDE(reply, dns.ExtendedErrorCodeStaleAnswer) || reply.Msg == nil || len(reply.Msg.Answer) != 1 || reply.Msg.Answer[0].Header().Ttl != 30 {
		t.Errorf("stale: %s\n%s", reply, reply.Msg)
	}
	if reply.Took > 4*time.Second {
		t.Errorf("a stale answer took %v", reply.Took)
	}
	if reply := r.must(t, "never.asked.moody.net", dns.TypeA, "SERVFAIL"); hasEDE(reply, dns.ExtendedErrorCodeStaleAnswer) {
		t.Errorf("stale: %s", reply)
	}
	moody.Set(false)
	deadlineFor(t, "fresh data when the servers are back", func() bool {
		reply := r.Ask(t.Context(), Question{Name: "short.moody.net.", Type: dns.TypeA, Flags: AD})
		return reply.Rcode == "NOERROR" && len(reply.EDE) == 0
	})
}

func deadlineFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("not within 20 s: %s", what)
			return
		}
	}
}

// RFC 2308 and RFC 2181 section 8: TTLs count down, are capped, and 0 is for one client only.
func testTTL(t *testing.T, n *Internet, r *Resolver) {
	ttl := func(name string, rrtype uint16) uint32 {
		t.Helper()
		reply := r.Ask(t.Context(), Question{Name: name, Type: rrtype, Flags: AD})
		if reply.Msg == nil || len(reply.Msg.Answer)+len(reply.Msg.Ns) == 0 {
			t.Fatalf("%s: %s", name, reply)
		}
		return append(reply.Msg.Answer, reply.Msg.Ns...)[0].Header().Ttl
	}
	first, negative := ttl("www.plain.com.", dns.TypeA), ttl("missing.plain.com.", dns.TypeA)
	if first != 3600 || negative != 600 {
		t.Errorf("TTL %d, expected 3600; of a denial %d, expected the SOA's minimum of 600", first, negative)
	}
	time.Sleep(1100 * time.Millisecond)
	if a, b := ttl("www.plain.com.", dns.TypeA), ttl("missing.plain.com.", dns.TypeA); a > 3599 || a < 3500 || b > 599 || b < 500 {
		t.Errorf("after a second: TTL %d, of a denial %d", a, b)
	}
	if long := ttl("long.moody.net.", dns.TypeA); long != 0 {
		t.Errorf("a TTL above 2^31 became %d, expected 0", long)
	}
	n.Forget()
	for range 2 {
		r.must(t, "zero.moody.net", dns.TypeA, "NOERROR |")
	}
	asked := 0
	for _, s := range n.Sent(r) {
		if strings.EqualFold(s.Name, "zero.moody.net.") {
			asked++
		}
	}
	if asked != 2 {
		t.Errorf("an answer with TTL 0 was asked for %d times by two questions", asked)
	}
}

// RFC 8482, RFC 9619, RFC 6895: ANY is no amplifier, and what is no question about data is turned down.
func testOddQuestions(t *testing.T, n *Internet, r *Resolver) {
	for _, name := range []string{"several.types.net.", "alg13.net.", "types.com."} {
		reply := r.Ask(t.Context(), Question{Name: name, Type: dns.TypeANY, Flags: DO})
		types := map[uint16]bool{}
		for _, rr := range reply.Msg.Answer {
			if rr.Header().Rrtype != dns.TypeRRSIG {
				types[rr.Header().Rrtype] = true
			}
		}
		if reply.Rcode != "NOERROR" || len(types) != 1 || reply.Msg.Len() > 512 {
			t.Errorf("%s ANY: %s", name, reply)
		}
	}
	n.Forget()
	for what, rrtype := range map[string]uint16{"AXFR": dns.TypeAXFR, "IXFR": dns.TypeIXFR, "OPT": dns.TypeOPT, "type 0": 0, "TSIG": dns.TypeTSIG, "MAILB": dns.TypeMAILB} {
		reply := r.Ask(t.Context(), Question{Name: "www.plain.net.", Type: rrtype, Flags: AD})
		switch reply.Rcode {
		case "FORMERR", "NOTIMP", "REFUSED":
		default:
			t.Errorf("%s: %s", what, reply)
		}
	}
	two := new(dns.Msg).SetQuestion("www.plain.net.", dns.TypeA)
	two.Question = append(two.Question, two.Question[0])
	if reply := exchangeRaw(t, r, two); reply.Rcode != dns.RcodeFormatError {
		t.Errorf("two questions: %s", reply)
	}
	none := new(dns.Msg)
	none.Id = 7
	if reply := exchangeRaw(t, r, none); reply.Rcode == dns.RcodeSuccess && len(reply.Answer) > 0 {
		t.Errorf("no question: %s", reply)
	}
	if sent := n.Sent(r); len(sent) > 0 {
		t.Errorf("odd questions were passed on:%s", describe(sent))
	}
	r.must(t, "www.plain.net", dns.TypeA, "NOERROR |")
}

// exchangeRaw sends a message that a DNS client would not.
func exchangeRaw(t *testing.T, r *Resolver, m *dns.Msg) *dns.Msg {
	t.Helper()
	conn, err := net.Dial("udp", r.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	wire, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(5 * time.Second)) //nolint:errcheck // then the read fails
	if _, err := conn.Write(wire); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	size, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(buf[:size]); err != nil {
		t.Fatal(err)
	}
	return reply
}

// RFC 6761 and its kin: names that mean nothing to the public DNS never reach it.
func testSpecial(t *testing.T, n *Internet, r *Resolver) {
	r.must(t, "www.plain.org", dns.TypeA, "NOERROR |")
	n.Settle(t)
	n.Forget()
	for name, want := range map[string]string{
		"localhost": "NOERROR", "x.localhost": "NOERROR", "a.invalid": "NXDOMAIN", "a.test": "NXDOMAIN", "a.local": "NXDOMAIN", "a.onion": "NXDOMAIN",
		"a.alt": "NXDOMAIN", "a.home.arpa": "NXDOMAIN", "a.internal": "NXDOMAIN", "1.0.0.10.in-addr.arpa": "NXDOMAIN", "1.1.168.192.in-addr.arpa": "NXDOMAIN",
	} {
		r.must(t, name, dns.TypeA, want)
	}
	if sent := n.Sent(r); len(sent) > 0 {
		t.Errorf("special names reached the internet:%s", describe(sent))
	}
}

// Public names with addresses of a private network are refused, if so configured.
func testRebinding(t *testing.T, n *Internet) {
	open := n.StartDens(t)
	open.must(t, "lan.rebind.com", dns.TypeA, "NOERROR | lan.rebind.com. a 192.168.0.10")
	guarded := n.StartDens(t, "private: { refuse: true }")
	guarded.must(t, "public.rebind.com", dns.TypeA, "NOERROR | public.rebind.com. a 203.119.6.5")
	for name, rrtype := range map[string]uint16{"lan.rebind.com": dns.TypeA, "loop.rebind.com": dns.TypeA, "six.rebind.com": dns.TypeAAAA} {
		if reply := guarded.Ask(t.Context(), Question{Name: dns.Fqdn(name), Type: rrtype, Flags: AD}); len(reply.Answer) > 0 || reply.Rcode == "TIMEOUT" {
			t.Errorf("%s: %s", name, reply)
		}
	}
}
