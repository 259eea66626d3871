package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"dens/chain"
)

// maxInFlight bounds the requests to one backend at a time; more wait their turn.
const maxInFlight = 64

// leastBlame is how long a backend had at least when no answer counts as its failure: the caller may have
// come with next to no time left.
const leastBlame = time.Second

// Endpoint is one RPC backend. It follows the backend's head and its health in the background from New
// to Close, on one goroutine of its own besides those of a connection. All methods are safe for
// concurrent use; after Close they fail.
type Endpoint struct {
	cfg     EndpointConfig
	addr    address
	limiter *rate.Limiter
	health  health
	slots   chan struct{} // a token for each request in flight
	flight  singleflight.Group
	batches batchSupport

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{} // the background loop is to look again

	dialing   chan struct{} // a lock that a context can give up waiting for; guards making a link
	lastCall  atomic.Int64  // Unix nanoseconds; 0 is never
	subscribe atomic.Int32  // support, as in Support

	mu       sync.Mutex
	link     *link // its chain id was right
	chainID  uint64
	ring     ring
	watchers []chan<- struct{}
}

// NewEndpoint checks the configuration and starts to follow the backend. Errors do not repeat the URL.
func NewEndpoint(cfg EndpointConfig) (*Endpoint, error) {
	addr, err := parseAddress(cfg.URL)
	if err != nil {
		return nil, err
	}
	if cfg.ChainID == 0 {
		return nil, errors.New("no chain id given")
	}
	if cfg.HideHost {
		if cfg.Name == "" || cfg.Operator == "" {
			return nil, errors.New("no name and operator given for a hidden host")
		}
		addr.hideHost()
	}
	cfg = cfg.withDefaults()
	if cfg.Name == "" {
		cfg.Name = addr.name()
	}
	if cfg.Operator == "" {
		cfg.Operator = addr.operator()
	}
	e := &Endpoint{
		cfg: cfg, addr: addr, limiter: rate.NewLimiter(rate.Inf, 0),
		slots: make(chan struct{}, maxInFlight), done: make(chan struct{}), wake: make(chan struct{}, 1),
		dialing: make(chan struct{}, 1),
	}
	if cfg.Rate > 0 {
		e.limiter = rate.NewLimiter(rate.Limit(cfg.Rate), max(int(cfg.Rate), 1))
	}
	e.health.chance = cfg.chance
	e.ctx, e.cancel = context.WithCancel(context.Background())
	go e.run()
	return e, nil
}

// Close ends all requests and the background work, and waits for the latter.
func (e *Endpoint) Close() {
	e.cancel()
	<-e.done
	e.unlink(nil)
}

// Name is what people see; never the URL.
func (e *Endpoint) Name() string { return e.cfg.Name }

// Operator is who runs the backend.
func (e *Endpoint) Operator() string { return e.cfg.Operator }

// Latency returns the 95th percentile of the last requests, zero if unknown, and a typical latency that
// is made longer by calls that failed lately: it ranks backends. Status has the plain figures.
func (e *Endpoint) Latency() (typical, p95 time.Duration) {
	_, p95 = e.health.times()
	return e.health.score(time.Now()), p95
}

// Usable says whether requests are sent now: the circuit is closed and the backend wants them.
func (e *Endpoint) Usable() bool {
	wait, broken := e.health.blocked(time.Now())
	return wait <= 0 && !broken
}

// named wraps an error for the outside.
func (e *Endpoint) named(err error) error {
	var b *chain.BackendError
	if err == nil || errors.As(err, &b) {
		return err
	}
	return &chain.BackendError{Backend: e.cfg.Name, Err: err}
}

// purpose says what a request is for.
type purpose uint8

const (
	forHead  purpose = iota // following the chain
	forCall                 // a look-up waits for it
	forProbe                // sent although the circuit is open
)

// send makes one request of elems: a batch if there are several or if batch is set. It waits for the
// rate limit, a slot and a link with the right chain id. The error, if any, is safe to show and is one of
// the backend as a whole; errors of single elements are in elems.
func (e *Endpoint) send(ctx context.Context, elems []rpc.BatchElem, batch bool, why purpose) error {
	ctx, cancel := e.bounded(ctx)
	defer cancel()
	if err := e.admit(ctx, why); err != nil {
		return err
	}
	defer func() { <-e.slots }()
	l, err := e.linked(ctx, why)
	if err != nil {
		return err // already recorded
	}
	start := time.Now()
	err = l.do(ctx, elems, batch)
	if err != nil && batch && l.refused != nil && l.refused() {
		err = fmt.Errorf("%w: an error that names no request", errBatchRefused)
	}
	return e.record(ctx, l, err, time.Since(start), why)
}

// bounded ends with ctx, with Close, and after Timeout.
func (e *Endpoint) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	stop := context.AfterFunc(e.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// admit waits for the rate limit and a slot; on success the caller gives the slot back.
func (e *Endpoint) admit(ctx context.Context, why purpose) error {
	if wait, broken := e.health.blocked(time.Now()); why != forProbe && broken {
		return e.brokenError()
	} else if !broken && wait > 0 {
		return &failure{kind: errRateLimited, text: fmt.Sprintf("rate limited for %s", wait.Round(100*time.Millisecond))}
	}
	if err := e.limiter.Wait(ctx); ctx.Err() != nil {
		return &failure{kind: kindOf(ctx.Err()), text: "no time left"}
	} else if err != nil {
		return &failure{kind: errRateLimited, text: "rate limit of the configuration reached"}
	}
	select {
	case e.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &failure{kind: kindOf(ctx.Err()), text: "too many requests in flight"}
	}
}

// brokenError repeats why the circuit is open.
func (e *Endpoint) brokenError() error {
	e.health.mu.Lock()
	last := e.health.last
	e.health.mu.Unlock()
	if last == nil {
		return &failure{kind: chain.ErrUnavailable, text: "out of use"}
	}
	return &failure{kind: errors.Unwrap(last), text: "out of use: " + last.Error()}
}

// lostGrace is how long a request may outlive its stream: mostly the client ends it by itself, and says why.
const lostGrace = 20 * time.Millisecond

// do makes one request. The RPC client never ends one whose answer breaks the stream before the client has
// noted that the request is out, so that a lost stream ends it here.
func (l *link) do(ctx context.Context, elems []rpc.BatchElem, batch bool) error {
	if l.lost == nil {
		return do(ctx, l.client, elems, batch)
	}
	bounded, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-l.lost:
			time.AfterFunc(lostGrace, cancel)
		case <-bounded.Done():
		}
	}()
	err := do(bounded, l.client, elems, batch)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

func do(ctx context.Context, c *rpc.Client, elems []rpc.BatchElem, batch bool) error {
	if batch || len(elems) > 1 {
		return c.BatchCallContext(ctx, elems)
	}
	err := c.CallContext(ctx, elems[0].Result, elems[0].Method, elems[0].Args...)
	var answered rpc.Error
	if errors.As(err, &answered) {
		elems[0].Error, err = err, nil
	}
	return err
}

// record keeps the books about one request and makes its error safe.
func (e *Endpoint) record(ctx context.Context, l *link, err error, took time.Duration, why purpose) error {
	call := why == forCall
	switch {
	case err == nil:
		e.health.succeeded(took, call)
		return nil
	case errors.Is(err, errBatchRefused):
		return err // the caller goes on from there; what it tries next is recorded in turn
	case errors.Is(ctx.Err(), context.Canceled):
		e.health.tooSlow(took)
		return &failure{kind: chain.ErrTimeout, text: "cancelled"}
	case call && took < leastBlame && errors.Is(err, context.DeadlineExceeded):
		e.health.tooSlow(took)
		return &failure{kind: chain.ErrTimeout, text: "no answer in the time that was left"}
	case call && errors.Is(err, errTooLong): // a contract can bring it about, see outputError
		safe := e.addr.explain(err)
		e.health.refused(safe, true)
		return safe
	}
	return e.fail(l, err, call)
}

// fail records an error of the backend and returns it in words that are safe to show.
func (e *Endpoint) fail(l *link, err error, call bool) error {
	safe := e.addr.explain(err)
	if errors.Is(safe, errRateLimited) {
		e.health.limit(retryAfterOf(err), safe, time.Now())
		return safe
	}
	if !call && l != nil && l.lost != nil && errors.Is(safe, chain.ErrTimeout) {
		// A stream that does not answer may be half dead without knowing.
		e.unlink(l)
	}
	if e.health.failed(safe, call, time.Now()) {
		e.opened(safe)
	}
	return safe
}

func retryAfterOf(err error) time.Duration {
	var status *statusError
	if errors.As(err, &status) {
		return status.retryAfter
	}
	return 0
}

// opened is called once each time that the circuit opens.
func (e *Endpoint) opened(err error) {
	e.broke()
	e.cfg.Log.Warn("backend is out of use", slog.String("backend", e.cfg.Name), slog.String("operator", e.cfg.Operator), slog.Any("error", err))
}

// broke ends what goes on with a backend that is out of use.
func (e *Endpoint) broke() {
	e.unlink(nil)
	e.nudge()
}

// nudge makes the background loop look again.
func (e *Endpoint) nudge() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}
