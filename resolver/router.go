package resolver

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/miekg/dns"
)

// Route says who answers for Zone and all below it.
type Route struct {
	Zone     string // "." is everything that no other Route has
	Kind     string // of the zone, as Answer.Zone has it; it goes with errors
	Resolver Resolver
}

// Router is a Resolver that asks the Resolver with the longest zone that a name is in, and follows
// aliases from one to the next (RFC 1034 section 4.3.2). It believes each only about its own zone: an
// answer is read along its alias chain from the question on, up to the first link that leads into the
// zone of another Route; whatever stands behind that link, records, rcode and denial, is dropped and
// asked of the right one. Its routes never change after NewRouter.
type Router struct {
	routes   map[string]*Route
	overlong atomic.Uint64
}

// NewRouter returns a Router. Two Routes with one zone are an error.
func NewRouter(routes []Route) (*Router, error) {
	r := &Router{routes: make(map[string]*Route, len(routes))}
	for _, route := range routes {
		zone, err := CheckName(route.Zone)
		if err != nil {
			return nil, fmt.Errorf("zone: %w", err)
		}
		if route.Resolver == nil {
			return nil, fmt.Errorf("zone %s has no resolver", zone)
		}
		if r.routes[zone] != nil {
			return nil, fmt.Errorf("zone %s is there twice", zone)
		}
		r.routes[zone] = &Route{Zone: zone, Kind: route.Kind, Resolver: route.Resolver}
	}
	return r, nil
}

// find returns the Route with the longest zone that name is in, or nil.
func (r *Router) find(name string) *Route {
	for off, end := 0, false; !end && off < len(name); off, end = dns.NextLabel(name, off) {
		if route := r.routes[name[off:]]; route != nil {
			return route
		}
	}
	return r.routes["."]
}

// Resolve answers q. The rcode and the authority and additional sections are those of the end of the
// alias chain (RFC 6604), the answer is authoritative when the first link is (RFC 1035 section 4.1.1),
// and authentic when all links are.
func (r *Router) Resolve(ctx context.Context, q Query) (*Answer, error) {
	a, err := r.resolve(WithScope(ctx), q)
	if errors.Is(err, errTooManyLinks) {
		r.overlong.Add(1)
	}
	return a, err
}

// Overlong returns how many questions ended by MaxAliases.
func (r *Router) Overlong() uint64 { return r.overlong.Load() }

func (r *Router) resolve(ctx context.Context, q Query) (*Answer, error) {
	t := trail{router: r, question: q, seen: []string{q.Name}}
	for next := q.Name; next != ""; {
		if err := ctx.Err(); err != nil {
			return nil, Errorf(dns.ExtendedErrorCodeNoReachableAuthority, err, "out of time at %s", next)
		}
		route := r.find(next)
		if route == nil {
			return t.unrouted(next)
		}
		link := q
		link.Name = next
		answer, err := route.Resolver.Resolve(ctx, link)
		if err != nil {
			return nil, &ZoneError{Zone: route.Kind, Err: err}
		}
		if next, err = t.add(route, link, answer); err != nil {
			return nil, err
		}
	}
	return t.out, nil
}
