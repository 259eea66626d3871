package pool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
	"golang.org/x/sync/errgroup"
)

// Support says whether a backend was seen to do something.
type Support int32

const (
	// Unknown means that it was not tried.
	Unknown Support = iota
	// Yes means that it does.
	Yes
	// No means that it refuses.
	No
)

// String returns the word that people use.
func (s Support) String() string {
	switch s {
	case Yes:
		return "yes"
	case No:
		return "no"
	default:
		return "unknown"
	}
}

const (
	batchRetry     = 10 * time.Minute // until a backend that refused batches is tried again
	singlesAtATime = 8                // parallel calls that stand in for a batch
)

// batchSupport remembers whether a backend takes JSON-RPC batches.
type batchSupport struct {
	mu      sync.Mutex
	state   Support
	retryAt time.Time
}

func (b *batchSupport) set(s Support, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state = s
	if s == No {
		b.retryAt = now.Add(batchRetry)
	}
}

func (b *batchSupport) get() Support {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// worth says whether to try a batch; of those who come when a retry is due, one does.
func (b *batchSupport) worth(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != No {
		return true
	}
	if now.Before(b.retryAt) {
		return false
	}
	b.retryAt = now.Add(batchRetry)
	return true
}

// exchange makes several requests, in a JSON-RPC batch or, where the backend refuses that, one by one and
// some at a time. Each that was answered is given to take with its index, by several goroutines; an error
// of take ends it all.
func (e *Endpoint) exchange(ctx context.Context, elems []rpc.BatchElem, why purpose, take func(int, *rpc.BatchElem) error) error {
	if len(elems) == 1 || e.cfg.NoBatch || !e.batches.worth(time.Now()) {
		return e.singles(ctx, elems, why, take)
	}
	err := e.batch(ctx, elems, why, take)
	if !errors.Is(err, errBatchRefused) {
		if err == nil {
			e.batches.set(Yes, time.Now())
		}
		return err
	}
	if errors.Is(e.addr.explain(err), errRateLimited) {
		return e.fail(nil, err, why == forCall)
	}
	if err := e.singles(ctx, elems, why, take); err != nil {
		// Not the batch was the trouble, or not it alone.
		return err
	}
	e.batches.set(No, time.Now())
	return nil
}

func (e *Endpoint) batch(ctx context.Context, elems []rpc.BatchElem, why purpose, take func(int, *rpc.BatchElem) error) error {
	if err := e.send(ctx, elems, true, why); err != nil {
		return err
	}
	for i := range elems {
		if errors.Is(elems[i].Error, rpc.ErrMissingBatchResponse) { // over streams; over HTTP checkReply finds it
			return fmt.Errorf("%w: an answer is missing", errBatchRefused)
		}
	}
	for i := range elems {
		if err := take(i, &elems[i]); err != nil {
			return err
		}
	}
	return nil
}

func (e *Endpoint) singles(ctx context.Context, elems []rpc.BatchElem, why purpose, take func(int, *rpc.BatchElem) error) error {
	if len(elems) == 1 {
		return e.single(ctx, elems[0], why, func(elem *rpc.BatchElem) error { return take(0, elem) })
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(singlesAtATime)
	for i, elem := range elems {
		group.Go(func() error {
			return e.single(ctx, elem, why, func(elem *rpc.BatchElem) error { return take(i, elem) })
		})
	}
	return group.Wait()
}

// single makes one request anew: what a batch that was refused may have left in elem is forgotten.
func (e *Endpoint) single(ctx context.Context, elem rpc.BatchElem, why purpose, take func(*rpc.BatchElem) error) error {
	one := []rpc.BatchElem{{Method: elem.Method, Args: elem.Args, Result: new(json.RawMessage)}}
	if err := e.send(ctx, one, false, why); err != nil {
		return err
	}
	return take(&one[0])
}
