package localroot

import (
	"slices"
	"sort"
	"strings"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// node is a name of the zone, or one that has only names below it.
type node struct {
	sets []dnssec.RRset
	cut  *cut // the name is a delegation
}

// cut is a referral, put together once.
type cut struct {
	ns     []dns.RR // NS, and DS or the NSEC that proves that there is none, with signatures
	glue   []dns.RR
	proven bool // it has a DS, or the proof of there being none
}

// nsec is an NSEC record with its signatures, under its owner's key.
type nsec struct {
	key string
	rrs []dns.RR
}

// find returns the RRset of a type; empty when there is none.
func (n *node) find(rrtype uint16) dnssec.RRset {
	for _, s := range n.sets {
		if s.Type() == rrtype {
			return s
		}
	}
	return dnssec.RRset{}
}

// flat returns an RRset's records, then its signatures.
func flat(s dnssec.RRset) []dns.RR {
	out := slices.Clone(s.RRs)
	for _, sig := range s.Sigs {
		out = append(out, sig)
	}
	return out
}

// index makes what answers are looked up in, and lets go of what only the digest needs.
func (c *content) index() {
	for begin := 0; begin < len(c.records); {
		end := begin
		var rrs []dns.RR
		for ; end < len(c.records) && c.records[end].key == c.records[begin].key; end++ {
			rrs = append(rrs, c.records[end].rr)
		}
		name, _, err := dns.UnpackDomainName(c.records[begin].wire, 0)
		if err == nil {
			c.addNode(name, c.records[begin].key, dnssec.Group(rrs))
		}
		begin = end
	}
	for name, n := range c.nodes {
		if ns := n.find(dns.TypeNS); len(ns.RRs) > 0 && name != c.apex {
			n.cut = c.referral(n, ns)
		}
	}
	c.soaSet = flat(c.nodes[c.apex].find(dns.TypeSOA))
	c.count, c.records = len(c.records), nil
}

func (c *content) addNode(name, key string, sets []dnssec.RRset) {
	n := &node{sets: sets}
	if old, ok := c.nodes[name]; ok { // made for the names below it
		n = old
		n.sets = sets
	}
	c.nodes[name] = n
	if set := n.find(dns.TypeNSEC); len(set.RRs) > 0 {
		c.nsecs = append(c.nsecs, nsec{key, flat(set)})
	}
	for up := parent(name); up != "" && c.nodes[up] == nil; up = parent(up) {
		c.nodes[up] = &node{}
	}
}

// parent drops the first label; "" above the root.
func parent(name string) string {
	if name == "." {
		return ""
	}
	if i, end := dns.NextLabel(name, 0); !end {
		return name[i:]
	}
	return "."
}

// referral puts together what a server says about a delegation (RFC 4035 section 3.1.4).
func (c *content) referral(n *node, ns dnssec.RRset) *cut {
	out := &cut{ns: slices.Clone(ns.RRs), glue: c.addresses(ns)}
	if ds := n.find(dns.TypeDS); len(ds.RRs) > 0 {
		out.ns, out.proven = append(out.ns, flat(ds)...), true
	} else if proof := n.find(dns.TypeNSEC); len(proof.RRs) > 0 {
		out.ns, out.proven = append(out.ns, flat(proof)...), true
	}
	return out
}

// addresses returns those of the name servers that the zone has.
func (c *content) addresses(ns dnssec.RRset) []dns.RR {
	var out []dns.RR
	for _, rr := range ns.RRs {
		host, ok := rr.(*dns.NS)
		if !ok {
			continue
		}
		if n := c.nodes[dns.CanonicalName(host.Ns)]; n != nil {
			out = append(out, n.find(dns.TypeA).RRs...)
			out = append(out, n.find(dns.TypeAAAA).RRs...)
		}
	}
	return out
}

// Answer returns what a root server says to a question with DO: a referral, data, or the proof that there
// are none. name is in resolver.Query.Name's form. The message is the caller's, the records in it are
// shared. It returns false when the network must be asked: there is no copy that may be used, or the copy
// cannot answer such a question (types that stand for others, wildcards, DNAME, proofs by NSEC3).
func (z *Zone) Answer(name string, rrtype uint16) (*dns.Msg, bool) {
	c := z.usable()
	if c == nil || isMeta(rrtype) {
		return nil, false
	}
	m := &dns.Msg{Question: []dns.Question{{Name: name, Qtype: rrtype, Qclass: dns.ClassINET}}}
	m.Response = true
	if !c.answer(m, name, rrtype) {
		return nil, false
	}
	return m, true
}

// isMeta says whether a type stands for others, or for none (RFC 6895 section 3.1), or is not signed by
// itself.
func isMeta(rrtype uint16) bool {
	return rrtype == dns.TypeNone || rrtype == dns.TypeOPT || rrtype == dns.TypeRRSIG || rrtype >= 128 && rrtype <= 255
}

// answer fills m.
func (c *content) answer(m *dns.Msg, name string, rrtype uint16) bool {
	at, encloser := c.walk(name)
	if at != "" && (at != name || rrtype != dns.TypeDS) {
		cut := c.nodes[at].cut
		m.Ns, m.Extra = slices.Clip(cut.ns), slices.Clip(cut.glue)
		return cut.proven
	}
	m.Authoritative = true
	n := c.nodes[name]
	if n == nil {
		return c.nameError(m, name, encloser)
	}
	for _, t := range []uint16{rrtype, dns.TypeCNAME} {
		if set := n.find(t); len(set.RRs) > 0 {
			m.Answer = flat(set)
			if t == dns.TypeNS {
				m.Extra = c.addresses(set)
			}
			return true
		}
	}
	return c.noData(m, name, n)
}

// walk goes from the apex towards name. It returns the delegation that it meets, "" when there is none, and
// the last name on the way that exists.
func (c *content) walk(name string) (at, encloser string) {
	encloser = c.apex
	starts := dns.Split(name)
	for i := len(starts) - 1; i >= 0; i-- {
		up := name[starts[i]:]
		n := c.nodes[up]
		if n == nil {
			break
		}
		encloser = up
		if n.cut != nil {
			return up, encloser
		}
	}
	return "", encloser
}

// noData says that a name has no records of a type (RFC 4035 section 3.1.3.1).
func (c *content) noData(m *dns.Msg, name string, n *node) bool {
	proof := flat(n.find(dns.TypeNSEC))
	if len(proof) == 0 { // only names below it
		proof = c.cover(name)
	}
	m.Ns = append(slices.Clone(c.soaSet), proof...)
	return len(proof) > 0
}

// nameError says that a name does not exist, and no wildcard that could stand for it (RFC 4035 section
// 3.1.3.2).
func (c *content) nameError(m *dns.Msg, name, encloser string) bool {
	wildcard := "*." + strings.TrimPrefix(encloser, ".")
	if c.nodes[wildcard] != nil || len(c.nodes[encloser].find(dns.TypeDNAME).RRs) > 0 {
		return false
	}
	m.Rcode = dns.RcodeNameError
	first, second := c.cover(name), c.cover(wildcard)
	m.Ns = append(slices.Clone(c.soaSet), first...)
	if len(first) == 0 || len(second) == 0 {
		return false
	}
	if second[0] != first[0] {
		m.Ns = append(m.Ns, second...)
	}
	return true
}

// cover returns the NSEC record whose span holds a name that is none of its owners.
func (c *content) cover(name string) []dns.RR {
	key, ok := keyOf(name)
	if !ok || len(c.nsecs) == 0 {
		return nil
	}
	i := sort.Search(len(c.nsecs), func(i int) bool { return c.nsecs[i].key > key }) - 1
	if i < 0 { // above the apex: there is nothing
		return nil
	}
	return c.nsecs[i].rrs
}
