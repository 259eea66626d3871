package demo

import (
	"bytes"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
)

// unpackArguments decodes the arguments of a call to the function of that signature.
func unpackArguments(c Contract, signature string, call []byte) ([]any, error) {
	m, err := method(c, signature)
	if err != nil {
		return nil, err
	}
	if len(call) < 4 || !bytes.Equal(call[:4], m.ID) {
		return nil, fmt.Errorf("not a call of %s", signature)
	}
	args, err := m.Inputs.Unpack(call[4:])
	if err != nil {
		return nil, fmt.Errorf("arguments of %s: %w", signature, err)
	}
	return args, nil
}

// profileOf tells which read function of a resolver a call is to, with its arguments. What the Resolver
// does not have is errNoRecord.
func profileOf(call []byte) (signature string, args []any, err error) {
	resolver, err := ABI(Resolver)
	if err != nil || len(call) < 4 {
		return "", nil, fmt.Errorf("not a call: %w", errNoRecord)
	}
	m, err := resolver.MethodById(call)
	if err != nil || m.StateMutability != "view" {
		return "", nil, fmt.Errorf("function %x: %w", call[:4], errNoRecord)
	}
	args, err = m.Inputs.Unpack(call[4:])
	if err != nil {
		return "", nil, fmt.Errorf("arguments of %s: %w", m.Sig, err)
	}
	return m.Sig, args, nil
}

// packOutput encodes what a read function of a resolver returns.
func packOutput(signature string, value any) ([]byte, error) {
	m, err := method(Resolver, signature)
	if err != nil {
		return nil, err
	}
	output, err := m.Outputs.Pack(value)
	if err != nil {
		return nil, fmt.Errorf("output of %s: %w", signature, err)
	}
	return output, nil
}

// addressOf is the address record of a coin type: only Ethereum's is known.
func addressOf(a common.Address, coinType any) []byte {
	if coin, ok := coinType.(*big.Int); !ok || coin.Cmp(coinETH()) != 0 || a == zero() {
		return nil
	}
	return a.Bytes()
}

// signedResponse is what OffchainResolver.resolveWithProof takes as response.
func signedResponse(result []byte, expires uint64, signature []byte) ([]byte, error) {
	arguments := abi.Arguments{{Type: abiBytes()}, {Type: abi.Type{T: abi.UintTy, Size: 64}}, {Type: abiBytes()}}
	packed, err := arguments.Pack(result, expires, signature)
	if err != nil {
		return nil, fmt.Errorf("response: %w", err)
	}
	return packed, nil
}

func abiBytes() abi.Type { return abi.Type{T: abi.BytesTy} }
