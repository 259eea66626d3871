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
// chain.ErrStaleHead, chain.ErrTimeout, chain.ErrUnavailable, or chain.ErrUnknownBlock when no backend has
// the block, each with a *chain.BackendError for every backend that was asked.
func (p *Pool) Call(ctx context.Context, call chain.Call) (chain.Result, error) {
	if len(call.Msgs) == 0 || len(call.Msgs) > chain.MaxMsgs {
		return chain.Result{}, fmt.Errorf("%w: %d messages in one call", chain.ErrLimit, len(call.Msgs))
	}
	ctx, cancel := p.bounded(ctx)
	defer cancel() // ends those that were overtaken
	r := race[chain.Result]{pool: p, ask: func(ctx context.Context, e *Endpoint) (chain.Result, error) {
		return p.attempt(ctx, e, call)
	}}
	return r.run(ctx)
}

// bounded ends with ctx, and after Timeout when that has no deadline.
func (p *Pool) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, p.cfg.Timeout)
}

// standing is what ranks an endpoint; less is better.
type standing struct {
	e     *Endpoint
	class int // the worst of what speaks against it, as below
	head  uint64
	score time.Duration
}

// What speaks against an endpoint. Each counts more than all before it together.
const (
	isBusy    = 1 << iota // our own rate limit would hold a request up
	isLagging             // behind the others
	isDemoted             // an answer of it did not prove what was asked for
	isBlocked             // out of use
)

// ranked lists the endpoints, best first, and the second of another operator than the first if possible.
func (p *Pool) ranked() []*Endpoint {
	now := time.Now()
	ranks := make([]standing, len(p.endpoints))
	heads := make([]uint64, 0, len(p.endpoints))
	for i, e := range p.endpoints {
		head, _ := e.Head()
		ranks[i] = standing{e: e, head: head.Number, score: e.health.score(now)}
		if e.limiter.Tokens() < 1 {
			ranks[i].class |= isBusy
		}
		if e.health.demotion(now) > 0 {
			ranks[i].class |= isDemoted
		}
		if wait, broken := e.health.blocked(now); broken || wait > 0 {
			ranks[i].class |= isBlocked
		} else {
			heads = append(heads, head.Number)
		}
	}
	best := level(heads)
	for i := range ranks {
		if ranks[i].head+lagBound < best {
			ranks[i].class |= isLagging
		}
	}
	slices.SortStableFunc(ranks, func(a, b standing) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.score, b.score))
	})
	// The other operator's may be behind or busy, but none that is known to be worse than that.
	for i := 1; i < len(ranks); i++ {
		if ranks[i].e.Operator() != ranks[0].e.Operator() && ranks[i].class < max(isDemoted, ranks[0].class+1) {
			other := ranks[i]
			copy(ranks[2:i+1], ranks[1:i])
			ranks[1] = other
			break
		}
	}
	out := make([]*Endpoint, len(ranks))
	for i := range ranks {
		out[i] = ranks[i].e
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
	return p.newest(ctx, e, maxAge)
}

// newest is an endpoint's newest block, confirmed within maxAge, unless it is too old to be of use.
func (p *Pool) newest(ctx context.Context, e *Endpoint, maxAge time.Duration) (chain.Head, error) {
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
