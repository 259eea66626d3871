package beacon

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"dens/chain"
	"dens/chain/light"
)

const (
	// idleAfter is how long after the last call of Anchor the polling slows down.
	idleAfter = 5 * time.Minute
	// idleSlots is how often an idle client polls: on mainnet each minute, a fifth of the default
	// MaxHeadAge, so that the first question after a quiet night finds an anchor that holds.
	idleSlots = 5
	// finalEpochs is how old, in epochs, the newest finalised block may be before that is taken for trouble:
	// three when all is well.
	finalEpochs = 3.5
	// ageCheck is how often a checkpoint that is too old is looked at again: the clock may be set right.
	ageCheck = time.Minute
	// leastPause keeps errors in the schedule from turning into a storm.
	leastPause = 100 * time.Millisecond
)

// schedule is what only run knows.
type schedule struct {
	begins      int       // attempts to fetch the checkpoint
	slot        uint64    // that was due in the last poll
	tries       int       // polls for it
	committeeAt time.Time // no earlier try for the committee after the one in force
	gap         error     // what to do about a committee that nobody hands over; nil: none is missing
	saveFailed  bool      // and that was logged
	saved       []byte    // what the state file holds
}

// run follows the chain until Close.
func (c *Client) run() {
	defer close(c.done)
	var s schedule
	for c.ctx.Err() == nil {
		c.pause(c.step(&s))
	}
	c.tasks.Wait()
	for _, p := range c.peers {
		p.client.close()
	}
	c.save(&s)
}

// pause waits for d, for somebody who needs an anchor now, or for Close.
func (c *Client) pause(d time.Duration) {
	timer := time.NewTimer(max(d, leastPause))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.wake:
	case <-c.ctx.Done():
	}
}

// step does what is to be done now, and returns how long nothing is.
func (c *Client) step(s *schedule) time.Duration {
	if !c.begin(s) {
		return min(backoffFirst<<min(s.begins-1, 10), c.rested(c.cfg.now()))
	}
	c.core.Lock()
	err := c.tooOld(c.cfg.now())
	c.core.Unlock()
	if err != nil {
		c.refuse(err)
		return ageCheck
	}
	c.refuse(nil)
	c.catchUp(s)
	wait := c.poll(s)
	c.survey()
	if c.takeDirty() {
		c.save(s)
	}
	return wait
}

// begin fetches the checkpoint, unless that was done.
func (c *Client) begin(s *schedule) bool {
	if c.hasStore() {
		return true
	}
	s.begins++
	missing := 0
	c.race(rank(c.peers, c.cfg.now()), c.bootstrap, func(err error) bool {
		if isKind(err, absent) {
			missing++
		}
		return c.hasStore()
	})
	if c.hasStore() {
		c.logStart("a beacon endpoint")
		return true
	}
	if missing == len(c.peers) {
		c.settle(fmt.Errorf("%w (%s): %s", errNoCheckpoint, said(c.peers), newerCheckpoint))
	} else {
		c.settle(c.complaint())
	}
	return false
}

// tooOld refuses to begin, or to go on, from a block that is too old by its slot (weak subjectivity). c.core
// is held.
func (c *Client) tooOld(now time.Time) error {
	if c.cfg.MaxCheckpointAge < 0 {
		return nil
	}
	slot := c.store.Finalized().Slot
	age := now.Sub(c.cfg.Network.SlotStart(slot))
	if age <= c.cfg.MaxCheckpointAge {
		return nil
	}
	what := "newest finalised block that is known"
	if _, first := c.store.Checkpoint(); first == slot {
		what = "checkpoint"
	}
	return oldCheckpoint(what, slot, age, c.cfg.MaxCheckpointAge)
}

// catchUp fetches the committees that are missing.
func (c *Client) catchUp(s *schedule) {
	for c.ctx.Err() == nil {
		start, count := c.missing()
		now := c.cfg.now()
		current := c.cfg.Network.Period(c.cfg.Network.Slot(now))
		if count == 0 || start >= current {
			s.gap = nil
		}
		if count == 0 || start >= current && now.Before(s.committeeAt) {
			return
		}
		lacking := 0
		moved := func(err error) bool {
			if isKind(err, absent) {
				lacking++
			}
			next, left := c.missing()
			return left == 0 || next > start
		}
		c.race(rank(c.peers, now), c.periods(start, count), moved)
		if moved(nil) {
			continue
		}
		if start < current && lacking > 0 {
			s.gap = fmt.Errorf("no endpoint proves the committee after that of period %d; if the local clock is right and the chain did not finalise within that period, none ever will: %s",
				start, newerCheckpoint)
		}
		// The committee after the present one can be proven only once this period has finalised a block,
		// and is needed only when it ends: no hurry.
		s.committeeAt = now.Add(c.slots(c.cfg.Network.SlotsPerEpoch, 0.75+0.25*c.cfg.chance()))
		return
	}
}

// poll asks for the block that is due, and returns how long to wait for the next.
func (c *Client) poll(s *schedule) time.Duration {
	now := c.cfg.now()
	due := c.due(now)
	if due != s.slot {
		s.slot, s.tries = due, 0
	}
	s.tries++
	good, before := false, c.headSlot()
	c.race(rank(c.peers, now), c.head, func(err error) bool {
		good = good || err == nil
		head := c.headSlot()
		if c.finalityDue(now) {
			return false
		}
		// A block that is late, or was left out, is no reason to ask everyone at once: a moment later is.
		return head >= due || err == nil && s.tries == 1 && head+1 >= due
	})
	good = good || c.headSlot() > before
	c.askedFinality(now)
	c.markPolled(now, good)
	trouble := c.trouble(good, due)
	if trouble != nil && s.gap != nil {
		trouble = fmt.Errorf("%w (%w)", s.gap, trouble)
	}
	c.settle(trouble)
	return c.untilNext(s, good, due)
}

// trouble says what is wrong after a poll; nil is nothing.
func (c *Client) trouble(good bool, due uint64) error {
	head := c.headSlot()
	switch {
	case c.cfg.now().Before(c.cfg.Network.SlotStart(c.finalSlot())):
		return fmt.Errorf("the local clock is behind: it is before slot %d, which is final", c.finalSlot())
	case !good && !c.inTrouble() && anyBusy(c.peers):
		return nil // who is still at it may yet bring something
	case !good:
		return c.complaint()
	case head+c.lagBound() >= due:
		return c.lateFinality()
	}
	text := fmt.Sprintf("no endpoint proves a block newer than slot %d, when %d is due: they withhold it, the chain has stopped, or the local clock is ahead",
		head, due)
	if others := said(c.peers); others != "" {
		text += " (" + others + ")"
	}
	return errors.New(text)
}

// lateFinality is what is wrong when anchors are of finalised blocks, and no newer one is proven in time.
func (c *Client) lateFinality() error {
	final := c.finalSlot()
	age := c.cfg.now().Sub(c.cfg.Network.SlotStart(final))
	if !c.cfg.Finalized || age <= c.slots(c.cfg.Network.SlotsPerEpoch, finalEpochs) {
		return nil
	}
	return fmt.Errorf("no endpoint proves a finalised block newer than slot %d: they withhold it, or the chain does not finalise", final)
}

// complaint is what the endpoints have said wrong.
func (c *Client) complaint() error {
	if allSuspect(c.peers) {
		return fmt.Errorf("%w: wrong signatures from %s", light.ErrUnproven, some(c.peers, func(p *peer) string { return p.name }, ", "))
	}
	if text := said(c.peers); text != "" {
		return errors.New(text)
	}
	return errors.New("no endpoint has answered yet")
}

// untilNext is the time until the next poll.
func (c *Client) untilNext(s *schedule, good bool, due uint64) time.Duration {
	now, slot := c.cfg.now(), c.cfg.Network.SlotTime
	tick := c.nextTick(now)
	head := c.headSlot()
	switch {
	case !good:
		return min(tick, max(c.rested(now), slot/6))
	case head >= due && c.isIdle(now):
		return tick + c.slots(c.idleSlots()-1, 1)
	case head < due && head+2 >= due && s.tries < 2:
		return min(tick, slot/6)
	}
	return tick
}

// rested is the time until an endpoint that rests may be asked again. While all of them do, their rests are
// short: there is nothing to spare, and everything to gain from the first that returns.
func (c *Client) rested(now time.Time) time.Duration {
	if allBroken(c.peers) {
		for _, p := range c.peers {
			p.health.hasten(now.Add(time.Duration(float64(backoffAlone) * (0.75 + 0.25*c.cfg.chance()))))
		}
	}
	least := backoffIdle
	for _, p := range c.peers {
		if until, _ := p.health.rests(now); until.After(now) {
			least = min(least, until.Sub(now))
		}
	}
	return least
}

// survey looks, in the background, at endpoints that were not asked for an epoch, or that failed and have
// rested: so that what Status says of them is true, and that one which fails finds the others known.
func (c *Client) survey() {
	now := c.cfg.now()
	for _, p := range c.peers {
		if p.health.isDue(now, c.slots(c.cfg.Network.SlotsPerEpoch, 1)) {
			c.spawn(p, c.head, c.late)
		}
	}
}

// settle takes down how a round went, and tells those who wait for it. It logs when that has changed.
func (c *Client) settle(trouble error) {
	now := c.cfg.now()
	c.mu.Lock()
	was := c.view.trouble
	c.view.trouble = trouble
	c.view.settled = now
	c.view.notify()
	status := c.status(now)
	becameReady := !c.view.synced && status.ExpiresIn > 0
	c.view.synced = c.view.synced || becameReady
	c.mu.Unlock()
	log := c.cfg.Log.With(slog.String("network", c.cfg.Network.Name))
	switch {
	case c.ctx.Err() != nil:
		return
	case trouble != nil && was == nil:
		log.Warn("no beacon endpoint brings new blocks", slog.String("reason", trouble.Error()),
			slog.Duration("expires_in", status.ExpiresIn.Round(time.Second)))
	case trouble == nil && was != nil:
		log.Info("beacon endpoints bring new blocks again", slog.Uint64("slot", slotOf(status.Anchor)))
	}
	if becameReady {
		log.Info("light client is synced", slog.Uint64("slot", slotOf(status.Anchor)), slog.Uint64("block", status.Anchor.Number),
			slog.Uint64("period", status.Period), slog.Any("endpoint", status.Anchor.Vouchers))
	}
}

// refuse keeps anchors from being given out for a reason that no endpoint can help with; nil ends that.
func (c *Client) refuse(err error) {
	c.mu.Lock()
	was := c.view.refused
	c.view.refused = err
	if err != nil {
		c.view.settled = c.cfg.now()
	}
	c.view.notify()
	c.mu.Unlock()
	if err != nil && was == nil {
		c.cfg.Log.Error("light client cannot begin", slog.String("network", c.cfg.Network.Name), slog.String("reason", err.Error()))
	}
}

// logStart says what is believed from here on.
func (c *Client) logStart(source string) {
	c.core.Lock()
	root, first := c.store.Checkpoint()
	slot := c.store.Finalized().Slot
	c.core.Unlock()
	c.cfg.Log.Info("light client begins", slog.String("network", c.cfg.Network.Name), slog.String("checkpoint", root.Hex()),
		slog.Uint64("checkpoint_slot", first), slog.Uint64("slot", slot),
		slog.String("age", rounded(c.cfg.now().Sub(c.cfg.Network.SlotStart(slot)))),
		slog.String("from", source), slog.String("anchor", c.anchorWord()))
}

func (c *Client) anchorWord() string {
	if c.cfg.Finalized {
		return "finalized"
	}
	return "optimistic"
}

var errClosed = fmt.Errorf("%w: the light client is closed", chain.ErrNotReady)
