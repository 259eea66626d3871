// Package load drives the clients of the benchmark: dnsperf, h2load, and one of its own that times answers.
package load

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Transport is a way to ask.
type Transport string

// The transports, and UDP with as many questions outstanding as a busy forwarder may have.
const (
	UDP      Transport = "udp"
	UDPBurst Transport = "udp1000"
	TCP      Transport = "tcp"
	DoT      Transport = "dot"
	DoH      Transport = "doh"
)

// Transports are all, in the order of tables.
var Transports = [...]Transport{UDP, UDPBurst, TCP, DoT, DoH}

// Port is where servers listen for it.
func (t Transport) Port() uint16 {
	switch t {
	case DoT:
		return 853
	case DoH:
		return 443
	default:
		return 53
	}
}

// At is where a server with this address listens for it.
func (t Transport) At(server netip.Addr) netip.AddrPort { return netip.AddrPortFrom(server, t.Port()) }

// Result is what a client counted in one run.
type Result struct {
	Sent     uint64            // questions
	Answered uint64            // answers, of any kind
	Lost     uint64            // questions without an answer, or broken off
	Classes  map[string]uint64 // answers by DNS rcode, or by class of HTTP status ("2xx")
	Elapsed  time.Duration
	Mean     time.Duration // latency
	Max      time.Duration // latency
}

// ErrUnfit says that figures of a run must not be compared: answers were lost or wrong.
var ErrUnfit = errors.New("unfit to be compared")

// Fit returns an ErrUnfit unless all questions were answered, with a class among good.
func (r Result) Fit(good ...string) error {
	var classes []string
	var known uint64
	for class, n := range r.Classes {
		known += n
		if n > 0 && !slices.Contains(good, class) {
			classes = append(classes, fmt.Sprintf("%d %s", n, class))
		}
	}
	slices.Sort(classes)
	switch {
	case r.Answered == 0:
		return fmt.Errorf("%w: no answer", ErrUnfit)
	case r.Lost > 0:
		return fmt.Errorf("%w: %d of %d lost", ErrUnfit, r.Lost, r.Sent)
	case len(classes) > 0:
		return fmt.Errorf("%w: of %d answers %s", ErrUnfit, r.Answered, strings.Join(classes, ", "))
	case known != r.Answered:
		return fmt.Errorf("%w: %d answers, but %d with a code", ErrUnfit, r.Answered, known)
	}
	return nil
}

// QPS is the number of answers a second.
func (r Result) QPS() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Answered) / r.Elapsed.Seconds()
}
