package internet

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// to are the queries that went to an address.
func to(queries []Seen, at netip.Addr) (out []Seen) {
	for _, s := range queries {
		if s.To == at {
			out = append(out, s)
		}
	}
	return out
}

// address is the first address of a server.
func (n *Internet) address(t *testing.T, server string) netip.Addr {
	t.Helper()
	if len(n.servers[server]) == 0 {
		t.Fatalf("no server %s", server)
	}
	return n.servers[server][0]
}

// The lines of the specification about iteration that a comparison of answers does not show.
func TestIteration(t *testing.T) {
	n := Start(t, topZones(), goodZones(), bogusZones(), aliasZones(), delegationZones(), serverZones(), attackZones(), lineZones(new(Switch)))
	r := n.StartDens(t)

	t.Run("priming", func(t *testing.T) { testPriming(t, n) })
	t.Run("minimisation", func(t *testing.T) { testMinimisation(t, n, r) })
	t.Run("spoofing", func(t *testing.T) { testSpoofing(t, n, r) })
	t.Run("poisoning", func(t *testing.T) { testPoisoning(t, n, r) })
	t.Run("flights", func(t *testing.T) { testFlights(t, n, r) })
	t.Run("nearest server", func(t *testing.T) { testNearest(t, n, r) })
	t.Run("lame servers", func(t *testing.T) { testLame(t, n, r) })
	t.Run("address families", func(t *testing.T) { testFamilies(t, n, r) })
	t.Run("truncation", func(t *testing.T) { testTruncation(t, n, r) })
}

// RFC 9609: dens asks for the root's servers at its start, and a dead hint is no harm.
func testPriming(t *testing.T, n *Internet) {
	data, err := os.ReadFile(n.Hints)
	if err != nil {
		t.Fatal(err)
	}
	var hints strings.Builder
	for line := range strings.Lines(string(data)) {
		switch {
		case strings.Contains(line, "a.root-servers.net") && strings.Contains(line, " A "):
			line = "a.root-servers.net. 3600000 IN A " + n.servers["dead"][0].String() + "\n"
		case strings.Contains(line, " AAAA "):
			continue
		}
		hints.WriteString(line)
	}
	n.Forget()
	r := n.StartDensWith(t, writeFile(t, t.TempDir(), "hints", hints.String()))
	r.must(t, "www.alg13.net", dns.TypeA, "NOERROR AD")
	r.must(t, "www.plain.org", dns.TypeA, "NOERROR |")
	if !slices.ContainsFunc(n.Sent(r), func(s Seen) bool { return s.Name == "." && s.Type == dns.TypeNS }) {
		t.Errorf("dens did not ask for . NS:%s", describe(n.Sent(r)))
	}
}

// RFC 9156: a server sees one label more than its own zone has.
func testMinimisation(t *testing.T, n *Internet, r *Resolver) {
	n.Forget()
	r.must(t, "www.shop.co.uk", dns.TypeA, "NOERROR AD")
	r.must(t, "a.b.ent.alg15.net", dns.TypeA, "NOERROR AD")
	r.must(t, "a.b.ent.plain.de", dns.TypeA, "NOERROR |")
	for _, s := range n.Sent(r) {
		labels := dns.CountLabel(s.Name)
		if slices.Contains(n.site("bind-root").addrs, s.To) || slices.Contains(n.site("nsd-root").addrs, s.To) || slices.Contains(n.site("knot-root").addrs, s.To) {
			if labels > 1 {
				t.Errorf("a root server saw %s %s", s.Name, dns.Type(s.Type))
			}
		}
		if slices.Contains(n.site("nsd-tld").addrs, s.To) && labels > 2 {
			t.Errorf("a server of a top-level domain saw %s %s", s.Name, dns.Type(s.Type))
		}
	}
	const deep = "l1.l2.l3.l4.l5.l6.l7.l8.l9.l10.l11.l12.l13.l14.l15.l16.l17.l18.l19.l20.l21.l22.l23.l24.l25.l26.l27.l28.l29.l30.l31.l32.l33.l34.l35.l36.l37.l38.types.net"
	cost := n.Measure(t, r, deep, dns.TypeA)
	if !strings.HasPrefix(cost.Reply.String(), "NOERROR AD") || len(cost.Queries) > 20 {
		t.Errorf("40 labels: %s, %d queries:%s", cost.Reply, len(cost.Queries), describe(cost.Queries))
	}
}

// RFC 5452: ids, ports and cases are random; replies that do not match are passed over, and the right one
// after them is taken.
func testSpoofing(t *testing.T, n *Internet, r *Resolver) {
	for _, name := range []string{"www.wrongid.com", "www.wrongquestion.com", "www.wrongport.com", "www.cased.net", "www.wrongid2.net", "www.wrongport2.net"} {
		if reply := r.must(t, name, dns.TypeA, "NOERROR |"); strings.Contains(reply.String(), forged) {
			t.Errorf("%s: %s", name, reply)
		}
	}
	r.must(t, "www.wrongports1.net", dns.TypeA, "NOERROR AD")
	r.must(t, "www.lowercase.com", dns.TypeA, "NOERROR |")
	r.must(t, "www.lowercases1.net", dns.TypeA, "NOERROR AD")

	n.Forget()
	for _, name := range goodNames(n) {
		r.must(t, name, dns.TypeAAAA, "NOERROR")
	}
	sent := n.Sent(r)
	ids, ports, mixed := map[uint16]bool{}, map[uint16]bool{}, 0
	for _, s := range sent {
		ids[s.ID], ports[s.Port] = true, true
		if s.Name != strings.ToLower(s.Name) {
			mixed++
		}
	}
	if len(sent) < 50 || len(ids) < len(sent)*8/10 || len(ports) < len(sent)/2 || mixed < len(sent)*7/10 {
		t.Errorf("%d queries with %d ids, %d ports, %d with mixed case", len(sent), len(ids), len(ports), mixed)
	}
}

// RFC 2181 section 5.4.1: what a server says about others' zones changes nothing.
func testPoisoning(t *testing.T, n *Internet, r *Resolver) {
	for _, zone := range []string{"poison.com", "poison2.net", "poisons.net", "poisons1.net"} {
		for _, label := range []string{"www", "x.wild", "missing", "alias"} {
			for _, rrtype := range []uint16{dns.TypeA, dns.TypeTXT} {
				reply := r.Ask(t.Context(), Question{Name: label + "." + zone + ".", Type: rrtype, Flags: DO})
				if reply.Msg == nil || strings.Contains(reply.Msg.String(), forged) || strings.Contains(reply.Msg.String(), "evil.com") || strings.Contains(reply.Msg.String(), "victim.com") {
					t.Errorf("%s.%s %s: %s\n%s", label, zone, dns.Type(rrtype), reply, reply.Msg)
				}
			}
		}
	}
	for _, name := range []string{"www.victim.com", "mail.victim.com"} {
		if reply := r.must(t, name, dns.TypeA, "NOERROR |"); strings.Contains(reply.String(), forged) {
			t.Errorf("%s: %s", name, reply)
		}
	}
	r.must(t, "ns.evil.com", dns.TypeA, "NXDOMAIN")
}

// A hundred equal questions are one query.
func testFlights(t *testing.T, n *Internet, r *Resolver) {
	r.must(t, "www.alg10.net", dns.TypeA, "NOERROR AD")
	n.SetDelay(50 * time.Millisecond)
	defer n.SetDelay(0)
	n.Settle(t)
	n.Forget()
	same := slices.Repeat([]Question{{Name: "mail.alg10.net.", Type: dns.TypeA, Flags: AD}}, 100)
	for _, reply := range r.AskAll(t.Context(), same, 100) {
		if !strings.HasPrefix(reply.String(), "NOERROR AD |") {
			t.Errorf("mail.alg10.net: %s", reply)
		}
	}
	if sent := n.Sent(r); len(sent) != 1 {
		t.Errorf("100 equal questions became %d queries:%s", len(sent), describe(sent))
	}
}

// The near server gets most queries, the far one some.
func testNearest(t *testing.T, n *Internet, r *Resolver) {
	near, far := n.address(t, "ns1.far.net"), n.address(t, "ns2.far.net")
	n.Forget()
	for i := range 60 {
		r.must(t, label("x", i)+".wild.far.net", dns.TypeA, "NOERROR |")
	}
	a, b := len(to(n.Sent(r), near)), len(to(n.Sent(r), far))
	t.Logf("near %d, far %d", a, b)
	if a < 40 || b < 1 || b > 25 {
		t.Errorf("the near server got %d queries, the far one %d", a, b)
	}
}

// RFC 9520: servers that fail are remembered, and so are failures.
func testLame(t *testing.T, n *Internet, r *Resolver) {
	for _, zone := range []string{"refused2.net", "servfail2.net", "upward2.net", "formerr2.net", "dead2.net", "notimp2.net"} {
		n.Forget()
		for i := range 30 {
			r.must(t, label("x", i)+".wild."+zone, dns.TypeA, "NOERROR |")
		}
		if bad := to(n.Sent(r), n.address(t, "ns1."+zone)); len(bad) > 8 {
			t.Errorf("%s: the bad server got %d of %d queries:%s", zone, len(bad), len(n.Sent(r)), describe(bad))
		}
	}
	r.must(t, "mail.servfail.com", dns.TypeA, "SERVFAIL")
	n.Forget()
	for range 5 {
		r.must(t, "mail.servfail.com", dns.TypeA, "SERVFAIL")
	}
	if sent := n.Sent(r); len(sent) > 0 {
		t.Errorf("a failure was not remembered:%s", describe(sent))
	}
}

// Servers with IPv6 alone, with a dead IPv6 address, and a machine without IPv4.
func testFamilies(t *testing.T, n *Internet, r *Resolver) {
	r.must(t, "www.only6.net", dns.TypeA, "NOERROR AD")
	r.must(t, "www.only4.net", dns.TypeA, "NOERROR AD")
	n.Forget()
	for i := range 20 {
		r.must(t, label("x", i)+".wild.dead6.com", dns.TypeA, "NOERROR |")
	}
	if sent := to(n.Sent(r), n.servers["ns1.dead6.com"][1]); len(sent) > 6 {
		t.Errorf("the dead address of a server got %d queries of 20", len(sent))
	}
	six := n.StartDens(t, "ipv4: false")
	n.Forget()
	six.must(t, "www.alg13.org", dns.TypeA, "NOERROR AD")
	for _, s := range n.Sent(six) {
		if s.To.Is4() {
			t.Errorf("without IPv4, dens asked %s", s.To)
		}
	}
}

// RFC 7766: what does not fit comes by TCP, whole or not at all.
func testTruncation(t *testing.T, n *Internet, r *Resolver) {
	for name, count := range map[string]int{"txt.large.net": 30, "huge.large.net": 220, "huge.large.com": 220} {
		if reply := r.must(t, name, dns.TypeTXT, "NOERROR"); len(reply.Answer) != count {
			t.Errorf("%s: %d records, expected %d", name, len(reply.Answer), count)
		}
	}
	r.must(t, "www.truncateds1.net", dns.TypeA, "NOERROR AD")
	r.must(t, "www.halftruncated.com", dns.TypeA, "SERVFAIL")
	n.Forget()
	m := Question{Name: "mx.large.net.", Type: dns.TypeMX, Flags: DO}.message()
	client := &dns.Client{Timeout: clientTimeout, UDPSize: 1232}
	reply, _, err := client.ExchangeContext(t.Context(), m, r.Address)
	if err != nil || !reply.Truncated || reply.Len() > 1232 {
		t.Errorf("a large answer by UDP: %v, %v", err, reply)
	}
}

// label makes the names of a series.
func label(prefix string, i int) string {
	return prefix + string(rune('a'+i/26)) + string(rune('a'+i%26))
}
