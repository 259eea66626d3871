package forward

import (
	"errors"
	"sync"
	"time"
)

// State is what a Forwarder thinks of an upstream.
type State string

const (
	Unknown State = "unknown" // not asked yet
	Up      State = "up"
	Down    State = "down" // a probe found it so: asked last, and probed until it answers
)

// Trouble adds up until an upstream is probed; a good answer takes it all away. Only a probe takes an
// upstream down: questions for names that do not resolve anywhere are anybody's to ask.
const (
	troubleServ    = 1 // SERVFAIL: the name's fault more often than the server's; costs the place in the order only
	troubleSlow    = 2 // another upstream was faster by far, or the client went away
	troubleHard    = 4 // no reply, no connection, or no service
	troubleEnough  = 8
	doubtful       = troubleEnough - 1
	firstPatience  = 400 * time.Millisecond // with an upstream that was not measured
	leastPatience  = 100 * time.Millisecond
	greatPatience  = 1500 * time.Millisecond
	refusedMemory  = 10 * time.Minute // how long a server that refuses EDNS is asked without, or one that changes case by TCP
	silenceMemory  = time.Minute      // how long one is asked without EDNS that may just have lost a packet
	lastErrorBytes = 200
	aged           = 5 * time.Second // a round-trip time this old counts no more than a new one
)

// health is what is known of one upstream.
//
//	unknown --answer--> up --trouble, probe fails--> down --answer or probe--> up
type health struct {
	mu        sync.Mutex
	state     State
	rtt       time.Duration // smoothed (RFC 6298)
	variation time.Duration
	sampled   time.Time // when rtt was last brought up to date
	measured  time.Time // when that was last tried
	trouble   int
	refusing  bool // the newest failure was a reply that said no, such as REFUSED
	probing   bool // a probe loop runs
	queries   uint64
	errors    uint64
	lastError string

	knowsEDNS   bool      // it has answered with OPT
	plainUntil  time.Time // it refuses EDNS: asked without until then
	silentUntil time.Time // it seems to drop EDNS: asked without until then, but for signatures
	tcpUntil    time.Time // it does not keep the case of names: asked by TCP until then
}

// answered notes a good answer.
func (h *health) answered(now time.Time, took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queries++
	h.state, h.trouble, h.refusing = Up, 0, false
	h.sample(now, took)
}

func (h *health) sample(now time.Time, took time.Duration) {
	weight := time.Duration(8)
	if now.Sub(h.sampled) > aged {
		weight = 2
	}
	h.measured, h.sampled = now, now
	if h.rtt == 0 {
		h.rtt, h.variation = max(took, 1), took/2
		return
	}
	h.variation += ((h.rtt - took).Abs() - h.variation) / 4
	h.rtt = max(h.rtt+(took-h.rtt)/weight, 1)
}

// failed notes a failure and reports whether a probe loop is to be started. refusing says that the
// server is there and does not want to answer.
func (h *health) failed(now time.Time, took time.Duration, trouble int, why string, refusing bool) (probe bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.queries++
	h.errors++
	h.lastError = why[:min(len(why), lastErrorBytes)]
	h.refusing = refusing
	if trouble > troubleServ || h.trouble < doubtful {
		h.trouble += trouble
	}
	if h.measured = now; h.rtt > 0 && took > h.rtt {
		h.sample(now, took) // at least so long
	}
	if h.trouble < troubleEnough || h.probing {
		return false
	}
	h.probing = true
	return true
}

// overtaken notes that the answer of another came before one here.
func (h *health) overtaken(now time.Time, took time.Duration) (probe bool) {
	h.mu.Lock()
	if took < h.patience() {
		h.queries++
		h.mu.Unlock()
		return false
	}
	h.mu.Unlock()
	return h.failed(now, took, troubleSlow, "slower than another", false)
}

// patience is how long to wait before another upstream is asked as well. Under mu.
func (h *health) patience() time.Duration {
	if h.rtt == 0 {
		return firstPatience
	}
	return min(max(h.rtt+4*h.variation, leastPatience), greatPatience)
}

// rank is what upstreams are put in order by.
type rank struct {
	state    State
	trouble  int
	rtt      time.Duration
	patience time.Duration
}

func (h *health) rank() rank {
	h.mu.Lock()
	defer h.mu.Unlock()
	return rank{h.state, h.trouble, h.rtt, h.patience()}
}

// claim reports whether the upstream is due for being measured again, and if so, sees to it that nobody
// else does it at the same time.
func (h *health) claim(now time.Time, every time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state == Down || now.Sub(h.measured) < every {
		return false
	}
	h.measured = now
	return true
}

// startProbing reports whether a probe loop is to be started for an upstream that was never asked.
func (h *health) startProbing() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state != Unknown || h.probing {
		return false
	}
	h.probing = true
	return true
}

// probed notes how a probe went, and reports whether the probe loop is to end and whether the upstream
// went down or came up since before. A server that refuses the probe may well serve its own zones: it
// is up until questions have shown otherwise.
func (h *health) probed(before State, err error) (end, changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, spoke := errors.AsType[rcodeError](err); spoke && !h.refusing {
		h.state, h.trouble, err = Up, min(h.trouble, doubtful), nil
	}
	if err == nil {
		h.probing = false
		return true, before == Down
	}
	h.state, h.trouble, h.lastError = Down, troubleEnough, err.Error()
	return false, before != Down
}

// edns reports whether to ask with EDNS. do says that signatures are wanted, which takes EDNS; silent
// that requests with EDNS stayed without a reply.
func (h *health) edns(now time.Time, do, silent bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Before(h.plainUntil) || !do && now.Before(h.silentUntil) {
		return false
	}
	return h.knowsEDNS || !silent
}

// noteEDNS remembers what a reply told about EDNS. A server that may just have been slow is asked with
// EDNS again by the next question that needs it.
func (h *health) noteEDNS(now time.Time, asked, got, silent bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case asked && got:
		h.knowsEDNS, h.silentUntil = true, time.Time{}
	case silent && !asked && !h.knowsEDNS:
		h.silentUntil = now.Add(silenceMemory)
	}
}

// noteRefusal remembers that requests with EDNS are answered by errors, and others are not.
func (h *health) noteRefusal(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.knowsEDNS, h.plainUntil = false, now.Add(refusedMemory)
}

func (h *health) byTCP(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return now.Before(h.tcpUntil)
}

func (h *health) noteTCP(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tcpUntil = now.Add(refusedMemory)
}
