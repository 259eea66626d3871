package proof

import (
	"encoding/json"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// DecodeHeader reads a block as eth_getBlockByHash returns it, with or without its transactions, and
// returns its header if that hashes to want. Fields that are not of a header are passed over; a header with
// a field that this version does not know does not hash, and the error says so. Errors wrap ErrHeader or
// ErrMalformed.
func DecodeHeader(block json.RawMessage, want common.Hash) (*types.Header, error) {
	if len(block) > MaxBlock {
		return nil, fmt.Errorf("%w: block of %d bytes, at most %d", ErrMalformed, len(block), MaxBlock)
	}
	var header types.Header
	if err := json.Unmarshal(block, &header); err != nil {
		return nil, fmt.Errorf("%w: block: %w", ErrMalformed, err)
	}
	// Numbers over 64 bits and the like: their hash would be checked, but nobody could use them.
	if err := header.SanityCheck(); err != nil {
		return nil, fmt.Errorf("%w: block: %w", ErrMalformed, err)
	}
	if got := header.Hash(); got != want {
		return nil, fmt.Errorf("%w: it hashes to %s, expected %s; if other backends fail in the same way, the "+
			"chain has newer rules than this version knows: upgrade dens", ErrHeader, got, want)
	}
	return &header, nil
}
