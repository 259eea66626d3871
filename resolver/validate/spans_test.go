package validate

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// deny makes the NSEC or NSEC3 chain.
func (z *zone) deny(t testing.TB) {
	owners := map[string]string{} // by owner or hash
	for name, types := range z.sets {
		if z.chain == "optout" && z.cut(name) && types[dns.TypeDS] == nil {
			continue
		}
		if z.chain == "" {
			owners[name] = name
			continue
		}
		for ; within(name, z.name); name = parent(name) {
			owners[z.hash(t, name)] = name
			if name == z.name {
				break
			}
		}
	}
	var order []string
	for o := range owners {
		order = append(order, o)
	}
	slices.SortFunc(order, func(a, b string) int {
		if z.chain == "" {
			return cmp.Compare(sortable(a), sortable(b))
		}
		return cmp.Compare(a, b)
	})
	for i, o := range order {
		next := order[(i+1)%len(order)]
		bits := []uint16{}
		for rrtype := range z.sets[owners[o]] {
			bits = append(bits, rrtype)
		}
		if len(bits) > 0 && !(z.cut(owners[o]) && z.sets[owners[o]][dns.TypeDS] == nil) || z.chain == "" {
			bits = append(bits, dns.TypeRRSIG)
		}
		z.spans = append(z.spans, span{o, next, []dns.RR{z.record(o, next, bits)}})
	}
}

func (z *zone) record(owner, next string, bits []uint16) dns.RR {
	h := dns.RR_Header{Class: dns.ClassINET, Ttl: 300}
	if z.chain == "" {
		bits = append(bits, dns.TypeNSEC)
		slices.Sort(bits)
		h.Name, h.Rrtype = owner, dns.TypeNSEC
		return &dns.NSEC{Hdr: h, NextDomain: next, TypeBitMap: bits}
	}
	slices.Sort(bits)
	h.Name, h.Rrtype = owner+"."+strings.TrimPrefix(z.name, "."), dns.TypeNSEC3
	n := &dns.NSEC3{
		Hdr: h, Hash: dns.SHA1, Iterations: z.iterations, HashLength: 20, NextDomain: strings.ToUpper(next), TypeBitMap: bits,
	}
	if z.chain == "optout" {
		n.Flags = 1
	}
	return n
}

func (z *zone) hash(t testing.TB, name string) string {
	h, ok := dnssec.HashName(name, z.iterations, nil)
	if !ok && t != nil {
		t.Fatalf("hash of %s", name)
	}
	return h
}

// sortable orders names canonically when compared as text.
func sortable(name string) string {
	labels := dns.SplitDomainName(name)
	slices.Reverse(labels)
	return strings.Join(labels, "\x00")
}

// match returns the span at name, cover the one that name falls into.
func (z *zone) match(name string) []dns.RR {
	if z.chain != "" {
		name = z.hash(nil, name)
	}
	for _, s := range z.spans {
		if s.owner == name {
			return s.records
		}
	}
	return nil
}

func (z *zone) cover(name string) []dns.RR {
	key := func(s string) string { return s }
	if z.chain == "" {
		key = sortable
	} else {
		name = z.hash(nil, name)
	}
	for i, s := range z.spans {
		last := i == len(z.spans)-1
		if key(s.owner) < key(name) && (last || key(name) < key(s.next)) || last && z.chain != "" && key(name) < key(z.spans[0].owner) {
			return s.records
		}
	}
	return nil
}

// exists says whether a name does, maybe as an empty non-terminal.
func (z *zone) exists(name string) bool {
	for owner := range z.sets {
		if within(owner, name) {
			return true
		}
	}
	return false
}

func (z *zone) encloser(name string) (encloser, closer string) {
	for closer = name; ; closer = encloser {
		if encloser = parent(closer); z.exists(encloser) {
			return encloser, closer
		}
	}
}

// denial is what proves a negative answer or an expansion: kind is "nodata", "nxdomain", "wildcard", "wildnodata".
func (z *zone) denial(kind, name string) []dns.RR {
	if z.plain {
		return nil
	}
	if kind == "nodata" {
		if m := z.match(name); m != nil {
			return m
		}
		if z.chain == "" {
			return z.cover(name)
		}
	}
	encloser, closer := z.encloser(name)
	star := "*." + strings.TrimPrefix(encloser, ".")
	var parts [][]dns.RR
	if z.chain == "" {
		parts = append(parts, z.cover(name))
	} else {
		parts = append(parts, z.cover(closer))
		if kind != "wildcard" {
			parts = append(parts, z.match(encloser))
		}
	}
	switch kind {
	case "nxdomain":
		parts = append(parts, z.cover(star))
	case "wildnodata":
		parts = append(parts, z.match(star))
	}
	var out []dns.RR
	for _, p := range parts {
		if len(p) > 0 && !slices.Contains(out, p[0]) {
			out = append(out, p...)
		}
	}
	return out
}
