package onchain

import (
	"slices"

	"github.com/miekg/dns"

	"dens/names"
)

// stored is what the chain itself holds for a question: an RRset of the type asked for, or a CNAME or a
// DNAME that leads elsewhere. No records means that it holds nothing.
type stored struct {
	records []dns.RR
	rrtype  uint16
}

// lookUp picks the records that answer the question. First a DNAME above the name: it hides all that is
// below it (RFC 6672 section 2.4). Then the records at the name itself, RRsets before text records; then
// the wildcard of the nearest ancestor (RFC 4592). A CNAME comes before data. A contract can hold what a
// zone file cannot, data below a DNAME or beside a CNAME, and resolvers that have the alias in their
// cache use it for every question: so does this one.
func (z *zone) lookUp(q question, rec *names.Records) (stored, error) {
	ancestors := enclosers(q.inner, rec.Apex)
	for _, above := range slices.Backward(ancestors) {
		if s, err := z.dname(q, rec, above); err != nil || len(s.records) > 0 {
			return s, err
		}
	}
	if s, err := z.atName(q, rec); err != nil || len(s.records) > 0 {
		return s, err
	}
	for _, above := range ancestors {
		if s, err := z.wildcard(q, rec, above); err != nil || len(s.records) > 0 {
			return s, err
		}
	}
	return stored{}, nil
}

// atName looks at the name itself.
func (z *zone) atName(q question, rec *names.Records) (stored, error) {
	for _, t := range wanted(q.rrtype, q.inner == rec.Apex) {
		rrs, err := z.rrset(q.inner, t, rec.RRsets, rec.Texts, q.asked)
		if err != nil || len(rrs) > 0 {
			return stored{rrs, t}, err
		}
	}
	return stored{}, nil
}

// rrset reads what is stored of one type at an owner name, the RRset before the text record, and gives it
// to newOwner. texts are the owner's own.
func (z *zone) rrset(owner string, rrtype uint16, sets []names.RRset, texts []names.Text, newOwner string) ([]dns.RR, error) {
	for _, set := range sets {
		if set.Type == rrtype && set.Owner == owner && len(set.Wire) > 0 {
			return parseRRset(set.Wire, owner, rrtype, newOwner, z.cfg.MaxRecordTTL)
		}
	}
	for _, text := range texts {
		if text.Type != rrtype {
			continue
		}
		rrs, err := parseText(text, newOwner, z.cfg.TTL, z.cfg.MaxRecordTTL)
		if err != nil || len(rrs) > 0 {
			return rrs, err
		}
	}
	return nil, nil
}

// dname looks for a DNAME of an ancestor's own.
func (z *zone) dname(q question, rec *names.Records, above string) (stored, error) {
	for _, set := range rec.RRsets {
		if set.Type == dns.TypeDNAME && set.Owner == above && len(set.Wire) > 0 {
			rrs, err := parseRRset(set.Wire, above, dns.TypeDNAME, q.outer(above), z.cfg.MaxRecordTTL)
			return stored{rrs, dns.TypeDNAME}, err
		}
	}
	return stored{}, nil
}

// wildcard looks at the wildcard below an ancestor. Its records are given to the name in question.
func (z *zone) wildcard(q question, rec *names.Records, above string) (stored, error) {
	for _, t := range wanted(q.rrtype, false) {
		for _, set := range rec.RRsets {
			if set.Type == t && set.Owner == "*."+above && len(set.Wire) > 0 {
				rrs, err := parseRRset(set.Wire, set.Owner, t, q.asked, z.cfg.MaxRecordTTL)
				return stored{rrs, t}, err
			}
		}
	}
	return stored{}, nil
}

// wanted lists the types that answer a question for rrtype, the first to be looked for first.
func wanted(rrtype uint16, apex bool) []uint16 {
	if rrtype == dns.TypeCNAME || exemptFromCNAME(rrtype, apex) {
		return []uint16{rrtype}
	}
	return []uint16{dns.TypeCNAME, rrtype}
}

// exemptFromCNAME reports whether a type may stand beside a CNAME: RRSIG, NSEC and KEY may (RFC 4035
// section 2.5). A CNAME at an apex is against RFC 1034, but it is what owners of names store there, and
// it serves visitors: all that makes the zone a zone stays outside of it.
func exemptFromCNAME(rrtype uint16, apex bool) bool {
	switch rrtype {
	case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeKEY:
		return true
	case dns.TypeSOA, dns.TypeNS, dns.TypeDNSKEY, dns.TypeDS, dns.TypeNSEC3PARAM, dns.TypeCDS, dns.TypeCDNSKEY, dns.TypeDNAME:
		return apex
	}
	return false
}

// enclosers lists the ancestors of name within the zone at apex, the nearest first.
func enclosers(name, apex string) []string {
	var list []string
	for _, i := range dns.Split(name) {
		if i > 0 && dns.IsSubDomain(apex, name[i:]) {
			list = append(list, name[i:])
		}
	}
	return list
}

// canonical returns the Records with the names in them in canonical form; the original is left alone.
func canonical(rec names.Records) names.Records {
	rec.Apex = dns.CanonicalName(rec.Apex)
	rec.RRsets = canonicalSets(rec.RRsets)
	rec.Cuts = slices.Clone(rec.Cuts)
	for i := range rec.Cuts {
		rec.Cuts[i].Owner = dns.CanonicalName(rec.Cuts[i].Owner)
		rec.Cuts[i].RRsets = canonicalSets(rec.Cuts[i].RRsets)
	}
	return rec
}

func canonicalSets(sets []names.RRset) []names.RRset {
	sets = slices.Clone(sets)
	for i := range sets {
		sets[i].Owner = dns.CanonicalName(sets[i].Owner)
	}
	return sets
}
