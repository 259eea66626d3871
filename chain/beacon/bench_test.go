package beacon

import (
	"net/http"
	"testing"
	"time"

	"dens/chain"
	"dens/chain/light"
	"dens/internal/demo/consensus"
)

// BenchmarkHead is a new block from the request to the anchor: a real socket, JSON, proofs and a signature
// of 500 members.
func BenchmarkHead(b *testing.B) {
	w := newWorld(b, consensus.Config{SlotTime: 12 * time.Second})
	s, endpoint := w.server("alpha", nil)
	c := w.client(w.config(endpoint))
	head := anchor(b, c).Beacon.Slot
	c.Close()
	var err error
	c.ctx = b.Context()
	if c.peers, err = newPeers(c.ctx, c.cfg); err != nil {
		b.Fatal(err)
	}
	// Blocks of later slots, and a clock for each.
	var made []*consensus.Forged
	for i := range 64 {
		made = append(made, w.forge(consensus.Forgery{Slot: head + 1 + uint64(i), Execution: block(uint64(i)), Signers: 500}))
	}
	state, err := c.store.MarshalBinary()
	if err != nil {
		b.Fatal(err)
	}
	at := 0
	c.cfg.now = func() time.Time { return w.network.SlotStart(made[at].Slot + 2) }
	s.set(func(_ string, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		_, _ = w.Write(made[at].Optimistic)
	})
	b.ReportAllocs()
	for b.Loop() {
		if err := c.head(c.peers[0]); err != nil {
			b.Fatal(err)
		}
		if c.headSlot() != made[at].Slot {
			b.Fatal("the block was not taken")
		}
		if at++; at == len(made) {
			at = 0
			c.core.Lock()
			b.StopTimer()
			if c.store, err = light.UnmarshalStore(w.network, state); err != nil {
				b.Fatal(err)
			}
			c.view.optimistic = chain.Anchor{}
			b.StartTimer()
			c.core.Unlock()
		}
	}
}
