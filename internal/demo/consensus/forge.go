package consensus

import (
	"cmp"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// Forgery says what a block that the chain never had is made of. Its proofs fit each other: what is wrong
// with it is what was asked for. Zero fields are as in an honest block.
type Forgery struct {
	Slot          uint64        // the head's
	SignatureSlot uint64        // Slot + 1
	Execution     *types.Header // the newest block
	Hash          common.Hash   // of the execution block, in the place of the right one
	Fork          string        // whose format and indices the block has: that of Slot
	Signer        *Committee    // that of SignatureSlot
	Signers       int           // 512; negative: none
	Current, Next *Committee    // that the state proves: those of Slot
	Finalized     *Forged       // that the state proves: what the head finalises
}

// Forged is a forged block in all messages that can tell of it.
type Forged struct {
	Block
	Optimistic []byte // an answer of optimistic_update
	Finality   []byte // an answer of finality_update
	Update     []byte // one entry of an answer of updates; with brackets around it an answer
	Bootstrap  []byte // an answer of bootstrap
	block      *block
}

// Forge makes a forgery. It changes nothing of what is served: see SetRewrite.
func (c *Chain) Forge(f Forgery) (*Forged, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slot := cmp.Or(f.Slot, c.head.header.slot)
	p := c.plan(slot, c.head.header.parent, cmp.Or(f.Execution, c.head.execution.Header))
	if f.Hash != (common.Hash{}) {
		p.execution.hash = f.Hash
	}
	p.current, p.next = cmp.Or(f.Current, p.current), cmp.Or(f.Next, p.next)
	p.fork = c.forkAt(slot)
	if f.Fork != "" {
		if p.fork = c.forkNamed(f.Fork); p.fork == nil || p.fork.finalized == 0 {
			return nil, fmt.Errorf("no fork %q", f.Fork)
		}
	}
	finalized := c.head.finalized
	if f.Finalized != nil {
		finalized = f.Finalized.block
	}
	p.finalized = checkpointOf(finalized)
	s := &signed{block: build(p), finalized: finalized, slot: cmp.Or(f.SignatureSlot, slot+1)}
	s.count = min(cmp.Or(f.Signers, CommitteeSize), CommitteeSize)
	signer := f.Signer
	if signer == nil {
		signer = c.committee(s.slot / SlotsPerPeriod)
	}
	var err error
	if s.aggregate, err = signer.sign(c.signingRoot(s.root, s.slot), s.count, slot); err != nil {
		return nil, err
	}
	return &Forged{
		Block: s.public(), block: s.block, Optimistic: encode(s.optimistic()), Finality: encode(s.finality()),
		Update: encode(s.handover()), Bootstrap: encode(s.bootstrap()),
	}, nil
}

// Committee is the chain's own committee of a period.
func (c *Chain) Committee(period uint64) *Committee {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.committee(period)
}
