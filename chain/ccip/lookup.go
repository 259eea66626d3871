package ccip

import (
	"fmt"

	"dens/chain"

	"github.com/ethereum/go-ethereum/common"
)

// selectorLookup is that of OffchainLookup(address,string[],bytes,bytes4,bytes), EIP-3668.
var selectorLookup = [4]byte{0x55, 0x6f, 0x18, 0x30}

// request is what gateways are asked: one element of an ENSIP-21 batch, or the better part of an
// OffchainLookup. Its data is a view on what was decoded.
type request struct {
	sender common.Address
	urls   []string
	data   []byte
}

// lookup is a decoded OffchainLookup.
type lookup struct {
	request
	callback [4]byte
	extra    []byte
}

func isLookup(revert []byte) bool {
	return len(revert) >= 4 && [4]byte(revert) == selectorLookup
}

// decodeLookup decodes the revert data of an OffchainLookup, selector included.
func decodeLookup(revert []byte) (lookup, error) {
	var l lookup
	if !isLookup(revert) {
		return l, fmt.Errorf("%w: no OffchainLookup", errABI)
	}
	args := abiData(revert[4:])
	var err error
	if l.request, err = decodeRequest(args); err != nil {
		return l, err
	}
	selector, err := args.word(3)
	if err != nil {
		return l, err
	}
	l.callback = [4]byte(selector)
	if l.extra, err = args.bytes(4); err != nil {
		return l, err
	}
	return l, nil
}

// decodeRequest reads (address sender, string[] urls, bytes data).
func decodeRequest(d abiData) (request, error) {
	var r request
	var err error
	if r.sender, err = d.address(0); err != nil {
		return r, err
	}
	if r.urls, err = d.strings(1, maxURLs, maxURL); err != nil {
		return r, fmt.Errorf("URLs: %w", err)
	}
	if r.data, err = d.bytes(2); err != nil {
		return r, err
	}
	if len(r.data) > maxCallData {
		return r, fmt.Errorf("%w: %d bytes for the gateway where %d are allowed", chain.ErrLimit, len(r.data), maxCallData)
	}
	return r, nil
}

// encodeCallback returns the call data of callbackFunction(bytes response, bytes extraData).
func encodeCallback(selector [4]byte, response, extra []byte) []byte {
	data := make([]byte, 0, 4+2*word+bytesSize(response)+bytesSize(extra))
	data = append(data, selector[:]...)
	data = appendUint(data, 2*word)
	data = appendUint(data, 2*word+bytesSize(response))
	data = appendBytes(data, response)
	return appendBytes(data, extra)
}
