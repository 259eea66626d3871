package consensus

import (
	"github.com/ethereum/go-ethereum/common"
)

// Block is what is to be said of a beacon block.
type Block struct {
	Slot uint64
	Root common.Hash
	Hash common.Hash // of the execution block
	Fork string      // in lower case: "deneb"
}

func (b *block) public() Block {
	if b == nil {
		return Block{}
	}
	return Block{Slot: b.header.slot, Root: b.root, Hash: b.execution.hash, Fork: b.fork.name}
}

// Head is the newest block: that of the optimistic update.
func (c *Chain) Head() Block {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head.public()
}

// Finalized is the block that the head finalises: that of the finality update.
func (c *Chain) Finalized() Block {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.finalized.public()
}

// Checkpoint is a finalised block to begin with: the oldest one.
func (c *Chain) Checkpoint() (root common.Hash, slot uint64) {
	return c.first.root, c.first.header.slot
}

// SetSigners sets how many of 512 sign, from the next block on: 1 to 512.
func (c *Chain) SetSigners(count int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signers = min(max(count, 1), CommitteeSize)
}

// SetFinalityLag sets by how many epochs finality is late, from the next block on. It never goes back: with
// a great number it stops.
func (c *Chain) SetFinalityLag(epochs uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lag = epochs
}

// Finalize makes two blocks, of which the second finalises the first: sooner than the rules of a real chain
// allow, which light clients cannot see. It returns the first one.
func (c *Chain) Finalize() (Block, error) {
	if _, err := c.Advance(); err != nil {
		return Block{}, err
	}
	c.mu.Lock()
	first := c.head.block
	c.forced = first
	c.mu.Unlock()
	_, err := c.Advance()
	return first.public(), err
}
