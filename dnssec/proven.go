package dnssec

import (
	"github.com/miekg/dns"
)

// Proven is the evidence of NSEC and NSEC3 RRsets of zone that ValidateRRset has found Secure before: what
// a cache of denials keeps (RFC 8198). Signatures are not verified again, but records that Evidence leaves
// out are left out here too. An RRset counts as made from a wildcard as soon as one signature says so.
func (v *Validator) Proven(zone string, sets []RRset) *Evidence {
	n, ok := parseName(zone)
	if !ok {
		return &Evidence{broken: bogus(dns.ExtendedErrorCodeDNSBogus, "%q is no zone", zone)}
	}
	e := &Evidence{zone: n, ttl: 1<<31 - 1}
	for _, set := range sets {
		if t := set.Type(); t != dns.TypeNSEC && t != dns.TypeNSEC3 {
			continue
		}
		if c, err := canonicalize(set.RRs); err != nil || !c.owner.within(n) || expanded(c.owner, set.Sigs) {
			continue
		}
		for _, rr := range set.RRs {
			e.ttl = min(e.ttl, ttlOf(rr.Header().Ttl))
			e.read(rr, v.cfg.MaxIterations)
		}
	}
	return e
}

func expanded(owner name, sigs []*dns.RRSIG) bool {
	for _, sig := range sigs {
		if owner.sigLabels() > int(sig.Labels) {
			return true
		}
	}
	return false
}

// Empty says that e holds no record that could prove anything.
func (e *Evidence) Empty() bool { return len(e.nsec) == 0 && len(e.nsec3) == 0 }

// With returns the evidence of e and more together, as if their records had come in one response. Evidence
// of other zones is left out, and NSEC3 records of another chain than the first (RFC 5155 section 8.2).
func (e *Evidence) With(more ...*Evidence) *Evidence {
	all := *e
	all.nsec = append(make([]span, 0, len(e.nsec)+len(more)), e.nsec...)
	all.nsec3 = append(make([]hashSpan, 0, len(e.nsec3)+len(more)), e.nsec3...)
	for _, m := range more {
		if e.zone == nil || !m.zone.equal(e.zone) {
			continue
		}
		all.ttl = min(all.ttl, m.ttl)
		all.costly = all.costly || m.costly
		all.broken = worse(all.broken, m.broken)
		all.nsec = append(all.nsec, m.nsec...)
		if len(all.nsec3) == 0 {
			all.params = m.params
		}
		if m.params == all.params {
			all.nsec3 = append(all.nsec3, m.nsec3...)
		}
	}
	return &all
}

// HashWire returns the NSEC3 hash (RFC 5155 section 5) of a name in canonical wire form: uncompressed, in
// lower case, of at most 255 octets. salt is of at most 255 octets. It allocates nothing.
func HashWire(wire []byte, iterations uint16, salt string) [20]byte {
	return hashName(wire, nsec3Params{iterations, salt})
}
