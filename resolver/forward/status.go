package forward

import (
	"time"
)

// Status is what is known of one upstream.
type Status struct {
	Name      string // for people
	Protocol  Protocol
	State     State
	RTT       time.Duration // smoothed; 0 when unknown
	Queries   uint64        // attempts that ended; probes are not counted
	Errors    uint64        // of these, without an answer
	LastError string        // the newest failure, "" when there was none; no URL, no secret
}

// Status returns a snapshot of all upstreams, in the order of Config.Upstreams.
func (f *Forwarder) Status() []Status {
	out := make([]Status, len(f.upstreams))
	for i, u := range f.upstreams {
		out[i] = u.status()
	}
	return out
}

func (u *upstream) status() Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	return Status{
		Name: u.Name, Protocol: u.Protocol, State: u.state, RTT: u.rtt,
		Queries: u.queries, Errors: u.errors, LastError: u.lastError,
	}
}

// Ready reports whether an upstream is known to answer. Upstreams that were never asked are probed in
// the background, so that it comes true without a question from a client. It does not wait.
func (f *Forwarder) Ready() bool {
	ready := false
	for _, u := range f.upstreams {
		ready = ready || u.rank().state == Up
	}
	if ready {
		return true
	}
	for _, u := range f.upstreams {
		if u.startProbing() {
			f.spawn(func() { f.probeLoop(u) })
		}
	}
	return false
}
