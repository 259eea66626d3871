package dnssec

import (
	"github.com/miekg/dns"
)

// NameError proves that the absolute name does not exist: what a response with NXDOMAIN must show.
func (e *Evidence) NameError(owner string, b *Budget) Proof {
	return e.prove(owner, b, "that the name does not exist",
		func(n name) claim { return e.nsecNameError(n) },
		func(w *walk, n name) claim { return w.nameError(n) })
}

// NoData proves that the absolute name has no records of a type: what an empty NOERROR response must
// show. For DS at a zone cut, give it the parent's evidence.
func (e *Evidence) NoData(owner string, rrtype uint16, b *Budget) Proof {
	return e.prove(owner, b, "that there is no "+typeName(rrtype),
		func(n name) claim { return e.nsecNoData(n, rrtype) },
		func(w *walk, n name) claim { return w.noData(n, rrtype) })
}

// Expansion proves that an answer for the absolute name could come from the wildcard below the name's last
// labels labels: Result.Labels of a Result that is Expanded.
func (e *Evidence) Expansion(owner string, labels uint8, b *Budget) Proof {
	return e.prove(owner, b, "that the wildcard applies",
		func(n name) claim { return e.nsecExpansion(n, int(labels)) },
		func(w *walk, n name) claim { return w.expansion(n, int(labels)) })
}

// claim is what one kind of records shows for a name.
type claim struct {
	kind       Kind // KindNone: nothing
	optOut     bool
	delegation bool
}

// prove tries NSEC, then NSEC3, and words the outcome.
func (e *Evidence) prove(owner string, b *Budget, what string, byNSEC func(name) claim, byNSEC3 func(*walk, name) claim) Proof {
	n, ok := parseName(owner)
	switch {
	case e.zone == nil || e.broken.Status == Insecure || e.broken.Status == Indeterminate && e.broken.Text != "":
		return Proof{Verdict: e.broken}
	case !ok || !n.within(e.zone):
		return Proof{Verdict: bogus(dns.ExtendedErrorCodeDNSBogus, "denial by %s for a name outside it", e.zone)}
	}
	if c := byNSEC(n); c.kind != KindNone {
		return e.proven(c)
	}
	w := &walk{e: e, b: b}
	if len(e.nsec3) > 0 {
		if c := byNSEC3(w, n); c.kind != KindNone && w.spent.Status == Indeterminate {
			return e.proven(c)
		}
	}
	return Proof{Verdict: e.unproven(w.spent, what)}
}

func (e *Evidence) proven(c claim) Proof {
	p := Proof{Verdict: Verdict{Status: Secure}, Kind: c.kind, OptOut: c.optOut, Delegation: c.delegation, TTL: e.ttl}
	if c.optOut { // RFC 5155 section 9.2
		p.Status = Insecure
	}
	return p
}

// unproven says why a proof failed.
func (e *Evidence) unproven(spent Verdict, what string) Verdict {
	switch {
	case spent.Status == Exhausted:
		return spent
	case e.broken.Failed():
		return e.broken
	case e.costly && len(e.nsec3) == 0 && len(e.nsec) == 0: // RFC 9276 section 3.2: validated, and then insecure
		return insecure(dns.ExtendedErrorCodeUnsupportedNSEC3IterValue, "too many NSEC3 iterations in %s", e.zone)
	case len(e.nsec) == 0 && len(e.nsec3) == 0:
		return bogus(dns.ExtendedErrorCodeNSECMissing, "no NSEC or NSEC3 from %s", e.zone)
	}
	return bogus(dns.ExtendedErrorCodeNSECMissing, "NSEC or NSEC3 from %s do not prove %s", e.zone, what)
}
