package internet

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// content is the records of one zone by owner and type. Owners are in canonical form.
type content struct {
	zone string
	sets map[string]map[uint16][]dns.RR
}

func newContent(zone string) *content {
	return &content{zone: zone, sets: map[string]map[uint16][]dns.RR{}}
}

// parse adds records in the form of a zone file.
func (c *content) parse(text string) error {
	parser := dns.NewZoneParser(strings.NewReader("$TTL 3600\n"+text), c.zone, c.zone)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		c.add(rr)
	}
	if err := parser.Err(); err != nil {
		return fmt.Errorf("zone %s: %w", c.zone, err)
	}
	return nil
}

func (c *content) add(rrs ...dns.RR) {
	for _, rr := range rrs {
		h := rr.Header()
		h.Name = dns.CanonicalName(h.Name)
		if c.sets[h.Name] == nil {
			c.sets[h.Name] = map[uint16][]dns.RR{}
		}
		set := c.sets[h.Name][h.Rrtype]
		if !slices.ContainsFunc(set, func(other dns.RR) bool { return dns.IsDuplicate(rr, other) && rr.String() == other.String() }) {
			c.sets[h.Name][h.Rrtype] = append(set, rr)
		}
	}
}

// get is the RRset of a name relative to the zone; "@" is the apex.
func (c *content) get(name string, rrtype uint16) []dns.RR {
	return c.sets[absolute(name, c.zone)][rrtype]
}

// set replaces an RRset; no records remove it.
func (c *content) set(name string, rrtype uint16, rrs ...dns.RR) {
	name = absolute(name, c.zone)
	if len(rrs) == 0 {
		delete(c.sets[name], rrtype)
		return
	}
	if c.sets[name] == nil {
		c.sets[name] = map[uint16][]dns.RR{}
	}
	c.sets[name][rrtype] = rrs
}

// names are the owners in canonical order (RFC 4034 section 6.1).
func (c *content) names() []string {
	names := make([]string, 0, len(c.sets))
	for n, types := range c.sets {
		if len(types) > 0 {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, compareNames)
	return names
}

// cut is the zone cut at or above a name, "" when there is none.
func (c *content) cut(name string) string {
	found := ""
	for n := name; n != c.zone && dns.IsSubDomain(c.zone, n); n = parentOf(n) {
		if len(c.sets[n][dns.TypeNS]) > 0 {
			found = n
		}
	}
	return found
}

// authoritative are the names that the zone itself answers for, and its cuts, in canonical order.
func (c *content) authoritative() []string {
	return slices.DeleteFunc(c.names(), func(n string) bool {
		at := c.cut(n)
		return at != "" && at != n
	})
}

// text is the zone as a zone file.
func (c *content) text() string {
	var b strings.Builder
	for _, rr := range c.get("@", dns.TypeSOA) {
		b.WriteString(rr.String() + "\n")
	}
	for _, n := range c.names() {
		for t, set := range c.sets[n] {
			for _, rr := range set {
				if t != dns.TypeSOA {
					b.WriteString(line(rr) + "\n")
				}
			}
		}
	}
	return b.String()
}

// common are the types that every program's zone parser writes and reads in the same way.
var common = []uint16{
	dns.TypeNS, dns.TypeA, dns.TypeAAAA, dns.TypeCNAME, dns.TypeDNAME, dns.TypeMX, dns.TypeTXT, dns.TypePTR,
	dns.TypeSRV, dns.TypeDS, dns.TypeDNSKEY, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeNSEC3PARAM,
}

// line is a record in a zone file; uncommon types as RFC 3597 has it.
func line(rr dns.RR) string {
	if slices.Contains(common, rr.Header().Rrtype) {
		return rr.String()
	}
	generic := new(dns.RFC3597)
	if err := generic.ToRFC3597(rr); err != nil {
		return rr.String()
	}
	return strings.Replace(generic.String(), "CLASS1\t", "IN\t", 1)
}

// absolute is a name relative to a zone in full.
func absolute(name, zone string) string {
	switch {
	case name == "@":
		return zone
	case dns.IsFqdn(name):
		return dns.CanonicalName(name)
	case zone == ".":
		return dns.CanonicalName(name + ".")
	}
	return dns.CanonicalName(name + "." + zone)
}

// parentOf is the name without its first label.
func parentOf(name string) string {
	if next, end := dns.NextLabel(name, 0); !end {
		return name[next:]
	}
	return "."
}

// compareNames orders names as RFC 4034 section 6.1 has it.
func compareNames(a, b string) int {
	la, lb := dns.SplitDomainName(a), dns.SplitDomainName(b)
	slices.Reverse(la)
	slices.Reverse(lb)
	return cmp.Or(slices.CompareFunc(la, lb, func(x, y string) int { return bytes.Compare([]byte(x), []byte(y)) }))
}
