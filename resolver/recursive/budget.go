package recursive

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"dens/dnssec"
	"dens/resolver"
)

// budget is what one client question has spent. It is shared by all that is done for the question.
type budget struct {
	limits     Limits
	deadline   time.Time
	signatures *dnssec.Budget
	queries    atomic.Int64
	lookups    atomic.Int64
}

// limitError says which limit ended a look-up. It says nothing about the zone's next question, and so is
// not shared with those who wait for the same thing.
type limitError struct {
	limit string // "queries", "depth", "lookups", "signatures", "flights": as the metrics have it
	text  string
}

func (e *limitError) Error() string { return e.text }

// spendQuery counts one message.
func (b *budget) spendQuery() error {
	if n := b.queries.Add(1); n > int64(b.limits.Queries) {
		return &limitError{"queries", fmt.Sprintf("more than %d queries to name servers", b.limits.Queries)}
	}
	return nil
}

// spendLookup counts one look-up of a server's addresses, inside depth others. The last ones are not for those that
// are deep: a server that is hard to find does not keep the question from one that is easy.
func (b *budget) spendLookup(depth int) error {
	if n := b.lookups.Add(1); n > int64(b.limits.Lookups-depth*atATime) {
		b.lookups.Add(-1)
		return &limitError{"lookups", fmt.Sprintf("more than %d look-ups of name servers' addresses", b.limits.Lookups)}
	}
	return nil
}

// work is one part of what is done for a client question: whose budget it uses, and how it came to be.
type work struct {
	*budget
	realm  *realm
	depth  int     // of look-ups of servers' addresses
	flight *flight // that this is part of; nil outside
}

type workKey struct{}

func workOf(ctx context.Context) *work {
	w, _ := ctx.Value(workKey{}).(*work)
	return w
}

func (w *work) in(ctx context.Context) context.Context { return context.WithValue(ctx, workKey{}, w) }

// begin prepares ctx for one question in a realm. A question that is asked on behalf of another one, by
// way of the Router, goes on the other's budget.
func (r *Resolver) begin(ctx context.Context, realm *realm) (context.Context, *work, context.CancelFunc, error) {
	outer := workOf(ctx)
	if outer != nil {
		w := &work{budget: outer.budget, realm: realm, depth: outer.depth + 1, flight: outer.flight}
		if w.flight != nil && w.flight.of != &r.flights {
			w.flight = nil // another Resolver's
		}
		if w.depth > w.limits.Depth {
			return nil, nil, nil, diagnose(errDepth(w.limits.Depth))
		}
		return w.in(ctx), w, func() {}, nil
	}
	// One budget for all links of an alias chain, or a chain would multiply it.
	shared := resolver.ScopeOf(ctx).Value(r, func() any { return r.newBudget(ctx) })
	w := &work{realm: realm, budget: shared.(*budget)}
	ctx, cancel := context.WithDeadline(ctx, w.deadline)
	return w.in(ctx), w, cancel, nil
}

func (r *Resolver) newBudget(ctx context.Context) *budget {
	deadline := time.Now().Add(r.cfg.Timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	return &budget{limits: r.cfg.Limits, deadline: deadline, signatures: dnssec.NewBudget(r.cfg.Limits.Signatures)}
}

func errDepth(most int) error {
	return &limitError{"depth", fmt.Sprintf("name servers' addresses depend on others more than %d deep", most)}
}
