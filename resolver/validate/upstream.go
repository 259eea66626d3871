package validate

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/singleflight"

	"dens/dnssec"
	"dens/resolver"
)

// flightTime bounds a fetch, which no client waits for in the end.
const flightTime = 10 * time.Second

// upstream is a Source that asks a recursive server for DS and DNSKEY. It knows no zone cuts.
type upstream struct {
	resolver resolver.Resolver
	anchors  func() *dnssec.Anchors
	flights  singleflight.Group
}

// Fetch implements Source. Equal fetches share one flight, which outlives those who wait for it.
func (u *upstream) Fetch(ctx context.Context, name string, rrtype uint16, _ []netip.AddrPort) (*Response, error) {
	done := u.flights.DoChan(dns.Type(rrtype).String()+" "+name, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTime)
		defer cancel()
		return u.fetch(ctx, name, rrtype)
	})
	select {
	case res := <-done:
		r, _ := res.Val.(*Response)
		return r, res.Err
	case <-ctx.Done():
		return nil, resolver.Errorf(dns.ExtendedErrorCodeNoReachableAuthority, ctx.Err(), "out of time asking for %s %s", name, dns.Type(rrtype))
	}
}

func (u *upstream) fetch(ctx context.Context, name string, rrtype uint16) (*Response, error) {
	q := resolver.Query{Name: name, Type: rrtype, Class: dns.ClassINET, DO: true, CD: true}
	anchored := false
	if a := u.anchors(); rrtype == dns.TypeDNSKEY && a != nil {
		anchored = slices.Contains(a.Zones(), name)
	}
	for range maxTries {
		a, err := u.resolver.Resolve(resolver.Deeper(ctx), q)
		if err != nil {
			return nil, err
		}
		if !anchored || signed(a.Answer) {
			return &Response{Name: name, Type: rrtype, Rcode: a.Rcode, Answer: a.Answer, Ns: a.Ns, Zone: "."}, nil
		}
	}
	return nil, resolver.Errorf(dns.ExtendedErrorCodeRRSIGsMissing, nil,
		"upstream strips DNSSEC: no signed keys of %s came from it; use one that passes DNSSEC on, or turn validation off", name)
}

func signed(rrs []dns.RR) bool {
	return slices.ContainsFunc(rrs, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG })
}

// NextCut implements Source.
func (u *upstream) NextCut(context.Context, string, string) (string, []dns.RR) { return "", nil }
