package light

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

func checkHead(t *testing.T, what string, got Head, b *block) {
	t.Helper()
	if got.Slot != b.slot || got.Root != b.root() || got.BlockHash != b.blockHash || got.Fork != b.fork {
		t.Errorf("%s is %+v, expected slot %d, block %v, execution block %v, %s", what, got, b.slot, b.root(), b.blockHash, b.fork)
	}
	gloas := b.fork == "gloas"
	if got.Parent != gloas || gloas && got.BlockNumber != 0 || (got.BlockNumber == 0) != got.BlockTime.IsZero() {
		t.Errorf("%s is %+v: number, time or parent are wrong for %s", what, got, b.fork)
	}
}

func TestBootstrap(t *testing.T) {
	w := newWorld(small())
	for _, slot := range []uint64{0, 9, 63, 64, 100, 160, 256, 352, 400} {
		s := w.store(t, slot)
		b := w.block(slot)
		checkHead(t, "optimistic", s.Optimistic(), b)
		checkHead(t, "finalized", s.Finalized(), b)
		if root, at := s.Checkpoint(); root != b.root() || at != slot || s.Period() != slot/64 {
			t.Errorf("began with %v at %d in period %d", root, at, s.Period())
		}
		if h := s.Finalized(); h.Signers != 0 || h.SignatureSlot != 0 || h.Committee != 32 || h.Period != slot/64 {
			t.Errorf("the checkpoint is %+v, but nobody signed it", h)
		}
	}
}

func TestFollow(t *testing.T) {
	w := newWorld(small())
	s := w.store(t, 16)
	// Heads come by all three ways, with 22 of 32 at least.
	m := w.update(40)
	m.signers = 22
	if !w.mustApply(t, s, m.optimistic(t)) {
		t.Error("a newer head did not advance the store")
	}
	checkHead(t, "optimistic", s.Optimistic(), w.block(40))
	checkHead(t, "finalized", s.Finalized(), w.block(16))
	if h := s.Optimistic(); h.Signers != 22 || h.Committee != 32 || h.SignatureSlot != 41 || h.Period != 0 {
		t.Errorf("signed by %+v", h)
	}
	if !w.mustApply(t, s, w.update(41).finality(t)) {
		t.Error("a newer finalised block did not advance the store")
	}
	checkHead(t, "optimistic", s.Optimistic(), w.block(41))
	checkHead(t, "finalized", s.Finalized(), w.block(24))
	if h := s.Finalized(); h.Signers != 32 || h.SignatureSlot != 42 {
		t.Errorf("signed by %+v", h)
	}
	// A late head and a replay are right, and bring nothing.
	for _, u := range []*Update{w.update(41).finality(t), w.update(39).optimistic(t), w.update(30).finality(t)} {
		if w.mustApply(t, s, u) {
			t.Error("an old update advanced the store")
		}
	}
	checkHead(t, "optimistic", s.Optimistic(), w.block(41))
	checkHead(t, "finalized", s.Finalized(), w.block(24))
}

// TestRollOver follows every fork and every period up to the fork that is not known, with a restart at
// each step.
func TestRollOver(t *testing.T) {
	t.Parallel()
	w := newWorld(small())
	s := w.store(t, 16)
	for slot := uint64(33); slot < 480; slot += 11 {
		w.mustApply(t, s, w.update(slot).whole(t))
		checkHead(t, "optimistic", s.Optimistic(), w.block(slot))
		checkHead(t, "finalized", s.Finalized(), w.block(slot/8*8-16))
		if want := (slot/8*8 - 16) / 64; s.Period() != want {
			t.Fatalf("slot %d: period %d, expected %d", slot, s.Period(), want)
		}
		data, err := s.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if s, err = UnmarshalStore(w.n, data); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Apply(w.update(470).optimistic(t), w.at(471))
	if err != nil {
		t.Fatal(err)
	}
	// The last block of the fork that is known may be signed under the next one, too: that is not known either.
	for slot, sig := range map[uint64]uint64{479: 481, 480: 481, 481: 482} {
		m := w.updateAt(slot, sig)
		m.version = "gloas"
		_, err = s.Apply(m.optimistic(t), w.at(490))
		if !errors.Is(err, ErrFork) || !strings.Contains(err.Error(), `"heze"`) || !strings.Contains(err.Error(), "upgrade") {
			t.Errorf("slot %d: %v, expected ErrFork that names heze", slot, err)
		}
	}
}

// TestForkWithin signs just before and at each fork: the domain is that of the slot before the signature's.
func TestForkWithin(t *testing.T) {
	w := newWorld(small())
	for _, fork := range []uint64{64, 160, 256, 352} {
		start := fork - 40
		for _, at := range []struct{ slot, sig uint64 }{{fork - 2, fork - 1}, {fork - 1, fork}, {fork - 1, fork + 1}, {fork, fork + 1}} {
			s := w.store(t, start)
			if at.sig/64 != start/64 {
				w.mustApply(t, s, w.update(start/64*64+50).whole(t)) // the next committee
			}
			w.mustApply(t, s, w.updateAt(at.slot, at.sig).finality(t))
			checkHead(t, "optimistic", s.Optimistic(), w.block(at.slot))

			wrong := w.updateAt(at.slot, at.sig)
			wrong.fork = w.forkAt(at.sig - 2)
			if wrong.fork == w.forkAt(at.sig-1) {
				wrong.fork = w.forkAt(fork)
			}
			if wrong.fork == w.forkAt(at.sig-1) {
				wrong.fork = w.forkAt(fork - 1)
			}
			if _, err := s.Apply(wrong.finality(t), w.at(at.sig)); !errors.Is(err, ErrSignature) {
				t.Errorf("block %d signed at %d with the domain of %s: %v, expected ErrSignature", at.slot, at.sig, wrong.fork.Name, err)
			}
		}
	}
}

// TestLaterForm takes data of earlier forks in the form of later ones, as a server that lives later may
// give it.
func TestLaterForm(t *testing.T) {
	w := newWorld(small())
	versions := []string{"capella", "deneb", "electra", "fulu", "gloas"}
	for _, slot := range []uint64{40, 90, 150, 180, 300, 400} {
		for _, version := range versions {
			answer := w.bootstrapAnswer(slot/64*64, version)
			b, err := DecodeBootstrap(w.n, encode(t, answer))
			older := rank(version) < rank(w.block(slot/64*64).fork)
			if older && err != nil {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err = NewStore(w.n, w.block(slot/64*64).root(), b); (err != nil) != older && !sameShape(version, w.block(slot/64*64).fork) {
				t.Errorf("bootstrap of slot %d in the form of %s: %v", slot/64*64, version, err)
			}
			if rank(version) < rank(w.block(slot).fork) {
				continue
			}
			s := w.store(t, slot/64*64)
			m := w.update(slot)
			m.version = version
			if !w.mustApply(t, s, m.whole(t)) {
				t.Errorf("slot %d in the form of %s did not advance", slot, version)
			}
			if h := s.Optimistic(); h.BlockHash != w.block(slot).blockHash || h.Parent != (w.block(slot).fork == "gloas") {
				t.Errorf("slot %d in the form of %s: %+v", slot, version, h)
			}
		}
	}
}

func sameShape(a, b string) bool {
	return a == b || a == "electra" && b == "fulu"
}

// TestHandover shows when a committee hands over: with finality within its own period only.
func TestHandover(t *testing.T) {
	w := newWorld(small())
	lagging := newWorld(small())
	lagging.final = func(slot uint64) uint64 { return min(w.final(slot), 56) } // finality stops in period 0

	s := lagging.store(t, 16)
	none := lagging.update(40)
	none.finalized = nil
	lagging.mustApply(t, s, none.whole(t))
	if _, err := s.Apply(lagging.update(70).optimistic(t), lagging.at(80)); !errors.Is(err, ErrUnknownPeriod) {
		t.Errorf("without finality the next committee signed: %v", err)
	}
	lagging.mustApply(t, s, lagging.update(62).whole(t))
	lagging.mustApply(t, s, lagging.update(70).whole(t))
	lagging.mustApply(t, s, lagging.update(126).whole(t))
	checkHead(t, "optimistic", s.Optimistic(), lagging.block(126))
	checkHead(t, "finalized", s.Finalized(), lagging.block(56))
	if s.Period() != 0 {
		t.Errorf("period %d has begun without finality", s.Period())
	}
	// Finality of a period before says nothing of the committee after the next.
	if _, err := s.Apply(lagging.update(130).whole(t), lagging.at(140)); !errors.Is(err, ErrUnknownPeriod) {
		t.Errorf("a committee was handed over by finality in another period: %v", err)
	}

	// Not even when a later block of this period is final already.
	s = w.store(t, 64)
	w.mustApply(t, s, w.update(70).whole(t)) // finalises block 48
	if s.next != nil {
		t.Error("a committee was handed over by finality in the period before")
	}
	w.mustApply(t, s, w.update(80).whole(t)) // finalises block 64
	if s.next == nil {
		t.Error("no committee was handed over by the first finality in its period")
	}

	// The last block of a period, signed by the first slot of the next one.
	s = w.store(t, 16)
	w.mustApply(t, s, w.update(50).whole(t))
	w.mustApply(t, s, w.updateAt(63, 64).whole(t))
	if h := s.Optimistic(); h.Slot != 63 || h.Period != 1 || s.Period() != 0 {
		t.Errorf("across the boundary: %+v, period %d", h, s.Period())
	}
	// By a finality update the period begins, the committee after it comes later.
	w.mustApply(t, s, w.update(90).finality(t))
	if s.Period() != 1 || s.next != nil {
		t.Errorf("period %d, next known: %v", s.Period(), s.next != nil)
	}
	if _, err := s.Apply(w.update(140).finality(t), w.at(150)); !errors.Is(err, ErrUnknownPeriod) {
		t.Errorf("a period was skipped: %v", err)
	}
	if _, err := s.Apply(w.update(60).finality(t), w.at(150)); !errors.Is(err, ErrPastPeriod) {
		t.Errorf("a retired committee signed: %v", err)
	}
	if !w.mustApply(t, s, w.update(89).whole(t)) || s.next == nil {
		t.Error("the next committee did not come with an older block")
	}
}

func TestMissing(t *testing.T) {
	w := newWorld(small())
	s := w.store(t, 16)
	known := w.store(t, 16)
	w.mustApply(t, known, w.update(50).whole(t))
	tests := []struct {
		s            *Store
		slot         uint64
		start, count uint64
	}{
		{s, 0, 0, 0}, {s, 15, 0, 0}, {s, 16, 0, 1}, {s, 63, 0, 1}, {s, 64, 0, 1}, {s, 80, 0, 2}, {s, 128, 0, 2}, {s, 64 * 300, 0, 128},
		{known, 16, 1, 0}, {known, 63, 1, 0}, {known, 64, 1, 0}, {known, 79, 1, 0}, {known, 80, 1, 1}, {known, 128, 1, 1}, {known, 200, 1, 2}, {known, 210, 1, 3},
	}
	for _, test := range tests {
		if start, count := test.s.Missing(w.at(test.slot)); start != test.start || count != test.count {
			t.Errorf("at slot %d: %d from %d, expected %d from %d", test.slot, count, start, test.count, test.start)
		}
	}
	if _, count := s.Missing(w.n.Genesis.Add(-time.Hour)); count != 0 {
		t.Errorf("before genesis %d are missing", count)
	}
}

// TestCatchUp goes by Missing from an old checkpoint to now.
func TestCatchUp(t *testing.T) {
	w := newWorld(small())
	s := w.store(t, 20)
	now := w.at(470)
	for round := 0; ; round++ {
		start, count := s.Missing(now)
		if count == 0 {
			break
		}
		if round > 3 {
			t.Fatalf("still missing %d from %d", count, start)
		}
		var list []any
		for p := start; p < start+count; p++ {
			list = append(list, w.update(p*64+min(50, 468-p*64)).answer())
		}
		updates, err := DecodeUpdates(w.n, encode(t, list))
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range updates {
			if _, err := s.Apply(u, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	checkHead(t, "optimistic", s.Optimistic(), w.block(468))
}

// TestMainnetSize does it once with 512 members and the bound of 342.
func TestMainnetSize(t *testing.T) {
	n, _ := Named("mainnet")
	w := newWorld(n)
	slot := n.Forks[6].Epoch*32 + 8192*3 + 5000
	w.first = slot - 100
	s := w.store(t, slot)
	m := w.update(slot + 100)
	m.signers = 341
	if _, err := s.Apply(m.optimistic(t), w.at(slot+110)); !errors.Is(err, ErrSigners) || !strings.Contains(err.Error(), "341 of 512, expected at least 342") {
		t.Errorf("341 signers: %v", err)
	}
	m.signers = 342
	if !w.mustApply(t, s, m.whole(t)) || s.next == nil {
		t.Error("342 signers did not advance the store")
	}
	checkHead(t, "optimistic", s.Optimistic(), w.block(slot+100))
	if s.Finalized().Root == (common.Hash{}) || s.Finalized().Slot != w.final(slot+100) {
		t.Errorf("finalised is %+v", s.Finalized())
	}
}
