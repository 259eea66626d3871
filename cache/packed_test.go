package cache

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestFoundWhileGrowing: what is kept is found all the while that tables grow and neighbours come, go and are
// replaced.
func TestFoundWhileGrowing(t *testing.T) {
	m := NewMemory(MemoryConfig{Entries: 1000}) // few shards, with long chains
	m.Resize(MemoryConfig{Entries: 100_000})
	const steady = 300
	for i := range steady {
		m.Set(kept(fmt.Sprintf("steady%d", i)))
	}
	var done atomic.Bool
	var readers sync.WaitGroup
	for g := range 2 {
		rnd := rand.New(rand.NewPCG(2, uint64(g)))
		readers.Go(func() {
			for !done.Load() {
				if label := fmt.Sprintf("steady%d", rnd.IntN(steady)); !m.has(label) {
					t.Errorf("%s was not found", label)
					return
				}
			}
		})
	}
	for i := range 4_000 {
		m.Set(kept(fmt.Sprintf("other%d", i), "other"))
		m.Set(kept(fmt.Sprintf("steady%d", i%steady)))
		if i%1000 == 999 {
			m.Drop("other")
		}
	}
	done.Store(true)
	readers.Wait()
	checkIndex(t, m)
}

// TestClockSetBack: an entry from the future is of an age that nobody knows, but for what clocks differ by.
func TestClockSetBack(t *testing.T) {
	p := kept("a")
	for _, tt := range []struct {
		since         time.Duration
		fresh, usable bool
	}{
		{0, true, true}, {-time.Second, true, true}, {-time.Minute, true, true}, {-2 * time.Minute, false, false}, {-365 * 24 * time.Hour, false, false},
		{time.Hour - 1, true, true}, {time.Hour, false, true}, {2*time.Hour - 1, false, true}, {2 * time.Hour, false, false},
	} {
		now := p.stored + int64(tt.since)
		if fresh, usable := p.fresh(now), p.usable(now, time.Hour); fresh != tt.fresh || usable != tt.usable {
			t.Errorf("after %v: fresh %v, usable %v", tt.since, fresh, usable)
		}
	}
}

// TestRenewalsShareOne: however many ask at once, one of them renews.
func TestRenewalsShareOne(t *testing.T) {
	p := kept("a")
	now := p.stored + p.life()*95/100
	p.hit(now)
	var renewed atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				if p.hit(now) {
					renewed.Add(1)
				}
			}
		})
	}
	group.Wait()
	if n := renewed.Load(); n != 1 {
		t.Errorf("%d renewals", n)
	}
}
