package intake

import (
	"net/netip"
	"time"

	"dens/internal/wire"
)

// RateConfig bounds the UDP requests of one network, and, provenFactor times as high, those of one client
// whose cookie proves that its address is its own: an IPv4 address or an IPv6 /64.
type RateConfig struct {
	Rate     float64 // requests a second of one network; 0: no limit
	Burst    int     // 2 * Rate, at least 10: requests at once after a silence
	Slip     int     // 2: of those over the rate, every Slip-th gets TC=1, the others silence; below 0: all silence
	IPv4Bits int     // 24: what counts as one network
	IPv6Bits int     // 56
	Networks int     // 65536: networks remembered at once, and as many proven clients
	// Exempt are clients without a limit. nil: loopback.
	Exempt []netip.Prefix
}

const (
	maxBurst = 1 << 20
	// provenFactor is how much more a client may ask whose address is proven: it can harm nobody but the
	// server, which TCP would let it do as well.
	provenFactor = 10
)

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

// RateLimit is a Guard that keeps UDP, whose source addresses can be forged, from being used against others.
// Clients over the rate that sent a client cookie get BADCOOKIE with the server cookie that proves their
// address (RFC 7873 section 5.2.3); the others get an empty reply with TC=1 now and then, which brings true
// ones back by TCP, whose address is proven. Other protocols pass.
type RateLimit struct {
	conf     RateConfig
	exempt   Access
	stats    *Stats
	start    time.Time
	networks *rateTable // of requests whose source may be forged
	proven   *rateTable // of clients with a valid cookie
}

// NewRateLimit returns a guard, or nil with Rate 0.
func NewRateLimit(conf RateConfig, stats *Stats) *RateLimit {
	if conf.Rate <= 0 {
		return nil
	}
	conf = conf.withDefaults()
	cost := max(provenFactor, int64(float64(time.Second)/max(conf.Rate, 1e-3)))
	room := cost * int64(conf.Burst)
	return &RateLimit{
		conf:     conf,
		exempt:   Access{allow: conf.Exempt},
		stats:    stats,
		start:    time.Now(),
		networks: newRateTable(cost, room, &conf),
		proven:   newRateTable(cost/provenFactor, room, &conf),
	}
}

// Check implements Guard. Nothing is limited by a nil RateLimit.
func (r *RateLimit) Check(q *wire.Query, buf []byte) (reply []byte, pass bool) {
	if r == nil || q.From.Protocol != wire.UDP {
		return buf[:0], true
	}
	addr := q.From.Addr.Addr().Unmap()
	if r.exempt.Allows(addr) {
		return buf[:0], true
	}
	status := wire.Status{Cookie: q.From.Cookie.Option()}
	switch r.take(addr, q.From.Cookie.State, int64(q.Start.Sub(r.start))+1) {
	case rateOK:
		return buf[:0], true
	case rateCookie:
		r.stats.RateCookies.Add(1)
		status.Rcode = wire.RcodeBadCookie
	case rateSlip:
		r.stats.RateSlipped.Add(1)
		status.TC = true
	default:
		r.stats.RateDropped.Add(1)
		return buf[:0], false
	}
	return q.AppendStatus(buf[:0], q.Msg, status), false
}

// take counts one request of addr at the time now, in nanoseconds since start and above zero.
func (r *RateLimit) take(addr netip.Addr, state wire.CookieState, now int64) rateVerdict {
	if state == wire.CookieValid {
		return r.proven.take(network(addr, 32, 64), false, now)
	}
	return r.networks.take(network(addr, r.conf.IPv4Bits, r.conf.IPv6Bits), state != wire.CookieNone, now)
}

// network is the address with its host bits cleared. IPv4 takes the mapped form, which no IPv6
// address of a client has after Unmap.
func network(addr netip.Addr, bits4, bits6 int) [16]byte {
	bits := bits6
	if addr.Is4() {
		bits = bits4
	}
	p, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return addr.As16() // the zero Addr: one network of its own
	}
	return p.Addr().As16()
}
