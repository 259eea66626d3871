package consensus

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"math/big"
	"math/bits"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/ethereum/go-ethereum/beacon/merkle"
	"github.com/ethereum/go-ethereum/beacon/params"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
)

// What follows reads the chain's answers with go-ethereum's indices, proofs and signing roots.

type readHeader struct {
	Slot          common.Decimal `json:"slot"`
	ProposerIndex common.Decimal `json:"proposer_index"`
	ParentRoot    common.Hash    `json:"parent_root"`
	StateRoot     common.Hash    `json:"state_root"`
	BodyRoot      common.Hash    `json:"body_root"`
}

type readLight struct {
	Beacon    readHeader                 `json:"beacon"`
	Execution map[string]json.RawMessage `json:"execution"`
	Hash      *common.Hash               `json:"execution_block_hash"`
	Branch    merkle.Values              `json:"execution_branch"`
}

type readCommittee struct {
	Keys      []hexutil.Bytes `json:"pubkeys"`
	Aggregate hexutil.Bytes   `json:"aggregate_pubkey"`
}

type readUpdate struct {
	Version string `json:"version"`
	Data    struct {
		Attested       readLight      `json:"attested_header"`
		Next           *readCommittee `json:"next_sync_committee"`
		NextBranch     merkle.Values  `json:"next_sync_committee_branch"`
		Finalized      *readLight     `json:"finalized_header"`
		FinalityBranch merkle.Values  `json:"finality_branch"`
		Aggregate      struct {
			Bits      hexutil.Bytes `json:"sync_committee_bits"`
			Signature hexutil.Bytes `json:"sync_committee_signature"`
		} `json:"sync_aggregate"`
		SignatureSlot common.Decimal `json:"signature_slot"`
	} `json:"data"`
}

type readBootstrap struct {
	Version string `json:"version"`
	Data    struct {
		Header    readLight      `json:"header"`
		Committee *readCommittee `json:"current_sync_committee"`
		Branch    merkle.Values  `json:"current_sync_committee_branch"`
	} `json:"data"`
}

type reader struct {
	*Chain
	t      *testing.T
	config *params.ChainConfig
}

// points are those of committees that were read before, by root: to read them takes long.
var points sync.Map

func read(t *testing.T, c *Chain) *reader {
	t.Helper()
	r := &reader{Chain: c, t: t, config: &params.ChainConfig{GenesisValidatorsRoot: validatorsRoot()}}
	if err := r.config.LoadForks(c.NetworkConfig()); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *reader) get(path string, into any) {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		r.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
		r.t.Fatalf("%s: %v", path, err)
	}
}

func (r *reader) optimistic() (u readUpdate) {
	r.t.Helper()
	r.get("/eth/v1/beacon/light_client/optimistic_update", &u)
	return u
}

func (r *reader) finality() (u readUpdate) {
	r.t.Helper()
	r.get("/eth/v1/beacon/light_client/finality_update", &u)
	return u
}

func (r *reader) updates(start, count uint64) (list []readUpdate) {
	r.t.Helper()
	r.get("/eth/v1/beacon/light_client/updates?start_period="+strconv.FormatUint(start, 10)+"&count="+strconv.FormatUint(count, 10), &list)
	return list
}

func (r *reader) bootstrap(root common.Hash) (b readBootstrap) {
	r.t.Helper()
	r.get("/eth/v1/beacon/light_client/bootstrap/"+root.Hex(), &b)
	return b
}

func (h readHeader) root() common.Hash {
	var slot, proposer merkle.Value
	binary.LittleEndian.PutUint64(slot[:], uint64(h.Slot))
	binary.LittleEndian.PutUint64(proposer[:], uint64(h.ProposerIndex))
	return ssz([]merkle.Value{slot, proposer, merkle.Value(h.ParentRoot), merkle.Value(h.StateRoot), merkle.Value(h.BodyRoot)}, 3)
}

// ssz is the root of a tree of some depth, by recursion.
func ssz(chunks []merkle.Value, depth int) common.Hash {
	if depth == 0 {
		if len(chunks) == 0 {
			return common.Hash{}
		}
		return common.Hash(chunks[0])
	}
	half := min(1<<(depth-1), len(chunks))
	left, right := ssz(chunks[:half], depth-1), ssz(chunks[half:], depth-1)
	return sha256.Sum256(append(left[:], right[:]...))
}

func (c *readCommittee) root(t *testing.T) common.Hash {
	t.Helper()
	if len(c.Keys) != 512 {
		t.Fatalf("%d keys", len(c.Keys))
	}
	chunks := make([]merkle.Value, 512)
	for i, key := range c.Keys {
		chunks[i] = keyRoot(key)
	}
	keys, all := ssz(chunks, 9), keyRoot(c.Aggregate)
	return sha256.Sum256(append(keys[:], all[:]...))
}

func keyRoot(key []byte) merkle.Value {
	padded := make([]byte, 64)
	copy(padded, key)
	return sha256.Sum256(padded)
}

// fork is the lower-case name of the fork of a slot.
func (r *reader) fork(slot common.Decimal) string { return r.config.ForkNameAtSlot(uint64(slot)) }

// checkLight checks that a light header proves an execution block, and returns its hash.
func (r *reader) checkLight(version string, h readLight) (hash common.Hash) {
	r.t.Helper()
	if version == "gloas" {
		if h.Hash == nil || h.Execution != nil {
			r.t.Fatal("not a header of Gloas")
		}
		if len(h.Branch) != bits.Len(params.BodyIndexExecBlockHashGloas)-1 {
			r.t.Fatalf("branch of %d", len(h.Branch))
		}
		index := params.BodyIndexExecBlockHash(r.fork(h.Beacon.Slot))
		if err := merkle.VerifyNormalizedProof(h.Beacon.BodyRoot, index, h.Branch, merkle.Value(*h.Hash)); err != nil {
			r.t.Fatalf("execution hash: %v", err)
		}
		return *h.Hash
	}
	if err := merkle.VerifyProof(h.Beacon.BodyRoot, params.BodyIndexExecPayload, h.Branch, r.payloadRoot(version, h)); err != nil {
		r.t.Fatalf("execution header: %v", err)
	}
	r.field(h, "block_hash", &hash)
	return hash
}

func (r *reader) field(h readLight, name string, into any) {
	r.t.Helper()
	if err := json.Unmarshal(h.Execution[name], into); err != nil {
		r.t.Fatalf("field %s: %v", name, err)
	}
}

// payloadRoot computes the root of an execution header from its JSON.
func (r *reader) payloadRoot(version string, h readLight) merkle.Value {
	r.t.Helper()
	fields := []string{
		"parent_hash", "fee_recipient", "state_root", "receipts_root", "logs_bloom", "prev_randao", "block_number",
		"gas_limit", "gas_used", "timestamp", "extra_data", "base_fee_per_gas", "block_hash", "transactions_root",
		"withdrawals_root",
	}
	if version != "capella" {
		fields = append(fields, "blob_gas_used", "excess_blob_gas")
	}
	if len(h.Execution) != len(fields) {
		r.t.Fatalf("%d fields in an execution header of %s", len(h.Execution), version)
	}
	depth := 5
	if r.fork(h.Beacon.Slot) == "capella" {
		fields, depth = fields[:15], 4
	}
	chunks := make([]merkle.Value, len(fields))
	for i, name := range fields {
		text := ""
		r.field(h, name, &text)
		chunks[i] = r.chunk(name, text)
	}
	return merkle.Value(ssz(chunks, depth))
}

func (r *reader) chunk(name, text string) (chunk merkle.Value) {
	r.t.Helper()
	data, err := hexutil.Decode(text)
	switch {
	case err != nil: // a number
		n, ok := new(big.Int).SetString(text, 10)
		if !ok {
			r.t.Fatalf("%s is %q", name, text)
		}
		for i, b := range n.FillBytes(make([]byte, 32)) {
			chunk[31-i] = b
		}
	case name == "extra_data":
		var length [64]byte
		copy(length[:], data)
		length[32] = byte(len(data))
		chunk = sha256.Sum256(length[:])
	case name == "logs_bloom":
		chunks := make([]merkle.Value, 8)
		for i := range chunks {
			copy(chunks[i][:], data[32*i:])
		}
		chunk = merkle.Value(ssz(chunks, 3))
	default:
		copy(chunk[:], data)
	}
	return chunk
}

// check checks all that an update proves, given the committee that must have signed it.
func (r *reader) check(u readUpdate, signer *readCommittee) {
	r.t.Helper()
	d, fork := &u.Data, r.fork(u.Data.Attested.Beacon.Slot)
	if u.Version != fork {
		r.t.Errorf("version %s at a slot of %s", u.Version, fork)
	}
	r.checkLight(u.Version, d.Attested)
	state := d.Attested.Beacon.StateRoot
	if d.Finalized != nil {
		r.checkLight(u.Version, *d.Finalized)
		if err := merkle.VerifyProof(state, params.StateIndexFinalBlock(fork), d.FinalityBranch, merkle.Value(d.Finalized.Beacon.root())); err != nil {
			r.t.Errorf("finality: %v", err)
		}
	}
	if d.Next != nil {
		if err := merkle.VerifyProof(state, params.StateIndexNextSyncCommittee(fork), d.NextBranch, merkle.Value(d.Next.root(r.t))); err != nil {
			r.t.Errorf("next committee: %v", err)
		}
	}
	if d.SignatureSlot <= d.Attested.Beacon.Slot || time.Now().Before(r.SlotStart(uint64(d.SignatureSlot))) {
		r.t.Errorf("slot %d is signed in %d", d.Attested.Beacon.Slot, d.SignatureSlot)
	}
	root, err := r.config.Forks.SigningRoot((uint64(d.SignatureSlot)-1)/params.EpochLength, d.Attested.Beacon.root())
	if err != nil {
		r.t.Fatal(err)
	}
	if !signer.verify(r.t, d.Aggregate.Bits, d.Aggregate.Signature, root) {
		r.t.Errorf("bad signature at slot %d", d.SignatureSlot)
	}
}

// verify is FastAggregateVerify.
func (c *readCommittee) verify(t *testing.T, signers, signature []byte, message common.Hash) bool {
	t.Helper()
	var sum bls.G1Jac
	for i, key := range c.unpack(t) {
		if signers[i/8]&(1<<(i%8)) != 0 {
			sum.AddMixed(&key)
		}
	}
	var all bls.G1Affine
	all.FromJacobian(&sum)
	var s bls.G2Affine
	if n, err := s.SetBytes(signature); err != nil || n != 96 {
		t.Fatalf("signature: %v", err)
	}
	hash, err := bls.HashToG2(message[:], []byte("BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"))
	if err != nil {
		t.Fatal(err)
	}
	_, _, generator, _ := bls.Generators()
	generator.Neg(&generator)
	ok, err := bls.PairingCheck([]bls.G1Affine{all, generator}, []bls.G2Affine{hash, s})
	return err == nil && ok
}

// unpack reads the keys, with checks of curve and subgroup, and compares their sum.
func (c *readCommittee) unpack(t *testing.T) []bls.G1Affine {
	t.Helper()
	root := c.root(t)
	if known, ok := points.Load(root); ok {
		return known.([]bls.G1Affine)
	}
	var sum bls.G1Jac
	list := make([]bls.G1Affine, len(c.Keys))
	for i, raw := range c.Keys {
		if n, err := list[i].SetBytes(raw); err != nil || n != 48 {
			t.Fatalf("key %d: %v", i, err)
		}
		sum.AddMixed(&list[i])
	}
	var all bls.G1Affine
	if got := all.FromJacobian(&sum).Bytes(); !bytes.Equal(got[:], c.Aggregate) {
		t.Error("the aggregate is not the sum of the keys")
	}
	points.Store(root, list)
	return list
}

// execution is a source of execution blocks: each call has a new one.
func execution() func() *types.Header {
	var count atomic.Uint64
	return func() *types.Header {
		n := count.Add(1)
		used, withdrawals := n, common.Hash{3}
		return &types.Header{
			Number: new(big.Int).SetUint64(n), Time: n, BaseFee: big.NewInt(7_000_000_000), Extra: []byte("extra"),
			Difficulty: new(big.Int), GasLimit: 30_000_000, BlobGasUsed: &used, ExcessBlobGas: &used,
			WithdrawalsHash: &withdrawals, Coinbase: common.Address{0xc0}, Bloom: types.Bloom{1, 2, 200: 3},
		}
	}
}
