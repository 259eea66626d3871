package cache_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/cache"
	"dens/internal/wire"
)

// warm returns a cache that holds names n0.eth. to n<count-1>.eth. and the requests for them.
func warm(t testing.TB, count int, change ...func(*dns.Msg)) (*cache.Cache, [][]byte) {
	seen := 0
	c := cache.New(cache.NewMemory(cache.MemoryConfig{}), &source{answer: always(time.Hour, aliceA)},
		cache.Config{Observe: func(e cache.Event) { seen += int(e.Outcome) }})
	reqs := make([][]byte, count)
	for i := range reqs {
		reqs[i] = request(t, fmt.Sprintf("N%d.eth.", i), dns.TypeA, change...)
		if reply := serve(t.Context(), c, reqs[i], peer(wire.UDP), nil); len(reply) == 0 {
			t.Fatal("no reply")
		}
	}
	if seen != count*int(cache.Miss) {
		t.Fatalf("%d, want a miss for each of %d", seen, count)
	}
	return c, reqs
}

func TestHitAllocatesNothing(t *testing.T) {
	tests := []struct {
		story  string
		by     wire.Protocol
		change []func(*dns.Msg)
	}{
		{"UDP", wire.UDP, nil},
		{"UDP with EDNS", wire.UDP, []func(*dns.Msg){edns(1232)}},
		{"DO", wire.UDP, []func(*dns.Msg){do}},
		{"TCP", wire.TCP, nil},
		{"the origin asked for", wire.UDP, []func(*dns.Msg){origin}},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			c, reqs := warm(t, 100, tt.change...)
			buf := make([]byte, 0, 1232)
			ctx, from, i := t.Context(), peer(tt.by), 0
			if n := testing.AllocsPerRun(1000, func() {
				buf = serve(ctx, c, reqs[i%len(reqs)], from, buf)
				i++
			}); n != 0 {
				t.Errorf("%v allocations for each hit", n)
			}
			if len(buf) == 0 {
				t.Error("no reply")
			}
		})
	}
}

func BenchmarkHit(b *testing.B) {
	for _, bm := range []struct {
		name   string
		change []func(*dns.Msg)
		cookie wire.CookieState
	}{
		{"plain", nil, wire.CookieNone},
		{"edns", []func(*dns.Msg){edns(1232)}, wire.CookieNone},
		{"cookie", []func(*dns.Msg){withCookie(1232)}, wire.CookieValid},
	} {
		b.Run(bm.name, func(b *testing.B) {
			c, reqs := warm(b, 10000, bm.change...)
			buf := make([]byte, 0, 1232)
			ctx, from := b.Context(), cookied(wire.UDP, bm.cookie)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				buf = serve(ctx, c, reqs[i%len(reqs)], from, buf)
				i++
			}
		})
		b.Run(bm.name+"/parallel", func(b *testing.B) {
			c, reqs := warm(b, 10000, bm.change...)
			ctx, from := b.Context(), cookied(wire.UDP, bm.cookie)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				buf := make([]byte, 0, 1232)
				for i := 0; pb.Next(); i++ {
					buf = serve(ctx, c, reqs[i%len(reqs)], from, buf)
				}
			})
		})
	}
}
