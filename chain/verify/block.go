package verify

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"dens/chain"
	"dens/chain/proof"
)

// block is what is proven of one block's state. All calls at the block share it; it only grows.
type block struct {
	v     *Verifier
	hash  common.Hash
	known chan struct{}

	mu       sync.Mutex // guards what follows
	anchor   chain.Anchor
	told     bool         // some Result named it
	env      *environment // nil until the header is proven; then known is closed
	accounts map[common.Address]*account
	flights  map[item]*batch // what is being fetched
	bytes    int64           // about
}

// account is what is proven of one account.
type account struct {
	proof.Account
	slots map[common.Hash]common.Hash
	by    []string // the operators whose proofs it was
}

func newBlock(v *Verifier, anchor chain.Anchor) *block {
	return &block{v: v, hash: anchor.Hash, known: make(chan struct{}), anchor: anchor, accounts: map[common.Address]*account{}, flights: map[item]*batch{}}
}

func (b *block) size() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

// vouch notes who vouches for the block now: an optimistic head becomes a finalised one.
func (b *block) vouch(anchor chain.Anchor) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.anchor = b.complete(anchor)
}

// complete takes from the header what an anchor may only have been told.
func (b *block) complete(anchor chain.Anchor) chain.Anchor {
	if b.env != nil {
		anchor.Number, anchor.Time = b.env.header.Number.Uint64(), timeOf(b.env.header)
	}
	return anchor
}

// tell returns the anchor for a Result: from then on calls may be pinned to the block.
func (b *block) tell() chain.Anchor {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = true
	return b.anchor
}

func (b *block) wasTold() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.told
}

// environment returns what the header says of how calls run; nil before it is proven.
func (b *block) environment() *environment {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.env
}

// account returns what is proven of an account.
func (b *block) account(address common.Address) (proof.Account, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, ok := b.accounts[address]
	if !ok {
		return proof.Account{}, false
	}
	return a.Account, true
}

// operators adds those who proved what is known of an account.
func (b *block) operators(address common.Address, to map[string]bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a, ok := b.accounts[address]; ok {
		for _, by := range a.by {
			to[by] = true
		}
	}
}

// slot returns what is proven of a slot. An account without storage has nothing but zeros.
func (b *block) slot(address common.Address, slot common.Hash) (common.Hash, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, ok := b.accounts[address]
	if !ok {
		return common.Hash{}, false
	}
	if a.StorageRoot == types.EmptyRootHash {
		return common.Hash{}, true
	}
	value, ok := a.slots[slot]
	return value, ok
}

// learn keeps what a batch has proven.
func (b *block) learn(proven map[common.Address]*account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for address, found := range proven {
		a := b.accounts[address]
		if a == nil {
			a = &account{Account: found.Account, slots: map[common.Hash]common.Hash{}}
			b.accounts[address] = a
			b.bytes += 512
		}
		for _, by := range found.by {
			if !slices.Contains(a.by, by) {
				a.by = append(a.by, by)
			}
		}
		maps.Copy(a.slots, found.slots)
		b.bytes += 128 * int64(len(found.slots))
	}
}

// learnHeader keeps the header at once: proofs that were fetched with it wait for it.
func (b *block) learnHeader(header *types.Header) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.env != nil {
		return
	}
	b.env = newEnvironment(b.v.cfg.ChainID, header)
	b.anchor = b.complete(b.anchor)
	b.bytes += 4 << 10
	close(b.known)
}

// timeOf is when a block was made.
func timeOf(header *types.Header) time.Time { return time.Unix(int64(header.Time), 0) }
