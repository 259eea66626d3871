package pool

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
)

// decodeOutput reads "0x..." bytes strictly: prefix, even length, hex digits. Longer than chain.MaxOutput
// is chain.ErrLimit, all else that is wrong chain.ErrMalformed.
func decodeOutput(s string) ([]byte, error) {
	if len(s) < 2 || s[0] != '0' || s[1] != 'x' {
		return nil, fmt.Errorf("%w: bytes without 0x", chain.ErrMalformed)
	}
	if len(s) > 2+2*chain.MaxOutput {
		return nil, fmt.Errorf("%w: %d bytes returned", chain.ErrLimit, (len(s)-2)/2)
	}
	b, err := hex.DecodeString(s[2:])
	if err != nil {
		return nil, fmt.Errorf("%w: bytes that are not hexadecimal", chain.ErrMalformed)
	}
	return b, nil
}

// decodeNumber reads a quantity of EIP-1474. Leading zeros are against its letter but harmless.
func decodeNumber(s string) (uint64, error) {
	if len(s) < 3 || len(s) > 2+16 || s[0] != '0' || s[1] != 'x' || s[2] == '+' || s[2] == '-' {
		return 0, fmt.Errorf("%w: not a quantity", chain.ErrMalformed)
	}
	n, err := strconv.ParseUint(s[2:], 16, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: not a quantity", chain.ErrMalformed)
	}
	return n, nil
}

func decodeHash(s string) (common.Hash, error) {
	b, err := decodeOutput(s)
	if err != nil || len(b) != common.HashLength {
		return common.Hash{}, fmt.Errorf("%w: not a block hash", chain.ErrMalformed)
	}
	return common.BytesToHash(b), nil
}

// rpcBlock is what is read of a block.
type rpcBlock struct {
	Number     string `json:"number"`
	Hash       string `json:"hash"`
	ParentHash string `json:"parentHash"`
	Timestamp  string `json:"timestamp"`
}

func (b rpcBlock) short() bool {
	return len(b.Number) <= 18 && len(b.Hash) <= 66 && len(b.ParentHash) <= 66 && len(b.Timestamp) <= 18
}

// decode returns the block and its parent's hash.
func (b rpcBlock) decode() (chain.Head, common.Hash, error) {
	number, err := decodeNumber(b.Number)
	if err != nil {
		return chain.Head{}, common.Hash{}, err
	}
	seconds, err := decodeNumber(b.Timestamp)
	if err != nil {
		return chain.Head{}, common.Hash{}, err
	}
	const farFuture = 1 << 40 // beyond, time.Time's arithmetic has surprises
	if seconds > farFuture {
		return chain.Head{}, common.Hash{}, fmt.Errorf("%w: block time out of range", chain.ErrMalformed)
	}
	hash, err := decodeHash(b.Hash)
	if err != nil {
		return chain.Head{}, common.Hash{}, err
	}
	parent, err := decodeHash(b.ParentHash)
	if err != nil {
		return chain.Head{}, common.Hash{}, err
	}
	return chain.Head{Number: number, Hash: hash, Time: time.Unix(int64(seconds), 0).UTC()}, parent, nil
}
