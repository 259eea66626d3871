package demo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/core/vm/runtime"
)

// FuzzSetDNSRecords holds the Resolver's parser against a plain one: it takes just what is a sequence of
// whole records without compression, and nothing makes it run on.
func FuzzSetDNSRecords(f *testing.F) {
	e := newEVM(f)
	registry := e.create(f, Registry, e.config.Origin)
	resolver := e.create(f, Resolver, registry)
	whole, err := packRRs(aliceZone())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte{0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0xc0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 2048 {
			return
		}
		call, err := Pack(Resolver, "setDNSRecords(bytes32,bytes)", common.Hash{}, data)
		if err != nil {
			t.Fatal(err)
		}
		output, reverted := e.call(t, resolver, call)
		if want := !wholeRecords(data); reverted != want {
			t.Errorf("%x: reverted %v with %x, want %v", data, reverted, output, want)
		}
	})
}

// wholeRecords tells whether data is a sequence of records (RFC 1035 section 3.2.1) without compression.
func wholeRecords(data []byte) bool {
	for len(data) > 0 {
		for {
			if len(data) == 0 || data[0] > 63 || int(data[0]) >= len(data) {
				return false
			}
			label := int(data[0])
			data = data[1+label:]
			if label == 0 {
				break
			}
		}
		if len(data) < 10 {
			return false
		}
		rdata := int(binary.BigEndian.Uint16(data[8:]))
		if len(data) < 10+rdata {
			return false
		}
		data = data[10+rdata:]
	}
	return true
}

// FuzzFindResolver holds the contract's reading of names against Namehash.
func FuzzFindResolver(f *testing.F) {
	e := newEVM(f)
	universal := e.create(f, UniversalResolver, e.create(f, Registry, e.config.Origin))
	for _, name := range []string{"", "eth", "alice.eth", "x.y.alice.eth", "🚀.eth"} {
		wire, err := WireName(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Add([]byte{3, 'a', '.', 'b', 0})
	f.Add([]byte{1, 'a', 0, 0})
	f.Fuzz(func(t *testing.T, wire []byte) {
		if len(wire) > 1024 || bytes.ContainsAny(wire, ".[") {
			return // a dot within a label has no dotted form; brackets are for hashed labels
		}
		call, err := Pack(UniversalResolver, "findResolver(bytes)", wire)
		if err != nil {
			t.Fatal(err)
		}
		output, reverted := e.call(t, universal, call)
		name, nameErr := dottedName(wire)
		if reverted != (nameErr != nil) {
			t.Fatalf("%x: reverted %v, but %v", wire, reverted, nameErr)
		}
		if reverted {
			return
		}
		values, err := Unpack(UniversalResolver, "findResolver(bytes)", output)
		if err != nil || common.Hash(values[1].([32]byte)) != Namehash(name) {
			t.Errorf("%q: %v, %v", name, values, err)
		}
		again, err := WireName(name)
		if err != nil || !bytes.Equal(again, wire) {
			t.Errorf("%x became %x, %v", wire, again, err)
		}
	})
}

// FuzzUniversalResolver lets a resolver return or revert with any bytes. Property: what it says reaches
// the caller as one failed item or as that item's data, and the other items stay as they are.
func FuzzUniversalResolver(f *testing.F) {
	e := newEVM(f)
	registry := e.create(f, Registry, e.config.Origin)
	universal := e.create(f, UniversalResolver, registry)
	hostile := common.HexToAddress("0xbad")
	node := common.Hash{}
	set, err := Pack(Registry, "setSubnodeRecord(bytes32,bytes32,address,address,uint64)",
		node, labelhash("x"), e.config.Origin, hostile, uint64(0))
	if err != nil {
		f.Fatal(err)
	}
	if _, _, err := runtime.Call(registry, set, e.config); err != nil {
		f.Fatal(err)
	}
	lookup, err := abi.Arguments{
		{Type: abi.Type{T: abi.AddressTy, Size: 20}}, {Type: abi.Type{T: abi.SliceTy, Elem: &abi.Type{T: abi.StringTy}}},
		{Type: abiBytes()}, {Type: abi.Type{T: abi.FixedBytesTy, Size: 4}}, {Type: abiBytes()},
	}.Pack(hostile, []string{"http://127.0.0.1/{data}"}, []byte{1}, [4]byte{2}, []byte{3})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append([]byte{0x55, 0x6f, 0x18, 0x30}, lookup...), true)
	f.Add([]byte{0x55, 0x6f, 0x18, 0x30, 0xff}, true)
	f.Add([]byte{}, false)
	f.Add(append(make([]byte, 31), 1), false)
	f.Add(append(append(make([]byte, 31), 0x20), make([]byte, 32)...), false)
	calls := [][]byte{{1, 2, 3, 4}, {1, 2, 3, 5}}
	multicall, err := Pack(Resolver, "multicall(bytes[])", calls)
	if err != nil {
		f.Fatal(err)
	}
	data, err := Pack(UniversalResolver, "resolve(bytes,bytes)", []byte{1, 'x', 0}, multicall)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, output []byte, revert bool) {
		if len(output) > 4096 {
			return
		}
		e.config.State.SetCode(hostile, parrot(output, revert), tracing.CodeChangeUnspecified)
		result, reverted := e.call(t, universal, data)
		if reverted {
			if !revert || !bytes.HasPrefix(result, []byte{0x55, 0x6f, 0x18, 0x30}) || !bytes.HasPrefix(output, result[:4]) {
				t.Fatalf("%x, %v: reverted with %x", output, revert, result)
			}
			return
		}
		values, err := Unpack(UniversalResolver, "resolve(bytes,bytes)", result)
		if err != nil || values[1] != hostile {
			t.Fatalf("%x, %v: %v, %v", output, revert, values, err)
		}
		items, err := Unpack(Resolver, "multicall(bytes[])", values[0].([]byte))
		if err != nil || len(items[0].([][]byte)) != len(calls) {
			t.Fatalf("%x, %v: %v, %v", output, revert, items, err)
		}
	})
}

// parrot is the code of a contract that answers every call with output.
func parrot(output []byte, revert bool) []byte {
	size := []byte{byte(len(output) >> 8), byte(len(output))}
	end := byte(0xf3) // RETURN
	if revert {
		end = 0xfd
	}
	const head = 15                                                             // bytes of code before output
	code := append(append([]byte{0x61}, size...), 0x60, head, 0x60, 0x00, 0x39) // PUSH2 size PUSH1 head PUSH1 0 CODECOPY
	code = append(append(append(code, 0x61), size...), 0x60, 0x00, end, 0xfe)   // PUSH2 size PUSH1 0 RETURN
	return append(code, output...)
}

// evm executes the contracts without a node: faster, and the same at every run.
type evm struct{ config *runtime.Config }

func newEVM(t testing.TB) evm {
	t.Helper()
	db, err := state.New(types.EmptyRootHash, state.NewDatabaseForTesting())
	if err != nil {
		t.Fatal(err)
	}
	return evm{&runtime.Config{State: db, Origin: account("fuzz"), GasLimit: 30_000_000}}
}

func (e evm) create(t testing.TB, c Contract, args ...any) common.Address {
	t.Helper()
	code, err := CreationCode(c, args...)
	if err != nil {
		t.Fatal(err)
	}
	_, at, _, err := runtime.Create(code, e.config)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// call executes a call on a copy of the state, so that nothing is carried from one to the next.
func (e evm) call(t testing.TB, to common.Address, data []byte) (output []byte, reverted bool) {
	t.Helper()
	config := *e.config
	config.State = e.config.State.Copy()
	output, _, err := runtime.Call(to, data, &config)
	if err != nil && !errors.Is(err, vm.ErrExecutionReverted) {
		t.Fatalf("%x: %v", data, err)
	}
	return output, err != nil
}
