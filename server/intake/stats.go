package intake

import (
	"sync/atomic"

	"dens/internal/wire"
)

// Stats counts what happens before the Handler. One Stats is shared by the transports and the guards, and
// outlives a reload. The zero value is ready.
type Stats struct {
	Malformed   atomic.Uint64 // shorter than a header, itself a reply, bad framing, bad HTTP request
	Silent      atomic.Uint64 // requests that the Handler left without a reply, those of RateDropped too
	Shed        atomic.Uint64 // requests not taken, since too many were under way
	Refused     atomic.Uint64 // requests of clients that are not allowed (Access)
	RateDropped atomic.Uint64 // requests over the rate that got silence (RateLimit)
	RateSlipped atomic.Uint64 // requests over the rate that got TC (RateLimit)
	RateCookies atomic.Uint64 // requests over the rate that got BADCOOKIE (RateLimit)
	WriteErrors atomic.Uint64 // replies that could not be sent
	Panics      atomic.Uint64 // panics of the Handler
	Handshakes  atomic.Uint64 // TLS and QUIC handshakes that failed: no TLS at all, a wrong ALPN, too slow
	Slow        atomic.Uint64 // messages, headers and bodies that did not come whole in time
	Abuse       atomic.Uint64 // connections ended since they broke their protocol or flooded with its frames

	// Cookies counts requests by what their COOKIE option was worth.
	Cookies [wire.CookieBad + 1]Counter

	conns [wire.Protocols]connStats
}

type connStats struct {
	opened, refused, evicted atomic.Uint64
	open                     atomic.Int64
}

// ConnCounts counts the connections of one protocol.
type ConnCounts struct {
	Protocol wire.Protocol
	Opened   uint64 // taken since the start
	Refused  uint64 // closed at once: the limit in all, or that of one client, was reached
	Evicted  uint64 // closed while idle, to make room for another
	Open     int64  // now
}

// Conns returns the counts of all protocols but UDP.
func (s *Stats) Conns() []ConnCounts {
	out := make([]ConnCounts, 0, wire.Protocols-1)
	for p := wire.TCP; int(p) < wire.Protocols; p++ {
		c := &s.conns[p]
		out = append(out, ConnCounts{
			Protocol: p,
			Opened:   c.opened.Load(),
			Refused:  c.refused.Load(),
			Evicted:  c.evicted.Load(),
			Open:     c.open.Load(),
		})
	}
	return out
}
