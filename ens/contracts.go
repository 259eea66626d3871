package ens

import (
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/wealdtech/go-ens/v3/contracts/dnsresolver"
	"github.com/wealdtech/go-ens/v3/contracts/registry"
)

// universalABI is what go-ens has no bindings for: ENSIP-23's UniversalResolver, ENSIP-10's extended
// resolver (whose resolve has the same selector) and the multicall that both take as data.
const universalABI = `[
{"type":"function","name":"findResolver","stateMutability":"view","inputs":[{"name":"name","type":"bytes"}],
 "outputs":[{"name":"resolver","type":"address"},{"name":"node","type":"bytes32"},{"name":"offset","type":"uint256"}]},
{"type":"function","name":"resolve","stateMutability":"view","inputs":[{"name":"name","type":"bytes"},{"name":"data","type":"bytes"}],
 "outputs":[{"name":"result","type":"bytes"},{"name":"resolver","type":"address"}]},
{"type":"function","name":"multicall","stateMutability":"nonpayable","inputs":[{"name":"data","type":"bytes[]"}],
 "outputs":[{"name":"results","type":"bytes[]"}]}
]`

// Selectors of the errors that resolution reverts with.
var (
	errorResolverNotFound    = [4]byte{0x77, 0x20, 0x9f, 0xe8} // ResolverNotFound(bytes)
	errorNoWildcard          = [4]byte{0x82, 0xc2, 0xc7, 0x28} // ResolverWildcardNotSupported(), before ENSIP-23
	errorResolverNotContract = [4]byte{0x1e, 0x95, 0x35, 0xf2} // ResolverNotContract(bytes,address)
	errorUnsupported         = [4]byte{0x7b, 0x1c, 0x46, 0x1b} // UnsupportedResolverProfile(bytes4)
	errorResolver            = [4]byte{0x95, 0xc0, 0xc7, 0x52} // ResolverError(bytes)
	errorHTTP                = [4]byte{0x01, 0x80, 0x01, 0x52} // HttpError(uint16,string)
	errorString              = [4]byte{0x08, 0xc3, 0x79, 0xa0} // Error(string), Solidity's own
	errorTooLarge            = [4]byte{0x9e, 0x6a, 0x4a, 0xcc} // ResponseTooLarge(uint256), of dens's own UniversalResolver
	errorMalformed           = [4]byte{0x1e, 0x3b, 0xc9, 0xba} // MalformedResponse(), of the same
	errorOffchainLookup      = [4]byte{0x55, 0x6f, 0x18, 0x30} // OffchainLookup(...), EIP-3668, that nobody followed
)

// Interfaces of EIP-165 that tell an extended resolver (ENSIP-10) from others.
var (
	interfaceExtended = [4]byte{0x90, 0x61, 0xb9, 0x23}
	interfaceInvalid  = [4]byte{0xff, 0xff, 0xff, 0xff} // EIP-165: must be answered with false
)

// contracts packs calls. The ABIs are go-ens's where it has them.
type contracts struct{ registry, resolver, universal abi.ABI }

func newContracts() *contracts {
	return &contracts{
		registry:  mustParse(registry.ContractABI),
		resolver:  mustParse(dnsresolver.ContractABI),
		universal: mustParse(universalABI),
	}
}

// mustParse parses a constant of the program.
func mustParse(s string) abi.ABI {
	parsed, err := abi.JSON(strings.NewReader(s))
	if err != nil {
		panic("ens: " + err.Error())
	}
	return parsed
}

// mustPack packs a call. Only arguments of wrong Go types can make it fail, never their values.
func mustPack(contract abi.ABI, method string, args ...any) []byte {
	data, err := contract.Pack(method, args...)
	if err != nil {
		panic("ens: " + err.Error())
	}
	return data
}

func (c *contracts) owner(node common.Hash) []byte { return mustPack(c.registry, "owner", node) }

func (c *contracts) resolverOf(node common.Hash) []byte {
	return mustPack(c.registry, "resolver", node)
}

func (c *contracts) supports(id [4]byte) []byte { return mustPack(c.resolver, "supportsInterface", id) }

func (c *contracts) dnsRecord(node, owner common.Hash, rrtype uint16) []byte {
	return mustPack(c.resolver, "dnsRecord", node, owner, rrtype)
}

func (c *contracts) hasDNSRecords(node, owner common.Hash) []byte {
	return mustPack(c.resolver, "hasDNSRecords", node, owner)
}

func (c *contracts) contenthash(node common.Hash) []byte {
	return mustPack(c.resolver, "contenthash", node)
}

func (c *contracts) text(node common.Hash, key string) []byte {
	return mustPack(c.resolver, "text", node, key)
}

func (c *contracts) addr(node common.Hash) []byte { return mustPack(c.resolver, "addr", node) }

// coinAddr is addr(bytes32,uint256) of ENSIP-9, which the bindings call addr0.
func (c *contracts) coinAddr(node common.Hash, coin uint64) []byte {
	return mustPack(c.resolver, "addr0", node, new(big.Int).SetUint64(coin))
}

func (c *contracts) findResolver(name []byte) []byte {
	return mustPack(c.universal, "findResolver", name)
}

// resolve is that of the UniversalResolver and of extended resolvers alike.
func (c *contracts) resolve(name, data []byte) []byte {
	return mustPack(c.universal, "resolve", name, data)
}

func (c *contracts) multicall(calls [][]byte) []byte {
	return mustPack(c.universal, "multicall", calls)
}
