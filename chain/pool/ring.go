package pool

import (
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
)

// ringSize is how many recent blocks are remembered: 51 minutes of Ethereum, far more than any reorg.
const ringSize = 256

// ring remembers the recent blocks of one backend as that backend told them. It is not safe for
// concurrent use.
type ring struct {
	slots [ringSize]slot
	head  chain.Head
	known bool
	seen  time.Time // when the backend last confirmed head
}

// slot is a block; one that is known as another's parent has no time.
type slot struct {
	head  chain.Head
	valid bool
}

func (r *ring) at(number uint64) (chain.Head, bool) {
	s := r.slots[number%ringSize]
	return s.head, s.valid && s.head.Number == number
}

// push records the newest block and says whether it is another than before. Blocks above it, and below
// it those of a branch that it does not continue, are forgotten.
func (r *ring) push(head chain.Head, parent common.Hash, now time.Time) bool {
	r.seen = now
	if r.known && r.head.Hash == head.Hash && r.head.Number == head.Number {
		return false
	}
	switch {
	case r.known && head.Number < r.head.Number:
		r.forgetAbove(head.Number)
	case r.known && head.Number > r.head.Number+1:
		r.forgetBelow(head.Number) // between the two may be a reorganisation that was not seen
	}
	if old, ok := r.at(head.Number); ok && old.Hash != head.Hash {
		r.forgetBelow(head.Number) // what the old one stood on may be gone with it; its parent comes back below
	}
	if head.Number > 0 {
		if old, ok := r.at(head.Number - 1); ok && old.Hash != parent {
			r.forgetBelow(head.Number)
		}
		if _, ok := r.at(head.Number - 1); !ok {
			r.slots[(head.Number-1)%ringSize] = slot{head: chain.Head{Number: head.Number - 1, Hash: parent}, valid: true}
		}
	}
	r.slots[head.Number%ringSize] = slot{head: head, valid: true}
	r.head, r.known = head, true
	return true
}

// add records an older block that was asked for, unless the chain moved on in another way meanwhile.
func (r *ring) add(head chain.Head, under chain.Head) {
	if !r.known || r.head.Hash != under.Hash || head.Number >= r.head.Number || r.head.Number-head.Number >= ringSize {
		return
	}
	r.slots[head.Number%ringSize] = slot{head: head, valid: true}
}

func (r *ring) forgetAbove(number uint64) {
	for i := range r.slots {
		if r.slots[i].valid && r.slots[i].head.Number > number {
			r.slots[i] = slot{}
		}
	}
}

func (r *ring) forgetBelow(number uint64) {
	for i := range r.slots {
		if r.slots[i].valid && r.slots[i].head.Number < number {
			r.slots[i] = slot{}
		}
	}
}
