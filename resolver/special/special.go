// Package special answers the special-use names (RFC 6761 and those that followed) and the reverse zones
// of private addresses (RFC 6303) itself, so that questions for them never leave the machine.
package special

import (
	"context"
	"net"
	"slices"

	"github.com/miekg/dns"

	"dens/resolver"
)

// Kind is the Answer.Zone of the answers made here.
const Kind = "special"

const (
	zoneTTL = 10800 // seconds: of SOA and NS, and what the SOA allows negative answers (RFC 6303 section 3)
	dataTTL = 3600  // seconds
)

// Zones returns the zones that New answers for, as absolute names in lower case.
func Zones() []string {
	zones := reverse()
	for zone := range named() {
		zones = append(zones, zone)
	}
	slices.Sort(zones)
	return zones
}

// New returns the Resolver of Zones. It refuses names outside of them.
func New() resolver.Resolver {
	z := &zones{kinds: named()}
	for _, name := range reverse() {
		z.kinds[name] = empty
	}
	return z
}

type zones struct{ kinds map[string]kind }

// Resolve implements resolver.Resolver.
func (z *zones) Resolve(_ context.Context, q resolver.Query) (*resolver.Answer, error) {
	apex, ok := z.apex(q.Name)
	if !ok {
		return nil, &resolver.Error{
			Rcode: dns.RcodeRefused, Code: dns.ExtendedErrorCodeNotAuthoritative,
			Text: q.Name + " is no special-use name",
		}
	}
	a := &resolver.Answer{Authoritative: true, Zone: Kind}
	data := z.records(q.Name, apex)
	for _, rr := range data {
		if rr.Header().Rrtype == q.Type {
			a.Answer = append(a.Answer, rr)
		}
	}
	switch {
	case len(a.Answer) > 0:
	case q.Type == dns.TypeANY && len(data) > 0:
		a.Answer = data[:1] // one RRset is enough (RFC 8482 section 4.1)
	default:
		a.Ns = []dns.RR{soa(apex)}
		if len(data) == 0 && !z.exists(q.Name, apex) {
			a.Rcode = dns.RcodeNameError
		}
	}
	return a, nil
}

// apex returns the zone that name is in.
func (z *zones) apex(name string) (string, bool) {
	for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
		if _, ok := z.kinds[name[off:]]; ok {
			return name[off:], true
		}
	}
	return "", false
}

// exists tells NODATA from NXDOMAIN for a name without records: names above one that has records exist
// (RFC 8020).
func (z *zones) exists(name, apex string) bool {
	return z.kinds[apex] != empty || dns.IsSubDomain(name, loopback4)
}

// records returns all that is at name.
func (z *zones) records(name, apex string) []dns.RR {
	var data []dns.RR
	if z.kinds[apex] == loopback {
		data = append(data,
			&dns.A{Hdr: header(name, dns.TypeA, dataTTL), A: net.IPv4(127, 0, 0, 1)},
			&dns.AAAA{Hdr: header(name, dns.TypeAAAA, dataTTL), AAAA: net.IPv6loopback})
	}
	if name == loopback4 || name == loopback6() {
		data = append(data, &dns.PTR{Hdr: header(name, dns.TypePTR, dataTTL), Ptr: "localhost."})
	}
	if name == apex {
		data = append(data, soa(apex), &dns.NS{Hdr: header(apex, dns.TypeNS, zoneTTL), Ns: apex})
	}
	return data
}

// soa is the SOA record of RFC 6303 section 3.
func soa(apex string) dns.RR {
	return &dns.SOA{
		Hdr: header(apex, dns.TypeSOA, zoneTTL),
		Ns:  apex, Mbox: "nobody.invalid.",
		Serial: 1, Refresh: 3600, Retry: 1200, Expire: 604800, Minttl: zoneTTL,
	}
}

func header(name string, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}
