package verify

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/misc/eip4844"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"dens/chain"
)

// Precompiled contracts that check a signature.
var (
	ecrecover  = common.BytesToAddress([]byte{0x01})
	p256Verify = common.BytesToAddress([]byte{0x01, 0x00}) // EIP-7951
)

// timeOf is when a block was made.
func timeOf(header *types.Header) time.Time { return time.Unix(int64(header.Time), 0) }

// execute runs the message in an EVM of the block's rules, as eth_call does: from the zero address, without
// value or fees. The errors are those of fetching state; what the EVM comes to is the Output.
func (r *reader) execute() (out chain.Output, err error) {
	header, config := r.run.block.proven()
	rules := config.Rules(header.Number, isMerged(header), header.Time)
	db, err := state.NewWithReader(header.Root, noDatabase{}, r)
	if err != nil {
		return chain.Output{}, fmt.Errorf("%w: %w", chain.ErrUnavailable, err)
	}
	blockCtx, err := r.blockContext(header, config)
	if err != nil {
		return chain.Output{}, err
	}
	evm := vm.NewEVM(blockCtx, db, config, vm.Config{NoBaseFee: true})
	defer evm.Release()
	evm.SetTxContext(vm.TxContext{GasPrice: new(uint256.Int)})
	r.precompiles = vm.ActivePrecompiledContracts(rules)
	var signature bool
	for _, address := range []common.Address{ecrecover, p256Verify} {
		if p, ok := r.precompiles[address]; ok {
			r.precompiles[address] = &noticed{p, &signature}
		}
	}
	evm.SetPrecompiles(r.precompiles)
	db.Prepare(rules, common.Address{}, header.Coinbase, &r.msg.To, vm.ActivePrecompiles(rules), nil)
	r.cancel = evm.Cancel
	defer context.AfterFunc(r.ctx, evm.Cancel)()

	select {
	case r.run.v.running <- struct{}{}:
	case <-r.ctx.Done():
		return chain.Output{}, fmt.Errorf("%w: no processor was free", chain.ErrTimeout)
	}
	defer func() { <-r.run.v.running }()
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
	out.Signature = signature
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
			err = fmt.Errorf("%w: execution panicked: %v", chain.ErrLimit, p)
		}
	}()
	before := vm.NewGasBudget(min(maxGas, maxCallGas-r.run.gas), 0)
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

// maxExcessBlobGas is far above what a chain reaches: at it, a blob's fee has a hundred digits.
const maxExcessBlobGas = 1 << 30

// blockContext is what a message sees of its block.
func (r *reader) blockContext(header *types.Header, config *params.ChainConfig) (vm.BlockContext, error) {
	c := vm.BlockContext{
		CanTransfer: canTransfer,
		Transfer:    transfer,
		GetHash:     func(n uint64) common.Hash { return r.blockHash(header, n) },
		Coinbase:    header.Coinbase,
		GasLimit:    header.GasLimit,
		BlockNumber: new(big.Int).Set(header.Number),
		Time:        header.Time,
		Difficulty:  new(big.Int).Set(header.Difficulty),
		BaseFee:     new(big.Int),
		BlobBaseFee: new(big.Int),

		CostPerStateByte: params.CostPerStateByte,
	}
	if isMerged(header) {
		c.Random = &header.MixDigest
	}
	if header.SlotNumber != nil {
		c.SlotNum = *header.SlotNumber
	}
	if header.ExcessBlobGas != nil && config.IsCancun(header.Number, header.Time) {
		if *header.ExcessBlobGas > maxExcessBlobGas {
			return c, fmt.Errorf("%w: excess blob gas of %d", chain.ErrLimit, *header.ExcessBlobGas)
		}
		c.BlobBaseFee = eip4844.CalcBlobFee(config, header)
	}
	return c, nil
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

// blockHash is the hash of one of the last 256 blocks: the parent's is in the header, older ones are in the
// storage of a system contract (EIP-2935).
func (r *reader) blockHash(header *types.Header, number uint64) common.Hash {
	if number+1 == header.Number.Uint64() {
		return header.ParentHash
	}
	slot := common.BigToHash(new(big.Int).SetUint64(number % params.HistoryServeWindow))
	if header.RequestsHash == nil {
		r.fail(fmt.Errorf("%w: the chain's rules do not prove the hash of block %d", chain.ErrLimit, number)) //nolint:errcheck // it is kept
		return common.Hash{}
	}
	if _, err := r.Account(params.HistoryStorageAddress); err != nil {
		return common.Hash{}
	}
	hash, err := r.Storage(params.HistoryStorageAddress, slot)
	if err == nil && hash == (common.Hash{}) {
		r.fail(fmt.Errorf("%w: the state does not hold the hash of block %d", chain.ErrLimit, number)) //nolint:errcheck // it is kept
	}
	return hash
}

// noticed is a precompiled contract that leaves word when it is used.
type noticed struct {
	vm.PrecompiledContract
	used *bool
}

// Run implements vm.PrecompiledContract.
func (n *noticed) Run(input []byte) ([]byte, error) {
	*n.used = true
	return n.PrecompiledContract.Run(input)
}
