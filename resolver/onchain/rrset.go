package onchain

import (
	"bytes"
	"fmt"
	"time"

	"github.com/miekg/dns"

	"dens/names"
)

// Bounds of what a contract may put into one RRset.
const (
	maxRRsetWire = 64 << 10
	maxRecords   = 512
)

// pointerReach is how far into a message a compression pointer can point (RFC 1035 section 4.1.4).
const pointerReach = 1 << 14

// parseRRset reads a stored RRset (EIP-1185): records in uncompressed wire form, all with the owner
// name, the type and class IN. Whatever else is there makes it malformed as a whole, since half an RRset
// is a wrong one. The records come back owned by newOwner, with one TTL and without duplicates.
func parseRRset(wire []byte, owner string, rrtype uint16, newOwner string, maxAge time.Duration) ([]dns.RR, error) {
	if len(wire) > maxRRsetWire {
		return nil, malformed("RRset of %d bytes", len(wire))
	}
	// The data stands where no pointer reaches, behind bytes that are no label: a compressed name does
	// not parse, wherever it is.
	buf := make([]byte, pointerReach+len(wire))
	copy(buf, bytes.Repeat([]byte{0x80}, pointerReach))
	copy(buf[pointerReach:], wire)

	set := newRecordSet(newOwner, rrtype)
	for off := pointerReach; off < len(buf); {
		rr, next, err := dns.UnpackRR(buf, off)
		if err != nil {
			return nil, malformed("record does not parse: %v", err)
		}
		off = next
		h := rr.Header()
		switch {
		case dns.CanonicalName(h.Name) != owner:
			return nil, malformed("record of another owner name")
		case h.Rrtype != rrtype:
			return nil, malformed("record of type %s in the RRset of type %s", dns.Type(h.Rrtype), dns.Type(rrtype))
		case h.Class != dns.ClassINET:
			return nil, malformed("record of class %s", dns.Class(h.Class))
		case h.Rdlength == 0 && !mayBeEmpty(rrtype):
			return nil, malformed("record without data")
		}
		if err := set.add(rr); err != nil {
			return nil, err
		}
	}
	return set.finish(maxAge)
}

// mayBeEmpty reports whether the type allows for no data at all: APL (RFC 3123 section 4), NULL (RFC
// 1035 section 3.3.10) and whatever type is unknown (RFC 3597).
func mayBeEmpty(rrtype uint16) bool {
	_, known := dns.TypeToRR[rrtype]
	return !known || rrtype == dns.TypeAPL || rrtype == dns.TypeNULL
}

// isSingular reports whether an RRset of the type has one record only (RFC 2181 section 10.1, RFC 6672
// section 2.4, RFC 1035 section 3.3.13).
func isSingular(rrtype uint16) bool {
	return rrtype == dns.TypeCNAME || rrtype == dns.TypeDNAME || rrtype == dns.TypeSOA
}

// recordSet collects the records of one RRset.
type recordSet struct {
	owner   string
	rrtype  uint16
	records []dns.RR
	seen    map[string]bool
	count   int
	scratch []byte
}

func newRecordSet(owner string, rrtype uint16) *recordSet {
	return &recordSet{
		owner: owner, rrtype: rrtype, seen: make(map[string]bool),
		scratch: make([]byte, maxRRsetWire+512), // the longest data, the longest owner name, and the rest
	}
}

// add takes over rr. The library parses some records that it cannot pack, or not into what it parses
// again: such a record would spoil the whole reply, so it is refused here.
func (s *recordSet) add(rr dns.RR) error {
	if s.count++; s.count > maxRecords {
		return malformed("more than %d records", maxRecords)
	}
	h := rr.Header()
	ttl := h.Ttl
	h.Name, h.Ttl = s.owner, 0 // duplicates differ in TTL at most
	end, err := dns.PackRR(rr, s.scratch, 0, nil, false)
	if err != nil {
		return malformed("record does not pack: %v", err)
	}
	again, next, err := dns.UnpackRR(s.scratch[:end], 0)
	if err != nil || next != end || again.Header().Rrtype != s.rrtype {
		return malformed("record does not survive packing")
	}
	if ttl > maxTTL {
		ttl = 0
	}
	h.Ttl = ttl
	if key := string(s.scratch[:end]); !s.seen[key] {
		s.seen[key] = true
		s.records = append(s.records, rr)
	} else {
		s.lower(ttl)
	}
	return nil
}

// lower applies the TTL of a duplicate, which counts like any other (RFC 2181 section 5.2).
func (s *recordSet) lower(ttl uint32) {
	h := s.records[0].Header()
	h.Ttl = min(h.Ttl, ttl)
}

// finish gives all records the lowest TTL among them (RFC 2181 section 5.2), capped.
func (s *recordSet) finish(maxAge time.Duration) ([]dns.RR, error) {
	if isSingular(s.rrtype) && len(s.records) > 1 {
		return nil, malformed("%d records of type %s", len(s.records), dns.Type(s.rrtype))
	}
	ttl := seconds(maxAge)
	for _, rr := range s.records {
		ttl = min(ttl, rr.Header().Ttl)
	}
	for _, rr := range s.records {
		rr.Header().Ttl = ttl
	}
	return s.records, nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", names.ErrMalformed, fmt.Sprintf(format, args...))
}
