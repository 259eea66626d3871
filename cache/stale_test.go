package cache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dens/cache"
)

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

// TestStaleIsNotAuthentic: what has expired is no longer vouched for, until it was looked up again.
func TestStaleIsNotAuthentic(t *testing.T) {
	for story, asks := range map[string]func(*dns.Msg){"AD": func(m *dns.Msg) { m.AuthenticatedData = true }, "DO": do} {
		t.Run(story, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fresh := always(time.Minute, aliceA)
				b := newBench(t, cache.Config{Stale: time.Hour}, fresh)
				for i, tt := range []struct {
					outcome cache.Outcome
					answer  func(context.Context, *dns.Msg) (cache.Entry, error)
				}{{cache.Miss, fresh}, {cache.Stale, failing}, {cache.Stale, failing}, {cache.Miss, fresh}, {cache.Stale, failing}} {
					b.source.set(tt.answer)
					m := b.ask("alice.eth.", dns.TypeA, asks)
					if m.AuthenticatedData != (tt.outcome != cache.Stale) || len(m.Answer) != 1 || b.events.last(t).Outcome != tt.outcome {
						t.Errorf("%d: %v: %v", i, b.events.last(t).Outcome, m)
					}
					time.Sleep(2 * time.Minute)
				}
			})
		})
	}
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

func TestNoPrefetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, cache.Config{NoPrefetch: true}, always(100*time.Second, aliceA))
		for _, sleep := range []time.Duration{0, 50 * time.Second, 10 * time.Second, 35 * time.Second} {
			time.Sleep(sleep)
			b.ask("alice.eth.", dns.TypeA)
			synctest.Wait()
		}
		b.want(cache.Hit, 1)
	})
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
