package proof

import (
	"bytes"
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
)

func TestAccount(t *testing.T) {
	w := newWorld(t)
	got, err := VerifyAccount(w.state.root, contract, w.state.prove(t, contract[:]))
	if err != nil || !got.Exists || got.Nonce != 1 || !got.Balance.IsZero() || got.StorageRoot != w.storage.root ||
		got.CodeHash != crypto.Keccak256Hash(w.code) {
		t.Errorf("contract: %+v, %v", got, err)
	}
	got, err = VerifyAccount(w.state.root, wallet, w.state.prove(t, wallet[:]))
	if err != nil || !got.Exists || got.Nonce != 7 || got.Balance.Uint64() != 7e18 ||
		got.StorageRoot != types.EmptyRootHash || got.CodeHash != types.EmptyCodeHash {
		t.Errorf("wallet: %+v, %v", got, err)
	}
	for name, prove := range map[string]func() (common.Hash, [][]byte){
		"absent":          func() (common.Hash, [][]byte) { return w.state.root, w.state.prove(t, absent[:]) },
		"empty state":     func() (common.Hash, [][]byte) { return types.EmptyRootHash, nil },
		"other lone leaf": func() (common.Hash, [][]byte) { return lone(t, wallet[:], []byte("whatever")) },
	} {
		root, nodes := prove()
		got, err := VerifyAccount(root, absent, nodes)
		if err != nil || got.Exists || got.Nonce != 0 || !got.Balance.IsZero() ||
			got.StorageRoot != types.EmptyRootHash || got.CodeHash != types.EmptyCodeHash {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestSlot(t *testing.T) {
	w := newWorld(t)
	for slot, want := range w.slots {
		got, err := VerifySlot(w.storage.root, slot, w.storage.prove(t, slot[:]))
		if err != nil || got != want {
			t.Errorf("slot %s: %s, %v; want %s", slot, got, err, want)
		}
	}
	for i := int64(5000); i < 5100; i++ {
		slot := number(i)
		got, err := VerifySlot(w.storage.root, slot, w.storage.prove(t, slot[:]))
		if err != nil || got != (common.Hash{}) {
			t.Errorf("unset slot %d: %s, %v", i, got, err)
		}
	}
	if got, err := VerifySlot(types.EmptyRootHash, number(1), nil); err != nil || got != (common.Hash{}) {
		t.Errorf("empty trie: %s, %v", got, err)
	}
}

// Some nodes of the network also list what is embedded in its parent, or 0x80 for the empty trie. That is
// no lie; neither are nodes that lead nowhere.
func TestNeedlessNodes(t *testing.T) {
	w := newWorld(t)
	deep := w.storage.prove(t, deepSlots[0][:])
	last := deep[len(deep)-1]
	var branch []rlp.RawValue
	if err := rlp.DecodeBytes(last, &branch); err != nil || len(branch) != 17 {
		t.Fatalf("the last node is no branch: %d items, %v", len(branch), err)
	}
	leaf := slices.MaxFunc(branch[:16], func(a, b rlp.RawValue) int { return len(a) - len(b) })
	if len(leaf) < 2 || len(leaf) >= 32 || leaf[0] < 0xc0 {
		t.Fatalf("no leaf is embedded: %x", leaf)
	}
	junk := []byte("this node belongs to another trie, or to none at all")
	foreign := w.state.prove(t, wallet[:])
	tests := []struct {
		name  string
		nodes [][]byte
	}{
		{"embedded leaf listed", append(slices.Clone(deep), leaf)},
		{"junk at the end", append(slices.Clone(deep), junk)},
		{"junk at the front", append([][]byte{junk}, deep...)},
		{"another trie's proof behind", append(slices.Clone(deep), foreign...)},
		{"another trie's proof before", append(slices.Clone(foreign), deep...)},
		{"everything twice", append(slices.Clone(deep), deep...)},
		{"root twice", append([][]byte{deep[0]}, deep...)},
		{"empty nodes between", slices.Insert(slices.Clone(deep), 1, nil, []byte{})},
	}
	for _, tt := range tests {
		if got, err := VerifySlot(w.storage.root, deepSlots[0], tt.nodes); err != nil || got != number(1) {
			t.Errorf("%s: %s, %v", tt.name, got, err)
		}
	}
	got, err := VerifySlot(types.EmptyRootHash, number(1), [][]byte{{0x80}})
	if err != nil || got != (common.Hash{}) {
		t.Errorf("0x80 for the empty trie: %s, %v", got, err)
	}
}

// Each lie must be refused, whatever is asked. What is refused is never an answer.
func TestLies(t *testing.T) {
	w := newWorld(t)
	honest := w.state.prove(t, contract[:])
	other := w.state.prove(t, wallet[:])
	gone := w.state.prove(t, absent[:])
	n := len(honest)
	if n < 3 {
		t.Fatalf("a path of %d nodes is too short for this test", n)
	}
	flip := func(nodes [][]byte, node, at int) [][]byte {
		nodes = slices.Clone(nodes)
		nodes[node] = bytes.Clone(nodes[node])
		nodes[node][at] ^= 1
		return nodes
	}
	leaf := honest[n-1]
	lies := []struct {
		name  string
		root  common.Hash
		addr  common.Address
		nodes [][]byte
		want  error
	}{
		{"altered nonce or code hash", w.state.root, contract, flip(honest, n-1, len(leaf)-1), ErrProof},
		{"altered path of the leaf", w.state.root, contract, flip(honest, n-1, 4), ErrProof},
		{"altered branch", w.state.root, contract, flip(honest, 1, 20), ErrProof},
		{"altered root node", w.state.root, contract, flip(honest, 0, 20), ErrProof},
		{"leaf with a byte more", w.state.root, contract, append(slices.Clone(honest[:n-1]), append(bytes.Clone(leaf), 0)), ErrProof},
		{"leaf with a byte less", w.state.root, contract, append(slices.Clone(honest[:n-1]), leaf[:len(leaf)-1]), ErrProof},
		{"swapped nodes", w.state.root, contract, append([][]byte{honest[1], honest[0]}, honest[2:]...), ErrProof},
		{"reversed", w.state.root, contract, reversed(honest), ErrProof},
		{"root dropped", w.state.root, contract, honest[1:], ErrProof},
		{"middle dropped", w.state.root, contract, append(slices.Clone(honest[:1]), honest[2:]...), ErrProof},
		{"leaf dropped", w.state.root, contract, honest[:n-1], ErrProof},
		{"root only", w.state.root, contract, honest[:1], ErrProof},
		{"nothing", w.state.root, contract, nil, ErrProof},
		{"one empty node", w.state.root, contract, [][]byte{{}}, ErrProof},
		{"the empty trie", w.state.root, contract, [][]byte{{0x80}}, ErrProof},
		{"foreign leaf", w.state.root, contract, append(slices.Clone(honest[:n-1]), other[len(other)-1]), ErrProof},
		{"storage instead of state", w.state.root, contract, w.storage.prove(t, deepSlots[0][:]), ErrProof},
		{"another account's proof", w.state.root, contract, other, ErrProof},
		{"absence of another account", w.state.root, contract, gone, ErrProof},
		{"presence of another account", w.state.root, absent, honest, ErrProof},
		{"absence cut short", w.state.root, absent, gone[:len(gone)-1], ErrProof},
		{"other state root", w.storage.root, contract, honest, ErrProof},
		{"root of zeros", common.Hash{}, contract, honest, ErrProof},
		{"absence without a node", w.state.root, absent, nil, ErrProof},
		{"too many nodes", w.state.root, contract, append(slices.Clone(honest), make([][]byte, MaxNodes)...), ErrMalformed},
		{"huge node", w.state.root, contract, append(slices.Clone(honest), make([]byte, MaxNode+1)), ErrMalformed},
	}
	for _, tt := range lies {
		got, err := VerifyAccount(tt.root, tt.addr, tt.nodes)
		if !errors.Is(err, tt.want) || got != (Account{}) {
			t.Errorf("%s: %+v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}

func reversed(nodes [][]byte) [][]byte {
	nodes = slices.Clone(nodes)
	slices.Reverse(nodes)
	return nodes
}

// Not even a root that vouches for it makes an account or a value of what is none.
func TestLeafValues(t *testing.T) {
	hash := crypto.Keccak256([]byte("some hash"))
	big257 := new(big.Int).Lsh(big.NewInt(1), 256)
	accounts := []struct {
		name  string
		value []byte
	}{
		{"three fields", encode(t, []any{uint64(1), uint64(1), hash})},
		{"five fields", encode(t, []any{uint64(1), uint64(1), hash, hash, uint64(0)})},
		{"no fields", []byte{0xc0}},
		{"a string", encode(t, hash)},
		{"short root", encode(t, []any{uint64(1), uint64(1), hash[:31], hash})},
		{"slim form", encode(t, []any{uint64(1), uint64(1), []byte{}, []byte{}})},
		{"long code hash", encode(t, []any{uint64(1), uint64(1), hash, append(bytes.Clone(hash), 0)})},
		{"balance of 257 bits", encode(t, []any{uint64(1), big257, hash, hash})},
		{"balance with a leading zero", encode(t, []any{uint64(1), []byte{0, 1}, hash, hash})},
		{"nonce with a leading zero", encode(t, []any{[]byte{0, 1}, uint64(1), hash, hash})},
		{"nonce of 65 bits", encode(t, []any{bytes.Repeat([]byte{1}, 9), uint64(1), hash, hash})},
		{"nonce is a list", encode(t, []any{[]uint64{}, uint64(1), hash, hash})},
		{"a byte behind it", append(encode(t, []any{uint64(1), uint64(1), hash, hash}), 0)},
		{"empty", []byte{}},
		{"truncated", encode(t, []any{uint64(1), uint64(1), hash, hash})[:40]},
	}
	for _, tt := range accounts {
		root, nodes := lone(t, contract[:], tt.value)
		if got, err := VerifyAccount(root, contract, nodes); !errors.Is(err, ErrProof) || got != (Account{}) {
			t.Errorf("account, %s: %+v, %v", tt.name, got, err)
		}
	}
	slots := []struct {
		name  string
		value []byte
		want  common.Hash // zero: refused
	}{
		{"one", []byte{1}, number(1)},
		{"32 bytes", encode(t, hash), common.BytesToHash(hash)},
		{"zero byte", []byte{0}, common.Hash{}},
		{"leading zero", []byte{0x82, 0, 1}, common.Hash{}},
		{"one byte, long form", []byte{0x81, 1}, common.Hash{}},
		{"long length", append([]byte{0xb8, 32}, hash...), common.Hash{}},
		{"33 bytes", encode(t, append([]byte{1}, hash...)), common.Hash{}},
		{"a list", []byte{0xc1, 1}, common.Hash{}},
		{"a byte behind it", []byte{1, 1}, common.Hash{}},
		{"empty", []byte{}, common.Hash{}},
		{"truncated", []byte{0x82, 1}, common.Hash{}},
	}
	for _, tt := range slots {
		root, nodes := lone(t, number(5).Bytes(), tt.value)
		got, err := VerifySlot(root, number(5), nodes)
		if got != tt.want || (err == nil) != (tt.want != common.Hash{}) || err != nil && !errors.Is(err, ErrProof) {
			t.Errorf("slot, %s: %s, %v; want %s", tt.name, got, err, tt.want)
		}
	}
	root, nodes := lone(t, number(5).Bytes(), []byte{0x80})
	if got, err := VerifySlot(root, number(5), nodes); err != nil || got != (common.Hash{}) {
		t.Errorf("a slot that holds a zero: %s, %v", got, err)
	}
}

func TestCode(t *testing.T) {
	w := newWorld(t)
	hash := crypto.Keccak256Hash(w.code)
	if err := VerifyCode(hash, w.code); err != nil {
		t.Error(err)
	}
	if err := VerifyCode(types.EmptyCodeHash, nil); err != nil {
		t.Error(err)
	}
	for name, code := range map[string][]byte{
		"empty": nil, "truncated": w.code[:4], "longer": append(bytes.Clone(w.code), 0), "other": []byte("other"),
		"huge": make([]byte, 1<<20),
	} {
		if err := VerifyCode(hash, code); !errors.Is(err, ErrCode) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := VerifyCode(types.EmptyCodeHash, w.code); !errors.Is(err, ErrCode) {
		t.Errorf("code where there is none: %v", err)
	}
	if err := VerifyCode(common.Hash{}, nil); !errors.Is(err, ErrCode) {
		t.Errorf("no hash: %v", err)
	}
}

// A trie as deep as it can be: 64 branches, and a path that ends in the last of them. A root that nobody
// honest made may not cost more than that.
func TestDepth(t *testing.T) {
	key := crypto.Keccak256(number(5).Bytes())
	node := encode(t, [][]byte{{0x20}, {7}}) // a leaf without a path
	nodes := [][]byte{node}
	for depth := 63; depth >= 0; depth-- {
		branch := make([]any, 17)
		for i := range branch {
			branch[i] = []byte{}
		}
		nibble := key[depth/2] >> 4
		if depth%2 == 1 {
			nibble = key[depth/2] & 15
		}
		if below := nodes[0]; len(below) < 32 {
			branch[nibble] = rlp.RawValue(below)
		} else {
			branch[nibble] = crypto.Keccak256(below)
		}
		nodes = append([][]byte{encode(t, branch)}, nodes...)
	}
	if len(nodes) != MaxNodes {
		t.Fatalf("%d nodes", len(nodes))
	}
	root := crypto.Keccak256Hash(nodes[0])
	if got, err := VerifySlot(root, number(5), nodes); err != nil || got != number(7) {
		t.Errorf("deepest: %s, %v", got, err)
	}
	// An extension without a path leads round and round without using the key up.
	loop := nodes[0]
	nodes = [][]byte{loop}
	for range MaxNodes {
		loop = encode(t, [][]byte{{0x00}, crypto.Keccak256(loop)})
		nodes = append([][]byte{loop}, nodes...)
	}
	if _, err := VerifySlot(crypto.Keccak256Hash(loop), number(5), nodes); !errors.Is(err, ErrMalformed) {
		t.Errorf("endless: %v", err)
	}
	// The same within one node, as deep as 31 bytes allow.
	embedded := []byte{0xc2, 0x20, 0x07}
	for len(embedded) < 31 {
		embedded = append([]byte{0xc0 + byte(len(embedded)) + 1, 0x00}, embedded...)
	}
	nested := encode(t, []any{[]byte{0x00}, rlp.RawValue(embedded)})
	if got, _ := VerifySlot(crypto.Keccak256Hash(nested), number(5), [][]byte{nested}); got != (common.Hash{}) {
		t.Errorf("nested: %s", got)
	}
}
