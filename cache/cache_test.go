package cache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dens/cache"
	"dens/internal/wire"
)

const (
	aliceA = "alice.eth. 300 IN A 192.0.2.1"
	aliceB = "alice.eth. 300 IN A 192.0.2.2"
	soa    = "eth. 3600 IN SOA ns.eth. root.eth. 1 2 3 4 3600"
)

func TestHit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, cache.Config{}, always(300*time.Second, aliceA))
		b.ask("alice.eth.", dns.TypeA)
		b.want(cache.Miss, 1)

		time.Sleep(100*time.Second + 500*time.Millisecond)
		m := b.ask("aLiCe.ETH.", dns.TypeA, func(m *dns.Msg) { m.Id, m.RecursionDesired = 77, false })
		b.want(cache.Hit, 1)
		if m.Id != 77 || m.RecursionDesired || !m.RecursionAvailable || m.Question[0].Name != "aLiCe.ETH." ||
			m.AuthenticatedData || m.IsEdns0() != nil {
			t.Errorf("%v", m)
		}
		if ttl := m.Answer[0].Header().Ttl; ttl != 200 {
			t.Errorf("TTL %d, want 200", ttl)
		}
		if m := b.ask("alice.eth.", dns.TypeA, func(m *dns.Msg) { m.AuthenticatedData = true }); !m.AuthenticatedData {
			t.Error("AD was asked for and is missing")
		}
		m = b.ask("alice.eth.", dns.TypeA, edns(4096))
		if o := m.IsEdns0(); o == nil || o.UDPSize() != 1232 || o.Do() || m.AuthenticatedData {
			t.Errorf("%v", m)
		}
		b.want(cache.Hit, 1)

		m = b.ask("alice.eth.", dns.TypeA, do)
		b.want(cache.Miss, 2) // with signatures it is another reply
		if o := m.IsEdns0(); o == nil || !o.Do() || !m.AuthenticatedData {
			t.Errorf("%v", m)
		}
		b.ask("alice.eth.", dns.TypeA, func(m *dns.Msg) { m.CheckingDisabled = true })
		b.want(cache.Miss, 3)

		time.Sleep(199*time.Second + 500*time.Millisecond)
		b.ask("alice.eth.", dns.TypeA)
		b.want(cache.Miss, 4) // at 300 seconds it is no longer fresh
		if ev := b.events.last(t); ev.Type != dns.TypeA || ev.Zone != "onchain" || ev.Protocol != wire.UDP {
			t.Errorf("%+v", ev)
		}
	})
}

func TestTTLs(t *testing.T) {
	cfg := cache.Config{MaxTTL: time.Hour, NegativeTTL: 10 * time.Minute, FailureTTL: 2 * time.Second}
	tests := []struct {
		story string
		ttl   time.Duration
		rcode int
		rrs   []string
		fail  bool
		lives time.Duration // 0: not kept
		shows uint32        // the greatest TTL in the first reply
	}{
		{story: "an answer", ttl: 300 * time.Second, rrs: []string{aliceA}, lives: 300 * time.Second, shows: 300},
		{story: "a long one is capped", ttl: 48 * time.Hour, rrs: []string{"alice.eth. 172800 IN A 192.0.2.1"}, lives: time.Hour, shows: 3600},
		{story: "NXDOMAIN is capped lower", ttl: time.Hour, rcode: dns.RcodeNameError, rrs: []string{soa}, lives: 10 * time.Minute, shows: 600},
		{story: "and so is NODATA", ttl: time.Hour, rrs: []string{soa}, lives: 10 * time.Minute, shows: 600},
		{story: "NODATA for a short while", ttl: time.Minute, rrs: []string{soa}, lives: time.Minute, shows: 600},
		{story: "zero is not kept", ttl: 0, rrs: []string{"alice.eth. 0 IN A 192.0.2.1"}},
		{story: "a failure is kept for seconds", ttl: time.Hour, rcode: dns.RcodeServerFailure, fail: true, lives: 2 * time.Second},
		{story: "or less", ttl: time.Second, rcode: dns.RcodeServerFailure, fail: true, lives: time.Second},
		{story: "or not at all", rcode: dns.RcodeServerFailure, fail: true},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, cfg, func(_ context.Context, req *dns.Msg) (cache.Entry, error) {
					e := entry(req, tt.ttl, tt.rcode, tt.rrs...)
					e.Failure = tt.fail
					return e, nil
				})
				m := b.ask("alice.eth.", dns.TypeA)
				if m.Rcode != tt.rcode {
					t.Errorf("rcode %d, want %d", m.Rcode, tt.rcode)
				}
				for _, rr := range append(m.Answer, m.Ns...) {
					if rr.Header().Ttl != tt.shows {
						t.Errorf("%v, want TTL %d", rr, tt.shows)
					}
				}
				if tt.lives > 0 {
					time.Sleep(tt.lives - time.Millisecond)
					b.ask("alice.eth.", dns.TypeA)
					b.want(cache.Hit, 1)
					time.Sleep(time.Millisecond)
				}
				b.ask("alice.eth.", dns.TypeA)
				b.want(cache.Miss, 2)
			})
		})
	}
}

func TestOneFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, cache.Config{}, func(_ context.Context, req *dns.Msg) (cache.Entry, error) {
			time.Sleep(time.Second)
			return entry(req, time.Minute, dns.RcodeSuccess, aliceA), nil
		})
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				name := []byte("alice.eth.")
				for bit := range 5 {
					if i>>bit&1 == 1 {
						name[bit] -= 'a' - 'A'
					}
				}
				m := b.askBy(wire.Protocol(i%4), string(name), dns.TypeA, func(m *dns.Msg) { m.Id = uint16(i) })
				if m.Id != uint16(i) || m.Question[0].Name != string(name) || len(m.Answer) != 1 {
					t.Errorf("%v", m)
				}
			})
		}
		wg.Wait()
		b.want(cache.Miss, 1)
		seen := b.source.seen[0]
		if seen.Question[0].Name != "alice.eth." || seen.Id != 0 {
			t.Errorf("the source saw one client's own request: %v", seen)
		}
	})
}

func TestFirstClientGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, cache.Config{}, func(ctx context.Context, req *dns.Msg) (cache.Entry, error) {
			select {
			case <-time.After(3 * time.Second):
				return entry(req, time.Minute, dns.RcodeSuccess, aliceA), nil
			case <-ctx.Done():
				return cache.Entry{}, ctx.Err()
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		m := unpack(t, b.raw(ctx, wire.TCP, request(t, "alice.eth.", dns.TypeA)))
		if m.Rcode != dns.RcodeServerFailure {
			t.Errorf("%v", m)
		}
		if m := b.ask("alice.eth.", dns.TypeA); len(m.Answer) != 1 {
			t.Errorf("%v", m)
		}
		b.want(cache.Miss, 1)
	})
}

func TestStale(t *testing.T) {
	cfg := cache.Config{Stale: time.Hour}
	synctest.Test(t, func(t *testing.T) {
		withOrigin := func(_ context.Context, req *dns.Msg) (cache.Entry, error) {
			e := entry(req, 5*time.Minute, dns.RcodeSuccess, aliceA)
			e.Origin = []byte(`{"block":1}`)
			return e, nil
		}
		b := newBench(t, cfg, withOrigin)
		b.ask("alice.eth.", dns.TypeA)
		time.Sleep(10 * time.Minute)

		// The backends are down.
		b.source.set(failing)
		stale := func() {
			t.Helper()
			m := b.ask("alice.eth.", dns.TypeA, origin)
			if len(m.Answer) != 1 || m.Answer[0].Header().Ttl != 30 || ede(m) != 3 || m.Rcode != dns.RcodeSuccess {
				t.Errorf("%v", m)
			}
			if len(m.IsEdns0().Option) != 2 {
				t.Errorf("the origin is missing: %v", m)
			}
		}
		stale()
		b.want(cache.Stale, 2)
		time.Sleep(1900 * time.Millisecond)
		stale()
		b.want(cache.Stale, 2) // not asked again so soon
		time.Sleep(200 * time.Millisecond)
		stale()
		b.want(cache.Stale, 3)

		// They return.
		b.source.set(withOrigin)
		time.Sleep(3 * time.Second)
		if m := b.ask("alice.eth.", dns.TypeA); m.Answer[0].Header().Ttl != 300 {
			t.Errorf("%v", m)
		}
		b.want(cache.Miss, 4)

		// And are down for longer than stale data may be used.
		b.source.set(failing)
		time.Sleep(5*time.Minute + time.Hour)
		if m := b.ask("alice.eth.", dns.TypeA, edns(1232)); m.Rcode != dns.RcodeServerFailure || ede(m) != 22 {
			t.Errorf("%v", m)
		}
		b.want(cache.Miss, 5)
	})
}

func TestStaleWhileSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, cache.Config{Stale: time.Hour}, always(time.Minute, aliceA))
		b.ask("alice.eth.", dns.TypeA)
		time.Sleep(2 * time.Minute)
		b.source.set(func(_ context.Context, req *dns.Msg) (cache.Entry, error) {
			time.Sleep(4 * time.Second)
			return entry(req, time.Minute, dns.RcodeSuccess, aliceB), nil
		})
		tests := []struct {
			story   string
			sleep   time.Duration
			takes   time.Duration
			outcome cache.Outcome
			address string
		}{
			{"the first waits for a while", 0, 1800 * time.Millisecond, cache.Stale, "192.0.2.1"},
			{"the next does not wait again", 0, 0, cache.Stale, "192.0.2.1"},
			{"the refresh went on", 3 * time.Second, 0, cache.Hit, "192.0.2.2"},
		}
		for _, tt := range tests {
			time.Sleep(tt.sleep)
			start := time.Now()
			m := b.ask("alice.eth.", dns.TypeA)
			if took := time.Since(start); took != tt.takes || m.Answer[0].(*dns.A).A.String() != tt.address {
				t.Errorf("%s: took %v: %v", tt.story, took, m)
			}
			b.want(tt.outcome, 2)
		}
	})
}

func TestStaleKinds(t *testing.T) {
	tests := []struct {
		story string
		rcode int
		then  func(context.Context, *dns.Msg) (cache.Entry, error)
		ede   int
	}{
		{"NXDOMAIN has a code of its own", dns.RcodeNameError, failing, 19},
		{"NODATA", dns.RcodeSuccess, failing, 3},
		{"an error is a failure", dns.RcodeSuccess, func(context.Context, *dns.Msg) (cache.Entry, error) {
			return cache.Entry{}, errors.New("down")
		}, 3},
		{"so is a panic", dns.RcodeSuccess, func(context.Context, *dns.Msg) (cache.Entry, error) { panic("oh") }, 3},
		{"so is a reply that is none", dns.RcodeSuccess, func(context.Context, *dns.Msg) (cache.Entry, error) {
			return cache.Entry{Wire: []byte("what?"), TTL: time.Hour}, nil
		}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, cache.Config{Stale: time.Hour}, func(_ context.Context, req *dns.Msg) (cache.Entry, error) {
					return entry(req, time.Minute, tt.rcode, soa), nil
				})
				b.ask("alice.eth.", dns.TypeA)
				time.Sleep(2 * time.Minute)
				b.source.set(tt.then)
				m := b.ask("alice.eth.", dns.TypeA, edns(1232))
				if m.Rcode != tt.rcode || ede(m) != tt.ede || len(m.Ns) != 1 || m.Ns[0].Header().Ttl != 30 {
					t.Errorf("%v", m)
				}
				b.want(cache.Stale, 2)
			})
		})
	}
}

func TestPrefetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, cache.Config{}, always(100*time.Second, aliceA))
		steps := []struct {
			sleep   time.Duration
			outcome cache.Outcome
			calls   int
		}{
			{0, cache.Miss, 1},
			{10 * time.Second, cache.Hit, 1},
			{79 * time.Second, cache.Hit, 1},      // popular, and young enough
			{time.Second, cache.Prefetch, 2},      // 10 seconds are left
			{0, cache.Hit, 2},                     // a new entry
			{20 * time.Second, cache.Hit, 2},      // which outlives the old one
			{85 * time.Second, cache.Miss, 3},     // and expires
			{95 * time.Second, cache.Hit, 3},      // one late hit does not make a name popular
			{100 * time.Second, cache.Miss, 4},    //
			{10 * time.Second, cache.Hit, 4},      //
			{85 * time.Second, cache.Prefetch, 5}, // a second hit does
		}
		for i, s := range steps {
			time.Sleep(s.sleep)
			b.ask("alice.eth.", dns.TypeA)
			synctest.Wait()
			b.want(s.outcome, s.calls)
			if t.Failed() {
				t.Fatalf("at step %d", i)
			}
		}
		// A refresh that fails leaves the entry alone, and is not repeated.
		time.Sleep(10 * time.Second)
		b.ask("alice.eth.", dns.TypeA)
		b.source.set(failing)
		time.Sleep(85 * time.Second)
		b.ask("alice.eth.", dns.TypeA)
		synctest.Wait()
		b.want(cache.Prefetch, 6)
		if m := b.ask("alice.eth.", dns.TypeA); len(m.Answer) != 1 {
			t.Errorf("%v", m)
		}
		b.want(cache.Hit, 6)
	})
}

func TestDrop(t *testing.T) {
	tagged := func(_ context.Context, req *dns.Msg) (cache.Entry, error) {
		time.Sleep(time.Second)
		e := entry(req, time.Hour, dns.RcodeSuccess)
		e.Tags = []string{"zone:eth", "node:" + req.Question[0].Name}
		return e, nil
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, cache.Config{Stale: time.Hour}, tagged)
		b.ask("alice.eth.", dns.TypeA)
		b.ask("bob.eth.", dns.TypeA)
		if n := b.Drop("node:alice.eth.", "node:nobody.eth."); n != 1 {
			t.Errorf("%d dropped, want 1", n)
		}
		time.Sleep(time.Millisecond) // what begins in the instant of a drop counts as before it
		b.ask("bob.eth.", dns.TypeA)
		b.want(cache.Hit, 2)
		b.ask("alice.eth.", dns.TypeA)
		b.want(cache.Miss, 3)
		if n := b.Drop("zone:eth", "node:bob.eth."); n != 2 {
			t.Errorf("%d dropped, want 2", n)
		}
		if st := b.store.Stats(); st.Entries != 0 || st.Bytes != 0 {
			t.Errorf("%+v", st)
		}

		// What was looked up before the drop is not kept after it.
		go b.ask("alice.eth.", dns.TypeA)
		time.Sleep(500 * time.Millisecond)
		b.Drop("node:alice.eth.")
		time.Sleep(time.Second)
		b.ask("alice.eth.", dns.TypeA)
		b.want(cache.Miss, 5)
		b.ask("alice.eth.", dns.TypeA)
		b.want(cache.Hit, 5)

		// Neither when too many were dropped to tell.
		go b.ask("carol.eth.", dns.TypeA)
		time.Sleep(500 * time.Millisecond)
		for i := range 5000 {
			b.Drop(fmt.Sprintf("other:%d", i))
		}
		time.Sleep(time.Second)
		b.ask("carol.eth.", dns.TypeA)
		b.want(cache.Miss, 7)
	})
}

func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, cache.Config{MaxFlights: 10, Stale: time.Hour}, always(time.Minute, aliceA))
		b.ask("alice.eth.", dns.TypeA)
		time.Sleep(2 * time.Minute)
		b.source.set(func(ctx context.Context, _ *dns.Msg) (cache.Entry, error) {
			<-ctx.Done()
			return cache.Entry{}, ctx.Err()
		})
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() { b.ask(fmt.Sprintf("n%d.eth.", i), dns.TypeA) })
		}
		synctest.Wait()
		if m := b.ask("another.eth.", dns.TypeA, edns(1232)); m.Rcode != dns.RcodeServerFailure || ede(m) != 0 {
			t.Errorf("%v", m)
		}
		b.want(cache.Shed, 11)
		if m := b.ask("version.bind.", dns.TypeTXT, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }); m.Rcode != dns.RcodeServerFailure {
			t.Errorf("%v", m)
		}
		b.want(cache.Shed, 11)
		if m := b.ask("alice.eth.", dns.TypeA); len(m.Answer) != 1 {
			t.Errorf("%v", m)
		}
		b.want(cache.Stale, 11)
		if st := b.Stats(); st.Flights != 10 || st.Shed != 3 {
			t.Errorf("%+v", st)
		}
		wg.Wait() // until the timeout
		if m := b.ask("n1.eth.", dns.TypeA, edns(1232)); m.Rcode != dns.RcodeServerFailure || ede(m) != 22 {
			t.Errorf("%v", m)
		}
		b.want(cache.Hit, 11) // the failure is kept
		if st := b.Stats(); st.Flights != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestSourceTrouble(t *testing.T) {
	tests := []struct {
		story  string
		answer func(context.Context, *dns.Msg) (cache.Entry, error)
		silent bool
		rcode  int
		ede    int
	}{
		{story: "a panic", answer: func(context.Context, *dns.Msg) (cache.Entry, error) { panic("oh") }, rcode: dns.RcodeServerFailure},
		{story: "an error is silence", answer: func(context.Context, *dns.Msg) (cache.Entry, error) { return cache.Entry{}, errors.New("no") }, silent: true},
		{story: "no reply", answer: func(context.Context, *dns.Msg) (cache.Entry, error) { return cache.Entry{TTL: time.Hour}, nil }, rcode: dns.RcodeServerFailure},
		{story: "a reply to another question", answer: func(context.Context, *dns.Msg) (cache.Entry, error) {
			m := new(dns.Msg)
			m.SetQuestion("mallo.eth.", dns.TypeA)
			return entry(m, time.Hour, 0, aliceA), nil
		}, rcode: dns.RcodeServerFailure},
		{story: "a reply to another type", answer: func(context.Context, *dns.Msg) (cache.Entry, error) {
			m := new(dns.Msg)
			m.SetQuestion("alice.eth.", dns.TypeTXT)
			return entry(m, time.Hour, 0, aliceA), nil
		}, rcode: dns.RcodeServerFailure},
		{story: "a reply without a question", answer: func(context.Context, *dns.Msg) (cache.Entry, error) {
			return cache.Entry{Wire: []byte{0, 0, 0x80, 5, 0, 0, 0, 0, 0, 0, 0, 0}, HasEDE: true, EDECode: 20}, nil
		}, rcode: dns.RcodeRefused, ede: 20},
		{story: "an extended rcode", answer: func(_ context.Context, req *dns.Msg) (cache.Entry, error) {
			e := entry(req, 0, 0)
			e.Rcode, e.HasEDE = 23, true
			return e, nil
		}, rcode: dns.RcodeBadCookie},
		{story: "a source that never returns", answer: func(_ context.Context, req *dns.Msg) (cache.Entry, error) {
			time.Sleep(time.Minute)
			return entry(req, 0, 0), nil
		}, rcode: dns.RcodeServerFailure},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, cache.Config{}, tt.answer)
				start := time.Now()
				reply := b.raw(t.Context(), wire.UDP, request(t, "Alice.eth.", dns.TypeA, edns(1232)))
				if time.Since(start) > 9*time.Second {
					t.Errorf("took %v", time.Since(start))
				}
				if tt.silent {
					if len(reply) != 0 {
						t.Errorf("%x", reply)
					}
					b.want(cache.Silent, 1)
					return
				}
				m := unpack(t, reply)
				if m.Rcode != tt.rcode || ede(m) != tt.ede || m.Id != 0x1234 || m.Question[0].Name != "Alice.eth." {
					t.Errorf("%v", m)
				}
				time.Sleep(2 * time.Minute)
				if n := b.Stats().Flights; n != 0 {
					t.Errorf("%d flights are left", n)
				}
			})
		})
	}
}

func TestNotKept(t *testing.T) {
	b := newBench(t, cache.Config{}, func(_ context.Context, req *dns.Msg) (cache.Entry, error) {
		return entry(req, time.Hour, dns.RcodeRefused), nil
	})
	tests := []struct {
		story   string
		req     []byte
		rcode   int
		outcome cache.Outcome
		calls   int
	}{
		{"AXFR", request(t, "eth.", dns.TypeAXFR), dns.RcodeRefused, cache.Uncached, 1},
		{"AXFR again", request(t, "eth.", dns.TypeAXFR), dns.RcodeRefused, cache.Uncached, 2},
		{"trailing garbage", append(request(t, "eth.", dns.TypeA), 1), dns.RcodeFormatError, cache.Uncached, 2},
		{"NOTIFY", request(t, "eth.", dns.TypeA, func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), dns.RcodeNotImplemented, cache.Uncached, 2},
		{"EDNS version 1", request(t, "eth.", dns.TypeA, edns(1232), func(m *dns.Msg) { m.IsEdns0().SetVersion(1) }), dns.RcodeBadVers, cache.Uncached, 2},
		{"short", []byte{1}, -1, cache.Silent, 2},
		{"a reply", request(t, "eth.", dns.TypeA, func(m *dns.Msg) { m.Response = true }), -1, cache.Silent, 2},
	}
	for _, tt := range tests {
		reply := b.raw(t.Context(), wire.UDP, tt.req)
		if tt.rcode < 0 {
			if len(reply) != 0 {
				t.Errorf("%s: %x", tt.story, reply)
			}
		} else if m := unpack(t, reply); m.Rcode != tt.rcode || int(b.events.last(t).Rcode) != tt.rcode {
			t.Errorf("%s: %v", tt.story, m)
		}
		b.want(tt.outcome, tt.calls)
	}
}

func TestSizes(t *testing.T) {
	var large []string
	for i := range 200 {
		large = append(large, fmt.Sprintf("alice.eth. 300 IN A 192.0.%d.%d", i/100, i%100))
	}
	b := newBench(t, cache.Config{}, func(_ context.Context, req *dns.Msg) (cache.Entry, error) {
		switch req.Question[0].Name {
		case "alice.eth.":
			return entry(req, time.Hour, 0, large...), nil
		case "ede.eth.":
			e := entry(req, time.Hour, 0, large[:30]...) // 518 octets with OPT, 524 with the code, 724 with the text
			e.HasEDE, e.EDECode, e.EDEText = true, 4, strings.Repeat("x", 200)
			return e, nil
		default:
			e := entry(req, time.Hour, 0, large[0])
			e.Origin = []byte(`{"name":"` + strings.Repeat("x", 1000) + `"}`)
			return e, nil
		}
	})
	tests := []struct {
		story   string
		by      wire.Protocol
		name    string
		change  []func(*dns.Msg)
		size    int
		answers int
		tc      bool
		options int
	}{
		{"UDP without EDNS", wire.UDP, "alice.eth.", nil, 512, 0, true, 0},
		{"UDP with a large buffer", wire.UDP, "alice.eth.", []func(*dns.Msg){edns(65535)}, 1232, 0, true, 0},
		{"TCP", wire.TCP, "alice.eth.", nil, 65535, 200, false, 0},
		{"DoH with EDNS", wire.DoH, "alice.eth.", []func(*dns.Msg){edns(512)}, 65535, 200, false, 0},
		{"the extended error fits", wire.UDP, "ede.eth.", []func(*dns.Msg){edns(1232)}, 1232, 30, false, 1},
		{"its text goes first", wire.UDP, "ede.eth.", []func(*dns.Msg){edns(700)}, 700, 30, false, 1},
		{"then the error itself", wire.UDP, "ede.eth.", []func(*dns.Msg){edns(522)}, 522, 30, true, 0},
		{"the origin fits", wire.UDP, "bob.eth.", []func(*dns.Msg){origin}, 1232, 1, false, 1},
		{"the origin does not", wire.UDP, "bob.eth.", []func(*dns.Msg){origin, func(m *dns.Msg) { m.IsEdns0().SetUDPSize(512) }}, 512, 1, false, 0},
		{"nobody asked for it", wire.TCP, "bob.eth.", []func(*dns.Msg){edns(1232)}, 65535, 1, false, 0},
		{"the origin by TCP", wire.TCP, "bob.eth.", []func(*dns.Msg){origin, func(m *dns.Msg) { m.IsEdns0().SetUDPSize(512) }}, 65535, 1, false, 1},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			reply := b.raw(t.Context(), tt.by, request(t, tt.name, dns.TypeA, tt.change...))
			m := unpack(t, reply)
			options := 0
			if o := m.IsEdns0(); o != nil {
				options = len(o.Option)
			} else if len(tt.change) != 0 {
				t.Error("no OPT record")
			}
			if len(reply) > tt.size || len(m.Answer) != tt.answers || m.Truncated != tt.tc || options != tt.options {
				t.Errorf("%d octets, %d answers, TC %v, %d options", len(reply), len(m.Answer), m.Truncated, options)
			}
		})
	}
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, cache.Config{}, always(time.Hour, aliceA))
		b.ask("alice.eth.", dns.TypeA)
		next := &bench{t: t, source: &source{answer: always(time.Hour, aliceB)}, events: &events{}}
		next.Cache = cache.New(b.store, next.source, cache.Config{Observe: next.events.add})
		b.source.set(func(_ context.Context, req *dns.Msg) (cache.Entry, error) {
			time.Sleep(3 * time.Second)
			return entry(req, time.Hour, dns.RcodeSuccess), nil
		})
		var wg sync.WaitGroup
		wg.Go(func() {
			if m := b.ask("bob.eth.", dns.TypeA); m.Rcode != dns.RcodeSuccess {
				t.Errorf("%v", m)
			}
		})
		synctest.Wait()
		start := time.Now()
		if err := b.Close(t.Context()); err != nil || time.Since(start) != 3*time.Second {
			t.Errorf("Close: %v after %v", err, time.Since(start))
		}
		wg.Wait()
		next.ask("alice.eth.", dns.TypeA)
		next.want(cache.Hit, 0)
		next.ask("bob.eth.", dns.TypeA)
		next.want(cache.Miss, 1) // the old cache stored no more
		if m := b.ask("late.eth.", dns.TypeA); m.Rcode != dns.RcodeSuccess {
			t.Errorf("a late request: %v", m)
		}
	})
}

func TestCloseInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, cache.Config{}, func(ctx context.Context, _ *dns.Msg) (cache.Entry, error) {
			<-ctx.Done()
			return cache.Entry{}, ctx.Err()
		})
		var wg sync.WaitGroup
		wg.Go(func() {
			if m := b.ask("alice.eth.", dns.TypeA); m.Rcode != dns.RcodeServerFailure {
				t.Errorf("%v", m)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		wg.Wait()
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Errorf("a second Close: %v", err)
		}
	})
}

// TestOvertake has a backend that swallows requests, then returns, while clients go on asking.
func TestOvertake(t *testing.T) {
	for _, late := range []string{"times out", "is answered late", "fails late"} {
		t.Run("the first request "+late, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, cache.Config{}, func(ctx context.Context, req *dns.Msg) (cache.Entry, error) {
					switch late {
					case "is answered late":
						time.Sleep(5 * time.Second)
						return entry(req, time.Hour, dns.RcodeSuccess, aliceA), nil
					case "fails late":
						time.Sleep(5 * time.Second)
						return failing(ctx, req)
					}
					<-ctx.Done()
					return cache.Entry{}, ctx.Err()
				})
				go b.raw(context.Background(), wire.UDP, request(t, "alice.eth.", dns.TypeA))
				synctest.Wait()
				b.source.set(always(time.Hour, aliceB))
				time.Sleep(2 * time.Second)
				go b.raw(context.Background(), wire.UDP, request(t, "alice.eth.", dns.TypeA))
				synctest.Wait()
				if n := b.source.count(); n != 1 {
					t.Errorf("asked %d times so early", n)
				}
				time.Sleep(500 * time.Millisecond)
				start := time.Now()
				if m := b.ask("alice.eth.", dns.TypeA); len(m.Answer) != 1 || time.Since(start) != 0 {
					t.Errorf("after %v: %v", time.Since(start), m)
				}
				b.want(cache.Miss, 2)
				time.Sleep(10 * time.Second)
				if m := b.ask("alice.eth.", dns.TypeA); len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != "192.0.2.2" {
					t.Errorf("what was overtaken came to last: %v", m)
				}
				b.want(cache.Hit, 2)
			})
		})
	}
}

// TestOvertakeStale has clients of a stale entry wait but once for a backend that hangs.
func TestOvertakeStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, cache.Config{Stale: time.Hour}, always(time.Minute, aliceA))
		b.ask("alice.eth.", dns.TypeA)
		time.Sleep(2 * time.Minute)
		b.source.set(func(ctx context.Context, _ *dns.Msg) (cache.Entry, error) {
			<-ctx.Done()
			return cache.Entry{}, ctx.Err()
		})
		start := time.Now()
		for range 20 {
			b.ask("alice.eth.", dns.TypeA)
			time.Sleep(300 * time.Millisecond)
		}
		if took := time.Since(start); took != 1800*time.Millisecond+20*300*time.Millisecond {
			t.Errorf("took %v", took)
		}
		b.want(cache.Stale, 4) // at 0, 2.7 and 5.4 seconds
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
