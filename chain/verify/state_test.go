package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"

	"dens/chain"
	"dens/internal/demo"
)

// at is the address of a contract in tests.
func at(n byte) common.Address { return common.Address{0: 0xaa, 19: n} }

// push is an instruction that pushes an address.
func push(a common.Address) string { return "73" + common.Bytes2Hex(a[:]) }

// TestAccounts runs what concerns accounts that are delegated, empty or not there: each answer is that of a
// node.
func TestAccounts(t *testing.T) {
	delegation := func(to common.Address) []byte { return append(common.FromHex("0xef0100"), to[:]...) }
	storage := map[common.Hash]common.Hash{{31: 1}: {31: 0x42}}
	alloc := types.GenesisAlloc{
		at(1): {Code: common.FromHex(word("600154")), Storage: map[common.Hash]common.Hash{{31: 1}: {31: 0x11}}},
		at(2): {Code: delegation(at(1)), Storage: storage, Balance: big.NewInt(5)}, // runs at(1) over its own storage
		at(3): {Code: delegation(at(9))},                                           // to nothing
		at(4): {Code: delegation(at(2))},                                           // to a delegation: followed once
		at(5): {Code: delegation(common.BytesToAddress([]byte{4}))},                // to a precompiled contract
		at(6): {Balance: big.NewInt(7)},                                            // no code
		at(7): {Storage: storage, Nonce: 1},                                        // storage, and no code
	}
	call := func(op string, a common.Address) string { // 32 bytes out; value 0 where there is one
		zeros := strings.Repeat("6000", 4)
		if op == "f1" || op == "f2" {
			zeros += "6000"
		}
		return "60206000" + strings.Repeat("6000", len(zeros)/4-2) + push(a) + "5a" + op + "50600051"
	}
	var probes []common.Address
	for i, code := range []string{
		call("f1", at(2)), call("f4", at(2)), call("f2", at(2)), call("fa", at(4)), call("f1", at(3)), call("fa", at(5)),
		push(at(2)) + "3b", push(at(2)) + "3f", push(at(2)) + "31", push(at(9)) + "3f", push(at(9)) + "3b", push(at(6)) + "3f",
		push(common.BytesToAddress([]byte{1})) + "3f", push(common.BytesToAddress([]byte{4})) + "31",
		// A contract that is made, and destroyed by its own code; its code's size after.
		"6132ff60f01b6000526002600060006000f5803b90506000546020525f51",
		// CREATE2 of one byte of code, then EXTCODEHASH of it, then its storage by a call.
		"6960006000536001" + "6000f3600052600a60166000f03f",
		// SELFDESTRUCT of the contract itself in the end is no answer at all.
		push(at(6)) + "ff",
		// A transfer of more than there is.
		"6000600060006000600a" + push(at(6)) + "5af1",
		// A transfer of what is there, and the balance after.
		"60006000600060006001" + push(at(9)) + "5af150" + push(at(9)) + "31",
	} {
		a := common.Address{0: 0xbb, 19: byte(i)}
		alloc[a] = types.Account{Code: common.FromHex(word(code)), Balance: big.NewInt(3)}
		probes = append(probes, a)
	}
	node, err := demo.StartNode(t.Context(), demo.NodeConfig{Alloc: alloc})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close() //nolint:errcheck // the node is for this test alone
	if _, err := node.Mine(); err != nil {
		t.Fatal(err)
	}
	p := newNodeProvider()
	p.client = node.Client()
	header := node.Head()
	v := newVerifierWith(t, Config{Provider: p, Anchors: fixedAnchor{chain.Head{Hash: header.Hash()}}})
	for _, to := range append(probes, at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(9), common.BytesToAddress([]byte{2})) {
		var want hexutil.Bytes
		args := map[string]any{"to": to, "data": "0x6d57ce63", "gas": hexutil.Uint64(maxGas)}
		errNode := node.Client().CallContext(t.Context(), &want, "eth_call", args, blockHash{Hash: header.Hash()})
		r, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{{To: to, Data: common.FromHex("6d57ce63")}}})
		if err != nil {
			t.Errorf("%s: %v", to, err)
			continue
		}
		if out := r.Outputs[0]; out.Err != nil || out.Reverted != (errNode != nil) || !bytes.Equal(out.Data, want) {
			t.Errorf("%s: got %+v, want %s, %v", to, out, want, errNode)
		}
	}
	if r := call0(t, v, at(2)); common.BytesToHash(r.Data) != storage[common.Hash{31: 1}] {
		t.Errorf("a delegation runs over its own storage: got %+v", r)
	}
}

func call0(t testing.TB, v *Verifier, to common.Address) chain.Output {
	r, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{{To: to}}})
	if err != nil {
		t.Fatal(err)
	}
	return r.Outputs[0]
}

// TestNewInstructionsInOldBlocks: chains that the library does not know run what their headers do not show.
func TestNewInstructionsInOldBlocks(t *testing.T) {
	codes := map[common.Address]string{
		at(1): "5f5f5260205ff3",                   // PUSH0: Shanghai
		at(2): word("602a60005d60005c"),           // TSTORE, TLOAD: Cancun
		at(3): word("44"),                         // PREVRANDAO, once DIFFICULTY
		at(4): word("60206000608060006101005afa"), // P256VERIFY
	}
	codes[common.BytesToAddress([]byte{1, 0})] = ""
	for what, header := range map[string]types.Header{
		"BSC":     {Difficulty: big.NewInt(2), BaseFee: new(big.Int)},
		"Polygon": {Difficulty: big.NewInt(22), BaseFee: big.NewInt(25)},
		"classic": {Difficulty: big.NewInt(1e18)},
	} {
		v := made(t, 56, header, codes, nil)
		for n, want := range map[byte]uint64{1: 0, 2: 42, 3: header.Difficulty.Uint64(), 4: 1} {
			if out := call0(t, v, at(n)); out.Err != nil || out.Reverted || new(big.Int).SetBytes(out.Data).Uint64() != want || len(out.Data) != 32 {
				t.Errorf("%s, %d: got %+v", what, n, out)
			}
		}
	}
}

// TestChainsOwnContracts: what a chain has at addresses that it keeps for itself is not known here. It is an
// error of the message, never an empty answer.
func TestChainsOwnContracts(t *testing.T) {
	codes := map[common.Address]string{}
	for i, address := range []byte{0x12, 0x64, 0xff} {
		a := common.BytesToAddress([]byte{address})
		codes[a] = "fe"
		codes[at(byte(2*i))] = word("6020600060006000" + push(a) + "5afa50600051")
		codes[at(byte(2*i+1))] = word(push(a) + "3b")
	}
	codes[at(100)] = word("6007")
	for n := range byte(6) {
		for chainID, refused := range map[uint64]bool{42161: true, 1: false} {
			header := types.Header{Number: big.NewInt(24e6), Time: *params.MainnetChainConfig.OsakaTime}
			v := made(t, chainID, header, codes, nil)
			r, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{{To: at(n)}, {To: at(100)}}})
			if err != nil {
				t.Fatal(err)
			}
			if got := errors.Is(r.Outputs[0].Err, chain.ErrLimit); got != refused || refused && r.Outputs[0].Data != nil {
				t.Errorf("chain %d, contract %d: got %+v", chainID, n, r.Outputs[0])
			}
			if out := r.Outputs[1]; out.Err != nil || new(big.Int).SetBytes(out.Data).Uint64() != 7 {
				t.Errorf("the next message: %+v", out)
			}
		}
	}
	v := made(t, 42161, types.Header{}, codes, nil)
	if out := call0(t, v, common.BytesToAddress([]byte{0x64})); !errors.Is(out.Err, chain.ErrLimit) {
		t.Errorf("got %+v", out)
	}
}

// TestNitro: a contract on an Arbitrum chain sees the number of a block below, and hashes of those are not
// to be had.
func TestNitro(t *testing.T) {
	header := types.Header{Number: big.NewInt(3e8), Difficulty: common.Big1, Extra: make([]byte, 32), BaseFee: common.Big1}
	binary.BigEndian.PutUint64(header.MixDigest[8:], 21_000_000)
	binary.BigEndian.PutUint64(header.MixDigest[16:], 32)
	codes := map[common.Address]string{
		at(1): word("43"), at(2): word("6001430340"), at(3): word("44"), at(4): word("42"),
		params.HistoryStorageAddress: common.Bytes2Hex(params.HistoryStorageCode),
	}
	v := made(t, 42161, header, codes, nil)
	if out := call0(t, v, at(1)); new(big.Int).SetBytes(out.Data).Uint64() != 21_000_000 {
		t.Errorf("got %+v", out)
	}
	if out := call0(t, v, at(2)); !errors.Is(out.Err, chain.ErrLimit) || out.Data != nil {
		t.Errorf("got %+v", out)
	}
	if out := call0(t, v, at(3)); new(big.Int).SetBytes(out.Data).Uint64() != 1 {
		t.Errorf("got %+v", out)
	}
	if r, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{{To: at(4)}}}); err != nil || r.Head.Number != 3e8 {
		t.Errorf("got %+v, %v", r, err)
	}
	for what, change := range map[string]func(h *types.Header){
		"difficulty": func(h *types.Header) { h.Difficulty = common.Big2 },
		"extra data": func(h *types.Header) { h.Extra = make([]byte, 97) },
		"version":    func(h *types.Header) { h.MixDigest[20] = 1 },
		"the rest":   func(h *types.Header) { h.MixDigest[31] = 1 },
	} {
		other := header
		change(&other)
		if isNitro(&other) {
			t.Errorf("changed %s", what)
		}
	}
	if e := newEnvironment(1, &header); e.nitro {
		t.Error("mainnet is no such chain")
	}
}

// TestBlockHash asks for hashes of old blocks where they are, and where they are not what they seem.
func TestBlockHash(t *testing.T) {
	canonical := common.Bytes2Hex(params.HistoryStorageCode)
	header := types.Header{Number: big.NewInt(8191*3 + 5), ParentHash: common.Hash{7}, RequestsHash: &common.Hash{1}}
	ring := func(number, value uint64) map[common.Hash]common.Hash {
		slots := map[common.Hash]common.Hash{}
		for i := range uint64(300) {
			slots[common.BigToHash(new(big.Int).SetUint64(i))] = common.Hash{}
			slots[common.BigToHash(new(big.Int).SetUint64(8191-1-i))] = common.Hash{}
		}
		slots[common.BigToHash(new(big.Int).SetUint64(number%8191))] = common.BigToHash(new(big.Int).SetUint64(value))
		return slots
	}
	ask := func(back uint16) string {
		return word("61" + hexutil.Encode(binary.BigEndian.AppendUint16(nil, back))[2:] + "430340")
	}
	number := header.Number.Uint64()
	for _, tt := range []struct {
		what, code string
		back       uint16
		slots      map[common.Hash]common.Hash
		want       common.Hash // zero: an error
		none       bool        // zero is the answer
	}{
		{"the parent", "", 1, nil, header.ParentHash, false},
		{"before it", canonical, 2, ring(number-2, 0xabc), common.BytesToHash([]byte{0xa, 0xbc}), false},
		{"over the ring's end", canonical, 6, ring(number-6, 0xabc), common.BytesToHash([]byte{0xa, 0xbc}), false},
		{"the ring's begin", canonical, 5, ring(number-5, 0xabc), common.BytesToHash([]byte{0xa, 0xbc}), false},
		{"the oldest", canonical, 256, ring(number-256, 0xabc), common.BytesToHash([]byte{0xa, 0xbc}), false},
		{"too old", canonical, 257, ring(number-257, 0xabc), common.Hash{}, true},
		{"itself", canonical, 0, ring(number, 0xabc), common.Hash{}, true},
		{"a ring with a gap", canonical, 9, ring(number-2, 0xabc), common.Hash{}, false},
		{"another ring", strings.Replace(canonical, "1fff", "5fff", 1), 2, ring(number-2, 0xabc), common.Hash{}, false},
		{"no ring", "", 2, nil, common.Hash{}, false},
	} {
		codes := map[common.Address]string{at(1): ask(tt.back), at(2): word("6007"), params.HistoryStorageAddress: tt.code}
		v := made(t, 100, header, codes, map[common.Address]map[common.Hash]common.Hash{params.HistoryStorageAddress: tt.slots})
		r, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{{To: at(1)}, {To: at(2)}}})
		if err != nil {
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		out := r.Outputs[0]
		if tt.want == (common.Hash{}) && !tt.none {
			if !errors.Is(out.Err, chain.ErrLimit) || out.Data != nil {
				t.Errorf("%s: got %+v", tt.what, out)
			}
		} else if out.Err != nil || common.BytesToHash(out.Data) != tt.want {
			t.Errorf("%s: got %+v", tt.what, out)
		}
		if r.Outputs[1].Err != nil || len(r.Outputs[1].Data) != 32 {
			t.Errorf("%s, the next message: %+v", tt.what, r.Outputs[1])
		}
	}
}

// TestGasIsTheSame: no message of a Call gets less gas than it would get alone, since it may tell.
func TestGasIsTheSame(t *testing.T) {
	codes := map[common.Address]string{
		at(1): burner,
		at(2): word("5a"), // GAS
	}
	v := made(t, 1337, types.Header{}, codes, nil)
	alone := call0(t, v, at(2))
	msgs := []chain.Msg{{To: at(2)}, {To: at(1)}, {To: at(2)}, {To: at(1)}, {To: at(2)}, {To: at(1)}, {To: at(2)}}
	r, err := v.Call(t.Context(), chain.Call{Msgs: msgs})
	if err != nil {
		t.Fatal(err)
	}
	for i, out := range r.Outputs {
		switch {
		case out.Err != nil && (!errors.Is(out.Err, chain.ErrLimit) || out.Data != nil):
			t.Errorf("message %d: %+v", i, out)
		case msgs[i].To == at(1) && out.Err == nil, i < 3 && i != 1 && out.Err != nil:
			t.Errorf("message %d: %+v", i, out)
		case out.Err == nil && !bytes.Equal(out.Data, alone.Data):
			t.Errorf("message %d has gas %x, alone %x", i, out.Data, alone.Data)
		}
	}
}

// TestRulesToCome: a block of rules that are not known here is refused, and no backend is blamed.
func TestRulesToCome(t *testing.T) {
	slot := new(uint64)
	header := types.Header{Number: big.NewInt(3e7), Time: uint64(time.Now().Unix()), SlotNumber: slot}
	v := made(t, 1, header, map[common.Address]string{at(1): word("43")}, nil)
	_, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{{To: at(1)}}})
	if !errors.Is(err, chain.ErrNotReady) || !strings.Contains(err.Error(), "upgrade dens") || v.Status().BadProofs != 0 {
		t.Errorf("got %v", err)
	}
}
