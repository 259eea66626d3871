package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"dens/chain"
)

// execute runs the message in an EVM of the block's rules, as eth_call does: from the zero address, without
// value or fees. The errors are those of fetching state; what the EVM comes to is the Output.
func (r *reader) execute() (out chain.Output, err error) {
	env := r.run.block.environment()
	db, err := state.NewWithReader(env.header.Root, noDatabase{}, r)
	if err != nil {
		return chain.Output{}, fmt.Errorf("%w: %w", chain.ErrUnavailable, err)
	}
	block := env.context
	block.GetHash = func(number uint64) common.Hash { return r.blockHash(env, number) }
	evm := vm.NewEVM(block, db, env.config, vm.Config{NoBaseFee: true})
	defer evm.Release()
	evm.SetJumpDestCache(r.run.v.jumps)
	evm.SetTxContext(vm.TxContext{GasPrice: new(uint256.Int)})
	notes := env.noticing.Get().(*noticing)
	defer env.noticing.Put(notes)
	notes.signature = false
	evm.SetPrecompiles(notes.contracts)
	db.Prepare(env.rules, common.Address{}, env.header.Coinbase, &r.msg.To, vm.ActivePrecompiles(env.rules), nil)
	r.cancel = evm.Cancel
	defer context.AfterFunc(r.ctx, evm.Cancel)()

	if err := r.acquire(); err != nil {
		return chain.Output{}, err
	}
	defer r.release()
	data, gas, failed, err := r.call(evm)
	r.run.gas += gas
	// The order counts: after an error of the state, what the EVM says means nothing.
	switch {
	case r.err != nil:
		return chain.Output{}, r.err
	case err != nil:
		return chain.Output{}, err
	case r.ctx.Err() != nil:
		return chain.Output{}, fmt.Errorf("%w: execution did not end in time", chain.ErrTimeout)
	case db.Error() != nil:
		return chain.Output{}, fmt.Errorf("%w: %w", chain.ErrUnavailable, db.Error())
	case evm.Cancelled():
		return chain.Output{}, fmt.Errorf("%w: execution was cancelled", chain.ErrTimeout)
	}
	out = outputOf(data, failed)
	out.Signature = notes.signature
	return out, nil
}

// noDatabase stands for the database that a state is written to in the end. Nothing is: of all its methods
// only that is called which tells the kind of trie.
type noDatabase struct{ state.Database }

// Type implements state.Database.
func (noDatabase) Type() state.DatabaseType { return state.TypeMPT }

// call runs the message and returns what came back, the gas that it took, and the EVM's own error. A panic
// in it is an error: contracts are strangers' programs.
func (r *reader) call(evm *vm.EVM) (data []byte, gas uint64, failed, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &tooMuch{fmt.Sprintf("execution panicked: %v", p)}
		}
	}()
	before := vm.NewGasBudget(maxGas, 0)
	data, left, failed := evm.Call(common.Address{}, r.msg.To, r.msg.Data, before, new(uint256.Int))
	return data, left.Used(before), failed, nil
}

// outputOf turns what the EVM says into an Output.
func outputOf(data []byte, failed error) chain.Output {
	switch {
	case errors.Is(failed, vm.ErrOutOfGas), errors.Is(failed, vm.ErrGasUintOverflow):
		return chain.Output{Err: fmt.Errorf("%w: out of gas", chain.ErrLimit)}
	case len(data) > chain.MaxOutput:
		return chain.Output{Err: fmt.Errorf("%w: output of %d bytes", chain.ErrLimit, len(data))}
	case errors.Is(failed, vm.ErrExecutionReverted):
		return chain.Output{Data: common.CopyBytes(data), Reverted: true}
	case failed != nil:
		return chain.Output{Reverted: true}
	}
	return chain.Output{Data: common.CopyBytes(data)}
}

// canTransfer and transfer read no account where nothing is transferred: its proof would be fetched for
// nothing.
func canTransfer(db vm.StateDB, from common.Address, amount *uint256.Int) bool {
	return amount.IsZero() || db.GetBalance(from).Cmp(amount) >= 0
}

func transfer(db vm.StateDB, from, to common.Address, amount *uint256.Int, _ *params.Rules) {
	if amount.IsZero() {
		return
	}
	db.SubBalance(from, amount, tracing.BalanceChangeTransfer)
	db.AddBalance(to, amount, tracing.BalanceChangeTransfer)
}

// historyCode is the hash of EIP-2935's contract: where the account has it, its storage is the ring that
// the EIP says. Some chains have another contract there, with a ring of another length.
var historyCode = crypto.Keccak256Hash(params.HistoryStorageCode)

// blockHash is the hash of one of the last 256 blocks: the parent's is in the header, older ones are in the
// storage of a system contract (EIP-2935).
func (r *reader) blockHash(env *environment, number uint64) common.Hash {
	if r.err != nil {
		return common.Hash{}
	}
	if !env.nitro && number+1 == env.header.Number.Uint64() {
		return env.header.ParentHash
	}
	if account, err := r.Account(params.HistoryStorageAddress); err != nil {
		return common.Hash{}
	} else if env.nitro || account == nil || common.BytesToHash(account.CodeHash) != historyCode {
		r.fail(&tooMuch{fmt.Sprintf("the chain's state does not prove the hash of block %d", number)}) //nolint:errcheck // it is kept
		return common.Hash{}
	}
	slot := common.BigToHash(new(uint256.Int).SetUint64(number % params.HistoryServeWindow).ToBig())
	hash, err := r.Storage(params.HistoryStorageAddress, slot)
	if err == nil && hash == (common.Hash{}) {
		r.fail(&tooMuch{fmt.Sprintf("the state does not hold the hash of block %d", number)}) //nolint:errcheck // it is kept
	}
	return hash
}
