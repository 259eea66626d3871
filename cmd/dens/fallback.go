package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"dens/chain"
	"dens/chain/beacon"
	"dens/chain/quorum"
)

// fallbackAnchors are those of a light client and, where its checkpoint turns out to be too old to begin
// with, those of a quorum from then on. Nothing else leads to the quorum: whoever withholds or forges what
// the light client is to be told must gain nothing by it.
//
//	undecided -> light client or quorum, for good
type fallbackAnchors struct {
	chain *chainStack

	mu      sync.Mutex     // guards what follows
	proven  bool           // the light client has vouched for a block: it stays
	quorum  *quorum.Quorum // in force; nil: not
	because string
	closed  bool
}

func newFallbackAnchors(c *chainStack) *fallbackAnchors { return &fallbackAnchors{chain: c} }

// Anchor implements verify.Anchorer.
func (f *fallbackAnchors) Anchor(ctx context.Context) (chain.Anchor, error) {
	if q, _ := f.inForce(); q != nil {
		return q.Anchor(ctx)
	}
	anchor, err := f.chain.light.Anchor(ctx)
	f.mu.Lock()
	f.proven = f.proven || err == nil
	proven := f.proven
	f.mu.Unlock()
	if proven || !errors.Is(err, beacon.ErrOldCheckpoint) || !f.chain.light.tooOldAtStart() {
		return anchor, err
	}
	q, failed := f.give(err)
	if failed != nil {
		return anchor, err
	}
	return q.Anchor(ctx)
}

// give puts the quorum into force.
func (f *fallbackAnchors) give(cause error) (*quorum.Quorum, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.quorum != nil:
		return f.quorum, nil
	case f.closed:
		return nil, cause
	}
	q, err := f.chain.newQuorum()
	if err != nil {
		return nil, err
	}
	f.quorum, f.because = q, cause.Error()
	f.chain.log.Error("the checkpoint is too old: backends that agree vouch for blocks in the place of Ethereum's consensus; configure a newer checkpoint",
		"anchor", "quorum", "cause", cause)
	return q, nil
}

// inForce returns the quorum, nil where it is not in force, and why it is.
func (f *fallbackAnchors) inForce() (*quorum.Quorum, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.quorum, f.because
}

func (f *fallbackAnchors) close() {
	f.mu.Lock()
	f.closed = true
	q := f.quorum
	f.mu.Unlock()
	if q != nil {
		q.Close()
	}
}

// Pauses of watchAnchor between two tries to be told an anchor.
const (
	anchorPatience = 30 * time.Second
	anchorPause    = 2 * time.Second
)

// watchAnchor has the anchors of a chain be there before the first question, and says when they are.
func (c *chainStack) watchAnchor() {
	if c.light == nil || c.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.running.Go(func() {
		for ctx.Err() == nil {
			once, done := context.WithTimeout(ctx, anchorPatience)
			anchor, err := c.anchors.Anchor(once)
			done()
			if err == nil {
				c.log.Info("a block is vouched for", attributes(anchor, c.cfg.light.network, time.Now())...)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(anchorPause):
			}
		}
	})
}
