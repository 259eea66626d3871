package proof

import (
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/ethereum/go-ethereum/trie/trienode"
	"github.com/ethereum/go-ethereum/triedb"
	"github.com/holiman/uint256"
)

// tree is a trie with secured keys that was made by the reference implementation.
type tree struct {
	*trie.Trie
	root common.Hash
}

func newTree(t testing.TB, values map[string][]byte) tree {
	t.Helper()
	tr := trie.NewEmpty(triedb.NewDatabase(rawdb.NewMemoryDatabase(), triedb.HashDefaults))
	for key, value := range values {
		if err := tr.Update(crypto.Keccak256([]byte(key)), value); err != nil {
			t.Fatal(err)
		}
	}
	return tree{tr, tr.Hash()}
}

func (tr tree) prove(t testing.TB, key []byte) [][]byte {
	t.Helper()
	var list trienode.ProofList
	if err := tr.Prove(crypto.Keccak256(key), &list); err != nil {
		t.Fatal(err)
	}
	nodes := make([][]byte, len(list))
	for i, node := range list {
		nodes[i] = node
	}
	return nodes
}

// world is a small state: a contract with storage among many other accounts.
type world struct {
	state   tree
	storage tree
	slots   map[common.Hash]common.Hash
	code    []byte
}

var (
	contract = common.HexToAddress("0x231b0Ee14048e9dCcD1d247744d114a4EB5E8E63")
	absent   = common.HexToAddress("0xdeaDDeADDEaDdeaDdEAddEADDEAdDeadDEADDEaD")
	wallet   = common.HexToAddress("0x0000000000000000000000000000000000000007")
)

// The keccak256 of these two slots begin with the same four bytes. Their leaves are so deep that, with a
// small value, they are shorter than a hash and embedded in the branch above.
var deepSlots = [2]common.Hash{number(40364), number(105566)}

func number(n int64) common.Hash { return common.BigToHash(big.NewInt(n)) }

func newWorld(t testing.TB) world {
	t.Helper()
	w := world{slots: map[common.Hash]common.Hash{}, code: []byte{0x60, 0x00, 0x60, 0x00, 0xf3}}
	for i := int64(1); i <= 200; i++ {
		w.slots[number(i)] = number(i * i)
	}
	w.slots[deepSlots[0]], w.slots[deepSlots[1]] = number(1), number(2)
	w.slots[number(999)] = common.HexToHash("0xffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100")
	values := map[string][]byte{}
	for slot, value := range w.slots {
		values[string(slot[:])] = encode(t, value.Big())
	}
	w.storage = newTree(t, values)

	accounts := map[string][]byte{}
	for i := int64(1); i <= 300; i++ {
		addr := common.BigToAddress(big.NewInt(i))
		accounts[string(addr[:])] = encode(t, &types.StateAccount{
			Nonce: uint64(i), Balance: uint256.NewInt(uint64(i) * 1e18), Root: types.EmptyRootHash,
			CodeHash: types.EmptyCodeHash[:],
		})
	}
	accounts[string(contract[:])] = encode(t, &types.StateAccount{
		Nonce: 1, Balance: new(uint256.Int), Root: w.storage.root, CodeHash: crypto.Keccak256(w.code),
	})
	w.state = newTree(t, accounts)
	return w
}

func encode(t testing.TB, value any) []byte {
	t.Helper()
	data, err := rlp.EncodeToBytes(value)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// lone is the root and the only node of a trie that holds value at key, and nothing else.
func lone(t testing.TB, key, value []byte) (common.Hash, [][]byte) {
	t.Helper()
	node := encode(t, [][]byte{append([]byte{0x20}, crypto.Keccak256(key)...), value})
	return crypto.Keccak256Hash(node), [][]byte{node}
}
