package validate

import (
	"slices"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
)

// judge is the judgement of one response as it comes about.
type judge struct {
	*walk
	r        *Response
	ns       []dnssec.RRset // of the authority section
	out      Judgement
	evidence []proofs
	proven   []dnssec.RRset // what is to stand in the authority section
}

// proofs are the denials that a response has by one zone.
type proofs struct {
	zone     string
	evidence *dnssec.Evidence
}

// judge judges a response, once more with newer keys where those of memory lack one.
func (w *walk) judge(r *Response) (Judgement, error) {
	out, err := w.judgeOnce(r)
	if err == nil && out.Status == dnssec.Bogus && w.renewKeys() {
		return w.judgeOnce(r)
	}
	return out, err
}

// judgeOnce judges each link of a response's alias chain, then its end.
func (w *walk) judgeOnce(r *Response) (Judgement, error) {
	q := resolver.Query{Name: r.Name, Type: r.Type, Class: dns.ClassINET}
	chain, err := resolver.Follow(q, r.Zone, r.Answer)
	if err != nil {
		return Judgement{}, err
	}
	ns := dnssec.Group(r.Ns)
	j := &judge{walk: w, r: r, ns: ns[:min(len(ns), maxSets)]}
	j.out = Judgement{Verdict: dnssec.Verdict{Status: dnssec.Secure}, Rcode: r.Rcode, TTL: unbounded}
	for i := range chain.Links {
		if err := j.link(chain.Links[i].Records); err != nil {
			return Judgement{}, err
		}
	}
	if !j.out.Failed() {
		err = j.end(&chain)
	}
	if err != nil {
		return Judgement{}, err
	}
	j.finish(&chain)
	return j.out, nil
}

// end judges what is at the end of the chain.
func (j *judge) end(chain *resolver.Chain) error {
	sets := dnssec.Group(chain.Records) // none when there are only signatures
	switch {
	case chain.Overlong != nil:
		j.out.Rcode = dns.RcodeYXDomain
		return j.link(chain.Overlong)
	case j.r.Type == dns.TypeRRSIG && j.r.Rcode == dns.RcodeSuccess && within(chain.End, j.r.Zone):
		// RFC 4035 section 2.2: neither these nor their absence can be proven.
		j.add(dnssec.Verdict{Status: dnssec.Insecure, Text: "signatures are not signed themselves"})
		return nil
	case len(sets) > 0:
		return j.data(chain, sets)
	case len(chain.Links) > 0 && j.leadsAway(chain.End):
		j.out.Open = chain.End
		return nil
	}
	return j.negative(chain.End, len(chain.Links) > 0)
}

// leadsAway says that the response ends with an alias: it denies nothing about the name that is left, or
// could not, having come from servers of another zone.
func (j *judge) leadsAway(end string) bool {
	if !within(end, j.r.Zone) {
		return true
	}
	return j.r.Rcode == dns.RcodeSuccess && !slices.ContainsFunc(j.ns, func(s dnssec.RRset) bool {
		return s.Type() == dns.TypeSOA && within(end, s.Name())
	})
}

// finish decides what is passed on. What is not Secure goes on as it came.
func (j *judge) finish(chain *resolver.Chain) {
	if j.out.Status != dnssec.Secure {
		j.out.Answer, j.out.Ns = chain.All(), j.r.Ns
		if j.out.Status != dnssec.Insecure {
			j.out.Denial, j.out.DenialZone = nil, ""
		}
		return
	}
	for _, p := range j.evidence {
		for _, set := range p.evidence.Sets() {
			j.proven = append(j.proven, lowerSet(set.RRset, p.zone, set.TTL))
		}
	}
	j.out.Ns = flat(make([]dns.RR, 0, 2*len(j.proven)), j.proven...)
}

// add makes the verdict worse where v is.
func (j *judge) add(v dnssec.Verdict) { j.out.Verdict = worst(j.out.Verdict, v) }

// link judges one alias. A CNAME behind a DNAME is what follows from it, which resolver.Follow has made
// sure of, and so not signed (RFC 6672 section 5.3.1).
func (j *judge) link(records []dns.RR) error {
	if j.out.Failed() {
		return nil
	}
	sets := dnssec.Group(records)
	set, ttl, err := j.set(sets[0])
	if err != nil {
		return err
	}
	j.out.Answer = flat(j.out.Answer, set)
	for _, rest := range sets[1:] {
		j.out.Answer = append(j.out.Answer, lower(rest.RRs, ttl)...)
	}
	return nil
}

// data judges the RRset that was asked for, or all RRsets at the name.
func (j *judge) data(chain *resolver.Chain, sets []dnssec.RRset) error {
	if len(sets) > maxSets {
		j.add(spent("%d RRsets", maxSets))
		return nil
	}
	there := false
	for i, set := range sets {
		there = there || set.Name() == chain.End
		if i > 0 && len(set.Sigs) == 0 && synthesised(set, sets[0]) {
			j.out.Answer = append(j.out.Answer, lower(set.RRs, sets[0].RRs[0].Header().Ttl)...)
			continue
		}
		lowered, _, err := j.set(set)
		if err != nil {
			return err
		}
		j.out.Answer = flat(j.out.Answer, lowered)
		if j.out.Failed() {
			return nil
		}
	}
	if !there { // a DNAME without the CNAME that is to follow from it
		j.add(bogus(dns.ExtendedErrorCodeDNSBogus, "no records at %s", chain.End))
	}
	if j.out.Status == dnssec.Secure {
		j.out.Rcode = dns.RcodeSuccess // whatever the server says about data that is there
	}
	return nil
}

// synthesised says that set is the CNAME that follows from the DNAME of the other set.
func synthesised(set, dname dnssec.RRset) bool {
	if len(set.RRs) != 1 || len(dname.RRs) != 1 {
		return false
	}
	c, ok := set.RRs[0].(*dns.CNAME)
	d, ok2 := dname.RRs[0].(*dns.DNAME)
	return ok && ok2 && substitutes(set.Name(), dname.Name(), dns.CanonicalName(d.Target), dns.CanonicalName(c.Target))
}

// set judges one RRset and returns it with its TTL lowered, and that TTL.
func (j *judge) set(set dnssec.RRset) (dnssec.RRset, uint32, error) {
	ttl := set.RRs[0].Header().Ttl
	owner := home(set.Name(), set.Type())
	if set.Type() == dns.TypeCNAME && j.r.Type == dns.TypeDS { // in the place of DS, and so in the same zone
		owner = parent(set.Name())
	}
	base, err := j.start(owner)
	if err != nil {
		return set, ttl, err
	}
	if base.verdict.Status != dnssec.Secure {
		j.add(base.verdict)
		return set, ttl, nil
	}
	failure := dnssec.Verdict{}
	for _, signer := range signers(owner, base.zone, set) {
		p, err := j.zone(base, signer)
		if err != nil {
			return set, ttl, err
		}
		v, ttl, err := j.signed(set, p, signer)
		if err != nil {
			return set, ttl, err
		}
		if !v.Failed() {
			j.add(v)
			if v.Status == dnssec.Secure {
				j.out.bound(ttl)
				return lowerSet(set, signer, ttl), ttl, nil
			}
			return set, ttl, nil
		}
		if failure.Text == "" {
			failure = v
		}
	}
	if failure.Text == "" {
		failure, err = j.unsigned(base, owner, set.Name()+" "+dns.Type(set.Type()).String())
	}
	j.add(failure)
	return set, ttl, err
}

// signed judges a set that signer, which the walk to it ended at p for, is said to have signed.
func (j *judge) signed(set dnssec.RRset, p place, signer string) (dnssec.Verdict, uint32, error) {
	switch {
	case p.verdict.Status != dnssec.Secure:
		return p.verdict, 0, nil
	case p.zone != signer:
		return bogus(dns.ExtendedErrorCodeDNSBogus, "%s %s is signed by %s, which is no zone", set.Name(), dns.Type(set.Type()), signer), 0, nil
	}
	res := j.c.cfg.Validator.ValidateRRset(set, p.keys, j.now, j.b)
	j.sig = res.Sig
	j.note(p, res.Verdict)
	if res.Status != dnssec.Secure || !res.Expanded {
		return res.Verdict, res.TTL, nil
	}
	proof := j.evidenceOf(p).Expansion(set.Name(), res.Labels, j.b)
	j.note(p, proof.Verdict)
	return proof.Verdict, min(res.TTL, proof.TTL), nil
}

// unsigned judges what nobody signed: it is insecure when an insecure delegation leads to it that nobody
// spoke of, since parent and child are on the same servers, and bogus when all of the way is secure.
func (j *judge) unsigned(base place, owner, what string) (dnssec.Verdict, error) {
	p, err := j.sought(base, owner, func(place) bool { return false })
	if err != nil || p.verdict.Status != dnssec.Secure {
		return p.verdict, err
	}
	return bogus(dns.ExtendedErrorCodeRRSIGsMissing, "no signature for %s in the signed zone %s", what, p.zone), nil
}

// zone walks to the zone that signed something.
func (j *judge) zone(base place, signer string) (place, error) {
	return j.sought(base, signer, func(p place) bool { return p.zone == signer })
}

// sought walks to name. A secure place that is not what was looked for is not believed of memory, which
// may be older than a new zone, but asked for again.
func (j *judge) sought(base place, name string, found func(place) bool) (place, error) {
	p, err := j.reach(base, name)
	if err != nil || p.verdict.Status != dnssec.Secure || found(p) || !j.c.memory.forgetNoCuts(p, name, j.now) {
		return p, err
	}
	return j.reach(p, name)
}

// signers returns the zones that are said to have signed some of the sets and that may have: at or above
// owner, and not above the anchor's zone. The closest come first.
func signers(owner, base string, sets ...dnssec.RRset) []string {
	var out []string
	for _, set := range sets {
		for _, sig := range set.Sigs {
			s := dns.CanonicalName(sig.SignerName)
			if within(owner, s) && within(s, base) && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out[:min(len(out), maxSigners)]
}

// evidenceOf returns the denials of the response by the zone p, validated once.
func (j *judge) evidenceOf(p place) *dnssec.Evidence {
	for i := range j.evidence {
		if j.evidence[i].zone == p.zone {
			return j.evidence[i].evidence
		}
	}
	var own []dnssec.RRset
	for _, set := range j.ns {
		if t := set.Type(); (t == dns.TypeNSEC || t == dns.TypeNSEC3) && claimed(set, p.zone) {
			own = append(own, set)
		}
	}
	e := j.c.cfg.Validator.Evidence(own, p.keys, j.now, j.b)
	j.evidence = append(j.evidence, proofs{zone: p.zone, evidence: e})
	return e
}

// claimed says that zone is said to have signed set, or nobody is and it could have.
func claimed(set dnssec.RRset, zone string) bool {
	for _, sig := range set.Sigs {
		if dns.CanonicalName(sig.SignerName) == zone {
			return true
		}
	}
	return len(set.Sigs) == 0 && within(set.Name(), zone)
}
