package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

// FuzzLies: nothing that is not the honest value is ever accepted for an account or a slot.
func FuzzLies(f *testing.F) {
	w := newWorld(f)
	forger := newForger(f, w)
	f.Add([]byte{})
	for op := range byte(9) {
		f.Add([]byte{op, 1, 0, 5, 3, 2, 0, 9, 1})
	}
	f.Fuzz(func(t *testing.T, script []byte) { w.checkLie(t, forger, script) })
}

// FuzzNode: a root that a liar chose, by a node of its own making. It proves what it likes, but only well
// formed, and without harm.
func FuzzNode(f *testing.F) {
	w := newWorld(f)
	for _, node := range append(w.state.prove(f, contract[:]), w.storage.prove(f, deepSlots[0][:])...) {
		f.Add(node, []byte{})
	}
	_, leaf := lone(f, number(5).Bytes(), []byte{7})
	f.Add(leaf[0], leaf[0])
	f.Fuzz(func(t *testing.T, first, second []byte) {
		root := crypto.Keccak256Hash(first)
		nodes := [][]byte{first, second}
		if account, err := VerifyAccount(root, contract, nodes); err == nil {
			if account.Balance == nil || !account.Exists && account.CodeHash != types.EmptyCodeHash {
				t.Errorf("account %+v", account)
			}
		} else if !errors.Is(err, ErrProof) && !errors.Is(err, ErrMalformed) {
			t.Errorf("account: %v", err)
		}
		if _, err := VerifySlot(root, number(5), nodes); err != nil && !errors.Is(err, ErrProof) && !errors.Is(err, ErrMalformed) {
			t.Errorf("slot: %v", err)
		}
		// What is read from a leaf has one encoding only.
		if account, err := decodeAccount(first); err == nil {
			again := encode(t, []any{account.Nonce, account.Balance, account.StorageRoot, account.CodeHash})
			if !bytes.Equal(again, first) {
				t.Errorf("account %x is read as %x", first, again)
			}
		}
	})
}

// FuzzDecodeHeader: what is accepted has the hash that was asked for, and every header that hashes is accepted.
func FuzzDecodeHeader(f *testing.F) {
	want := osaka().Hash()
	f.Add([]byte(blockJSON(f, fields(f, osaka()))))
	f.Add([]byte(`{"parentHash":"0x00","number":"0x1"}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, block []byte) {
		got, err := DecodeHeader(block, want)
		if err == nil && (got.Hash() != want || got.Root != osaka().Root) {
			t.Errorf("accepted %s", block)
		}
		if err != nil && !errors.Is(err, ErrHeader) && !errors.Is(err, ErrMalformed) {
			t.Error(err)
		}
		var header types.Header
		if json.Unmarshal(block, &header) != nil || header.SanityCheck() != nil || len(block) > MaxBlock {
			return
		}
		if got, err := DecodeHeader(block, header.Hash()); err != nil || got.Hash() != header.Hash() {
			t.Errorf("refused %s: %v", block, err)
		}
	})
}

// FuzzDecodeAccountProof: the bounds hold, it is what a reader without bounds finds, and what was read comes
// back from its own encoding.
func FuzzDecodeAccountProof(f *testing.F) {
	w := newWorld(f)
	f.Add([]byte(response(f, w, contract, []common.Hash{number(1)})), 1)
	f.Add([]byte(`{"accountProof":["0x01",null],"storageProof":[{"proof":[]},{}]}`), 2)
	f.Add([]byte(`{"accountProof":null}`), 0)
	f.Fuzz(func(t *testing.T, raw []byte, slots int) {
		slots = min(slots, 64)
		nodes, err := DecodeAccountProof(raw, slots)
		if err != nil {
			if !errors.Is(err, ErrMalformed) || nodes.Account != nil || nodes.Slots != nil {
				t.Errorf("%v, %v", nodes, err)
			}
			return
		}
		if len(nodes.Slots) != slots {
			t.Fatalf("%d slots, asked for %d", len(nodes.Slots), slots)
		}
		if plain := plainProofs(t, raw); !reflect.DeepEqual(plain, bounded(t, append(nodes.Slots, nodes.Account)...)) {
			t.Errorf("read %v, found %v", nodes, plain)
		}
		answer := map[string]any{"accountProof": bounded(t, nodes.Account)[0]}
		proofs := []any{}
		for _, slot := range nodes.Slots {
			proofs = append(proofs, map[string]any{"proof": bounded(t, slot)[0]})
		}
		answer["storageProof"] = proofs
		encoded, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeAccountProof(encoded, slots)
		if err != nil || !sameNodes(again.Account, nodes.Account) {
			t.Fatalf("not read again: %v", err)
		}
		for i := range nodes.Slots {
			if !sameNodes(again.Slots[i], nodes.Slots[i]) {
				t.Errorf("slot %d is another when read again", i)
			}
		}
	})
}

// plainProofs reads the proofs of the slots, then that of the account.
func plainProofs(t *testing.T, raw []byte) (all [][]hexutil.Bytes) {
	var answer struct {
		Account []hexutil.Bytes   `json:"accountProof"`
		Storage []json.RawMessage `json:"storageProof"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatalf("accepted what is none: %v", err)
	}
	for _, element := range answer.Storage {
		var slot struct {
			Proof []hexutil.Bytes `json:"proof"`
		}
		if err := json.Unmarshal(element, &slot); err != nil {
			t.Fatalf("accepted what is none: %v", err)
		}
		all = append(all, append([]hexutil.Bytes{}, slot.Proof...))
	}
	return append(all, append([]hexutil.Bytes{}, answer.Account...))
}

// bounded are the proofs in the form that encodes to JSON. It checks their bounds.
func bounded(t *testing.T, proofs ...[][]byte) (all [][]hexutil.Bytes) {
	for _, nodes := range proofs {
		if len(nodes) > MaxNodes {
			t.Errorf("%d nodes", len(nodes))
		}
		list := []hexutil.Bytes{}
		for _, node := range nodes {
			if len(node) > MaxNode {
				t.Errorf("node of %d bytes", len(node))
			}
			list = append(list, node)
		}
		all = append(all, list)
	}
	return all
}

func sameNodes(a, b [][]byte) bool {
	return len(a) == len(b) && bytes.Equal(bytes.Join(a, nil), bytes.Join(b, nil))
}
