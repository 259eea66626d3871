package intake

import (
	"net/netip"
	"time"

	"dens/internal/wire"
)

// RateConfig bounds the UDP requests of one network and the octets that it gets for them, and, provenFactor
// times as high, the requests of one client whose cookie proves that its address is its own: an IPv4 address or
// an IPv6 /64.
type RateConfig struct {
	Rate     float64 // requests a second of one network; 0: no limit
	Octets   int     // 256: of a reply that one request is good for; a longer one counts as several
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
	setDefault(&c.Octets, 256)
	setDefault(&c.IPv4Bits, 24)
	setDefault(&c.IPv6Bits, 56)
	c.IPv4Bits, c.IPv6Bits = min(c.IPv4Bits, 32), min(c.IPv6Bits, 128)
	setDefault(&c.Networks, 65536)
	return c
}

// RateLimit is a Meter that keeps UDP, whose source addresses can be forged, from being used against others. It
// counts what would reach a victim: a flood of questions whose answers are long is over the rate much
// earlier than one whose answers are short. Clients over the rate that sent a client cookie get BADCOOKIE with the server cookie that proves their
// address (RFC 7873 section 5.2.3); the others get an empty reply with TC=1 now and then, which brings true
// ones back by TCP, whose address is proven. Other protocols pass.
type RateLimit struct {
	conf     RateConfig
	exempt   *Access // nil: loopback
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
	r := &RateLimit{
		conf:     conf,
		stats:    stats,
		start:    time.Now(),
		networks: newRateTable(cost, room, &conf),
		proven:   newRateTable(cost/provenFactor, room, &conf),
	}
	if conf.Exempt != nil {
		r.exempt = &Access{allow: conf.Exempt}
	}
	return r
}

// Check implements Guard. Nothing is limited by a nil RateLimit.
func (r *RateLimit) Check(q *wire.Query, buf []byte) (reply []byte, pass bool) {
	if r == nil || q.From.Protocol != wire.UDP {
		return buf[:0], true
	}
	addr := q.From.Addr.Addr().Unmap()
	if r.isExempt(addr) {
		return buf[:0], true
	}
	verdict := r.take(addr, q.From.Cookie.State, r.since(q.Start))
	if verdict == rateOK {
		return buf[:0], true
	}
	status := wire.Status{Cookie: q.From.Cookie.Option()}
	switch verdict {
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

// Sent implements Meter. A client whose address is proven has asked for what it gets.
func (r *RateLimit) Sent(q *wire.Query, size int) {
	if r == nil || size <= r.conf.Octets || q.From.Protocol != wire.UDP || q.From.Cookie.State == wire.CookieValid {
		return
	}
	addr := q.From.Addr.Addr().Unmap()
	if !r.isExempt(addr) {
		r.charge(addr, size, r.since(q.Start))
	}
}

// since is a time in nanoseconds since start, above zero.
func (r *RateLimit) since(t time.Time) int64 { return max(int64(t.Sub(r.start)), 0) + 1 }

func (r *RateLimit) isExempt(addr netip.Addr) bool {
	if r.exempt == nil {
		return addr.IsLoopback()
	}
	return r.exempt.Allows(addr)
}

// take counts one request of addr.
func (r *RateLimit) take(addr netip.Addr, state wire.CookieState, now int64) rateVerdict {
	if state == wire.CookieValid {
		return r.proven.take(newRateKey(addr, 32, 64), false, now)
	}
	return r.networks.take(newRateKey(addr, r.conf.IPv4Bits, r.conf.IPv6Bits), state != wire.CookieNone, now)
}

// charge counts a reply of addr beyond what its request was good for.
func (r *RateLimit) charge(addr netip.Addr, size int, now int64) {
	more := int64((size - 1) / r.conf.Octets)
	r.networks.charge(newRateKey(addr, r.conf.IPv4Bits, r.conf.IPv6Bits), more, now)
}
