package beacon

import (
	"time"

	"dens/chain"
)

// Status is a snapshot of a Client for metrics and people. It holds no URL.
type Status struct {
	Anchor     chain.Anchor  // newest; zero: none yet
	Finalized  chain.Anchor  // newest finalised one
	Period     uint64        // of the committee in force
	Reason     string        // why there is no anchor now, or why none newer; "" when all is well
	FailingFor time.Duration // since when no endpoint has brought anything new; 0: it works
	ExpiresIn  time.Duration // until Anchor is refused for its age
	Endpoints  []EndpointStatus
}

// EndpointStatus is the state of one beacon endpoint.
type EndpointStatus struct {
	Name      string
	Usable    bool   // it neither failed nor was behind when it was asked last
	Slot      uint64 // newest that it proved
	Requests  uint64
	Errors    uint64
	LastError string // since it worked last, safe to show; "" is none
}

// Status returns a snapshot. It asks nobody.
func (c *Client) Status() Status {
	c.mu.Lock()
	s := c.status(c.cfg.now())
	c.mu.Unlock()
	for _, p := range c.peers {
		s.Endpoints = append(s.Endpoints, p.health.status(p.name))
	}
	return s
}

// status is Status without the endpoints. c.mu is held.
func (c *Client) status(now time.Time) Status {
	v := &c.view
	s := Status{Anchor: clone(v.optimistic), Finalized: clone(v.finalized), Period: v.period}
	if c.cfg.Finalized {
		s.Anchor = clone(v.finalized)
	}
	_, err := c.newest(now)
	switch {
	case err != nil:
		s.Reason = err.Error()
	case v.trouble != nil:
		s.Reason = v.trouble.Error()
	}
	if err == nil {
		s.ExpiresIn = c.bound() - now.Sub(c.cfg.Network.SlotStart(slotOf(s.Anchor)))
	}
	if v.trouble != nil || v.refused != nil {
		since := v.news
		if since.IsZero() {
			since = c.start
		}
		s.FailingFor = max(now.Sub(since), 1)
	}
	return s
}

// status returns a snapshot.
func (h *health) status(name string) EndpointStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	const few = 3 // in a row: one or two are a matter of the moment
	return EndpointStatus{
		Name: name, Usable: h.failures == 0 && h.lag < few, Slot: h.slot,
		Requests: h.requests, Errors: h.errors, LastError: h.last,
	}
}
