// Package authority asks authoritative servers, and remembers of each what helps to ask it the next
// time: how fast it is, whether it knows EDNS, repeats the question letter by letter, is dead, or is
// lame for a zone. It knows nothing of zone cuts; which servers to ask, and what a reply means, is its
// caller's affair.
package authority

import (
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// Question is one question to the servers of a zone. RD and CD are clear, DO is set.
type Question struct {
	Zone string // that the servers are asked as servers of: lameness is per zone
	Name string // in resolver.Query.Name's form
	Type uint16
	// Avoid are servers that are not asked, since their word turned out to be of no use.
	Avoid []netip.AddrPort
	// Spend is called before each message that is sent; its error ends Ask with that error, but for a
	// message to see whether a server has come back, which is just not sent.
	Spend func() error
	// Accept says whether a whole (not truncated) reply is of use. An error that wraps ErrLame has the
	// server remembered as lame for Zone; any other just has the next server asked.
	Accept func(reply *dns.Msg) error
	// Tentative says that the name is not the one that the client asked for (RFC 9156), and that some
	// servers do not cope with that: a failure rcode ends Ask at once and is not held against the server.
	Tentative bool
	// Signed says that a reply without signatures is of no use: servers that had trouble with EDNS are
	// asked with it all the same, and without only when that goes wrong again.
	Signed bool
	Depth  int // for the Trace
}

// Reply is what a server said.
type Reply struct {
	Msg       *dns.Msg
	Server    netip.AddrPort
	Transport string // udp, tcp
	RTT       time.Duration
	// Amend changes the Step of the reply in the Trace, once its meaning is known. It is never nil.
	Amend func(func(*resolver.Step))
}
