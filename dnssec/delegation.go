package dnssec

import (
	"time"

	"github.com/miekg/dns"
)

// Cut is what the parent says about a name that may be a child zone.
//
// Secure with DS: the child is signed and DS is its Trust. Insecure: the child, if there is one, is not
// to be validated. Secure without DS: there is no zone cut at the name, the parent's keys go on. Bogus
// or Exhausted: the answer is to be had elsewhere or not at all.
type Cut struct {
	Verdict
	DS  []*dns.DS
	TTL uint32 // seconds this may be kept
	// NoName says that the name does not exist, nor anything below it: there is no cut further down.
	NoName bool
}

// NoCut says it is proven that the name is no zone cut.
func (c Cut) NoCut() bool { return c.Status == Secure && len(c.DS) == 0 }

// Delegation judges the parent's answer to child's DS question (or a referral): sets are its answer and
// authority sections, parent the keys of the zone that gave it (RFC 4035 section 5.2). Below a parent that
// is not Secure the child is what the parent is.
func (v *Validator) Delegation(child string, sets []RRset, parent *Keys, now time.Time, b *Budget) Cut {
	if parent.Status != Secure {
		return Cut{Verdict: parent.Verdict}
	}
	n, ok := parseName(child)
	if !ok || !n.below(parent.zone) {
		return Cut{Verdict: bogus(dns.ExtendedErrorCodeDNSBogus, "delegation outside %s", parent.zone)}
	}
	for _, set := range sets {
		if set.Type() == dns.TypeDS && sameName(set.RRs[0].Header().Name, child, n) {
			return v.signedChild(n, set, parent, now, b)
		}
	}
	return v.unsignedChild(n, sets, parent, now, b)
}

// signedChild validates a DS set and asks whether any of it can be used.
func (v *Validator) signedChild(child name, set RRset, parent *Keys, now time.Time, b *Budget) Cut {
	res := v.ValidateRRset(set, parent, now, b)
	switch {
	case res.Status != Secure:
		return Cut{Verdict: res.Verdict}
	case res.Expanded: // a wildcard delegates nothing
		return Cut{Verdict: bogus(dns.ExtendedErrorCodeDNSBogus, "DS of %s made from a wildcard", child)}
	}
	trust := Trust{}
	for _, rr := range set.RRs {
		if ds, ok := rr.(*dns.DS); ok {
			trust.DS = append(trust.DS, ds)
		}
	}
	usable, why := v.usableTrust(child, trust)
	if usable.Empty() {
		return Cut{Verdict: why, TTL: res.TTL}
	}
	return Cut{Verdict: Verdict{Status: Secure}, DS: usable.DS, TTL: res.TTL}
}

// unsignedChild wants the proof that there is no DS. NS in the bitmap makes it an insecure delegation
// (RFC 6840 section 4.4); an opt-out span may hold one (RFC 5155 section 8.9); else there is no cut.
func (v *Validator) unsignedChild(child name, sets []RRset, parent *Keys, now time.Time, b *Budget) Cut {
	e := v.Evidence(sets, parent, now, b)
	owner := child.String()
	p := e.NoData(owner, dns.TypeDS, b)
	switch {
	case p.OptOut:
		return Cut{Verdict: insecure(dns.ExtendedErrorCodeOther, "%s is in an opt-out span", owner), TTL: p.TTL}
	case p.Status == Insecure:
		return Cut{Verdict: p.Verdict, TTL: p.TTL}
	case p.Status == Secure && p.Delegation:
		return Cut{Verdict: insecure(dns.ExtendedErrorCodeOther, "%s has no DS", owner), TTL: p.TTL}
	case p.Status == Secure:
		return Cut{Verdict: Verdict{Status: Secure}, TTL: p.TTL}
	}
	if none := e.NameError(owner, b); none.Status == Secure {
		return Cut{Verdict: Verdict{Status: Secure}, TTL: none.TTL, NoName: true}
	}
	return Cut{Verdict: p.Verdict}
}
