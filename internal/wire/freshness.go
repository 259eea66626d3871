package wire

import "encoding/binary"

// Freshness returns for how many seconds HTTP caches may keep a reply (RFC 8484 section 5.1): the
// smallest TTL of the answer section, or for a negative reply the lesser of its SOA's TTL and MINIMUM
// (RFC 2308 section 5). Everything else, and what does not parse, is 0.
func Freshness(reply []byte) uint32 {
	if len(reply) < headerLen {
		return 0
	}
	flags := binary.BigEndian.Uint16(reply[2:])
	if rcode := Rcode(reply); flags&flagTC != 0 || rcode != RcodeSuccess && rcode != RcodeNameError {
		return 0
	}
	off := headerLen
	for range binary.BigEndian.Uint16(reply[4:]) {
		end, ok := skipName(reply, off)
		if !ok || end+4 > len(reply) {
			return 0
		}
		off = end + 4
	}
	least := ^uint32(0)
	answers := binary.BigEndian.Uint16(reply[6:])
	for range answers {
		rr, ok := readRR(reply, off)
		if !ok {
			return 0
		}
		least, off = min(least, ttlAt(reply, rr.ttlOff())), rr.end
	}
	soa := false
	for range binary.BigEndian.Uint16(reply[8:]) {
		rr, ok := readRR(reply, off)
		if !ok {
			return 0
		}
		// An alias that leads to nothing has both: answers, and the SOA of the negative part.
		if rr.typ == typeSOA {
			minimum, ok := soaMinimum(reply, rr)
			if !ok {
				return 0
			}
			soa, least = true, min(least, ttlAt(reply, rr.ttlOff()), minimum)
		}
		off = rr.end
	}
	if answers == 0 && !soa {
		return 0
	}
	return least
}

// soaMinimum reads the last of the five numbers that follow the two names of an SOA (RFC 1035 section
// 3.3.13).
func soaMinimum(reply []byte, rr record) (uint32, bool) {
	off, ok := skipName(reply, rr.dataOff())
	if ok {
		off, ok = skipName(reply, off)
	}
	if !ok || off+20 != rr.end {
		return 0, false
	}
	return ttlAt(reply, off+16), true
}
