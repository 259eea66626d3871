package ccip

import (
	"encoding/binary"
	"fmt"

	"dens/chain"

	"github.com/ethereum/go-ethereum/common"
)

const word = 32

// errABI is wrapped by all errors about data that is not what its type says.
var errABI = fmt.Errorf("%w: ABI data", chain.ErrMalformed)

// abiData is the encoding of a tuple, an array's elements or call arguments: offsets in it count from
// its start. Reading from it makes views, no copies, so data that refers to itself many times over
// costs nothing.
type abiData []byte

func (d abiData) word(i int) ([]byte, error) {
	if i < 0 || i >= len(d)/word {
		return nil, fmt.Errorf("%w: too short", errABI)
	}
	return d[i*word : (i+1)*word], nil
}

// size reads word i as a number that cannot be greater than the data is long.
func (d abiData) size(i int) (int, error) {
	w, err := d.word(i)
	if err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint64(w[word-8:])
	if !isZero(w[:word-8]) || n > uint64(len(d)) {
		return 0, fmt.Errorf("%w: an offset or length over its end", errABI)
	}
	return int(n), nil
}

// tail returns the data that the offset in word i points to.
func (d abiData) tail(i int) (abiData, error) {
	off, err := d.size(i)
	if err != nil {
		return nil, err
	}
	return d[off:], nil
}

// bytes reads the bytes or string whose offset is in word i.
func (d abiData) bytes(i int) ([]byte, error) {
	t, err := d.tail(i)
	if err != nil {
		return nil, err
	}
	n, err := t.size(0)
	if err != nil {
		return nil, err
	}
	if n > len(t)-word {
		return nil, fmt.Errorf("%w: bytes over its end", errABI)
	}
	return t[word : word+n], nil
}

// array returns the elements of the dynamic array whose offset is in word i, and their number.
func (d abiData) array(i, most int) (abiData, int, error) {
	t, err := d.tail(i)
	if err != nil {
		return nil, 0, err
	}
	n, err := t.size(0)
	if err != nil {
		return nil, 0, err
	}
	if n > most {
		return nil, 0, fmt.Errorf("%w: %d elements where %d are allowed", chain.ErrLimit, n, most)
	}
	if n > (len(t)-word)/word {
		return nil, 0, fmt.Errorf("%w: elements over its end", errABI)
	}
	return t[word:], n, nil
}

func (d abiData) address(i int) (common.Address, error) {
	w, err := d.word(i)
	if err != nil {
		return common.Address{}, err
	}
	if !isZero(w[:12]) {
		return common.Address{}, fmt.Errorf("%w: an address of more than 20 bytes", errABI)
	}
	return common.BytesToAddress(w[12:]), nil
}

func (d abiData) strings(i, most, longest int) ([]string, error) {
	elements, n, err := d.array(i, most)
	if err != nil {
		return nil, err
	}
	all := make([]string, n)
	for j := range all {
		b, err := elements.bytes(j)
		if err != nil {
			return nil, err
		}
		if len(b) > longest {
			return nil, fmt.Errorf("%w: a string of %d bytes where %d are allowed", chain.ErrLimit, len(b), longest)
		}
		all[j] = string(b)
	}
	return all, nil
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// appendUint appends n as one word.
func appendUint(dst []byte, n int) []byte {
	dst = append(dst, make([]byte, word-8)...)
	return binary.BigEndian.AppendUint64(dst, uint64(n))
}

// appendBytes appends length, bytes and padding.
func appendBytes(dst, b []byte) []byte {
	dst = appendUint(dst, len(b))
	dst = append(dst, b...)
	return append(dst, make([]byte, padding(len(b)))...)
}

func padding(n int) int { return (word - n%word) % word }

// bytesSize is how much appendBytes appends.
func bytesSize(b []byte) int { return word + len(b) + padding(len(b)) }
