package denial

import (
	"strings"

	"github.com/miekg/dns"
)

// Names are handled in canonical wire form (RFC 4034 section 6.2), in which each has one spelling. The
// key of a name is a string whose order as octets is the canonical order of names (section 6.1): the labels
// from the right, each ended by 0, with 0 and 1 in labels escaped by a 1. The key of a name is thus a
// prefix of the keys of all names below it, and of no others.

// packName writes the wire form of an absolute name in presentation form into buf.
func packName(s string, buf *[255]byte) ([]byte, bool) {
	if !dns.IsFqdn(s) {
		return nil, false
	}
	size, err := dns.PackDomainName(s, buf[:], 0, nil, false)
	if err != nil || size == 0 {
		return nil, false
	}
	n := buf[:size]
	for i, c := range n { // length octets are below 64
		if 'A' <= c && c <= 'Z' {
			n[i] = c + 'a' - 'A'
		}
	}
	return n, true
}

// parent drops the first label; n must not be the root.
func parent(n []byte) []byte { return n[1+int(n[0]):] }

// starts tells where the labels of n begin.
func starts(n []byte, at *[128]uint8) int {
	count := 0
	for i := 0; n[i] != 0; i += 1 + int(n[i]) {
		at[count] = uint8(i)
		count++
	}
	return count
}

// within says whether n is zone or below it, both in wire form.
func within(n, zone string) bool {
	for len(n) > len(zone) {
		n = n[1+int(n[0]):]
	}
	return n == zone
}

// maxKey is the greatest length of a key, with room for a wildcard's label.
const maxKey = 512

// appendKey appends the key of n.
func appendKey(to, n []byte) []byte {
	var at [128]uint8
	for i := starts(n, &at) - 1; i >= 0; i-- {
		from := int(at[i]) + 1
		for _, c := range n[from : from+int(n[at[i]])] {
			if c < 2 {
				to = append(to, 1, c+1)
			} else {
				to = append(to, c)
			}
		}
		to = append(to, 0)
	}
	return to
}

// keyOf returns the key of a name in presentation form.
func keyOf(s string) (string, bool) {
	var buf [255]byte
	n, ok := packName(s, &buf)
	if !ok {
		return "", false
	}
	return string(appendKey(make([]byte, 0, maxKey), n)), true
}

// hasPrefix says whether the name of key s is the one of key k or below it.
func hasPrefix(s string, k []byte) bool { return len(s) >= len(k) && s[:len(k)] == string(k) }

// common returns the length of the longest key that both k and s start with.
func common(k []byte, s string) int {
	i := 0
	for i < len(k) && i < len(s) && k[i] == s[i] {
		i++
	}
	return strings.LastIndexByte(s[:i], 0) + 1
}

// suffix returns the last labels of a name in presentation form.
func suffix(name string, labels int) string {
	i, overshot := dns.PrevLabel(name, labels)
	if overshot || i >= len(name) {
		return "."
	}
	return name[i:]
}
