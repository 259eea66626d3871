package verify

import (
	"bytes"
	"context"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"

	"dens/chain"
	"dens/internal/demo"
)

// deploy puts code on the chain and returns its address. The code must be shorter than 256 bytes.
func deploy(t testing.TB, code string) common.Address {
	runtime := common.FromHex(code)
	// PUSH1 n, PUSH1 12, PUSH1 0, CODECOPY, PUSH1 n, PUSH1 0, RETURN: what follows is the code.
	creation := append([]byte{0x60, byte(len(runtime)), 0x60, 12, 0x60, 0, 0x39, 0x60, byte(len(runtime)), 0x60, 0, 0xf3}, runtime...)
	var nonce *big.Int
	var text string
	if err := theChain.Client().CallContext(t.Context(), &text, "eth_getTransactionCount", theChain.Owner, "latest"); err != nil {
		t.Fatal(err)
	}
	nonce, _ = new(big.Int).SetString(strings.TrimPrefix(text, "0x"), 16)
	if err := theChain.Apply(t.Context(), demo.Tx{Data: creation}); err != nil {
		t.Fatal(err)
	}
	return crypto.CreateAddress(theChain.Owner, nonce.Uint64())
}

// word pushes, stores and returns what ops leave on the stack.
func word(ops string) string { return ops + "60005260206000f3" }

// TestOpcodes runs what the environment decides: each answer is that of the node at the same block.
func TestOpcodes(t *testing.T) {
	v := newVerifier(t, newPool(t, newBackend(t, nil)))
	for range 20 {
		mine(t)
	}
	codes := map[string]string{
		"NUMBER":               word("43"),
		"TIMESTAMP":            word("42"),
		"PREVRANDAO":           word("44"),
		"GASLIMIT":             word("45"),
		"CHAINID":              word("46"),
		"BASEFEE":              word("48"),
		"BLOBBASEFEE":          word("4a"),
		"COINBASE":             word("41"),
		"ORIGIN":               word("32"),
		"CALLER":               word("33"),
		"GASPRICE":             word("3a"),
		"SELFBALANCE":          word("47"),
		"BALANCE of the owner": word("73" + common.Bytes2Hex(theChain.Owner[:]) + "31"),
		"EXTCODEHASH":          word("73" + common.Bytes2Hex(theChain.Registry[:]) + "3f"),
		"EXTCODESIZE":          word("73" + common.Bytes2Hex(theChain.Registry[:]) + "3b"),
		"EXTCODEHASH of none":  word("73" + strings.Repeat("77", 20) + "3f"),
		"BLOCKHASH, parent":    word("6001430340"),
		"BLOCKHASH, older":     word("6009430340"),
		"BLOCKHASH, future":    word("4340"),
		"CLZ":                  word("60011e"),
		"INVALID":              "fe",
		"STOP":                 "00",
		"SSTORE then SLOAD":    word("602a600155600154"),
		"TSTORE then TLOAD":    word("602a60015d60015c"),
		"CREATE":               word("60006000" + "6000f0"),
	}
	contracts := map[string]common.Address{}
	for what, code := range codes {
		contracts[what] = deploy(t, code)
	}
	for what, address := range contracts {
		m := chain.Msg{To: address}
		r, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{m}})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		want, reverted := truth(t, m, r.Head.Hash)
		if out := r.Outputs[0]; out.Err != nil || out.Reverted != reverted || !bytes.Equal(out.Data, want) {
			t.Errorf("%s: got %+v, want %x, %v", what, out, want, reverted)
		}
		if what == "BLOCKHASH, older" && common.BytesToHash(want) == (common.Hash{}) {
			t.Error("the node knows no older block")
		}
	}
}

// burner spends its gas at once: it logs 100 KiB, over and over.
const burner = "5b620190005fa05f56"

// TestLimits runs contracts that want too much: their Output says so, and that of others is there.
func TestLimits(t *testing.T) {
	tests := map[string]string{
		"endless loop":          burner,
		"huge output":           "6210000160" + "00f3",
		"memory without an end": "6001" + "7f" + strings.Repeat("0f", 32) + "52",
		"slots without an end":  "60005b600101805450600256", // counts up and reads: nobody's list holds them all
	}
	msgs := map[string]chain.Msg{}
	for what, code := range tests {
		msgs[what] = chain.Msg{To: deploy(t, code)}
	}
	// It makes no lists: made of those, they keep the node busy.
	p := refusing(func() error { return errors.New("method not found") })
	v := newVerifierWith(t, Config{Provider: p, Anchors: fixedAnchor{newest(t.Context())}, Timeout: time.Minute})
	v.listless.Store(time.Now().Add(time.Hour).UnixNano())
	good := text(t, "wallet.eth", "url")
	for what, bad := range msgs {
		t.Run(what, func(t *testing.T) {
			r, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{good, bad, good}})
			if err != nil {
				t.Fatal(err)
			}
			if !errors.Is(r.Outputs[1].Err, chain.ErrLimit) || r.Outputs[1].Data != nil {
				t.Errorf("got %+v", r.Outputs[1])
			}
			if r.Outputs[0].Err != nil || r.Outputs[2].Err != nil || len(r.Outputs[2].Data) < 64 {
				t.Errorf("got %+v", r.Outputs)
			}
		})
	}
	t.Run("gas of a Call", func(t *testing.T) {
		loop := msgs["endless loop"]
		r, err := v.Call(t.Context(), chain.Call{Msgs: []chain.Msg{loop, loop, loop, loop, loop, loop}})
		if err != nil || !strings.Contains(r.Outputs[5].Err.Error(), "for one call") || strings.Contains(r.Outputs[1].Err.Error(), "for one call") {
			t.Errorf("got %+v, %v", r.Outputs, err)
		}
	})
	t.Run("time", func(t *testing.T) {
		slow := chain.Msg{To: deploy(t, "5b600056")}
		v.cfg.Anchors = fixedAnchor{newest(t.Context())}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		if r, err := v.Call(ctx, chain.Call{Msgs: []chain.Msg{slow, slow}}); !errors.Is(err, chain.ErrTimeout) {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}

// TestSignature has a contract check one, and another that does not.
func TestSignature(t *testing.T) {
	v := newVerifier(t, newPool(t, newBackend(t, nil)))
	for what, tt := range map[string]struct {
		code string
		want bool
	}{
		"ecrecover":   {word("602060006080600060015afa"), true},
		"P256VERIFY":  {word("60206000608060006101005afa"), true},
		"sha256":      {word("602060006080600060025afa"), false},
		"no contract": {word("43"), false},
	} {
		r := call(t, v, chain.Msg{To: deploy(t, tt.code)})
		if r.Outputs[0].Signature != tt.want {
			t.Errorf("%s: got %+v", what, r.Outputs[0])
		}
	}
}

func TestRules(t *testing.T) {
	number, some := big.NewInt(20_000_000), new(uint64)
	hash := &common.Hash{1}
	newest := func(r params.Rules) bool { return r.IsOsaka && !r.IsAmsterdam && !r.IsBogota }
	prague := params.MainnetChainConfig.PragueTime
	tests := []struct {
		what   string
		chain  uint64
		header types.Header
		is     func(params.Rules) bool // nil: refused
	}{
		{"mainnet, Prague", 1, types.Header{Time: *prague}, func(r params.Rules) bool { return r.IsPrague && !r.IsOsaka }},
		{"mainnet, Osaka", 1, types.Header{Time: *params.MainnetChainConfig.OsakaTime}, func(r params.Rules) bool { return r.IsOsaka }},
		{"mainnet, rules to come", 1, types.Header{Time: *params.MainnetChainConfig.OsakaTime + 1e9, SlotNumber: some}, nil},
		{"mainnet, other rules to come", 1, types.Header{Time: *params.MainnetChainConfig.OsakaTime + 1e9, BlockAccessListHash: hash}, nil},
		{"mainnet, Prague before its time", 1, types.Header{Time: *prague - 1, RequestsHash: hash}, nil},
		{"mainnet, Cancun before its time", 1, types.Header{Time: *params.MainnetChainConfig.CancunTime - 1, ParentBeaconRoot: hash}, nil},
		{"mainnet, Shanghai before its time", 1, types.Header{Time: *params.MainnetChainConfig.ShanghaiTime - 1, WithdrawalsHash: hash}, nil},
		{"a private chain with mainnet's id, Prague", 1, types.Header{Number: common.Big1, BaseFee: common.Big1, WithdrawalsHash: hash, ParentBeaconRoot: hash, RequestsHash: hash}, newest},
		{"another, like Ethereum's", 100, types.Header{BaseFee: common.Big1, WithdrawalsHash: hash, ParentBeaconRoot: hash, RequestsHash: hash}, newest},
		{"another that looks old", 137, types.Header{BaseFee: common.Big1, Difficulty: big.NewInt(22)}, newest},
		{"another that looks very old", 61, types.Header{Difficulty: big.NewInt(1e18)}, newest},
		{"another, Amsterdam", 10, types.Header{BaseFee: common.Big1, WithdrawalsHash: hash, ParentBeaconRoot: hash, RequestsHash: hash, SlotNumber: some}, func(r params.Rules) bool { return r.IsAmsterdam }},
	}
	for _, tt := range tests {
		if tt.header.Number == nil {
			tt.header.Number = number
		}
		if tt.header.Difficulty == nil {
			tt.header.Difficulty = new(big.Int)
		}
		e := newEnvironment(tt.chain, &tt.header)
		switch {
		case tt.is == nil:
			if !errors.Is(e.err, chain.ErrNotReady) || !strings.Contains(e.err.Error(), "upgrade") {
				t.Errorf("%s: got %v", tt.what, e.err)
			}
		case e.err != nil || e.config.ChainID.Uint64() != tt.chain || !tt.is(e.rules):
			t.Errorf("%s: got %+v, %v", tt.what, e.rules, e.err)
		}
	}
}

func TestOutputOf(t *testing.T) {
	tests := []struct {
		data   []byte
		failed error
		want   chain.Output
	}{
		{[]byte{1}, nil, chain.Output{Data: []byte{1}}},
		{nil, nil, chain.Output{}},
		{[]byte{1}, vm.ErrExecutionReverted, chain.Output{Data: []byte{1}, Reverted: true}},
		{[]byte{1}, vm.ErrInvalidJump, chain.Output{Reverted: true}},
	}
	for _, tt := range tests {
		got := outputOf(tt.data, tt.failed)
		if !bytes.Equal(got.Data, tt.want.Data) || got.Reverted != tt.want.Reverted || got.Err != nil {
			t.Errorf("%v: got %+v", tt.failed, got)
		}
	}
	if got := outputOf(nil, vm.ErrOutOfGas); !errors.Is(got.Err, chain.ErrLimit) || got.Reverted {
		t.Errorf("got %+v", got)
	}
}
