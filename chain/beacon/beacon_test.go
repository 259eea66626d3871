package beacon

import (
	"testing"
	"testing/synctest"
	"time"

	"dens/chain"
	"dens/chain/light"
	"dens/internal/demo/consensus"
)

// TestAnchor: a client that knows one old checkpoint has the chain's newest block, with the evidence for it.
func TestAnchor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, consensus.Config{History: 2})
	_, endpoint := w.server("alpha", nil)
	c := w.client(w.config(endpoint))
	a, head := anchor(t, c), w.chain.Head()
	if a.Hash != head.Hash || a.Source != chain.AnchorBeacon || len(a.Vouchers) != 1 || a.Vouchers[0] != "alpha" {
		t.Errorf("anchor %+v, want block %v", a, head.Hash)
	}
	b := a.Beacon
	if b.Network != "made-up" || b.Checkpoint != w.checkpoint || b.CheckpointSlot != w.slot || b.Slot != head.Slot || b.Root != head.Root ||
		b.SignatureSlot != head.Slot+1 || b.Signers != 500 || b.Committee != 512 || b.Finalized || b.Fork != "fulu" ||
		b.Period != (head.Slot+1)/consensus.SlotsPerPeriod {
		t.Errorf("evidence %+v", *b)
	}
	if !c.Ready() {
		t.Error("not ready")
	}
	// An answer that comes after another endpoint's has nothing new, and is no failure.
	if err := c.periods(w.slot/consensus.SlotsPerPeriod, 2)(c.peers[0]); err != nil {
		t.Errorf("late: %v", err)
	}
	if c.isNewer(light.Head{Slot: head.Slot + 1}, a) || !c.isNewer(light.Head{Slot: head.Slot + 1, BlockHash: head.Hash}, a) {
		t.Error("a block without an execution block is an anchor")
	}
}

// TestCalm: blocks cost one request for each, and one for each finalised epoch.
func TestCalm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, consensus.Config{SlotTime: 12 * time.Second, Auto: true})
		s, endpoint := w.inside("alpha", nil)
		idle, other := w.inside("beta", nil)
		c := w.client(w.config(endpoint, other))
		anchor(t, c)
		time.Sleep(4 * time.Minute)
		before, last := s.count("optimistic_update"), uint64(0)
		const slots = 100
		for range slots {
			time.Sleep(12 * time.Second)
			a := anchor(t, c)
			if a.Beacon.Slot <= last {
				t.Fatalf("slot %d after %d", a.Beacon.Slot, last)
			}
			last = a.Beacon.Slot
		}
		if last+2 < w.chain.Now() {
			t.Errorf("slot %d, now is %d", last, w.chain.Now())
		}
		if got := s.count("optimistic_update") - before; got > slots+3 {
			t.Errorf("%d requests for %d slots", got, slots)
		}
		if got := s.count("finality_update"); got > 13 {
			t.Errorf("%d requests for finality", got)
		}
		if got := idle.count(""); got < 2 || got > 26 {
			t.Errorf("%d requests to the other endpoint, want some", got)
		}
		st := c.Status()
		if st.FailingFor != 0 || st.Reason != "" || st.ExpiresIn < 4*time.Minute || !st.Endpoints[1].Usable || st.Endpoints[0].Errors != 0 {
			t.Errorf("status %+v", st)
		}
		if final := st.Finalized.Beacon; final.Slot != w.chain.Finalized().Slot || !final.Finalized {
			t.Errorf("finalised %+v, want %+v", final, w.chain.Finalized())
		}
	})
}
