package server

import "encoding/binary"

// freshness returns for how many seconds HTTP caches may keep a reply (RFC 8484 section 5.1): the
// smallest TTL of the answer section, or for a negative reply the lesser of its SOA's TTL and MINIMUM
// (RFC 2308 section 5). Everything else, and what does not parse, is 0.
func freshness(reply []byte) uint32 {
	const (
		headerLen = 12
		nxdomain  = 3
		truncated = 1 << 1 // in octet 2
	)
	if len(reply) < headerLen || reply[2]&truncated != 0 {
		return 0
	}
	if rcode := reply[3] & 0xf; rcode != 0 && rcode != nxdomain {
		return 0
	}
	off, ok := headerLen, true
	for range binary.BigEndian.Uint16(reply[4:]) {
		if off, ok = skipName(reply, off); !ok || off+4 > len(reply) {
			return 0
		}
		off += 4
	}
	least := ^uint32(0)
	answers := binary.BigEndian.Uint16(reply[6:])
	for range answers {
		var r record
		if r, ok = readRecord(reply, off); !ok {
			return 0
		}
		least, off = min(least, r.ttl), r.end
	}
	soa := false
	for range binary.BigEndian.Uint16(reply[8:]) {
		r, ok := readRecord(reply, off)
		if !ok {
			return 0
		}
		// An alias that leads to nothing has both: answers, and the SOA of the negative part.
		if r.isSOA && r.end-r.data >= 4 {
			soa = true
			least = min(least, r.ttl, clampTTL(binary.BigEndian.Uint32(reply[r.end-4:])))
		}
		off = r.end
	}
	if answers == 0 && !soa {
		return 0
	}
	return least
}

type record struct {
	isSOA     bool
	ttl       uint32
	data, end int
}

func readRecord(msg []byte, off int) (record, bool) {
	const typeSOA = 6
	off, ok := skipName(msg, off)
	if !ok || off+10 > len(msg) {
		return record{}, false
	}
	r := record{
		isSOA: binary.BigEndian.Uint16(msg[off:]) == typeSOA,
		ttl:   clampTTL(binary.BigEndian.Uint32(msg[off+4:])),
		data:  off + 10,
	}
	r.end = r.data + int(binary.BigEndian.Uint16(msg[off+8:]))
	return r, r.end <= len(msg)
}

// clampTTL takes a TTL with the high bit set as zero (RFC 2181 section 8).
func clampTTL(ttl uint32) uint32 {
	if ttl > 1<<31-1 {
		return 0
	}
	return ttl
}

// skipName returns the offset behind the name at off; a pointer ends it.
func skipName(msg []byte, off int) (int, bool) {
	for off < len(msg) {
		switch n := int(msg[off]); {
		case n == 0:
			return off + 1, true
		case n >= 0xc0:
			return off + 2, off+2 <= len(msg)
		case n > 63:
			return 0, false
		default:
			off += 1 + n
		}
	}
	return 0, false
}
