package proof

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// osaka is a header with all fields of its fork.
func osaka() *types.Header {
	blobGas, excess := uint64(131072), uint64(7)
	withdrawals, beacon, requests := common.Hash{1}, common.Hash{2}, types.EmptyRequestsHash
	return &types.Header{
		ParentHash: common.Hash{3}, UncleHash: types.EmptyUncleHash, Coinbase: common.Address{4}, Root: common.Hash{5},
		TxHash: common.Hash{6}, ReceiptHash: common.Hash{7}, Bloom: types.Bloom{8}, Difficulty: new(big.Int),
		Number: big.NewInt(23_000_000), GasLimit: 45_000_000, GasUsed: 21_000, Time: 1_760_000_000,
		Extra: []byte("extra"), MixDigest: common.Hash{9}, BaseFee: big.NewInt(1e9),
		WithdrawalsHash: &withdrawals, BlobGasUsed: &blobGas, ExcessBlobGas: &excess, ParentBeaconRoot: &beacon,
		RequestsHash: &requests,
	}
}

// fields are the block's JSON as eth_getBlockByHash returns it: more than a header.
func fields(t testing.TB, h *types.Header) map[string]any {
	t.Helper()
	data, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	block := map[string]any{}
	if err := json.Unmarshal(data, &block); err != nil {
		t.Fatal(err)
	}
	for key, value := range block {
		if value == nil {
			delete(block, key) // fields of later forks
		}
	}
	block["size"], block["totalDifficulty"] = "0x30b89", "0xc70d815d562d3cfa955"
	block["uncles"], block["transactions"] = []string{}, []string{"0x167abad74040eb31bd88e715799a59a519b783f967faa16a0d44156aaed9b160"}
	block["withdrawals"] = []any{map[string]any{"index": "0x1", "amount": "0x2"}}
	return block
}

func blockJSON(t testing.TB, block map[string]any) json.RawMessage {
	t.Helper()
	data, err := json.Marshal(block)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Headers of all forks hash, with the fields that some chains add beside them.
func TestHeader(t *testing.T) {
	forks := map[string]func(*types.Header){
		"osaka":  func(*types.Header) {},
		"cancun": func(h *types.Header) { h.RequestsHash = nil },
		"shanghai": func(h *types.Header) {
			h.RequestsHash, h.ParentBeaconRoot, h.BlobGasUsed, h.ExcessBlobGas = nil, nil, nil, nil
		},
		"london": func(h *types.Header) {
			h.RequestsHash, h.ParentBeaconRoot, h.BlobGasUsed, h.ExcessBlobGas = nil, nil, nil, nil
			h.WithdrawalsHash = nil
		},
		"frontier": func(h *types.Header) {
			h.RequestsHash, h.ParentBeaconRoot, h.BlobGasUsed, h.ExcessBlobGas = nil, nil, nil, nil
			h.WithdrawalsHash, h.BaseFee, h.Difficulty, h.Nonce = nil, nil, big.NewInt(131072), types.BlockNonce{1}
		},
		"access lists": func(h *types.Header) {
			slot := uint64(12)
			h.BlockAccessListHash, h.SlotNumber = &common.Hash{11}, &slot
		},
	}
	extras := map[string]map[string]any{
		"usual":     {},
		"arbitrum":  {"l1BlockNumber": "0x1451d9b", "sendCount": "0x1f", "sendRoot": "0x01", "totalDifficulty": nil},
		"gnosis":    {"author": "0x00", "sealFields": []string{}},
		"no miner":  {"coinbase": "0x00"},
		"unhurried": {"transactions": []any{map[string]any{"type": "0x2", "input": "0x" + strings.Repeat("ab", 5000)}}},
	}
	for fork, change := range forks {
		for chain, extra := range extras {
			header := osaka()
			change(header)
			block := fields(t, header)
			for key, value := range extra {
				block[key] = value
			}
			got, err := DecodeHeader(blockJSON(t, block), header.Hash())
			if err != nil || got.Hash() != header.Hash() || got.Root != header.Root {
				t.Errorf("%s, %s: %v, %v", fork, chain, got, err)
			}
		}
	}
	// After the merge some nodes leave these out: they are zero.
	header := osaka()
	header.MixDigest, header.Coinbase = common.Hash{}, common.Address{}
	block := fields(t, header)
	delete(block, "nonce")
	delete(block, "mixHash")
	delete(block, "miner")
	if _, err := DecodeHeader(blockJSON(t, block), header.Hash()); err != nil {
		t.Error(err)
	}
}

// A header that is changed in any one field is another one, or none.
func TestHeaderLies(t *testing.T) {
	header := osaka()
	honest := fields(t, header)
	want := header.Hash()
	beside := map[string]bool{"hash": true, "size": true, "totalDifficulty": true, "uncles": true, "transactions": true, "withdrawals": true}
	zero := map[string]bool{"nonce": true} // is zero when it is missing
	tried := 0
	for key, value := range honest {
		if beside[key] {
			continue
		}
		tried++
		lies := map[string]any{"changed": changed(value), "number": 7, "list": []string{}, "string": "lie", "empty": "0x"}
		if !zero[key] {
			lies["null"], lies["missing"] = nil, nil
		}
		for lie, value := range lies {
			block := fields(t, header)
			block[key] = value
			if lie == "missing" {
				delete(block, key)
			}
			got, err := DecodeHeader(blockJSON(t, block), want)
			if got != nil || !errors.Is(err, ErrHeader) && !errors.Is(err, ErrMalformed) {
				t.Errorf("%s %s: %v, %v", key, lie, got, err)
			}
		}
	}
	if tried != 21 {
		t.Errorf("%d fields of 21 were tried", tried)
	}
	for _, key := range []string{"blockAccessListHash", "slotNumber"} {
		block := fields(t, header)
		block[key] = map[string]any{"blockAccessListHash": common.Hash{1}, "slotNumber": "0x5"}[key]
		if _, err := DecodeHeader(blockJSON(t, block), want); !errors.Is(err, ErrHeader) {
			t.Errorf("%s added: %v", key, err)
		}
	}
}

// changed is another value of the same form: its last digit differs.
func changed(value any) any {
	digits, ok := value.(string)
	if !ok {
		panic(fmt.Sprintf("%v is no string", value))
	}
	last := digits[len(digits)-1]
	if last == '1' {
		return digits[:len(digits)-1] + "2"
	}
	return digits[:len(digits)-1] + "1"
}

// A block of rules that this version does not know: its hash covers a field that is passed over here.
func TestUnknownRules(t *testing.T) {
	header := osaka()
	block := fields(t, header)
	want := common.HexToHash("0x0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
	block["hash"], block["fieldOfTomorrow"] = want, "0x1"
	_, err := DecodeHeader(blockJSON(t, block), want)
	if !errors.Is(err, ErrHeader) {
		t.Fatal(err)
	}
	for _, part := range []string{want.String(), header.Hash().String(), "newer", "upgrade"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestMalformedBlock(t *testing.T) {
	header := osaka()
	large := fields(t, header)
	large["number"] = "0x10000000000000000"
	hard := fields(t, header)
	hard["difficulty"] = "0x1" + strings.Repeat("0", 40)
	extra := fields(t, header)
	extra["extraData"] = "0x" + strings.Repeat("00", 100*1024+1)
	for name, block := range map[string]json.RawMessage{
		"nothing":          nil,
		"null":             []byte("null"),
		"list":             []byte("[]"),
		"string":           []byte(`"block"`),
		"empty object":     []byte("{}"),
		"truncated":        blockJSON(t, fields(t, header))[:300],
		"two values":       append(blockJSON(t, fields(t, header)), []byte("{}")...),
		"deep":             []byte(`{"x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + "}"),
		"huge":             append([]byte(`{"x":"`), append([]byte(strings.Repeat("a", MaxBlock)), '"', '}')...),
		"number of 65 bit": blockJSON(t, large),
		"difficulty":       blockJSON(t, hard),
		"extra data":       blockJSON(t, extra),
	} {
		if got, err := DecodeHeader(block, header.Hash()); got != nil || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
