package demo

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/vm/runtime"
)

//go:generate node contracts/compile.mjs

//go:embed contracts/artifacts.json
var artifactsJSON string

// Contract names one of the package's contracts: the file and contract of that name below contracts/.
type Contract string

// The contracts, with the arguments of their constructors.
const (
	Registry          Contract = "Registry"          // address root
	Resolver          Contract = "Resolver"          // address registry
	WildcardResolver  Contract = "WildcardResolver"  // none
	OffchainResolver  Contract = "OffchainResolver"  // string url, address signer
	UniversalResolver Contract = "UniversalResolver" // address registry
	GarbageResolver   Contract = "GarbageResolver"   // uint8 mode (a Garbage), string url
)

// Garbage is a mode of the GarbageResolver.
type Garbage uint8

// What a GarbageResolver does to every call.
const (
	Noise   Garbage = iota // returns bytes that encode nothing
	Huge                   // returns 1 MB
	Burn                   // takes all gas
	Loop                   // reverts with OffchainLookup, and so does its callback
	Junk                   // reverts with bytes that are no error
	Foreign                // holds DNS records of www.example.org, whatever the question
)

// artifact is what the compiler made of one contract.
type artifact struct {
	ABI      abi.ABI       `json:"abi"`
	Bytecode hexutil.Bytes `json:"bytecode"`
}

// artifacts is the committed output of contracts/compile.mjs.
type artifacts struct {
	Compiler  string                `json:"compiler"`
	Sources   map[string]string     `json:"sources"` // file name to SHA-256 in hex
	Contracts map[Contract]artifact `json:"contracts"`
}

// loadArtifacts decodes the embedded file, once.
var loadArtifacts = sync.OnceValues(func() (artifacts, error) {
	var a artifacts
	if err := json.Unmarshal([]byte(artifactsJSON), &a); err != nil {
		return a, fmt.Errorf("artifacts.json: %w", err)
	}
	return a, nil
})

func load(c Contract) (artifact, error) {
	all, err := loadArtifacts()
	if err != nil {
		return artifact{}, err
	}
	a, ok := all.Contracts[c]
	if !ok {
		return artifact{}, fmt.Errorf("no contract %q", c)
	}
	return a, nil
}

// ABI returns the interface of a contract.
func ABI(c Contract) (abi.ABI, error) {
	a, err := load(c)
	return a.ABI, err
}

// CreationCode returns the code that deploys a contract, with its constructor's arguments.
func CreationCode(c Contract, args ...any) ([]byte, error) {
	a, err := load(c)
	if err != nil {
		return nil, err
	}
	packed, err := a.ABI.Pack("", args...)
	if err != nil {
		return nil, fmt.Errorf("arguments of %s: %w", c, err)
	}
	return append(bytes.Clone(a.Bytecode), packed...), nil
}

// RuntimeCode returns the code that a contract has once it is deployed, its immutables filled in. In a
// genesis block or by anvil_setCode it puts the contract at any address; what the constructor writes to
// storage is not part of it, so this is for UniversalResolver and WildcardResolver.
func RuntimeCode(c Contract, args ...any) ([]byte, error) {
	creation, err := CreationCode(c, args...)
	if err != nil {
		return nil, err
	}
	code, _, _, err := runtime.Create(creation, &runtime.Config{GasLimit: 30_000_000})
	if err != nil {
		return nil, fmt.Errorf("creation of %s: %w", c, err)
	}
	return code, nil
}

// Pack encodes a call. signature is the function's full one, such as "addr(bytes32,uint256)", since
// several may share a name.
func Pack(c Contract, signature string, args ...any) ([]byte, error) {
	method, err := method(c, signature)
	if err != nil {
		return nil, err
	}
	packed, err := method.Inputs.Pack(args...)
	if err != nil {
		return nil, fmt.Errorf("arguments of %s.%s: %w", c, signature, err)
	}
	return append(bytes.Clone(method.ID), packed...), nil
}

// Unpack decodes what a function of that signature returned.
func Unpack(c Contract, signature string, output []byte) ([]any, error) {
	method, err := method(c, signature)
	if err != nil {
		return nil, err
	}
	values, err := method.Outputs.Unpack(output)
	if err != nil {
		return nil, fmt.Errorf("output of %s.%s: %w", c, signature, err)
	}
	return values, nil
}

func method(c Contract, signature string) (abi.Method, error) {
	a, err := load(c)
	if err != nil {
		return abi.Method{}, err
	}
	for _, m := range a.ABI.Methods {
		if m.Sig == signature {
			return m, nil
		}
	}
	return abi.Method{}, fmt.Errorf("%s has no function %s", c, signature)
}

// coinETH is Ethereum's coin type (SLIP-44, ENSIP-9).
func coinETH() *big.Int { return big.NewInt(60) }

// zero is the address that means none.
func zero() common.Address { return common.Address{} }
