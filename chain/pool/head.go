package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"dens/chain"
)

// Head returns the newest block that the backend told, and when it last confirmed it; zero times mean
// that none is known. It asks nobody.
func (e *Endpoint) Head() (head chain.Head, seen time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ring.head, e.ring.seen
}

// Watch makes every new head send to c, without waiting for a receiver.
func (e *Endpoint) Watch(c chan<- struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watchers = append(e.watchers, c)
}

// Unwatch ends what Watch began.
func (e *Endpoint) Unwatch(c chan<- struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watchers = slices.DeleteFunc(e.watchers, func(o chan<- struct{}) bool { return o == c })
}

// Latest returns the newest block, and asks for it if the backend confirmed none for maxAge. Concurrent
// callers share one request.
func (e *Endpoint) Latest(ctx context.Context, maxAge time.Duration) (chain.Head, error) {
	if head, seen := e.Head(); !seen.IsZero() && time.Since(seen) <= maxAge {
		return head, nil
	}
	shared := e.flight.DoChan("head", func() (any, error) {
		return nil, e.fetch(e.ctx, forHead)
	})
	select {
	case r := <-shared:
		if r.Err != nil {
			return chain.Head{}, e.named(r.Err)
		}
		head, _ := e.Head()
		return head, nil
	case <-ctx.Done():
		return chain.Head{}, e.named(&failure{kind: chain.ErrTimeout, text: "no block in time"})
	}
}

// fresh is how old a confirmation of the head may be before a call asks again. A subscription is
// watched by the background.
func (e *Endpoint) fresh() time.Duration {
	if Support(e.subscribe.Load()) == Yes {
		return 4 * e.cfg.BlockInterval
	}
	return e.cfg.BlockInterval + e.cfg.BlockInterval/2
}

// BlockAt returns the backend's block of that number, from memory if possible. chain.ErrUnknownBlock
// means that there is none.
func (e *Endpoint) BlockAt(ctx context.Context, number uint64) (chain.Head, error) {
	e.mu.Lock()
	block, ok := e.ring.at(number)
	under := e.ring.head
	e.mu.Unlock()
	if ok && !block.Time.IsZero() { // of a parent, only the hash was told
		return block, nil
	}
	type found struct{ block chain.Head }
	shared := e.flight.DoChan("block "+strconv.FormatUint(number, 10), func() (any, error) {
		b, _, err := e.block(e.ctx, hexutil.EncodeUint64(number), forHead)
		if err != nil {
			return nil, err
		}
		if b.Number != number {
			return nil, e.fail(nil, fmt.Errorf("%w: a block of another number", chain.ErrMalformed), false)
		}
		e.mu.Lock()
		e.ring.add(b, under)
		e.mu.Unlock()
		return found{b}, nil
	})
	select {
	case r := <-shared:
		if r.Err != nil {
			return chain.Head{}, e.named(r.Err)
		}
		return r.Val.(found).block, nil
	case <-ctx.Done():
		return chain.Head{}, e.named(&failure{kind: chain.ErrTimeout, text: "no block in time"})
	}
}

// block asks for one block by number or tag.
func (e *Endpoint) block(ctx context.Context, which string, why purpose) (chain.Head, common.Hash, error) {
	var answer *rpcBlock
	elem := []rpc.BatchElem{{Method: "eth_getBlockByNumber", Args: []any{which, false}, Result: &answer}}
	if err := e.send(ctx, elem, false, why); err != nil {
		return chain.Head{}, common.Hash{}, err
	}
	if err := elem[0].Error; err != nil {
		return chain.Head{}, common.Hash{}, e.fail(nil, err, false)
	}
	if answer == nil {
		return chain.Head{}, common.Hash{}, &failure{kind: chain.ErrUnknownBlock, text: chain.ErrUnknownBlock.Error()}
	}
	head, parent, err := answer.decode()
	if err != nil {
		return chain.Head{}, common.Hash{}, e.fail(nil, err, false)
	}
	return head, parent, nil
}

// fetch asks for the newest block and remembers it.
func (e *Endpoint) fetch(ctx context.Context, why purpose) error {
	head, parent, err := e.block(ctx, "latest", why)
	if err != nil {
		return err
	}
	e.learn(head, parent)
	return nil
}

// learn remembers a head and tells those who watch.
func (e *Endpoint) learn(head chain.Head, parent common.Hash) {
	e.mu.Lock()
	changed := e.ring.push(head, parent, time.Now())
	var watchers []chan<- struct{}
	if changed {
		watchers = slices.Clone(e.watchers)
	}
	e.mu.Unlock()
	for _, c := range watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Touch notes that a look-up uses the backend; the first one after a pause ends the slow polling. All
// methods that serve a look-up do so themselves, but not those that tell of blocks.
func (e *Endpoint) Touch() {
	now := time.Now()
	if last := time.Unix(0, e.lastCall.Swap(now.UnixNano())); now.Sub(last) > e.cfg.IdleAfter {
		e.nudge()
	}
}

// interval is how long to wait before the next poll; after one that failed, the next is to tell soon
// whether the backend is gone.
func (e *Endpoint) interval(failed bool) time.Duration {
	every := e.cfg.BlockInterval
	if time.Since(time.Unix(0, e.lastCall.Load())) > e.cfg.IdleAfter {
		every = e.cfg.IdlePoll
	}
	if failed {
		every = min(every, backoffFirst)
	}
	every = time.Duration(float64(every) * (0.9 + 0.2*e.cfg.chance()))
	if wait, _ := e.health.blocked(time.Now()); wait > every {
		return wait
	}
	return every
}

// follow keeps up with the head until the link is lost or the circuit opens.
func (e *Endpoint) follow() {
	if e.addr.transport != transportHTTP {
		if e.followStream() {
			return
		}
	}
	last, failed := time.Now(), false
	for e.following() {
		if wait := e.interval(failed) - time.Since(last); wait > 0 {
			e.pause(wait)
			continue
		}
		last = time.Now()
		failed = e.fetch(e.ctx, forHead) != nil // recorded where it happened; following tells what came of it
	}
}

// following says whether there is still a backend to follow.
func (e *Endpoint) following() bool {
	if e.ctx.Err() != nil {
		return false
	}
	_, broken := e.health.blocked(time.Now())
	return !broken && e.current() != nil
}

// followStream takes heads from a subscription. It returns false when the backend offers none.
func (e *Endpoint) followStream() bool {
	l := e.current()
	if l == nil {
		return true
	}
	heads := make(chan rpcBlock, 64)
	ctx, cancel := context.WithTimeout(e.ctx, e.cfg.Timeout)
	sub, err := l.client.EthSubscribe(ctx, heads, "newHeads")
	cancel()
	if err != nil {
		var answered rpc.Error
		if errors.As(err, &answered) {
			e.subscribe.Store(int32(No))
			return false
		}
		e.unlink(l)
		if e.ctx.Err() == nil {
			e.fail(nil, err, false)
		}
		return true
	}
	defer sub.Unsubscribe()
	defer e.unlink(l) // first, or a backend that hangs would hold up Unsubscribe
	e.subscribe.Store(int32(Yes))
	for e.following() {
		watchdog := time.NewTimer(3 * e.interval(false)) // a chain that stands still, or a dead subscription?
		select {
		case b := <-heads:
			e.announced(l, b)
		case <-watchdog.C:
			_ = e.fetch(e.ctx, forHead) // one that is not answered in time ends the link
		case <-sub.Err():
			e.unlink(l)
		case <-e.wake:
		case <-e.ctx.Done():
		}
		watchdog.Stop()
	}
	return true
}

// announced takes a head from a subscription.
func (e *Endpoint) announced(l *link, b rpcBlock) {
	head, parent, err := b.decode()
	if err != nil {
		e.unlink(l)
		e.fail(nil, err, false)
		return
	}
	e.learn(head, parent)
}
