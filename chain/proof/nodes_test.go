package proof

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// response is the result of eth_getProof as nodes of the network send it.
func response(t testing.TB, w world, addr common.Address, slots []common.Hash) json.RawMessage {
	t.Helper()
	type slotProof struct {
		Key   string          `json:"key"`
		Value *hexutil.Big    `json:"value"`
		Proof []hexutil.Bytes `json:"proof"`
	}
	answer := struct {
		Address      common.Address  `json:"address"`
		AccountProof []hexutil.Bytes `json:"accountProof"`
		Balance      *hexutil.Big    `json:"balance"`
		StorageProof []slotProof     `json:"storageProof"`
	}{Address: addr, StorageProof: []slotProof{}}
	for _, node := range w.state.prove(t, addr[:]) {
		answer.AccountProof = append(answer.AccountProof, node)
	}
	for _, slot := range slots {
		s := slotProof{Key: slot.Hex(), Proof: []hexutil.Bytes{}}
		for _, node := range w.storage.prove(t, slot[:]) {
			s.Proof = append(s.Proof, node)
		}
		answer.StorageProof = append(answer.StorageProof, s)
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestDecodeAccountProof(t *testing.T) {
	w := newWorld(t)
	slots := []common.Hash{number(3), deepSlots[1], number(7777)}
	nodes, err := DecodeAccountProof(response(t, w, contract, slots), len(slots))
	if err != nil || len(nodes.Slots) != len(slots) {
		t.Fatalf("%d slots, %v", len(nodes.Slots), err)
	}
	account, err := VerifyAccount(w.state.root, contract, nodes.Account)
	if err != nil {
		t.Fatal(err)
	}
	for i, slot := range slots {
		if got, err := VerifySlot(account.StorageRoot, slot, nodes.Slots[i]); err != nil || got != w.slots[slot] {
			t.Errorf("slot %d: %s, %v", i, got, err)
		}
	}
	// What the response says of the keys is not asked: another slot's proof proves nothing of this one.
	if got, err := VerifySlot(account.StorageRoot, slots[0], nodes.Slots[1]); !errors.Is(err, ErrProof) {
		t.Errorf("proof in another's place: %s, %v", got, err)
	}
}

func TestAccountProofForms(t *testing.T) {
	node := `"0x` + strings.Repeat("ab", MaxNode) + `"`
	list := func(element string, n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]"
	}
	tests := []struct {
		name  string
		raw   string
		slots int
		want  string // number of nodes of the account and of each slot; "": malformed
	}{
		{"no slots", `{"accountProof":["0x01","0x02"],"storageProof":[]}`, 0, "2 []"},
		{"no list of slots", `{"accountProof":["0x01"]}`, 0, "1 []"},
		{"null list of slots", `{"accountProof":["0x01"],"storageProof":null}`, 0, "1 []"},
		{"no nodes", `{"accountProof":[],"storageProof":[{"key":"0x0","value":"0x0","proof":[]}]}`, 1, "0 [0]"},
		{"null nodes", `{"accountProof":null,"storageProof":[{"proof":null},{}]}`, 2, "0 [0 0]"},
		{"empty node", `{"accountProof":["0x"],"storageProof":[]}`, 0, "1 []"},
		{"white space", " { \"accountProof\" : [ \"0x01\" ,\t\"0x02\"\r\n] , \"storageProof\" : [ { } , {\"proof\": [ ] } ] } ", 2, "2 [0 0]"},
		{"commas and brackets in strings", `{"accountProof":["0x01"],"storageProof":[{"key":"],[\\\"","proof":["0x"]}]}`, 1, "1 [1]"},
		{"slot is null", `{"accountProof":[],"storageProof":[null]}`, 1, "0 [0]"},
		{"capitals", `{"accountProof":["0xAB"],"storageProof":[]}`, 0, "1 []"},
		{"greatest", `{"accountProof":` + list(node, MaxNodes) + `}`, 0, fmt.Sprint(MaxNodes, " []")},
		{"key twice, the last counts", `{"accountProof":["0x01"],"accountProof":["0x02","0x03"]}`, 0, "2 []"},
		{"slots twice, the last counts", `{"storageProof":[{"proof":["0x01"]}],"storageProof":[{"proof":[]}]}`, 1, "0 [0]"},

		{"nothing", ``, 0, ""},
		{"null", `null`, 1, ""},
		{"list", `[]`, 0, ""},
		{"string", `"0x"`, 0, ""},
		{"truncated", `{"accountProof":["0x01"`, 0, ""},
		{"too few slots", `{"accountProof":[],"storageProof":[{}]}`, 2, ""},
		{"too many slots", `{"accountProof":[],"storageProof":[{},{}]}`, 1, ""},
		{"a slot unasked", `{"accountProof":[],"storageProof":[{}]}`, 0, ""},
		{"slots are an object", `{"accountProof":[],"storageProof":{"0":{}}}`, 1, ""},
		{"slot is a list", `{"accountProof":[],"storageProof":[[]]}`, 1, ""},
		{"slot is a string", `{"accountProof":[],"storageProof":["0x"]}`, 1, ""},
		{"nodes are a string", `{"accountProof":"0x01"}`, 0, ""},
		{"nodes are an object", `{"accountProof":{}}`, 0, ""},
		{"node is a number", `{"accountProof":[1]}`, 0, ""},
		{"node is null", `{"accountProof":[null]}`, 0, ""},
		{"node is a list", `{"accountProof":[[]]}`, 0, ""},
		{"node in escapes", `{"accountProof":["\u0030x01"]}`, 0, ""},
		{"node with a quote", `{"accountProof":["0x01\""]}`, 0, ""},
		{"node without 0x", `{"accountProof":["ab01"]}`, 0, ""},
		{"odd digits", `{"accountProof":["0x1"]}`, 0, ""},
		{"no digits", `{"accountProof":["0xzz"]}`, 0, ""},
		{"huge node", `{"accountProof":["0x` + strings.Repeat("ab", MaxNode+1) + `"]}`, 0, ""},
		{"too many nodes", `{"accountProof":` + list(`"0x"`, MaxNodes+1) + `}`, 0, ""},
		{"too many nodes of a slot", `{"storageProof":[{"proof":` + list(`"0x"`, MaxNodes+1) + `}]}`, 1, ""},
		{"deep", `{"accountProof":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, 0, ""},
		{"negative", `{"accountProof":[],"storageProof":[]}`, -1, ""},
	}
	for _, tt := range tests {
		nodes, err := DecodeAccountProof(json.RawMessage(tt.raw), tt.slots)
		if tt.want == "" {
			if !errors.Is(err, ErrMalformed) || nodes.Account != nil || nodes.Slots != nil {
				t.Errorf("%s: %v, %v", tt.name, nodes, err)
			}
			continue
		}
		counts := []int{}
		for _, slot := range nodes.Slots {
			counts = append(counts, len(slot))
		}
		if got := fmt.Sprint(len(nodes.Account), " ", counts); got != tt.want || err != nil {
			t.Errorf("%s: %s, %v; want %s", tt.name, got, err, tt.want)
		}
	}
}
