package dnssec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"slices"

	"github.com/miekg/dns"
)

var (
	errEmptySet = errors.New("no records")
	errMixedSet = errors.New("records of several names, types or classes")
	errForm     = errors.New("a record has no wire form")
)

// canonicalSet is an RRset whose records' data are in canonical form and order, made once and used for
// each of its signatures (RFC 4034 section 6).
type canonicalSet struct {
	owner  name
	rrtype uint16
	class  uint16
	ttl    uint32 // the least of the records' TTLs
	rdatas [][]byte
}

// canonicalize checks that rrs are one RRset and puts it into canonical form. Equal records count once
// (RFC 4034 section 6.3).
func canonicalize(rrs []dns.RR) (*canonicalSet, error) {
	if len(rrs) == 0 || rrs[0] == nil {
		return nil, errEmptySet
	}
	h := rrs[0].Header()
	owner, ok := parseName(h.Name)
	if !ok {
		return nil, errForm
	}
	set := &canonicalSet{owner: owner, rrtype: h.Rrtype, class: h.Class, ttl: ttlOf(h.Ttl), rdatas: make([][]byte, 0, len(rrs))}
	for _, rr := range rrs {
		if rr == nil {
			return nil, errForm
		}
		rh := rr.Header()
		if rh.Rrtype != h.Rrtype || rh.Class != h.Class || !sameName(rh.Name, h.Name, owner) {
			return nil, errMixedSet
		}
		set.ttl = min(set.ttl, ttlOf(rh.Ttl))
		rdata, err := canonicalRdata(rr, len(owner))
		if err != nil {
			return nil, err
		}
		set.rdatas = append(set.rdatas, rdata)
	}
	slices.SortFunc(set.rdatas, bytes.Compare)
	set.rdatas = slices.CompactFunc(set.rdatas, bytes.Equal)
	return set, nil
}

// ttlOf reads a TTL: with the top bit set it means 0 (RFC 2181 section 8).
func ttlOf(ttl uint32) uint32 {
	if ttl > 1<<31-1 {
		return 0
	}
	return ttl
}

func sameName(s, first string, owner name) bool {
	if s == first {
		return true
	}
	n, ok := parseName(s)
	return ok && n.equal(owner)
}

// canonicalRdata packs rr without compression and cuts off the owner name and the ten octets of type,
// class, TTL and length. Lower case does not change a length, so the owner's is known.
func canonicalRdata(rr dns.RR, ownerLen int) ([]byte, error) {
	switch x := rr.(type) { // what most answers are, without a copy
	case *dns.A:
		if ip := x.A.To4(); ip != nil {
			return ip, nil
		}
	case *dns.AAAA:
		if len(x.AAAA) == net.IPv6len {
			return x.AAAA, nil
		}
	}
	rr = lowerRdata(rr)
	buf := make([]byte, dns.Len(rr)+1)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil { // an estimate that was too small
		buf = make([]byte, 1<<16+512)
		if n, err = dns.PackRR(rr, buf, 0, nil, false); err != nil {
			return nil, errForm
		}
	}
	if n < ownerLen+10 {
		return nil, errForm
	}
	return buf[ownerLen+10 : n], nil
}

// lowerRdata returns a copy of rr with the names in its data in lower case, where RFC 4034 section 6.2
// (3) asks for it; RFC 6840 section 5.1 takes NSEC and HINFO from that list. It is a copy even without
// such names, since packing a record writes to it, and others may have it too.
func lowerRdata(rr dns.RR) dns.RR {
	rr = dns.Copy(rr)
	for _, s := range rdataNames(rr) {
		*s = dns.CanonicalName(*s)
	}
	return rr
}

// rdataNames points to the names in rr's data.
func rdataNames(rr dns.RR) []*string {
	switch x := rr.(type) {
	case *dns.NS:
		return []*string{&x.Ns}
	case *dns.MD:
		return []*string{&x.Md}
	case *dns.MF:
		return []*string{&x.Mf}
	case *dns.CNAME:
		return []*string{&x.Target}
	case *dns.SOA:
		return []*string{&x.Ns, &x.Mbox}
	case *dns.MB:
		return []*string{&x.Mb}
	case *dns.MG:
		return []*string{&x.Mg}
	case *dns.MR:
		return []*string{&x.Mr}
	case *dns.PTR:
		return []*string{&x.Ptr}
	case *dns.MINFO:
		return []*string{&x.Rmail, &x.Email}
	case *dns.MX:
		return []*string{&x.Mx}
	case *dns.RP:
		return []*string{&x.Mbox, &x.Txt}
	case *dns.AFSDB:
		return []*string{&x.Hostname}
	case *dns.RT:
		return []*string{&x.Host}
	case *dns.PX:
		return []*string{&x.Map822, &x.Mapx400}
	case *dns.NAPTR:
		return []*string{&x.Replacement}
	case *dns.KX:
		return []*string{&x.Exchanger}
	case *dns.SRV:
		return []*string{&x.Target}
	case *dns.DNAME:
		return []*string{&x.Target}
	}
	return nil
}

// signedData is what a signature covers: the RRSIG's data without the signature, then each record with
// the original TTL, under the name that was signed (RFC 4034 section 3.1.8.1, RFC 4035 section 5.3.2).
func (s *canonicalSet) signedData(sig *dns.RRSIG, signer name) ([]byte, error) {
	owner := s.owner
	if labels := int(sig.Labels); owner.sigLabels() > labels { // expanded from a wildcard
		w, ok := owner.last(labels).wildcard()
		if !ok {
			return nil, errForm
		}
		owner = w
	}
	size := 18 + len(signer)
	for _, r := range s.rdatas {
		size += len(owner) + 10 + len(r)
	}
	buf := make([]byte, 0, size)
	buf = binary.BigEndian.AppendUint16(buf, sig.TypeCovered)
	buf = append(buf, sig.Algorithm, sig.Labels)
	buf = binary.BigEndian.AppendUint32(buf, sig.OrigTtl)
	buf = binary.BigEndian.AppendUint32(buf, sig.Expiration)
	buf = binary.BigEndian.AppendUint32(buf, sig.Inception)
	buf = binary.BigEndian.AppendUint16(buf, sig.KeyTag)
	buf = append(buf, signer...)
	for _, r := range s.rdatas {
		buf = append(buf, owner...)
		buf = binary.BigEndian.AppendUint16(buf, s.rrtype)
		buf = binary.BigEndian.AppendUint16(buf, s.class)
		buf = binary.BigEndian.AppendUint32(buf, sig.OrigTtl)
		buf = binary.BigEndian.AppendUint16(buf, uint16(len(r)))
		buf = append(buf, r...)
	}
	return buf, nil
}
