// Package quorum believes what k independent operators say alike about one block, and nobody alone.
//
// The block is agreed on first, in the background; then every call is pinned to its hash and goes to k
// operators at once. Their bytes are compared, revert data too. Who fails or abstains is replaced by a
// spare. Two that contradict each other end the call with chain.ErrConflict: never does the majority win
// in silence.
package quorum

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"dens/chain"
)

// Backend is one RPC endpoint. Its methods are safe for concurrent use; errors are safe to show.
type Backend interface {
	Name() string
	Operator() string // endpoints of one operator have one voice
	Usable() bool     // requests are worth sending now
	// Latency is a typical one and the 95th percentile of the last requests; zero is unknown. The typical
	// one ranks backends: failures lately make it longer.
	Latency() (typical, p95 time.Duration)
	// Head is the newest block known and when it was last confirmed. It asks nobody.
	Head() (head chain.Head, seen time.Time)
	// Latest is Head, asked for anew when it was confirmed longer ago than maxAge.
	Latest(ctx context.Context, maxAge time.Duration) (chain.Head, error)
	// BlockAt is the block of that number, from memory if possible.
	BlockAt(ctx context.Context, number uint64) (chain.Head, error)
	// CallAt executes msgs at head in one request.
	CallAt(ctx context.Context, msgs []chain.Msg, head chain.Head) ([]chain.Output, error)
	// Touch notes that a look-up needs the backend's heads: one that nobody needs may be followed slowly.
	Touch()
	// Watch has each new head send to c without waiting, until Unwatch.
	Watch(c chan<- struct{})
	Unwatch(c chan<- struct{})
}

// Config is what a Quorum is made of.
type Config struct {
	Backends []Backend
	// K is how many operators must say the same; at least 2. At most 2K-1 are heard for one call, so
	// that those who agree are a majority of them.
	K int
	// MaxHeadAge is how old the agreed block may be by its own timestamp and the local clock; 0 is off.
	MaxHeadAge time.Duration
	// Timeout bounds a Call whose context has no deadline.
	Timeout time.Duration // 5s
	// Fresh is how long an agreement on a block is used without asking whether there is a newer one.
	Fresh time.Duration // 18s
	// Demotion is how long an operator that was alone with what it said is asked last.
	Demotion time.Duration // 5m
	Log      *slog.Logger  // discards
}

func (c Config) withDefaults() Config {
	duration := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	duration(&c.Timeout, 5*time.Second)
	duration(&c.Fresh, 18*time.Second)
	duration(&c.Demotion, 5*time.Minute)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Quorum is a chain.Caller with trust chain.Quorum. It owns none of its Backends.
//
//	New -> following heads -> Close
type Quorum struct {
	cfg       Config
	operators []*operator
	ctx       context.Context // ends with Close
	cancel    context.CancelFunc
	running   sync.WaitGroup
	flight    singleflight.Group
	arbiter   sync.Mutex // held while a conflict is looked into

	mu     sync.Mutex // guards what follows
	closed bool
	agreed agreement
	at     time.Time // when agreed was found or confirmed
	cause  error     // why there is no agreement now; nil when there is
}

// New checks that there are enough operators and begins to follow their heads.
func New(cfg Config) (*Quorum, error) {
	q := &Quorum{cfg: cfg.withDefaults()}
	if cfg.K < 2 {
		return nil, fmt.Errorf("quorum: found %d, expected at least 2", cfg.K)
	}
	if q.operators = group(cfg.Backends); len(q.operators) < cfg.K {
		return nil, fmt.Errorf("quorum: %d operators are needed to agree, found %d", cfg.K, len(q.operators))
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	q.running.Go(q.follow)
	return q, nil
}

// Close ends the following and the Calls under way, and waits for them.
func (q *Quorum) Close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.cancel()
	q.running.Wait()
}

// begin notes a piece of work that Close waits for.
func (q *Quorum) begin() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.running.Add(1)
	}
	return !q.closed
}

// Call implements chain.Caller.
func (q *Quorum) Call(ctx context.Context, call chain.Call) (chain.Result, error) {
	if len(call.Msgs) == 0 || len(call.Msgs) > chain.MaxMsgs {
		return chain.Result{}, fmt.Errorf("%w: %d messages in one call", chain.ErrLimit, len(call.Msgs))
	}
	if !q.begin() {
		return chain.Result{}, fmt.Errorf("%w: closed", chain.ErrUnavailable)
	}
	defer q.running.Done()
	ctx, cancel := context.WithTimeout(ctx, q.cfg.Timeout)
	defer cancel() // ends the requests that were overtaken
	defer context.AfterFunc(q.ctx, cancel)()

	var head chain.Head
	if call.At != nil {
		head = *call.At
	} else {
		agreed, err := q.anchor(ctx)
		if err != nil {
			return chain.Result{}, err
		}
		head = agreed.head
	}
	b := newBallot(q, call.Msgs, head)
	result, err := b.run(ctx)
	if errors.Is(err, chain.ErrConflict) {
		q.cfg.Log.Warn("backends contradict each other", "error", err)
		q.arbitrate(b)
	}
	return result, err
}

// Status is a snapshot of a Quorum.
type Status struct {
	Head     chain.Head // the agreed block
	Vouchers []string   // operators that named it
	Age      time.Duration
	Reason   string   // why there is no agreement; "" when there is
	Demoted  []string // operators that are asked last
}

// Status returns a snapshot. It asks nobody.
func (q *Quorum) Status() Status {
	q.mu.Lock()
	s := Status{Head: q.agreed.head, Vouchers: slices.Clone(q.agreed.vouchers)}
	if !q.at.IsZero() {
		s.Age = time.Since(q.at)
	}
	if q.cause != nil {
		s.Reason = q.cause.Error()
	}
	q.mu.Unlock()
	for _, o := range q.operators {
		if o.demoted() {
			s.Demoted = append(s.Demoted, o.name)
		}
	}
	return s
}

// Ready says whether a Call has a chance now: a block is agreed on that is young enough, and enough
// operators are usable.
func (q *Quorum) Ready() bool {
	q.mu.Lock()
	head, known := q.agreed.head, !q.at.IsZero() && q.cause == nil
	q.mu.Unlock()
	usable := 0
	for _, o := range q.operators {
		if o.best(nil).Usable() {
			usable++
		}
	}
	return known && usable >= q.cfg.K && q.young(head) == nil
}
