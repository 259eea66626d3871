package server

import (
	"context"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"dens/internal/wire"
)

// RateConfig bounds the UDP requests of one network.
type RateConfig struct {
	Rate     float64 // requests a second of one network; 0: no limit
	Burst    int     // 2 * Rate, at least 10: requests at once after a silence
	Slip     int     // 2: of those over the rate, every Slip-th gets TC=1, the others silence; below 0: all silence
	IPv4Bits int     // 24: what counts as one network
	IPv6Bits int     // 56
	Networks int     // 65536: networks remembered at once
	// Exempt are clients without a limit. nil: loopback.
	Exempt []netip.Prefix
}

const maxBurst = 1 << 20

func (c RateConfig) withDefaults() RateConfig {
	setDefault(&c.Burst, max(10, int(min(2*c.Rate, maxBurst))))
	c.Burst = min(c.Burst, maxBurst)
	if c.Slip == 0 {
		c.Slip = 2
	}
	setDefault(&c.IPv4Bits, 24)
	setDefault(&c.IPv6Bits, 56)
	c.IPv4Bits, c.IPv6Bits = min(c.IPv4Bits, 32), min(c.IPv6Bits, 128)
	setDefault(&c.Networks, 65536)
	if c.Exempt == nil {
		c.Exempt = prefixes("127.0.0.0/8", "::1/128")
	}
	return c
}

// RateLimit keeps UDP, whose source addresses can be forged, from being used against others. Clients
// over the rate get an empty reply with TC=1 now and then, which brings true ones back by TCP, whose
// address is proven. Other protocols pass.
type RateLimit struct {
	next   Handler
	conf   RateConfig
	exempt Access
	stats  *Stats
	cost   int64 // nanoseconds of one request
	room   int64 // nanoseconds that a burst may run ahead
	seed   maphash.Seed
	start  time.Time
	sets   []rateSet
}

// rateSet is one row of the table: networks whose hash is the same. It is small enough that finding one
// and the one to forget is a walk over it.
type rateSet struct {
	mu   sync.Mutex
	ways [8]rateEntry
}

// rateEntry is a leaky bucket in the form of the generic cell rate algorithm: full is when all that
// was let through will have been paid for, in nanoseconds since RateLimit.start.
type rateEntry struct {
	key  [16]byte
	full int64
	over uint32 // requests over the rate
}

// NewRateLimit wraps next. With Rate 0 it returns next itself.
func NewRateLimit(next Handler, conf RateConfig, stats *Stats) Handler {
	if conf.Rate <= 0 {
		return next
	}
	conf = conf.withDefaults()
	r := &RateLimit{
		next:   next,
		conf:   conf,
		exempt: Access{allow: conf.Exempt},
		stats:  stats,
		cost:   max(1, int64(float64(time.Second)/max(conf.Rate, 1e-3))),
		seed:   maphash.MakeSeed(),
		start:  time.Now(),
		sets:   make([]rateSet, (conf.Networks+7)/8),
	}
	r.room = r.cost * int64(conf.Burst)
	return r
}

// ServeWire implements Handler.
func (r *RateLimit) ServeWire(ctx context.Context, req []byte, from wire.Peer, buf []byte) []byte {
	addr := from.Addr.Addr().Unmap()
	if from.Protocol != wire.UDP || r.exempt.Allows(addr) {
		return r.next.ServeWire(ctx, req, from, buf)
	}
	switch r.take(addr, int64(time.Since(r.start))+1) {
	case rateOK:
		return r.next.ServeWire(ctx, req, from, buf)
	case rateSlip:
		r.stats.RateSlipped.Add(1)
		return wire.AppendStatus(buf[:0], req, wire.Status{TC: true})
	default:
		r.stats.RateDropped.Add(1)
		return buf[:0]
	}
}

type rateVerdict uint8

const (
	rateOK rateVerdict = iota
	rateSlip
	rateDrop
)

// take counts one request of addr at the time now, in nanoseconds since start and above zero.
func (r *RateLimit) take(addr netip.Addr, now int64) rateVerdict {
	key := r.network(addr)
	set := &r.sets[maphash.Comparable(r.seed, key)%uint64(len(r.sets))]
	set.mu.Lock()
	defer set.mu.Unlock()
	e := set.entry(key)
	full := max(e.full, now)
	if full+r.cost-now <= r.room {
		e.full = full + r.cost
		return rateOK
	}
	e.over++
	if r.conf.Slip > 0 && e.over%uint32(r.conf.Slip) == 0 {
		return rateSlip
	}
	return rateDrop
}

// entry finds the network, or puts it where the one was that has been within its rate for longest.
func (s *rateSet) entry(key [16]byte) *rateEntry {
	least := &s.ways[0]
	for i := range s.ways {
		e := &s.ways[i]
		if e.key == key && e.full != 0 {
			return e
		}
		if e.full < least.full {
			least = e
		}
	}
	*least = rateEntry{key: key}
	return least
}

// network is the address with its host bits cleared. IPv4 takes the mapped form, which no IPv6
// address of a client has after Unmap.
func (r *RateLimit) network(addr netip.Addr) [16]byte {
	bits := r.conf.IPv6Bits
	if addr.Is4() {
		bits = r.conf.IPv4Bits
	}
	p, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return addr.As16() // the zero Addr: one network of its own
	}
	return p.Addr().As16()
}
