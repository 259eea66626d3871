package denial

import (
	"time"

	"dens/dnssec"
)

// finding is the few records that speak about a name, and what they seem to say.
type finding struct {
	records   [3]*record
	count     int
	at        *record // the one at the name itself, or at the wildcard that stands for it; nil when none is
	nameError bool    // that the name does not exist; else that it has no such type
	labels    int     // of the name to ask dnssec about; 0 for the name itself
}

// with adds a record, once. at says that it is at the name itself or at the wildcard.
func (f finding) with(r *record, at bool) finding {
	if at {
		f.at = r
	}
	for _, have := range f.records[:f.count] {
		if have == r {
			return f
		}
	}
	f.records[f.count] = r
	f.count++
	return f
}

// speakers finds the records that speak about a name.
func (z *zone) speakers(wire []byte, now time.Time, hashes int) (finding, bool) {
	if z.chain.hashed {
		return z.byNSEC3(wire, now, hashes)
	}
	return z.byNSEC(wire, now)
}

// byNSEC finds the record at the name; or else the one that spans it, and the one at or over the wildcard
// below the closest encloser (RFC 4035 section 5.4).
func (z *zone) byNSEC(wire []byte, now time.Time) (f finding, ok bool) {
	var buf, starBuf [maxKey]byte
	k := appendKey(buf[:0], wire)
	r, at := z.find(k, now)
	if r == nil {
		return f, false
	}
	f = f.with(r, at)
	if at || hasPrefix(r.next, k) { // the name itself, or an empty non-terminal
		return f, true
	}
	encloser := k[:max(common(k, r.key), common(k, r.next))]
	star := append(append(starBuf[:0], encloser...), '*', 0)
	w, at := z.find(star, now)
	if w == nil {
		return f, false
	}
	f = f.with(w, at)
	f.nameError = !at && !hasPrefix(w.next, star)
	return f, true
}

// byNSEC3 finds the record at the name; or else, from the apex down, the closest encloser, the record that
// spans the next closer name, and the one at or over the wildcard (RFC 5155 section 8.4). If the next closer
// name does not exist, nothing beneath it does, so dnssec is asked about that one, which bounds its hashing.
func (z *zone) byNSEC3(wire []byte, now time.Time, hashes int) (f finding, ok bool) {
	var at [128]uint8
	labels := starts(wire, &at)
	own := dnssec.HashWire(wire, z.chain.iterations, z.chain.salt)
	hashes--
	if r, match := z.find(own[:], now); match {
		return f.with(r, true), true
	}
	var encloser *record // of the name one label shorter
	if r, match := z.find(z.apexHash[:], now); match {
		encloser = r
	}
	for i := labels - z.labels - 1; i >= 0; i-- {
		h := own
		if i > 0 {
			if hashes == 0 {
				return f, false
			}
			hashes--
			h = dnssec.HashWire(wire[at[i]:], z.chain.iterations, z.chain.salt)
		}
		r, match := z.find(h[:], now)
		if match || r == nil { // a response does not show what is between the apex and the closest encloser
			encloser = r
			continue
		}
		if encloser == nil || r.optOut || hashes == 0 {
			return f, false
		}
		f.labels = labels - i
		return z.overWildcard(f.with(encloser, false).with(r, false), parent(wire[at[i]:]), now)
	}
	return f, false
}

// overWildcard adds the record at or over the wildcard below encloser.
func (z *zone) overWildcard(f finding, encloser []byte, now time.Time) (finding, bool) {
	var buf [257]byte
	star := append(append(buf[:0], 1, '*'), encloser...)
	if len(star) > 255 {
		return f, false
	}
	h := dnssec.HashWire(star, z.chain.iterations, z.chain.salt)
	w, match := z.find(h[:], now)
	if w == nil || !match && w.optOut {
		return f, false
	}
	f.nameError = !match
	return f.with(w, match), true
}

// proves asks dnssec. What is merely insecure, by opt-out, is no proof here.
func (f finding) proves(name string, rrtype uint16, hashes int) bool {
	var more [2]*dnssec.Evidence
	for i, r := range f.records[1:f.count] {
		more[i] = r.evidence
	}
	e := f.records[0].evidence.With(more[:f.count-1]...)
	b := dnssec.NewBudget(dnssec.Limits{Hashes: hashes})
	if f.labels > 0 {
		name = suffix(name, f.labels)
	}
	var p dnssec.Proof
	if f.nameError {
		p = e.NameError(name, b)
	} else {
		p = e.NoData(name, rrtype, b)
	}
	return p.Status == dnssec.Secure && !p.OptOut
}
