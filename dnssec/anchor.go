package dnssec

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/miekg/dns"
)

// rootAnchors are the DS of both root keys that IANA publishes: KSK-2017 and KSK-2024.
const rootAnchors = `
. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
`

// Bounds of an anchor file.
const (
	maxAnchorBytes   = 1 << 20
	maxAnchorRecords = 1000
)

// ErrNoAnchors is the error of an anchor file without a DS or DNSKEY record.
var ErrNoAnchors = errors.New("no DS or DNSKEY record")

// Anchors are the trust anchors by zone. They are immutable and safe for concurrent use.
type Anchors struct {
	zones map[string]anchor // by the name's wire form
}

type anchor struct {
	zone  name
	trust Trust
}

// RootAnchors returns the anchors that are built in.
func RootAnchors() *Anchors {
	a := &Anchors{zones: make(map[string]anchor)}
	zp := dns.NewZoneParser(strings.NewReader(rootAnchors), ".", "")
	zp.SetDefaultTTL(0)
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		a.add(rr)
	}
	return a
}

// ParseAnchors reads DS and DNSKEY records in presentation form, one or more zones'. Errors name the line or
// the record. A key that is revoked, no zone key or of another protocol can never be an anchor and is refused.
func ParseAnchors(r io.Reader) (*Anchors, error) {
	limited := &io.LimitedReader{R: r, N: maxAnchorBytes + 1}
	zp := dns.NewZoneParser(limited, ".", "")
	zp.SetDefaultTTL(0)
	a := &Anchors{zones: make(map[string]anchor)}
	count := 0
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		if count++; count > maxAnchorRecords {
			return nil, fmt.Errorf("trust anchors: more than %d records", maxAnchorRecords)
		}
		if err := checkAnchor(rr); err != nil {
			return nil, fmt.Errorf("trust anchor %d, %s: %w", count, rr.Header().Name, err)
		}
		a.add(rr)
	}
	if limited.N == 0 {
		return nil, fmt.Errorf("trust anchors: more than %d bytes", maxAnchorBytes)
	}
	if err := zp.Err(); err != nil {
		return nil, fmt.Errorf("trust anchors: %w", err)
	}
	if count == 0 {
		return nil, fmt.Errorf("trust anchors: %w", ErrNoAnchors)
	}
	return a, nil
}

func checkAnchor(rr dns.RR) error {
	if rr.Header().Class != dns.ClassINET {
		return errors.New("class is not IN")
	}
	switch x := rr.(type) {
	case *dns.DS:
		size := map[uint8]int{dns.SHA1: 40, dns.SHA256: 64, dns.SHA384: 96}[x.DigestType]
		if size != 0 && len(x.Digest) != size {
			return fmt.Errorf("digest has %d hex digits, not %d", len(x.Digest), size)
		}
	case *dns.DNSKEY:
		k, ok := newKey(x)
		if !ok {
			return errors.New("key is not base64")
		}
		if !k.usable() {
			return errors.New("key is revoked, no zone key or of another protocol")
		}
	default:
		return fmt.Errorf("type is %s, not DS or DNSKEY", typeName(rr.Header().Rrtype))
	}
	return nil
}

func (a *Anchors) add(rr dns.RR) {
	n, ok := parseName(rr.Header().Name)
	if !ok {
		return
	}
	one := a.zones[string(n)]
	one.zone = n
	switch x := rr.(type) {
	case *dns.DS:
		one.trust.DS = append(one.trust.DS, x)
	case *dns.DNSKEY:
		one.trust.Keys = append(one.trust.Keys, x)
	}
	a.zones[string(n)] = one
}

// For returns the anchor of the closest zone that holds the absolute name; false when none does.
func (a *Anchors) For(owner string) (zone string, trust Trust, ok bool) {
	n, ok := parseName(owner)
	if !ok {
		return "", Trust{}, false
	}
	for {
		if one, ok := a.zones[string(n)]; ok {
			return one.zone.String(), one.trust, true
		}
		if n.isRoot() {
			return "", Trust{}, false
		}
		n = n.parent()
	}
}

// With returns a with the anchor of one zone replaced: a chain's DS, or keys that RFC 5011 brought. An
// empty trust takes the zone's anchor away.
func (a *Anchors) With(zone string, trust Trust) *Anchors {
	out := &Anchors{zones: make(map[string]anchor, len(a.zones)+1)}
	for k, one := range a.zones {
		out.zones[k] = one
	}
	n, ok := parseName(zone)
	switch {
	case !ok:
	case trust.Empty():
		delete(out.zones, string(n))
	default:
		out.zones[string(n)] = anchor{n, trust}
	}
	return out
}

// Within returns the anchors that are for zone or a zone below it.
func (a *Anchors) Within(zone string) *Anchors {
	out := &Anchors{zones: make(map[string]anchor)}
	top, ok := parseName(zone)
	for k, one := range a.zones {
		if ok && one.zone.within(top) {
			out.zones[k] = one
		}
	}
	return out
}

// Zones returns the names of the zones that have anchors, in order.
func (a *Anchors) Zones() []string {
	var out []string
	for _, one := range a.zones {
		out = append(out, one.zone.String())
	}
	sort.Strings(out)
	return out
}
