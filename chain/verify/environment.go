package verify

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/big"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/consensus/misc/eip4844"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"

	"dens/chain"
)

// Precompiled contracts that check a signature.
var (
	ecrecover  = common.BytesToAddress([]byte{0x01})
	p256Verify = common.BytesToAddress([]byte{0x01, 0x00}) // EIP-7951
)

// environment is what a block's header says of how calls run at it. All of them share it.
type environment struct {
	header  *types.Header
	config  *params.ChainConfig
	rules   params.Rules
	context vm.BlockContext // without GetHash
	library bool            // the library knows the chain
	nitro   bool            // see isNitro
	err     error           // why nothing can be executed at the block

	standard vm.PrecompiledContracts // those of the rules
	noticing sync.Pool               // of *noticing
}

func newEnvironment(chainID uint64, header *types.Header) *environment {
	e := &environment{header: header}
	if e.config, e.library, e.err = rulesOf(chainID, header); e.err != nil {
		return e
	}
	e.nitro = !e.library && isNitro(header)
	if e.context, e.err = blockContext(header, e.config, e.library); e.err != nil {
		return e
	}
	if e.nitro {
		// On such a chain a contract sees numbers of the chain below.
		e.context.BlockNumber = new(big.Int).SetUint64(binary.BigEndian.Uint64(header.MixDigest[8:16]))
	}
	e.rules = e.config.Rules(header.Number, e.context.Random != nil, header.Time)
	e.standard = vm.ActivePrecompiledContracts(e.rules)
	e.noticing.New = func() any { return newNoticing(e.standard) }
	return e
}

// isNitro says whether a block is one of the Arbitrum chains' (Nitro): the extra data is a root, and
// the mix digest holds the count of messages to the chain below, its block number and a version.
func isNitro(header *types.Header) bool {
	version := binary.BigEndian.Uint64(header.MixDigest[16:24])
	return header.Difficulty.Cmp(common.Big1) == 0 && len(header.Extra) == common.HashLength &&
		version > 0 && version < 1<<16 && binary.BigEndian.Uint64(header.MixDigest[24:]) == 0
}

// maxExcessBlobGas is far above what a chain reaches: at it, a blob's fee has a hundred digits.
const maxExcessBlobGas = 1 << 30

// blockContext is what a message sees of its block.
func blockContext(header *types.Header, config *params.ChainConfig, library bool) (vm.BlockContext, error) {
	c := vm.BlockContext{
		CanTransfer: canTransfer,
		Transfer:    transfer,
		Coinbase:    header.Coinbase,
		GasLimit:    header.GasLimit,
		BlockNumber: header.Number,
		Time:        header.Time,
		Difficulty:  header.Difficulty,
		BaseFee:     new(big.Int),
		BlobBaseFee: new(big.Int),

		CostPerStateByte: params.CostPerStateByte,
	}
	switch {
	case isMerged(header):
		c.Random = &header.MixDigest
	case !library: // the opcode is the same, and still says what it said before the merge
		difficulty := common.BigToHash(header.Difficulty)
		c.Random = &difficulty
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

// reserved says whether a chain that the library does not know may have a precompiled contract of its own at
// an address, which is then one byte long. What it does is not known, and must not be taken for nothing.
func (e *environment) reserved(address common.Address) bool {
	if e.library || address == (common.Address{}) || !bytes.Equal(address[:19], make([]byte, 19)) {
		return false
	}
	_, ok := e.standard[address]
	return !ok
}

// noticing are the precompiled contracts of one execution, with what is noticed of their use.
type noticing struct {
	contracts vm.PrecompiledContracts
	signature bool // one that checks signatures was called
}

func newNoticing(standard vm.PrecompiledContracts) *noticing {
	n := &noticing{contracts: maps.Clone(standard)}
	for _, address := range []common.Address{ecrecover, p256Verify} {
		if p, ok := standard[address]; ok {
			n.contracts[address] = &noticed{p, &n.signature}
		}
	}
	return n
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
