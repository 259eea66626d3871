package server

import (
	"sync/atomic"

	"dens/internal/wire"
)

// Stats counts what happens below the Handler. One Stats is shared by the Server and the wrappers
// around its Handler, and outlives a reload. The zero value is ready.
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

	// Cookies counts requests by what their COOKIE option was worth.
	Cookies [wire.CookieBad + 1]atomic.Uint64

	conns [protocols]connStats
}

const protocols = int(wire.DoH) + 1

type connStats struct {
	opened, refused, evicted atomic.Uint64
	open                     atomic.Int64
}

// Conns counts the connections of one protocol.
type Conns struct {
	Protocol wire.Protocol
	Opened   uint64 // taken since the start
	Refused  uint64 // closed at once: the limit in all, or that of one client, was reached
	Evicted  uint64 // closed while idle, to make room for another
	Open     int64  // now
}

// Conns returns the counts of TCP, DoT and DoH.
func (s *Stats) Conns() []Conns {
	out := make([]Conns, 0, protocols-1)
	for p := wire.TCP; int(p) < protocols; p++ {
		c := &s.conns[p]
		out = append(out, Conns{
			Protocol: p,
			Opened:   c.opened.Load(),
			Refused:  c.refused.Load(),
			Evicted:  c.evicted.Load(),
			Open:     c.open.Load(),
		})
	}
	return out
}
