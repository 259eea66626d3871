package light

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"

	"github.com/ethereum/go-ethereum/beacon/merkle"
	"github.com/ethereum/go-ethereum/common"
)

// Bounds of an answer of the beacon API. An update with a committee of 512 takes some 60 kB.
const (
	maxUpdates = 128 // MAX_REQUEST_LIGHT_CLIENT_UPDATES (altair/light-client/p2p-interface.md)
	maxBody    = 1 << 20
	maxBodies  = 16 << 20 // of many updates
	maxNesting = 16
	maxShown   = 80 // bytes of what was found, in an error
)

// unmarshal decodes one JSON value, after a look at its size and depth.
func unmarshal(body []byte, limit int, v any) error {
	if len(body) > limit {
		return fmt.Errorf("%w answer: %d bytes, expected at most %d", ErrMalformed, len(body), limit)
	}
	if depth := nesting(body); depth > maxNesting {
		return fmt.Errorf("%w answer: nested deeper than %d", ErrMalformed, maxNesting)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w answer: %w: found %s", ErrMalformed, err, shown(body))
	}
	return nil
}

// nesting is how deep the brackets go; it ends early when that is too deep.
func nesting(body []byte) (deepest int) {
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > deepest {
				deepest = depth
			}
			if depth > maxNesting {
				return depth
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// elements splits a JSON array of at most limit elements.
func elements[T any](raw json.RawMessage, limit int) (list []T, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, fmt.Errorf("found %s, expected an array", shown(raw))
	}
	for d.More() {
		if len(list) == limit {
			return nil, fmt.Errorf("found more than %d elements", limit)
		}
		var v T
		if err := d.Decode(&v); err != nil {
			return nil, fmt.Errorf("element %d: %w", len(list), err)
		}
		list = append(list, v)
	}
	return list, nil
}

// shown is the beginning of what was found, fit for a log.
func shown(raw []byte) string {
	if len(raw) > maxShown {
		return fmt.Sprintf("%q...", raw[:maxShown])
	}
	return fmt.Sprintf("%q", raw)
}

// reader reads fields; the first thing wrong is kept with the path of its field.
type reader struct{ err error }

func (r *reader) fail(path, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w %s: %w", ErrMalformed, path, fmt.Errorf(format, args...))
	}
}

// bytes reads exactly len(to) bytes in hex, with 0x.
func (r *reader) bytes(path, s string, to []byte) {
	if len(s) != 2+2*len(to) || s[:2] != "0x" {
		r.fail(path, "found %s of %d characters, expected 0x and %d hex digits", shown([]byte(s)), len(s), 2*len(to))
		return
	}
	if _, err := hex.Decode(to, []byte(s[2:])); err != nil {
		r.fail(path, "found %s: %w", shown([]byte(s)), err)
	}
}

func (r *reader) hash(path, s string) (h common.Hash) {
	r.bytes(path, s, h[:])
	return h
}

// number reads a uint64, which the beacon API writes in decimal, quoted.
func (r *reader) number(path, s string) uint64 {
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		r.fail(path, "found %s, expected a decimal number below 2^64", shown([]byte(s)))
	}
	return v
}

// wide reads a uint256 in decimal and returns it in SSZ's order, the lowest byte first.
func (r *reader) wide(path, s string) (le common.Hash) {
	v, ok := new(big.Int), len(s) > 0 && len(s) <= 78 && bytes.Trim([]byte(s), "0123456789") == nil
	if ok {
		v, ok = v.SetString(s, 10)
	}
	if !ok || v.BitLen() > 256 {
		r.fail(path, "found %s, expected a decimal number below 2^256", shown([]byte(s)))
		return le
	}
	v.FillBytes(le[:])
	for i := range 16 {
		le[i], le[31-i] = le[31-i], le[i]
	}
	return le
}

// extra reads at most 32 bytes.
func (r *reader) extra(path, s string) (data [32]byte, n int) {
	if n = (len(s) - 2) / 2; n < 0 || n > len(data) {
		r.fail(path, "found %s of %d characters, expected 0x and at most %d bytes in hex", shown([]byte(s)), len(s), len(data))
		return data, 0
	}
	r.bytes(path, s, data[:n])
	return data, n
}

// branch reads a Merkle branch of a length.
func (r *reader) branch(path string, raw json.RawMessage, length int) merkle.Values {
	list, err := elements[string](raw, length)
	if err != nil {
		r.fail(path, "%w", err)
		return nil
	}
	if len(list) != length {
		r.fail(path, "found %d elements, expected %d", len(list), length)
		return nil
	}
	values := make(merkle.Values, length)
	for i, s := range list {
		values[i] = merkle.Value(r.hash(path+"["+strconv.Itoa(i)+"]", s))
	}
	return values
}
