package bed

import (
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/miekg/dns"
)

// Addresses of the ENS contracts on Ethereum mainnet, where ENS puts the test's ones too.
var (
	RegistryAddress          = common.HexToAddress("0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e")
	UniversalResolverAddress = common.HexToAddress("0xeEeEEEeE14D718C2B47D9923Deab1335E144EeEe")
	PublicResolverAddress    = common.HexToAddress("0xf29100983e058b709f3d539b0c765937b804ac15")
	NameWrapperAddress       = common.HexToAddress("0xD4416b13d2b3a9aBae7AcD5D6C2BbDBE25686401")
	ReverseRegistrarAddress  = common.HexToAddress("0xa58E81fe9b61B5c3fE2AFD33CF304c454AbFc7Cb")
	BaseRegistrarAddress     = common.HexToAddress("0x57f1887a8BF19b14fC0dF6Fd9B2acc9Af147eA85")
)

// Contract is a contract's interface and creation code.
type Contract struct {
	abi.ABI
	Bytecode []byte
}

// Initcode is the creation code with the constructor's arguments.
func (c Contract) Initcode(t testing.TB, args ...any) []byte {
	t.Helper()
	return append(append([]byte(nil), c.Bytecode...), c.Data(t, "", args...)...)
}

// Data is the call data of a method; "" is the constructor's arguments alone.
func (c Contract) Data(t testing.TB, method string, args ...any) []byte {
	t.Helper()
	data, err := c.Pack(method, args...)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return data
}

// RealContract reads one of the compiled ENS contracts that install.sh fetched.
func RealContract(t testing.TB, name string) Contract {
	t.Helper()
	data, err := os.ReadFile(Path(t, "uns-1.0.17", "artifacts", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var artifact struct {
		ABI      abi.ABI
		Bytecode string
	}
	if err := json.Unmarshal(data, &artifact); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return Contract{artifact.ABI, common.FromHex(artifact.Bytecode)}
}

// OwnContract reads one of the contracts of internal/demo.
func OwnContract(t testing.TB, name string) Contract {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(Root(), "internal", "demo", "contracts", "artifacts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var artifacts struct {
		Contracts map[string]struct {
			ABI      abi.ABI
			Bytecode string
		}
	}
	if err := json.Unmarshal(data, &artifacts); err != nil {
		t.Fatal(err)
	}
	c, ok := artifacts.Contracts[name]
	if !ok {
		t.Fatalf("artifacts.json has no contract %s", name)
	}
	return Contract{c.ABI, common.FromHex(c.Bytecode)}
}

// ENS is the real ENS on an anvil node: registry, registrar of eth, reverse registrar, name wrapper and
// public resolver, at their addresses on mainnet. It has no UniversalResolver unless one is placed.
type ENS struct {
	*Anvil
	registry, registrar, resolver Contract
	deployed                      int64 // contracts that Deploy has placed
}

// DeployENS puts ENS onto a node.
func DeployENS(t testing.TB, a *Anvil) *ENS {
	t.Helper()
	e := &ENS{
		Anvil:     a,
		registry:  RealContract(t, "ENSRegistry"),
		registrar: RealContract(t, "BaseRegistrarImplementation"),
		resolver:  RealContract(t, "PublicResolver"),
	}
	var root common.Hash
	label := func(s string) common.Hash { return crypto.Keccak256Hash([]byte(s)) }
	e.Place(t, RegistryAddress, e.registry.Initcode(t))
	e.Place(t, ReverseRegistrarAddress, RealContract(t, "ReverseRegistrar").Initcode(t, RegistryAddress))
	e.Send(t, RegistryAddress, e.registry.Data(t, "setSubnodeOwner", root, label("reverse"), e.Deployer))
	e.Send(t, RegistryAddress, e.registry.Data(t, "setSubnodeOwner", Namehash("reverse"), label("addr"), ReverseRegistrarAddress))
	e.Place(t, BaseRegistrarAddress, e.registrar.Initcode(t, RegistryAddress, Namehash("eth")))
	e.Send(t, RegistryAddress, e.registry.Data(t, "setSubnodeOwner", root, label("eth"), BaseRegistrarAddress))
	e.Send(t, BaseRegistrarAddress, e.registrar.Data(t, "addController", e.Deployer))
	wrapper := RealContract(t, "NameWrapper")
	e.Place(t, NameWrapperAddress, wrapper.Initcode(t, RegistryAddress, BaseRegistrarAddress, e.Deployer))
	e.Place(t, PublicResolverAddress, e.resolver.Initcode(t, RegistryAddress, NameWrapperAddress, e.Deployer, ReverseRegistrarAddress))
	return e
}

// PlaceUniversalResolver puts the project's UniversalResolver at the address of ENS's own.
func (e *ENS) PlaceUniversalResolver(t testing.TB) {
	t.Helper()
	e.Place(t, UniversalResolverAddress, OwnContract(t, "UniversalResolver").Initcode(t, RegistryAddress))
}

// Deploy puts one of the contracts of internal/demo at an address that nothing else has.
func (e *ENS) Deploy(t testing.TB, name string, args ...any) common.Address {
	t.Helper()
	e.deployed++
	at := common.BigToAddress(big.NewInt(0xd0d0_0000 + e.deployed))
	e.Place(t, at, OwnContract(t, name).Initcode(t, args...))
	return at
}

// Namehash is the EIP-137 hash of a normalised name.
func Namehash(name string) (node common.Hash) {
	if name == "" {
		return node
	}
	labels := strings.Split(name, ".")
	for i := len(labels) - 1; i >= 0; i-- {
		node = crypto.Keccak256Hash(node[:], crypto.Keccak256([]byte(labels[i])))
	}
	return node
}

// Register registers a second-level name of eth, or makes a name below one that is registered, and sets
// its resolver; the zero address is none.
func (e *ENS) Register(t testing.TB, name string, resolver common.Address) {
	t.Helper()
	first, parent, _ := strings.Cut(name, ".")
	label := crypto.Keccak256Hash([]byte(first))
	if parent == "eth" {
		e.Send(t, BaseRegistrarAddress, e.registrar.Data(t, "register", label.Big(), e.Deployer, big.NewInt(365*24*3600)))
		e.Send(t, RegistryAddress, e.registry.Data(t, "setResolver", Namehash(name), resolver))
		return
	}
	e.Send(t, RegistryAddress, e.registry.Data(t, "setSubnodeRecord", Namehash(parent), label, e.Deployer, resolver, uint64(0)))
}

// RegisterTLD makes a name below the root, with the node's own account as its owner.
func (e *ENS) RegisterTLD(t testing.TB, label string, resolver common.Address) {
	t.Helper()
	e.Send(t, RegistryAddress, e.registry.Data(t, "setSubnodeRecord", common.Hash{}, crypto.Keccak256Hash([]byte(label)), e.Deployer, resolver, uint64(0)))
}

// Set calls a setter of the public resolver for a name: Set(t, "alice.eth", "setText", "key", "value").
func (e *ENS) Set(t testing.TB, name, method string, args ...any) {
	t.Helper()
	e.Send(t, PublicResolverAddress, e.resolver.Data(t, method, append([]any{Namehash(name)}, args...)...))
}

// SetDNS stores RRsets of a zone, given in presentation form, as EIP-1185 has it. Records of one RRset
// must follow each other.
func (e *ENS) SetDNS(t testing.TB, zone string, rrs ...string) {
	t.Helper()
	e.Set(t, zone, "setDNSRecords", PackRRs(t, rrs...))
}

// PackRRs is the uncompressed wire form of records, one after another.
func PackRRs(t testing.TB, rrs ...string) []byte {
	t.Helper()
	var wire []byte
	for _, s := range rrs {
		rr, err := dns.NewRR(s)
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, dns.MaxMsgSize)
		n, err := dns.PackRR(rr, buf, 0, nil, false)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		wire = append(wire, buf[:n]...)
	}
	return wire
}
