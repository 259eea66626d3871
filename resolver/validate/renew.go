package validate

import (
	"net/netip"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// Keys and DS that are remembered may be older than a roll-over. Where they make something bogus, they are
// fetched once more, past memory; what comes of that takes their place only if it is good, and each is not
// fetched so again before it is doubted anew. So nobody who sends nonsense makes dens forget what is right,
// or ask for much.

// anew makes Source.Fetch ask the servers, all of them.
func anew() []netip.AddrPort { return make([]netip.AddrPort, 1) }

// note keeps in mind that the keys of p lack one that is said to have signed something.
func (w *walk) note(p place, v dnssec.Verdict) {
	if v.Status == dnssec.Bogus && v.Code == dns.ExtendedErrorCodeDNSKEYMissing && w.old(p) {
		lacking := p
		w.lacking = &lacking
	}
}

func (w *walk) old(p place) bool {
	return p.origin.id.zone != "" && w.now.Sub(p.origin.since) >= doubted
}

// renewKeys fetches the keys again that lacked one, and says whether there are others now.
func (w *walk) renewKeys() bool {
	if w.lacking == nil {
		return false
	}
	had := *w.lacking
	w.lacking = nil
	// Somebody else may have been faster.
	if e, ok := w.c.memory.entry(had.origin.id, w.now); ok && e.digest != had.digest && e.verdict.Status == dnssec.Secure {
		w.anchor = place{}
		return true
	}
	from := had.origin
	from.since = w.now
	p, ttl, err := w.fetchKeys(from, anew())
	if err != nil || p.verdict.Status != dnssec.Secure || p.digest == had.digest {
		w.c.memory.confirm(had, w.now)
		return false
	}
	w.c.memory.putEntry(p, ttl, w.now)
	w.traceTrust(p)
	w.anchor = place{}
	return true
}

// enter returns the zone that the zone p delegates to by the DS that were found. If these fit no key of it
// and are old, they are fetched again.
func (w *walk) enter(p place, f *finding) (place, error) {
	in, err := w.open(f.name, dnssec.Trust{DS: f.DS}, f.trust, false)
	if err != nil || in.verdict.Status != dnssec.Bogus || w.now.Sub(f.since) < doubted {
		return in, err
	}
	id := cutID{p.digest, f.name}
	g, err := w.fetchCut(p, f.name, anew())
	if err == nil {
		g.trust = digestTrust(g.name, dnssec.Trust{DS: g.DS})
	}
	if err != nil || g.Failed() || g.Status == f.Status && g.trust == f.trust {
		w.c.memory.confirmCut(id, f, w.now)
		return in, nil
	}
	w.remember(p, g)
	switch {
	case g.NoCut(): // the zone is gone, into the one above
		return p, nil
	case g.Status == dnssec.Insecure:
		end := place{zone: g.name, verdict: g.Verdict}
		w.traceEnd(end, "no DS")
		return end, nil
	}
	return w.open(g.name, dnssec.Trust{DS: g.DS}, g.trust, false)
}
