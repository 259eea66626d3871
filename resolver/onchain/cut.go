package onchain

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"dens/names"
)

// Bounds of a delegation.
const (
	maxHosts         = 13 // name servers; others are left out
	maxDS            = 16
	maxDelegationTTL = time.Hour // the chain may change at any time
)

// cut is a zone cut that the chain holds.
type cut struct {
	zone  string
	hosts []string // names of its servers that can be host names
	ds    []dns.RR // all *dns.DS
	ttl   time.Duration
}

// look asks the system about a name, and for zone cuts above it where they are followed.
func (z *zone) look(ctx context.Context, q question) (names.Records, error) {
	if z.cuts == nil {
		return z.system.Lookup(ctx, q.inner, q.rrtype)
	}
	rec, err := z.cuts.LookupCuts(ctx, q.inner, q.rrtype)
	if !unheld(err) {
		return rec, err
	}
	// The system cannot hold such a name, but it may lie in a zone that is delegated, whose servers know
	// other rules: the nearest ancestor that the system can hold tells.
	for _, above := range enclosers(q.inner, z.cfg.Zone) {
		if above == z.cfg.Zone {
			break
		}
		rec, errAbove := z.cuts.LookupCuts(ctx, above, dns.TypeNS)
		if unheld(errAbove) {
			continue
		}
		if errAbove != nil {
			return names.Records{}, errAbove
		}
		if c := canonical(rec); len(c.Cuts) > 0 {
			if cut, errCut := z.cutAbove(q, &c); cut != nil || errCut != nil {
				return rec, errCut
			}
		}
		break
	}
	return names.Records{}, err
}

// unheld says whether an error means that the system cannot hold a name.
func unheld(err error) bool {
	return errors.Is(err, names.ErrNotNormal) || errors.Is(err, names.ErrTooDeep)
}

// cutAbove returns the topmost zone cut at the name or above it, or nil. What is stored at the apex is one
// too, unless it names dens itself as a server: then dens answers. A DNAME hides the cuts below it (RFC 6672
// section 2.4).
func (z *zone) cutAbove(q question, rec *names.Records) (*cut, error) {
	if z.cuts == nil {
		return nil, nil
	}
	for _, found := range rec.Cuts {
		if found.Owner == z.cfg.Zone || !dns.IsSubDomain(z.cfg.Zone, found.Owner) ||
			!dns.IsSubDomain(rec.Apex, found.Owner) || !dns.IsSubDomain(found.Owner, q.inner) {
			return nil, malformed("zone cut at %s is not above the name", found.Owner)
		}
		if hidden(found.Owner, q, rec) {
			return nil, nil
		}
		ns, err := z.rrset(found.Owner, dns.TypeNS, found.RRsets, found.Texts, found.Owner)
		if err != nil {
			return nil, err
		}
		if len(ns) == 0 || z.isOwn(ns) {
			continue
		}
		return z.readCut(found, ns)
	}
	return nil, nil
}

// hidden says whether a DNAME stands above a name.
func hidden(name string, q question, rec *names.Records) bool {
	return slices.ContainsFunc(rec.RRsets, func(set names.RRset) bool {
		return set.Type == dns.TypeDNAME && len(set.Wire) > 0 && set.Owner != q.inner &&
			set.Owner != name && dns.IsSubDomain(set.Owner, name) && dns.IsSubDomain(rec.Apex, set.Owner)
	})
}

// isOwn says whether dens itself is one of the servers.
func (z *zone) isOwn(ns []dns.RR) bool {
	return slices.ContainsFunc(ns, func(rr dns.RR) bool {
		ns, ok := rr.(*dns.NS)
		return ok && slices.Contains(z.cfg.NS, dns.CanonicalName(ns.Ns))
	})
}

// readCut checks what is stored at a cut. Bad DS are an error: without them the zone would pass for
// insecure.
func (z *zone) readCut(found names.Cut, ns []dns.RR) (*cut, error) {
	c := &cut{zone: found.Owner, ttl: min(maxDelegationTTL, ttlOf(ns))}
	for _, rr := range ns {
		ns, ok := rr.(*dns.NS)
		if !ok {
			return nil, malformed("NS record of %s does not parse", found.Owner)
		}
		host := dns.CanonicalName(ns.Ns)
		if isHost(host) && len(c.hosts) < maxHosts && !slices.Contains(c.hosts, host) {
			c.hosts = append(c.hosts, host)
		}
	}
	var err error
	if c.ds, err = z.rrset(found.Owner, dns.TypeDS, found.RRsets, found.Texts, found.Owner); err != nil {
		return nil, err
	}
	if len(c.ds) > maxDS {
		return nil, malformed("%d DS records of %s", len(c.ds), found.Owner)
	}
	for _, rr := range c.ds {
		if ds, ok := rr.(*dns.DS); !ok || !isDS(ds) {
			return nil, malformed("DS record of %s has a digest of the wrong length", found.Owner)
		}
	}
	if len(c.ds) > 0 {
		c.ttl = min(c.ttl, ttlOf(c.ds))
	}
	return c, nil
}

// ttlOf is the TTL of an RRset.
func ttlOf(rrs []dns.RR) time.Duration { return time.Duration(rrs[0].Header().Ttl) * time.Second }

// isDS says whether a DS record's digest is as long as those of its type are. Of other types nobody knows.
func isDS(ds *dns.DS) bool {
	digest, err := hex.DecodeString(ds.Digest)
	if err != nil || len(digest) == 0 {
		return false
	}
	switch ds.DigestType {
	case dns.SHA1:
		return len(digest) == 20
	case dns.SHA256, dns.GOST94, 5, 6: // 5 and 6: RFC 9558 and RFC 9563
		return len(digest) == 32
	case dns.SHA384:
		return len(digest) == 48
	}
	return true
}

// isHost says whether a canonical name can be that of a host (RFC 1123 section 2.1). Underscores are none
// of it, and in use.
func isHost(name string) bool {
	if name == "." || !fits(name) {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.ContainsFunc(label, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return false
		}
	}
	return true
}
