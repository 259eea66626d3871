package dnssec

// at returns the NSEC whose owner is n.
func (e *Evidence) at(n name) (span, bool) {
	for _, s := range e.nsec {
		if s.owner.equal(n) {
			return s, true
		}
	}
	return span{}, false
}

// gap returns an NSEC that shows that no records have the name n: n lies between its owner and its next
// name. The name may still be an empty non-terminal.
func (e *Evidence) gap(n name) (span, bool) {
	for _, s := range e.nsec {
		if s.covers(n, e.zone) {
			return s, true
		}
	}
	return span{}, false
}

// covers is RFC 4034 section 6.1's order applied. The last NSEC of a zone points back to its apex. What
// lies below a cut or a DNAME is not covered by the record at it (RFC 6840 section 4.1).
func (s span) covers(n, zone name) bool {
	if compare(s.owner, n) >= 0 {
		return false
	}
	if n.below(s.owner) && s.types.cutsOff() {
		return false
	}
	if compare(s.owner, s.next) < 0 {
		return compare(n, s.next) < 0
	}
	return s.next.equal(zone)
}

// emptyNonTerminal says that the gap shows n to exist without data: the next name is below it (RFC 4592
// section 2.2.2).
func (s span) emptyNonTerminal(n name) bool { return s.next.below(n) }

// encloser is the closest encloser of n that the gap shows: the longest name that n shares with one of its
// ends, both of which exist.
func (s span) encloser(n name) name {
	a, b := common(n, s.owner), common(n, s.next)
	if len(b) > len(a) {
		return b
	}
	return a
}

// missing returns the gap that shows that n does not exist, not even as an empty non-terminal.
func (e *Evidence) missing(n name) (span, bool) {
	s, ok := e.gap(n)
	return s, ok && !s.emptyNonTerminal(n)
}

// nsecNameError: the name does not exist, nor does the wildcard that would stand for it (RFC 4035
// section 5.4).
func (e *Evidence) nsecNameError(n name) claim {
	s, ok := e.missing(n)
	if !ok {
		return claim{}
	}
	star, ok := s.encloser(n).wildcard()
	if !ok {
		return claim{}
	}
	if _, ok := e.missing(star); !ok {
		return claim{}
	}
	return claim{kind: KindNameError}
}

// nsecNoData: the name's own NSEC lacks the type; or the name is an empty non-terminal; or a wildcard
// stands for it and lacks the type (RFC 4035 sections 5.4 and 3.1.3).
func (e *Evidence) nsecNoData(n name, rrtype uint16) claim {
	if s, ok := e.at(n); ok {
		if s.types.denies(rrtype, e.zone.isRoot()) {
			return claim{kind: KindNoData, delegation: s.types.delegates()}
		}
		return claim{}
	}
	s, ok := e.gap(n)
	switch {
	case !ok:
		return claim{}
	case s.emptyNonTerminal(n):
		return claim{kind: KindNoData}
	}
	star, ok := s.encloser(n).wildcard()
	if !ok {
		return claim{}
	}
	if w, ok := e.at(star); ok {
		if w.types.denies(rrtype, false) {
			return claim{kind: KindWildcardNoData}
		}
		return claim{}
	}
	if w, ok := e.gap(star); ok && w.emptyNonTerminal(star) {
		return claim{kind: KindWildcardNoData}
	}
	return claim{}
}

// nsecExpansion: the name does not exist and its closest encloser is the wildcard's parent, so no closer
// wildcard could have answered (RFC 4035 section 5.3.4).
func (e *Evidence) nsecExpansion(n name, labels int) claim {
	if labels >= n.labels() {
		return claim{}
	}
	s, ok := e.missing(n)
	if !ok || !s.encloser(n).equal(n.last(labels)) {
		return claim{}
	}
	return claim{kind: KindExpansion}
}
