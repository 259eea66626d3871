package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"

	"dens/resolver"
)

var errNoServers = errors.New("no DNS server is configured that could look it up (resolve.forward or resolve.bootstrap)")

// lookupHost returns the function that finds the addresses of the hosts that dens connects to. It asks r
// and never the system's resolver, which may be dens itself.
func lookupHost(r resolver.Resolver) func(context.Context, string) ([]netip.Addr, error) {
	return func(ctx context.Context, host string) ([]netip.Addr, error) {
		if r == nil {
			return nil, fmt.Errorf("%s: %w", host, errNoServers)
		}
		type outcome struct {
			addrs []netip.Addr
			err   error
		}
		types := []uint16{dns.TypeAAAA, dns.TypeA}
		outcomes := make(chan outcome, len(types))
		for _, t := range types {
			go func() {
				addrs, err := lookupAddrs(ctx, r, host, t)
				outcomes <- outcome{addrs, err}
			}()
		}
		var all []netip.Addr
		var failed error // one will do: both types are asked of the same servers
		for range types {
			o := <-outcomes
			if all = append(all, o.addrs...); o.err != nil {
				failed = o.err
			}
		}
		if len(all) == 0 && failed != nil {
			return nil, fmt.Errorf("%s: %w", host, failed)
		}
		if len(all) == 0 {
			return nil, fmt.Errorf("%s has no address", host)
		}
		return all, nil
	}
}

// unvalidated asks r once more, without validation, for what does not validate; nil is nil.
func unvalidated(r resolver.Resolver) resolver.Resolver {
	if r == nil {
		return nil
	}
	return &lenient{r}
}

type lenient struct{ resolver.Resolver }

// Resolve implements resolver.Resolver.
func (l *lenient) Resolve(ctx context.Context, q resolver.Query) (*resolver.Answer, error) {
	answer, err := l.Resolver.Resolve(ctx, q)
	if e, ok := errors.AsType[*resolver.Error](err); ok && !q.CD && isBogus(e.Code) {
		q.CD = true
		return l.Resolver.Resolve(ctx, q)
	}
	return answer, err
}

// isBogus reports whether an extended error (RFC 8914 section 4) says that data did not validate.
func isBogus(code uint16) bool {
	return code >= dns.ExtendedErrorCodeDNSBogus && code <= dns.ExtendedErrorCodeNSECMissing
}

func lookupAddrs(ctx context.Context, r resolver.Resolver, host string, rrtype uint16) ([]netip.Addr, error) {
	answer, err := r.Resolve(ctx, resolver.Query{Name: dns.CanonicalName(host), Type: rrtype, Class: dns.ClassINET})
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, rr := range answer.Answer {
		if a, ok := resolver.AddressOf(rr); ok {
			addrs = append(addrs, a)
		}
	}
	return addrs, nil
}
