package resolver

import (
	"encoding/binary"
	"errors"

	"github.com/miekg/dns"
)

// Bits of the flags of a message (RFC 1035 section 4.1.1, RFC 4035 section 3.2).
const (
	FlagRD uint16 = 1 << 8
	FlagAD uint16 = 1 << 5
	FlagCD uint16 = 1 << 4
)

var errName = errors.New("name is longer than 255 bytes")

// AppendRequest appends a message that asks for q with id 0, as the library would pack it. A size above zero
// is that of replies by UDP in an OPT record (RFC 6891), with DO as q has it; of q.CD nothing is taken.
func AppendRequest(buf []byte, q Query, flags, size uint16) ([]byte, error) {
	const headerLen, maxName, optLen = 12, 255, 11
	var name [headerLen + maxName + 1]byte
	n, err := dns.PackDomainName(q.Name, name[:], 0, nil, false)
	if err != nil {
		return nil, err
	}
	if n > maxName {
		return nil, errName
	}
	additional := uint16(0)
	if size > 0 {
		additional = 1
	}
	for _, field := range [...]uint16{0, flags, 1, 0, 0, additional} {
		buf = binary.BigEndian.AppendUint16(buf, field)
	}
	buf = append(buf, name[:n]...)
	buf = binary.BigEndian.AppendUint16(buf, q.Type)
	buf = binary.BigEndian.AppendUint16(buf, q.Class)
	if size == 0 {
		return buf, nil
	}
	opt := [optLen]byte{1: 0, 2: byte(dns.TypeOPT), 3: byte(size >> 8), 4: byte(size)}
	if q.DO {
		opt[7] = 0x80
	}
	return append(buf, opt[:]...), nil
}
