package configs

import (
	"encoding/hex"
	"strings"

	"golang.org/x/crypto/sha3"
)

// Address is a contract's address.
type Address [20]byte

// IsZero reports whether a is the zero address, which stands for none.
func (a Address) IsZero() bool { return a == Address{} }

// String returns a with the checksum of EIP-55.
func (a Address) String() string {
	digits := []byte(hex.EncodeToString(a[:]))
	hash := sha3.NewLegacyKeccak256()
	hash.Write(digits)
	sum := hash.Sum(nil)
	for i, c := range digits {
		if c >= 'a' && sum[i/2]>>(4*(1-i%2))&0x0f >= 8 {
			digits[i] = c - 'a' + 'A'
		}
	}
	return "0x" + string(digits)
}

// MarshalText returns a as String does, and nothing for the zero address.
func (a Address) MarshalText() ([]byte, error) {
	if a.IsZero() {
		return nil, nil
	}
	return []byte(a.String()), nil
}

// parseAddress reads 0x and 40 hex digits; where letters are of both cases they must have the checksum
// of EIP-55. The second result is what was expected, "" when all is well.
func parseAddress(s string) (Address, string) {
	const form = "an address: 0x and 40 hex digits"
	var a Address
	if len(s) != 42 || s[0] != '0' || s[1] != 'x' {
		return a, form
	}
	if _, err := hex.Decode(a[:], []byte(s[2:])); err != nil {
		return Address{}, form
	}
	digits := s[2:]
	if digits != strings.ToLower(digits) && digits != strings.ToUpper(digits) && s != a.String() {
		return Address{}, "an address whose capitals are its checksum (EIP-55): a digit may be mistyped"
	}
	return a, ""
}
