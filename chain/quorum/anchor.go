package quorum

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
)

const (
	// reorgDepth is how many blocks below the newest an agreement is looked for, while the backends
	// are in the middle of a reorganisation.
	reorgDepth = 3
	// After a failed agreement the next one is tried, though no backend tells of a new head, after
	// retryFirst, and then ever later up to retryMost: all must be well within 5 s of the backends' return.
	retryFirst = 500 * time.Millisecond
	retryMost  = 3 * time.Second
	// settle is the least time between two agreements, whatever heads a backend invents.
	settle = 50 * time.Millisecond
)

// follow keeps an agreement ready, so that a look-up costs just the call itself.
func (q *Quorum) follow() {
	heads := make(chan struct{}, 1)
	for _, o := range q.operators {
		for _, b := range o.endpoints {
			b.Watch(heads)
			defer b.Unwatch(heads)
		}
	}
	retry := retryFirst
	for q.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(q.ctx, q.cfg.Timeout)
		_, err := q.agree(ctx, false)
		cancel()
		q.rest(settle)
		wait := time.Duration(1<<62 - 1)
		if err != nil {
			wait, retry = retry, min(2*retry, retryMost)
		} else {
			retry = retryFirst
		}
		timer := time.NewTimer(wait)
		select {
		case <-q.ctx.Done():
		case <-heads:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// rest waits for d or Close.
func (q *Quorum) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-q.ctx.Done():
	case <-timer.C:
	}
}

// Anchor returns the block that K operators name alike, with them as its vouchers. It costs no request
// while the agreement is fresh. Errors are chain.ErrConflict, chain.ErrStaleHead, chain.ErrTimeout and
// chain.ErrUnavailable.
func (q *Quorum) Anchor(ctx context.Context) (chain.Anchor, error) {
	if !q.begin() {
		return chain.Anchor{}, fmt.Errorf("%w: closed", chain.ErrUnavailable)
	}
	defer q.running.Done()
	a, err := q.anchor(ctx)
	if err != nil {
		return chain.Anchor{}, err
	}
	for _, b := range a.asked {
		b.Touch() // nothing else tells those that a look-up needs their heads
	}
	return chain.Anchor{Head: a.head, Source: chain.AnchorQuorum, Vouchers: slices.Clone(a.vouchers)}, nil
}

// agreement is a block that K operators name alike.
type agreement struct {
	head     chain.Head
	vouchers []string  // operators that did, sorted
	asked    []Backend // that spoke for all operators that were heard
}

// anchor is the block that calls are pinned to.
func (q *Quorum) anchor(ctx context.Context) (agreement, error) {
	q.mu.Lock()
	a, at, cause := q.agreed, q.at, q.cause
	q.mu.Unlock()
	if at.IsZero() || cause != nil || time.Since(at) > q.cfg.Fresh || q.young(a.head) != nil {
		shared := q.flight.DoChan("agree", func() (any, error) {
			ctx, cancel := context.WithTimeout(q.ctx, q.cfg.Timeout)
			defer cancel()
			return q.agree(ctx, true)
		})
		select {
		case r := <-shared:
			if r.Err != nil {
				return agreement{}, r.Err
			}
			a = r.Val.(agreement)
		case <-ctx.Done():
			return agreement{}, fmt.Errorf("%w: no agreement on a block", chain.ErrTimeout)
		}
	}
	return a, q.young(a.head)
}

func (q *Quorum) young(head chain.Head) error {
	if age := time.Since(head.Time); q.cfg.MaxHeadAge > 0 && age > q.cfg.MaxHeadAge {
		return fmt.Errorf("%w: block %d is %v old, the limit is %v", chain.ErrStaleHead, head.Number, age.Round(time.Second), q.cfg.MaxHeadAge)
	}
	return nil
}

// agree finds the newest block that K operators know alike: the K-th highest of the voters' heads, or a
// few below it. ask allows requests for heads that are not known or old. What it finds is remembered.
func (q *Quorum) agree(ctx context.Context, ask bool) (agreement, error) {
	a, err := q.findAgreement(ctx, ask)
	if q.ctx.Err() != nil {
		return a, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if errors.Is(err, chain.ErrConflict) && !errors.Is(q.cause, chain.ErrConflict) {
		q.cfg.Log.Warn("backends are on different branches of the chain", "error", err)
	}
	if q.cause = err; err == nil {
		q.agreed, q.at = a, time.Now()
	}
	return a, err
}

func (q *Quorum) findAgreement(ctx context.Context, ask bool) (agreement, error) {
	voters, heads, errs := q.heads(ctx, ask)
	if len(voters) < q.cfg.K {
		return agreement{}, tooFew("newest block", len(voters), q.cfg.K, errs)
	}
	numbers := make([]uint64, len(heads))
	for i, h := range heads {
		numbers[i] = h.Number
	}
	slices.Sort(numbers)
	number := numbers[len(numbers)-q.cfg.K]
	var err error
	for range reorgDepth + 1 {
		var a agreement
		if a, err = q.agreeAt(ctx, voters, number); err == nil || !errors.Is(err, chain.ErrConflict) || number == 0 {
			return a, err
		}
		number--
	}
	return agreement{}, err
}

// heads collects the newest blocks of the first 2K-1 operators that have one to tell; the others are
// spares.
func (q *Quorum) heads(ctx context.Context, ask bool) (voters []voter, heads []chain.Head, errs []error) {
	ranked := q.ranked()
	seats := 2*q.cfg.K - 1
	for len(ranked) > 0 && len(voters) < seats {
		next := ranked[:min(len(ranked), seats-len(voters))]
		ranked = ranked[len(next):]
		outcomes := each(ctx, next, q.cfg.K-len(voters), func(v voter) (chain.Head, error) { return q.head(ctx, v, ask) })
		for i, o := range outcomes {
			if o.err != nil {
				errs = append(errs, o.err)
				continue
			}
			voters, heads = append(voters, next[i]), append(heads, o.head)
		}
	}
	return voters, heads, errs
}

func (q *Quorum) head(ctx context.Context, v voter, ask bool) (chain.Head, error) {
	if ask {
		return v.Latest(ctx, q.cfg.Fresh)
	}
	if head, seen := v.Head(); !seen.IsZero() && v.Usable() {
		return head, nil
	}
	return chain.Head{}, &chain.BackendError{Backend: v.Name(), Err: chain.ErrUnavailable}
}

// agreeAt asks voters for their block of one number and wants K to name the same.
func (q *Quorum) agreeAt(ctx context.Context, voters []voter, number uint64) (agreement, error) {
	type block struct {
		hash common.Hash
		time int64 // a block's hash covers its time, but not every backend that names the one need tell the other
	}
	named, answered := map[block]*agreement{}, 0
	var errs []error
	outcomes := each(ctx, voters, q.cfg.K, func(v voter) (chain.Head, error) { return v.BlockAt(ctx, number) })
	for i, o := range outcomes {
		if o.err != nil {
			errs = append(errs, o.err)
			continue
		}
		answered++
		same := block{o.head.Hash, o.head.Time.Unix()}
		if named[same] == nil {
			named[same] = &agreement{head: o.head}
		}
		named[same].vouchers = append(named[same].vouchers, voters[i].Name())
		errs = append(errs, &chain.BackendError{Backend: voters[i].Name(), Err: fmt.Errorf("has block %s", o.head.Hash.TerminalString())})
	}
	for _, a := range named { // at most one: more than half of the voters are needed
		if len(a.vouchers) >= q.cfg.K {
			slices.Sort(a.vouchers)
			for _, v := range voters {
				a.asked = append(a.asked, v.Backend)
			}
			return *a, nil
		}
	}
	if len(named) > 1 {
		return agreement{}, fmt.Errorf("%w about block %d: %w", chain.ErrConflict, number, sayings(errs))
	}
	return agreement{}, tooFew(fmt.Sprintf("block %d", number), answered, q.cfg.K, errs)
}

type headOutcome struct {
	head chain.Head
	err  error
}

// each asks all voters at once; they are few (2K-1). Once enough have answered the rest get about as much
// time again, so that one that hangs holds up nobody.
func each(ctx context.Context, voters []voter, enough int, ask func(voter) (chain.Head, error)) []headOutcome {
	type numbered struct {
		i int
		headOutcome
	}
	results := make(chan numbered, len(voters))
	out := make([]headOutcome, len(voters))
	for i, v := range voters {
		out[i].err = &chain.BackendError{Backend: v.Name(), Err: chain.ErrTimeout}
		go func() {
			head, err := ask(v)
			results <- numbered{i, headOutcome{head, err}}
		}()
	}
	began := time.Now()
	var grace <-chan time.Time
	for range voters {
		if enough <= 0 && grace == nil {
			grace = time.After(min(max(time.Since(began), hedgeLeast), hedgeMost))
		}
		select {
		case r := <-results:
			out[r.i] = r.headOutcome
			if r.err == nil {
				enough--
			}
		case <-grace:
			return out
		case <-ctx.Done():
			return out
		}
	}
	return out
}

// tooFew says that fewer than k operators answered, why, and whether that was for want of time.
func tooFew(what string, got, k int, errs []error) error {
	kind := chain.ErrUnavailable
	all := sayings(errs)
	if errors.Is(all, chain.ErrTimeout) || errors.Is(all, context.DeadlineExceeded) {
		kind = chain.ErrTimeout
	}
	return fmt.Errorf("%w: %s: %d of %d operators needed answered: %w", kind, what, got, k, all)
}

// sayings are the words of several backends on one line.
type sayings []error

func (s sayings) Error() string {
	words := make([]string, len(s))
	for i, err := range s {
		words[i] = err.Error()
	}
	return strings.Join(words, "; ")
}

func (s sayings) Unwrap() []error { return s }
