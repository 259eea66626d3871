package cache_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/cache"
	"dens/internal/wire"
)

// cookied is a peer whose cookie was judged.
func cookied(by wire.Protocol, state wire.CookieState) wire.Peer {
	from := peer(by)
	from.Cookie.State = state
	for i := range from.Cookie.Value {
		from.Cookie.Value[i] = byte(i)
	}
	return from
}

// withCookie makes a request that has a client cookie.
func withCookie(size uint16) func(*dns.Msg) {
	return func(m *dns.Msg) {
		m.SetEdns0(size, true)
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0001020304050607"})
	}
}

// cookieIn is the value of a reply's COOKIE option.
func cookieIn(m *dns.Msg) string {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if c, ok := o.(*dns.EDNS0_COOKIE); ok {
				return c.Cookie
			}
		}
	}
	return ""
}

// TestCookieInEveryReply: whatever a request gets, its cookie comes with it, and a client without one gets
// none, also where both share an entry.
func TestCookieInEveryReply(t *testing.T) {
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf("large.eth. 300 IN A 192.0.2.%d", i)
	}
	b := newBench(t, cache.Config{}, func(_ context.Context, req *dns.Msg) (cache.Entry, error) {
		switch req.Question[0].Name {
		case "large.eth.":
			e := entry(req, time.Hour, dns.RcodeSuccess, many...)
			e.HasEDE, e.EDEText, e.Origin = true, "some text", []byte("{}")
			return e, nil
		case "failing.eth.":
			e := entry(req, time.Second, dns.RcodeServerFailure)
			e.Failure, e.HasEDE, e.EDECode = true, true, dns.ExtendedErrorCodeNetworkError
			return e, nil
		}
		return entry(req, time.Hour, dns.RcodeSuccess, aliceA), nil
	})
	axfr := func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR }
	notify := func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }
	for _, tt := range []struct {
		story, name string
		size        uint16
		change      func(*dns.Msg)
	}{
		{"a miss", "alice.eth.", 1232, nil}, {"a hit", "alice.eth.", 1232, nil},
		{"cut to 512", "large.eth.", 512, nil}, {"cut to 1232", "large.eth.", 4096, nil},
		{"a failure", "failing.eth.", 1232, nil}, {"a failure that is kept", "failing.eth.", 1232, nil},
		{"what is not kept", "alice.eth.", 1232, axfr}, {"a broken request", "alice.eth.", 1232, notify},
	} {
		for _, by := range []wire.Protocol{wire.UDP, wire.TCP, wire.DoT, wire.DoH} {
			from := cookied(by, wire.CookieValid)
			change := func(m *dns.Msg) {
				if tt.change != nil {
					tt.change(m)
				}
			}
			raw := serve(t.Context(), b.Cache, request(t, tt.name, dns.TypeA, withCookie(tt.size), change), from, nil)
			if limit := min(int(tt.size), 1232); by == wire.UDP && len(raw) > limit {
				t.Errorf("%s: %d octets", tt.story, len(raw))
			}
			if got, want := cookieIn(unpack(t, raw)), hex.EncodeToString(from.Cookie.Value[:]); got != want {
				t.Errorf("%s by %s: cookie %q, want %q", tt.story, by, got, want)
			}
			raw = serve(t.Context(), b.Cache, request(t, tt.name, dns.TypeA, edns(tt.size), change), peer(by), nil)
			if got := cookieIn(unpack(t, raw)); got != "" {
				t.Errorf("%s by %s without a cookie: %q", tt.story, by, got)
			}
		}
	}
	for _, m := range b.source.seen {
		if cookieIn(m) != "" && m.Question[0].Qtype != dns.TypeAXFR {
			t.Errorf("the source was shown a client's cookie: %v", m)
		}
	}
}

// TestProbe: a request without a question tells what a server cookie is worth (RFC 7873 section 5.4).
func TestProbe(t *testing.T) {
	b := newBench(t, cache.Config{}, always(time.Hour, aliceA))
	m := new(dns.Msg)
	withCookie(1232)(m)
	req, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for state, rcode := range map[wire.CookieState]int{
		wire.CookieNone: dns.RcodeFormatError, wire.CookieClient: dns.RcodeSuccess,
		wire.CookieValid: dns.RcodeSuccess, wire.CookieBad: dns.RcodeBadCookie,
	} {
		reply := unpack(t, serve(t.Context(), b.Cache, req, cookied(wire.UDP, state), nil))
		if reply.Rcode != rcode || len(reply.Question)+len(reply.Answer) > 0 || (cookieIn(reply) == "") != (state == wire.CookieNone) {
			t.Errorf("%s: %v", state, reply)
		}
	}
	if b.source.count() != 0 {
		t.Error("the source was asked")
	}
}

func TestHitWithCookieAllocatesNothing(t *testing.T) {
	c, reqs := warm(t, 100, withCookie(1232))
	buf := make([]byte, 0, 1232)
	ctx, from, i := t.Context(), cookied(wire.UDP, wire.CookieValid), 0
	if n := testing.AllocsPerRun(1000, func() {
		buf = serve(ctx, c, reqs[i%len(reqs)], from, buf)
		i++
	}); n != 0 {
		t.Errorf("%v allocations for each hit", n)
	}
	if cookieIn(unpack(t, buf)) == "" {
		t.Error("no cookie")
	}
}
