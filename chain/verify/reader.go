package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"dens/chain"
)

// tooMuch is the error of one message that costs too much, or needs what cannot be proven: it is said in its
// Output, and others are none the worse for it.
type tooMuch struct{ what string }

func (e *tooMuch) Error() string { return fmt.Sprintf("%v: %s", chain.ErrLimit, e.what) }

func (e *tooMuch) Unwrap() error { return chain.ErrLimit }

// reader is the state that one message is executed over: a state.Reader. What is not proven yet it fetches
// while the EVM waits. After its first error it gives no more state, and the EVM is to be cancelled: the
// state database above reads an error as zero and goes on.
type reader struct {
	run     *run
	ctx     context.Context
	msg     message
	cancel  func() // stops the EVM
	holds   bool   // a token of Verifier.running
	err     error  // the first
	misses  int
	touched map[common.Address][]common.Hash // what was read; a slot may be there twice
}

// errStopped is what reads get after the first error.
var errStopped = errors.New("execution is being cancelled")

// Account implements state.Reader.
func (r *reader) Account(address common.Address) (*types.StateAccount, error) {
	if r.err != nil {
		return nil, errStopped
	}
	if r.run.block.environment().reserved(address) {
		return nil, r.fail(&tooMuch{fmt.Sprintf("what the chain has at %s is not known here", address)})
	}
	if _, ok := r.touched[address]; !ok {
		r.touched[address] = nil
	}
	a, ok := r.run.block.account(address)
	if !ok {
		if err := r.miss(access{address: address}); err != nil {
			return nil, err
		}
		a, _ = r.run.block.account(address)
	}
	if !a.Exists {
		return nil, nil
	}
	return &types.StateAccount{Nonce: a.Nonce, Balance: a.Balance.Clone(), Root: a.StorageRoot, CodeHash: a.CodeHash.Bytes()}, nil
}

// Storage implements state.Reader.
func (r *reader) Storage(address common.Address, slot common.Hash) (common.Hash, error) {
	if r.err != nil {
		return common.Hash{}, errStopped
	}
	r.touched[address] = append(r.touched[address], slot)
	value, ok := r.run.block.slot(address, slot)
	if !ok {
		if err := r.miss(access{address, []common.Hash{slot}}); err != nil {
			return common.Hash{}, err
		}
		value, _ = r.run.block.slot(address, slot)
	}
	return value, nil
}

// Code implements state.Reader. No code is an error to the state database, since it is asked for with a
// hash that is not that of empty code.
func (r *reader) Code(address common.Address, hash common.Hash) []byte {
	if r.err != nil {
		return nil
	}
	code := r.run.v.codes.get(hash)
	if code == nil {
		if r.miss(access{address: address}) != nil {
			return nil
		}
		code = r.run.v.codes.get(hash)
	}
	return code
}

// CodeSize implements state.Reader.
func (r *reader) CodeSize(address common.Address, hash common.Hash) int {
	return len(r.Code(address, hash))
}

// Has implements state.Reader.
func (r *reader) Has(address common.Address, hash common.Hash) bool {
	return r.Code(address, hash) != nil
}

// miss fetches what nobody guessed. The first time, where the guess was a memory, a fresh access list comes
// along: what the message reads has changed.
func (r *reader) miss(a access) error {
	if r.misses++; r.misses > maxMisses {
		return r.fail(&tooMuch{fmt.Sprintf("state that was not foreseen was read more than %d times", maxMisses)})
	}
	r.release() // others may compute while this one waits
	w := newWants()
	w.add(a)
	var unknown []message
	if _, asked := r.run.lists[r.msg.key]; !asked {
		unknown = []message{r.msg}
	}
	if err := r.run.fetch(r.ctx, w, unknown); err != nil {
		return r.fail(err)
	}
	if err := r.acquire(); err != nil {
		return r.fail(err)
	}
	return nil
}

// acquire waits for a processor.
func (r *reader) acquire() error {
	select {
	case r.run.v.running <- struct{}{}:
		r.holds = true
		return nil
	case <-r.ctx.Done():
		return fmt.Errorf("%w: no processor was free", chain.ErrTimeout)
	}
}

// release lets others compute.
func (r *reader) release() {
	if r.holds {
		r.holds = false
		<-r.run.v.running
	}
}

// fail ends the execution.
func (r *reader) fail(err error) error {
	r.err = err
	r.cancel()
	return err
}

// reads is what was read, in order.
func (r *reader) reads() []access {
	list := make([]access, 0, len(r.touched))
	for address, slots := range r.touched {
		slices.SortFunc(slots, common.Hash.Cmp)
		list = append(list, access{address, slices.Compact(slots)})
	}
	slices.SortFunc(list, func(a, b access) int { return a.address.Cmp(b.address) })
	return list
}
