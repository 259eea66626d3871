package demo

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/miekg/dns"
)

// Namehash is the node of a name (EIP-137). The name is dotted, normalised, as UTF-8; a final dot does
// not matter, and "" is the root.
func Namehash(name string) common.Hash {
	var node common.Hash
	name = strings.TrimSuffix(name, ".")
	for name != "" {
		cut := strings.LastIndexByte(name, '.')
		node = crypto.Keccak256Hash(node[:], labelhash(name[cut+1:]).Bytes())
		name = name[:max(cut, 0)]
	}
	return node
}

func labelhash(label string) common.Hash { return crypto.Keccak256Hash([]byte(label)) }

// WireName is a dotted name in DNS wire form, as ENSIP-10 has it: labels are UTF-8. Labels are at most
// 255 bytes long, not empty.
func WireName(name string) ([]byte, error) {
	name = strings.TrimSuffix(name, ".")
	if name == "" {
		return []byte{0}, nil
	}
	var wire []byte
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 255 {
			return nil, fmt.Errorf("label %q has %d bytes", label, len(label))
		}
		wire = append(append(wire, byte(len(label))), label...)
	}
	return append(wire, 0), nil
}

// dottedName is the inverse of WireName.
func dottedName(wire []byte) (string, error) {
	var labels []string
	for len(wire) > 0 {
		n := int(wire[0])
		if n == 0 && len(wire) == 1 {
			return strings.Join(labels, "."), nil
		}
		if n == 0 || n+1 > len(wire) {
			break
		}
		labels = append(labels, string(wire[1:n+1]))
		wire = wire[n+1:]
	}
	return "", fmt.Errorf("not a name in wire form")
}

// ownerHash is the key of a record's owner in EIP-1185: the hash of its name in wire form.
func ownerHash(owner string) (common.Hash, error) {
	buf := make([]byte, 255)
	n, err := dns.PackDomainName(dns.CanonicalName(owner), buf, 0, nil, false)
	if err != nil {
		return common.Hash{}, fmt.Errorf("owner %q: %w", owner, err)
	}
	return crypto.Keccak256Hash(buf[:n]), nil
}

// packRR is a record in uncompressed wire form, its owner in lower case.
func packRR(rr dns.RR) ([]byte, error) {
	rr = dns.Copy(rr)
	rr.Header().Name = dns.CanonicalName(rr.Header().Name)
	buf := make([]byte, dns.MaxMsgSize)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, fmt.Errorf("record %v: %w", rr, err)
	}
	return buf[:n], nil
}

// parseRR reads a record in presentation form, and packs it.
func parseRR(text string) (dns.RR, []byte, error) {
	rr, err := dns.NewRR(text)
	if err == nil && rr == nil {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("record %q: %w", text, err)
	}
	wire, err := packRR(rr)
	return rr, wire, err
}

// packRRs reads records in presentation form and puts those of one RRset next to one another, in the
// order in which the RRsets begin.
func packRRs(records []string) ([]byte, error) {
	type key struct {
		owner  string
		rrtype uint16
	}
	var order []key
	sets := map[key][]byte{}
	for _, text := range records {
		rr, wire, err := parseRR(text)
		if err != nil {
			return nil, err
		}
		k := key{dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype}
		if _, ok := sets[k]; !ok {
			order = append(order, k)
		}
		sets[k] = append(sets[k], wire...)
	}
	var all []byte
	for _, k := range order {
		all = append(all, sets[k]...)
	}
	return all, nil
}
