package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

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
	read   map[common.Address]map[common.Hash]bool // by all messages
	lists  map[common.Hash]list                    // what backends said that messages read, by key; none said: empty
}

// message is a chain.Msg with what stands for it.
type message struct {
	chain.Msg
	key common.Hash
}

// all executes all messages.
func (r *run) all(ctx context.Context, msgs []chain.Msg) ([]chain.Output, error) {
	keyed := make([]message, len(msgs))
	for i, m := range msgs {
		keyed[i] = message{m, key(m)}
	}
	if err := r.guess(ctx, keyed); err != nil {
		return nil, err
	}
	outputs := make([]chain.Output, len(msgs))
	for i, m := range keyed {
		var err error
		if outputs[i], err = r.one(ctx, m); err != nil {
			return nil, err
		}
	}
	return outputs, nil
}

// guess fetches what the messages will presumably read: in one trip what is remembered of them, and at the
// same time the access lists of the others; what those name in a second one.
func (r *run) guess(ctx context.Context, msgs []message) error {
	remembered := newWants()
	var unknown []message
	for _, m := range msgs {
		if reads, ok := r.v.memory.recall(m.key); ok {
			remembered.guess(reads)
		} else {
			unknown = append(unknown, m)
		}
	}
	if err := r.forgive(ctx, r.fetch(ctx, remembered, unknown)); err != nil {
		return err
	}
	env := r.block.environment()
	if !r.pinned {
		if err := r.v.young(env.header); err != nil {
			return err
		}
	}
	return env.err
}

// fetch has all that is wanted proven, and what messages read according to their access lists.
func (r *run) fetch(ctx context.Context, w *wants, unknown []message) error {
	if len(unknown) == 0 {
		spent, err := r.block.ensure(ctx, w)
		return r.count(spent, err)
	}
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan answer, 1)
	r.v.under.Go(func() { answers <- r.askLists(asking, unknown) })
	var first cost
	var err error
	if len(w.accounts) > 0 {
		if first, err = r.block.ensure(ctx, w); err != nil {
			cancel()
		}
	}
	said := <-answers
	first.trips, first.bytes = max(first.trips, said.trips), first.bytes+said.bytes
	if err := r.count(first, err); err != nil {
		return err
	}
	second, err := r.block.ensure(ctx, r.named(unknown, said.lists))
	return r.forgive(ctx, r.count(second, err))
}

// forgive makes nothing of an error that came of guesses: a list may name what no backend cares to serve.
// What is needed is fetched again when it is read, and fails then if it must.
func (r *run) forgive(ctx context.Context, err error) error {
	if much := (*tooMuch)(nil); err == nil || errors.As(err, &much) || ctx.Err() != nil {
		return err
	}
	if r.block.environment() == nil { // it went with the guesses
		return r.count(r.block.ensure(ctx, newWants()))
	}
	return nil
}

// named is what messages read according to their lists. Those leave out the contract itself, and
// precompiled contracts, which are read all the same.
func (r *run) named(msgs []message, lists []list) *wants {
	w := newWants()
	for _, m := range msgs {
		w.add(access{address: m.To})
		r.lists[m.key] = list{}
	}
	for _, address := range r.v.memory.precompiled() {
		w.add(access{address: address})
		w.codeless[address] = true
	}
	for _, l := range lists {
		w.guess(l.reads)
		r.lists[l.key] = l
	}
	return w
}

// count notes what fetching took.
func (r *run) count(spent cost, err error) error {
	r.cost.trips += spent.trips
	if r.cost.bytes += spent.bytes; err == nil && r.cost.bytes > maxBytes {
		return &tooMuch{fmt.Sprintf("more than %d bytes of proofs", maxBytes)}
	}
	return err
}

// one executes one message. What it costs too much is said in its Output; any other error is the Call's. No
// message begins with less gas than another: a contract can tell, and may say something else.
func (r *run) one(ctx context.Context, m message) (chain.Output, error) {
	if r.gas+maxGas > maxCallGas {
		return chain.Output{Err: fmt.Errorf("%w: more than %d gas for one call", chain.ErrLimit, uint64(maxCallGas))}, nil
	}
	state := &reader{run: r, ctx: ctx, msg: m, touched: map[common.Address][]common.Hash{}}
	out, err := state.execute()
	if much := (*tooMuch)(nil); errors.As(err, &much) {
		return chain.Output{Err: much}, nil
	}
	if err != nil {
		return chain.Output{}, err
	}
	reads := state.reads()
	r.learn(m, reads)
	r.judge(m, state.misses, reads)
	for _, a := range reads {
		if r.read[a.address] == nil {
			r.read[a.address] = make(map[common.Hash]bool, len(a.slots))
		}
		for _, s := range a.slots {
			r.read[a.address][s] = true
		}
	}
	return out, nil
}

// learn remembers what a message read.
func (r *run) learn(m message, reads []access) {
	if r.v.memory.knows(m.key, r.block.hash) {
		return // at the same block it reads the same
	}
	standard := r.block.environment().standard
	for _, a := range reads {
		if _, ok := standard[a.address]; ok {
			r.v.memory.used(a.address)
		}
	}
	r.v.memory.learn(m.key, r.block.hash, reads)
}

// An honest list can differ a little: it is made with another sender's balance and another amount of gas.
const (
	allowedMisses  = 4
	allowedUseless = 16
	// allowedBad is how many bad lists in a row a backend may send. A contract can find out by the gas
	// whether a list is made of what it reads, and bring an honest backend into disrepute: one does not count.
	allowedBad = 2
)

// judge looks at how good a backend's access list was. One that leaves out much of what was read, or names
// much that was not, costs trips and bytes: whoever makes up such lists is asked last.
func (r *run) judge(m message, misses int, reads []access) {
	l := r.lists[m.key]
	if l.backend == "" {
		return
	}
	r.lists[m.key] = list{} // one judgement for one list
	useless := 0
	for _, a := range l.reads {
		i, ok := slices.BinarySearchFunc(reads, a.address, func(a access, address common.Address) int { return a.address.Cmp(address) })
		if !ok {
			useless += 1 + len(a.slots)
			continue
		}
		for _, s := range a.slots {
			if _, ok := slices.BinarySearchFunc(reads[i].slots, s, common.Hash.Cmp); !ok {
				useless++
			}
		}
	}
	if r.v.strike(l.backend, misses > allowedMisses || useless > allowedUseless) {
		r.v.cfg.Provider.Blame(l.backend, fmt.Errorf("%w: access list left out %d and made up %d of what was read", chain.ErrMalformed, misses, useless))
	}
}

// result is what the Call comes to, with its evidence.
func (r *run) result(outputs []chain.Output) chain.Result {
	anchor := r.block.tell()
	p := &chain.Proof{Anchor: anchor, StateRoot: r.block.environment().header.Root, Trips: r.cost.trips, Bytes: r.cost.bytes}
	operators := map[string]bool{}
	for _, address := range slices.SortedFunc(maps.Keys(r.read), common.Address.Cmp) {
		p.Accounts = append(p.Accounts, chain.ProvenAccount{Address: address, Slots: len(r.read[address])})
		r.block.operators(address, operators)
	}
	return chain.Result{
		Outputs: outputs, Head: anchor.Head, Trust: chain.Proven,
		Backends: slices.Sorted(maps.Keys(operators)), Proof: p,
	}
}
