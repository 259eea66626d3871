package cache_test

import (
	"context"
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
		if ev := b.events.last(t); ev.Type != dns.TypeA || ev.Zone.String() != "onchain" || ev.Protocol != wire.UDP {
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
		case "vast.eth.":
			e := entry(req, time.Hour, 0, large...)
			e.Origin = make([]byte, 64000)
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
		{"the origin does not", wire.UDP, "bob.eth.", []func(*dns.Msg){origin, func(m *dns.Msg) { m.IsEdns0().SetUDPSize(512) }}, 512, 1, true, 0},
		{"nobody asked for it", wire.TCP, "bob.eth.", []func(*dns.Msg){edns(1232)}, 65535, 1, false, 0},
		{"the origin does not by TCP", wire.TCP, "vast.eth.", []func(*dns.Msg){origin}, 65535, 200, false, 0},
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
