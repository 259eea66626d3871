package recursive

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
)

// realm is a tree of zones with servers of its own: that of the root, or one that begins at a Delegation.
// What is remembered of one says nothing in another.
type realm struct {
	id      string // "" is the root's
	zone    string // that it begins at
	top     func() *cut
	anchors func() *dnssec.Anchors // nil: nothing is validated
}

// key is where something about name is remembered.
func (r *realm) key(name string) string {
	if r.id == "" {
		return name
	}
	return r.id + " " + name
}

// holds says whether a question is for the realm; the DS of where it begins is not.
func (r *realm) holds(name string, rrtype uint16) bool {
	return dns.IsSubDomain(r.zone, name) && (rrtype != dns.TypeDS || name != r.zone || r.zone == ".")
}

// realmAt returns the realm of a Delegation. Equal Delegations have the same realm, so that what is
// learned of one serves the next question; one that changed begins anew.
func (r *Resolver) realmAt(d *resolver.Delegation) *realm {
	top := &cut{zone: d.Zone, hosts: d.NS, servers: d.Servers, glue: make(map[string][]netip.AddrPort)}
	for host, addrs := range d.Glue {
		for _, a := range addrs[:min(len(addrs), maxGlue)] {
			if r.cfg.Allow(a) {
				top.glue[host] = append(top.glue[host], netip.AddrPortFrom(a, r.cfg.Port))
			}
		}
	}
	top.hosts = top.hosts[:min(len(top.hosts), maxHosts)]
	out := &realm{id: fingerprint(d), zone: d.Zone, top: func() *cut { return top }}
	switch {
	case d.Trust == resolver.ByDS && len(d.DS) > 0:
		anchors := new(dnssec.Anchors).With(d.Zone, dnssec.Trust{DS: d.DS})
		out.anchors = func() *dnssec.Anchors { return anchors }
	case d.Trust == resolver.ByAnchors:
		out.anchors = r.cfg.Anchors
	case d.Trust == resolver.ByOwnAnchors && r.cfg.Anchors != nil:
		out.anchors = func() *dnssec.Anchors { return r.cfg.Anchors().Within(d.Zone) }
	}
	return out
}

// fingerprint is the same for equal Delegations.
func fingerprint(d *resolver.Delegation) string {
	var b strings.Builder
	fmt.Fprintln(&b, d.Zone, d.Trust)
	for _, host := range slices.Sorted(slices.Values(d.NS)) {
		fmt.Fprintln(&b, host, d.Glue[host])
	}
	fmt.Fprintln(&b, d.Servers)
	for _, ds := range d.DS {
		fmt.Fprintln(&b, ds.KeyTag, ds.Algorithm, ds.DigestType, strings.ToLower(ds.Digest))
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:16])
}
