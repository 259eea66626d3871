package consensus

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"github.com/ethereum/go-ethereum/common"
)

// tree is a binary Merkle tree of which some nodes are given, by their generalised index (consensus-specs
// ssz/merkle-proofs.md). What lies beside them is made up, as a function of salt.
type tree struct {
	salt  uint64
	nodes map[uint64]common.Hash // given ones, and all above them
}

// newTree computes a tree. No given node may lie above another.
func newTree(salt uint64, given map[uint64]common.Hash) *tree {
	t := &tree{salt: salt, nodes: make(map[uint64]common.Hash, 4*len(given))}
	above := map[uint64]bool{}
	for index, value := range given {
		t.nodes[index] = value
		for index >>= 1; index > 0; index >>= 1 {
			above[index] = true
		}
	}
	t.fill(1, above)
	return t
}

// fill computes the node at index and those below it that are above given ones.
func (t *tree) fill(index uint64, above map[uint64]bool) common.Hash {
	if above[index] {
		t.nodes[index] = hashPair(t.fill(2*index, above), t.fill(2*index+1, above))
	}
	return t.node(index)
}

func (t *tree) node(index uint64) common.Hash {
	if value, ok := t.nodes[index]; ok {
		return value
	}
	var seed [16]byte
	binary.LittleEndian.PutUint64(seed[:], t.salt)
	binary.LittleEndian.PutUint64(seed[8:], index)
	return sha256.Sum256(seed[:])
}

func (t *tree) root() common.Hash { return t.node(1) }

// branch is the proof of the node at index, from the bottom up.
func (t *tree) branch(index uint64) []common.Hash {
	branch := make([]common.Hash, 0, bits.Len64(index))
	for ; index > 1; index >>= 1 {
		branch = append(branch, t.node(index^1))
	}
	return branch
}

// normalize brings a branch to the depth of a later fork's index, by zeros at its bottom
// (electra/light-client/fork.md, normalize_merkle_branch).
func normalize(branch []common.Hash, index uint64) []common.Hash {
	depth := bits.Len64(index) - 1
	return append(make([]common.Hash, depth-len(branch), depth), branch...)
}

// hashPair is the parent of two nodes.
func hashPair(left, right common.Hash) common.Hash {
	var both [64]byte
	copy(both[:], left[:])
	copy(both[32:], right[:])
	return sha256.Sum256(both[:])
}

// merkleize is the root over chunks, padded with zeros to a power of two.
func merkleize(chunks []common.Hash) common.Hash {
	width := 1
	for width < len(chunks) {
		width *= 2
	}
	level := append(make([]common.Hash, 0, width), chunks...)
	level = level[:width]
	for ; len(level) > 1; level = level[:len(level)/2] {
		for i := range len(level) / 2 {
			level[i] = hashPair(level[2*i], level[2*i+1])
		}
	}
	return level[0]
}

// number is the chunk of a uint64.
func number(n uint64) (chunk common.Hash) {
	binary.LittleEndian.PutUint64(chunk[:], n)
	return chunk
}

// vector is the root of a vector of bytes.
func vector(data []byte) common.Hash {
	chunks := make([]common.Hash, (len(data)+31)/32)
	for i := range chunks {
		copy(chunks[i][:], data[32*i:])
	}
	return merkleize(chunks)
}
