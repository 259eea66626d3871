package anchors

import (
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// Bounds of a trust point. RFC 5011 section 2.4.3 asks for five keys at least.
const (
	maxKeys    = 64
	maxPending = 16
)

// point is a trust point: a zone that has anchors. Its methods leave it as it is and return what follows.
type point struct {
	zone       string
	configured bool      // the configuration names the zone
	ds         []*dns.DS // of the configuration, of keys that no trusted set has shown
	keys       []key
	checked    time.Time // the newest refresh that succeeded
	next       time.Time // when to refresh
}

// change is a key's way from one state to another; from 0 it was not known, to 0 it is forgotten.
type change struct {
	key      key
	from, to State
	why      string
}

// clone keeps the methods below from writing to what p shares.
func (p point) clone() point {
	p.keys = slices.Clone(p.keys)
	p.ds = slices.Clone(p.ds)
	return p
}

func (p *point) find(id keyID) *key {
	for i := range p.keys {
		if p.keys[i].id == id {
			return &p.keys[i]
		}
	}
	return nil
}

// move changes a key's state.
func (k *key) move(to State, now time.Time, why string, changes *[]change) {
	*changes = append(*changes, change{*k, k.state, to, why})
	k.state, k.since, k.until = to, now, time.Time{}
}

// trust is what vouches for the zone's keys.
func (p point) trust() dnssec.Trust {
	t := dnssec.Trust{DS: p.ds}
	for _, k := range p.keys {
		if k.state.trusted() {
			t.Keys = append(t.Keys, k.rr(p.zone))
		}
	}
	return t
}

// revoke takes keys that revoke themselves (dnssec.Validator.Revoked) out of service, at once and for good
// (RFC 5011 section 2.1). Keys that are neither known nor configured are passed over: anybody can make
// them.
func (p point) revoke(revoked []*dns.DNSKEY, now time.Time) (point, []change) {
	p = p.clone()
	var changes []change
	for _, rr := range revoked {
		r, ok := readKey(rr)
		if !ok {
			continue
		}
		named := p.takeDS(r)
		k := p.find(r.id)
		switch {
		case k == nil && named:
			r.named = true
			p.keys = append(p.keys, r)
			k = &p.keys[len(p.keys)-1]
		case k == nil || k.state.dead():
			continue
		}
		k.seen = now
		k.move(Revoked, now, "the key revoked itself", &changes)
	}
	return p, changes
}

// takeDS removes the DS that are of k, and says whether there were any.
func (p *point) takeDS(k key) bool {
	before := len(p.ds)
	p.ds = slices.DeleteFunc(p.ds, func(ds *dns.DS) bool { return k.is(p.zone, ds) })
	return len(p.ds) < before
}

// advance moves the keys on by a set that a trusted key signed (RFC 5011 section 4). hold is how long a new
// key waits.
func (p point) advance(set []*dns.DNSKEY, now time.Time, hold, removeHold time.Duration) (point, []change) {
	p = p.clone()
	var changes []change
	shown, inSet := sight(set)
	kept := p.keys[:0]
	for _, k := range p.keys {
		if inSet[k.id] {
			k.seen = later(k.seen, now)
		}
		_, usable := shown[k.id]
		if k.step(usable, now, removeHold, &changes) {
			kept = append(kept, k)
		}
	}
	p.keys = kept
	for _, rr := range set {
		r, ok := readKey(rr)
		if _, usable := shown[r.id]; ok && usable && p.find(r.id) == nil {
			p.meet(r, now, hold, &changes)
		}
	}
	return p, changes
}

// sight returns the keys of a set that are not revoked, and all of them.
func sight(set []*dns.DNSKEY) (shown map[keyID]struct{}, all map[keyID]bool) {
	shown, all = make(map[keyID]struct{}, len(set)), make(map[keyID]bool, len(set))
	for _, rr := range set {
		if k, ok := readKey(rr); ok {
			all[k.id] = true
			if rr.Flags&dns.REVOKE == 0 {
				shown[k.id] = struct{}{}
			}
		}
	}
	return shown, all
}

// step is a row of the table in RFC 5011 section 4.2. It returns false when the key goes back to Start.
// shown says that the set holds the key, not revoked.
func (k *key) step(shown bool, now time.Time, removeHold time.Duration, changes *[]change) bool {
	switch {
	case k.state == AddPend && !shown: // KeyRem
		k.move(0, now, "gone before the hold-down was over", changes)
		return false
	case k.state == AddPend && !now.Before(k.until): // AddTime
		k.move(Valid, now, "seen throughout the hold-down", changes)
	case k.state == Valid && !shown: // KeyRem
		k.move(Missing, now, "no longer in the set", changes)
	case k.state == Missing && shown: // KeyPres
		k.move(Valid, now, "in the set again", changes)
	case k.state == Revoked && !now.Before(k.seen.Add(removeHold)): // RemTime
		k.move(Removed, now, "gone since it was revoked", changes)
	}
	return true
}

// meet takes in a key that was not known: one that the configuration names by DS is trusted at once, a key
// with the SEP flag begins its hold-down (NewKey), others are none of our business.
func (p *point) meet(k key, now time.Time, hold time.Duration, changes *[]change) {
	k.seen = now
	if p.takeDS(k) {
		k.named = true
		k.move(Valid, now, "the configuration has its DS", changes)
		p.keys = append(p.keys, k)
		return
	}
	if k.flags&dns.SEP == 0 || !p.room() {
		return
	}
	k.move(AddPend, now, "new in the set", changes)
	k.until = now.Add(hold + time.Second - 1).Truncate(time.Second) // rounded up: the file has whole seconds
	p.keys = append(p.keys, k)
}

// room makes place for one more pending key, if need be by forgetting the key that was removed first.
func (p *point) room() bool {
	pending, oldest := 0, -1
	for i, k := range p.keys {
		if k.state == AddPend {
			pending++
		}
		if k.state == Removed && !k.named && (oldest < 0 || k.since.Before(p.keys[oldest].since)) {
			oldest = i
		}
	}
	if pending >= maxPending {
		return false
	}
	if len(p.keys) < maxKeys {
		return true
	}
	if oldest >= 0 {
		p.keys = slices.Delete(p.keys, oldest, oldest+1)
	}
	return oldest >= 0
}

// configure puts what the configuration says now over what is known from before. Keys that it names are
// trusted at once, unless they were revoked. Keys that it named before and no longer does are dropped. Keys
// that were learned stay as long as it still names any key of before; if it names none, somebody started
// anew, and what the former anchors led to goes too.
func (p point) configure(trust dnssec.Trust, now time.Time) (point, []change) {
	p = p.clone()
	p.configured = true
	var changes []change
	named := func(k key) bool {
		return slices.ContainsFunc(trust.DS, func(ds *dns.DS) bool { return k.is(p.zone, ds) }) ||
			slices.ContainsFunc(trust.Keys, func(rr *dns.DNSKEY) bool { c, ok := readKey(rr); return ok && c.id == k.id })
	}
	overlap := slices.ContainsFunc(p.keys, named)
	kept := p.keys[:0]
	for _, k := range p.keys {
		was := k.named
		k.named = named(k)
		switch {
		case k.state.dead():
		case k.named && k.state == AddPend:
			k.move(Valid, now, "the configuration names it", &changes)
		case !k.named && was:
			k.move(0, now, "the configuration no longer names it", &changes)
			continue
		case !k.named && !overlap:
			k.move(0, now, "the configuration names none of the former anchors", &changes)
			continue
		}
		kept = append(kept, k)
	}
	p.keys = kept
	for _, rr := range trust.Keys {
		if k, ok := readKey(rr); ok && p.find(k.id) == nil {
			k.named = true
			k.state, k.since = Valid, now
			p.keys = append(p.keys, k)
		}
	}
	p.ds = slices.DeleteFunc(withoutWeak(trust.DS), func(ds *dns.DS) bool {
		return slices.ContainsFunc(p.keys, func(k key) bool { return k.is(p.zone, ds) })
	})
	return p, changes
}

// withoutWeak drops SHA-1 beside a stronger digest (RFC 4509 section 3), so that it leads to no key.
func withoutWeak(all []*dns.DS) []*dns.DS {
	strong := slices.ContainsFunc(all, func(ds *dns.DS) bool { return ds.DigestType == dns.SHA256 || ds.DigestType == dns.SHA384 })
	return slices.DeleteFunc(slices.Clone(all), func(ds *dns.DS) bool { return strong && ds.DigestType == dns.SHA1 })
}

// retire keeps of a zone that the configuration no longer names only that its revoked keys are revoked.
func (p point) retire() point {
	p = p.clone()
	p.keys = slices.DeleteFunc(p.keys, func(k key) bool { return !k.state.dead() })
	p.ds, p.next = nil, time.Time{}
	return p
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func sameHex(a, b string) bool { return strings.EqualFold(a, b) }
