package recursive

import (
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// cut is a zone cut: the servers of a zone, as the zone above says it. It never changes.
type cut struct {
	zone     string
	hosts    []string                    // names of the servers
	glue     map[string][]netip.AddrPort // their addresses, as far as the referral gave them
	servers  []netip.AddrPort            // servers that are known by address alone
	referral []dns.RR                    // what the referral said about the zone's DS: DS, or NSEC or NSEC3; signatures
	since    time.Time                   // when the zone above said so; zero: it is none that can
	expires  time.Time                   // zero: never
	proven   time.Time                   // when referral expires
}

// Bounds of a referral: what is more is left out.
const (
	maxHosts       = 32
	maxGlue        = 8  // addresses of one host
	maxReferralRRs = 64 // records about the DS
)

// leastCutTTL is how long a zone cut is remembered at least, whatever TTL it has: the next step of the
// same iteration needs it.
const leastCutTTL = 5 * time.Second

// newCut reads a referral from the servers of zone to child. Addresses are taken only of hosts in zone,
// about which these servers have a say (RFC 2181 section 5.4.1).
func (r *Resolver) newCut(msg *dns.Msg, zone, child string) *cut {
	c := &cut{zone: child, glue: make(map[string][]netip.AddrPort)}
	ttl := uint32(r.cfg.MaxTTL / time.Second)
	dsTTL := ttl
	for _, rr := range msg.Ns {
		h := rr.Header()
		ns, isNS := rr.(*dns.NS)
		switch {
		case isNS && dns.CanonicalName(h.Name) == child:
			host := dns.CanonicalName(ns.Ns)
			if len(c.hosts) < maxHosts && !slices.Contains(c.hosts, host) {
				c.hosts = append(c.hosts, host)
			}
			ttl = min(ttl, h.Ttl)
		case isProof(rr, child) && dns.IsSubDomain(zone, dns.CanonicalName(h.Name)) && len(c.referral) < maxReferralRRs:
			c.referral = append(c.referral, rr)
			dsTTL = min(dsTTL, h.Ttl)
		}
	}
	for _, rr := range msg.Extra {
		addr, ok := resolver.AddressOf(rr)
		host := dns.CanonicalName(rr.Header().Name)
		if ok && r.cfg.Allow(addr) && dns.IsSubDomain(zone, host) && slices.Contains(c.hosts, host) && len(c.glue[host]) < maxGlue {
			c.glue[host] = append(c.glue[host], netip.AddrPortFrom(addr, r.cfg.Port))
		}
	}
	now := r.cfg.Now()
	c.since = now
	c.expires = now.Add(max(time.Duration(ttl)*time.Second, leastCutTTL))
	c.proven = now.Add(max(time.Duration(dsTTL)*time.Second, leastCutTTL))
	return c
}

// isProof says whether a record of a referral tells of the child's DS: the DS set, or a denial of it.
func isProof(rr dns.RR, child string) bool {
	rrtype := rr.Header().Rrtype
	if sig, ok := rr.(*dns.RRSIG); ok {
		rrtype = sig.TypeCovered
	}
	switch rrtype {
	case dns.TypeDS:
		return dns.CanonicalName(rr.Header().Name) == child
	case dns.TypeNSEC, dns.TypeNSEC3:
		return true
	}
	return false
}

// fresh says whether c may still be used.
func (c *cut) fresh(now time.Time) bool { return c.expires.IsZero() || now.Before(c.expires) }

// movedAfter is how old a zone cut must be to be doubted when none of its servers is of use.
const movedAfter = time.Minute

// forgetMoved forgets a zone cut whose servers are of no use any more, unless it is new: the zone may have
// moved to others, long before the TTL of its old NS records ends. It reports whether it did.
func (r *Resolver) forgetMoved(realm *realm, c *cut) bool {
	if c.since.IsZero() || r.cfg.Now().Sub(c.since) < movedAfter {
		return false
	}
	r.cuts.remove(realm.key(c.zone), c)
	return true
}

// ancestors yields name and the names above it up to and with top, which is above or at name.
func ancestors(name, top string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for {
			if !yield(name) || name == top || name == "." {
				return
			}
			name = parent(name)
		}
	}
}

// parent returns the name above name; the root's is the root.
func parent(name string) string {
	if off, end := dns.NextLabel(name, 0); !end {
		return name[off:]
	}
	return "."
}

// storeCut remembers a zone cut of a realm.
func (r *Resolver) storeCut(realm *realm, c *cut) { r.cuts.add(realm.key(c.zone), c) }

// closest returns the closest known zone cut at or above name; for DS above it, since that is where DS
// is (RFC 4035 section 3.1.4.1).
func (r *Resolver) closest(realm *realm, name string, rrtype uint16) *cut {
	if rrtype == dns.TypeDS && name != realm.top().zone {
		name = parent(name)
	}
	now := r.cfg.Now()
	top := realm.top()
	for zone := range ancestors(name, top.zone) {
		if zone == top.zone {
			break
		}
		if c, ok := r.cuts.get(realm.key(zone)); ok && c.fresh(now) {
			return c
		}
	}
	return top
}
