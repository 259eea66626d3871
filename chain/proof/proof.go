// Package proof checks what a block's hash proves: its header, and by the header's state root accounts
// and storage slots (Merkle-Patricia proofs, EIP-1186). It is pure: nothing it is given is believed, apart
// from the hash or root that the caller names.
package proof

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/trie"
)

// Bounds of what strangers send. A key has 64 nibbles, so no path has more nodes than that and one. The
// longest node is a branch with sixteen hashes, 532 bytes; children are embedded only below 32 bytes.
const (
	// MaxNodes is the greatest number of nodes in one proof.
	MaxNodes = 65
	// MaxNode is the greatest length of a node in bytes.
	MaxNode = 1024
	// MaxBlock is the greatest length of a block's JSON in bytes. Blocks hold transactions by hash only.
	MaxBlock = 2 << 20
)

// Errors that callers branch on.
var (
	// ErrMalformed means that it is not what the protocol allows.
	ErrMalformed = errors.New("malformed")
	// ErrHeader means that a block's header does not hash to the hash that was asked for.
	ErrHeader = errors.New("header does not have the block's hash")
	// ErrProof means that the nodes do not prove what the account or slot is.
	ErrProof = errors.New("proof does not hold")
	// ErrCode means that code is not what its hash says.
	ErrCode = errors.New("code does not have its hash")
)

// path hands out the nodes of a proof in their order from the root down. Nodes that are not the next of
// the path are passed over: some nodes of the network add those that are embedded in their parent, and
// since each is found by its hash only, a foreign one changes nothing. It implements
// ethdb.KeyValueReader.
type path struct{ rest [][]byte }

func (p *path) Get(hash []byte) ([]byte, error) {
	for i, node := range p.rest {
		if common.BytesToHash(hash) == crypto.Keccak256Hash(node) {
			p.rest = p.rest[i+1:]
			return node, nil
		}
	}
	return nil, errMissing
}

func (p *path) Has(hash []byte) (bool, error) {
	_, err := p.Get(hash)
	return err == nil, nil
}

var errMissing = errors.New("no such node")

// lookup returns what a trie with secured keys holds at key, nil where it is proven to hold nothing.
func lookup(root common.Hash, key []byte, nodes [][]byte) ([]byte, error) {
	if len(nodes) > MaxNodes {
		return nil, fmt.Errorf("%w: %d nodes, at most %d", ErrMalformed, len(nodes), MaxNodes)
	}
	for i, node := range nodes {
		if len(node) > MaxNode {
			return nil, fmt.Errorf("%w: node %d has %d bytes, at most %d", ErrMalformed, i, len(node), MaxNode)
		}
	}
	if root == types.EmptyRootHash {
		return nil, nil // an empty trie has no nodes
	}
	value, err := trie.VerifyProof(root, crypto.Keccak256(key), &path{rest: nodes})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return value, nil
}

// VerifyCode says whether code has the hash that its account is proven to have.
func VerifyCode(codeHash common.Hash, code []byte) error {
	if got := crypto.Keccak256Hash(code); got != codeHash {
		return fmt.Errorf("%w: %d bytes hash to %s, expected %s", ErrCode, len(code), short(got), short(codeHash))
	}
	return nil
}

func short(h common.Hash) string { return "0x" + hex.EncodeToString(h[:4]) + "..." }
