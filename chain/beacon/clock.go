package beacon

import "time"

// due is the newest slot whose block should be provable now: the signatures over a block are in the block
// after it, which is made at the start of its slot and has spread after a third of it.
func (c *Client) due(now time.Time) uint64 {
	n := c.cfg.Network
	slot := n.Slot(now.Add(-n.SlotTime / 3))
	return max(slot, 1) - 1
}

// nextTick is the time until the next block is due, and some jitter: clients must not come all at once.
func (c *Client) nextTick(now time.Time) time.Duration {
	n := c.cfg.Network
	wait := min(n.SlotStart(n.Slot(now)).Add(n.SlotTime/3).Sub(now), n.SlotTime) // genesis may be far away
	if wait <= 0 {
		wait += n.SlotTime
	}
	return wait + time.Duration(c.cfg.chance()*float64(n.SlotTime)/12)
}

// slots is the time that n slots take, times share.
func (c *Client) slots(n uint64, share float64) time.Duration {
	return time.Duration(float64(n) * share * float64(c.cfg.Network.SlotTime))
}

// idleSlots is how many slots apart the polls of an idle client are. It leaves the anchor most of its age.
func (c *Client) idleSlots() uint64 {
	return min(max(uint64(c.cfg.MaxHeadAge/4/c.cfg.Network.SlotTime), 1), idleSlots)
}

// lagBound is how many slots without a new block are taken for trouble. On a quiet network some blocks in a
// row are left out; the anchor must be far from ageing out all the same.
func (c *Client) lagBound() uint64 {
	return min(max(uint64(c.cfg.MaxHeadAge/3/c.cfg.Network.SlotTime), 4), 8)
}

// finalityDue says whether a block newer than the newest finalised one should be final: in epoch n, the
// state of each block names one of the start of epoch n-2 (phase0, weigh_justification_and_finalization).
// The first blocks of an epoch are given time to come.
func (c *Client) finalityDue(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !now.Before(c.view.finalityAt) && c.finalityBehind(now)
}

// finalityBehind is finalityDue, even if all endpoints were asked in vain. c.mu is held.
func (c *Client) finalityBehind(now time.Time) bool {
	n := c.cfg.Network
	slot := n.Slot(now)
	if slot < 3 {
		return false
	}
	epoch := n.Epoch(slot - 3)
	if epoch < 2 {
		return false
	}
	// The block of an epoch's start may have been left out: then the one before it counts.
	have := (slotOf(c.view.finalized) + n.SlotsPerEpoch - 1) / n.SlotsPerEpoch
	return have+2 < epoch
}

// askedFinality puts the next question for finality off when all endpoints were asked for it in vain.
func (c *Client) askedFinality(now time.Time) {
	if !c.finalityDue(now) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.view.finalityAt = now.Add(c.slots(c.cfg.Network.SlotsPerEpoch/4, 1))
}
