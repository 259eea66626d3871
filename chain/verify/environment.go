package verify

import (
	"encoding/binary"
	"errors"
	"fmt"
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
	nitro   bool
	err     error // why nothing can be executed at the block

	standard vm.PrecompiledContracts // those of the rules
	noticing sync.Pool               // of *noticing
}

func newEnvironment(chainID uint64, header *types.Header) *environment {
	e := &environment{header: header}
	var library bool
	if e.config, library, e.err = rulesOf(chainID, header); e.err != nil {
		return e
	}
	e.nitro = !library && isNitro(header)
	if e.context, e.err = blockContext(header, e.config, library); e.err != nil {
		return e
	}
	if e.nitro {
		// On such a chain a contract sees numbers of the chain below.
		e.context.BlockNumber = new(big.Int).SetUint64(binary.BigEndian.Uint64(header.MixDigest[8:16]))
	}
	e.rules = e.config.Rules(header.Number, e.context.Random != nil, header.Time)
	e.standard = vm.ActivePrecompiledContracts(e.rules)
	e.noticing.New = func() any { return newNoticing(e.standard, !library) }
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

// noticing are the precompiled contracts of one execution, with what is noticed of their use.
type noticing struct {
	contracts vm.PrecompiledContracts
	signature bool // one that checks signatures was called
	foreign   bool // one was called that only the chain itself knows
}

// maxReserved is the greatest address, as a number, at which chains put precompiled contracts of their own.
const maxReserved = 0xff

// newNoticing is made for the standard contracts and, on a chain that the library does not know, for those
// that the chain may have beside them: what they do is not known, and must not be taken for nothing.
func newNoticing(standard vm.PrecompiledContracts, others bool) *noticing {
	n := &noticing{contracts: make(vm.PrecompiledContracts, len(standard))}
	for address, p := range standard {
		n.contracts[address] = p
	}
	for _, address := range []common.Address{ecrecover, p256Verify} {
		if p, ok := standard[address]; ok {
			n.contracts[address] = &noticed{p, &n.signature}
		}
	}
	for i := 1; others && i <= maxReserved; i++ {
		address := common.BytesToAddress([]byte{byte(i)})
		if _, ok := standard[address]; !ok {
			n.contracts[address] = &foreign{&n.foreign}
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

// foreign is a precompiled contract that only its chain knows, if there is one at the address.
type foreign struct{ used *bool }

// RequiredGas implements vm.PrecompiledContract.
func (*foreign) RequiredGas([]byte) uint64 { return 0 }

// Run implements vm.PrecompiledContract.
func (f *foreign) Run([]byte) ([]byte, error) {
	*f.used = true
	return nil, errForeign
}

// Name implements vm.PrecompiledContract.
func (*foreign) Name() string { return "FOREIGN" }

var errForeign = errors.New("the chain's own precompiled contracts are not known here")
