package ens

import (
	"bytes"
	"encoding/base32"

	"github.com/ethereum/go-ethereum/common"
)

// coin is one kind of address record (ENSIP-9): its symbol as ENS's address encoder has it, its
// SLIP-44 coin type, and how its binary form is written. text returns "" for what is no address.
type coin struct {
	symbol string
	kind   uint64
	text   func(address []byte) string
}

// evm is the coin type of an EVM chain (ENSIP-11).
func evm(chainID uint64) uint64 { return 0x80000000 | chainID }

// coins lists the address records that a WALLET question asks for besides the Ethereum one.
func coins() []coin {
	return []coin{
		{"BTC", 0, func(a []byte) string { return bitcoinText(a, "bc", 0x00, 0x05) }},
		{"LTC", 2, func(a []byte) string { return bitcoinText(a, "ltc", 0x30, 0x32) }},
		{"DOGE", 3, func(a []byte) string { return bitcoinText(a, "", 0x1e, 0x16) }},
		{"DASH", 5, func(a []byte) string { return bitcoinText(a, "", 0x4c, 0x10) }},
		{"ATOM", 118, func(a []byte) string { return bech32Text(a, "cosmos") }},
		{"XRP", 144, xrpText},
		{"BCH", 145, bitcoinCashText},
		{"XLM", 148, stellarText},
		{"TRX", 195, tronText},
		{"SOL", 501, solanaText},
		{"AVAX", 9000, func(a []byte) string { return bech32Text(a, "avax") }},
		{"OP", evm(10), evmText},
		{"BSC", evm(56), evmText},
		{"GNO", evm(100), evmText},
		{"MATIC", evm(137), evmText},
		{"ZKSYNC", evm(324), evmText},
		{"BASE", evm(8453), evmText},
		{"ARB1", evm(42161), evmText},
		{"CELO", evm(42220), evmText},
		{"AVAXC", evm(43114), evmText},
		{"LINEA", evm(59144), evmText},
		{"SCR", evm(534352), evmText},
	}
}

// evmText is the EIP-55 spelling; the zero address is no address.
func evmText(a []byte) string {
	if len(a) != common.AddressLength || common.BytesToAddress(a) == (common.Address{}) {
		return ""
	}
	return common.BytesToAddress(a).Hex()
}

// scriptHash takes the hash out of a scriptPubkey: pay-to-public-key-hash or pay-to-script-hash.
func scriptHash(script []byte) (hash []byte, toScript, ok bool) {
	switch {
	case len(script) == 25 && bytes.HasPrefix(script, []byte{0x76, 0xa9, 20}) && bytes.HasSuffix(script, []byte{0x88, 0xac}):
		return script[3:23], false, true
	case len(script) == 23 && bytes.HasPrefix(script, []byte{0xa9, 20}) && script[22] == 0x87:
		return script[2:22], true, true
	}
	return nil, false, false
}

// bitcoinText writes a scriptPubkey as Base58Check or, where hrp is not empty, as a segregated witness
// address (BIP 173, BIP 350).
func bitcoinText(script []byte, hrp string, keyVersion, scriptVersion byte) string {
	if hash, toScript, ok := scriptHash(script); ok {
		version := keyVersion
		if toScript {
			version = scriptVersion
		}
		return encodeBase58Check(base58Bitcoin, append([]byte{version}, hash...))
	}
	if hrp == "" || len(script) < 4 || len(script) > 42 || int(script[1]) != len(script)-2 {
		return ""
	}
	program := script[2:]
	switch op := script[0]; {
	case op == 0 && (len(program) == 20 || len(program) == 32):
		return encodeBech32(hrp, append([]byte{0}, fiveBits(program)...), bech32Constant)
	case op >= 0x51 && op <= 0x60:
		return encodeBech32(hrp, append([]byte{op - 0x50}, fiveBits(program)...), bech32mConstant)
	}
	return ""
}

func bitcoinCashText(script []byte) string {
	hash, toScript, ok := scriptHash(script)
	switch {
	case !ok:
		return ""
	case toScript:
		return encodeCashAddr(8, hash)
	default:
		return encodeCashAddr(0, hash)
	}
}

// bech32Text writes an account of a chain made with the Cosmos tools, or alike: hashes of 20 bytes, or
// of 32 for contracts.
func bech32Text(a []byte, hrp string) string {
	if len(a) != 20 && len(a) != 32 {
		return ""
	}
	return encodeBech32(hrp, fiveBits(a), bech32Constant)
}

// xrpText writes an account id with its version byte, as ENSIP-9 keeps it.
func xrpText(a []byte) string {
	if len(a) != 21 || a[0] != 0 {
		return ""
	}
	return encodeBase58Check(base58Ripple, a)
}

func tronText(a []byte) string {
	if len(a) != 21 || a[0] != 0x41 {
		return ""
	}
	return encodeBase58Check(base58Bitcoin, a)
}

func solanaText(a []byte) string {
	if len(a) != 32 {
		return ""
	}
	return encodeBase58(base58Bitcoin, a)
}

// stellarText writes an Ed25519 public key as a strkey (SEP-23): version byte 6<<3, CRC-16/XMODEM.
func stellarText(a []byte) string {
	if len(a) != 32 {
		return ""
	}
	payload := append([]byte{6 << 3}, a...)
	crc := uint16(0)
	for _, b := range payload {
		crc ^= uint16(b) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return base32.StdEncoding.EncodeToString(append(payload, byte(crc), byte(crc>>8)))
}
