package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"

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
	header   *types.Header // nil until proven; then known is closed
	rules    *params.ChainConfig
	accounts map[common.Address]*account
	flights  map[item]*flight // what is being fetched
	bytes    int64            // about
}

// account is what is proven of one account.
type account struct {
	proof.Account
	slots map[common.Hash]common.Hash
	by    string // the operator whose proof it was
}

// item is one piece of state that is fetched by one call while others wait for it.
type item struct {
	kind    kind
	address common.Address
	slot    common.Hash
}

type kind uint8

const (
	kindHeader kind = iota
	kindAccount
	kindSlot
	kindCode
)

// flight is one fetch under way; err is set before done is closed.
type flight struct {
	done chan struct{}
	err  error
}

func newBlock(v *Verifier, anchor chain.Anchor) *block {
	return &block{v: v, hash: anchor.Hash, known: make(chan struct{}), anchor: anchor, accounts: map[common.Address]*account{}, flights: map[item]*flight{}}
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
	if b.header != nil {
		anchor.Number, anchor.Time = b.header.Number.Uint64(), time.Unix(int64(b.header.Time), 0)
	}
	return anchor
}

// proven returns the header and its rules; nil before they are proven.
func (b *block) proven() (*types.Header, *params.ChainConfig) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.header, b.rules
}

// account returns what is proven of an account.
func (b *block) account(address common.Address) (proof.Account, string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, ok := b.accounts[address]
	if !ok {
		return proof.Account{}, "", false
	}
	return a.Account, a.by, true
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

// wants are pieces of state that a call needs, or is guessed to need.
type wants struct {
	accounts map[common.Address]map[common.Hash]bool
	codes    map[common.Address]bool // whose code is needed, as far as it is not known
}

func newWants() *wants {
	return &wants{accounts: map[common.Address]map[common.Hash]bool{}, codes: map[common.Address]bool{}}
}

// add wants accounts with their slots and code.
func (w *wants) add(list ...access) {
	for _, a := range list {
		slots := w.accounts[a.address]
		if slots == nil {
			slots = map[common.Hash]bool{}
			w.accounts[a.address] = slots
		}
		for _, s := range a.slots {
			slots[s] = true
		}
		w.codes[a.address] = true
	}
}

// claim divides what is wanted and not known into what this call fetches and what others are fetching
// already. The header is always wanted.
func (b *block) claim(w *wants) (mine *fetch, others []*flight) {
	b.mu.Lock()
	defer b.mu.Unlock()
	mine = &fetch{block: b, flight: &flight{done: make(chan struct{})}}
	waiting := map[*flight]bool{}
	take := func(it item) bool {
		if f, ok := b.flights[it]; ok {
			waiting[f] = waiting[f] || f != mine.flight
			return false
		}
		b.flights[it] = mine.flight
		mine.items = append(mine.items, it)
		return true
	}
	mine.header = b.header == nil && take(item{kind: kindHeader})
	for _, address := range slices.SortedFunc(maps.Keys(w.accounts), common.Address.Cmp) {
		known := b.accounts[address]
		needed := known == nil && take(item{kind: kindAccount, address: address})
		var slots []common.Hash
		for _, s := range slices.SortedFunc(maps.Keys(w.accounts[address]), common.Hash.Cmp) {
			if known != nil && (known.StorageRoot == types.EmptyRootHash || has(known.slots, s)) {
				continue
			}
			if take(item{kindSlot, address, s}) {
				slots = append(slots, s)
			}
		}
		if needed || len(slots) > 0 {
			mine.proofs = append(mine.proofs, access{address, slots})
		}
		if w.codes[address] && b.lacksCode(address, known, needed) && take(item{kind: kindCode, address: address}) {
			mine.codes = append(mine.codes, address)
		}
	}
	for f, foreign := range waiting {
		if foreign {
			others = append(others, f)
		}
	}
	return mine, others
}

func has(slots map[common.Hash]common.Hash, s common.Hash) bool {
	_, ok := slots[s]
	return ok
}

// lacksCode says whether an account's code is to be fetched: its proven code is not at hand or, where the
// account is being proven by this call, that which it had last.
func (b *block) lacksCode(address common.Address, known *account, claimed bool) bool {
	switch {
	case known != nil:
		return b.v.codes.get(known.CodeHash) == nil
	case claimed:
		last := b.v.memory.codeOf(address)
		return last == (common.Hash{}) || b.v.codes.get(last) == nil
	}
	return false // whoever proves the account fetches its code
}

// ensure has all that is wanted proven, and says what it took.
func (b *block) ensure(ctx context.Context, w *wants) (spent cost, err error) {
	for try := 0; ; try++ {
		mine, others := b.claim(w)
		if mine.empty() && len(others) == 0 {
			return spent, nil
		}
		spent.trips++
		if !mine.empty() {
			go mine.run()
			others = append(others, mine.flight)
		}
		for _, f := range others {
			select {
			case <-f.done:
				err = f.err
			case <-ctx.Done():
				return spent, fmt.Errorf("%w: state is still being fetched", chain.ErrTimeout)
			}
		}
		spent.bytes += mine.bytes
		// The flights of others end with their own trouble: what they failed at is tried anew.
		if mine.flight.err != nil {
			return spent, mine.flight.err
		}
		if err != nil && try == maxRetries {
			return spent, err
		}
		err = nil
	}
}

// cost is what fetching took.
type cost struct{ trips, bytes int }

// learn keeps what a fetch has proven.
func (b *block) learn(f *fetch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for address, found := range f.accounts {
		a := b.accounts[address]
		if a == nil {
			a = &account{Account: found.Account, by: found.by, slots: map[common.Hash]common.Hash{}}
			b.accounts[address] = a
			b.bytes += 256
		}
		maps.Copy(a.slots, found.slots)
		b.bytes += 128 * int64(len(found.slots))
	}
}

// learnHeader keeps the header at once: proofs that were fetched with it wait for it.
func (b *block) learnHeader(header *types.Header, rules *params.ChainConfig) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.header != nil {
		return
	}
	b.header, b.rules = header, rules
	b.anchor = b.complete(b.anchor)
	b.bytes += 1 << 10
	close(b.known)
}

// land ends a flight.
func (b *block) land(f *fetch, err error) {
	b.mu.Lock()
	for _, it := range f.items {
		delete(b.flights, it)
	}
	b.mu.Unlock()
	f.flight.err = err
	close(f.flight.done)
}

// awaitHeader returns the header once it is there. It is being fetched by this call or another, or the
// last attempt at it has failed.
func (b *block) awaitHeader(ctx context.Context) (*types.Header, error) {
	b.mu.Lock()
	f := b.flights[item{kind: kindHeader}]
	b.mu.Unlock()
	if f != nil {
		select {
		case <-b.known:
		case <-f.done:
		case <-ctx.Done():
		}
	}
	if header, _ := b.proven(); header != nil {
		return header, nil
	}
	return nil, fmt.Errorf("%w: without its header nothing of a block is proven", chain.ErrUnknownBlock)
}
