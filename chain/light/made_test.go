package light

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// made is an update before it is signed and encoded, for tests to lie in.
type made struct {
	w         *world
	version   string
	attested  *block
	finalized *block // nil: none
	next      *team  // nil: none
	signers   int
	period    uint64 // of the team that signs
	fork      Fork   // of the domain
	sigSlot   uint64
	change    func(data map[string]any) // of what is sent
	signed    *common.Hash              // another root to sign
}

// update is the honest update about the block of a slot, signed in the slot after it.
func (w *world) update(slot uint64) *made { return w.updateAt(slot, slot+1) }

func (w *world) updateAt(slot, sigSlot uint64) *made {
	m := &made{
		w: w, attested: w.block(slot), signers: w.n.CommitteeSize, sigSlot: sigSlot,
		period: sigSlot / w.n.SlotsPerEpoch / w.n.EpochsPerPeriod, fork: w.forkAt(sigSlot - 1),
		next: w.team(slot/w.n.SlotsPerEpoch/w.n.EpochsPerPeriod + 1),
	}
	m.version = m.attested.fork
	if final := w.final(slot); final > 0 {
		m.finalized = w.block(final)
	}
	return m
}

func (m *made) bits() []byte {
	bits := make([]byte, m.w.n.CommitteeSize/8)
	for i := range m.signers {
		// The absent are the first ones, so that not only the last byte is partial.
		at := m.w.n.CommitteeSize - 1 - i
		bits[at/8] |= 1 << (at % 8)
	}
	return bits
}

// data is the update as the API writes it.
func (m *made) data() map[string]any {
	committees, final := lengths(m.version)
	index := indicesOf(m.attested.fork)
	root := m.attested.root()
	if m.signed != nil {
		root = *m.signed
	}
	var version common.Hash
	copy(version[:], m.fork.Version[:])
	forkData := pair(version, m.w.n.ValidatorsRoot)
	domain := common.Hash(append([]byte{7, 0, 0, 0}, forkData[:28]...))
	bits := m.bits()
	data := map[string]any{
		"attested_header": m.attested.json(m.version),
		"sync_aggregate": map[string]any{
			"sync_committee_bits":      "0x" + hex.EncodeToString(bits),
			"sync_committee_signature": "0x" + hex.EncodeToString(m.w.team(m.period).sign(bits, pair(root, domain))),
		},
		"signature_slot":             text(m.sigSlot),
		"finalized_header":           zeroHeader(m.version),
		"finality_branch":            lengthened(nil, final),
		"next_sync_committee":        zeroTeam(m.w.n.CommitteeSize),
		"next_sync_committee_branch": lengthened(nil, committees),
	}
	if m.finalized != nil {
		data["finalized_header"] = m.finalized.json(m.version)
		data["finality_branch"] = lengthened(m.attested.state.branch(index.final), final)
	}
	if m.next != nil {
		data["next_sync_committee"] = m.next.json()
		data["next_sync_committee_branch"] = lengthened(m.attested.state.branch(index.next), committees)
	}
	if m.change != nil {
		m.change(data)
	}
	return data
}

func zeroHeader(version string) map[string]any {
	zero := &block{state: &tree{leaves: map[uint64]common.Hash{1: {}}}, body: &tree{leaves: map[uint64]common.Hash{1: {}}}}
	h := map[string]any{"beacon": zero.json("gloas")["beacon"]}
	if version == "gloas" {
		h["execution_block_hash"], h["execution_branch"] = common.Hash{}.Hex(), lengthened(nil, 11)
		return h
	}
	o := common.Hash{}.Hex()
	h["execution"] = map[string]any{
		"parent_hash": o, "fee_recipient": common.Address{}.Hex(), "state_root": o, "receipts_root": o,
		"logs_bloom": "0x" + hex.EncodeToString(make([]byte, 256)), "prev_randao": o, "block_number": "0", "gas_limit": "0",
		"gas_used": "0", "timestamp": "0", "extra_data": "0x", "base_fee_per_gas": "0", "block_hash": o,
		"transactions_root": o, "withdrawals_root": o, "blob_gas_used": "0", "excess_blob_gas": "0",
	}
	h["execution_branch"] = lengthened(nil, 4)
	return h
}

func zeroTeam(size int) map[string]any {
	t := &team{total: make([]byte, 48)}
	for range size {
		t.pubkeys = append(t.pubkeys, make([]byte, 48))
	}
	return t.json()
}

func (m *made) answer() map[string]any {
	return map[string]any{"version": m.version, "data": m.data()}
}

// whole, finality and optimistic decode the update as it comes from one of the three paths.
func (m *made) whole(tb testing.TB) *Update {
	tb.Helper()
	list, err := DecodeUpdates(m.w.n, encode(tb, []any{m.answer()}))
	if err != nil {
		tb.Fatal(err)
	}
	return list[0]
}

func (m *made) finality(tb testing.TB) *Update {
	tb.Helper()
	u, err := DecodeFinalityUpdate(m.w.n, encode(tb, m.answer()))
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

func (m *made) optimistic(tb testing.TB) *Update {
	tb.Helper()
	u, err := DecodeOptimisticUpdate(m.w.n, encode(tb, m.answer()))
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

// bootstrapAnswer is the bootstrap of a slot's block in the form of a version.
func (w *world) bootstrapAnswer(slot uint64, version string) map[string]any {
	b := w.block(slot)
	committees, _ := lengths(version)
	return map[string]any{"version": version, "data": map[string]any{
		"header":                        b.json(version),
		"current_sync_committee":        w.team(slot / w.n.SlotsPerEpoch / w.n.EpochsPerPeriod).json(),
		"current_sync_committee_branch": lengthened(b.state.branch(indicesOf(b.fork).current), committees),
	}}
}

func (w *world) bootstrap(tb testing.TB, slot uint64) *Bootstrap {
	tb.Helper()
	b, err := DecodeBootstrap(w.n, encode(tb, w.bootstrapAnswer(slot, w.block(slot).fork)))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// store is one that begins with the block of a slot.
func (w *world) store(tb testing.TB, slot uint64) *Store {
	tb.Helper()
	s, err := NewStore(w.n, w.block(slot).root(), w.bootstrap(tb, slot))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// at is a moment within a slot.
func (w *world) at(slot uint64) time.Time {
	return w.n.Genesis.Add(time.Duration(slot)*w.n.SlotTime + w.n.SlotTime/2)
}

// mustApply applies what must be right.
func (w *world) mustApply(tb testing.TB, s *Store, u *Update) bool {
	tb.Helper()
	advanced, err := s.Apply(u, w.at(u.SignatureSlot()))
	if err != nil {
		tb.Fatal(err)
	}
	return advanced
}
