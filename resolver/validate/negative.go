package validate

import (
	"github.com/miekg/dns"

	"dens/dnssec"
)

// negative judges a response that says that there is no such name, or no such type, at end. aliased says
// that links led there.
func (j *judge) negative(end string, aliased bool) error {
	owner := home(end, j.r.Type)
	base, err := j.start(owner)
	if err != nil {
		return err
	}
	if base.verdict.Status != dnssec.Secure {
		j.add(base.verdict)
		return nil
	}
	soa, by := j.denier(owner, base.zone)
	if by == "" {
		v, err := j.unsigned(base, owner, "the denial of "+end+" "+dns.Type(j.r.Type).String())
		j.add(v)
		return err
	}
	p, err := j.zone(base, by)
	if err != nil {
		return err
	}
	switch {
	case p.verdict.Status != dnssec.Secure:
		j.add(p.verdict)
	case p.zone != by:
		j.add(bogus(dns.ExtendedErrorCodeDNSBogus, "the denial of %s is signed by %s, which is no zone", end, by))
	default:
		j.deny(end, aliased, p, soa)
	}
	return nil
}

// denier returns the SOA RRset of a negative response, if it has one, and the zone that is said to have
// signed it; or, without, that to have signed the NSEC or NSEC3 records.
func (j *judge) denier(owner, base string) (soa dnssec.RRset, by string) {
	var spans []dnssec.RRset
	for _, set := range j.ns {
		switch set.Type() {
		case dns.TypeSOA:
			if within(owner, set.Name()) && (soa.Name() == "" || below(set.Name(), soa.Name())) {
				soa = set
			}
		case dns.TypeNSEC, dns.TypeNSEC3:
			spans = append(spans, set)
		}
	}
	if s := signers(owner, base, soa); len(s) > 0 {
		return soa, s[0]
	}
	if s := signers(owner, base, spans...); len(s) > 0 {
		return soa, s[0]
	}
	return soa, ""
}

// deny looks for the proof of a negative response among the records of the zone p.
func (j *judge) deny(end string, aliased bool, p place, soa dnssec.RRset) {
	if len(soa.RRs) > 0 {
		res := j.c.cfg.Validator.ValidateRRset(soa, p.keys, j.now, j.b)
		j.sig = res.Sig
		j.note(p, res.Verdict)
		if res.Status == dnssec.Secure && (soa.Name() != p.zone || res.Expanded) {
			res.Verdict = bogus(dns.ExtendedErrorCodeDNSBogus, "SOA at %s, which is not the apex of %s", soa.Name(), p.zone)
		}
		if res.Status != dnssec.Secure {
			j.add(res.Verdict)
			return
		}
		soa = lowerSet(soa, p.zone, res.TTL)
		j.out.bound(res.TTL)
		j.proven = append(j.proven, soa)
	}
	e := j.evidenceOf(p)
	proof := j.prove(e, end, aliased)
	j.note(p, proof.Verdict)
	j.add(proof.Verdict)
	if proof.Status == dnssec.Secure || proof.OptOut {
		j.out.bound(proof.TTL)
		j.offer(e, p.zone, soa)
	}
}

// prove wants what the rcode claims. NXDOMAIN of a name that is proven to exist without the type is
// taken for NOERROR: so do servers that know nothing of empty non-terminals. The other way round is
// believed behind an alias only, where old servers give the rcode of the alias (RFC 6604 section 3).
func (j *judge) prove(e *dnssec.Evidence, end string, aliased bool) dnssec.Proof {
	if j.r.Rcode == dns.RcodeNameError {
		p := e.NameError(end, j.b)
		if p.Status != dnssec.Bogus {
			return p
		}
		if other := e.NoData(end, j.r.Type, j.b); other.Status == dnssec.Secure {
			j.out.Rcode = dns.RcodeSuccess
			return other
		}
		return p
	}
	p := e.NoData(end, j.r.Type, j.b)
	switch {
	case p.Status == dnssec.Secure:
		j.out.Rcode = dns.RcodeSuccess
	case p.Status == dnssec.Bogus && aliased:
		if other := e.NameError(end, j.b); other.Status == dnssec.Secure {
			j.out.Rcode = dns.RcodeNameError
			return other
		}
	}
	return p
}

// offer hands out what was validated for aggressive use (RFC 8198 section 5).
func (j *judge) offer(e *dnssec.Evidence, zone string, soa dnssec.RRset) {
	j.out.DenialZone = zone
	for _, set := range e.Sets() {
		j.out.Denial = append(j.out.Denial, lowerSet(set.RRset, zone, set.TTL))
	}
	if len(soa.RRs) > 0 {
		j.out.Denial = append(j.out.Denial, soa)
	}
}
