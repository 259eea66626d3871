package cache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dens/cache"
	"dens/internal/wire"
)

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
