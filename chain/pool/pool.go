// Package pool speaks JSON-RPC with Ethereum nodes. An Endpoint is one backend with its health, its head
// and its limits; a Pool is a chain.Caller over several of them that believes any one (chain.Single).
//
// Nothing that a backend sends is trusted to be small, quick, well-formed, or an answer to what was asked,
// and URLs, which may hold API keys, are in no error, log line or status.
package pool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"dens/chain"
)

// Bounds of hedging: how long a backend may take before the next is asked too.
const (
	hedgeLeast   = 50 * time.Millisecond
	hedgeMost    = 2 * time.Second
	hedgeUnknown = 300 * time.Millisecond // of a backend that has no history
	maxPending   = 3                      // backends asked at the same time for one Call
	lagBound     = 2                      // blocks behind the best that still count as level with it
)

// Pool is a chain.Caller over several Endpoints of one chain, which it owns. The best one is asked; a
// second one, of another operator if possible, is asked too when the first takes longer than it mostly
// does; the next when one fails.
type Pool struct {
	cfg       Config
	endpoints []*Endpoint

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // requests under way; none begins once closed
}

// New checks the configuration and starts to follow all endpoints. It does not wait for them: see Ready.
func New(cfg Config) (*Pool, error) {
	if len(cfg.Endpoints) == 0 {
		return nil, errors.New("no endpoints given")
	}
	p := &Pool{cfg: cfg.withDefaults()}
	names := make(map[string]bool, len(cfg.Endpoints))
	for i, ec := range cfg.Endpoints {
		if ec.Log == nil {
			ec.Log = p.cfg.Log
		}
		if ec.Name == "" {
			if addr, err := parseAddress(ec.URL); err == nil {
				ec.Name = addr.name()
			}
		}
		ec.Name = unique(ec.Name, names)
		e, err := NewEndpoint(ec)
		if err != nil {
			p.Close()
			return nil, fmt.Errorf("endpoint %d: %w", i+1, err)
		}
		p.endpoints = append(p.endpoints, e)
	}
	return p, nil
}

func unique(name string, taken map[string]bool) string {
	out := name
	for i := 2; taken[out]; i++ {
		out = fmt.Sprintf("%s#%d", name, i)
	}
	taken[out] = true
	return out
}

// Close closes all endpoints, which ends the Calls under way, and waits for those.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	var closing sync.WaitGroup
	for _, e := range p.endpoints {
		closing.Go(e.Close)
	}
	closing.Wait()
	p.calls.Wait()
}

// Endpoints returns the endpoints in the configuration's order. They end with the Pool.
func (p *Pool) Endpoints() []*Endpoint { return slices.Clone(p.endpoints) }

// Ready says whether a Call has a chance now: some endpoint is usable and its head is known and, if that
// matters, young enough.
func (p *Pool) Ready() bool {
	for _, e := range p.endpoints {
		if head, seen := e.Head(); !seen.IsZero() && e.Usable() && p.young(head) {
			return true
		}
	}
	return false
}

// Status returns a snapshot of each endpoint, in the configuration's order, with Lag.
func (p *Pool) Status() []Status {
	out := make([]Status, len(p.endpoints))
	var heads []uint64
	for i, e := range p.endpoints {
		out[i] = e.Status()
		if out[i].ChainID == e.cfg.ChainID && out[i].State == Closed {
			heads = append(heads, out[i].Head.Number)
		}
	}
	best := level(heads)
	for i := range out {
		if !out[i].Head.Time.IsZero() && best > out[i].Head.Number {
			out[i].Lag = best - out[i].Head.Number
		}
	}
	return out
}

func (p *Pool) young(head chain.Head) bool {
	return p.cfg.MaxHeadAge <= 0 || time.Since(head.Time) <= p.cfg.MaxHeadAge
}

// Call implements chain.Caller with trust chain.Single. Without call.At it is made at the newest block of
// the backend that answers. Errors are chain.ErrLimit for a Call of the wrong size, else
// chain.ErrStaleHead, chain.ErrTimeout or chain.ErrUnavailable, each with a *chain.BackendError for every
// backend that was asked.
func (p *Pool) Call(ctx context.Context, call chain.Call) (chain.Result, error) {
	if len(call.Msgs) == 0 || len(call.Msgs) > chain.MaxMsgs {
		return chain.Result{}, fmt.Errorf("%w: %d messages in one call", chain.ErrLimit, len(call.Msgs))
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.cfg.Timeout)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends those that were overtaken
	r := race{pool: p, call: call, left: p.ranked(), results: make(chan outcome, len(p.endpoints))}
	return r.run(ctx)
}

// ranked lists the endpoints, best first, and the second of another operator than the first if possible.
func (p *Pool) ranked() []*Endpoint {
	type rank struct {
		e       *Endpoint
		blocked bool
		head    uint64
		lags    bool
		busy    bool
		score   time.Duration
	}
	now := time.Now()
	ranks := make([]rank, len(p.endpoints))
	var heads []uint64
	for i, e := range p.endpoints {
		wait, broken := e.health.blocked(now)
		head, _ := e.Head()
		ranks[i] = rank{e: e, blocked: broken || wait > 0, head: head.Number, score: e.health.score(now),
			busy: e.limiter.Tokens() < 1}
		if !ranks[i].blocked {
			heads = append(heads, head.Number)
		}
	}
	best := level(heads)
	for i := range ranks {
		ranks[i].lags = ranks[i].head+lagBound < best
	}
	slices.SortStableFunc(ranks, func(a, b rank) int {
		return cmp.Or(order(a.blocked, b.blocked), order(a.lags, b.lags), order(a.busy, b.busy),
			cmp.Compare(a.score, b.score))
	})
	out := make([]*Endpoint, len(ranks))
	for i := range ranks {
		out[i] = ranks[i].e
	}
	for i := 1; i < len(out); i++ {
		if out[i].Operator() != out[0].Operator() && !ranks[i].blocked {
			other := out[i]
			copy(out[2:i+1], out[1:i])
			out[1] = other
			break
		}
	}
	return out
}

// level is the block that backends are expected to know: the newest that two of them tell, so that one
// who invents blocks does not make all others laggards. Of two alone, nobody can say which is right.
func level(heads []uint64) uint64 {
	slices.Sort(heads)
	switch n := len(heads); {
	case n == 0:
		return 0
	case n < 3:
		return heads[n-1]
	default:
		return heads[n-2]
	}
}

// order puts false first.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// race is one Call on its way through the endpoints.
type race struct {
	pool    *Pool
	call    chain.Call
	left    []*Endpoint // not asked yet
	results chan outcome
	pending int
	failed  []error
}

type outcome struct {
	result chain.Result
	err    error
}

func (r *race) run(ctx context.Context) (chain.Result, error) {
	timer := time.NewTimer(hedgeMost)
	defer timer.Stop()
	r.start(ctx, timer)
	for r.pending > 0 {
		select {
		case o := <-r.results:
			r.pending--
			if o.err == nil {
				return o.result, nil
			}
			r.failed = append(r.failed, o.err)
			r.start(ctx, timer)
		case <-timer.C:
			if r.pending < maxPending {
				r.start(ctx, timer)
			}
		case <-ctx.Done():
			r.failed = append(r.failed, &failure{kind: kindOf(ctx.Err()), text: fmt.Sprintf("%d backends have not answered", r.pending)})
			return chain.Result{}, r.verdict()
		}
	}
	return chain.Result{}, r.verdict()
}

// start asks the next endpoint, if there is one, and sets the timer for the one after.
func (r *race) start(ctx context.Context, timer *time.Timer) {
	if len(r.left) == 0 || ctx.Err() != nil {
		return
	}
	e := r.left[0]
	r.left = r.left[1:]
	r.pending++
	timer.Reset(hedgeAfter(e))
	r.pool.begin(func() {
		result, err := r.pool.attempt(ctx, e, r.call)
		r.results <- outcome{result: result, err: err}
	}, func() {
		r.results <- outcome{err: e.named(&failure{kind: chain.ErrUnavailable, text: "closed"})}
	})
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

func hedgeAfter(e *Endpoint) time.Duration {
	_, p95 := e.health.times()
	if p95 == 0 {
		p95 = hedgeUnknown
	}
	return min(max(p95, hedgeLeast), hedgeMost)
}

// attempt makes the call at one endpoint. Some providers stand in front of several nodes, so a block that
// is unknown right after it was announced is tried once more with what is then the newest.
func (p *Pool) attempt(ctx context.Context, e *Endpoint, call chain.Call) (chain.Result, error) {
	maxAge := e.fresh()
	for try := 0; ; try++ {
		head, err := p.pin(ctx, e, call, maxAge)
		if err != nil {
			return chain.Result{}, err
		}
		outputs, err := e.CallAt(ctx, call.Msgs, head)
		if err == nil {
			return chain.Result{Outputs: outputs, Head: head, Trust: chain.Single, Backends: []string{e.Operator()}}, nil
		}
		if call.At != nil || try > 0 || !errors.Is(err, chain.ErrUnknownBlock) {
			return chain.Result{}, err
		}
		maxAge = 0
	}
}

// pin is the block that a call is made at.
func (p *Pool) pin(ctx context.Context, e *Endpoint, call chain.Call, maxAge time.Duration) (chain.Head, error) {
	if call.At != nil {
		return *call.At, nil
	}
	head, err := e.Latest(ctx, maxAge)
	if err != nil {
		return chain.Head{}, err
	}
	if p.young(head) {
		return head, nil
	}
	// What the background knows may have aged with it.
	if head, err = e.Latest(ctx, e.cfg.BlockInterval/4); err != nil {
		return chain.Head{}, err
	}
	if !p.young(head) {
		age := time.Since(head.Time).Round(time.Second)
		return chain.Head{}, e.named(&failure{kind: chain.ErrStaleHead, text: fmt.Sprintf("newest block %d is %s old", head.Number, age)})
	}
	return head, nil
}

// verdict is the error of a Call that nobody answered.
func (r *race) verdict() error {
	kind := chain.ErrUnavailable
	stale, late := 0, 0
	for _, err := range r.failed {
		switch {
		case errors.Is(err, chain.ErrStaleHead):
			stale++
		case errors.Is(err, chain.ErrTimeout):
			late++
		}
	}
	if stale > 0 {
		kind = chain.ErrStaleHead
	} else if late > 0 {
		kind = chain.ErrTimeout
	}
	return &verdict{kind: kind, each: r.failed}
}

// verdict is an error of a Call as a whole, with what each backend said.
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
