package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"dens/chain"
)

// Bounds of what is fetched for guesses at one time. What is left out is fetched when it is needed.
const (
	maxGuessedAccounts = 96
	maxGuessedSlots    = 768
)

// Bounds of a batch. Weights are the bytes that an answer is expected to have on a chain with hundreds of
// millions of accounts: many small answers stay below every backend's and dens's own limits.
const (
	maxTogether  = 64      // requests
	maxWeight    = 1 << 20 // bytes
	maxPartSlots = 64      // of one account in one request

	weightHeader  = 128 << 10
	weightAccount = 10 << 10
	weightSlot    = 9 << 10
	weightCode    = 50 << 10
)

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

// wants are pieces of state that a call needs, or is guessed to need.
type wants struct {
	accounts map[common.Address]map[common.Hash]bool // code too
	codeless map[common.Address]bool                 // of those that have no code: precompiled contracts
	slots    int
}

func newWants() *wants {
	return &wants{accounts: map[common.Address]map[common.Hash]bool{}, codeless: map[common.Address]bool{}}
}

// add wants an account with its code, and slots of it.
func (w *wants) add(a access) {
	slots := w.accounts[a.address]
	if slots == nil {
		slots = map[common.Hash]bool{}
		w.accounts[a.address] = slots
	}
	for _, s := range a.slots {
		if !slots[s] {
			slots[s] = true
			w.slots++
		}
	}
}

// guess adds as much of a list as there is room for.
func (w *wants) guess(list []access) {
	for _, a := range list {
		if w.accounts[a.address] == nil && len(w.accounts) >= maxGuessedAccounts {
			continue
		}
		w.add(access{a.address, a.slots[:min(len(a.slots), maxGuessedSlots-w.slots)]})
	}
}

// packer divides what a call fetches into batches.
type packer struct {
	block   *block
	batches []*batch
}

// pack adds parts that belong together, and enters their items into the block's books.
func (p *packer) pack(weight int, items []item, parts ...part) {
	n := len(p.batches)
	if n == 0 || p.batches[n-1].weight+weight > maxWeight || len(p.batches[n-1].parts)+len(parts) > maxTogether {
		p.batches = append(p.batches, &batch{block: p.block, done: make(chan struct{})})
		n++
	}
	b := p.batches[n-1]
	b.weight += weight
	b.items = append(b.items, items...)
	b.parts = append(b.parts, parts...)
	for _, it := range items {
		p.block.flights[it] = b
	}
}

// account packs what is to be fetched of one account: many slots in several parts. Code goes with the first,
// whose proof says what code it must be.
func (p *packer) account(address common.Address, proof, code bool, slots []common.Hash) {
	for first := true; first || len(slots) > 0; first = false {
		some := slots[:min(len(slots), maxPartSlots)]
		slots = slots[len(some):]
		weight := weightAccount + len(some)*weightSlot
		var items []item
		var parts []part
		if first && proof {
			items = append(items, item{kind: kindAccount, address: address})
		}
		for _, s := range some {
			items = append(items, item{kindSlot, address, s})
		}
		if len(items) > 0 {
			parts = append(parts, proofPart{address, some})
		}
		if first && code {
			items = append(items, item{kind: kindCode, address: address})
			parts = append(parts, codePart{address})
			weight += weightCode
		}
		if len(parts) > 0 {
			p.pack(weight, items, parts...)
		}
	}
}

// claim divides what is wanted and not known into what this call fetches and what others are fetching
// already. The header is always wanted.
func (b *block) claim(w *wants) (mine, others []*batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := packer{block: b}
	waiting := map[*batch]bool{}
	free := func(it item) bool {
		f, ok := b.flights[it]
		if ok {
			waiting[f] = true
		}
		return !ok
	}
	if it := (item{kind: kindHeader}); b.env == nil && free(it) {
		p.pack(weightHeader, []item{it}, headerPart{})
	}
	for _, address := range slices.SortedFunc(maps.Keys(w.accounts), common.Address.Cmp) {
		known := b.accounts[address]
		needed := known == nil && free(item{kind: kindAccount, address: address})
		var slots []common.Hash
		for _, s := range slices.SortedFunc(maps.Keys(w.accounts[address]), common.Hash.Cmp) {
			if !known.has(s) && free(item{kindSlot, address, s}) {
				slots = append(slots, s)
			}
		}
		code := !w.codeless[address] && b.lacksCode(address, known, needed) && free(item{kind: kindCode, address: address})
		p.account(address, needed, code, slots)
	}
	return p.batches, slices.Collect(maps.Keys(waiting))
}

// has says whether a slot is known.
func (a *account) has(slot common.Hash) bool {
	if a == nil {
		return false
	}
	_, ok := a.slots[slot]
	return ok || a.StorageRoot == types.EmptyRootHash
}

// lacksCode says whether an account's code is to be fetched: its proven code is not at hand or, where the
// account is being proven by this call, that which it had last.
func (b *block) lacksCode(address common.Address, known *account, claimed bool) bool {
	switch {
	case known != nil:
		return !b.v.codes.has(known.CodeHash)
	case claimed:
		return !b.v.codes.has(b.v.memory.codeOf(address))
	}
	return false // whoever proves the account fetches its code
}

// loadCodes takes from the disk what code there is. It is not done under the block's lock.
func (b *block) loadCodes(w *wants) {
	for address := range w.accounts {
		hash := b.v.memory.codeOf(address)
		if known, ok := b.account(address); ok {
			hash = known.CodeHash
		}
		b.v.codes.get(hash)
	}
}

// cost is what fetching took.
type cost struct{ trips, bytes int }

// ensure has all that is wanted proven, and says what it took.
func (b *block) ensure(ctx context.Context, w *wants) (spent cost, err error) {
	b.loadCodes(w)
	for range maxRounds {
		mine, others := b.claim(w)
		if len(mine)+len(others) == 0 {
			return spent, nil
		}
		spent.trips++
		for _, f := range mine {
			b.v.under.Go(f.run) // the Call is counted, so Close has not done waiting
		}
		// The batches of others end with their own trouble: what they failed at is tried anew.
		foreign, done := wait(ctx, others)
		own, alsoDone := wait(ctx, mine)
		if !done || !alsoDone {
			return spent, fmt.Errorf("%w: state is still being fetched", chain.ErrTimeout)
		}
		for _, f := range mine {
			spent.bytes += f.bytes
		}
		if own != nil && !errors.Is(own, errNoHeader) {
			return spent, own
		}
		err = cmp.Or(own, foreign)
	}
	if err == nil {
		err = fmt.Errorf("%w: more code is needed at a time than is kept", chain.ErrLimit)
	}
	return spent, err
}

// wait waits for batches and returns the error that says most; false when the context ended before.
func wait(ctx context.Context, batches []*batch) (failed error, done bool) {
	for _, f := range batches {
		select {
		case <-f.done:
			if failed == nil || errors.Is(failed, errNoHeader) && f.err != nil {
				failed = f.err
			}
		case <-ctx.Done():
			return nil, false
		}
	}
	return failed, true
}

// land ends a batch.
func (b *block) land(f *batch) {
	b.mu.Lock()
	for _, it := range f.items {
		delete(b.flights, it)
	}
	b.mu.Unlock()
	close(f.done)
}

// errNoHeader is the error of proofs whose header others failed to fetch.
var errNoHeader = fmt.Errorf("%w: without its header nothing of a block is proven", chain.ErrUnknownBlock)

// awaitHeader waits for the header. It is being fetched by this call or another, or the last attempt at it
// has failed. No batch that fetches a header waits here, so none waits for itself.
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
	if env := b.environment(); env != nil {
		return env.header, nil
	}
	return nil, errNoHeader
}
