package localroot

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// record is a record of the zone and its canonical form.
type record struct {
	key  string // of the owner: orders canonically
	rr   dns.RR
	wire []byte
	data int // where the data begins in wire
}

// content is what a zone holds. It is filled step by step, and not changed once it is in use.
type content struct {
	apex    string
	records []record // in canonical order, each once; until it is indexed
	count   int      // of records, when it is indexed
	soa     *dns.SOA
	digest  string           // the hash that verified
	signed  time.Time        // when the first of the signatures that verified ends
	soaSet  []dns.RR         // SOA with its signatures
	nodes   map[string]*node // by name in resolver.Query.Name's form
	nsecs   []nsec           // in canonical order
}

// newContent puts a zone's records into canonical order (RFC 8976 section 3.3). Records of other zones are
// left out, equal ones count once.
func newContent(apex string, rrs []dns.RR) (*content, error) {
	if len(rrs) > maxRecords {
		return nil, fmt.Errorf("more than %d records", maxRecords)
	}
	c := &content{apex: apex, records: make([]record, 0, len(rrs)), nodes: make(map[string]*node)}
	keys := make(map[string]string) // by owner as it is written
	for _, rr := range rrs {
		h := rr.Header()
		if h.Class != dns.ClassINET {
			return nil, fmt.Errorf("a record of %s is of class %s, not IN", h.Name, dns.Class(h.Class))
		}
		wire, data, err := dnssec.CanonicalRR(rr)
		if err != nil {
			return nil, fmt.Errorf("a record of %s has no wire form: %w", h.Name, err)
		}
		key, ok := keys[h.Name]
		if !ok {
			if !dns.IsSubDomain(apex, dns.CanonicalName(h.Name)) {
				continue
			}
			key = orderKey(wire)
			keys[h.Name] = key
		}
		c.records = append(c.records, record{key, rr, wire, data})
	}
	slices.SortFunc(c.records, record.compare)
	c.records = slices.CompactFunc(c.records, record.equal)
	return c, c.findSOA()
}

// findSOA looks for the one SOA that a zone has at its apex.
func (c *content) findSOA() error {
	for _, r := range c.records {
		soa, ok := r.rr.(*dns.SOA)
		if !ok || dns.CanonicalName(soa.Hdr.Name) != c.apex {
			continue
		}
		if c.soa != nil {
			return errors.New("more than one SOA record")
		}
		c.soa = soa
	}
	if c.soa == nil {
		return fmt.Errorf("no SOA record of %s: this is another zone, or a part of one", c.apex)
	}
	return nil
}

// compare orders by owner, type, and data (RFC 8976 section 3.3.3). The TTL decides between equal records,
// so that it does not depend on their order which one counts.
func (r record) compare(o record) int {
	if c := strings.Compare(r.key, o.key); c != 0 {
		return c
	}
	return cmp.Or(
		cmp.Compare(r.rr.Header().Rrtype, o.rr.Header().Rrtype),
		bytes.Compare(r.wire[r.data:], o.wire[o.data:]),
		cmp.Compare(r.rr.Header().Ttl, o.rr.Header().Ttl),
	)
}

// equal ignores the TTL (RFC 4034 section 6.3).
func (r record) equal(o record) bool {
	return r.key == o.key && r.rr.Header().Rrtype == o.rr.Header().Rrtype && bytes.Equal(r.wire[r.data:], o.wire[o.data:])
}

// orderKey turns the lower case name that wire begins with into a text that orders as names do (RFC 4034
// section 6.1): its labels from the right, each ended by a zero octet, which is less than all others since
// those that are 0 or 1 are written as two. A name's key is the beginning of those of the names below it.
func orderKey(wire []byte) string {
	var starts [128]int
	n := 0
	for i := 0; wire[i] != 0; i += 1 + int(wire[i]) {
		starts[n] = i
		n++
	}
	key := make([]byte, 0, 64)
	for n--; n >= 0; n-- {
		i := starts[n]
		for _, b := range wire[i+1 : i+1+int(wire[i])] {
			if b <= 1 {
				key = append(key, 1)
				b++
			}
			key = append(key, b)
		}
		key = append(key, 0)
	}
	return string(key)
}

// keyOf is orderKey of a name in presentation form; false when it is none.
func keyOf(name string) (string, bool) {
	var buf [256]byte
	n, err := dns.PackDomainName(name, buf[:], 0, nil, false)
	if err != nil || n == 0 || n > 255 {
		return "", false
	}
	for i, b := range buf[:n] {
		if 'A' <= b && b <= 'Z' {
			buf[i] = b + 'a' - 'A'
		}
	}
	return orderKey(buf[:n]), true
}

// set returns an RRset of the zone's apex with its signatures.
func (c *content) set(rrtype uint16) dnssec.RRset {
	var out dnssec.RRset
	for _, r := range c.records {
		if dns.CanonicalName(r.rr.Header().Name) != c.apex {
			break // the apex comes first
		}
		if sig, ok := r.rr.(*dns.RRSIG); ok && sig.TypeCovered == rrtype {
			out.Sigs = append(out.Sigs, sig)
		}
		if r.rr.Header().Rrtype == rrtype {
			out.RRs = append(out.RRs, r.rr)
		}
	}
	return out
}

// expires is until when a copy that was the newest at a time may be used: as the SOA says, and not beyond
// the signatures that vouch for it.
func (c *content) expires(checked time.Time) time.Time {
	t := checked.Add(time.Duration(c.soa.Expire) * time.Second)
	if c.signed.Before(t) {
		return c.signed
	}
	return t
}
