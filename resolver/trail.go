package resolver

import (
	"slices"

	"github.com/miekg/dns"
)

// What a chain of answers can pile up.
const (
	maxEDEs   = 8
	maxTags   = 256
	maxProofs = 64 // records of an authority section that are looked at
)

// trail joins the answers along an alias chain into one.
type trail struct {
	router   *Router
	question Query
	seen     []string // the names that the chain went through, the question's first
	proofs   []dns.RR // denials that belong to links: they stay, whatever the end says
	out      *Answer
}

// unrouted ends the trail at a name that is nobody's: as a server answers that has no recursion to
// offer, with the links so far (RFC 1034 section 4.3.2 step 3a).
func (t *trail) unrouted(name string) (*Answer, error) {
	if t.out == nil {
		return nil, &Error{
			Rcode: dns.RcodeRefused, Code: dns.ExtendedErrorCodeNotAuthoritative,
			Text: "no zone here has " + name,
		}
	}
	t.out.Rcode = dns.RcodeSuccess
	t.out.Ns, t.out.Extra = t.proofs, nil
	return t.out, nil
}

// add joins what route answered to q, and returns the name to go on with, "" at the end.
func (t *trail) add(route *Route, q Query, a *Answer) (next string, err error) {
	chain, err := Follow(q, route.Zone, a.Answer)
	if err != nil {
		return "", err
	}
	foreign := t.cut(route, &chain)
	if err := t.pass(&chain); err != nil {
		return "", err
	}
	switch {
	case foreign:
		// The denial, the rcode and its reasons were about the end of a chain that is now another.
		t.proofs = append(t.proofs, proofs(&chain, a.Ns)...)
		a.Rcode, a.Ns, a.Extra, a.EDE = dns.RcodeSuccess, nil, nil, nil
		next = chain.End
	case chain.Overlong != nil:
		a.Rcode = dns.RcodeYXDomain
	case a.Target != "" && follows(q.Type):
		if next = dns.CanonicalName(a.Target); next != chain.End || len(chain.Links) == 0 {
			if err := t.visit(next); err != nil {
				return "", err
			}
		}
	}
	a.Answer = chain.All()
	t.join(a)
	if next == "" {
		t.out.Ns = append(t.proofs, t.out.Ns...)
	}
	return next, nil
}

// cut drops what chain holds behind the first link that leads to another route.
func (t *trail) cut(route *Route, chain *Chain) bool {
	for i, link := range chain.Links {
		if t.router.find(link.Target) != route {
			*chain = Chain{Links: chain.Links[:i+1], End: link.Target}
			return true
		}
	}
	return false
}

// pass notes the names that chain goes through.
func (t *trail) pass(chain *Chain) error {
	for _, link := range chain.Links {
		if err := t.visit(link.Target); err != nil {
			return err
		}
	}
	return nil
}

func (t *trail) visit(name string) error {
	if slices.Contains(t.seen, name) {
		return errLoop(name)
	}
	t.seen = append(t.seen, name)
	if len(t.seen)-1 > MaxAliases {
		return errTooLong(t.question.Name)
	}
	return nil
}

// join appends a to the answer so far.
func (t *trail) join(a *Answer) {
	a.Target = ""
	if t.out == nil {
		t.out = a
		return
	}
	out := t.out
	out.Rcode, out.Ns, out.Extra = a.Rcode, a.Ns, a.Extra
	out.Answer = append(out.Answer, a.Answer...)
	out.AuthenticatedData = out.AuthenticatedData && a.AuthenticatedData
	out.Uncacheable = out.Uncacheable || a.Uncacheable
	if out.Origin == nil || a.Origin != nil && a.Origin.weaker(out.Origin) {
		out.Origin = a.Origin
	}
	for _, e := range a.EDE {
		if len(out.EDE) < maxEDEs && !slices.Contains(out.EDE, e) {
			out.EDE = append(out.EDE, e)
		}
	}
	for _, tag := range a.Tags {
		if len(out.Tags) < maxTags && !slices.Contains(out.Tags, tag) {
			out.Tags = append(out.Tags, tag)
		}
	}
}

// proofs returns the records of an authority section that prove the links of chain: where a signed
// link was made by a wildcard (its signature counts fewer labels than its owner has), a validator needs
// the denial of the closer name (RFC 4035 section 5.3.4). A denial by any other zone says nothing about
// the links, and may be one about the end of the chain.
func proofs(chain *Chain, ns []dns.RR) []dns.RR {
	var signers []string
	for _, link := range chain.Links {
		for _, rr := range link.Records {
			sig, ok := rr.(*dns.RRSIG)
			if ok && int(sig.Labels) < dns.CountLabel(sig.Hdr.Name) {
				signers = append(signers, dns.CanonicalName(sig.SignerName))
				break
			}
		}
	}
	if len(signers) == 0 {
		return nil
	}
	return denials(signers, ns[:min(len(ns), maxProofs)])
}

// denials returns the NSEC and NSEC3 records in ns that one of the signers has signed, with signatures.
func denials(signers []string, ns []dns.RR) []dns.RR {
	signed := make(map[string]bool)
	for _, rr := range ns {
		if sig, ok := rr.(*dns.RRSIG); ok && slices.Contains(signers, dns.CanonicalName(sig.SignerName)) {
			signed[denialKey(rr, sig.TypeCovered)] = true
		}
	}
	var out []dns.RR
	for _, rr := range ns {
		rrtype := rr.Header().Rrtype
		if sig, ok := rr.(*dns.RRSIG); ok {
			rrtype = sig.TypeCovered
		}
		if (rrtype == dns.TypeNSEC || rrtype == dns.TypeNSEC3) && signed[denialKey(rr, rrtype)] {
			out = append(out, rr)
		}
	}
	return out
}

func denialKey(rr dns.RR, rrtype uint16) string {
	return dns.Type(rrtype).String() + " " + dns.CanonicalName(rr.Header().Name)
}
