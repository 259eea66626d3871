package light

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/ethereum/go-ethereum/common"
)

// field returns the object that holds the last name of a path, for a lie to change it.
func field(data map[string]any, path ...string) map[string]any {
	for _, name := range path {
		data = data[name].(map[string]any)
	}
	return data
}

func set(value any, path ...string) func(map[string]any) {
	return func(data map[string]any) { field(data, path[:len(path)-1]...)[path[len(path)-1]] = value }
}

// turned returns a list of hashes with one of them changed.
func turned(name string, at int) func(map[string]any) {
	return func(data map[string]any) {
		list := append([]any{}, data[name].([]any)...)
		list[at] = filler(99, uint64(at)).Hex()
		data[name] = list
	}
}

func in(what func(map[string]any), path ...string) func(map[string]any) {
	return func(data map[string]any) { what(field(data, path...)) }
}

func infinity(size int) string {
	return "0x" + hex.EncodeToString(append([]byte{0xc0}, make([]byte, size-1)...))
}

// lies are changes of an honest update that must be refused, with the reason. The honest one is of slot 50
// of period 0 unless an "at" says otherwise, to a store that began at slot 16.
type lie struct {
	name string
	at   uint64 // slot
	make func(w *world, m *made)
	want error
}

func change(f func(map[string]any)) func(*world, *made) {
	return func(_ *world, m *made) { m.change = f }
}

func lies() []lie {
	return []lie{
		{"21 of 32", 0, func(_ *world, m *made) { m.signers = 21 }, ErrSigners},
		{"nobody", 0, func(_ *world, m *made) { m.signers = 0 }, ErrSigners},
		{"nobody and infinity", 0, func(_ *world, m *made) {
			m.signers = 0
			m.change = set(infinity(96), "sync_aggregate", "sync_committee_signature")
		}, ErrSigners},
		{"bits of members who did not sign", 0, func(_ *world, m *made) {
			m.signers = 21
			m.change = set("0xffffffff", "sync_aggregate", "sync_committee_bits")
		}, ErrSignature},
		{"other bits", 0, func(_ *world, m *made) {
			m.signers = 24
			m.change = set("0xffffff00", "sync_aggregate", "sync_committee_bits")
		}, ErrSignature},
		{"signature of another block", 0, func(w *world, m *made) { h := w.block(51).root(); m.signed = &h }, ErrSignature},
		{"signature at infinity", 0, change(set(infinity(96), "sync_aggregate", "sync_committee_signature")), ErrSignature},
		{"signature that is no point", 0, change(set("0x"+strings.Repeat("ff", 96), "sync_aggregate", "sync_committee_signature")), ErrSignature},
		{"signature outside the subgroup", 0, change(set("0x"+hex.EncodeToString(strangePoint()), "sync_aggregate", "sync_committee_signature")), ErrSignature},
		{"committee of the next period", 0, func(_ *world, m *made) { m.period = 1 }, ErrSignature},
		{"committee that nobody knows", 0, func(_ *world, m *made) { m.period = 1000 }, ErrSignature},
		{"fork version of the fork before", 0, func(w *world, m *made) { m.fork = w.n.Forks[2] }, ErrSignature},
		{"fork version of the next fork", 0, func(w *world, m *made) { m.fork = w.n.Forks[4] }, ErrSignature},
		{"another network", 0, func(w *world, m *made) {
			other := *w.n
			other.ValidatorsRoot = filler(77, 7)
			m.w = &world{n: &other, blocks: w.blocks, teams: w.teams}
		}, ErrSignature},
		{"slot in the future", 0, func(_ *world, m *made) { m.sigSlot = 64 }, ErrFutureSlot},
		{"slot at the end of time", 0, func(_ *world, m *made) { m.sigSlot = 1<<64 - 1 }, ErrFutureSlot},
		{"signed before it was made", 0, func(_ *world, m *made) { m.sigSlot = 49 }, ErrMalformed},
		{"signed in its own slot", 0, func(_ *world, m *made) { m.sigSlot = 50 }, ErrMalformed},
		{"signed in slot 0", 0, func(_ *world, m *made) { m.sigSlot = 0 }, ErrMalformed},
		{"later slot signed", 0, change(set("51", "attested_header", "beacon", "slot")), ErrMalformed},
		{"earlier slot", 0, change(set("49", "attested_header", "beacon", "slot")), ErrSignature},
		{"finality after the block", 0, func(w *world, m *made) { m.finalized = w.block(51) }, ErrMalformed},
		{"another proposer", 0, change(set("7", "attested_header", "beacon", "proposer_index")), ErrSignature},
		{"another parent", 0, change(set(filler(9, 9).Hex(), "attested_header", "beacon", "parent_root")), ErrSignature},
		{"another state", 0, change(set(filler(9, 9).Hex(), "attested_header", "beacon", "state_root")), ErrProof},
		{"another body", 0, change(set(filler(9, 9).Hex(), "attested_header", "beacon", "body_root")), ErrProof},
		{"another execution block", 0, change(set(filler(9, 9).Hex(), "attested_header", "execution", "block_hash")), ErrProof},
		{"another execution state", 0, change(set(filler(9, 9).Hex(), "attested_header", "execution", "state_root")), ErrProof},
		{"another number", 0, change(set("9", "attested_header", "execution", "block_number")), ErrProof},
		{"another time", 0, change(set("9", "attested_header", "execution", "timestamp")), ErrProof},
		{"another base fee", 0, change(set("9", "attested_header", "execution", "base_fee_per_gas")), ErrProof},
		{"longer extra data", 0, change(set("0x"+hex.EncodeToString([]byte("made up\x00")), "attested_header", "execution", "extra_data")), ErrProof},
		{"finalised execution block", 0, change(set(filler(9, 9).Hex(), "finalized_header", "execution", "block_hash")), ErrProof},
		{"finalised block of another slot", 0, func(w *world, m *made) { m.finalized = w.block(31) }, ErrProof},
		{"execution branch", 0, change(in(turned("execution_branch", 2), "attested_header")), ErrProof},
		{"finalised execution branch", 0, change(in(turned("execution_branch", 0), "finalized_header")), ErrProof},
		{"finality branch", 0, change(turned("finality_branch", 5)), ErrProof},
		{"committee branch", 0, change(turned("next_sync_committee_branch", 0)), ErrProof},
		{"branch of zeros to the finalised block", 0, change(set(lengthened(nil, 6), "finality_branch")), ErrMalformed},
		{"branch of zeros to the next committee", 0, change(set(lengthened(nil, 5), "next_sync_committee_branch")), ErrMalformed},
		{"finalised block of zeros", 0, change(set(zeroHeader("capella"), "finalized_header")), ErrProof},
		{"finalised block of slot 0", 0, change(set("0", "finalized_header", "beacon", "slot")), ErrMalformed},
		{"next committee of zeros", 0, change(set(zeroTeam(32), "next_sync_committee")), ErrProof},
		{"forged next committee", 0, func(w *world, m *made) { m.next = w.team(500) }, ErrProof},
		{"next committee, one key replaced", 0, func(w *world, m *made) {
			m.change = func(data map[string]any) {
				field(data, "next_sync_committee")["pubkeys"].([]any)[3] = "0x" + hex.EncodeToString(w.team(500).pubkeys[0])
			}
		}, ErrProof},
		{"current committee as the next one", 0, func(w *world, m *made) { m.next = w.team(0) }, ErrProof},
		{"blob gas before deneb", 0, func(_ *world, m *made) {
			m.version = "deneb"
			m.change = set("1", "attested_header", "execution", "blob_gas_used")
		}, ErrMalformed},
		{"excess blob gas before deneb", 0, func(_ *world, m *made) {
			m.version = "deneb"
			m.change = set("1", "finalized_header", "execution", "excess_blob_gas")
		}, ErrMalformed},
		{"indices of electra before it", 158, func(_ *world, m *made) {
			m.attested, m.version = electraState(m.attested), "electra"
		}, ErrProof},
		{"form before electra after it", 170, func(_ *world, m *made) {
			m.version = "deneb"
			m.change = func(data map[string]any) {
				data["finality_branch"] = data["finality_branch"].([]any)[1:]
				data["next_sync_committee_branch"] = data["next_sync_committee_branch"].([]any)[1:]
			}
		}, ErrProof},
		{"form before deneb after it", 100, func(_ *world, m *made) { m.version = "capella" }, ErrMalformed},
		{"form before gloas after it", 370, func(_ *world, m *made) {
			old := *m.attested
			old.payload = m.w.block(345).payload
			m.attested, m.finalized, m.next, m.version = &old, nil, nil, "fulu"
		}, ErrMalformed},
		{"form of gloas, its hash of electra's index", 340, func(_ *world, m *made) {
			m.version = "gloas"
			m.change = set(filler(9, 9).Hex(), "attested_header", "execution_block_hash")
		}, ErrProof},
		{"gloas, another execution block", 370, change(set(filler(9, 9).Hex(), "attested_header", "execution_block_hash")), ErrProof},
		{"gloas, no execution block", 370, change(func(data map[string]any) {
			h := field(data, "attested_header")
			h["execution_block_hash"], h["execution_branch"] = common.Hash{}.Hex(), lengthened(nil, 11)
		}), ErrProof},
	}
}

// electraState is the block with its state's leaves where Electra has them.
func electraState(b *block) *block {
	c := *b
	c.state = &tree{seed: b.state.seed, leaves: map[uint64]common.Hash{}}
	from, to := indicesOf("deneb"), indicesOf("electra")
	c.state.leaves[to.current], c.state.leaves[to.next], c.state.leaves[to.final] =
		b.state.leaves[from.current], b.state.leaves[from.next], b.state.leaves[from.final]
	c.fork = "electra"
	return &c
}

// strangePoint is on the curve of signatures, but not in the subgroup.
func strangePoint() []byte {
	for x := uint64(1); ; x++ {
		var f = bls.G2Affine{}
		f.X.A0.SetUint64(x)
		raw := f.X.A0.Bytes()
		compressed := make([]byte, 96)
		copy(compressed[48:], raw[:])
		compressed[0] |= 0x80
		if _, err := new(bls.G2Affine).SetBytes(compressed); err != nil && strings.Contains(err.Error(), "subgroup") {
			return compressed
		}
	}
}

func TestLies(t *testing.T) {
	t.Parallel()
	w := newWorld(small())
	stores := map[uint64]*Store{}
	for _, lie := range lies() {
		t.Run(lie.name, func(t *testing.T) {
			slot := lie.at
			if slot == 0 {
				slot = 50
			}
			start := max(slot/64*64, 16)
			if stores[start] == nil {
				stores[start] = w.store(t, start)
			}
			before := *stores[start]
			s := new(before)
			m := w.update(slot)
			lie.make(w, m)
			list, err := DecodeUpdates(w.n, encode(t, []any{m.answer()}))
			if err == nil {
				var advanced bool
				advanced, err = s.Apply(list[0], w.at(slot+2))
				if advanced {
					t.Error("it advanced")
				}
			}
			if !errors.Is(err, lie.want) {
				t.Errorf("%v, expected %v", err, lie.want)
			}
			if !reflect.DeepEqual(before, *s) {
				t.Error("the store has changed")
			}
			if !w.mustApply(t, s, w.update(slot).whole(t)) {
				t.Error("the honest update is refused after it")
			}
		})
	}
}

// TestForgedBootstrap changes what a checkpoint's block comes with.
func TestForgedBootstrap(t *testing.T) {
	w := newWorld(small())
	key := func(at int, value string) func(map[string]any) {
		return func(data map[string]any) { field(data, "current_sync_committee")["pubkeys"].([]any)[at] = value }
	}
	tests := []struct {
		name   string
		change func(data map[string]any)
		want   error
	}{
		{"nothing", func(map[string]any) {}, nil},
		{"slot", set("91", "header", "beacon", "slot"), ErrCheckpoint},
		{"state", set(filler(9, 9).Hex(), "header", "beacon", "state_root"), ErrCheckpoint},
		{"another block", func(data map[string]any) { data["header"] = w.block(91).json("deneb") }, ErrCheckpoint},
		{"committee", func(data map[string]any) { data["current_sync_committee"] = w.team(7).json() }, ErrProof},
		{"next committee", func(data map[string]any) { data["current_sync_committee"] = w.team(2).json() }, ErrProof},
		{"a key", key(0, "0x"+hex.EncodeToString(w.team(7).pubkeys[0])), ErrProof},
		{"a key at infinity", key(0, infinity(48)), ErrProof},
		{"aggregate", set("0x"+hex.EncodeToString(w.team(7).total), "current_sync_committee", "aggregate_pubkey"), ErrProof},
		{"branch", turned("current_sync_committee_branch", 4), ErrProof},
		{"execution block", set(filler(9, 9).Hex(), "header", "execution", "block_hash"), ErrProof},
		{"blob gas", set("9", "header", "execution", "excess_blob_gas"), ErrProof},
		{"execution branch", in(turned("execution_branch", 3), "header"), ErrProof},
	}
	for _, test := range tests {
		answer := w.bootstrapAnswer(90, "deneb")
		test.change(answer["data"].(map[string]any))
		b, err := DecodeBootstrap(w.n, encode(t, answer))
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		s, err := NewStore(w.n, w.block(90).root(), b)
		if !errors.Is(err, test.want) || (s == nil) != (err != nil) {
			t.Errorf("%s: %v, expected %v", test.name, err, test.want)
		}
	}
}

// TestBadKeys has committees that are proven, but whose keys are not fit to verify anything.
func TestBadKeys(t *testing.T) {
	inf, _ := hex.DecodeString(infinity(48)[2:])
	tests := []struct {
		name string
		make func(good *team)
		want string
	}{
		{"key at infinity", func(good *team) { good.pubkeys[5] = inf }, "key 5: public key is the point at infinity"},
		{"key that is no point", func(good *team) { good.pubkeys[6] = make([]byte, 48) }, "key 6"},
		{"aggregate of others", func(good *team) { good.total = good.pubkeys[0] }, "the aggregate key is"},
		{"aggregate at infinity", func(good *team) { good.total = inf }, "the aggregate key is"},
		{"sum at infinity", func(good *team) {
			var p bls.G1Affine
			for i := range good.pubkeys {
				_, _ = p.SetBytes(good.pubkeys[0])
				if i%2 == 1 {
					p.Neg(&p)
				}
				key := p.Bytes()
				good.pubkeys[i] = key[:]
			}
			good.total = inf
		}, "the sum of all keys is the point at infinity"},
	}
	for _, test := range tests {
		w := newWorld(small())
		bad := newTeam(1, 32)
		test.make(bad)
		w.teams[1] = bad
		b, err := DecodeBootstrap(w.n, encode(t, w.bootstrapAnswer(90, "deneb")))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewStore(w.n, w.block(90).root(), b); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: bootstrap: %v", test.name, err)
		}
		// As the next committee it is refused when it would be taken over.
		s := w.store(t, 16)
		if _, err := s.Apply(w.update(50).whole(t), w.at(51)); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: update: %v", test.name, err)
		}
		if s.Optimistic().Slot != 16 || s.next != nil {
			t.Errorf("%s: the store has changed", test.name)
		}
	}
}

// TestAbsentAddUpToNothing has signers whose keys cancel each other out: with the point at infinity as
// both key and signature anything would be "signed".
func TestAbsentAddUpToNothing(t *testing.T) {
	w := newWorld(small())
	odd := newTeam(0, 32)
	var p bls.G1Affine
	for i := 9; i < 32; i++ { // 8 absent at most: the first ones
		odd.secrets[i] = odd.secrets[8]
		if i%2 == 1 {
			odd.secrets[i].Neg(&odd.secrets[8])
		}
		_, _ = p.SetBytes(odd.pubkeys[8])
		if i%2 == 1 {
			p.Neg(&p)
		}
		key := p.Bytes()
		odd.pubkeys[i] = key[:]
	}
	var sum bls.G1Jac
	for _, key := range odd.pubkeys {
		_, _ = p.SetBytes(key)
		sum.AddMixed(&p)
	}
	p.FromJacobian(&sum)
	total := p.Bytes()
	odd.total = total[:]
	w.teams[0] = odd
	s := w.store(t, 16)
	m := w.update(50)
	m.signers = 24
	if _, err := s.Apply(m.optimistic(t), w.at(51)); !errors.Is(err, ErrSignature) || !strings.Contains(err.Error(), "infinity") {
		t.Errorf("%v, expected ErrSignature", err)
	}
	m.signers = 25
	w.mustApply(t, s, m.optimistic(t))
}
