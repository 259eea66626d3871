// Package recursive resolves names by itself: it asks name servers from the root down (RFC 1034 section
// 5.3.3), or from a Delegation that a chain or the configuration gives, and validates what they say.
//
// The way of a question:
//
//	Resolve -> proven (a denial known before) -> fetch -> take, one step a zone cut -> judge -> Answer
//	                                               \- ask -> lookupHost -> fetch (servers' addresses)
//	                                                     judge -> Fetch (DS, DNSKEY) -> fetch
//
// fetch walks from the closest known zone cut to the name; equal steps of concurrent questions are one
// exchange (flights); all that is done for one client question comes out of one budget.
package recursive

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
	"dens/resolver/authority"
	"dens/resolver/denial"
	"dens/resolver/validate"
)

// Kind is the Answer.Zone of answers that were found from the root.
const Kind = "recursive"

// Resolver is a resolver.Resolver and a resolver.Iterator. It is safe for concurrent use.
type Resolver struct {
	cfg     Config
	root    *realm
	servers *authority.Servers
	chain   *validate.Chain // nil: nothing is validated
	denials *denial.Cache
	answers *store[questionKey, *response]
	cuts    *store[string, *cut]
	flights flights
	roots   atomic.Pointer[cut] // the root's servers: hints, then what priming found
	health  health
	stats   stats
}

// New returns a Resolver. It asks nobody before the first question, or Run.
func New(cfg Config) (*Resolver, error) {
	if cfg.UDP == nil || cfg.TCP == nil {
		return nil, errors.New("recursive: no transports")
	}
	cfg = cfg.withDefaults()
	r := &Resolver{cfg: cfg, flights: flights{most: cfg.Flights, by: make(map[string]*flight)}}
	r.health.doubt = make(chan struct{}, 1)
	r.answers = newStore[questionKey](cfg.Answers, cfg.Memory*3/4, (*response).weight, cfg.Now)
	r.cuts = newStore[string](cfg.Cuts, cfg.Memory/4, (*cut).weight, cfg.Now)
	r.servers = authority.New(authority.Config{UDP: cfg.UDP, TCP: cfg.TCP, Now: cfg.Now, Log: cfg.Log})
	r.roots.Store(cfg.Hints.cut(cfg.Port))
	r.root = &realm{zone: ".", top: r.roots.Load}
	if !cfg.Unchecked {
		r.root.anchors = cfg.Anchors
	}
	r.denials = denial.New(denial.Config{Now: cfg.Now})
	r.chain = validate.New(validate.Config{
		Source: r, Validator: cfg.Validator, Negative: cfg.Negative, Now: cfg.Now, Log: cfg.Log,
	})
	return r, nil
}

// Resolve implements resolver.Resolver. Of an alias chain it answers what the zone of its beginning
// holds; Answer.Target is where the chain goes on.
func (r *Resolver) Resolve(ctx context.Context, q resolver.Query) (*resolver.Answer, error) {
	return r.resolve(ctx, r.root, q)
}

// ResolveAt implements resolver.Iterator. With DS in d the answer is validated from them.
func (r *Resolver) ResolveAt(ctx context.Context, d *resolver.Delegation, q resolver.Query) (*resolver.Answer, error) {
	realm := r.realmAt(d)
	if !realm.holds(q.Name, q.Type) {
		return nil, resolver.Errorf(dns.ExtendedErrorCodeOther, nil, "%s is not for the name servers of %s", q.Name, d.Zone)
	}
	a, err := r.resolve(ctx, realm, q)
	if err == nil && d.TTL > 0 {
		most := uint32(min(d.TTL/time.Second, 1<<31-1))
		a.Answer, a.Ns = atMost(a.Answer, most), atMost(a.Ns, most)
	}
	return a, err
}

func (r *Resolver) resolve(ctx context.Context, realm *realm, q resolver.Query) (*resolver.Answer, error) {
	client := workOf(ctx) == nil // else the question is part of another
	ctx, w, cancel, err := r.begin(ctx, realm)
	if err != nil {
		return nil, err
	}
	defer cancel()
	a, err := r.find(ctx, w, q)
	if err != nil {
		err = diagnose(err)
	}
	if client {
		r.stats.ended(err)
		r.health.ended(err)
	}
	return a, err
}

func (r *Resolver) find(ctx context.Context, w *work, q resolver.Query) (*resolver.Answer, error) {
	validating := w.realm.anchors != nil
	if validating && !q.CD {
		if resp := r.proven(w, q.Name, q.Type); resp != nil {
			traceCached(ctx, w, resp)
			return r.answer(resp, resp.judged.Load()), nil
		}
	}
	resp, err := r.fetch(ctx, q.Name, q.Type, nil, false)
	if err != nil {
		return nil, err
	}
	if !validating {
		return r.answer(resp, nil), nil
	}
	if q.CD {
		return r.unhindered(ctx, w, resp), nil
	}
	resp, j, err := r.judge(ctx, w, resp)
	switch {
	case err != nil:
		return nil, err
	case j.Failed():
		return nil, bogus(j.Verdict, w.signatures)
	case j.Status == dnssec.Secure && w.realm == r.root:
		if err := r.sentinel(q); err != nil {
			return nil, err
		}
	}
	return r.answer(resp, j), nil
}

// unhindered answers a client that checks for itself: with what there is, and with AD where it is
// authentic (RFC 4035 section 3.2.3), but for that it does not wait long.
func (r *Resolver) unhindered(ctx context.Context, w *work, resp *response) *resolver.Answer {
	ctx, cancel := context.WithTimeout(ctx, time.Until(w.deadline)/4)
	defer cancel()
	better, j, err := r.judge(ctx, w, resp)
	if err != nil || j.Failed() {
		return r.answer(resp, nil)
	}
	return r.answer(better, j)
}

// diagnose turns an error into what the client is told (RFC 8914).
func diagnose(err error) error {
	var told *resolver.Error
	var failed *authority.Error
	var limit *limitError
	switch {
	case errors.As(err, &told):
		return err
	case errors.As(err, &limit):
		return resolver.Errorf(dns.ExtendedErrorCodeOther, err, "given up: %s", limit.text)
	case errors.Is(err, errCircle):
		return resolver.Errorf(dns.ExtendedErrorCodeNoReachableAuthority, err, "%v", errCircle)
	case errors.As(err, &failed):
		return resolver.Errorf(failed.Code(), err, "%s", failed.Text())
	case errors.Is(err, context.DeadlineExceeded):
		return resolver.Errorf(dns.ExtendedErrorCodeNoReachableAuthority, err, "out of time")
	}
	return err
}

// Keys fetches the DNSKEY RRset of a zone from its servers, not from memory and not validated: what
// keeps trust anchors up to date asks for it (RFC 5011 section 2).
func (r *Resolver) Keys(ctx context.Context, zone string) (dnssec.RRset, error) {
	ctx, _, cancel, err := r.begin(ctx, r.root)
	if err != nil {
		return dnssec.RRset{}, err
	}
	defer cancel()
	resp, err := r.fetch(ctx, zone, dns.TypeDNSKEY, nil, true)
	if err != nil {
		return dnssec.RRset{}, diagnose(err)
	}
	set := dnssec.Find(resp.Answer, zone, dns.TypeDNSKEY)
	if len(set.RRs) == 0 {
		return set, fmt.Errorf("DNSKEY of %s: %w", zone, errNoRecords)
	}
	return set, nil
}
