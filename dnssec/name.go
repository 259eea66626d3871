package dnssec

import (
	"bytes"

	"github.com/miekg/dns"
)

// name is an absolute domain name in wire form, lower case: its canonical form (RFC 4034 section 6.2).
// Names are compared so, not as text, in which one label can be written in several ways.
type name []byte

// parseName returns the canonical form of an absolute name in presentation form.
func parseName(s string) (name, bool) {
	if !dns.IsFqdn(s) {
		return nil, false
	}
	buf := make([]byte, 255)
	n, err := dns.PackDomainName(s, buf, 0, nil, false)
	if err != nil || n == 0 {
		return nil, false
	}
	return lower(buf[:n]), true
}

// lower maps A to Z. Length octets are below 64, so they can be mapped along.
func lower(wire []byte) name {
	for i, c := range wire {
		if 'A' <= c && c <= 'Z' {
			wire[i] = c + 'a' - 'A'
		}
	}
	return wire
}

func (n name) isRoot() bool { return len(n) == 1 }

// parent drops the leftmost label; n must not be the root.
func (n name) parent() name { return n[1+int(n[0]):] }

// labels counts the labels, without the root's.
func (n name) labels() int {
	count := 0
	for ; !n.isRoot(); n = n.parent() {
		count++
	}
	return count
}

// sigLabels counts as the Labels field of an RRSIG does: without a leading "*" (RFC 4034 section 3.1.3).
func (n name) sigLabels() int {
	if n.isWildcard() {
		return n.labels() - 1
	}
	return n.labels()
}

func (n name) isWildcard() bool { return len(n) > 2 && n[0] == 1 && n[1] == '*' }

// last returns the rightmost count labels, all of n when it has no more.
func (n name) last(count int) name {
	for drop := n.labels() - count; drop > 0; drop-- {
		n = n.parent()
	}
	return n
}

// within says whether n is zone or below it.
func (n name) within(zone name) bool {
	for len(n) > len(zone) {
		n = n.parent()
	}
	return bytes.Equal(n, zone)
}

func (n name) below(zone name) bool { return len(n) > len(zone) && n.within(zone) }

func (n name) equal(m name) bool { return bytes.Equal(n, m) }

// wildcard returns "*" below n; false where that is no name, being too long.
func (n name) wildcard() (name, bool) {
	if len(n)+2 > 255 {
		return nil, false
	}
	return append(name{1, '*'}, n...), true
}

// common returns the longest name that a and b are both within.
func common(a, b name) name {
	for !b.within(a) {
		a = a.parent()
	}
	return a
}

func (n name) String() string {
	s, _, err := dns.UnpackDomainName(n, 0)
	if err != nil {
		return "?"
	}
	return s
}

// compare orders names canonically (RFC 4034 section 6.1): label by label from the right, each as octets.
func compare(a, b name) int {
	var as, bs [128]uint8 // where labels begin: at most 127 of them in 255 octets
	an, bn := starts(a, &as), starts(b, &bs)
	for an > 0 && bn > 0 {
		an--
		bn--
		i, j := int(as[an]), int(bs[bn])
		la, lb := a[i+1:i+1+int(a[i])], b[j+1:j+1+int(b[j])]
		if c := bytes.Compare(la, lb); c != 0 {
			return c
		}
	}
	return an - bn
}

func starts(n name, at *[128]uint8) int {
	count := 0
	for i := 0; n[i] != 0; i += 1 + int(n[i]) {
		at[count] = uint8(i)
		count++
	}
	return count
}
