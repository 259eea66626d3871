package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
)

// run is one Call on its way.
type run struct {
	v      *Verifier
	block  *block
	pinned bool // to a block of before
	cost   cost
	gas    uint64                                  // used so far
	slots  map[common.Address]map[common.Hash]bool // what was read
	lists  map[common.Hash]list                    // what backends said that messages read, by key; none said: empty
}

// all executes all messages.
func (r *run) all(ctx context.Context, msgs []chain.Msg) ([]chain.Output, error) {
	if err := r.guess(ctx, msgs); err != nil {
		return nil, err
	}
	outputs := make([]chain.Output, len(msgs))
	for i, m := range msgs {
		var err error
		if outputs[i], err = r.one(ctx, m); err != nil {
			return nil, err
		}
	}
	return outputs, nil
}

// guess fetches what the messages will presumably read: in one trip what is remembered of them, and at the
// same time the access lists of the others; what those name in a second one.
func (r *run) guess(ctx context.Context, msgs []chain.Msg) error {
	known := newWants()
	var unknown []chain.Msg
	for _, m := range msgs {
		if reads, ok := r.v.memory.recall(m); ok {
			known.add(reads...)
		} else {
			unknown = append(unknown, m)
		}
	}
	if err := r.fetch(ctx, known, unknown); err != nil {
		return err
	}
	if header, _ := r.block.proven(); !r.pinned {
		return r.v.young(header.Number.Uint64(), timeOf(header))
	}
	return nil
}

// fetch has all that is wanted proven, and what messages read according to their access lists.
func (r *run) fetch(ctx context.Context, w *wants, unknown []chain.Msg) error {
	if len(unknown) == 0 {
		spent, err := r.block.ensure(ctx, w)
		return r.count(spent, err)
	}
	var first cost
	var err error
	var both sync.WaitGroup
	if len(w.accounts) > 0 {
		both.Go(func() { first, err = r.block.ensure(ctx, w) })
	}
	lists, size := r.askLists(ctx, unknown)
	both.Wait()
	if err := r.count(cost{max(first.trips, 1), first.bytes + size}, err); err != nil {
		return err
	}
	second, err := r.block.ensure(ctx, r.named(unknown, lists))
	return r.count(second, err)
}

// named is what messages read according to their lists. Those leave out the contract itself, and
// precompiled contracts, which are read all the same.
func (r *run) named(msgs []chain.Msg, lists []list) *wants {
	w := newWants()
	for _, m := range msgs {
		w.add(access{address: m.To})
		r.lists[key(m)] = list{}
	}
	for _, l := range lists {
		w.add(l.reads...)
		r.lists[key(l.msg)] = l
	}
	for _, address := range r.v.memory.used() {
		w.add(access{address: address})
		delete(w.codes, address) // a precompiled contract has none
	}
	return w
}

// count notes what fetching took.
func (r *run) count(spent cost, err error) error {
	r.cost.trips += spent.trips
	if r.cost.bytes += spent.bytes; err == nil && r.cost.bytes > maxBytes {
		return fmt.Errorf("%w: more than %d bytes of proofs", chain.ErrLimit, maxBytes)
	}
	return err
}

// one executes one message. What it costs too much is said in its Output; any other error is the Call's.
func (r *run) one(ctx context.Context, m chain.Msg) (chain.Output, error) {
	if r.gas >= maxCallGas {
		return chain.Output{Err: fmt.Errorf("%w: more than %d gas for one call", chain.ErrLimit, uint64(maxCallGas))}, nil
	}
	state := &reader{run: r, ctx: ctx, msg: m, slots: map[common.Address]map[common.Hash]bool{}}
	out, err := state.execute()
	if errors.Is(err, errMisses) {
		return chain.Output{Err: err}, nil
	}
	if err != nil {
		return chain.Output{}, err
	}
	r.v.memory.learn(m, state.reads(), state.precompiles)
	r.judge(m, state)
	for address, slots := range state.slots {
		if r.slots[address] == nil {
			r.slots[address] = map[common.Hash]bool{}
		}
		maps.Copy(r.slots[address], slots)
	}
	return out, nil
}

// judge looks at how good a backend's access list was. One that leaves out much of what was read, or names
// much that was not, costs trips and bytes: whoever makes up such lists is asked last.
func (r *run) judge(m chain.Msg, state *reader) {
	l := r.lists[key(m)]
	if l.backend == "" {
		return
	}
	r.lists[key(m)] = list{} // one judgement for one list
	useless := 0
	for _, a := range l.reads {
		read, ok := state.slots[a.address]
		if !ok {
			useless++
		}
		for _, s := range a.slots {
			if !read[s] {
				useless++
			}
		}
	}
	if state.misses > allowedMisses || useless > allowedUseless {
		r.v.cfg.Provider.Blame(l.backend, fmt.Errorf("%w: access list left out %d and made up %d of what was read", chain.ErrMalformed, state.misses, useless))
	}
}

// An honest list can differ a little: it is made with another sender's balance and another amount of gas.
const (
	allowedMisses  = 4
	allowedUseless = 16
)

// result is what the Call comes to, with its evidence.
func (r *run) result(outputs []chain.Output) chain.Result {
	header, _ := r.block.proven()
	r.block.mu.Lock()
	anchor := r.block.anchor
	r.block.mu.Unlock()
	p := &chain.Proof{Anchor: anchor, StateRoot: header.Root, Trips: r.cost.trips, Bytes: r.cost.bytes}
	operators := map[string]bool{}
	for _, address := range slices.SortedFunc(maps.Keys(r.slots), common.Address.Cmp) {
		p.Accounts = append(p.Accounts, chain.ProvenAccount{Address: address, Slots: len(r.slots[address])})
		if _, by, ok := r.block.account(address); ok {
			operators[by] = true
		}
	}
	return chain.Result{
		Outputs: outputs, Head: anchor.Head, Trust: chain.Proven,
		Backends: slices.Sorted(maps.Keys(operators)), Proof: p,
	}
}
