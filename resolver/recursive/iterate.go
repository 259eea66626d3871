package recursive

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"

	"dens/resolver"
	"dens/resolver/authority"
)

// maxReferrals bounds the zone cuts on the way to a name.
const maxReferrals = 64

// fetch returns what the servers of the zone that holds a name say, from memory or by iteration.
// Servers in avoid are not asked; with fresh, memory is not either.
func (r *Resolver) fetch(ctx context.Context, name string, rrtype uint16, avoid []netip.AddrPort, fresh bool) (*response, error) {
	w := workOf(ctx)
	fresh = fresh || len(avoid) > 0
	if !fresh {
		if resp := r.recall(w.realm, name, rrtype); resp != nil {
			traceCached(ctx, w, resp)
			return resp, nil
		}
	}
	at := r.closest(w.realm, name, rrtype)
	min := minimiser{name: name, rrtype: rrtype}
	for range maxReferrals {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		qname, qtype := min.next(at.zone)
		s := step{realm: w.realm, at: at, name: qname, rrtype: qtype}
		last := qname == name && qtype == rrtype
		if last {
			s.avoid, s.fresh = avoid, fresh
		}
		s.tentative = !last
		out, err := r.take(ctx, s)
		switch {
		case err != nil && !last && mayTellMore(at, err):
			min.whole = true
		case err != nil && isServers(err) && r.forgetMoved(w.realm, at):
			at = r.closest(w.realm, parent(at.zone), dns.TypeNone)
			min.labels, min.whole = 0, false
		case err != nil:
			return nil, err
		case out.cut != nil:
			at = out.cut
			min.labels = 0
		case last:
			return out.response, nil
		default:
			if resp := r.denied(ctx, out.response, name, rrtype); resp != nil {
				return resp, nil
			}
			min.whole = !goesOn(out.response)
		}
	}
	return nil, resolver.Errorf(dns.ExtendedErrorCodeOther, nil, "more than %d referrals to %s", maxReferrals, name)
}

// goesOn says whether the next label is worth a question of its own, after a response about a name on
// the way. Some servers deny empty non-terminals, and below a DNAME there are no zone cuts.
func goesOn(resp *response) bool {
	if resp.Rcode != dns.RcodeSuccess {
		return false
	}
	for _, rr := range resp.Answer {
		if rr.Header().Rrtype == dns.TypeDNAME {
			return false
		}
	}
	return true
}

// mayTellMore says whether servers that did not answer for a name on the way may be told the whole name.
// Those of a zone may be silent to names that they do not like; those of the root and of top-level domains
// are not, and learn nothing more when nobody seems to be there.
func mayTellMore(at *cut, err error) bool {
	return isAlias(err) || isServers(err) && (answered(err) || dns.CountLabel(at.zone) > 1)
}

// isServers says whether an error is the servers', so that another question may fare better.
func isServers(err error) bool {
	var failed *authority.Error
	return errors.As(err, &failed)
}

// isAlias says that an answer was an alias chain that cannot be followed. On the way to a name that does
// not matter: there may be names below one that is an alias.
func isAlias(err error) bool {
	var chain *aliasError
	return errors.As(err, &chain)
}

// step is one question to the servers of one zone.
type step struct {
	realm     *realm
	at        *cut
	name      string
	rrtype    uint16
	avoid     []netip.AddrPort
	fresh     bool
	tentative bool
}

// outcome is what a step led to: a zone cut further down, or a response.
type outcome struct {
	cut      *cut
	response *response
}

// take does a step, or shares one that is under way.
func (r *Resolver) take(ctx context.Context, s step) (*outcome, error) {
	if out := r.known(s); out != nil {
		return out, nil
	}
	key := fmt.Sprint(s.realm.key(s.name), " ", s.rrtype, " ", s.at.zone, s.avoid, s.fresh, s.tentative)
	return r.flights.do(ctx, key, func(ctx context.Context) (*outcome, error) {
		// Another flight may have landed between the look into memory and this one.
		if out := r.known(s); out != nil {
			return out, nil
		}
		return r.exchange(ctx, s)
	})
}

// known returns what memory has for a step, or nil.
func (r *Resolver) known(s step) *outcome {
	if s.fresh {
		return nil
	}
	if resp := r.recall(s.realm, s.name, s.rrtype); resp != nil {
		return &outcome{response: resp}
	}
	if c := r.closest(s.realm, s.name, s.rrtype); dns.CountLabel(c.zone) > dns.CountLabel(s.at.zone) {
		return &outcome{cut: c}
	}
	return nil
}

// exchange asks the servers of s.at.
func (r *Resolver) exchange(ctx context.Context, s step) (*outcome, error) {
	if msg, ok := r.local(s); ok {
		in, err := read(msg, s.at.zone, s.name, s.rrtype)
		if err != nil {
			return nil, err
		}
		amend := resolver.TraceOf(ctx).Add(resolver.Step{
			Depth: workOf(ctx).depth, Kind: resolver.StepQuery, Zone: ".", Name: s.name, Type: dns.Type(s.rrtype).String(),
			Transport: "local", Rcode: dns.RcodeToString[msg.Rcode],
		})
		return r.conclude(s, msg, in, netip.AddrPort{}, amend), nil
	}
	reply, err := r.ask(ctx, s)
	if err != nil {
		return nil, err
	}
	in, err := read(reply.Msg, s.at.zone, s.name, s.rrtype)
	if err != nil {
		return nil, err
	}
	return r.conclude(s, reply.Msg, in, reply.Server, reply.Amend), nil
}

// local asks the local copy of the root zone (RFC 8806).
func (r *Resolver) local(s step) (*dns.Msg, bool) {
	if r.cfg.Local == nil || s.realm.id != "" || s.at.zone != "." || s.fresh {
		return nil, false
	}
	return r.cfg.Local(s.name, s.rrtype)
}

// conclude remembers what a reply says.
func (r *Resolver) conclude(s step, msg *dns.Msg, in reading, server netip.AddrPort, amend func(func(*resolver.Step))) *outcome {
	if in.child != "" {
		c := r.newCut(msg, s.at.zone, in.child)
		r.storeCut(s.realm, c)
		amend(func(t *resolver.Step) { t.Outcome = "referral to " + in.child })
		return &outcome{cut: c}
	}
	resp := r.newResponse(msg, in, s.at.zone, s.name, s.rrtype, server)
	r.remember(s.realm, resp)
	amend(func(t *resolver.Step) { t.Outcome = describe(resp) })
	return &outcome{response: resp}
}

// describe says what a response is.
func describe(resp *response) string {
	switch {
	case resp.target != "":
		return "alias of " + resp.target
	case resp.Rcode == dns.RcodeNameError:
		return "no such name"
	case resp.Rcode != dns.RcodeSuccess:
		return dns.RcodeToString[resp.Rcode]
	case len(resp.Answer) == 0:
		return "no such record"
	}
	return "answer"
}

func traceCached(ctx context.Context, w *work, resp *response) {
	resolver.TraceOf(ctx).Add(resolver.Step{
		Depth: w.depth, Kind: resolver.StepCached, Zone: resp.Zone, Name: resp.Name, Type: dns.Type(resp.Type).String(),
		Rcode: dns.RcodeToString[resp.Rcode], Outcome: describe(resp),
	})
}
