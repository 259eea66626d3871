package recursive

import (
	"errors"
	"fmt"

	"github.com/miekg/dns"

	"dens/resolver"
	"dens/resolver/authority"
)

// reading is what a reply of a zone's server means.
type reading struct {
	child string // a referral to this zone, when not ""
	chain resolver.Chain
	rcode int
	// negative says that the reply denies the end of chain; else, without records, the chain leads on.
	negative bool
	// doubt is why another server should be asked first; nil when there is none.
	doubt error
}

var (
	errNotAuthoritative = errors.New("the answer is not authoritative")
	errUpward           = fmt.Errorf("%w: it refers to a zone that is not below", authority.ErrLame)
	errNothing          = fmt.Errorf("%w: the answer is empty", authority.ErrLame)
	errEmpty            = errors.New("the answer is empty")
	errIntercepted      = errors.New("the answer is that of a recursive server: somebody answers in the place of name servers")
)

// read tells what a reply means to a question that was put to the servers of zone. An error says that
// the server is of no use for it (RFC 1034 section 5.3.3 step 4; RFC 2308 section 2). A reply that should
// have AA set and does not is doubtful; so is one that has nothing in it.
func read(msg *dns.Msg, zone, name string, rrtype uint16) (reading, error) {
	chain, err := answerIn(msg, zone, name, rrtype)
	if err != nil {
		return reading{}, err
	}
	out := reading{chain: chain, rcode: msg.Rcode}
	switch {
	case len(chain.Links) > 0 || len(chain.Records) > 0 || chain.Overlong != nil:
		out.doubt = doubtful(msg)
		out.settle(msg, zone)
		return out, nil
	case msg.Rcode == dns.RcodeNameError:
		out.doubt = doubtful(msg)
		out.negative = true
		return out, nil
	}
	return out, out.readEmpty(msg, zone, name, rrtype)
}

// answerIn returns the alias chain in the answer section as far as it is in zone: of what is outside,
// its servers know nothing.
func answerIn(msg *dns.Msg, zone, name string, rrtype uint16) (resolver.Chain, error) {
	inside := make([]dns.RR, 0, len(msg.Answer))
	for _, rr := range msg.Answer {
		if h := rr.Header(); h.Rrtype != dns.TypeOPT && dns.IsSubDomain(zone, dns.CanonicalName(h.Name)) {
			inside = append(inside, rr)
		}
	}
	chain, err := resolver.Follow(resolver.Query{Name: name, Type: rrtype}, zone, inside)
	if err != nil {
		return resolver.Chain{}, &aliasError{err}
	}
	return chain, nil
}

// aliasError says that an alias chain is a loop or too long.
type aliasError struct{ error }

func (e *aliasError) Unwrap() error { return e.error }

// settle decides about the end of a chain that is not empty.
func (r *reading) settle(msg *dns.Msg, zone string) {
	switch {
	case r.chain.Overlong != nil:
		r.rcode = dns.RcodeYXDomain
	case len(r.chain.Records) > 0:
		r.rcode = dns.RcodeSuccess
	case !dns.IsSubDomain(zone, r.chain.End):
		r.rcode = dns.RcodeSuccess
	default:
		r.negative = msg.Rcode == dns.RcodeNameError || soaOf(msg, zone, r.chain.End) != nil
		if !r.negative {
			r.rcode = dns.RcodeSuccess
		}
	}
}

// readEmpty tells a referral from NODATA and from a server that knows nothing.
func (r *reading) readEmpty(msg *dns.Msg, zone, name string, rrtype uint16) error {
	if soaOf(msg, zone, name) != nil {
		r.negative, r.doubt = true, doubtful(msg)
		return nil
	}
	above := false
	for _, rr := range msg.Ns {
		if rr.Header().Rrtype != dns.TypeNS {
			continue
		}
		child := dns.CanonicalName(rr.Header().Name)
		switch {
		case !dns.IsSubDomain(child, name):
		case child == zone || !dns.IsSubDomain(zone, child):
			above = true
		case rrtype == dns.TypeDS && child == name:
			// A server that does not know DNSSEC refers to the child instead of denying the DS.
			r.negative = true
			return nil
		default:
			r.child = child
			return nil
		}
	}
	switch {
	case msg.Authoritative:
		r.negative, r.doubt = true, errEmpty // NODATA without an SOA: not to be cached (RFC 2308 section 5)
		return nil
	case above:
		return errUpward
	}
	return errNothing
}

func doubtful(msg *dns.Msg) error {
	if msg.Authoritative {
		return nil
	}
	return errNotAuthoritative
}

// soaOf returns the SOA of the authority section that a denial of name has: of the zone that the
// servers are asked for, or of one below it that they serve too.
func soaOf(msg *dns.Msg, zone, name string) *dns.SOA {
	for _, rr := range msg.Ns {
		soa, ok := rr.(*dns.SOA)
		if !ok {
			continue
		}
		owner := dns.CanonicalName(soa.Hdr.Name)
		if dns.IsSubDomain(zone, owner) && dns.IsSubDomain(owner, name) {
			return soa
		}
	}
	return nil
}
