package recursive

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver/authority"
)

// Health says whether iteration has what it needs: root servers that answer, and keys that the trust
// anchors vouch for.
type Health struct {
	Primed  bool           // the root servers were asked for their names and addresses (RFC 9609)
	Servers int            // root servers known
	Trust   dnssec.Verdict // about the root's keys; Indeterminate when nothing is validated, or not yet
	Problem string         // what is wrong, for people; "" when nothing is
	Blocked bool           // port 53 is blocked, or somebody else answers there
}

// health is kept by Run.
type health struct {
	mu     sync.Mutex
	now    Health
	failed atomic.Int32  // questions in a row that ended in an error
	doubt  chan struct{} // has room for one: the network may have changed
}

// manyFailures is how many questions in a row have to fail before the root is asked whether it is still there.
const manyFailures = 8

// ended notes how a client's question ended.
func (h *health) ended(err error) {
	switch {
	case err == nil:
		h.failed.Store(0)
	case errors.Is(err, context.Canceled):
	case h.failed.Add(1) >= manyFailures:
		h.failed.Store(0)
		select {
		case h.doubt <- struct{}{}:
		default:
		}
	}
}

// Health returns what the last priming found.
func (r *Resolver) Health() Health {
	r.health.mu.Lock()
	defer r.health.mu.Unlock()
	return r.health.now
}

// Pauses between two primings.
const (
	primeEvery  = 12 * time.Hour
	primeRetry  = time.Second // doubles with each failure
	primeSlowly = 30 * time.Second
)

// Run keeps the root servers' names and addresses up to date until ctx ends, and notices when they
// cannot be reached, now or when the network changes, or their keys are not the right ones.
func (r *Resolver) Run(ctx context.Context) {
	pause := primeRetry
	for {
		h := r.Check(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := primeEvery
		if h.Problem != "" {
			wait, pause = pause, min(2*pause, primeSlowly)
		} else {
			pause = primeRetry
		}
		if !r.rest(ctx, wait) {
			return
		}
	}
}

// rest waits until it is time to prime again, or, not too soon, until so many questions fail that the
// network may have changed. It reports false when ctx ends.
func (r *Resolver) rest(ctx context.Context, wait time.Duration) bool {
	soon := min(wait, primeSlowly)
	select {
	case <-time.After(soon):
	case <-ctx.Done():
		return false
	}
	if wait == soon {
		return true
	}
	select {
	case <-r.health.doubt:
	case <-time.After(wait - soon):
	case <-ctx.Done():
		return false
	}
	return true
}

// Check primes (RFC 9609 section 3) and validates the root's keys, and returns what it found. A change
// for the worse is logged, and one for the better.
func (r *Resolver) Check(ctx context.Context) Health {
	h := Health{}
	ctx, w, cancel, err := r.begin(ctx, r.root)
	if err != nil {
		return h
	}
	defer cancel()
	if err := r.prime(ctx, w); err != nil {
		h.Blocked, h.Problem = true, unreachable(err)
	} else {
		h.Primed = true
		h.Trust = r.probe(ctx, w)
		r.signal(ctx)
		switch {
		case h.Trust.Failed():
			h.Problem = "the root's keys do not validate: " + h.Trust.Text
		case h.Trust.Status == dnssec.Indeterminate:
			h.Problem = h.Trust.Text // "" when there is nothing to validate by
		}
	}
	h.Servers = len(r.roots.Load().hosts)
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return h
	}
	r.health.failed.Store(0)
	r.health.mu.Lock()
	before := r.health.now
	r.health.now = h
	r.health.mu.Unlock()
	switch {
	case h.Problem != "" && h.Problem != before.Problem:
		r.cfg.Log.Warn("resolving from the root does not work", "problem", h.Problem)
	case h.Problem == "" && !before.Primed:
		r.cfg.Log.Info("resolving from the root", "servers", h.Servers, "trust", h.Trust.Status.String())
	}
	return h
}

// unreachable says what a failed priming means.
func unreachable(err error) string {
	if errors.Is(err, errIntercepted) {
		return "somebody else answers in the place of the root servers: this network rewrites DNS on port 53"
	}
	var failed *authority.Error
	if errors.As(err, &failed) && failed.Unreachable() {
		return "no root server answers: this network blocks DNS on port 53, or is down"
	}
	return fmt.Sprintf("no root server gives a usable answer: %v", err)
}

// prime asks a root server for the root's NS records. The addresses that come with it replace the hints;
// of hosts without any, the hints' stay.
func (r *Resolver) prime(ctx context.Context, w *work) error {
	hints := r.cfg.Hints.cut(r.cfg.Port)
	var all []netip.AddrPort
	for _, host := range hints.hosts {
		all = append(all, r.usable(slices.Clone(hints.glue[host]))...)
	}
	reply, err := r.servers.Ask(ctx, all, authority.Question{
		Zone: ".", Name: ".", Type: dns.TypeNS, Spend: w.spendQuery, Accept: isPriming,
	})
	if err != nil {
		return err
	}
	reply.Msg.Ns = reply.Msg.Answer // it has the form of a referral to the root, given by the root
	c := r.newCut(reply.Msg, ".", ".")
	c.referral = nil
	for _, host := range c.hosts {
		if len(c.glue[host]) == 0 && len(hints.glue[host]) > 0 {
			c.glue[host] = hints.glue[host]
		}
	}
	if len(c.glue) == 0 {
		return errNoRecords
	}
	c.since, c.expires = time.Time{}, time.Time{} // better old root servers than none
	r.roots.Store(c)
	return nil
}

// isPriming accepts the answer of a root server to the priming query.
func isPriming(msg *dns.Msg) error {
	switch {
	case msg.RecursionAvailable && !msg.Authoritative:
		return errIntercepted
	case msg.Rcode == dns.RcodeNameError:
		return errIntercepted
	case msg.Rcode != dns.RcodeSuccess || !msg.Authoritative:
		return errNotAuthoritative
	}
	for _, rr := range msg.Answer {
		if _, ok := rr.(*dns.NS); ok && rr.Header().Name == "." {
			return nil
		}
	}
	return errIntercepted // a root server knows the root's
}

// probe validates the root's keys. Those of other zones with anchors may be known to servers of their own
// only; what the root's say of them would be remembered against these.
func (r *Resolver) probe(ctx context.Context, w *work) dnssec.Verdict {
	if w.realm.anchors == nil {
		return dnssec.Verdict{}
	}
	_, trust, ok := w.realm.anchors().For(".")
	if !ok {
		return dnssec.Verdict{}
	}
	return r.chain.Probe(ctx, new(dnssec.Anchors).With(".", trust))
}
