package beacon

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
	"dens/chain/light"
)

// Anchor returns the newest proven block: once the client has caught up with the chain or, of what the state
// file remembers, one that is young. Before the first one it waits for as long as ctx and Config.Patience
// allow, but not when all endpoints have failed. Errors wrap chain.ErrNotReady (not synced: with what the
// endpoints said; and ErrOldCheckpoint when that is the cause) or chain.ErrStaleHead. The slot of what it
// returns never goes back.
func (c *Client) Anchor(ctx context.Context) (chain.Anchor, error) {
	came := time.Now() // not the clock of slots, which may be set meanwhile
	for woken := c.touch(); ; {
		c.mu.Lock()
		a, err := c.newest(c.cfg.now())
		wait := time.Duration(0)
		if err != nil && c.worthWaiting(woken) {
			wait = c.patience(came)
		}
		changed := c.view.changed
		c.mu.Unlock()
		switch {
		case c.ctx.Err() != nil:
			return chain.Anchor{}, errClosed
		case wait <= 0:
			return a, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-c.ctx.Done():
		case <-ctx.Done():
			timer.Stop()
			return chain.Anchor{}, err
		}
		timer.Stop()
	}
}

// Ready says whether an anchor is at hand that is young enough.
func (c *Client) Ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.newest(c.cfg.now())
	return err == nil && c.ctx.Err() == nil
}

// touch notes that an anchor is wanted. When the last round is long ago, for nobody wanted any or for the
// machine was asleep, it starts one and returns the time from which on a round is a new one.
func (c *Client) touch() (woken time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.cfg.now()
	c.view.used = now
	// By the wall: the monotonic clock stands still while a machine sleeps.
	if c.view.settled.IsZero() || now.Round(0).Sub(c.view.settled.Round(0)) <= 2*c.cfg.Network.SlotTime {
		return time.Time{}
	}
	c.nudge()
	return now
}

// worthWaiting says whether a round that is under way may bring an anchor. c.mu is held.
func (c *Client) worthWaiting(woken time.Time) bool {
	v := &c.view
	switch {
	case v.refused != nil:
		return false
	case !woken.IsZero() && v.settled.Before(woken):
		return true
	case v.synced:
		return false
	}
	return v.trouble == nil
}

// patience is how much longer somebody who came then should wait. c.mu is held.
func (c *Client) patience(came time.Time) time.Duration {
	until := came
	if c.view.moved.After(came) {
		until = c.view.moved
	}
	until = until.Add(c.cfg.Patience)
	if most := came.Add(3 * c.cfg.Patience); until.After(most) {
		until = most
	}
	return time.Until(until)
}

// newest returns the anchor to give out, or why there is none. c.mu is held.
func (c *Client) newest(now time.Time) (chain.Anchor, error) {
	v := &c.view
	a := v.optimistic
	if c.cfg.Finalized {
		a = v.finalized
	}
	age := now.Sub(c.cfg.Network.SlotStart(slotOf(a)))
	switch {
	case v.refused != nil:
		return chain.Anchor{}, v.refused
	case a.Beacon == nil:
		return chain.Anchor{}, v.because(chain.ErrNotReady, "no checkpoint yet")
	case age < -c.cfg.MaxHeadAge:
		return chain.Anchor{}, fmt.Errorf("%w: light client: slot %d, which is proven, is %s in the future: the local clock is behind",
			chain.ErrNotReady, slotOf(a), rounded(-age))
	case age <= c.bound():
		return clone(a), nil
	case age <= c.cfg.MaxHeadAge:
		return chain.Anchor{}, v.because(chain.ErrNotReady, fmt.Sprintf("it catches up with the chain, slot %d is %s old", slotOf(a), rounded(age)))
	}
	text := fmt.Sprintf("slot %d is %s old, over the bound of %s", slotOf(a), rounded(age), rounded(c.cfg.MaxHeadAge))
	if !v.polled {
		return chain.Anchor{}, v.because(chain.ErrNotReady, text)
	}
	return chain.Anchor{}, v.because(chain.ErrStaleHead, text)
}

// bound is how old an anchor may be now; negative is that none may be given out. While the client catches up
// it proves blocks of long ago, which MaxHeadAge alone need not keep back. c.mu is held.
func (c *Client) bound() time.Duration {
	switch {
	case c.view.caught:
		return c.cfg.MaxHeadAge
	case c.view.restored:
		return min(c.cfg.MaxHeadAge, defaultHeadAge(c.cfg.Finalized))
	}
	return -c.cfg.MaxHeadAge - 1
}

// because is a refusal with what is known of its cause.
func (v *view) because(class error, text string) error {
	if v.trouble != nil {
		return fmt.Errorf("%w: light client: %s: %w", class, text, v.trouble)
	}
	return fmt.Errorf("%w: light client: %s", class, text)
}

// clone keeps callers from sharing what they may change.
func clone(a chain.Anchor) chain.Anchor {
	a.Vouchers = slices.Clone(a.Vouchers)
	if a.Beacon != nil {
		evidence := *a.Beacon
		a.Beacon = &evidence
	}
	return a
}

// publish takes what the store has proven into view. from is the endpoint that brought it; "" is the state
// file. first says that there is a newer head. c.core is held.
func (c *Client) publish(from string) (first bool) {
	head, final, period := c.store.Optimistic(), c.store.Finalized(), c.store.Period()
	c.mu.Lock()
	defer c.mu.Unlock()
	v := &c.view
	if c.isNewer(head, v.optimistic) {
		v.optimistic = c.anchor(head, false, from)
		first = true
	}
	finalized := c.isNewer(final, v.finalized)
	if finalized {
		v.finalized = c.anchor(final, true, from)
		c.dirty = true
	}
	if finalized || first && !c.cfg.Finalized {
		v.news = c.cfg.now()
	}
	if period != v.period {
		v.period = period
		c.dirty = true
	}
	v.moved = time.Now()
	v.notify()
	return first
}

// isNewer says whether head may take the place of a. The first block of a chain may hold no execution block.
func (c *Client) isNewer(head light.Head, a chain.Anchor) bool {
	return head.BlockHash != (common.Hash{}) && (a.Beacon == nil || head.Slot > a.Beacon.Slot)
}

// anchor makes an anchor of a proven block. c.core is held.
func (c *Client) anchor(head light.Head, final bool, from string) chain.Anchor {
	root, slot := c.store.Checkpoint()
	a := chain.Anchor{
		Head:   chain.Head{Number: head.BlockNumber, Hash: head.BlockHash, Time: head.BlockTime},
		Source: chain.AnchorBeacon,
		Beacon: &chain.BeaconEvidence{
			Network: c.cfg.Network.Name, Fork: head.Fork,
			Checkpoint: root, CheckpointSlot: slot,
			Period: head.Period, Slot: head.Slot, Root: head.Root, SignatureSlot: head.SignatureSlot,
			Signers: head.Signers, Committee: head.Committee,
			Finalized: final,
		},
	}
	if a.Time.IsZero() { // Gloas proves the hash alone
		a.Time = c.cfg.Network.SlotStart(head.Slot)
	}
	if from != "" {
		a.Vouchers = []string{from}
	}
	return a
}
