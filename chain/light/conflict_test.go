package light

import (
	"errors"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
)

// TestConflict is what only a committee that signs lies can bring about.
func TestConflict(t *testing.T) {
	w, fork := newWorld(small()), newWorld(small())
	fork.teams = map[uint64]*team{0: w.team(0), 1: newTeam(900, 32), 2: w.team(2)}
	s := w.store(t, 16)
	w.mustApply(t, s, w.update(50).whole(t))
	other := fork.update(51)
	other.finalized = nil
	if _, err := s.Apply(other.whole(t), w.at(52)); !errors.Is(err, ErrConflict) {
		t.Errorf("another next committee: %v, expected ErrConflict", err)
	}
	if _, err := s.Apply(fork.update(51).finality(t), w.at(52)); !errors.Is(err, ErrConflict) {
		t.Errorf("another finalised block: %v, expected ErrConflict", err)
	}
	if s.Optimistic().Slot != 50 {
		t.Error("the store has changed")
	}
}

// TestForkNotScheduled meets data of a fork whose time this release, or the network's config.yaml, does not
// know.
func TestForkNotScheduled(t *testing.T) {
	ours := newWorld(small())
	ours.n.Forks = ours.n.Forks[:7] // to fulu
	theirs := newWorld(small())
	for _, slot := range []uint64{352, 370} {
		b, err := DecodeBootstrap(ours.n, encode(t, theirs.bootstrapAnswer(slot, "gloas")))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = NewStore(ours.n, theirs.block(slot).root(), b); !errors.Is(err, ErrFork) || !strings.Contains(err.Error(), "found data of gloas, expected fulu") {
			t.Errorf("bootstrap at %d: %v, expected ErrFork", slot, err)
		}
		s := ours.store(t, 330)
		u, err := DecodeOptimisticUpdate(ours.n, encode(t, theirs.update(slot).answer()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = s.Apply(u, ours.at(400)); !errors.Is(err, ErrFork) {
			t.Errorf("update at %d: %v, expected ErrFork", slot, err)
		}
	}
	// The last block before the fork is of the old form, and only its signature is of the new one.
	s := ours.store(t, 330)
	if _, err := s.Apply(theirs.updateAt(351, 353).optimistic(t), ours.at(400)); !errors.Is(err, ErrSignature) {
		t.Errorf("%v, expected ErrSignature", err)
	}
}

// TestNotMade has values that no decoder returns.
func TestNotMade(t *testing.T) {
	w := newWorld(small())
	s := w.store(t, 16)
	if _, err := s.Apply(&Update{}, w.at(50)); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	if _, err := NewStore(w.n, common.Hash{1}, &Bootstrap{}); !errors.Is(err, ErrCheckpoint) {
		t.Error(err)
	}
	short := w.update(50).whole(t)
	short.next = short.next[pubkeySize:]
	if _, err := s.Apply(short, w.at(51)); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	large := *w.n
	large.CommitteeSize = 64
	if _, err := NewStore(&large, w.block(16).root(), w.bootstrap(t, 16)); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	if _, err := NewStore(&Network{}, common.Hash{}, &Bootstrap{}); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

// TestUnproven: before the first signature holds, the network may be the wrong one; afterwards it is not.
func TestUnproven(t *testing.T) {
	w := newWorld(small())
	n := small()
	n.ValidatorsRoot = filler(77, 7)
	s, err := NewStore(n, w.block(16).root(), w.bootstrap(t, 16))
	if err != nil {
		t.Fatal(err)
	}
	u := w.update(50).optimistic(t)
	if _, err := s.Apply(u, w.at(51)); !errors.Is(err, ErrUnproven) || !errors.Is(err, ErrSignature) {
		t.Errorf("under another validators root: %v", err)
	}
	s = w.store(t, 16)
	w.mustApply(t, s, u)
	m := w.update(52)
	m.period = 1000
	if _, err := s.Apply(m.optimistic(t), w.at(53)); errors.Is(err, ErrUnproven) || !errors.Is(err, ErrSignature) {
		t.Errorf("a forgery after a signature that held: %v", err)
	}
}
