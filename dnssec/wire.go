package dnssec

import (
	"encoding/binary"

	"github.com/miekg/dns"
)

// CanonicalRR returns a record in wire format and canonical form (RFC 4034 section 6.2, RFC 6840 section
// 5.1), with the TTL that it has, and the offset of its data. Digests of zones are made of this (RFC 8976
// section 3.3).
func CanonicalRR(rr dns.RR) (wire []byte, data int, err error) {
	h := rr.Header()
	owner, ok := parseName(h.Name)
	if !ok {
		return nil, 0, errForm
	}
	if sig, ok := rr.(*dns.RRSIG); ok { // never signed, so no signature needs its canonical form
		lowered := *sig
		lowered.SignerName = dns.CanonicalName(sig.SignerName)
		rr = &lowered
	}
	rdata, err := canonicalRdata(rr, len(owner))
	if err != nil {
		return nil, 0, err
	}
	wire = make([]byte, 0, len(owner)+10+len(rdata))
	wire = append(wire, owner...)
	wire = binary.BigEndian.AppendUint16(wire, h.Rrtype)
	wire = binary.BigEndian.AppendUint16(wire, h.Class)
	wire = binary.BigEndian.AppendUint32(wire, h.Ttl)
	wire = binary.BigEndian.AppendUint16(wire, uint16(len(rdata)))
	return append(wire, rdata...), len(wire), nil
}
