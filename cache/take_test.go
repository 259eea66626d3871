package cache_test

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"dens/cache"
	"dens/internal/wire"
	"dens/server/intake"
	"dens/web"
)

// BenchmarkTake is all that a hit takes between a transport's reading and writing: the guards and cookies, the
// cache, and the metrics. The clock is read once for a batch, as transports do.
func BenchmarkTake(b *testing.B) {
	for _, bm := range []struct {
		name   string
		change []func(*dns.Msg)
		extra  bool
	}{
		{"plain", nil, false},
		{"edns", []func(*dns.Msg){edns(1232)}, false},
		{"on-chain", []func(*dns.Msg){edns(1232)}, true},
		{"cookie", []func(*dns.Msg){withCookie(1232)}, true},
	} {
		in, reqs := benchIntake(b, bm.extra, bm.change...)
		var readers atomic.Uint32
		run := func(next func() bool) {
			r := reader{in: in, id: uint8(readers.Add(1)), buf: make([]byte, 0, 1232)}
			for i := 0; next(); i++ {
				if i%batch == 0 {
					r.now = time.Now()
				}
				if !r.take(reqs[i%len(reqs)]) {
					b.Fatal("no hit")
				}
			}
		}
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			run(b.Loop)
		})
		b.Run(bm.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) { run(pb.Next) })
		})
	}
}

const batch = 32

// reader is a transport's goroutine.
type reader struct {
	in  *intake.Intake
	id  uint8
	q   wire.Query
	now time.Time
	buf []byte
}

var client = netip.MustParseAddrPort("192.0.2.1:4711")

func (r *reader) take(req []byte) bool {
	r.q.Msg, r.q.Start, r.q.Reader = req, r.now, r.id
	r.q.From = wire.Peer{Addr: client}
	reply, done := r.in.Take(&r.q, r.buf)
	return done && len(reply) > len(req)
}

// benchIntake has 10,000 warm names.
func benchIntake(b testing.TB, extra bool, change ...func(*dns.Msg)) (*intake.Intake, [][]byte) {
	m, err := web.NewMetrics(prometheus.NewRegistry(), "1", web.Sources{})
	if err != nil {
		b.Fatal(err)
	}
	src := &source{answer: always(time.Hour, "n.eth. 300 IN A 192.0.2.1")}
	if extra {
		src.answer = onchain
	}
	c := cache.New(cache.NewMemory(cache.MemoryConfig{}), src, cache.Config{Observe: func(e cache.Event) {
		m.Observe(web.Observation{
			Protocol: web.Label(e.Protocol), Outcome: web.Label(e.Outcome), Zone: web.Label(e.Zone), Reader: e.Reader,
			Type: e.Type, Rcode: e.Rcode, Took: e.Duration,
		})
	}})
	stats := new(intake.Stats)
	access := intake.NewAccess([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")}, stats)
	in := intake.New(intake.Config{Cookies: intake.NewCookies(), Stats: stats}, c, access)
	reqs := make([][]byte, 10000)
	for i := range reqs {
		reqs[i] = request(b, fmt.Sprintf("Host%d.eth.", i), dns.TypeA, append(change, func(m *dns.Msg) { m.Id = uint16(i) })...)
		if reply := serve(b.Context(), c, reqs[i], peer(wire.UDP), nil); len(reply) == 0 {
			b.Fatal("no reply")
		}
	}
	return in, reqs
}
