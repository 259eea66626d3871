package wire

import "encoding/binary"

const (
	maxName   = 255  // octets of a name on the wire, with its root label (RFC 1035 section 3.1)
	maxLabel  = 63   // octets of a label (RFC 1035 section 3.1)
	pointer   = 0xc0 // the two high bits of a compression pointer (RFC 1035 section 4.1.4)
	labelBits = 0xc0
)

// skipPlainName returns the offset behind the uncompressed name at off. A name in a question, or the
// first name of any message, has nothing to point back to, so that a pointer there is an error.
func skipPlainName(msg []byte, off int) (end int, ok bool) {
	start := off
	for off < len(msg) {
		n := int(msg[off])
		off++
		if n == 0 {
			return off, off-start <= maxName
		}
		if n > maxLabel || off-start+n > maxName {
			return 0, false
		}
		off += n
	}
	return 0, false
}

// skipName returns the offset behind the possibly compressed name at off. Pointers are not followed:
// only the octets that stand here count.
func skipName(msg []byte, off int) (end int, ok bool) {
	start := off
	for off < len(msg) {
		n := int(msg[off])
		switch {
		case n == 0:
			return off + 1, off+1-start <= maxName
		case n&labelBits == pointer:
			return off + 2, off+2 <= len(msg) && off+1-start <= maxName
		case n > maxLabel || off+1-start+n > maxName:
			return 0, false
		}
		off += 1 + n
	}
	return 0, false
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// lowerInto writes a name on the wire to dst, as long as it is, in lower case, eight octets at a time.
func lowerInto(dst, name []byte) {
	if len(name) < 8 {
		for i, c := range name {
			dst[i] = lower(c)
		}
		return
	}
	last := len(name) - 8
	for off := 0; off < last; off += 8 {
		binary.LittleEndian.PutUint64(dst[off:], lower8(binary.LittleEndian.Uint64(name[off:])))
	}
	binary.LittleEndian.PutUint64(dst[last:], lower8(binary.LittleEndian.Uint64(name[last:])))
}

// lower8 is lower for each octet of x.
func lower8(x uint64) uint64 {
	const ones = 0x0101010101010101
	low := x &^ (0x80 * ones)
	// Sums do not carry into the next octet: the high bit says which octets are at least A, and above Z.
	letters := (low + (0x80-'A')*ones) &^ (low + (0x7f-'Z')*ones) &^ x & (0x80 * ones)
	return x | letters>>2
}

// EqualFold reports whether two runs of names on the wire are the same but for the case of ASCII
// letters (RFC 4343). Length octets are below 64, and so are no letters.
func EqualFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if c != b[i] && lower(c) != lower(b[i]) {
			return false
		}
	}
	return true
}
