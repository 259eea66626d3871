package forward

import (
	"context"
	"slices"
	"sort"
	"time"

	"dens/resolver"
)

const (
	maxAttempts = 8 // at one question, over all upstreams
	maxParallel = 4 // of these, at a time
	soloRounds  = 4 // attempts at the only upstream there is: packets get lost
	rounds      = 2 // attempts at each of several
)

// race is one question on its way to several upstreams: the best is asked, the next one when it fails
// or lets wait for longer than usual, and the first good answer wins.
type race struct {
	f       *Forwarder
	q       resolver.Query
	order   []*upstream
	state   []standing // of each in order
	results chan result
	next    int // attempts started
	running int // attempts under way
	losses  []result
}

// standing is how one upstream does in a race.
type standing struct {
	asked int  // attempts under way
	final bool // asking it again is of no use
}

// newRace returns a race whose results have room for all attempts that it may start.
func (f *Forwarder) newRace(q resolver.Query) *race {
	r := &race{f: f, q: q, order: f.order()}
	r.state = make([]standing, len(r.order))
	r.results = make(chan result, r.most()+1)
	return r
}

// most is how many attempts there are, but for the one that explores.
func (r *race) most() int {
	if len(r.order) == 1 {
		return soloRounds
	}
	return min(len(r.order)*rounds, maxAttempts)
}

// at returns the place of an upstream in the order.
func (r *race) at(u *upstream) *standing { return &r.state[slices.Index(r.order, u)] }

// order puts the upstreams in the order in which to ask them: the fastest first, those not measured yet
// and those that fail a lot behind, those that are down last.
func (f *Forwarder) order() []*upstream {
	if len(f.upstreams) == 1 {
		return f.upstreams
	}
	order := append([]*upstream(nil), f.upstreams...)
	ranks := make(map[*upstream]rank, len(order))
	for _, u := range order {
		ranks[u] = u.rank()
	}
	class := func(u *upstream) int {
		switch r := ranks[u]; {
		case r.state == Down, r.trouble >= troubleEnough:
			return 2
		case r.rtt == 0, r.trouble >= doubtful:
			return 1
		default:
			return 0
		}
	}
	sort.SliceStable(order, func(i, j int) bool {
		a, b := class(order[i]), class(order[j])
		if a == 0 && b == 0 {
			return ranks[order[i]].rtt < ranks[order[j]].rtt
		}
		return a < b
	})
	return order
}

// run asks until there is an answer or no hope for one.
func (r *race) run(ctx context.Context) (*resolver.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, r.f.cfg.Timeout)
	defer cancel()
	r.explore(ctx)
	hedge := time.NewTimer(r.start(ctx, false))
	defer hedge.Stop()
	for {
		select {
		case res := <-r.results:
			r.running--
			from := r.at(res.from)
			from.asked--
			if res.answer != nil {
				return res.answer, nil
			}
			from.final = from.final || res.final
			r.losses = append(r.losses, res)
			if patience := r.start(ctx, false); patience > 0 {
				hedge.Reset(patience)
			} else if r.running == 0 {
				return nil, r.f.failure(r.losses)
			}
		case <-hedge.C:
			if patience := r.start(ctx, true); patience > 0 {
				hedge.Reset(patience)
			}
		case <-ctx.Done():
			return nil, r.f.timeout(ctx, r)
		case <-r.f.ctx.Done():
			return nil, r.f.timeout(ctx, r)
		}
	}
}

// start asks the next upstream and returns how long to wait before the one after it; 0 when there is
// none to ask now. late says that those under way are late: they may be asked once more.
func (r *race) start(ctx context.Context, late bool) time.Duration {
	if r.running >= maxParallel {
		return 0
	}
	for r.next < r.most() {
		place, round := r.next%len(r.order), r.next/len(r.order)
		u, st := r.order[place], &r.state[place]
		if st.asked > 0 && round > 0 && !late {
			return 0
		}
		r.next++
		if st.final || st.asked > 0 && round == 0 {
			continue
		}
		r.running++
		st.asked++
		// The second packet to the only server may be as lost as the first was.
		silent := round > 1 || round > 0 && len(r.order) > 1
		r.f.spawn(func() {
			limited := ctx
			if len(r.order) > 1 { // leaves time for the others
				var cancel context.CancelFunc
				limited, cancel = context.WithTimeout(ctx, r.f.cfg.Timeout/2)
				defer cancel()
			}
			r.results <- r.f.attempt(limited, u, r.q, silent)
		})
		return u.rank().patience << round
	}
	return 0
}

// explore asks one upstream that was not asked for a while as well, so that its place in the order is
// not for ever. It is no delay to the question, and is not called off when another one answers.
func (r *race) explore(ctx context.Context) {
	now := r.f.cfg.Now()
	for _, u := range r.order[1:] {
		if !u.claim(now, r.f.cfg.Explore) {
			continue
		}
		r.running++
		r.at(u).asked++
		r.f.spawn(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.f.cfg.Timeout)
			defer cancel()
			defer context.AfterFunc(r.f.ctx, cancel)()
			r.results <- r.f.attempt(ctx, u, r.q, false)
		})
		return
	}
}
