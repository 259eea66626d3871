package consensus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

const (
	maxCommittees = 128 // that are remembered
	maxUpdates    = 128 // periods whose update is served
	maxAnchors    = 256 // blocks that can be finalised or begun with: one an epoch
	maxRecent     = 64  // blocks that can be asked for by root or slot
	// pollTime bounds a sleep, so that a clock that is set is noticed.
	pollTime = 100 * time.Millisecond
)

// errClosed means that a Chain was used after Close.
var errClosed = errors.New("beacon chain is closed")

// Chain is a running beacon chain. It is safe for concurrent use.
//
//	Start -> running, a block for each slot when Auto, and by Advance -> Close
type Chain struct {
	config  Config
	forks   []fork
	handler http.Handler
	server  *http.Server
	url     string

	run  context.Context
	stop context.CancelFunc
	done sync.WaitGroup
	turn chan struct{} // holds one token: who has it may add blocks

	mu         sync.Mutex // guards what follows
	lag        uint64
	signers    int
	forced     *block // to be finalised next
	rewrite    Rewrite
	committees map[uint64]*Committee
	begun      uint64 // blocks that were begun
	fresh      uint64 // of these, the one that was served last
	head       *signed
	finalized  *block
	first      *block            // to begin with
	anchors    []*block          // last ones before the start of an epoch, by slot
	recent     []*block          // by slot
	updates    map[uint64]update // by period
}

// signed is a block that a committee has signed, with what it finalises.
type signed struct {
	*block
	finalized *block // nil for the chain's first block only, which is never served
	aggregate aggregateSignature
	slot      uint64 // of the signature
	count     int    // of signers
}

// update is a handover of committees: the best of its period.
type update = *signed

// Start starts a chain: its past is there on return. ctx bounds the start only.
func Start(ctx context.Context, config Config) (*Chain, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	now := time.Now()
	config = config.withDefaults(now)
	if err := config.check(now); err != nil {
		return nil, fmt.Errorf("beacon chain: %w", err)
	}
	forks, err := forkTable(config.Forks, config.Versions)
	if err != nil {
		return nil, fmt.Errorf("beacon chain: %w", err)
	}
	c := &Chain{
		config: config, forks: forks, turn: make(chan struct{}, 1), signers: config.Signers,
		committees: map[uint64]*Committee{}, updates: map[uint64]update{},
	}
	c.run, c.stop = context.WithCancel(context.Background())
	c.turn <- struct{}{}
	c.handler = c.routes()
	err = c.past()
	if err == nil {
		err = c.listen()
	}
	if err != nil {
		c.stop()
		return nil, fmt.Errorf("beacon chain: %w", err)
	}
	if config.Auto {
		c.done.Go(func() {
			for c.run.Err() == nil {
				if _, err := c.Advance(); err != nil {
					_ = c.wait(c.run, c.Now()+1) // ends by Close, or another try follows
				}
			}
		})
	}
	return c, nil
}

// Close stops everything. A second Close does nothing.
func (c *Chain) Close() error {
	c.stop()
	var err error
	if c.server != nil {
		err = c.server.Close()
	}
	c.done.Wait()
	return err
}

// Now is the slot of now by the machine's clock; 1 when that says a time before.
func (c *Chain) Now() uint64 { return uint64(max(time.Since(c.config.Genesis)/c.config.SlotTime, 1)) }

// SlotStart is when a slot begins.
func (c *Chain) SlotStart(slot uint64) time.Time {
	return c.config.Genesis.Add(time.Duration(slot) * c.config.SlotTime)
}

// past makes the blocks until now.
func (c *Chain) past() error {
	now := c.Now()
	finalized := ((now-1)/SlotsPerEpoch - finalityDistance) * SlotsPerEpoch
	first := min(now/SlotsPerPeriod-min(c.config.History, now/SlotsPerPeriod), finalized/SlotsPerPeriod)
	for period := first; period <= now/SlotsPerPeriod; period++ {
		// A block that a later one of the same period finalises.
		start := period*SlotsPerPeriod + SlotsPerEpoch
		for _, slot := range []uint64{start, start + finalityDistance*SlotsPerEpoch + 1} {
			if slot >= finalized {
				break
			}
			if err := c.add(slot); err != nil {
				return err
			}
		}
	}
	for _, slot := range []uint64{finalized, now - 1} {
		if err := c.add(slot); err != nil {
			return err
		}
	}
	c.first = c.anchors[0]
	c.lag = c.config.FinalityLag // until here nothing was late
	return nil
}

// Advance makes a block for the newest block of the execution node, in the newest slot that is over, and
// has it signed in the slot of now. When that slot has a block it waits for the next one to be over: a
// signature is never of the future. It returns the block's slot when the block is served.
func (c *Chain) Advance() (slot uint64, err error) { return c.advance(c.run) }

// Follow returns when the head holds the newest block of the execution node, and makes a block if it must.
func (c *Chain) Follow(ctx context.Context) error {
	newest := c.config.Head()
	if newest != nil && newest.Hash() == c.Head().Hash {
		return nil
	}
	_, err := c.advance(ctx)
	return err
}

func (c *Chain) advance(ctx context.Context) (slot uint64, err error) {
	c.mu.Lock()
	before := c.begun
	c.mu.Unlock()
	select {
	case <-c.turn:
	case <-ctx.Done():
		return 0, c.ended(ctx)
	case <-c.run.Done():
		return 0, errClosed
	}
	defer func() { c.turn <- struct{}{} }()
	c.mu.Lock()
	made, head := c.fresh > before, c.head.header.slot
	c.mu.Unlock()
	if made {
		return head, nil // another's block, for an execution block that was asked for after the call
	}
	if err := c.wait(ctx, head+2); err != nil {
		return 0, err
	}
	slot = max(c.Now()-1, head+1) // even if the clock was set back just now
	return slot, c.add(slot)
}

// wait waits for the start of a slot.
func (c *Chain) wait(ctx context.Context, slot uint64) error {
	for {
		if c.run.Err() != nil || ctx.Err() != nil {
			return c.ended(ctx)
		}
		left := time.Until(c.SlotStart(slot))
		if left <= 0 {
			return nil
		}
		select {
		case <-c.run.Done():
		case <-ctx.Done():
		case <-time.After(min(left, pollTime)):
		}
	}
}

// ended is why a wait ended early.
func (c *Chain) ended(ctx context.Context) error {
	if c.run.Err() != nil {
		return errClosed
	}
	return ctx.Err()
}

// add makes a block in a slot after the head's, has it signed in the next one and serves it.
func (c *Chain) add(slot uint64) error {
	c.mu.Lock()
	c.begun++
	begun := c.begun
	c.mu.Unlock()
	execution := c.config.Head() // without the lock: it is somebody else's code
	if execution == nil {
		return errors.New("the execution node has no block")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var parent common.Hash
	if c.head != nil {
		parent = c.head.root
		c.passEpochs(slot)
	}
	c.finalize(slot)
	p := c.plan(slot, parent, execution)
	p.finalized = checkpointOf(c.finalized)
	s := &signed{block: build(p), finalized: c.finalized, slot: slot + 1, count: c.signers}
	var err error
	s.aggregate, err = c.committee(s.slot/SlotsPerPeriod).sign(c.signingRoot(s.root, s.slot), s.count, slot)
	if err != nil {
		return err
	}
	c.fresh = begun
	c.serve(s)
	return nil
}

// plan is a block for an execution block, with the committees of its slot and nothing finalised.
func (c *Chain) plan(slot uint64, parent common.Hash, execution *types.Header) plan {
	period := slot / SlotsPerPeriod
	return plan{
		fork: c.forkAt(slot), slot: slot, parent: parent, execution: payload{execution, execution.Hash()},
		current: c.committee(period), next: c.committee(period + 1),
	}
}

// committee is the sync committee of a period. The caller holds mu.
func (c *Chain) committee(period uint64) *Committee {
	if known, ok := c.committees[period]; ok {
		return known
	}
	if len(c.committees) >= maxCommittees {
		clear(c.committees) // they can be made again
	}
	made := NewCommittee(fmt.Sprintf("dens demo committee %d", period))
	c.committees[period] = made
	return made
}

// passEpochs notes the head as an anchor if it is the last block until the start of an epoch before slot.
func (c *Chain) passEpochs(slot uint64) {
	head := c.head.block
	boundary := (head.header.slot + SlotsPerEpoch - 1) / SlotsPerEpoch * SlotsPerEpoch
	if boundary < slot {
		c.anchors = appendBounded(c.anchors, head, maxAnchors)
	}
}

// finalize moves finality as far as it is at a slot.
func (c *Chain) finalize(slot uint64) {
	if c.forced != nil {
		c.finalized, c.forced = c.forced, nil
		return
	}
	epoch, behind := slot/SlotsPerEpoch, finalityDistance+c.lag
	if behind < c.lag || behind > epoch {
		return
	}
	for i := len(c.anchors) - 1; i >= 0; i-- {
		if a := c.anchors[i]; a.header.slot <= (epoch-behind)*SlotsPerEpoch {
			if c.finalized == nil || c.finalized.header.slot < a.header.slot {
				c.finalized = a
			}
			return
		}
	}
}

// serve makes a signed block the head.
func (c *Chain) serve(s *signed) {
	c.head = s
	c.recent = appendBounded(c.recent, s.block, maxRecent)
	period := s.header.slot / SlotsPerPeriod
	if period != s.slot/SlotsPerPeriod || s.finalized == nil {
		return // a committee must not be proven by its own signature
	}
	if old, ok := c.updates[period]; !ok || s.score() > old.score() {
		c.updates[period] = s
	}
	maps.DeleteFunc(c.updates, func(old uint64, _ update) bool { return old+maxUpdates <= period })
}

// score orders updates of a period (altair/light-client/sync-protocol.md, is_better_update). Of equals the
// older one is kept.
func (s *signed) score() int {
	score := s.count
	if s.finalized.header.slot/SlotsPerPeriod == s.header.slot/SlotsPerPeriod {
		score += 1000
	}
	if s.count*3 >= CommitteeSize*2 {
		score += 10000
	}
	return score
}

// appendBounded appends and forgets the oldest beyond limit.
func appendBounded[T any](list []T, item T, limit int) []T {
	if len(list) >= limit {
		list = append(make([]T, 0, limit), list[len(list)-limit+1:]...)
	}
	return append(list, item)
}
