// Package validate judges responses by DNSSEC: it finds the keys that a response needs, from a trust
// anchor down (RFC 4035 section 5), and lets dnssec decide. Where the records come from is the Source's
// affair: iteration, or an upstream server.
package validate

import (
	"context"
	"net/netip"

	"github.com/miekg/dns"
)

// Response is what the servers of one zone say about one question, before anybody has judged it.
type Response struct {
	Name   string // of the question, in resolver.Query.Name's form
	Type   uint16
	Rcode  int
	Answer []dns.RR       // the alias chain from Name on, as far as it is in Zone, and the RRset at its end; signatures
	Ns     []dns.RR       // SOA, NSEC and NSEC3 records in Zone; signatures
	Zone   string         // of the servers that said it; "." for an upstream server, which answers for all
	Server netip.AddrPort // who said it; zero when unknown
}

// Source fetches what is needed beside a response to judge it. It is safe for concurrent use.
type Source interface {
	// Fetch returns what the servers of the zone that name is in (for DS: of the zone above it) say. It
	// asks none of the servers in avoid, whose word turned out bogus. Where avoid is not empty, memory is no
	// answer; the zero address in it stands for nobody. Records are not judged.
	Fetch(ctx context.Context, name string, rrtype uint16, avoid []netip.AddrPort) (*Response, error)
	// NextCut returns the next zone cut below zone on the way to name (or name itself) that is known
	// without asking, and the records that the parent's referral gave about its DS: DS, or NSEC or NSEC3
	// with signatures; maybe none. It returns "" when no cut is known.
	NextCut(ctx context.Context, zone, name string) (cut string, referral []dns.RR)
}
