package light

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
)

// honest says whether all that a store believes is of the world, and younger than what it believed before.
// The slot of a signature is not signed, so it only has to lie within reason.
func (w *world) honest(t *testing.T, before, after *Store, now uint64) {
	t.Helper()
	for _, h := range []struct{ old, now Head }{{before.optimistic, after.optimistic}, {before.finalized, after.finalized}} {
		if h.old == h.now {
			continue
		}
		b := w.block(h.now.Slot)
		if h.now.Slot <= h.old.Slot || h.now.Root != b.root() || h.now.BlockHash != b.blockHash || h.now.Fork != b.fork {
			t.Errorf("%+v is not of this world, expected %v with %v", h.now, b.root(), b.blockHash)
		}
		if h.now.BlockNumber != 0 && (h.now.BlockNumber != b.slot+100 || !h.now.BlockTime.Equal(w.n.SlotStart(b.slot))) {
			t.Errorf("%+v is not of this world", h.now)
		}
		if h.now.Signers < w.n.Supermajority() || h.now.SignatureSlot <= h.now.Slot || h.now.SignatureSlot > now {
			t.Errorf("%+v is signed by too few or at a wrong time", h.now)
		}
	}
	if after.period != w.n.Period(after.finalized.Slot) || after.current.root != w.team(after.period).root() {
		t.Errorf("committee %v of period %d is not of this world", after.current.root, after.period)
	}
	if after.next != nil && after.next.root != w.team(after.period+1).root() {
		t.Errorf("next committee %v of period %d is not of this world", after.next.root, after.period)
	}
}

// spot is a place in a JSON document.
type spot struct {
	get func() any
	set func(any)
}

func spots(v any, set func(any)) (list []spot) {
	list = append(list, spot{func() any { return v }, set})
	switch v := v.(type) {
	case map[string]any:
		var keys []string
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			list = append(list, spots(v[k], func(x any) { v[k] = x })...)
		}
	case []any:
		for i := range v {
			list = append(list, spots(v[i], func(x any) { v[i] = x })...)
		}
	}
	return list
}

// copied shares nothing with v.
func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any)
		for k, x := range v {
			c[k] = copied(x)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, x := range v {
			c[i] = copied(x)
		}
		return c
	}
	return v
}

// mutate changes one place of a document.
func mutate(r *rand.Rand, doc any) any {
	root := doc
	all := spots(doc, func(x any) { root = x })
	at, from := all[r.IntN(len(all))], all[r.IntN(len(all))]
	switch v := at.get().(type) {
	case string:
		at.set(mutateText(r, v, copied(from.get())))
	case []any:
		switch i := r.IntN(max(len(v), 1)); r.IntN(4) {
		case 0:
			at.set(append([]any{common.Hash{}.Hex()}, v...))
		case 1:
			at.set(v[i:])
		case 2:
			at.set(v[:i])
		default:
			c := slices.Clone(v)
			r.Shuffle(len(c), func(i, j int) { c[i], c[j] = c[j], c[i] })
			at.set(c)
		}
	default:
		at.set(copied(from.get()))
	}
	return root
}

func mutateText(r *rand.Rand, s string, other any) any {
	if s == "" {
		return other
	}
	b := []byte(s)
	i := r.IntN(len(b))
	switch r.IntN(6) {
	case 0:
		return other
	case 1:
		return strings.ToUpper(s)
	case 2:
		return string(b[:i])
	case 3:
		return s + "0"
	default:
		b[i] = "0123456789abcdef"[r.IntN(16)]
		return string(b)
	}
}

// TestMutations changes honest updates in one to three places: what is accepted is true all the same.
func TestMutations(t *testing.T) {
	t.Parallel()
	w := newWorld(small())
	r := rand.New(rand.NewPCG(4, 8))
	accepted, refused := 0, 0
	for _, slot := range []uint64{50, 90, 180, 300, 400} {
		body := encode(t, w.update(slot).answer())
		s := w.store(t, slot/64*64)
		for range 75 {
			var doc any
			if err := json.Unmarshal(body, &doc); err != nil {
				t.Fatal(err)
			}
			for range 1 + r.IntN(3) {
				doc = mutate(r, doc)
			}
			after := *s
			list, err := DecodeUpdates(w.n, encode(t, []any{doc}))
			if err == nil {
				_, err = after.Apply(list[0], w.at(slot+20))
			}
			w.honest(t, s, &after, slot+20)
			if err == nil {
				accepted++
				continue
			}
			refused++
			if after != *s {
				t.Errorf("%v: the store has changed", err)
			}
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrProof) && !errors.Is(err, ErrSignature) && !errors.Is(err, ErrSigners) &&
				!errors.Is(err, ErrFork) && !errors.Is(err, ErrFutureSlot) && !errors.Is(err, ErrUnknownPeriod) && !errors.Is(err, ErrPastPeriod) {
				t.Errorf("%v is of no class", err)
			}
		}
	}
	if accepted < 3 || refused < 250 {
		t.Errorf("%d were accepted, %d refused: the mutations are not of the right kind", accepted, refused)
	}
}

// fuzzWorld has committees of 8, so that a round is fast.
func fuzzWorld() *world {
	n := small()
	n.CommitteeSize = 8
	return newWorld(n)
}

func FuzzUpdate(f *testing.F) {
	w := fuzzWorld()
	for _, slot := range []uint64{50, 90, 180, 300, 400} {
		m := w.update(slot)
		f.Add(encode(f, []any{m.answer()}))
		f.Add(encode(f, m.answer()))
		m.signers = 6
		m.next, m.finalized = nil, nil
		f.Add(encode(f, m.answer()))
	}
	stores := make(map[uint64]*Store)
	for slot := uint64(0); slot < 480; slot += 64 {
		stores[slot/64] = w.store(f, slot)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := DecodeUpdates(w.n, body)
		if err != nil {
			list = nil
		}
		if len(list) > 4 {
			list = list[:4]
		}
		for _, decode := range []func(*Network, []byte) (*Update, error){DecodeFinalityUpdate, DecodeOptimisticUpdate} {
			if u, err := decode(w.n, body); err == nil {
				list = append(list, u)
			}
		}
		for _, u := range list {
			s := stores[w.n.Period(u.SignatureSlot())]
			if s == nil {
				s = stores[0]
			}
			after := *s
			advanced, err := after.Apply(u, w.at(470))
			if (err != nil || !advanced) && after != *s {
				t.Error("the store has changed")
			}
			w.honest(t, s, &after, 470)
		}
	})
}

func FuzzBootstrap(f *testing.F) {
	w := fuzzWorld()
	roots := make(map[common.Hash]uint64)
	for _, slot := range []uint64{16, 90, 180, 300, 400} {
		f.Add(encode(f, w.bootstrapAnswer(slot, w.block(slot).fork)))
		roots[w.block(slot).root()] = slot
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := DecodeBootstrap(w.n, body)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrFork) {
				t.Errorf("%v is of no class", err)
			}
			return
		}
		for root, slot := range roots {
			s, err := NewStore(w.n, root, b)
			if err != nil {
				continue
			}
			w.honest(t, s, s, slot)
			if h := s.Finalized(); h.Slot != slot || h.Root != root || h.BlockHash != w.block(slot).blockHash {
				t.Errorf("%+v is not of this world", h)
			}
		}
	})
}
