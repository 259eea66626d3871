package light

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"sync"
	"testing"
	"time"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/consensys/gnark-crypto/ecc/bls12-381/fr"
	"github.com/ethereum/go-ethereum/common"
)

// world is a made-up beacon chain: a block in every slot, committees with real keys, and states and bodies
// that hold only what light clients look at. It computes trees, domains and signatures by itself.
type world struct {
	n     *Network
	final func(slot uint64) uint64 // of the state at a slot; 0: none
	first uint64                   // states before this slot know of no finalised block

	mu     sync.Mutex
	blocks map[uint64]*block
	teams  map[uint64]*team
}

// small is a network of the minimal preset that has forks within and at the edge of periods of 64 slots.
func small() *Network {
	return &Network{
		Name: "small", Genesis: time.Unix(1_700_000_000, 0).UTC(), ValidatorsRoot: filler(1, 1),
		SlotTime: 6 * time.Second, SlotsPerEpoch: 8, EpochsPerPeriod: 8, CommitteeSize: 32,
		Forks: []Fork{
			{"phase0", 0, [4]byte{0, 0, 0, 1}}, {"altair", 0, [4]byte{1, 0, 0, 1}}, {"bellatrix", 0, [4]byte{2, 0, 0, 1}},
			{"capella", 0, [4]byte{3, 0, 0, 1}},
			{"deneb", 8, [4]byte{4, 0, 0, 1}},    // slot 64, period 1
			{"electra", 20, [4]byte{5, 0, 0, 1}}, // slot 160, within period 2
			{"fulu", 32, [4]byte{6, 0, 0, 1}},    // slot 256, period 4
			{"gloas", 44, [4]byte{7, 0, 0, 1}},   // slot 352, within period 5
			{"heze", 60, [4]byte{8, 0, 0, 1}},    // slot 480, within period 7; not known
		},
	}
}

func newWorld(n *Network) *world {
	w := &world{n: n, blocks: make(map[uint64]*block), teams: make(map[uint64]*team)}
	w.final = func(slot uint64) uint64 {
		if epoch := slot / n.SlotsPerEpoch; epoch > 2 && slot >= w.first {
			return (epoch - 2) * n.SlotsPerEpoch
		}
		return 0
	}
	return w
}

// team is a committee with its secrets.
type team struct {
	secrets []fr.Element
	pubkeys [][]byte
	total   []byte
}

func (w *world) team(period uint64) *team {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.teams[period] == nil {
		w.teams[period] = newTeam(period, w.n.CommitteeSize)
	}
	return w.teams[period]
}

func newTeam(seed uint64, size int) *team {
	t := &team{secrets: make([]fr.Element, size)}
	var sum fr.Element
	for i := range t.secrets {
		digest := sha256.Sum256(fmt.Appendf(nil, "secret %d of team %d", i, seed))
		t.secrets[i].SetBytes(digest[:])
		sum.Add(&sum, &t.secrets[i])
	}
	_, _, g1, _ := bls.Generators()
	for _, p := range bls.BatchScalarMultiplicationG1(&g1, append(t.secrets, sum)) {
		key := p.Bytes()
		t.pubkeys = append(t.pubkeys, key[:])
	}
	t.total, t.pubkeys = t.pubkeys[size], t.pubkeys[:size]
	return t
}

// sign signs for the members whose bits are set.
func (t *team) sign(bitvector []byte, message common.Hash) []byte {
	var sum fr.Element
	for i := range t.secrets {
		if bitvector[i/8]>>(i%8)&1 == 1 {
			sum.Add(&sum, &t.secrets[i])
		}
	}
	point, err := bls.HashToG2(message[:], []byte("BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"))
	if err != nil {
		panic(err)
	}
	point.ScalarMultiplication(&point, sum.BigInt(new(big.Int)))
	sig := point.Bytes()
	return sig[:]
}

// root is the hash tree root of a SyncCommittee.
func (t *team) root() common.Hash {
	leaf := func(key []byte) common.Hash {
		return sha256.Sum256(append(append([]byte{}, key...), make([]byte, 16)...))
	}
	level := make([]common.Hash, len(t.pubkeys))
	for i, key := range t.pubkeys {
		level[i] = leaf(key)
	}
	return pair(rootOf(level), leaf(t.total))
}

func (t *team) json() map[string]any {
	keys := make([]any, len(t.pubkeys))
	for i, key := range t.pubkeys {
		keys[i] = "0x" + hex.EncodeToString(key)
	}
	return map[string]any{"pubkeys": keys, "aggregate_pubkey": "0x" + hex.EncodeToString(t.total)}
}

func pair(l, r common.Hash) common.Hash {
	return sha256.Sum256(append(append([]byte{}, l[:]...), r[:]...))
}

// rootOf is the root of a tree over leaves, whose number is filled up with zeros to a power of two.
func rootOf(level []common.Hash) common.Hash {
	if len(level) == 1 {
		return level[0]
	}
	half := 1
	for half*2 < len(level) {
		half *= 2
	}
	full := make([]common.Hash, half*2)
	copy(full, level)
	return pair(rootOf(full[:half]), rootOf(full[half:]))
}

func filler(a, b uint64) common.Hash { return sha256.Sum256(fmt.Appendf(nil, "filler %d %d", a, b)) }

func uintLeaf(v uint64) (h common.Hash) {
	binary.LittleEndian.PutUint64(h[:], v)
	return h
}

// tree is a sparse tree: leaves by generalised index, and fillers elsewhere.
type tree struct {
	seed   uint64
	leaves map[uint64]common.Hash
}

func (t *tree) node(index uint64) common.Hash {
	if leaf, ok := t.leaves[index]; ok {
		return leaf
	}
	for leaf := range t.leaves {
		for g := leaf; g > index; g /= 2 {
			if g/2 == index {
				return pair(t.node(2*index), t.node(2*index+1))
			}
		}
	}
	return filler(t.seed, index)
}

func (t *tree) branch(index uint64) (branch []common.Hash) {
	for ; index > 1; index /= 2 {
		branch = append(branch, t.node(index^1))
	}
	return branch
}

// The generalised indices of the specifications' pages, by fork: current and next committee, finalised
// root, execution block hash.
type indices struct{ current, next, final, hash uint64 }

func indicesOf(fork string) indices {
	switch fork {
	case "capella":
		return indices{54, 55, 105, 25*16 + 12}
	case "deneb":
		return indices{54, 55, 105, 25*32 + 12}
	case "electra", "fulu":
		return indices{86, 87, 169, 25*32 + 12}
	}
	return indices{2945, 2946, 735, 2856}
}

// block is a beacon block with its state.
type block struct {
	slot        uint64
	fork        string
	proposer    uint64
	parent      common.Hash
	state, body *tree
	payload     map[string]any // of the API; nil from Gloas on
	payloadRoot common.Hash
	blockHash   common.Hash
	payloadTree []common.Hash
}

func (w *world) forkAt(slot uint64) Fork {
	var fork Fork
	for _, f := range w.n.Forks {
		if f.Epoch <= slot/w.n.SlotsPerEpoch {
			fork = f
		}
	}
	return fork
}

func (w *world) block(slot uint64) *block {
	w.mu.Lock()
	b := w.blocks[slot]
	w.mu.Unlock()
	if b != nil {
		return b
	}
	b = w.make(slot, w.final(slot))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.blocks[slot] = b
	return b
}

// make makes a block whose state knows of the finalised block of slot final.
func (w *world) make(slot, final uint64) *block {
	b := &block{slot: slot, fork: w.forkAt(slot).Name, proposer: slot % 100, parent: filler(2, slot), blockHash: filler(3, slot)}
	index := indicesOf(b.fork)
	period := slot / w.n.SlotsPerEpoch / w.n.EpochsPerPeriod
	b.state = &tree{seed: 1000 + slot, leaves: map[uint64]common.Hash{
		index.current: w.team(period).root(),
		index.next:    w.team(period + 1).root(),
		index.final:   {},
	}}
	if final > 0 {
		b.state.leaves[index.final] = w.block(final).root()
	}
	b.body = &tree{seed: 2000 + slot, leaves: map[uint64]common.Hash{index.hash: b.blockHash}}
	if b.fork == "gloas" || b.fork == "heze" {
		return b
	}
	b.makePayload(w)
	b.body.leaves = map[uint64]common.Hash{25: b.payloadRoot}
	return b
}

func (b *block) makePayload(w *world) {
	bloom, extra := make([]byte, 256), []byte("made up")
	bloom[b.slot%256] = 1
	blobs := b.fork != "capella"
	time := uint64(w.n.Genesis.Unix()) + b.slot*uint64(w.n.SlotTime/1e9)
	fee := new(big.Int).Lsh(big.NewInt(int64(b.slot)+7), 70)
	var feeLeaf common.Hash
	for i, c := range fee.Bytes() {
		feeLeaf[len(fee.Bytes())-1-i] = c
	}
	var bloomLeaves []common.Hash
	for i := range 8 {
		bloomLeaves = append(bloomLeaves, common.Hash(bloom[32*i:32*i+32]))
	}
	recipient := common.Address(filler(4, b.slot).Bytes()[:20])
	b.payload = map[string]any{
		"parent_hash": filler(5, b.slot).Hex(), "fee_recipient": "0x" + hex.EncodeToString(recipient[:]),
		"state_root": filler(6, b.slot).Hex(), "receipts_root": filler(7, b.slot).Hex(),
		"logs_bloom": "0x" + hex.EncodeToString(bloom), "prev_randao": filler(8, b.slot).Hex(),
		"block_number": text(b.slot + 100), "gas_limit": text(30_000_000), "gas_used": text(b.slot * 1000),
		"timestamp": text(time), "extra_data": "0x" + hex.EncodeToString(extra), "base_fee_per_gas": fee.String(),
		"block_hash": b.blockHash.Hex(), "transactions_root": filler(9, b.slot).Hex(), "withdrawals_root": filler(10, b.slot).Hex(),
	}
	b.payloadTree = []common.Hash{
		filler(5, b.slot), common.Hash(append(recipient[:], make([]byte, 12)...)), filler(6, b.slot), filler(7, b.slot),
		rootOf(bloomLeaves), filler(8, b.slot), uintLeaf(b.slot + 100), uintLeaf(30_000_000), uintLeaf(b.slot * 1000), uintLeaf(time),
		pair(common.Hash(append(extra, make([]byte, 32-len(extra))...)), uintLeaf(uint64(len(extra)))), feeLeaf, b.blockHash,
		filler(9, b.slot), filler(10, b.slot),
	}
	if blobs {
		b.payload["blob_gas_used"], b.payload["excess_blob_gas"] = text(131072), text(b.slot)
		b.payloadTree = append(b.payloadTree, uintLeaf(131072), uintLeaf(b.slot))
	}
	b.payloadRoot = rootOf(b.payloadTree)
}

func text(v uint64) string { return strconv.FormatUint(v, 10) }

// root is that of the BeaconBlockHeader.
func (b *block) root() common.Hash {
	return rootOf([]common.Hash{uintLeaf(b.slot), uintLeaf(b.proposer), b.parent, b.state.node(1), b.body.node(1)})
}

// json is the block's LightClientHeader in the form of a version.
func (b *block) json(version string) map[string]any {
	h := map[string]any{"beacon": map[string]any{
		"slot": text(b.slot), "proposer_index": text(b.proposer), "parent_root": b.parent.Hex(),
		"state_root": b.state.node(1).Hex(), "body_root": b.body.node(1).Hex(),
	}}
	index := indicesOf(b.fork)
	if version == "gloas" {
		h["execution_block_hash"] = b.blockHash.Hex()
		branch := b.body.branch(index.hash)
		if b.payload != nil {
			branch = append((&tree{leaves: leavesOf(b.payloadTree)}).branch(index.hash%16+lengthOf(b.payloadTree)), b.body.branch(25)...)
		}
		h["execution_branch"] = lengthened(branch, 11)
		return h
	}
	payload := map[string]any{}
	for k, v := range b.payload {
		payload[k] = v
	}
	if version != "capella" && b.fork == "capella" {
		payload["blob_gas_used"], payload["excess_blob_gas"] = "0", "0"
	}
	h["execution"] = payload
	h["execution_branch"] = lengthened(b.body.branch(25), 4)
	return h
}

func lengthOf(leaves []common.Hash) uint64 {
	if len(leaves) > 16 {
		return 32
	}
	return 16
}

// leavesOf puts leaves into a whole tree.
func leavesOf(list []common.Hash) map[uint64]common.Hash {
	m := make(map[uint64]common.Hash)
	for i := range lengthOf(list) {
		var leaf common.Hash
		if int(i) < len(list) {
			leaf = list[i]
		}
		m[lengthOf(list)+i] = leaf
	}
	return m
}

// lengthened is a branch with leading zeros up to a length.
func lengthened(branch []common.Hash, length int) []any {
	list := make([]any, 0, length)
	for range length - len(branch) {
		list = append(list, common.Hash{}.Hex())
	}
	for _, h := range branch {
		list = append(list, h.Hex())
	}
	return list
}

// lengths of the branches of a version: committees and finality.
func lengths(version string) (committee, final int) {
	switch version {
	case "capella", "deneb":
		return 5, 6
	case "electra", "fulu":
		return 6, 7
	}
	return 11, 9
}

func encode(tb testing.TB, v any) []byte {
	tb.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return body
}
