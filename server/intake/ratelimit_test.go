package intake

import (
	"context"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"dens/internal/wire"
)

// sized answers all questions with so many octets, at once or not.
type sized struct {
	n      int
	misses bool
}

func (s sized) Hit(_ *wire.Query, buf []byte) ([]byte, bool) { return buf[:s.n], !s.misses }

func (s sized) Miss(_ context.Context, _ *wire.Query, buf []byte) []byte { return buf[:s.n] }

// A reply counts as one request for each 256 octets that it has begun, but for clients that are proven.
func TestLongRepliesCountMore(t *testing.T) {
	tests := []struct {
		octets  int
		allowed int // of the burst of 8
	}{{12, 8}, {256, 8}, {257, 4}, {512, 4}, {1024, 2}, {1232, 2}}
	start := time.Now()
	for _, tt := range tests {
		for _, misses := range []bool{false, true} {
			for _, proto := range []wire.Protocol{wire.UDP, wire.TCP} {
				limit := NewRateLimit(RateConfig{Rate: 1, Burst: 8, Slip: -1}, new(Stats))
				in := New(Config{}, sized{tt.octets, misses}, limit)
				req, buf, got := packed(t, question("a")), make([]byte, 4096), 0
				for range 20 {
					q := &wire.Query{Msg: req, From: peer(proto, "192.0.2.1"), Start: start}
					reply, done := in.Take(q, buf)
					if !done {
						reply = in.Wait(q, buf)
					}
					if len(reply) > 0 {
						got++
					}
				}
				want := tt.allowed
				if proto != wire.UDP {
					want = 20
				}
				if got != want {
					t.Errorf("%s, %d octets, misses %v: %d replies, want %d", proto, tt.octets, misses, got, want)
				}
			}
		}
	}
}

// Who has proven his address pays for requests only.
func TestProvenClientsGetLongReplies(t *testing.T) {
	r := NewRateLimit(RateConfig{Rate: 1, Burst: 4, Slip: -1}, new(Stats))
	from := peer(wire.UDP, "192.0.2.1")
	from.Cookie.State = wire.CookieValid
	q := &wire.Query{From: from, Start: time.Now()}
	for i := range 4 * provenFactor {
		if _, pass := r.Check(q, nil); !pass {
			t.Fatalf("request %d did not pass", i+1)
		}
		r.Sent(q, 4096)
	}
	if _, pass := r.Check(q, nil); pass {
		t.Error("there is no end to it")
	}
}

// However much was under way at a time, a network is out for no longer than it takes to pay for two bursts.
func TestDebtIsBounded(t *testing.T) {
	r := NewRateLimit(RateConfig{Rate: 10, Burst: 10, Slip: -1}, new(Stats))
	q := &wire.Query{From: peer(wire.UDP, "192.0.2.1"), Start: r.start}
	for range 1000 {
		r.Sent(q, 1232)
	}
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {900 * time.Millisecond, false}, {1200 * time.Millisecond, true}} {
		q.Start = r.start.Add(tt.after)
		if _, pass := r.Check(q, nil); pass != tt.want {
			t.Errorf("after %s: passes %v", tt.after, pass)
		}
	}
}

// Networks are told apart, and spread over the table.
func TestNetworksAreSpread(t *testing.T) {
	r := NewRateLimit(RateConfig{Rate: 1, Networks: 8 * 1024}, new(Stats))
	type place struct {
		set *rateSet
		tag uint32
	}
	seen, load := map[place]bool{}, map[*rateSet]int{}
	const n = 16384
	for i := range n {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
		if i%2 == 1 {
			addr = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(i >> 8), byte(i)})
		}
		set, tag := r.networks.find(newRateKey(addr, 24, 56))
		seen[place{set, tag}] = true
		load[set]++
	}
	if len(seen) < n-1 { // the hash has 42 bits, of which the seed is chance: one run in 30,000 has a pair that share a place
		t.Errorf("%d networks in %d places", n, len(seen))
	}
	for _, got := range load { // 16 on average
		if got > 64 {
			t.Errorf("%d networks in one set", got)
		}
	}
	if len(load) < 1000 {
		t.Errorf("%d of 1024 sets in use", len(load))
	}
}

// Replies to who may not be who he says are cut, whatever size he asks for.
func TestUnprovenSize(t *testing.T) {
	cookies := NewCookies()
	for _, tt := range []struct {
		name  string
		proto wire.Protocol
		valid bool
		want  int
	}{
		{"no cookie", wire.UDP, false, 600},
		{"valid cookie", wire.UDP, true, 1232},
		{"TCP", wire.TCP, false, wire.MaxMessage},
	} {
		limit := 0
		in := New(Config{Cookies: cookies, Limits: Limits{MaxUnproven: 600}}, handlerFunc(func(q *wire.Query, buf []byte) []byte {
			limit = q.Limit
			return empty(q, buf)
		}))
		req := withCookie(t, clientA) // it takes 1232 octets
		if tt.valid {
			first := judge(cookies, req, netip.MustParseAddr("192.0.2.1"))
			req = withCookie(t, hex.EncodeToString(first.Value[:]))
		}
		take(in, req, peer(tt.proto, "192.0.2.1"))
		if limit != tt.want {
			t.Errorf("%s: %d octets, want %d", tt.name, limit, tt.want)
		}
	}
}
