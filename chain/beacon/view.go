package beacon

import (
	"time"

	"dens/chain"
)

// view is what Anchor and Status show.
type view struct {
	optimistic chain.Anchor
	finalized  chain.Anchor
	period     uint64        // of the committee in force
	polled     bool          // a round for the head has ended
	caught     bool          // no period was missing when an endpoint brought the head
	restored   bool          // it began with the state file
	answered   bool          // an endpoint has brought the newest finalised block that it has
	moved      time.Time     // when something was proven last, by the clock of this process
	synced     bool          // there was an anchor once
	trouble    error         // of the last round; nil: it went well
	refused    error         // why no round would help; nil is nothing
	news       time.Time     // when the block of anchors last advanced; zero is never
	settled    time.Time     // when the last round ended; zero is never
	used       time.Time     // when Anchor was last called
	finalityAt time.Time     // no question for finality before
	changed    chan struct{} // closed when any of this has changed
}

// notify wakes those who wait for a change.
func (v *view) notify() {
	close(v.changed)
	v.changed = make(chan struct{})
}

// slotOf is the slot of an anchor's beacon block; 0 is none.
func slotOf(a chain.Anchor) uint64 {
	if a.Beacon == nil {
		return 0
	}
	return a.Beacon.Slot
}

// headSlot is the newest slot that is proven.
func (c *Client) headSlot() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slotOf(c.view.optimistic)
}

// finalSlot is the newest finalised slot that is proven.
func (c *Client) finalSlot() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slotOf(c.view.finalized)
}

// markPolled notes that the endpoints were asked for the head. good says that one of them has brought it.
func (c *Client) markPolled(now time.Time, good bool) {
	start, _ := c.missing()
	n := c.cfg.Network
	c.mu.Lock()
	defer c.mu.Unlock()
	v := &c.view
	v.polled = true
	if good && start >= n.Period(n.Slot(now)) && (!c.cfg.Finalized || v.answered || !c.finalityBehind(now)) {
		v.caught = true
	}
}

// inTrouble says whether the last round went wrong.
func (c *Client) inTrouble() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.view.trouble != nil
}

// isIdle says whether nobody has wanted an anchor for long.
func (c *Client) isIdle(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return now.Sub(c.view.used) > idleAfter
}

func (c *Client) hasStore() bool {
	c.core.Lock()
	defer c.core.Unlock()
	return c.store != nil
}

// missing returns the periods whose updates are needed; count 0 is none.
func (c *Client) missing() (start, count uint64) {
	c.core.Lock()
	defer c.core.Unlock()
	return c.store.Missing(c.cfg.now())
}
