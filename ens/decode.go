package ens

import (
	"encoding/binary"
	"fmt"

	"dens/names"

	"github.com/ethereum/go-ethereum/common"
)

// The decoder of what contracts return, by the Contract ABI Specification. Every length is checked
// before use, nothing is copied or allocated by a length that the data claims, and offsets may overlap
// freely without costing anything.

const wordSize = 32

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", names.ErrMalformed, fmt.Sprintf(format, args...))
}

// wordAt returns the word at a byte position.
func wordAt(data []byte, at uint64) ([]byte, error) {
	if at > uint64(len(data)) || uint64(len(data))-at < wordSize {
		return nil, malformed("%d bytes end before the word at %d", len(data), at)
	}
	return data[at : at+wordSize], nil
}

// uintAt decodes a uint256 that must fit 64 bits: offsets, lengths and counts always do.
func uintAt(data []byte, at uint64) (uint64, error) {
	w, err := wordAt(data, at)
	if err != nil {
		return 0, err
	}
	for _, b := range w[:wordSize-8] {
		if b != 0 {
			return 0, malformed("number over 64 bits")
		}
	}
	return binary.BigEndian.Uint64(w[wordSize-8:]), nil
}

func boolAt(data []byte, at uint64) (bool, error) {
	v, err := uintAt(data, at)
	if err == nil && v > 1 {
		err = malformed("%d for a bool", v)
	}
	return v == 1, err
}

func addressAt(data []byte, at uint64) (common.Address, error) {
	w, err := wordAt(data, at)
	if err != nil {
		return common.Address{}, err
	}
	for _, b := range w[:wordSize-common.AddressLength] {
		if b != 0 {
			return common.Address{}, malformed("address over 160 bits")
		}
	}
	return common.BytesToAddress(w), nil
}

// bytesAt decodes the bytes or string whose offset is in the word at a position; the offset counts from
// base. The result is a part of data. limit is the greatest length allowed.
func bytesAt(data []byte, base, at, limit uint64) ([]byte, error) {
	start, err := offsetAt(data, base, at)
	if err != nil {
		return nil, err
	}
	n, err := uintAt(data, start)
	if err != nil {
		return nil, err
	}
	start += wordSize
	switch {
	case n > uint64(len(data))-start:
		return nil, malformed("length %d where %d bytes are left", n, uint64(len(data))-start)
	case n > limit:
		return nil, malformed("%d bytes where %d are allowed", n, limit)
	}
	return data[start : start+n : start+n], nil
}

// bytesArrayAt decodes a bytes[] of just want elements.
func bytesArrayAt(data []byte, at uint64, want int) ([][]byte, error) {
	start, err := offsetAt(data, 0, at)
	if err != nil {
		return nil, err
	}
	n, err := uintAt(data, start)
	if err != nil {
		return nil, err
	}
	if n != uint64(want) {
		return nil, malformed("%d results for %d calls", n, want)
	}
	start += wordSize
	list := make([][]byte, want)
	for i := range list {
		if list[i], err = bytesAt(data, start, start+uint64(i)*wordSize, uint64(len(data))); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// offsetAt reads an offset and adds it to base. The result is within data.
func offsetAt(data []byte, base, at uint64) (uint64, error) {
	offset, err := uintAt(data, at)
	if err != nil {
		return 0, err
	}
	if base > uint64(len(data)) || offset > uint64(len(data))-base {
		return 0, malformed("offset %d is outside", offset)
	}
	return base + offset, nil
}
