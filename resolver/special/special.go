// Package special answers for the names that must not leave this machine: special-use names (RFC 6761)
// and the reverse zones of addresses that are not public (RFC 6303).
package special

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"dens/resolver"
)

// ttl is the time to live of all records here, in seconds: nothing here ever changes.
const ttl = 3600

// content says what a zone holds beside SOA and NS at its apex.
type content uint8

const (
	empty      content = iota
	localhost          // it and all below have the loopback addresses (RFC 6761 section 6.3)
	loopbackV4         // reverse zone of 127.0.0.0/8: 127.0.0.1 is localhost
	loopbackV6         // reverse zone of ::1, which is localhost
)

const localhostV4 = "1.0.0.127.in-addr.arpa."

// contents maps each zone that is answered here to what it holds.
func contents() map[string]content {
	zones := map[string]content{
		"localhost.":                localhost,
		"invalid.":                  empty, // RFC 6761 section 6.4
		"test.":                     empty, // RFC 6761 section 6.2
		"local.":                    empty, // RFC 6762 section 22.1
		"onion.":                    empty, // RFC 7686 section 2
		"home.arpa.":                empty, // RFC 8375 section 4
		"alt.":                      empty, // RFC 9476 section 2
		"resolver.arpa.":            empty, // RFC 9462 section 8.2
		"internal.":                 empty, // reserved by ICANN for private use
		"127.in-addr.arpa.":         loopbackV4,
		reverseV6("1", 32):          loopbackV6,
		reverseV6("", 32):           empty, // the unspecified address
		"d.f.ip6.arpa.":             empty, // unique local addresses (RFC 6303 section 4.4)
		"8.b.d.0.1.0.0.2.ip6.arpa.": empty, // documentation (RFC 6303 section 4.6)
	}
	for _, network := range []string{"0", "10", "254.169", "168.192", "2.0.192", "100.51.198", "113.0.203", "255.255.255.255"} {
		zones[network+".in-addr.arpa."] = empty // RFC 6303 sections 4.1 and 4.2
	}
	for i := 16; i < 32; i++ {
		zones[fmt.Sprintf("%d.172.in-addr.arpa.", i)] = empty
	}
	for i := 64; i < 128; i++ { // shared address space (RFC 7793)
		zones[fmt.Sprintf("%d.100.in-addr.arpa.", i)] = empty
	}
	for _, nibble := range []string{"8", "9", "a", "b"} { // link-local addresses (RFC 6303 section 4.5)
		zones[nibble+".e.f.ip6.arpa."] = empty
	}
	return zones
}

// reverseV6 is the reverse name of an IPv6 address whose last nibbles are given, filled up with zeros.
func reverseV6(last string, nibbles int) string {
	digits := last + strings.Repeat("0", nibbles-len(last))
	return strings.Join(strings.Split(digits, ""), ".") + ".ip6.arpa."
}

// Zones lists the zones that are answered here, each absolute and in lower case.
func Zones() []string { return slices.Sorted(maps.Keys(contents())) }

// Resolver answers for all of Zones. It is safe for concurrent use.
type Resolver struct {
	zones map[string]content
}

// New returns a Resolver.
func New() *Resolver { return &Resolver{zones: contents()} }

// Resolve answers from what is known here. A name outside of Zones is REFUSED.
func (r *Resolver) Resolve(_ context.Context, q resolver.Query) (*resolver.Answer, error) {
	apex, ok := r.zone(q.Name)
	if !ok {
		return nil, &resolver.Error{Rcode: dns.RcodeRefused, Code: dns.ExtendedErrorCodeNotAuthoritative, Text: "not a special-use name"}
	}
	a := &resolver.Answer{Authoritative: true, Zone: "special"}
	rrs, exists := r.records(q.Name, apex)
	for _, rr := range rrs {
		if rr.Header().Rrtype == q.Type {
			a.Answer = append(a.Answer, rr)
		}
	}
	if len(a.Answer) == 0 {
		a.Ns = []dns.RR{soa(apex)}
	}
	if !exists {
		a.Rcode = dns.RcodeNameError
	}
	return a, nil
}

// zone returns the zone that a name lies in.
func (r *Resolver) zone(name string) (apex string, ok bool) {
	for off, end := 0, false; !end && off < len(name); off, end = dns.NextLabel(name, off) {
		if _, ok := r.zones[name[off:]]; ok {
			return name[off:], true
		}
	}
	return "", false
}

// records returns all records of a name in the zone apex, and whether the name exists.
func (r *Resolver) records(name, apex string) (rrs []dns.RR, exists bool) {
	if exists = name == apex; exists {
		rrs = []dns.RR{soa(apex), &dns.NS{Hdr: header(apex, dns.TypeNS), Ns: apex}}
	}
	switch r.zones[apex] {
	case localhost:
		rrs = append(rrs,
			&dns.A{Hdr: header(name, dns.TypeA), A: []byte{127, 0, 0, 1}},
			&dns.AAAA{Hdr: header(name, dns.TypeAAAA), AAAA: []byte{15: 1}})
		exists = true
	case loopbackV4:
		if name == localhostV4 {
			rrs = append(rrs, pointer(name))
		}
		exists = exists || dns.IsSubDomain(name, localhostV4) // an empty non-terminal on the way to it
	case loopbackV6:
		if name == apex {
			rrs = append(rrs, pointer(name))
		}
	}
	return rrs, exists
}

func pointer(name string) dns.RR {
	return &dns.PTR{Hdr: header(name, dns.TypePTR), Ptr: "localhost."}
}

// soa has the form of RFC 6303 section 3.
func soa(apex string) dns.RR {
	return &dns.SOA{
		Hdr: header(apex, dns.TypeSOA), Ns: apex, Mbox: "nobody.invalid.",
		Serial: 1, Refresh: 3600, Retry: 1200, Expire: 604800, Minttl: 10800,
	}
}

func header(owner string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}
