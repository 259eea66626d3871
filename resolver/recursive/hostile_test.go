package recursive_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
	"dens/resolver/recursive"
)

// answering has a server of z answer everything with what fill makes of an empty authoritative reply.
func (in *internet) answering(z *zone, fill func(m *dns.Msg, name string)) {
	in.spoil(z, func(w dns.ResponseWriter, req *dns.Msg) bool {
		m := new(dns.Msg).SetReply(req)
		m.Authoritative = true
		fill(m, dns.CanonicalName(req.Question[0].Name))
		w.WriteMsg(m)
		return true
	})
}

// TestOtherClasses: records of another class, and types that are no data, are not there.
func TestOtherClasses(t *testing.T) {
	in := unsigned(t, "odd. NS ns.odd.\nns.odd. A 127.9.5.1\n")
	odd := in.add("odd.", "127.9.5.1", false, "@ NS ns\nns A 127.9.5.1\n")
	in.answering(odd, func(m *dns.Msg, name string) {
		hdr := func(rrtype, class uint16) dns.RR_Header {
			return dns.RR_Header{Name: name, Rrtype: rrtype, Class: class, Ttl: 60}
		}
		m.Answer = []dns.RR{
			&dns.CNAME{Hdr: hdr(dns.TypeCNAME, dns.ClassCHAOS), Target: "www.evil."},
			&dns.A{Hdr: hdr(dns.TypeA, dns.ClassCHAOS), A: []byte{6, 6, 6, 6}},
			&dns.A{Hdr: hdr(dns.TypeA, dns.ClassINET), A: []byte{192, 0, 2, 1}},
			&dns.A{Hdr: hdr(dns.TypeA, dns.ClassINET)},
			&dns.RFC3597{Hdr: hdr(dns.TypeTSIG, dns.ClassINET)},
		}
	})
	r := in.resolver(nil)
	if a := mustAsk(t, r, "www.odd.", "A"); data(a) != "192.0.2.1" || a.Target != "" {
		t.Errorf("%v, target %q", a.Answer, a.Target)
	}
	if a := mustAsk(t, r, "www.odd.", "ANY"); data(a) != "192.0.2.1" {
		t.Errorf("ANY: %v", a.Answer)
	}
}

// TestNamesBelowAliases: an alias on the way, however broken, says nothing about the names below it.
func TestNamesBelowAliases(t *testing.T) {
	var text strings.Builder
	text.WriteString("@ NS ns\nns A 127.9.5.2\nloop CNAME loop2\nloop2 CNAME loop\nwww.loop A 192.0.2.2\nwww.c0 A 192.0.2.3\n")
	for i := range 14 {
		fmt.Fprintf(&text, "c%d CNAME c%d\n", i, i+1)
	}
	in := unsigned(t, "odd. NS ns.odd.\nns.odd. A 127.9.5.2\n")
	in.add("odd.", "127.9.5.2", false, text.String())
	r := in.resolver(nil)
	for name, want := range map[string]string{"www.loop.odd.": "192.0.2.2", "www.c0.odd.": "192.0.2.3"} {
		if a, err := ask(t, r, name, "A"); err != nil || data(a) != want {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	if _, err := ask(t, r, "loop.odd.", "A"); code(err) != dns.ExtendedErrorCodeOther {
		t.Errorf("the loop itself: %v", err)
	}
}

// TestChainsOutside: of an alias chain that leaves the zone, what its servers say of the rest does not
// count, not even to call it a loop.
func TestChainsOutside(t *testing.T) {
	in := unsigned(t, "odd. NS ns.odd.\nns.odd. A 127.9.5.3\n")
	odd := in.add("odd.", "127.9.5.3", false, "@ NS ns\nns A 127.9.5.3\n")
	in.answering(odd, func(m *dns.Msg, name string) {
		for _, line := range []string{"www.odd. 60 CNAME www.good.", "www.good. 60 CNAME www.odd."} {
			rr, _ := dns.NewRR(line)
			m.Answer = append(m.Answer, rr)
		}
	})
	if a := mustAsk(t, in.resolver(nil), "www.odd.", "A"); a.Target != "www.good." || len(a.Answer) != 1 {
		t.Errorf("%+v", a)
	}
}

// TestRealmsKeepApart: what the root's tree says about a name in a zone with servers of its own is not
// used to find these.
func TestRealmsKeepApart(t *testing.T) {
	in := unsigned(t, "corp. NS ns.corp.\nns.corp. A 127.9.5.4\n")
	in.add("corp.", "127.9.5.4", false, "@ NS ns\nns A 127.9.5.4\n")
	in.add("own.corp.", "127.9.5.5", false, "@ NS ns\nns A 127.9.5.5\ninner NS ns.inner.own.corp.\n")
	public := in.zones["corp."]
	in.answering(public, func(m *dns.Msg, name string) {
		rr, _ := dns.NewRR(name + " 60 IN A 127.9.5.4")
		m.Answer = []dns.RR{rr}
	})
	at := netip.AddrPortFrom(netip.MustParseAddr("127.9.5.5"), in.port)
	d := &resolver.Delegation{Zone: "own.corp.", Servers: []netip.AddrPort{at}}
	hosts := &routed{}
	r := in.resolver(func(c *recursive.Config) { c.Hosts = hosts })
	hosts.Resolver = r
	// A stranger has the root's tree look for the private servers' names.
	mustAsk(t, r, "ns.inner.own.corp.", "A")
	in.forget()
	r.ResolveAt(t.Context(), d, resolver.Query{Name: "www.inner.own.corp.", Type: dns.TypeA, Class: dns.ClassINET})
	if got := in.queries("127.9.5.4"); len(got) != 0 {
		t.Errorf("the public servers were asked %v", got)
	}
}

type routed struct{ resolver.Resolver }

// TestHugeReplies: answers of thousands of records are given, and what is kept of them is bounded.
func TestHugeReplies(t *testing.T) {
	in := unsigned(t, "huge. NS ns.huge.\nns.huge. A 127.9.5.6\n")
	huge := in.add("huge.", "127.9.5.6", false, "@ NS ns\nns A 127.9.5.6\n")
	in.spoil(huge, func(w dns.ResponseWriter, req *dns.Msg) bool {
		m := new(dns.Msg).SetReply(req)
		m.Authoritative, m.Compress = true, true
		if w.RemoteAddr().Network() == "udp" {
			m.Truncated = true
			w.WriteMsg(m)
			return true
		}
		for i := range 4000 {
			m.Answer = append(m.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: req.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
				A:   []byte{192, 0, byte(i >> 8), byte(i)},
			})
		}
		w.WriteMsg(m)
		return true
	})
	const most = 32 << 20
	r := in.resolver(func(c *recursive.Config) { c.Memory = most })
	for i := range 40 {
		if a := mustAsk(t, r, fmt.Sprintf("n%d.huge.", i), "A"); len(a.Answer) != 4000 {
			t.Fatalf("%d records", len(a.Answer))
		}
	}
	if s := r.Stats(); s.Memory > most || s.Memory < most/4 || s.Answers < 5 {
		t.Errorf("%d bytes, %d answers, bound %d", s.Memory, s.Answers, most)
	}
}

// TestLimitsAreCountedOnce: each question that ends by a limit counts once, whatever it tried.
func TestLimitsAreCountedOnce(t *testing.T) {
	in := small(t)
	r := in.resolver(func(c *recursive.Config) { c.Limits.Queries = 4 })
	_, err := ask(t, r, "www.good.org.", "A")
	if err == nil || !strings.Contains(err.Error(), "more than 4 queries") {
		t.Errorf("got %v", err)
	}
	if got := r.Stats().Limits; got["queries"] != 1 || len(got) != 1 {
		t.Errorf("counted %v", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 1)
	defer cancel()
	if _, err := r.Resolve(ctx, resolver.Query{Name: "x.plain.org.", Type: dns.TypeA, Class: dns.ClassINET}); err == nil {
		t.Error("an answer in no time")
	}
	if got := r.Stats().Limits; got["queries"] != 1 || got["time"] != 1 {
		t.Errorf("counted %v", got)
	}
	if a, err := r.Resolve(t.Context(), resolver.Query{Name: "www.good.org.", Type: dns.TypeA, Class: dns.ClassINET, CD: true}); err != nil || data(a) != "192.0.2.1" {
		t.Errorf("with CD: %+v, %v", a, err)
	}
	if got := r.Stats().Limits; got["queries"] != 1 {
		t.Errorf("a question with an answer counts as one that ended by a limit: %v", got)
	}
}

// TestMendedZone: a zone whose only server had bad data is good again soon after it is mended, whatever
// TTL the bad data had.
func TestMendedZone(t *testing.T) {
	in := small(t)
	good := in.zones["good.org."]
	in.spoil(good, func(w dns.ResponseWriter, req *dns.Msg) bool {
		m := good.reply(req)
		for _, rr := range m.Answer {
			if a, ok := rr.(*dns.A); ok {
				rr = dns.Copy(a)
				rr.(*dns.A).A[3]++
				m.Answer[0] = rr
			}
		}
		w.WriteMsg(m)
		return true
	})
	var ahead atomic.Int64
	r := in.resolver(func(c *recursive.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	for range 3 {
		if a, err := ask(t, r, "www.good.org.", "A"); err == nil {
			t.Fatalf("%+v", a)
		}
		ahead.Add(int64(30 * time.Second))
	}
	in.spoil(good, nil)
	if a := mustAsk(t, r, "www.good.org.", "A"); data(a) != "192.0.2.1" || !a.AuthenticatedData {
		t.Errorf("%+v", a)
	}
}

// TestAliasedHosts: a server's name that is an alias is followed to where it belongs, and its servers are
// not asked for names that are not theirs.
func TestAliasedHosts(t *testing.T) {
	in := small(t)
	dave := in.add("dave.eth.", "127.9.5.7", false, "@ NS ns\nns A 127.9.5.7\nns2 CNAME ns.plain.org.\nsub NS ns2\n")
	in.host(in.zones["plain.org."], "sub.dave.eth.", "@ NS ns2.dave.eth.\nwww A 192.0.2.7\n")
	r := in.resolver(nil)
	d := &resolver.Delegation{Zone: "dave.eth.", Servers: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(dave.addr), in.port)}}
	// NS ns2.dave.eth. is below dave.eth. and not below sub: its address is looked up.
	a, err := r.ResolveAt(t.Context(), d, resolver.Query{Name: "www.sub.dave.eth.", Type: dns.TypeA, Class: dns.ClassINET})
	if err != nil || data(a) != "192.0.2.7" {
		t.Errorf("%+v, %v", a, err)
	}
	for _, q := range in.queries(dave.addr) {
		if !dns.IsSubDomain("dave.eth.", q.name) {
			t.Errorf("it was asked for %s", q.name)
		}
	}
}

// TestMovedZone: a zone that moved to other servers is found there, although the old NS records have not
// expired, and what does not work anyway is not asked for again and again.
func TestMovedZone(t *testing.T) {
	in := unsigned(t, "moves. NS ns.moves.\nns.moves. A 127.9.5.8\nlame. NS ns.lame.\nns.lame. A 127.9.5.8\n")
	old := in.add("moves.", "127.9.5.8", false, "www A 192.0.2.1\n")
	in.add("moves.", "127.9.5.9", false, "www A 192.0.2.2\nmail A 192.0.2.3\n")
	var ahead atomic.Int64
	r := in.resolver(func(c *recursive.Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	mustAsk(t, r, "www.moves.", "A")
	root := in.zones["."]
	after := in.zone(".", false, "@ NS ns.root.\nmoves. NS ns.moves.\nns.moves. A 127.9.5.9\nlame. NS ns.lame.\nns.lame. A 127.9.5.8\n")
	in.spoil(root, func(w dns.ResponseWriter, req *dns.Msg) bool { w.WriteMsg(after.reply(req)); return true })
	in.spoil(old, func(w dns.ResponseWriter, req *dns.Msg) bool {
		w.WriteMsg(new(dns.Msg).SetRcode(req, dns.RcodeRefused))
		return true
	})
	ahead.Add(int64(10 * time.Minute))
	var wg sync.WaitGroup
	for _, name := range []string{"mail.moves.", "www.moves.", "x.mail.moves."} {
		wg.Go(func() {
			if _, err := ask(t, r, name, "A"); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
	in.forget()
	for i := range 5 {
		ask(t, r, fmt.Sprintf("n%d.lame.", i), "A")
	}
	ahead.Add(int64(2 * time.Minute))
	for i := range 5 {
		ask(t, r, fmt.Sprintf("m%d.lame.", i), "A")
	}
	if n := len(in.queries(root.addr)); n > 2 {
		t.Errorf("the root was asked %d times about a zone that is lame", n)
	}
}

// TestFlightBound: what is under way in all is bounded, and the bound is named and counted.
func TestFlightBound(t *testing.T) {
	in := unsigned(t, "a. NS www.b.\nb. NS ns.b.\nns.b. A 127.9.5.10\n")
	in.add("b.", "127.9.5.10", false, "@ NS ns\nns A 127.9.5.10\nwww A 127.9.5.10\nmail A 192.0.2.1\n")
	r := in.resolver(func(c *recursive.Config) { c.Flights = 1 })
	mustAsk(t, r, "mail.b.", "A")
	_, err := ask(t, r, "www.a.", "A") // its flight needs another one
	if err == nil || !strings.Contains(err.Error(), "more than 1 exchanges") || r.Stats().Limits["flights"] != 1 {
		t.Errorf("%v, counted %v", err, r.Stats().Limits)
	}
}

// TestTwoResolvers: a Resolver may have another one find its servers.
func TestTwoResolvers(t *testing.T) {
	in := small(t)
	other := in.resolver(nil)
	r := in.resolver(func(c *recursive.Config) { c.Hosts = other })
	d := &resolver.Delegation{Zone: "plain.eth.", NS: []string{"ns.good.org.", "ns.plain.org."}}
	in.host(in.zones["plain.org."], "plain.eth.", "www A 192.0.2.8\n")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			name := fmt.Sprintf("n%d.plain.eth.", i)
			a, err := r.ResolveAt(t.Context(), d, resolver.Query{Name: name, Type: dns.TypeA, Class: dns.ClassINET})
			if err != nil || a.Rcode != dns.RcodeNameError {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	wg.Wait()
}
