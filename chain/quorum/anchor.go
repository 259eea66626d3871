package quorum

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
)

const (
	// reorgDepth is how many blocks below the newest an agreement is looked for, while the backends
	// are in the middle of a reorganisation.
	reorgDepth = 3
	// retryInterval is how long to wait after a failed agreement when no backend tells of a new head.
	retryInterval = 500 * time.Millisecond
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
	for {
		_, err := q.agree(q.ctx, false)
		retry := time.Duration(1<<62 - 1)
		if err != nil {
			retry = retryInterval
		}
		timer := time.NewTimer(retry)
		select {
		case <-q.ctx.Done():
			timer.Stop()
			return
		case <-heads:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// anchor is the block that calls are pinned to.
func (q *Quorum) anchor(ctx context.Context) (chain.Head, error) {
	q.mu.Lock()
	head, at, cause := q.agreed, q.at, q.cause
	q.mu.Unlock()
	if at.IsZero() || cause != nil || time.Since(at) > q.cfg.Fresh || q.young(head) != nil {
		shared := q.flight.DoChan("agree", func() (any, error) {
			ctx, cancel := context.WithTimeout(q.ctx, q.cfg.Timeout)
			defer cancel()
			return q.agree(ctx, true)
		})
		select {
		case r := <-shared:
			if r.Err != nil {
				return chain.Head{}, r.Err
			}
			head = r.Val.(chain.Head)
		case <-ctx.Done():
			return chain.Head{}, fmt.Errorf("%w: no agreement on a block", chain.ErrTimeout)
		}
	}
	return head, q.young(head)
}

func (q *Quorum) young(head chain.Head) error {
	if age := time.Since(head.Time); q.cfg.MaxHeadAge > 0 && age > q.cfg.MaxHeadAge {
		return fmt.Errorf("%w: block %d is %v old, the limit is %v", chain.ErrStaleHead, head.Number, age.Round(time.Second), q.cfg.MaxHeadAge)
	}
	return nil
}

// agree finds the newest block that K operators know alike: the K-th highest of the voters' heads, or a
// few below it. ask allows requests for heads that are not known or old. What it finds is remembered.
func (q *Quorum) agree(ctx context.Context, ask bool) (chain.Head, error) {
	head, err := q.findAgreement(ctx, ask)
	if q.ctx.Err() != nil {
		return head, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.cause = err; err == nil {
		q.agreed, q.at = head, time.Now()
	}
	return head, err
}

func (q *Quorum) findAgreement(ctx context.Context, ask bool) (chain.Head, error) {
	voters, heads, errs := q.heads(ctx, ask)
	if len(voters) < q.cfg.K {
		return chain.Head{}, tooFew("newest block", len(voters), q.cfg.K, errs)
	}
	numbers := make([]uint64, len(heads))
	for i, h := range heads {
		numbers[i] = h.Number
	}
	slices.Sort(numbers)
	number := numbers[len(numbers)-q.cfg.K]
	var err error
	for range reorgDepth + 1 {
		var head chain.Head
		if head, err = q.agreeAt(ctx, voters, number); err == nil || !errors.Is(err, chain.ErrConflict) || number == 0 {
			return head, err
		}
		number--
	}
	return chain.Head{}, err
}

// heads collects the newest blocks of the first 2K-1 operators that have one to tell; the others are
// spares.
func (q *Quorum) heads(ctx context.Context, ask bool) (voters []voter, heads []chain.Head, errs []error) {
	ranked := q.ranked()
	seats := 2*q.cfg.K - 1
	for len(ranked) > 0 && len(voters) < seats {
		next := ranked[:min(len(ranked), seats-len(voters))]
		ranked = ranked[len(next):]
		for i, o := range each(next, func(v voter) (chain.Head, error) { return q.head(ctx, v, ask) }) {
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
func (q *Quorum) agreeAt(ctx context.Context, voters []voter, number uint64) (chain.Head, error) {
	type block struct {
		hash common.Hash
		time int64 // a block's hash covers its time, but not every backend that names the one need tell the other
	}
	count := map[block]int{}
	var errs []error
	for i, o := range each(voters, func(v voter) (chain.Head, error) { return v.BlockAt(ctx, number) }) {
		if o.err != nil {
			errs = append(errs, o.err)
			continue
		}
		same := block{o.head.Hash, o.head.Time.Unix()}
		if count[same]++; count[same] == q.cfg.K {
			return o.head, nil
		}
		errs = append(errs, &chain.BackendError{Backend: voters[i].Name(), Err: fmt.Errorf("has block %s", o.head.Hash.TerminalString())})
	}
	if len(count) > 1 {
		return chain.Head{}, fmt.Errorf("%w about block %d: %w", chain.ErrConflict, number, errors.Join(errs...))
	}
	return chain.Head{}, tooFew(fmt.Sprintf("block %d", number), len(count), q.cfg.K, errs)
}

type headOutcome struct {
	head chain.Head
	err  error
}

// each asks all voters at once; they are few (2K-1).
func each(voters []voter, ask func(voter) (chain.Head, error)) []headOutcome {
	out := make([]headOutcome, len(voters))
	done := make(chan struct{})
	for i, v := range voters {
		go func() {
			out[i].head, out[i].err = ask(v)
			done <- struct{}{}
		}()
	}
	for range voters {
		<-done
	}
	return out
}

// tooFew says that fewer than k operators answered, why, and whether that was for want of time.
func tooFew(what string, got, k int, errs []error) error {
	kind := chain.ErrUnavailable
	all := errors.Join(errs...)
	if errors.Is(all, chain.ErrTimeout) || errors.Is(all, context.DeadlineExceeded) {
		kind = chain.ErrTimeout
	}
	return fmt.Errorf("%w: %s: %d of %d operators needed answered: %w", kind, what, got, k, all)
}
