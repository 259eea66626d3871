package wire

import "encoding/binary"

// Truncate cuts a reply without an OPT record down to size octets: first the additional section, then
// the authority section, then whole RRsets with their signatures from the end of the answer section. TC
// is set when something was dropped that the client needs, which is all but additional records and
// the NS records that come along with an answer (RFC 2181 section 9). The reply has a layout that
// ParseReply took, and size leaves room for its question.
func Truncate(msg []byte, size int) []byte {
	if len(msg) <= size {
		return msg
	}
	off := headerLen
	if binary.BigEndian.Uint16(msg[4:]) == 1 {
		end, ok := skipPlainName(msg, off)
		if !ok {
			return SetTC(msg[:headerLen])
		}
		off = end + 4
	}
	answers := binary.BigEndian.Uint16(msg[6:])
	kept, end, all := keepSets(msg, off, answers, size)
	if !all {
		return SetTC(cut(msg, end, kept, 0))
	}
	authorities := binary.BigEndian.Uint16(msg[8:])
	authEnd, needed := authority(msg, end, authorities, answers > 0)
	switch {
	case authEnd <= size:
		return cut(msg, authEnd, answers, authorities)
	case needed:
		return SetTC(cut(msg, end, answers, 0))
	default:
		return cut(msg, end, answers, 0)
	}
}

// SetTC marks a message as truncated.
func SetTC(msg []byte) []byte {
	msg[2] |= flagTC >> 8
	return msg
}

func cut(msg []byte, end int, answers, authorities uint16) []byte {
	binary.BigEndian.PutUint16(msg[6:], answers)
	binary.BigEndian.PutUint16(msg[8:], authorities)
	binary.BigEndian.PutUint16(msg[10:], 0)
	return msg[:end]
}

// keepSets counts how many of the n records at off are left when only whole RRsets within size stay, and
// says where they end. An RRset's records, and its RRSIG records, stand side by side.
func keepSets(msg []byte, off int, n uint16, size int) (kept uint16, end int, all bool) {
	end = off
	var prev record
	for i := range n {
		rr, ok := readRR(msg, off)
		if !ok {
			return kept, end, false
		}
		if i > 0 && !sameSet(msg, prev, rr) {
			kept, end = i, off // all before this record are whole RRsets, and fit
		}
		if rr.end > size {
			return kept, end, false
		}
		prev, off = rr, rr.end
	}
	return n, off, true
}

// authority finds the end of the authority section at off, and whether the client needs it: SOA and
// denial of existence, and a referral's NS records.
func authority(msg []byte, off int, n uint16, answered bool) (end int, needed bool) {
	for range n {
		rr, ok := readRR(msg, off)
		if !ok {
			return off, true
		}
		needed = needed || !answered || covered(msg, rr) != typeNS
		off = rr.end
	}
	return off, needed
}

// covered returns the type of a record, or that which an RRSIG record signs (RFC 4034 section 3.1).
func covered(msg []byte, rr record) uint16 {
	if rr.typ == typeRRSIG && rr.end >= rr.dataOff()+2 {
		return binary.BigEndian.Uint16(msg[rr.dataOff():])
	}
	return rr.typ
}

func sameSet(msg []byte, a, b record) bool {
	return covered(msg, a) == covered(msg, b) && sameName(msg, a.off, b.off)
}

// sameName compares two names in a message, following compression pointers.
func sameName(msg []byte, a, b int) bool {
	for range maxName {
		var okA, okB bool
		a, okA = label(msg, a)
		b, okB = label(msg, b)
		if !okA || !okB {
			return false
		}
		if a == b {
			return true
		}
		n := int(msg[a])
		if n != int(msg[b]) || !EqualFold(msg[a:a+1+n], msg[b:b+1+n]) {
			return false
		}
		if n == 0 {
			return true
		}
		a, b = a+1+n, b+1+n
	}
	return false
}

// maxPointers bounds the pointers followed before each label: packers write one.
const maxPointers = 16

// label returns the offset of the whole label that stands at off, or where a pointer there leads.
func label(msg []byte, off int) (int, bool) {
	for range maxPointers {
		if off >= len(msg) {
			return 0, false
		}
		n := int(msg[off])
		switch {
		case n <= maxLabel:
			return off, off+1+n <= len(msg)
		case n&labelBits != pointer || off+2 > len(msg):
			return 0, false
		}
		off = int(binary.BigEndian.Uint16(msg[off:]) &^ (pointer << 8))
	}
	return 0, false
}
