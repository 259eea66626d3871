package cache_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/cache"
	"dens/internal/wire"
)

// FuzzServe sends any request twice, and holds the replies to what every reply must be.
func FuzzServe(f *testing.F) {
	f.Add(request(f, "Alice.eth.", dns.TypeA), uint8(wire.UDP))
	f.Add(request(f, "alice.eth.", dns.TypeTXT, do), uint8(wire.TCP))
	f.Add(request(f, "large.eth.", dns.TypeA, origin), uint8(wire.UDP))
	f.Add(request(f, "a.", dns.TypeAXFR, edns(512)), uint8(wire.DoH))
	f.Add(request(f, "a.", dns.TypeA, edns(1232), func(m *dns.Msg) { m.IsEdns0().SetVersion(1) }), uint8(wire.UDP))
	f.Add(request(f, "large.eth.", dns.TypeA, withCookie(512)), uint8(wire.UDP))
	f.Add(request(f, "large.eth.", dns.TypeA, padded, keepalive()), uint8(wire.DoT))
	f.Add(request(f, "alice.eth.", dns.TypeA, keepalive(1, 2)), uint8(wire.TCP))
	f.Add([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, uint8(wire.UDP))
	src := &source{answer: func(_ context.Context, req *dns.Msg) (cache.Entry, error) {
		e := entry(req, time.Hour, dns.RcodeSuccess)
		for i := range len(req.Question[0].Name) {
			// The owner is the question's: as in a real reply it is compressed to a pointer.
			rr := []byte{0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, byte(i)}
			e.Wire = append(e.Wire, rr...)
			binary.BigEndian.PutUint16(e.Wire[6:], uint16(i+1))
		}
		e.HasEDE, e.EDEText, e.Origin = true, "some text", []byte("{}")
		return e, nil
	}}
	c := cache.New(cache.NewMemory(cache.MemoryConfig{Entries: 1000}), src, cache.Config{Log: slog.New(slog.DiscardHandler)})
	f.Fuzz(func(t *testing.T, req []byte, by uint8) {
		before := bytes.Clone(req)
		from := peer(wire.Protocol(int(by) % wire.Protocols))
		if asked := wire.Peek(req); len(asked.Cookie(req)) > 0 {
			from = cookied(from.Protocol, wire.CookieClient)
		}
		first := serve(t.Context(), c, req, from, nil)
		second := serve(t.Context(), c, req, from, make([]byte, 0, 4096))
		if !bytes.Equal(before, req) {
			t.Fatal("the request was changed")
		}
		r := wire.Peek(req)
		if len(first) != len(second) {
			t.Fatalf("miss %x, hit %x", first, second)
		}
		if len(first) == 0 {
			// A source that cannot read the request stays silent; it sees those as they came.
			if r.Kind != wire.Silent && r.Kind != wire.Other {
				t.Fatalf("no reply to kind %d", r.Kind)
			}
			return
		}
		m := unpack(t, first)
		if (cookieIn(m) != "") != (from.Cookie.State != wire.CookieNone) {
			t.Fatalf("cookie: %v", m)
		}
		if m.Id != r.ID || !m.Response || (m.IsEdns0() != nil) != r.EDNS || m.RecursionDesired != r.RD() {
			t.Fatalf("%v", m)
		}
		if from.Protocol == wire.UDP && len(first) > min(r.UDPSize, 1232) {
			t.Fatalf("%d octets for a client that takes %d", len(first), r.UDPSize)
		}
		if pads := r.Padding && from.Protocol.Encrypted(); has(m, dns.EDNS0PADDING) != pads || pads && len(first)%468 != 0 {
			t.Fatalf("%d octets: %v", len(first), m)
		}
		if r.HasQuestion && !bytes.Equal(first[12:r.QuestionEnd], r.Question(req)) {
			t.Fatalf("question %x, reply %x", r.Question(req), first)
		}
	})
}

// TestConcurrently lets everything happen at once, for the race detector, and checks that no reply is
// another question's.
func TestConcurrently(t *testing.T) {
	src := &source{answer: func(_ context.Context, req *dns.Msg) (cache.Entry, error) {
		var n int
		name := req.Question[0].Name
		if _, err := fmt.Sscanf(name, "n%d.eth.", &n); err != nil {
			return cache.Entry{}, err
		}
		if rand.IntN(10) == 0 {
			e := entry(req, time.Second, dns.RcodeServerFailure)
			e.Failure = true
			return e, nil
		}
		e := entry(req, 20*time.Millisecond, dns.RcodeSuccess, fmt.Sprintf("%s 1 IN A 192.0.2.%d", name, n))
		e.Tags = []string{name}
		return e, nil
	}}
	store := cache.NewMemory(cache.MemoryConfig{Entries: 40})
	cfg := cache.Config{Stale: 50 * time.Millisecond, FailureTTL: 5 * time.Millisecond, MaxFlights: 20, Log: slog.New(slog.DiscardHandler)}
	c := cache.New(store, src, cfg)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			buf := make([]byte, 0, 512)
			for i := range 1500 {
				n := rand.IntN(60)
				req := request(t, fmt.Sprintf("N%d.eth.", n), dns.TypeA, func(m *dns.Msg) { m.Id = uint16(i) })
				buf = serve(t.Context(), c, req, peer(wire.TCP), buf)
				m := unpack(t, buf)
				for _, rr := range m.Answer {
					if a, ok := rr.(*dns.A); !ok || int(a.A.To4()[3]) != n {
						t.Errorf("n%d: %v", n, m)
					}
				}
				if m.Id != uint16(i) || len(m.Answer) == 0 && m.Rcode != dns.RcodeServerFailure {
					t.Errorf("%v", m)
				}
				if i%50 == 0 {
					c.Drop(fmt.Sprintf("n%d.eth.", n))
				}
				if g == 0 && i%100 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if st := store.Stats(); st.Entries > 40 {
		t.Errorf("%+v", st)
	}
	if st := c.Stats(); st.Flights != 0 {
		t.Errorf("%+v", st)
	}
}
