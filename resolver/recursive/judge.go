package recursive

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
	"dens/resolver/validate"
)

// maxRetries is how many other servers are asked for what did not validate.
const maxRetries = 3

// judge validates a response; one that is bogus is fetched again first: what has been in memory for a while
// from any server, since the zone may have been mended, and what is new from other servers. It returns the
// response that the judgement is about. An error says that the chain of trust could not be followed.
func (r *Resolver) judge(ctx context.Context, w *work, resp *response) (*response, *judged, error) {
	if j := resp.judged.Load(); j != nil && r.cfg.Now().Before(j.until) {
		return resp, j, nil
	}
	anchors := w.realm.anchors()
	var avoid []netip.AddrPort
	for try := 0; ; try++ {
		j, err := r.chain.Validate(ctx, &resp.Response, anchors, w.signatures)
		if err != nil {
			return nil, nil, err
		}
		if !j.Failed() {
			return resp, r.settle(w.realm, resp, j), nil
		}
		if try < maxRetries && j.Status != dnssec.Exhausted && resp.Server.IsValid() {
			if r.cfg.Now().Sub(resp.stored) < bogusTTL {
				avoid = append(avoid, resp.Server)
			}
			if next, err := r.fetch(ctx, resp.Name, resp.Type, avoid, true); err == nil {
				resp = next
				continue
			}
		}
		return resp, r.settle(w.realm, resp, j), nil
	}
}

// settle remembers a judgement with its response, and what it proved for later questions.
func (r *Resolver) settle(realm *realm, resp *response, found validate.Judgement) *judged {
	r.stats.validation(found.Status)
	j := &judged{Judgement: found, until: r.cfg.Now().Add(max(found.TTL, time.Second))}
	if found.Failed() {
		j.until = r.cfg.Now().Add(bogusTTL)
	}
	if found.Status == dnssec.Exhausted {
		return j // the budget was the question's; the next one has its own
	}
	resp.judged.Store(j)
	if found.Status == dnssec.Secure && realm == r.root && len(found.Denial) > 0 {
		r.denials.Add(found.DenialZone, found.Denial)
	}
	return j
}

// denied makes use of a denial of a name on the way: when it is proven that there is nothing at or below
// that name, the whole name need not be asked for (RFC 8020).
func (r *Resolver) denied(ctx context.Context, onTheWay *response, name string, rrtype uint16) *response {
	w := workOf(ctx)
	if onTheWay.Rcode != dns.RcodeNameError || w.realm != r.root || w.realm.anchors == nil || !signed(onTheWay.Ns) {
		return nil
	}
	if _, j, err := r.judge(ctx, w, onTheWay); err != nil || j.Status != dnssec.Secure {
		return nil
	}
	return r.proven(w, name, rrtype)
}

// signed says whether a denial carries signatures.
func signed(ns []dns.RR) bool {
	for _, rr := range ns {
		if rr.Header().Rrtype == dns.TypeRRSIG {
			return true
		}
	}
	return false
}

// proven answers from denials that were validated before (RFC 8198); nil when these do not tell.
func (r *Resolver) proven(w *work, name string, rrtype uint16) *response {
	if w.realm != r.root || w.realm.anchors == nil {
		return nil
	}
	a, ok := r.denials.Lookup(name, rrtype)
	if !ok {
		return nil
	}
	now := r.cfg.Now()
	resp := &response{
		Response: validate.Response{Name: name, Type: rrtype, Rcode: a.Rcode, Ns: a.Ns, Zone: a.Zone},
		stored:   now, expires: now.Add(a.TTL),
	}
	resp.judged.Store(&judged{
		Judgement: validate.Judgement{Verdict: dnssec.Verdict{Status: dnssec.Secure}, Rcode: a.Rcode, Ns: a.Ns, TTL: a.TTL},
		until:     now.Add(a.TTL),
	})
	return resp
}

// bogus is what a client gets in the place of data that did not validate.
func bogus(v dnssec.Verdict, b *dnssec.Budget) error {
	var cause error
	switch {
	case v.Status == dnssec.Exhausted && b.OutOfHashes():
		cause = &limitError{"hashes", v.Text}
	case v.Status == dnssec.Exhausted:
		cause = &limitError{"signatures", v.Text}
	}
	return resolver.Errorf(v.Code, cause, "%s", v.Text)
}

// Fetch implements validate.Source.
func (r *Resolver) Fetch(ctx context.Context, name string, rrtype uint16, avoid []netip.AddrPort) (*validate.Response, error) {
	w := *workOf(ctx)
	if !w.realm.holds(name, rrtype) {
		w.realm = r.root
	}
	w.depth++
	if w.depth > 2*w.limits.Depth {
		return nil, errDepth(w.limits.Depth)
	}
	resp, err := r.fetch(w.in(ctx), name, rrtype, avoid, false)
	if err != nil {
		return nil, diagnose(err)
	}
	return &resp.Response, nil
}

// NextCut implements validate.Source.
func (r *Resolver) NextCut(ctx context.Context, zone, name string) (string, []dns.RR) {
	realm := workOf(ctx).realm
	if !dns.IsSubDomain(realm.zone, zone) {
		realm = r.root
	}
	var found *cut
	now := r.cfg.Now()
	for n := range ancestors(name, zone) {
		if n == zone {
			break
		}
		if c, ok := r.cuts.get(realm.key(n)); ok && c.fresh(now) {
			found = c
		}
	}
	if found == nil {
		return "", nil
	}
	if now.Before(found.proven) {
		return found.zone, found.referral
	}
	return found.zone, nil
}

var errNoRecords = errors.New("the answer has no such records")
