package pool

import (
	"slices"
	"sync"
	"time"
)

// State is what an Endpoint's circuit breaker is in.
//
//	         failures in a row               back-off over
//	Closed ---------------------> Open ----------------------> HalfOpen (one probe under way)
//	   ^                           ^        probe failed           |
//	   |                           +-------------------------------+
//	   +------------- probe succeeded: chain id and head are right -+
type State uint8

const (
	// Closed means in use.
	Closed State = iota
	// Open means out of use until the back-off is over.
	Open
	// HalfOpen means that a probe is under way.
	HalfOpen
)

// String returns the word that metrics and people use.
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case Open:
		return "open"
	default:
		return "half-open"
	}
}

// The circuit's figures. All backends down must heal within 5 s of their return: a probe that hangs, the
// wait before the next, and the 2 s for which a cache keeps the last failure, fit in.
const (
	failuresToOpen = 3
	backoffFirst   = 500 * time.Millisecond
	backoffMax     = 2800 * time.Millisecond
	backoffGap     = 250 * time.Millisecond // least wait after a probe that failed slowly
	probeTimeout   = 2500 * time.Millisecond
	limitedDefault = time.Second // after a 429 that does not say how long
	samples        = 64
	smoothing      = 0.2             // weight of the newest sample
	forgetAfter    = 2 * time.Minute // what was measured says little about now
)

// health is what is known of how a backend does.
type health struct {
	mu       sync.Mutex
	state    State
	failures int           // in a row
	backoff  time.Duration // start to start
	retryAt  time.Time     // when Open ends
	limited  time.Time     // no request before, by the backend's wish
	latency  float64       // seconds, smoothed; 0 is unknown
	failing  float64       // share of calls that fail, smoothed
	failedAt time.Time     // when failing last grew
	sampled  time.Time     // when latency was last measured
	ring     [samples]time.Duration
	count    int // of samples ever
	calls    uint64
	errors   uint64
	limits   uint64
	fetches  uint64 // answers to Fetch
	bytes    uint64 // of their results
	turned   uint64 // of them, those that were not taken
	wrong    uint64 // of those, the ones that did not prove what was asked for
	inRow    int    // wrong or malformed ones since the last that was taken
	absent   int    // without the block, since then
	demoted  time.Time
	quiet    bool  // the circuit opened for such answers, of which the log tells once in a demotion
	last     error // a *failure
	chance   func() float64
}

// succeeded records an answer. Only a probe closes the circuit.
func (h *health) succeeded(took time.Duration, call bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sample(took)
	h.failures = 0
	if call {
		h.calls++
		h.failing *= 1 - smoothing
	}
}

func (h *health) sample(took time.Duration) {
	h.sampled = time.Now()
	h.ring[h.count%samples] = took
	h.count++
	if h.latency == 0 {
		h.latency = took.Seconds()
		return
	}
	h.latency += smoothing * (took.Seconds() - h.latency)
}

// tooSlow records a request that was given up for a faster backend: it would have taken longer.
func (h *health) tooSlow(took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if took.Seconds() > h.latency {
		h.sample(took)
	}
}

// failed records a failure of the backend as a whole and says whether the circuit opened just now.
func (h *health) failed(err error, call bool, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.note(err, call)
	h.failures++
	if h.state != Closed || h.failures < failuresToOpen {
		return false
	}
	h.open(now, now)
	return true
}

// refused records an error that says nothing about the backend's being alive.
func (h *health) refused(err error, call bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.note(err, call)
}

func (h *health) note(err error, call bool) {
	h.errors++
	h.last = err
	if call {
		h.calls++
		h.failing += smoothing * (1 - h.failing)
		h.failedAt = time.Now()
	}
}

// limit records a wish for fewer requests.
func (h *health) limit(after time.Duration, err error, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if after <= 0 {
		after = limitedDefault
	}
	h.limits++
	h.last = err
	if until := now.Add(after); until.After(h.limited) {
		h.limited = until
	}
}

// fetched counts an answer to a Fetch.
func (h *health) fetched(bytes int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fetches++
	h.bytes += uint64(bytes)
}

// upheld records that such an answer was taken.
func (h *health) upheld() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inRow, h.absent = 0, 0
}

// passed records that it was not, for a reason that is no lie. What was merely not there costs rank from
// the second time in a row: a node that lags is chance, one that never has it is asked in vain.
func (h *health) passed(err error, served bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.turned++
	if !served {
		h.absent++
	}
	h.note(err, served || h.absent > 1)
}

// blame records that it does not prove what was asked for, or is malformed: the backend is asked last for
// as long as that. first says that it was not so yet, opened that the circuit opened just now.
func (h *health) blame(err error, wrong bool, demotion time.Duration, now time.Time) (first, opened bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.note(err, true)
	h.turned++
	if wrong {
		h.wrong++
	}
	first = h.demote(demotion, now)
	if h.inRow++; h.state == Closed && h.inRow >= failuresToOpen {
		h.open(now, now)
		h.quiet, opened = true, true
	}
	return first, opened
}

// doubt records guesses that were of no use, and says whether the backend was not demoted yet.
func (h *health) doubt(err error, demotion time.Duration, now time.Time) (first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.errors++
	h.last = err
	return h.demote(demotion, now)
}

// demote is called with mu held. It says whether there was no demotion yet.
func (h *health) demote(d time.Duration, now time.Time) (first bool) {
	first = !now.Before(h.demoted)
	if until := now.Add(d); until.After(h.demoted) {
		h.demoted = until
	}
	return first
}

// demotion is for how long the backend is asked last; zero or less is not at all.
func (h *health) demotion(now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.demoted.Sub(now)
}

// open starts or lengthens the back-off; began is when the probe that failed was started.
func (h *health) open(now, began time.Time) {
	h.state = Open
	h.backoff = min(max(2*h.backoff, backoffFirst), backoffMax)
	wait := time.Duration(float64(h.backoff) * (0.75 + 0.25*h.chance()))
	h.retryAt = began.Add(wait)
	if least := now.Add(backoffGap); h.retryAt.Before(least) {
		h.retryAt = least
	}
}

// probing says whether a probe is due, and turns Open into HalfOpen if so; else how long to wait.
func (h *health) probing(now time.Time) (wait time.Duration, due bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.retryAt
	if h.limited.After(at) {
		at = h.limited
	}
	if wait = at.Sub(now); wait > 0 {
		return wait, false
	}
	if h.state == Open {
		h.state = HalfOpen
	}
	return 0, true
}

// probed ends a probe. opened and closed say whether the state changed for those who watch it.
func (h *health) probed(ok bool, now, began time.Time) (opened, closed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.state
	if ok {
		closed = was != Closed && !h.quiet
		h.state, h.failures, h.retryAt, h.quiet = Closed, 0, time.Time{}, false
		if h.inRow < failuresToOpen { // a probe proves nothing about proofs
			h.backoff = 0
		}
		return false, closed
	}
	h.open(now, began)
	opened, h.quiet = was == Closed || h.quiet, false
	return opened, false
}

// postponed ends a probe that was answered with a wish for fewer requests: neither dead nor seen to be well.
func (h *health) postponed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state == HalfOpen {
		h.state = Open
		h.retryAt = h.limited
	}
}

// blocked says until when no request may be sent, and whether that is for a broken circuit.
func (h *health) blocked(now time.Time) (wait time.Duration, broken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state != Closed {
		return max(h.retryAt.Sub(now), 0), true
	}
	return max(h.limited.Sub(now), 0), false
}

// times returns the smoothed latency and the 95th percentile of the last samples; zero is unknown.
func (h *health) times() (latency, p95 time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := min(h.count, samples)
	if n == 0 {
		return 0, 0
	}
	sorted := make([]time.Duration, n)
	copy(sorted, h.ring[:n])
	slices.Sort(sorted)
	return time.Duration(h.latency * float64(time.Second)), sorted[(n*95+99)/100-1]
}

// score ranks backends, lower is better: latency, made worse by calls that failed lately. Who was bad
// long ago gets another chance.
func (h *health) score(now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	const unknown = 0.1 // seconds: neither first nor last
	base := h.latency
	if h.count == 0 || base > unknown && now.Sub(h.sampled) > forgetAfter {
		base = unknown
	}
	failing := h.failing
	if now.Sub(h.failedAt) > forgetAfter {
		failing = 0
	}
	return time.Duration(base * (1 + 20*failing) * float64(time.Second))
}
