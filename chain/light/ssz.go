package light

import (
	"encoding/binary"

	"github.com/ethereum/go-ethereum/common"
)

// beaconHeader is a BeaconBlockHeader (phase0/beacon-chain.md).
type beaconHeader struct {
	slot, proposer      uint64
	parent, state, body common.Hash
}

// root is the hash tree root: that of the block.
func (h *beaconHeader) root() common.Hash {
	return merkleize([]common.Hash{number(h.slot), number(h.proposer), h.parent, h.state, h.body}, 8)
}

// payloadHeader is an ExecutionPayloadHeader (capella/beacon-chain.md; blob gas from deneb on).
type payloadHeader struct {
	parent       common.Hash
	feeRecipient common.Address
	state        common.Hash
	receipts     common.Hash
	bloom        [256]byte
	randao       common.Hash
	number       uint64
	gasLimit     uint64
	gasUsed      uint64
	time         uint64 // Unix seconds
	extra        [32]byte
	extraLen     int
	baseFee      common.Hash // little-endian
	hash         common.Hash
	transactions common.Hash
	withdrawals  common.Hash
	blobGas      uint64
	excessGas    uint64
}

// root is the hash tree root by the rules of Capella, or with blob gas by those of Deneb and later.
func (p *payloadHeader) root(blobs bool) common.Hash {
	var recipient common.Hash
	copy(recipient[:], p.feeRecipient[:])
	leaves := []common.Hash{
		p.parent, recipient, p.state, p.receipts, merkleize(chunks(p.bloom[:]), 8), p.randao,
		number(p.number), number(p.gasLimit), number(p.gasUsed), number(p.time),
		merge(p.extra, number(uint64(p.extraLen))), p.baseFee, p.hash, p.transactions, p.withdrawals,
	}
	if !blobs {
		return merkleize(leaves, 16)
	}
	return merkleize(append(leaves, number(p.blobGas), number(p.excessGas)), 32)
}

// number is the leaf of a uint64.
func number(v uint64) (leaf common.Hash) {
	binary.LittleEndian.PutUint64(leaf[:], v)
	return leaf
}

// chunks splits bytes into leaves; the last one is filled up with zeros.
func chunks(data []byte) []common.Hash {
	leaves := make([]common.Hash, (len(data)+31)/32)
	for i := range leaves {
		copy(leaves[i][:], data[32*i:])
	}
	return leaves
}

// merkleize is the root of a tree over leaves, filled up with zeros to width, a power of two.
func merkleize(leaves []common.Hash, width int) common.Hash {
	nodes := make([]common.Hash, width)
	copy(nodes, leaves)
	for ; width > 1; width /= 2 {
		for i := range width / 2 {
			nodes[i] = merge(nodes[2*i], nodes[2*i+1])
		}
	}
	return nodes[0]
}
