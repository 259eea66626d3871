package dnssec

import (
	"bytes"
	"crypto/sha1"
)

// walk is one proof by NSEC3: its hashes, each computed once and paid for.
type walk struct {
	e      *Evidence
	b      *Budget
	hashes map[string][20]byte
	spent  Verdict // Exhausted when a hash could not be paid for
}

// hash returns the hash of n; false when the budget is spent.
func (w *walk) hash(n name) ([20]byte, bool) {
	if h, ok := w.hashes[string(n)]; ok {
		return h, true
	}
	if fault, ok := w.b.takeHash(); !ok {
		w.spent = fault
		return [20]byte{}, false
	}
	if w.hashes == nil {
		w.hashes = make(map[string][20]byte)
	}
	h := hashName(n, w.e.params)
	w.hashes[string(n)] = h
	return h, true
}

// hashName is RFC 5155 section 5: IH(salt, x, 0) = H(x | salt), IH(salt, x, k) = H(IH(salt, x, k-1) | salt).
func hashName(n name, p nsec3Params) [20]byte {
	buf := make([]byte, 0, 512)
	buf = append(append(buf, n...), p.salt...)
	h := sha1.Sum(buf)
	for range p.iterations {
		buf = append(append(buf[:0], h[:]...), p.salt...)
		h = sha1.Sum(buf)
	}
	return h
}

// at returns the NSEC3 that matches n.
func (w *walk) at(n name) (hashSpan, bool) {
	h, ok := w.hash(n)
	if !ok {
		return hashSpan{}, false
	}
	for _, s := range w.e.nsec3 {
		if s.owner == h {
			return s, true
		}
	}
	return hashSpan{}, false
}

// gap returns an NSEC3 that covers n.
func (w *walk) gap(n name) (hashSpan, bool) {
	h, ok := w.hash(n)
	if !ok {
		return hashSpan{}, false
	}
	for _, s := range w.e.nsec3 {
		if s.covers(h) {
			return s, true
		}
	}
	return hashSpan{}, false
}

// covers says that h is between the ends, neither included. The last record's next hash is the first
// owner; a record that is alone covers all but its own (RFC 5155 section 3.1.7).
func (s hashSpan) covers(h [20]byte) bool {
	afterOwner := bytes.Compare(s.owner[:], h[:]) < 0
	beforeNext := bytes.Compare(h[:], s.next[:]) < 0
	switch bytes.Compare(s.owner[:], s.next[:]) {
	case -1:
		return afterOwner && beforeNext
	case 0:
		return h != s.owner
	}
	return afterOwner || beforeNext
}

// encloser is the closest encloser proof of RFC 5155 section 8.3: the longest ancestor of n that a record
// matches, and a record that covers the name one label longer. n itself must not be matched.
func (w *walk) encloser(n name) (encloser name, next hashSpan, ok bool) {
	closer := n
	for closer.below(w.e.zone) {
		up := closer.parent()
		if s, found := w.at(up); found {
			if s.types.cutsOff() { // an ancestor's side of a cut, or DNAME: not its to deny
				return nil, hashSpan{}, false
			}
			next, ok = w.gap(closer)
			return up, next, ok
		}
		if w.spent.Status == Exhausted {
			break
		}
		closer = up
	}
	return nil, hashSpan{}, false
}

// nameError is RFC 5155 section 8.4.
func (w *walk) nameError(n name) claim {
	if _, exists := w.at(n); exists {
		return claim{}
	}
	encloser, next, ok := w.encloser(n)
	if !ok {
		return claim{}
	}
	star, ok := encloser.wildcard()
	if !ok {
		return claim{}
	}
	if _, ok := w.gap(star); !ok {
		return claim{}
	}
	return claim{kind: KindNameError, optOut: next.optOut}
}

// noData is RFC 5155 sections 8.5 (the name's own record), 8.7 (a wildcard's) and 8.6 (an opt-out span; for
// types other than DS it may hide an empty non-terminal above insecure delegations, erratum 3441).
func (w *walk) noData(n name, rrtype uint16) claim {
	if s, ok := w.at(n); ok {
		if s.types.denies(rrtype, w.e.zone.isRoot()) {
			return claim{kind: KindNoData, delegation: s.types.delegates()}
		}
		return claim{}
	}
	encloser, next, ok := w.encloser(n)
	if !ok {
		return claim{}
	}
	if star, ok := encloser.wildcard(); ok {
		if s, ok := w.at(star); ok {
			if !s.types.denies(rrtype, false) {
				return claim{}
			}
			return claim{kind: KindWildcardNoData, optOut: next.optOut}
		}
	}
	if next.optOut {
		return claim{kind: KindOptOut, optOut: true}
	}
	return claim{}
}

// expansion is RFC 5155 section 8.8: the wildcard's signature shows the closest encloser; the name one
// label longer must be covered.
func (w *walk) expansion(n name, labels int) claim {
	if labels >= n.labels() || labels < w.e.zone.labels() {
		return claim{}
	}
	s, ok := w.gap(n.last(labels + 1))
	if !ok {
		return claim{}
	}
	return claim{kind: KindExpansion, optOut: s.optOut}
}

// HashName returns the NSEC3 hash of an absolute name as the label of an owner name is written: lower-case
// base32hex (RFC 5155 section 5). False for what is no name. Zones that are signed here use it.
func HashName(owner string, iterations uint16, salt []byte) (string, bool) {
	n, ok := parseName(owner)
	if !ok || len(salt) > 255 {
		return "", false
	}
	h := hashName(n, nsec3Params{iterations, string(salt)})
	return encodeHash(h), true
}
