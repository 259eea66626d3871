package cache

import (
	"time"

	"dens/internal/wire"
)

// Outcome is how a request was answered.
type Outcome uint8

const (
	Hit      Outcome = iota // from the cache
	Miss                    // by the Source
	Stale                   // from the cache, past its TTL (RFC 8767)
	Prefetch                // from the cache, and its refresh began
	Shed                    // SERVFAIL, since too much was under way
	Silent                  // not at all
	Uncached                // not kept: another class, a meta type, a broken request
)

// Outcomes is how many there are.
const Outcomes = int(Uncached) + 1

// String returns the name used in metrics.
func (o Outcome) String() string {
	switch o {
	case Hit:
		return "hit"
	case Miss:
		return "miss"
	case Stale:
		return "stale"
	case Prefetch:
		return "prefetch"
	case Shed:
		return "shed"
	case Silent:
		return "silent"
	case Uncached:
		return "uncached"
	default:
		return "unknown"
	}
}

// Event is what became of one request.
type Event struct {
	Protocol wire.Protocol
	Outcome  Outcome
	Type     uint16 // of the question; 0 without one
	Rcode    uint16 // extended
	Zone     Zone   // of the entry, or 0
	Reader   uint8  // wire.Query.Reader
	// Duration is how long the request has taken so far, or Untimed.
	Duration time.Duration
}

// Untimed is the Duration of a hit that was not timed: to read the clock would take as long as half a hit, so
// that only one in a few is.
const Untimed = -1

// Stats is what a Cache is doing.
type Stats struct {
	Flights int    // calls of the Source under way
	Shed    uint64 // requests that found Config.MaxFlights under way, since the start
}
