package consensus

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/beacon/merkle"
	"github.com/ethereum/go-ethereum/beacon/params"
	"github.com/ethereum/go-ethereum/common"
)

func sum(data []byte) common.Hash { return sha256.Sum256(data) }

func start(t *testing.T, config Config) *reader {
	t.Helper()
	if config.Head == nil {
		config.Head = execution()
	}
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

// follow goes from the checkpoint to the head and checks all on the way.
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
	for period := slot / SlotsPerPeriod; ; period++ {
		list := r.updates(period, 1)
		if len(list) == 0 {
			break
		}
		u := list[0]
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
	if f := r.finality(); f.Data.Finalized.Beacon.root() != r.Finalized().Root {
		r.t.Error("finality update of another block")
	}
	return periods
}

func TestEachFork(t *testing.T) {
	for _, fork := range []string{"capella", "deneb", "electra", "fulu", "gloas"} {
		t.Run(fork, func(t *testing.T) {
			r := start(t, Config{Forks: map[string]uint64{fork: 0}, History: 2})
			if periods := r.follow(); periods != 3 {
				t.Errorf("%d periods with finality", periods)
			}
			if u := r.optimistic(); u.Version != fork {
				t.Errorf("version %s", u.Version)
			}
		})
	}
}

func TestForkBoundary(t *testing.T) {
	forks := []string{"deneb", "electra", "fulu", "gloas"}
	for _, fork := range forks {
		t.Run(fork, func(t *testing.T) {
			// Epoch 300 has just begun: the head is the last block before or the first of it.
			const epoch = 300
			r := start(t, Config{
				Forks:   map[string]uint64{fork: epoch},
				Genesis: time.Now().Add(-epoch * SlotsPerEpoch * time.Second).Truncate(time.Second),
			})
			seen := map[string]bool{}
			for range 3 {
				r.follow()
				seen[r.optimistic().Version] = true
				if _, err := r.Advance(); err != nil {
					t.Fatal(err)
				}
			}
			r.follow()
			if seen[r.optimistic().Version] = true; len(seen) != 2 {
				t.Errorf("saw %v", seen)
			}
		})
	}
}

func TestAdvance(t *testing.T) {
	r := start(t, Config{})
	before := r.Head()
	for range 3 {
		slot, err := r.Advance()
		if err != nil {
			t.Fatal(err)
		}
		after := r.Head()
		if after.Slot != slot || slot <= before.Slot || slot >= r.Now() || after.Hash == before.Hash {
			t.Errorf("from %+v to %+v at slot %d", before, after, r.Now())
		}
		r.follow()
		before = after
	}
}
