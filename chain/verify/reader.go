package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"

	"dens/chain"
)

// errMisses ends a message that reads too much that nobody guessed.
var errMisses = fmt.Errorf("%w: state that was not foreseen was read more than %d times", chain.ErrLimit, maxMisses)

// reader is the state that one message is executed over: a state.Reader. What is not proven yet it fetches
// while the EVM waits. After its first error it gives no more state, and the EVM is to be cancelled: the
// state database above reads an error as zero and goes on.
type reader struct {
	run         *run
	ctx         context.Context
	msg         chain.Msg
	precompiles vm.PrecompiledContracts
	cancel      func() // stops the EVM
	err         error  // the first
	misses      int
	slots       map[common.Address]map[common.Hash]bool
}

// errStopped is what reads get after the first error.
var errStopped = errors.New("execution is being cancelled")

// Account implements state.Reader.
func (r *reader) Account(address common.Address) (*types.StateAccount, error) {
	if r.err != nil {
		return nil, errStopped
	}
	if r.slots[address] == nil {
		r.slots[address] = map[common.Hash]bool{}
	}
	a, _, ok := r.run.block.account(address)
	if !ok {
		if err := r.miss(access{address: address}); err != nil {
			return nil, err
		}
		a, _, _ = r.run.block.account(address)
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
	if r.slots[address] == nil {
		r.slots[address] = map[common.Hash]bool{}
	}
	r.slots[address][slot] = true
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
		return r.fail(errMisses)
	}
	<-r.run.v.running // others may compute while this one waits
	defer func() { r.run.v.running <- struct{}{} }()
	w := newWants()
	w.add(a)
	var unknown []chain.Msg
	if _, asked := r.run.lists[key(r.msg)]; !asked {
		unknown = []chain.Msg{r.msg}
	}
	if err := r.run.fetch(r.ctx, w, unknown); err != nil {
		return r.fail(err)
	}
	return nil
}

// fail ends the execution.
func (r *reader) fail(err error) error {
	r.err = err
	r.cancel()
	return err
}

// reads is what was read.
func (r *reader) reads() map[common.Address][]common.Hash {
	all := make(map[common.Address][]common.Hash, len(r.slots))
	for address, slots := range r.slots {
		all[address] = slices.SortedFunc(maps.Keys(slots), common.Hash.Cmp)
	}
	return all
}
