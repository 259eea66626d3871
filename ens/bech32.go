package ens

// bech32Alphabet is that of BIP 173, which CashAddr shares.
const bech32Alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// Final checksum constants of BIP 173 and BIP 350.
const (
	bech32Constant  = 1
	bech32mConstant = 0x2bc830a3
)

// encodeBech32 encodes five-bit groups with a human-readable part (BIP 173, and BIP 350 by its constant).
func encodeBech32(hrp string, groups []byte, constant uint32) string {
	check := make([]byte, 0, 2*len(hrp)+len(groups)+7)
	for i := 0; i < len(hrp); i++ {
		check = append(check, hrp[i]>>5)
	}
	check = append(check, 0)
	for i := 0; i < len(hrp); i++ {
		check = append(check, hrp[i]&31)
	}
	check = append(append(check, groups...), 0, 0, 0, 0, 0, 0)
	sum := bech32Polymod(check) ^ constant
	out := append([]byte(hrp), '1')
	for _, g := range groups {
		out = append(out, bech32Alphabet[g])
	}
	for shift := 25; shift >= 0; shift -= 5 {
		out = append(out, bech32Alphabet[sum>>shift&31])
	}
	return string(out)
}

func bech32Polymod(values []byte) uint32 {
	generator := [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3}
	sum := uint32(1)
	for _, v := range values {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range generator {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	return sum
}

// encodeCashAddr encodes a Bitcoin Cash address: version 0 is P2PKH, 8 is P2SH, hash of 20 bytes.
func encodeCashAddr(version byte, hash []byte) string {
	const prefix = "bitcoincash"
	groups := fiveBits(append([]byte{version}, hash...))
	var check []byte
	for i := 0; i < len(prefix); i++ {
		check = append(check, prefix[i]&31)
	}
	check = append(check, 0)
	check = append(append(check, groups...), make([]byte, 8)...)
	sum := cashAddrPolymod(check)
	out := []byte(prefix + ":")
	for _, g := range groups {
		out = append(out, bech32Alphabet[g])
	}
	for shift := 35; shift >= 0; shift -= 5 {
		out = append(out, bech32Alphabet[sum>>shift&31])
	}
	return string(out)
}

func cashAddrPolymod(values []byte) uint64 {
	generator := [5]uint64{0x98f2bc8e61, 0x79b76d99e2, 0xf33e5fb3c4, 0xae2eabe2a8, 0x1e4f43e470}
	sum := uint64(1)
	for _, v := range values {
		top := sum >> 35
		sum = sum&0x07ffffffff<<5 ^ uint64(v)
		for i, g := range generator {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	return sum ^ 1
}

// fiveBits splits bytes into groups of five bits, the last one padded with zeros.
func fiveBits(data []byte) []byte {
	groups := make([]byte, 0, (len(data)*8+4)/5)
	var acc, bits uint
	for _, b := range data {
		acc = acc<<8 | uint(b)
		for bits += 8; bits >= 5; bits -= 5 {
			groups = append(groups, byte(acc>>(bits-5)&31))
		}
		acc &= 1<<bits - 1
	}
	if bits > 0 {
		groups = append(groups, byte(acc<<(5-bits)&31))
	}
	return groups
}
