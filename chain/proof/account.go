package proof

import (
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"
)

// Account is the proven state of one account.
type Account struct {
	// Exists is false where it is proven that there is no such account. The other fields are then those of
	// an account that nothing was done to: zero, an empty trie and the hash of empty code.
	Exists      bool
	Nonce       uint64
	Balance     *uint256.Int // in wei; never nil
	StorageRoot common.Hash
	CodeHash    common.Hash
}

// VerifyAccount proves by the state root what the account at addr is, or that there is none. Nodes are
// those of eth_getProof's accountProof (EIP-1186). Errors wrap ErrProof or ErrMalformed.
func VerifyAccount(stateRoot common.Hash, addr common.Address, nodes [][]byte) (Account, error) {
	value, err := lookup(stateRoot, addr[:], nodes)
	if err != nil {
		return Account{}, fmt.Errorf("account %s: %w", addr, err)
	}
	if value == nil {
		return Account{Balance: new(uint256.Int), StorageRoot: types.EmptyRootHash, CodeHash: types.EmptyCodeHash}, nil
	}
	acct, err := decodeAccount(value)
	if err != nil {
		return Account{}, fmt.Errorf("account %s: %w", addr, err)
	}
	return acct, nil
}

// decodeAccount reads an account as the state trie holds it: a list of exactly nonce, balance, storage
// root and code hash (Yellow Paper, section 4.1), in canonical RLP.
func decodeAccount(value []byte) (Account, error) {
	var fields struct {
		Nonce    uint64
		Balance  uint256.Int
		Root     common.Hash
		CodeHash common.Hash
	}
	if err := rlp.DecodeBytes(value, &fields); err != nil {
		return Account{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return Account{
		Exists: true, Nonce: fields.Nonce, Balance: &fields.Balance,
		StorageRoot: fields.Root, CodeHash: fields.CodeHash,
	}, nil
}

// VerifySlot proves by an account's storage root what a slot holds; zero is also the value of a slot that
// is proven to be unset. A zero that is stored, which the protocol forbids and development nodes such as
// anvil do, is proven to be one all the same. Nodes are those of one element of eth_getProof's storageProof. An empty trie needs
// none. Errors wrap ErrProof or ErrMalformed.
func VerifySlot(storageRoot common.Hash, slot common.Hash, nodes [][]byte) (common.Hash, error) {
	value, err := lookup(storageRoot, slot[:], nodes)
	if err != nil {
		return common.Hash{}, fmt.Errorf("slot %s: %w", slot, err)
	}
	if value == nil {
		return common.Hash{}, nil
	}
	var word uint256.Int // canonical RLP of at most 32 bytes without leading zeros
	if err := rlp.DecodeBytes(value, &word); err != nil {
		return common.Hash{}, fmt.Errorf("slot %s: %w: %w", slot, ErrProof, err)
	}
	return word.Bytes32(), nil
}
