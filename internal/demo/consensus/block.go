package consensus

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// beaconHeader is the container BeaconBlockHeader (phase0/beacon-chain.md).
type beaconHeader struct {
	slot, proposer      uint64
	parent, state, body common.Hash
}

func (h beaconHeader) root() common.Hash {
	return merkleize([]common.Hash{number(h.slot), number(h.proposer), h.parent, h.state, h.body})
}

// block is a beacon block with what its body and the state after it prove. It does not change, and refers
// to no other block.
type block struct {
	fork      *fork
	header    beaconHeader
	root      common.Hash
	execution payload
	body      *tree
	state     *tree
	current   *Committee
	next      *Committee
	checkpoint
}

// checkpoint is the container Checkpoint: what a state says is finalised.
type checkpoint struct {
	epoch uint64
	root  common.Hash // zero until something is
}

// checkpointOf is the checkpoint of a block; nil is none.
func checkpointOf(b *block) checkpoint {
	if b == nil {
		return checkpoint{}
	}
	return checkpoint{(b.header.slot + SlotsPerEpoch - 1) / SlotsPerEpoch, b.root}
}

// plan is what a block is made of.
type plan struct {
	fork          *fork
	slot          uint64
	parent        common.Hash
	execution     payload
	current, next *Committee
	finalized     checkpoint
}

// build makes a block.
func build(p plan) *block {
	b := &block{fork: p.fork, execution: p.execution, current: p.current, next: p.next, checkpoint: p.finalized}
	b.body = newTree(p.slot, b.bodyNodes())
	b.state = newTree(p.slot, map[uint64]common.Hash{
		b.fork.finalized:     p.finalized.root,
		b.fork.finalized ^ 1: number(p.finalized.epoch),
		b.fork.current:       p.current.root,
		b.fork.next:          p.next.root,
	})
	b.header = beaconHeader{slot: p.slot, proposer: p.slot % 1000, parent: p.parent, state: b.state.root(), body: b.body.root()}
	b.root = b.header.root()
	return b
}

// bodyNodes are the nodes of the body that are not made up. An execution payload has the same root as its
// header, so the header's fields are given.
func (b *block) bodyNodes() map[uint64]common.Hash {
	if b.fork.gloas() {
		return map[uint64]common.Hash{b.fork.hash: b.execution.hash}
	}
	nodes := map[uint64]common.Hash{}
	for i := range b.fork.fields {
		nodes[payloadIndex*b.fork.fields+i] = common.Hash{}
	}
	for i, chunk := range b.execution.chunks(b.fork.fields > 16) {
		nodes[payloadIndex*b.fork.fields+uint64(i)] = chunk
	}
	return nodes
}

// payload is a block of the execution chain as beacon blocks hold it. The hash may be a lie.
type payload struct {
	*types.Header
	hash common.Hash
}

// transactions and withdrawals are roots of the lists in SSZ, which nobody here can check.
func (p payload) transactions() common.Hash { return hashPair(p.TxHash, common.Hash{1}) }

func (p payload) withdrawals() common.Hash {
	if p.WithdrawalsHash == nil {
		return common.Hash{}
	}
	return hashPair(*p.WithdrawalsHash, common.Hash{2})
}

func (p payload) baseFee() *big.Int {
	if p.BaseFee == nil {
		return new(big.Int)
	}
	return p.BaseFee
}

func (p payload) blobGas() (used, excess uint64) {
	if p.BlobGasUsed != nil {
		used = *p.BlobGasUsed
	}
	if p.ExcessBlobGas != nil {
		excess = *p.ExcessBlobGas
	}
	return used, excess
}

// chunks are the roots of the fields of ExecutionPayloadHeader (capella and deneb/beacon-chain.md).
func (p payload) chunks(blobs bool) []common.Hash {
	var recipient, fee, extra common.Hash
	copy(recipient[:], p.Coinbase[:])
	copy(extra[:], p.Extra)
	extra = hashPair(extra, number(uint64(len(p.Extra)))) // a list of at most 32 bytes
	big := p.baseFee().Bytes()
	for i, b := range big {
		fee[len(big)-1-i] = b
	}
	list := []common.Hash{
		p.ParentHash, recipient, p.Root, p.ReceiptHash, vector(p.Bloom[:]), p.MixDigest,
		number(p.Number.Uint64()), number(p.GasLimit), number(p.GasUsed), number(p.Time),
		extra, fee, p.hash, p.transactions(), p.withdrawals(),
	}
	if blobs {
		used, excess := p.blobGas()
		list = append(list, number(used), number(excess))
	}
	return list
}
