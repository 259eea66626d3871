package pool

import (
	"time"

	"dens/chain"
)

// Status is a snapshot of an Endpoint for metrics and people. It holds no URL and no secret.
type Status struct {
	Name       string
	Operator   string
	Transport  string // http, websocket, ipc
	State      State
	ChainID    uint64        // as the backend reported it; 0 is unknown
	Head       chain.Head    // newest block that the backend told; zero is unknown
	HeadAge    time.Duration // since the backend last confirmed Head
	Lag        uint64        // blocks behind the best head of the Pool; 0 from Endpoint.Status
	Latency    time.Duration // smoothed; 0 is unknown
	P95        time.Duration
	Calls      uint64 // requests for look-ups
	Errors     uint64
	Limited    uint64        // answers that asked for fewer requests (HTTP 429 and the like)
	LimitedFor time.Duration // until the next request may be sent; 0 is now
	Fetches    uint64        // answers to Fetch
	Bytes      uint64        // of them
	Rejected   uint64        // of Fetches, those that were not taken for whatever reason
	BadProofs  uint64        // of Rejected, those that did not prove what was asked for
	Demoted    time.Duration // for how long it is asked last because of such answers; 0 is not
	LastError  string        // safe to show; "" is none
	Batches    Support
	Subscribes Support
}

// Status returns a snapshot. It asks nobody.
func (e *Endpoint) Status() Status {
	s := Status{
		Name: e.cfg.Name, Operator: e.cfg.Operator, Transport: e.addr.transport,
		Batches: e.batches.get(), Subscribes: Support(e.subscribe.Load()),
	}
	s.Latency, s.P95 = e.health.times()
	now := time.Now()
	e.mu.Lock()
	s.ChainID, s.Head = e.chainID, e.ring.head
	if e.ring.known {
		s.HeadAge = now.Sub(e.ring.seen)
	}
	e.mu.Unlock()
	h := &e.health
	h.mu.Lock()
	defer h.mu.Unlock()
	s.State, s.Calls, s.Errors, s.Limited = h.state, h.calls, h.errors, h.limits
	s.LimitedFor, s.Demoted = max(h.limited.Sub(now), 0), max(h.demoted.Sub(now), 0)
	s.Fetches, s.Bytes, s.Rejected, s.BadProofs = h.fetches, h.bytes, h.turned, h.wrong
	if h.last != nil {
		s.LastError = h.last.Error()
	}
	return s
}
