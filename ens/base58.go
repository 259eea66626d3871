package ens

import (
	"crypto/sha256"
	"slices"
)

// The alphabets of Base58: Bitcoin's, which most others took over, and the XRP Ledger's.
const (
	base58Bitcoin = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	base58Ripple  = "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz"
)

// encodeBase58 writes data as a number in base 58, each leading zero byte as a leading zero digit. Work
// grows with the square of the length: callers bound it.
func encodeBase58(alphabet string, data []byte) string {
	zeros := 0
	for zeros < len(data) && data[zeros] == 0 {
		zeros++
	}
	var digits []byte // least significant first
	for _, b := range data[zeros:] {
		carry := int(b)
		for i, d := range digits {
			carry += int(d) << 8
			digits[i] = byte(carry % 58)
			carry /= 58
		}
		for ; carry > 0; carry /= 58 {
			digits = append(digits, byte(carry%58))
		}
	}
	digits = append(digits, make([]byte, zeros)...)
	slices.Reverse(digits)
	for i, d := range digits {
		digits[i] = alphabet[d]
	}
	return string(digits)
}

// encodeBase58Check appends the first four bytes of the double SHA-256 before encoding.
func encodeBase58Check(alphabet string, data []byte) string {
	first := sha256.Sum256(data)
	second := sha256.Sum256(first[:])
	return encodeBase58(alphabet, append(slices.Clone(data), second[:4]...))
}
