package proof

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// recorded reads a file of facts; testdata/README.md says where they are from.
func recorded(t testing.TB, name string) json.RawMessage {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Blocks of Ethereum mainnet under the rules of Cancun, Osaka and BPO2, and one of a devnet under those of
// the fork after: each hashes to what the network knows it by.
func TestRealHeaders(t *testing.T) {
	tests := []struct {
		file   string
		hash   string
		number uint64
		root   string
	}{
		{"mainnet_block_21925176.json", "0x92dabfa3f61ff1c349d12f5fd0dd4c99760a0a41b77dee8f0a80f83efdcb307a", 21925176,
			"0x7b3d5a01f69b7d2ea7479fd7ae35f4bac2700ab6d6d7b4807a7fedf53ced710e"},
		{"mainnet_block_25639768.json", "0xaa60bee98690c3146ea8d8865e19f6934f7d0dba499c350cd1d511fad98313e0", 25639768,
			"0xde97a8349a6496353877597fd35732f6705ee836b2d00b6c367fa8acd2c53329"},
		{"mainnet_block_26050794.json", "0x0c376582eb04b8dd46f1bf950715e0fd3e6a57a49e670df60fb36862968e69ce", 26050794,
			"0x1d3a996600908fd0fa2b46df131e914059fc73a59f28d45fd7167161bd24f13c"},
		{"devnet_block_63.json", "0x5f509b0dfcefdeaea3c96ea742c958d3621fad9acbf7551a48205de245f76be4", 63,
			"0x882830f03e1277d19da2c9fcc19e0ab4c8265709c2d812e0b22f19f9e57ba76e"},
	}
	for _, tt := range tests {
		block := recorded(t, tt.file)
		header, err := DecodeHeader(block, common.HexToHash(tt.hash))
		if err != nil || header.Number.Uint64() != tt.number || header.Root != common.HexToHash(tt.root) {
			t.Errorf("%s: %+v, %v", tt.file, header, err)
		}
		var fields map[string]any
		if err := json.Unmarshal(block, &fields); err != nil {
			t.Fatal(err)
		}
		fields["stateRoot"] = common.Hash{1}
		if _, err := DecodeHeader(blockJSON(t, fields), common.HexToHash(tt.hash)); !errors.Is(err, ErrHeader) {
			t.Errorf("%s with another state root: %v", tt.file, err)
		}
	}
}

// From a block hash of mainnet to a balance: the Tether contract, and what one of its holders has.
func TestRealProof(t *testing.T) {
	header, err := DecodeHeader(recorded(t, "mainnet_block_25639768.json"),
		common.HexToHash("0xaa60bee98690c3146ea8d8865e19f6934f7d0dba499c350cd1d511fad98313e0"))
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := DecodeAccountProof(recorded(t, "mainnet_proof_25639768.json"), 1)
	if err != nil {
		t.Fatal(err)
	}
	tether := common.HexToAddress("0xdAC17F958D2ee523a2206206994597C13D831ec7")
	account, err := VerifyAccount(header.Root, tether, nodes.Account)
	if err != nil || !account.Exists || account.Nonce != 1 || account.Balance.Uint64() != 42 ||
		account.StorageRoot != common.HexToHash("0x261898dc12c926b33218d29afad898be487e821e8b4474465b62d802f7d33291") ||
		account.CodeHash != common.HexToHash("0xb44fb4e949d0f78f87f79ee46428f23a2a5713ce6fc6e0beb3dda78c2ac1ea55") {
		t.Fatalf("%+v, %v", account, err)
	}
	// balances is the mapping in slot 2: its slot of a holder is keccak256(holder . 2).
	holder := common.HexToAddress("0xF977814e90dA44bFA03b6295A0616a897441aceC")
	slot := crypto.Keccak256Hash(common.LeftPadBytes(holder[:], 32), number(2).Bytes())
	value, err := VerifySlot(account.StorageRoot, slot, nodes.Slots[0])
	if err != nil || value != number(0x3f1ca131081cf8) {
		t.Errorf("slot %s: %s, %v", slot, value, err)
	}
	// The same proofs say nothing of other accounts, holders or roots, but for what shares their path.
	neighbour := common.HexToAddress("0x0000000000000000000000000000000000000001")
	if got, err := VerifyAccount(header.Root, neighbour, nodes.Account); !errors.Is(err, ErrProof) {
		t.Errorf("another account: %+v, %v", got, err)
	}
	if got, err := VerifySlot(account.StorageRoot, number(2), nodes.Slots[0]); !errors.Is(err, ErrProof) {
		t.Errorf("another slot: %s, %v", got, err)
	}
	if got, err := VerifyAccount(account.StorageRoot, tether, nodes.Account); !errors.Is(err, ErrProof) {
		t.Errorf("another root: %+v, %v", got, err)
	}
	for i := range nodes.Account {
		for _, at := range []int{0, 5, len(nodes.Account[i]) / 2, len(nodes.Account[i]) - 1} {
			nodes.Account[i][at] ^= 1
			if got, err := VerifyAccount(header.Root, tether, nodes.Account); !errors.Is(err, ErrProof) {
				t.Errorf("node %d altered at byte %d: %+v, %v", i, at, got, err)
			}
			nodes.Account[i][at] ^= 1
		}
	}
}
