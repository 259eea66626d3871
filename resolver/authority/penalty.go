package authority

import (
	"errors"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

const (
	firstPause = time.Second
	lamePause  = 5 * time.Minute  // longest pause of a lame server (RFC 9520 section 3.2)
	failPause  = 10 * time.Second // longest pause after SERVFAIL, and what may be about one question only
	blockFor   = time.Second      // a failure this recent is not tried again (RFC 9520 section 3.2)
	lameEnough = 4                // failures, each after a pause, from which on hardly anything is hoped of a server
)

// zoneKey is a server in its role as a server of one zone.
type zoneKey struct {
	addr netip.AddrPort
	zone string
}

// penalty is what is remembered of a server that was of no use for a zone. Most failures can be about one
// name or type, so that anybody might bring them about: they cost the place in the order, and only the
// same question is not asked again.
type penalty struct {
	cause    error
	failures int // times that it was found so after a pause
	last     time.Time
	until    time.Time // asked after the others until then
	name     string    // of the newest question
	rrtype   uint16
}

// fail notes a failure. Those during a pause are of messages that were under way, or of a last resort.
func (p *penalty) fail(now time.Time, q *Question, cause error) {
	p.cause, p.last, p.name, p.rrtype = cause, now, q.Name, q.Type
	if now.Before(p.until) {
		return
	}
	most := failPause
	if rcode, ok := errors.AsType[Rcode](cause); errors.Is(cause, ErrLame) || ok && rcode != dns.RcodeServerFailure {
		most = lamePause
	}
	p.until = now.Add(min(firstPause<<min(p.failures, 16), most))
	p.failures++
}

// blocks says that it is too soon to ask q.
func (p *penalty) blocks(now time.Time, q *Question) bool {
	return now.Sub(p.last) < blockFor && p.name == q.Name && p.rrtype == q.Type
}
