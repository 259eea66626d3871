package light

import (
	"testing"
)

// benchWorld is mainnet in its own size; the store knows the committee of period p and of p+1.
func benchWorld(b *testing.B) (*world, uint64) {
	b.Helper()
	n, _ := Named("mainnet")
	w := newWorld(n)
	slot := n.Forks[6].Epoch*32/8192*8192 + 8192*3 + 5000
	w.first = slot - 100
	return w, slot
}

func BenchmarkBootstrap(b *testing.B) {
	w, slot := benchWorld(b)
	body := encode(b, w.bootstrapAnswer(slot, "fulu"))
	root := w.block(slot).root()
	b.ReportAllocs()
	for b.Loop() {
		boot, err := DecodeBootstrap(w.n, body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err = NewStore(w.n, root, boot); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHandover(b *testing.B) {
	w, slot := benchWorld(b)
	body := encode(b, []any{w.update(slot + 200).answer()})
	s := w.store(b, slot)
	b.ReportAllocs()
	for b.Loop() {
		updates, err := DecodeUpdates(w.n, body)
		if err != nil {
			b.Fatal(err)
		}
		after := *s
		if _, err = after.Apply(updates[0], w.at(slot+300)); err != nil || after.next == nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHead(b *testing.B) {
	w, slot := benchWorld(b)
	m := w.update(slot + 200)
	m.signers = 500
	body := encode(b, m.answer())
	s := w.store(b, slot)
	b.ReportAllocs()
	for b.Loop() {
		u, err := DecodeFinalityUpdate(w.n, body)
		if err != nil {
			b.Fatal(err)
		}
		after := *s
		if advanced, err := after.Apply(u, w.at(slot+300)); err != nil || !advanced {
			b.Fatal(err)
		}
	}
}

func BenchmarkRestart(b *testing.B) {
	w, slot := benchWorld(b)
	s := w.store(b, slot)
	if _, err := s.Apply(w.update(slot+200).whole(b), w.at(slot+300)); err != nil {
		b.Fatal(err)
	}
	data := stored(b, s)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := UnmarshalStore(w.n, data); err != nil {
			b.Fatal(err)
		}
	}
}
