package beacon

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Back-off of an endpoint that failed. The greatest is short enough for endpoints that return to be found
// while an anchor of default age still holds.
const (
	backoffFirst = time.Second
	backoffMax   = 45 * time.Second
	backoffAlone = 5 * time.Second  // the greatest while no endpoint works
	backoffIdle  = 10 * time.Second // until those that do not have the checkpoint are asked for it again
)

// health is what is known of how an endpoint does.
type health struct {
	mu       sync.Mutex
	requests uint64
	errors   uint64
	last     string // what it said wrong last; "" since it works
	suspect  bool   // and that may be the fault of the network's configuration
	failures int    // in a row
	lag      int    // times in a row that it had less than others
	slot     uint64 // newest that it proved
	won      uint64 // newest slot that it was the first to prove
	backoff  time.Duration
	retryAt  time.Time // no request before
	asked    time.Time // last request; zero is never
	busy     bool      // a task is under way
}

// take marks the endpoint busy, unless it is.
func (h *health) take(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy {
		return false
	}
	h.busy, h.asked = true, now
	return true
}

// give ends what take began.
func (h *health) give() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy = false
}

// request counts one.
func (h *health) request() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests++
}

// succeeded records valid answers that prove slot; head is the newest that anyone has proved.
func (h *health) succeeded(slot, head uint64, first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.recovered()
	h.slot = max(h.slot, slot)
	if first {
		h.won = h.slot
	}
	if slot+1 < head {
		h.lag++
	} else {
		h.lag = 0
	}
}

// works records a valid answer that says nothing about the head.
func (h *health) works() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.recovered()
}

// recovered forgets failures. h.mu is held.
func (h *health) recovered() { h.last, h.suspect, h.failures, h.backoff = "", false, 0, 0 }

// failed records a failure. chance is in [0, 1).
func (h *health) failed(f *failure, now time.Time, chance float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.kind == stopped {
		return
	}
	h.errors++
	if f.kind != behind || h.failures == 0 { // what was wrong before is why it is of no use now
		h.last, h.suspect = f.text, f.suspect
	}
	if f.kind != broken {
		h.lag++
		return
	}
	h.failures++
	h.backoff = min(max(2*h.backoff, backoffFirst), backoffMax)
	h.retryAt = now.Add(time.Duration(float64(h.backoff) * (0.75 + 0.25*chance)))
}

// hasten ends the endpoint's rest at a time, if not before.
func (h *health) hasten(at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.retryAt.After(at) {
		h.retryAt = at
	}
}

func (h *health) lastError() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// standing is what endpoints are ranked by; less is better.
type standing struct {
	failures, lag int
	won, slot     uint64
}

func (h *health) standing() standing {
	h.mu.Lock()
	defer h.mu.Unlock()
	return standing{h.failures, h.lag, h.won, h.slot}
}

// rests says until when the endpoint is not to be asked; free says that it may be asked now.
func (h *health) rests(now time.Time) (until time.Time, free bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.retryAt, !h.busy && (h.failures == 0 || !now.Before(h.retryAt))
}

// isDue says whether an endpoint that is not in use should be looked at: it was not asked for longer than
// period, or failed and has rested.
func (h *health) isDue(now time.Time, period time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.busy:
		return false
	case h.failures > 0:
		return !now.Before(h.retryAt)
	}
	return h.asked.IsZero() || now.Sub(h.asked) >= period
}

// allBroken says whether each endpoint failed when it was asked last.
func allBroken(peers []*peer) bool {
	return !slices.ContainsFunc(peers, func(p *peer) bool {
		p.health.mu.Lock()
		defer p.health.mu.Unlock()
		return p.health.failures == 0
	})
}

// allSuspect says whether all endpoints contradict the network's configuration.
func allSuspect(peers []*peer) bool {
	return !slices.ContainsFunc(peers, func(p *peer) bool {
		p.health.mu.Lock()
		defer p.health.mu.Unlock()
		return !p.health.suspect
	})
}

// anyBusy says whether any endpoint is at a task.
func anyBusy(peers []*peer) bool {
	for _, p := range peers {
		p.health.mu.Lock()
		busy := p.health.busy
		p.health.mu.Unlock()
		if busy {
			return true
		}
	}
	return false
}

// rank returns the endpoints that may be asked now, the best first: those without failures, those that are
// not behind, the one in use, those that proved the newest slot, and those that were configured first.
func rank(peers []*peer, now time.Time) []*peer {
	type entry struct {
		peer *peer
		standing
	}
	var list []entry
	for _, p := range peers {
		if _, free := p.health.rests(now); free {
			list = append(list, entry{p, p.health.standing()})
		}
	}
	slices.SortStableFunc(list, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.failures, b.failures), cmp.Compare(a.lag, b.lag),
			cmp.Compare(b.won, a.won), cmp.Compare(b.slot, a.slot))
	})
	ranked := make([]*peer, len(list))
	for i, e := range list {
		ranked[i] = e.peer
	}
	return ranked
}
