package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dens/chain"
)

// secondLook is how long to wait until those that did not know the block are asked once more. Several
// nodes stand behind many a provider, and a block reaches them all within this time, mostly.
const secondLook = 250 * time.Millisecond

// race is one piece of work on its way through the endpoints: the best one is asked, another when that
// takes long or failed.
type race[T any] struct {
	pool *Pool
	ask  func(ctx context.Context, e *Endpoint) (T, error)
	// judge looks at an answer, in run's goroutine; an error makes it none. nil takes every answer.
	judge func(e *Endpoint, answer T) error

	left    []*Endpoint // not asked yet
	missing []*Endpoint // whose answer was turned down since they do not know the block
	looked  bool        // those were asked once more
	results chan outcome[T]
	pending int
	failed  []setback
}

// outcome is what came of asking one endpoint.
type outcome[T any] struct {
	from   *Endpoint
	answer T
	err    error
}

// setback is why an endpoint, or none in particular, was of no help.
type setback struct {
	from *Endpoint
	err  error
}

// run asks until an answer is taken. Nothing of judge runs after it.
func (r *race[T]) run(ctx context.Context) (answer T, err error) {
	r.left = r.pool.ranked()
	r.results = make(chan outcome[T], len(r.left))
	timer := time.NewTimer(hedgeMost)
	defer timer.Stop()
	r.start(ctx, timer)
	for r.pending > 0 {
		select {
		case o := <-r.results:
			r.pending--
			if r.takes(o) {
				return o.answer, nil
			}
			r.start(ctx, timer)
			if r.pending == 0 {
				r.lookAgain(ctx, timer)
			}
		case <-timer.C:
			if r.pending < maxPending {
				r.start(ctx, timer)
			}
		case <-ctx.Done():
			r.failed = append(r.failed, setback{err: &failure{kind: kindOf(ctx.Err()), text: fmt.Sprintf("%d backends have not answered", r.pending)}})
			return answer, r.verdict()
		}
	}
	if len(r.left) > 0 {
		r.failed = append(r.failed, setback{err: &failure{kind: kindOf(ctx.Err()), text: fmt.Sprintf("no time left for %d backends", len(r.left))}})
	}
	return answer, r.verdict()
}

// takes says whether an answer is the race's, and else notes why not.
func (r *race[T]) takes(o outcome[T]) bool {
	err := o.err
	if err == nil && r.judge != nil {
		err = r.judge(o.from, o.answer)
		if errors.Is(err, chain.ErrUnknownBlock) && !blamed(err) && !r.looked {
			r.missing = append(r.missing, o.from)
		}
	}
	if err == nil {
		return true
	}
	r.failed = slices.DeleteFunc(r.failed, func(s setback) bool { return s.from == o.from }) // of the first look
	r.failed = append(r.failed, setback{o.from, err})
	return false
}

// lookAgain asks those once more, after a pause, that had nothing but the block missing.
func (r *race[T]) lookAgain(ctx context.Context, timer *time.Timer) {
	if end, ok := ctx.Deadline(); len(r.missing) == 0 || len(r.left) > 0 || ok && time.Until(end) < secondLook {
		return
	}
	timer.Reset(secondLook)
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	r.left, r.missing, r.looked = r.missing, nil, true
	r.start(ctx, timer)
}

// start asks the next endpoint, if there is one, and sets the timer for the one after.
func (r *race[T]) start(ctx context.Context, timer *time.Timer) {
	if len(r.left) == 0 || ctx.Err() != nil {
		return
	}
	e := r.left[0]
	r.left = r.left[1:]
	r.pending++
	timer.Reset(r.patience(e))
	r.pool.begin(func() {
		answer, err := r.ask(ctx, e)
		r.results <- outcome[T]{from: e, answer: answer, err: err}
	}, func() {
		r.results <- outcome[T]{from: e, err: e.named(&failure{kind: chain.ErrUnavailable, text: "closed"})}
	})
}

// patience is how long e is left alone: as long as it mostly takes. It gets the most before one is asked
// whose proof did not hold.
func (r *race[T]) patience(e *Endpoint) time.Duration {
	if len(r.left) > 0 && r.left[0].health.demotion(time.Now()) > 0 {
		return hedgeMost
	}
	_, p95 := e.health.times()
	if p95 == 0 {
		p95 = hedgeUnknown
	}
	return min(max(p95, hedgeLeast), hedgeMost)
}

// begin runs f on its own goroutine, or instead gives up at once when the Pool is closed.
func (p *Pool) begin(f, giveUp func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		giveUp()
		return
	}
	p.calls.Go(f)
}

// verdict is the error of a race that nobody won. What can be done about it decides its kind: a proof that
// does not hold is somebody's fault, want of time may pass.
func (r *race[T]) verdict() error {
	v := &verdict{kind: chain.ErrUnavailable}
	unknown := true
	for _, s := range r.failed {
		v.each = append(v.each, s.err)
		unknown = unknown && errors.Is(s.err, chain.ErrUnknownBlock)
	}
	for _, kind := range []error{chain.ErrBadProof, chain.ErrStaleHead, chain.ErrTimeout} {
		if slices.ContainsFunc(v.each, func(err error) bool { return errors.Is(err, kind) }) {
			v.kind = kind
			return v
		}
	}
	if unknown && len(r.failed) > 0 {
		v.kind = chain.ErrUnknownBlock
	}
	return v
}

// verdict is an error of a race as a whole, with what each backend said.
type verdict struct {
	kind error
	each []error
}

func (v *verdict) Error() string {
	words := make([]string, len(v.each))
	for i, err := range v.each {
		words[i] = err.Error()
	}
	return v.kind.Error() + ": " + strings.Join(words, "; ")
}

func (v *verdict) Unwrap() []error { return append([]error{v.kind}, v.each...) }
