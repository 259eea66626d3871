package ens

import (
	"fmt"
	"strings"

	"dens/names"

	"github.com/adraffy/go-ens-normalize/ensip15"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// name is a DNS name at or below a zone. Its ancestors are counted by index: 0 is the name itself, 1
// its parent, depth the zone, and so on up to the top-level name.
type name struct {
	labels []string // as in DNS, with A-labels
	plain  []string // their Unicode form, normalised to ENSIP-15
	depth  int      // labels below the zone
	star   bool     // labels[0] is "*", which is a DNS owner name only and has no node
}

// parseName splits and checks a name in presentation form. Errors wrap names.ErrNotNormal or
// names.ErrTooDeep.
func parseName(s, zone string) (*name, error) {
	if s != zone && !strings.HasSuffix(s, "."+zone) {
		return nil, fmt.Errorf("%w: not below %s", names.ErrNotNormal, zone)
	}
	if strings.ContainsRune(s, '\\') {
		return nil, fmt.Errorf("%w: a byte that is no letter, digit or hyphen", names.ErrNotNormal)
	}
	if len(s) > 254 { // RFC 1035 section 2.3.4, in presentation form
		return nil, fmt.Errorf("%w: longer than 255 bytes", names.ErrNotNormal)
	}
	n := &name{labels: strings.Split(strings.TrimSuffix(s, "."), ".")}
	n.depth = len(n.labels) - strings.Count(zone, ".")
	if n.depth > MaxDepth {
		return nil, fmt.Errorf("%w: %d below %s, %d are looked up", names.ErrTooDeep, n.depth, zone, MaxDepth)
	}
	n.plain = make([]string, len(n.labels))
	for i, label := range n.labels {
		if i == 0 && label == "*" && n.depth > 0 {
			n.star = true
			n.plain[0] = label
			continue
		}
		plain, err := normalLabel(label)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", names.ErrNotNormal, err)
		}
		n.plain[i] = plain
	}
	return n, nil
}

// normalLabel returns the Unicode form of a DNS label, which must be normal as it stands.
func normalLabel(label string) (string, error) {
	switch {
	case label == "":
		return "", fmt.Errorf("empty label")
	case len(label) > 63:
		return "", fmt.Errorf("label is longer than 63 bytes")
	}
	plain := label
	if strings.HasPrefix(label, acePrefix) {
		var err error
		if plain, err = decodeALabel(label); err != nil {
			return "", err
		}
	} else if !isASCII(label) {
		return "", fmt.Errorf("a byte that is not ASCII outside an A-label")
	}
	norm, err := ensip15.Shared().Normalize(plain)
	if err != nil {
		return "", fmt.Errorf("ENSIP-15: %w", err)
	}
	if norm != plain {
		return "", fmt.Errorf("ENSIP-15: %q is to be written %q", plain, norm)
	}
	return plain, nil
}

// DNSName returns the DNS form of a name as people write it: normalised to ENSIP-15, each label that
// needs it as an A-label, and absolute. A name that is ASCII already is only put in lower case, so that
// A-labels and DNS's own names pass. Errors wrap names.ErrNotNormal.
func DNSName(s string) (string, error) {
	s = strings.TrimSuffix(s, ".")
	if isASCII(s) {
		return strings.ToLower(s) + ".", nil
	}
	if below, ok := strings.CutPrefix(s, "*."); ok {
		dns, err := DNSName(below)
		return "*." + dns, err
	}
	norm, err := ensip15.Shared().Normalize(s)
	if err != nil {
		return "", fmt.Errorf("%w: %w", names.ErrNotNormal, err)
	}
	labels := strings.Split(norm, ".")
	for i, label := range labels {
		if !isASCII(label) {
			labels[i] = acePrefix + encodePunycode(label)
		}
		if len(labels[i]) > 63 {
			return "", fmt.Errorf("%w: label is longer than 63 bytes in DNS", names.ErrNotNormal)
		}
	}
	dns := strings.Join(labels, ".") + "."
	if len(dns) > 254 {
		return "", fmt.Errorf("%w: longer than 255 bytes in DNS", names.ErrNotNormal)
	}
	return dns, nil
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// owner returns the i-th ancestor in presentation form.
func (n *name) owner(i int) string { return strings.Join(n.labels[i:], ".") + "." }

// ancestor returns the i-th ancestor as a name of its own. It must have a node.
func (n *name) ancestor(i int) *name {
	return &name{labels: n.labels[i:], plain: n.plain[i:], depth: n.depth - i}
}

// wildcard returns the name of the wildcard below the i-th ancestor.
func (n *name) wildcard(i int) string { return "*." + n.owner(i) }

// ownerHash is the hash by which EIP-1185 keeps the records of an owner name: keccak256 of its DNS wire
// form.
func (n *name) ownerHash(i int) common.Hash { return crypto.Keccak256Hash(wireForm(n.labels[i:])) }

// wildcardHash is the ownerHash of wildcard(i).
func (n *name) wildcardHash(i int) common.Hash {
	return crypto.Keccak256Hash(append([]byte{1, '*'}, wireForm(n.labels[i:])...))
}

// ensName is the i-th ancestor as ENS contracts take it (ENSIP-10): in wire form, labels in Unicode.
func (n *name) ensName(i int) []byte { return wireForm(n.plain[i:]) }

// node is the namehash (EIP-137) of the i-th ancestor.
func (n *name) node(i int) common.Hash { return namehash(n.plain[i:]) }

// index returns which ancestor begins at an offset into ensName(from).
func (n *name) index(from int, offset uint64) (int, bool) {
	at := uint64(0)
	for i := from; i < len(n.plain); i++ {
		if at == offset {
			return i, true
		}
		at += uint64(len(n.plain[i])) + 1
	}
	return 0, false
}

// first is the index of the nearest ancestor that has a node: 0, or 1 for a wildcard.
func (n *name) first() int {
	if n.star {
		return 1
	}
	return 0
}

// isLink says whether the name is the DNSLink name of its parent.
func (n *name) isLink() bool { return n.depth > 0 && n.labels[0] == "_dnslink" }

// wireForm encodes labels of at most 255 bytes each.
func wireForm(labels []string) []byte {
	size := 1
	for _, label := range labels {
		size += len(label) + 1
	}
	wire := make([]byte, 0, size)
	for _, label := range labels {
		wire = append(wire, byte(len(label)))
		wire = append(wire, label...)
	}
	return append(wire, 0)
}

func namehash(labels []string) common.Hash {
	var node common.Hash
	for i := len(labels) - 1; i >= 0; i-- {
		node = crypto.Keccak256Hash(node[:], crypto.Keccak256([]byte(labels[i])))
	}
	return node
}
