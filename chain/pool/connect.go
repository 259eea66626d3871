package pool

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ethereum/go-ethereum/rpc"

	"dens/chain"
)

// linked returns a link whose chain id was checked, and makes one if there is none. One caller makes it
// while others wait.
func (e *Endpoint) linked(ctx context.Context, why purpose) (*link, error) {
	if l := e.current(); l != nil {
		return l, nil
	}
	select {
	case e.dialing <- struct{}{}:
		defer func() { <-e.dialing }()
	case <-ctx.Done():
		return nil, &failure{kind: chain.ErrTimeout, text: "no connection in time"}
	}
	if l := e.current(); l != nil {
		return l, nil
	}
	if why != forProbe {
		if _, broken := e.health.blocked(time.Now()); broken { // it broke for the one who was before us
			return nil, e.brokenError()
		}
	}
	l, err := e.dial(ctx)
	if err != nil {
		return nil, e.fail(nil, err, why == forCall)
	}
	if err := e.verify(ctx, l); err != nil {
		l.close()
		return nil, e.connectFailed(ctx, err, why)
	}
	if !e.keep(l) {
		l.close()
		return nil, &failure{kind: chain.ErrUnavailable, text: "closed"}
	}
	return l, nil
}

// connectFailed records why a link is of no use. The wrong chain puts the backend out of use at once.
func (e *Endpoint) connectFailed(ctx context.Context, err error, why purpose) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return &failure{kind: chain.ErrTimeout, text: "cancelled"}
	}
	safe := e.fail(nil, err, why == forCall)
	if why != forProbe && errors.Is(safe, chain.ErrWrongChain) { // a probe ends in probed anyway
		now := time.Now()
		if opened, _ := e.health.probed(false, now, now); opened {
			e.opened(safe)
		}
	}
	return safe
}

// current returns the link in use, or nil when there is none or it broke.
func (e *Endpoint) current() *link {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.link == nil || e.link.isLost() {
		return nil
	}
	return e.link
}

// keep makes l the link in use, unless the Endpoint was closed.
func (e *Endpoint) keep(l *link) bool {
	e.mu.Lock()
	old := e.link
	ok := e.ctx.Err() == nil
	if ok {
		e.link = l
	}
	e.mu.Unlock()
	if ok && old != nil {
		old.close()
	}
	return ok
}

// unlink closes the link in use if it is l, or whatever it is when l is nil.
func (e *Endpoint) unlink(l *link) {
	e.mu.Lock()
	old := e.link
	if old == nil || l != nil && old != l {
		e.mu.Unlock()
		return
	}
	e.link = nil
	e.mu.Unlock()
	old.close()
	e.nudge()
}

func (e *Endpoint) dial(ctx context.Context) (*link, error) {
	switch e.addr.transport {
	case transportHTTP:
		return dialHTTP(ctx, e.addr, e.cfg)
	case transportWS:
		return dialWS(ctx, e.addr, e.cfg)
	default:
		return dialIPC(ctx, e.addr, e.cfg)
	}
}

// verify asks for the chain id (EIP-695) before anything else is believed.
func (e *Endpoint) verify(ctx context.Context, l *link) error {
	var text string
	elem := []rpc.BatchElem{{Method: "eth_chainId", Result: &text}}
	start := time.Now()
	if err := do(ctx, l.client, elem, false); err != nil {
		return err
	}
	if elem[0].Error != nil {
		return elem[0].Error
	}
	id, err := decodeNumber(text)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.chainID = id
	e.mu.Unlock()
	if id != e.cfg.ChainID {
		return wrongChain(id, e.cfg.ChainID)
	}
	e.health.succeeded(time.Since(start), false)
	return nil
}

// run is the background: connect, follow, and probe when something broke, until Close.
func (e *Endpoint) run() {
	defer close(e.done)
	for e.ctx.Err() == nil {
		if wait, due := e.health.probing(time.Now()); !due {
			e.pause(wait)
			continue
		}
		if !e.probe() {
			continue
		}
		began := time.Now()
		e.follow()
		if wait := backoffFirst - time.Since(began); wait > 0 { // it takes connections to drop them
			e.rest(wait)
		}
	}
}

// probe connects and asks for the head. It says whether the backend is in use now.
func (e *Endpoint) probe() bool {
	began := time.Now()
	ctx, cancel := context.WithTimeout(e.ctx, min(probeTimeout, e.cfg.Timeout))
	defer cancel()
	err := e.fetch(ctx, forProbe)
	if errors.Is(err, errRateLimited) {
		e.health.postponed()
		return false
	}
	if e.ctx.Err() != nil {
		return false
	}
	opened, closed := e.health.probed(err == nil, time.Now(), began)
	switch {
	case opened:
		e.opened(err)
	case closed:
		e.cfg.Log.Info("backend is in use again", slog.String("backend", e.cfg.Name), slog.String("operator", e.cfg.Operator))
	}
	if err != nil {
		e.unlink(nil) // the next probe is to look at the chain id again
	}
	return err == nil
}

// pause waits for d, a nudge, or Close. A nudge does not cut a back-off short: run asks again.
func (e *Endpoint) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.wake:
	case <-e.ctx.Done():
	}
}

// rest waits for d or Close.
func (e *Endpoint) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.ctx.Done():
	}
}
