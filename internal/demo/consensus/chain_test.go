package consensus

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/beacon/merkle"
	"github.com/ethereum/go-ethereum/beacon/params"
	"github.com/ethereum/go-ethereum/core/types"
)

// start starts a chain without a server, so that it can live in a bubble of synctest.
func start(t *testing.T, config Config) *reader {
	t.Helper()
	if config.Head == nil {
		config.Head = execution()
	}
	config.Port = -1
	c, err := Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return read(t, c)
}

// genesis is a genesis that makes now the first instant of a slot.
func genesis(slot uint64) time.Time {
	return time.Now().Truncate(time.Second).Add(-time.Duration(slot) * time.Second)
}

func (r *reader) advance() Block {
	r.t.Helper()
	slot, err := r.Advance()
	if err != nil {
		r.t.Fatal(err)
	}
	head := r.Head()
	if head.Slot != slot {
		r.t.Errorf("advanced to slot %d, and the head is at %d", slot, head.Slot)
	}
	return head
}

// follow goes from the checkpoint to the head and checks all on the way. It returns in how many periods
// something was finalised.
func (r *reader) follow() (periods int) {
	r.t.Helper()
	root, slot := r.Checkpoint()
	b := r.bootstrap(root)
	fork := r.fork(b.Data.Header.Beacon.Slot)
	if b.Version != fork || b.Data.Header.Beacon.root() != root || uint64(b.Data.Header.Beacon.Slot) != slot {
		r.t.Fatalf("bootstrap of %s for %s at slot %d", b.Version, fork, b.Data.Header.Beacon.Slot)
	}
	r.checkLight(b.Version, b.Data.Header)
	current := b.Data.Committee
	if err := merkle.VerifyProof(b.Data.Header.Beacon.StateRoot, params.StateIndexSyncCommittee(fork), b.Data.Branch, merkle.Value(current.root(r.t))); err != nil {
		r.t.Fatalf("bootstrap: %v", err)
	}
	committees := map[uint64]*readCommittee{slot / SlotsPerPeriod: current}
	first := slot / SlotsPerPeriod
	for i, u := range r.updates(first, 1000) {
		period := first + uint64(i)
		r.check(u, committees[period])
		if uint64(u.Data.Attested.Beacon.Slot)/SlotsPerPeriod != period || uint64(u.Data.SignatureSlot)/SlotsPerPeriod != period {
			r.t.Errorf("update of period %d is at slot %d", period, u.Data.SignatureSlot)
		}
		if uint64(u.Data.Finalized.Beacon.Slot)/SlotsPerPeriod == period {
			periods++
		}
		committees[period+1] = u.Data.Next
	}
	for _, u := range []readUpdate{r.optimistic(), r.finality()} {
		r.check(u, committees[uint64(u.Data.SignatureSlot)/SlotsPerPeriod])
	}
	if f := r.finality(); f.Data.Finalized.Beacon.root() != r.Finalized().Root || f.Data.Next != nil || r.optimistic().Data.Finalized != nil {
		r.t.Error("finality update of another block, or too much said")
	}
	return periods
}

func TestEachFork(t *testing.T) {
	for _, fork := range []string{"capella", "deneb", "electra", "fulu", "gloas"} {
		t.Run(fork, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, Config{Forks: map[string]uint64{fork: 0}})
				if periods := r.follow(); periods != 2 {
					t.Errorf("%d periods with finality", periods)
				}
				if u := r.optimistic(); u.Version != fork || r.Head().Fork != fork {
					t.Errorf("version %s", u.Version)
				}
				if hash := r.checkLight(fork, r.optimistic().Data.Attested); hash != r.Head().Hash {
					t.Error("the head has another execution block")
				}
			})
		})
	}
}

// TestForkBoundary crosses a fork block by block: signatures have the domain of the slot before, and a
// finalised block of the old fork is told in the format of the new one.
func TestForkBoundary(t *testing.T) {
	for _, fork := range []string{"deneb", "electra", "fulu", "gloas"} {
		t.Run(fork, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const epoch = 300
				r := start(t, Config{Forks: map[string]uint64{fork: epoch}, Genesis: genesis(epoch*SlotsPerEpoch - 1)})
				mixed := 0
				for _, late := range []uint64{0, 1, 1, 64, 64} {
					time.Sleep(time.Duration(late) * time.Second)
					head := r.advance()
					r.follow()
					if (head.Fork == fork) != (head.Slot >= epoch*SlotsPerEpoch) {
						t.Errorf("slot %d is of %s", head.Slot, head.Fork)
					}
					if final := r.Finalized(); final.Fork != head.Fork {
						mixed++
					}
				}
				if mixed < 1 || r.Finalized().Fork != fork {
					t.Errorf("finality crossed from %d heads to %s", mixed, r.Finalized().Fork)
				}
			})
		})
	}
}

// TestPeriodRollover goes over the boundary of two periods slot by slot, and then far.
func TestPeriodRollover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const period = 3
		r := start(t, Config{Genesis: genesis(period*SlotsPerPeriod - 1)})
		for range 3 {
			head := r.advance()
			if got := len(r.updates(period, 1)); (got == 1) != (head.Slot >= period*SlotsPerPeriod) {
				t.Errorf("%d updates of the period at slot %d", got, head.Slot)
			}
			r.follow()
		}
		if r.follow() != 2 {
			t.Error("finality within the new period at its start")
		}
		time.Sleep(100 * time.Second)
		r.advance()
		time.Sleep(100 * time.Second)
		r.advance()
		if r.follow() != 3 {
			t.Error("no finality within the new period")
		}
		best := r.updates(period, 1)[0]
		r.SetSigners(100)
		time.Sleep(SlotsPerPeriod / 2 * time.Second)
		r.advance()
		if now := r.updates(period, 1)[0]; now.Data.SignatureSlot != best.Data.SignatureSlot {
			t.Error("a worse update took the place of a better one")
		}
		if r.SetSigners(CommitteeSize); r.advance().Slot <= uint64(best.Data.SignatureSlot) {
			t.Error("no new block")
		}
		if now := r.updates(period, 1)[0]; now.Data.SignatureSlot == best.Data.SignatureSlot {
			t.Error("a better update did not take the place of a worse one")
		}
	})
}

// TestAdvance: a slot that is over and free is used at once, and nothing is signed in the future.
func TestAdvance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Genesis: genesis(1000)})
		if r.Head().Slot != 999 || r.Now() != 1000 {
			t.Fatalf("head at %d, now %d", r.Head().Slot, r.Now())
		}
		begin := time.Now()
		r.advance() // waits for the end of slot 1000
		if waited := time.Since(begin); waited != time.Second || r.Head().Slot != 1000 {
			t.Errorf("waited %v to slot %d", waited, r.Head().Slot)
		}
		time.Sleep(1500 * time.Millisecond)
		begin = time.Now()
		before := r.Head()
		if after := r.advance(); after.Slot != 1001 || after.Hash == before.Hash || !time.Now().Equal(begin) {
			t.Errorf("waited %v from %+v to %+v", time.Since(begin), before, after)
		}
		if r.advance(); time.Since(begin) != 500*time.Millisecond {
			t.Errorf("waited %v", time.Since(begin))
		}
	})
}

// TestAdvanceTogether: of several callers who wait for a slot, one makes the block and all have it.
func TestAdvanceTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Genesis: genesis(1000)})
		slots := make(chan uint64, 8)
		for range cap(slots) {
			go func() {
				slot, err := r.Advance()
				if err != nil {
					t.Error(err)
				}
				slots <- slot
			}()
		}
		for range cap(slots) {
			if slot := <-slots; slot != 1000 {
				t.Errorf("slot %d", slot)
			}
		}
	})
}

func TestAuto(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var newest atomic.Pointer[types.Header] // nil: the node fails
		fresh := execution()
		newest.Store(fresh())
		r := start(t, Config{Genesis: genesis(1000), Auto: true, Head: newest.Load})
		time.Sleep(200 * time.Second)
		synctest.Wait()
		if head, final := r.Head(), r.Finalized(); head.Slot != 1199 || final.Slot != (1199/32-2)*32 {
			t.Errorf("head at %d, finalised at %d", head.Slot, final.Slot)
		}
		r.follow()
		header := fresh()
		newest.Store(header)
		hash := header.Hash()
		for range 2 { // the second time there is nothing to wait for
			if err := r.Follow(t.Context()); err != nil || r.Head().Hash != hash {
				t.Errorf("no follow: %v", err)
			}
		}
		newest.Store(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if slot := r.Head().Slot; slot != 1200 {
			t.Errorf("head at %d without an execution block", slot)
		}
		newest.Store(header)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if slot := r.Head().Slot; slot != 1220 {
			t.Errorf("head at %d", slot)
		}
	})
}

func TestFinality(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{FinalityLag: 1 << 40})
		begin := r.Finalized()
		if begin.Slot == 0 || begin.Slot >= r.Head().Slot {
			t.Fatalf("finalised at %d", begin.Slot)
		}
		for range 5 {
			time.Sleep(SlotsPerEpoch * time.Second)
			r.advance()
		}
		r.follow()
		if r.Finalized() != begin {
			t.Error("finality went on")
		}
		if r.SetFinalityLag(1); r.Finalized() != begin {
			t.Error("finality went on without a block")
		}
		time.Sleep(time.Second)
		head := r.advance()
		late := r.Finalized()
		if late.Slot <= begin.Slot || late.Slot > (head.Slot/SlotsPerEpoch-3)*SlotsPerEpoch {
			t.Errorf("finalised at %d, the head is at %d", late.Slot, head.Slot)
		}
		final, err := r.Finalize()
		if err != nil || r.Finalized() != final || final.Slot <= head.Slot || r.Head().Slot <= final.Slot {
			t.Errorf("finalised %+v, not %+v: %v", r.Finalized(), final, err)
		}
		r.follow()
		r.bootstrap(final.Root)
		time.Sleep(SlotsPerEpoch * time.Second)
		if r.advance(); r.Finalized() != final {
			t.Error("finality went back")
		}
	})
}

// TestMemory makes many blocks: what is kept is bounded, and the rest is still provable.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Genesis: genesis(maxHistory * SlotsPerPeriod), History: maxHistory})
		if got := bytes.Count(r.raw("updates?start_period=0&count=1000"), []byte(`"signature_slot"`)); got != maxHistory {
			t.Errorf("%d updates", got)
		}
		if got := len(r.updates(7, 3)); got != 3 {
			t.Errorf("%d updates of 3", got)
		}
		for range 24 {
			time.Sleep(SlotsPerPeriod / 2 * time.Second)
			r.advance()
		}
		if len(r.Chain.updates) > maxUpdates || len(r.recent) != maxRecent || len(r.committees) > maxCommittees || len(r.anchors) > maxAnchors {
			t.Errorf("%d updates, %d blocks, %d committees, %d anchors", len(r.Chain.updates), len(r.recent), len(r.committees), len(r.anchors))
		}
		list := r.updates(r.Head().Slot/SlotsPerPeriod-1, 2)
		r.check(list[1], list[0].Data.Next)
	})
	if list := appendBounded([]int{1, 2, 3}, 4, 3); len(list) != 3 || list[0] != 2 || list[2] != 4 {
		t.Errorf("%v", list)
	}
}

func TestConfig(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	for name, config := range map[string]Config{
		"no head":        {},
		"young":          {Head: execution(), Genesis: now.Add(-90 * time.Second)},
		"future":         {Head: execution(), Genesis: now.Add(time.Hour)},
		"fraction":       {Head: execution(), Genesis: now.Add(-time.Hour - time.Millisecond)},
		"slot time":      {Head: execution(), SlotTime: 1500 * time.Millisecond},
		"short slots":    {Head: execution(), SlotTime: time.Millisecond},
		"history":        {Head: execution(), History: maxHistory + 1},
		"many signers":   {Head: execution(), Signers: 513},
		"signers":        {Head: execution(), Signers: -1},
		"unknown fork":   {Head: execution(), Forks: map[string]uint64{"electra": 0, "heze": 7}},
		"order of forks": {Head: execution(), Forks: map[string]uint64{"deneb": 5, "electra": 4}},
		"late capella":   {Head: execution(), Forks: map[string]uint64{"capella": 1}},
		"port":           {Head: execution(), Port: 1 << 17},
		"no block":       {Head: func() *types.Header { return nil }},
	} {
		if c, err := Start(t.Context(), config); err == nil {
			t.Errorf("%s: started", name)
			_ = c.Close()
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ended, Config{Head: execution()}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	r := start(t, Config{Genesis: now.Add(-minSlots * time.Second), Forks: map[string]uint64{"deneb": 0, "fulu": 2}})
	r.follow()
	for slot, want := range map[uint64]string{63: "electra", 64: "fulu", 1 << 40: "fulu"} {
		if got := r.forkAt(slot).name; got != want {
			t.Errorf("slot %d is of %s", slot, got)
		}
	}
}

// TestClose: who waits is told, nothing goes on.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{SlotTime: time.Hour, Auto: true})
		failed := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := r.Advance()
				failed <- err
			}()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Follow(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		for range 2 {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
		for range 2 {
			if err := <-failed; !errors.Is(err, errClosed) {
				t.Errorf("%v", err)
			}
		}
		if _, err := r.Advance(); !errors.Is(err, errClosed) {
			t.Errorf("%v", err)
		}
		if _, err := r.Finalize(); !errors.Is(err, errClosed) {
			t.Errorf("%v", err)
		}
	})
}

// TestPast starts at many slots: there is always a head, something finalised, and a way from the checkpoint
// to the committee of now.
func TestPast(t *testing.T) {
	for _, from := range []uint64{minSlots, SlotsPerPeriod - 2, 2*SlotsPerPeriod - 5} {
		for slotNow := from; slotNow < from+200; slotNow += 13 {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, Config{Genesis: genesis(slotNow)})
				_, slot := r.Checkpoint()
				if head, final := r.Head().Slot, r.Finalized().Slot; head != slotNow-1 || final == 0 || final+3*SlotsPerEpoch < head || slot > final {
					t.Errorf("slotNow %d: head %d, finalised %d, checkpoint %d", slotNow, head, final, slot)
				}
				for period := slot / SlotsPerPeriod; period < slotNow/SlotsPerPeriod; period++ {
					u := r.Chain.updates[period]
					if u == nil || u.finalized.header.slot/SlotsPerPeriod != period {
						t.Errorf("slotNow %d: no handover in period %d", slotNow, period)
					}
				}
			})
		}
	}
}
