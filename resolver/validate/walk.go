package validate

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
)

// walk is one way down from an anchor, or several for one response. Its steps:
//
//	start   the closest anchor above a name, and its zone's keys
//	reach   from there down to the zone that holds a name:
//	  next    the next name that may be a zone cut: remembered, in a referral, or asked for
//	  open    the keys of a zone whose DS are validated
type walk struct {
	c       *Chain
	ctx     context.Context
	anchors *dnssec.Anchors
	b       *dnssec.Budget
	now     time.Time
	trace   *resolver.Trace
	ds      int // fetches so far
	dnskeys int
	anchor  place      // that start came to last, where it found an anchor
	sig     *dns.RRSIG // that was verified last of those over the response's own records
	lacking *place     // whose keys, of memory, lack one that is said to have signed something
}

// place is a zone that a walk came to. The verdict is that of its keys, or why it has none.
type place struct {
	zone    string
	verdict dnssec.Verdict
	keys    *dnssec.Keys
	digest  digest // of keys
	octets  int    // of keys, with their signatures
	origin  origin
}

// origin is where a place's keys are from.
type origin struct {
	id     entryID // "" where no keys were looked for
	trust  dnssec.Trust
	anchor bool
	since  time.Time // when they were fetched
}

func (c *Chain) walk(ctx context.Context, anchors *dnssec.Anchors, b *dnssec.Budget) *walk {
	return &walk{c: c, ctx: ctx, anchors: anchors, b: b, now: c.cfg.Now(), trace: resolver.TraceOf(ctx)}
}

// start returns the zone of the closest anchor that holds name, negative ones included.
func (w *walk) start(name string) (place, error) {
	zone, trust, anchored := "", dnssec.Trust{}, false
	if w.anchors != nil {
		zone, trust, anchored = w.anchors.For(name)
	}
	if neg, ok := w.c.negativeFor(name); ok && (!anchored || within(neg, zone)) {
		p := place{zone: neg, verdict: dnssec.Verdict{Status: dnssec.Insecure, Text: "negative trust anchor for " + neg}}
		w.traceEnd(p, "negative anchor")
		return p, nil
	}
	if !anchored {
		return place{zone: ".", verdict: indeterminate("no trust anchor for %s", name)}, nil
	}
	if w.anchor.zone == zone {
		return w.anchor, nil
	}
	p, err := w.open(zone, trust, w.c.memory.anchorID(w.anchors, zone, trust), true)
	w.anchor = p
	return p, err
}

// negativeFor returns the closest negative trust anchor that holds name.
func (c *Chain) negativeFor(name string) (string, bool) {
	if len(c.negative) == 0 {
		return "", false
	}
	for {
		if c.negative[name] {
			return name, true
		}
		if name == "." {
			return "", false
		}
		name = parent(name)
	}
}

// reach walks from p down to the zone that holds name. When the verdict of the place that it returns is
// Secure, that is proven to be the closest zone to name; else it is where the chain ends.
func (w *walk) reach(p place, name string) (place, error) {
	for seen := p.zone; p.verdict.Status == dnssec.Secure && seen != name; {
		f, err := w.next(p, seen, name)
		if err != nil {
			return place{}, err
		}
		switch {
		case f.NoCut() && f.NoName:
			return p, nil
		case f.NoCut():
			seen = f.name
		case f.Status == dnssec.Secure:
			if p, err = w.enter(p, f); err != nil {
				return place{}, err
			}
			seen = f.name
		default:
			p = place{zone: f.name, verdict: f.Verdict}
			w.traceEnd(p, "no DS")
		}
	}
	return p, nil
}

// next finds out about the next name on the way from seen, in the zone p, to name: one whose case is
// known, or that a referral speaks of, or the one that is a label longer.
func (w *walk) next(p place, seen, name string) (*finding, error) {
	for at := seen; at != name; {
		at = child(at, name)
		if f, ok := w.c.memory.cut(cutID{p.digest, at}, w.now); ok && !f.Failed() {
			return f, nil
		}
	}
	cut, referral := w.c.cfg.Source.NextCut(w.ctx, p.zone, name)
	if cut != "" && below(cut, seen) && within(name, cut) && len(referral) > 0 {
		switch f := w.judgeCut(p, cut, referral); f.Status {
		case dnssec.Secure, dnssec.Insecure:
			w.remember(p, f)
			return f, nil
		case dnssec.Exhausted:
			return f, nil
		}
	}
	// A cut further down may be that of a zone between, on the same servers, so nothing is passed over.
	return w.ask(p, child(seen, name))
}

// ask finds out what the parent says about the DS of name.
func (w *walk) ask(p place, name string) (*finding, error) {
	if f, ok := w.c.memory.cut(cutID{p.digest, name}, w.now); ok {
		return f, nil
	}
	before := w.b.Spent()
	f, err := w.fetchCut(p, name, nil)
	if err == nil && w.ds <= maxDS && (f.Status != dnssec.Exhausted || fresh(before)) {
		w.remember(p, f)
	}
	return f, err
}

// fetchCut fetches what the parent says about the DS of name, again from other servers while that is bogus.
func (w *walk) fetchCut(p place, name string, avoid []netip.AddrPort) (f *finding, err error) {
	for range maxTries {
		if w.ds++; w.ds > maxDS {
			return &finding{name: name, Cut: dnssec.Cut{Verdict: spent("%d DS queries", maxDS)}}, nil
		}
		w.c.counts.ds.Add(1)
		r, err := w.c.cfg.Source.Fetch(w.ctx, name, dns.TypeDS, avoid)
		if err != nil {
			if f != nil {
				break
			}
			return nil, w.fault(err, dns.ExtendedErrorCodeDNSSECIndeterminate, "DS", name)
		}
		f = w.judgeCut(p, name, slices.Concat(r.Answer, r.Ns))
		if f.Status != dnssec.Bogus || !shun(&avoid, r.Server) {
			break
		}
	}
	return f, nil
}

func (w *walk) remember(p place, f *finding) {
	f.trust = digestTrust(f.name, dnssec.Trust{DS: f.DS})
	w.c.memory.putCut(cutID{p.digest, f.name}, f, w.now)
}

// judgeCut judges what records say about the DS of name, with the keys of the zone p above it.
func (w *walk) judgeCut(p place, name string, records []dns.RR) *finding {
	sets := dnssec.Group(records)
	if len(sets) > maxSets {
		sets = sets[:maxSets]
	}
	f := &finding{name: name, Cut: w.c.cfg.Validator.Delegation(name, sets, p.keys, w.now, w.b)}
	w.note(p, f.Verdict)
	if f.Status == dnssec.Bogus {
		if ttl, ok := w.alias(p, name, sets); ok {
			f.Cut = dnssec.Cut{Verdict: dnssec.Verdict{Status: dnssec.Secure}, TTL: ttl}
		}
	}
	return f
}

// alias says that the zone p itself holds a CNAME at name or a DNAME above it: then there is no cut at
// name, at which no CNAME could be (RFC 1034 section 3.6.2, RFC 6672 section 2.4).
func (w *walk) alias(p place, name string, sets []dnssec.RRset) (ttl uint32, ok bool) {
	for _, set := range sets {
		owner := set.Name()
		if set.Type() == dns.TypeCNAME && owner == name || set.Type() == dns.TypeDNAME && below(name, owner) {
			res := w.c.cfg.Validator.ValidateRRset(set, p.keys, w.now, w.b)
			if res.Status == dnssec.Secure && !res.Expanded {
				return res.TTL, true
			}
		}
	}
	return 0, false
}

// open returns a zone with its keys, which trust vouches for.
func (w *walk) open(zone string, trust dnssec.Trust, id digest, anchor bool) (place, error) {
	from := origin{entryID{zone, id}, trust, anchor, w.now}
	known, ok := w.c.memory.entry(from.id, w.now)
	if ok {
		w.traceTrust(known.place)
		return known.place, nil
	}
	before := w.b.Spent()
	p, ttl, err := w.fetchKeys(from, nil)
	if err != nil {
		return place{}, err
	}
	if w.dnskeys <= maxDNSKEY && (p.verdict.Status != dnssec.Exhausted || fresh(before)) {
		w.c.memory.putEntry(p, ttl, w.now)
	}
	if anchor && p.verdict.Failed() {
		w.c.cfg.Log.Warn("no key of a trust anchor's zone can be trusted", "zone", zone, "cause", p.verdict.Text)
	}
	w.traceTrust(p)
	return p, nil
}

// fetchKeys fetches a zone's keys, again from other servers while they are bogus.
func (w *walk) fetchKeys(from origin, avoid []netip.AddrPort) (p place, ttl uint32, err error) {
	zone, trust := from.id.zone, from.trust
	for try := range maxTries {
		if w.dnskeys++; w.dnskeys > maxDNSKEY {
			return place{zone: zone, verdict: spent("%d DNSKEY queries", maxDNSKEY), origin: from}, 0, nil
		}
		w.c.counts.dnskeys.Add(1)
		r, err := w.c.cfg.Source.Fetch(w.ctx, zone, dns.TypeDNSKEY, avoid)
		if err != nil {
			if try > 0 {
				break
			}
			return place{}, 0, w.fault(err, dns.ExtendedErrorCodeDNSKEYMissing, "keys", zone)
		}
		set := dnssec.Find(r.Answer, zone, dns.TypeDNSKEY)
		keys := w.c.cfg.Validator.ValidateKeys(zone, set, trust, w.now, w.b)
		p = place{zone: zone, keys: keys, digest: digestKeys(zone, set), octets: octets(set), origin: from}
		p.verdict = explain(keys.Verdict, zone, set, trust, from.anchor, w.now)
		ttl = keys.TTL
		if keys.Status == dnssec.Insecure {
			ttl = uint32(maxDenied / time.Second)
		}
		if keys.Status != dnssec.Bogus || !shun(&avoid, r.Server) {
			break
		}
	}
	return p, ttl, nil
}

func octets(set dnssec.RRset) int {
	n := 0
	for _, rr := range set.RRs {
		n += dns.Len(rr)
	}
	for _, sig := range set.Sigs {
		n += dns.Len(sig)
	}
	return n
}

// fault is the error of a DS or DNSKEY RRset that could not be had. A cause that the Source names stays.
func (w *walk) fault(err error, code uint16, what, name string) error {
	if causes(err) || w.ctx.Err() != nil {
		return fmt.Errorf("%s of %s: %w", what, name, err)
	}
	return resolver.Errorf(code, err, "no %s of %s to be had", what, name)
}

// shun adds a server whose word was bogus to those that are asked no more. False says that asking again
// is of no use: it would be the same server. An unknown one may be another the next time.
func shun(avoid *[]netip.AddrPort, server netip.AddrPort) bool {
	if !server.IsValid() {
		return true
	}
	if slices.Contains(*avoid, server) {
		return false
	}
	*avoid = append(*avoid, server)
	return true
}

// fresh says that a budget that ended since then was not spent on something else, so that its end says
// something about the zone: else who owns a costly zone could, by an alias, get another one forgotten.
func fresh(s dnssec.Spent) bool { return s.Failures == 0 && s.Hashes == 0 && s.Checks < 16 }
