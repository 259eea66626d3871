package intake

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/wire"
)

func peer(proto wire.Protocol, addr string) wire.Peer {
	return wire.Peer{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 1234), Protocol: proto}
}

func TestAllows(t *testing.T) {
	a := NewAccess(prefixes("127.0.0.0/8", "10.0.0.0/8", "fe80::/10", "2001:db8::5/128"), new(Stats))
	for addr, want := range map[string]bool{
		"127.8.8.8": true, "::ffff:127.0.0.1": true, "10.1.2.3": true, "11.1.2.3": false, "fe80::1%eth0": true,
		"2001:db8::5": true, "2001:db8::6": false, "::1": false,
	} {
		if got := a.Allows(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Allows(%s) = %v, want %v", addr, got, want)
		}
	}
	if a.Allows(netip.Addr{}) {
		t.Error("the zero address is allowed")
	}
}

func TestAccessRefuses(t *testing.T) {
	stats := new(Stats)
	in := New(Config{Stats: stats}, handlerFunc(empty), NewAccess(prefixes("127.0.0.0/8"), stats))
	q := question("example.org")
	q.SetEdns0(1232, false)
	req := packed(t, q)
	for p := range wire.Protocols {
		by := wire.Protocol(p)
		var m dns.Msg
		if err := m.Unpack(take(in, req, peer(by, "192.0.2.1"))); err != nil {
			t.Fatal(err)
		}
		opt := m.IsEdns0()
		if m.Rcode != dns.RcodeRefused || m.Id != q.Id || opt == nil || len(opt.Option) != 1 {
			t.Fatalf("%s: %v", by, &m)
		}
		if ede, ok := opt.Option[0].(*dns.EDNS0_EDE); !ok || ede.InfoCode != dns.ExtendedErrorCodeProhibited {
			t.Errorf("%s: option %v", by, opt.Option[0])
		}
		if err := m.Unpack(take(in, req, peer(by, "127.0.0.1"))); err != nil || m.Rcode != dns.RcodeSuccess {
			t.Errorf("%s: %v, %v", by, m.Rcode, err)
		}
	}
	if got := stats.Refused.Load(); got != uint64(wire.Protocols) {
		t.Errorf("%d refused, want %d", got, wire.Protocols)
	}
}

func TestRateLimitBucket(t *testing.T) {
	r := NewRateLimit(RateConfig{Rate: 10, Burst: 5, Slip: 3}, new(Stats))
	client := netip.MustParseAddr("192.0.2.1")
	now := int64(1)
	take := func(n int) (out string) {
		for range n {
			out += string("oCSd"[r.take(client, wire.CookieNone, now)])
		}
		return out
	}
	if got := take(11); got != "ooooo"+"ddSddS" {
		t.Errorf("the burst was %s", got)
	}
	now += int64(100 * time.Millisecond)
	if got := take(3); got != "odd" {
		t.Errorf("a tenth of a second later %s", got)
	}
	now += int64(time.Hour)
	if got := take(7); got != "oooooSd" {
		t.Errorf("an hour later %s", got)
	}
}

func TestRateLimitNetworks(t *testing.T) {
	r := NewRateLimit(RateConfig{Rate: 1, Burst: 1, Slip: -1}, new(Stats))
	tests := []struct {
		addr string
		want rateVerdict
	}{
		{"192.0.2.1", rateOK}, {"192.0.2.200", rateDrop}, {"192.0.3.1", rateOK},
		{"2001:db8:0:1ff::1", rateOK}, {"2001:db8:0:100::1", rateDrop}, {"2001:db8:0:200::1", rateOK}, {"fe80::1%eth0", rateOK},
	}
	for _, tt := range tests {
		if got := r.take(netip.MustParseAddr(tt.addr), wire.CookieNone, 1); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.addr, got, tt.want)
		}
	}
	if got := r.take(netip.Addr{}, wire.CookieNone, 1); got != rateOK {
		t.Errorf("the zero address: %d", got)
	}
}

// The table never grows, and a flood from everywhere does not forget one that is over its rate at once.
func TestRateLimitTableIsBounded(t *testing.T) {
	r := NewRateLimit(RateConfig{Rate: 1, Burst: 2, Networks: 64}, new(Stats))
	for i := range 100_000 {
		r.take(netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1}), wire.CookieState(i%4), int64(i+1))
	}
	if len(r.networks.sets) != 8 || len(r.proven.sets) != 8 {
		t.Errorf("%d and %d sets, want 8", len(r.networks.sets), len(r.proven.sets))
	}
}

func TestRateLimitServes(t *testing.T) {
	stats := new(Stats)
	in := New(Config{Stats: stats}, handlerFunc(empty), NewRateLimit(RateConfig{Rate: 0.001, Burst: 2}, stats))
	req := packed(t, question("example.org"))
	var kinds string
	for range 6 {
		b := take(in, req, peer(wire.UDP, "192.0.2.1"))
		var m dns.Msg
		switch {
		case len(b) == 0:
			kinds += "."
		case m.Unpack(b) != nil:
			kinds += "?"
		case m.Truncated && len(m.Answer) == 0 && len(b) <= len(req):
			kinds += "T"
		default:
			kinds += "A"
		}
	}
	if kinds != "AA.T.T" {
		t.Errorf("replies %s, want AA.T.T", kinds)
	}
	if stats.RateDropped.Load() != 2 || stats.RateSlipped.Load() != 2 {
		t.Errorf("%d dropped, %d slipped", stats.RateDropped.Load(), stats.RateSlipped.Load())
	}
	for _, from := range []wire.Peer{peer(wire.TCP, "192.0.2.1"), peer(wire.DoT, "192.0.2.1"), peer(wire.DoH, "192.0.2.1"), peer(wire.UDP, "127.0.0.1"), peer(wire.UDP, "::1")} {
		for range 5 {
			if len(take(in, req, from)) == 0 {
				t.Errorf("%s from %s was limited", from.Protocol, from.Addr)
			}
		}
	}
	in.SetHandler(handlerFunc(empty), NewRateLimit(RateConfig{}, stats))
	if len(take(in, req, peer(wire.UDP, "192.0.2.1"))) == 0 {
		t.Error("rate 0 limits")
	}
}

func TestRateLimitConcurrently(t *testing.T) {
	r := NewRateLimit(RateConfig{Rate: 1, Burst: 100}, new(Stats))
	counts := make([]int, 8)
	var group sync.WaitGroup
	for i := range counts {
		group.Go(func() {
			for range 1000 {
				if r.take(netip.MustParseAddr("192.0.2.1"), wire.CookieNone, 1) == rateOK {
					counts[i]++
				}
			}
		})
	}
	group.Wait()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	if sum != 100 {
		t.Errorf("%d passed, want 100", sum)
	}
}

func BenchmarkRateLimit(b *testing.B) {
	r := NewRateLimit(RateConfig{Rate: 1e9}, new(Stats))
	buf := make([]byte, 512)
	req := packed(b, question("example.org"))
	queries := make([]*wire.Query, 1024)
	for i := range queries {
		queries[i] = query(req, peer(wire.UDP, fmt.Sprintf("192.%d.%d.1", i/256, i%256)))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Check(queries[i%len(queries)], buf)
	}
}

func TestTakeAllocatesNothing(t *testing.T) {
	stats := new(Stats)
	in := New(Config{Stats: stats, Cookies: NewCookies()}, handlerFunc(empty),
		NewRateLimit(RateConfig{Rate: 1e6}, stats), NewAccess(prefixes("10.0.0.0/8", "192.0.2.0/24"), stats))
	q, buf := query(withCookie(t, clientA), peer(wire.UDP, "192.0.2.1")), make([]byte, 512)
	if n := testing.AllocsPerRun(1000, func() { in.Take(q, buf) }); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}
