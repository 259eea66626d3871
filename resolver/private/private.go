// Package private keeps public names from pointing into private networks (DNS rebinding): a web page may
// otherwise reach, by a name of its author's, the machines beside the one that it is shown on.
package private

import (
	"context"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"dens/resolver"
)

// Resolver refuses answers with private addresses of names that may not have them.
type Resolver struct {
	inner  resolver.Resolver
	exempt []string
}

// New returns a Resolver that asks inner. Names at and below the zones exempt may have private addresses.
func New(inner resolver.Resolver, exempt []string) *Resolver {
	r := &Resolver{inner: inner}
	for _, zone := range exempt {
		r.exempt = append(r.exempt, dns.CanonicalName(zone))
	}
	return r
}

// Resolve implements resolver.Resolver. The whole answer is refused (EDE 15, Blocked), not the records
// alone: what is left would say that there is nothing.
func (r *Resolver) Resolve(ctx context.Context, q resolver.Query) (*resolver.Answer, error) {
	a, err := r.inner.Resolve(ctx, q)
	if err != nil || r.isExempt(q.Name) {
		return a, err
	}
	for _, rr := range a.Answer {
		if r.isExempt(dns.CanonicalName(rr.Header().Name)) {
			continue
		}
		for _, addr := range addresses(rr) {
			if IsPrivate(addr) {
				return nil, &resolver.Error{
					Rcode: dns.RcodeRefused, Code: dns.ExtendedErrorCodeBlocked,
					Text: "private address " + addr.String() + " of a public name",
				}
			}
		}
	}
	return a, nil
}

func (r *Resolver) isExempt(name string) bool {
	return slices.ContainsFunc(r.exempt, func(zone string) bool { return dns.IsSubDomain(zone, name) })
}

// addresses returns the addresses that a record leads to.
func addresses(rr dns.RR) []netip.Addr {
	switch x := rr.(type) {
	case *dns.A, *dns.AAAA:
		if a, ok := resolver.AddressOf(rr); ok {
			return []netip.Addr{a}
		}
	case *dns.SVCB:
		return hints(x.Value)
	case *dns.HTTPS:
		return hints(x.Value)
	}
	return nil
}

// hints returns the addresses in service parameters (RFC 9460 section 7.3).
func hints(values []dns.SVCBKeyValue) []netip.Addr {
	var out []netip.Addr
	for _, v := range values {
		switch x := v.(type) {
		case *dns.SVCBIPv4Hint:
			out = append(out, fromSlices(x.Hint...)...)
		case *dns.SVCBIPv6Hint:
			out = append(out, fromSlices(x.Hint...)...)
		}
	}
	return out
}

func fromSlices[T ~[]byte](ips ...T) []netip.Addr {
	var out []netip.Addr
	for _, ip := range ips {
		if a, ok := netip.AddrFromSlice(ip); ok {
			out = append(out, a.Unmap())
		}
	}
	return out
}

// shared is for carriers' own networks (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// IsPrivate says whether an address is one of this machine or of a private network (RFC 1918, 4193,
// 3927, 4291, 6598).
func IsPrivate(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsMulticast() || shared.Contains(a)
}
