package dnssec

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"math/big"
)

// Bounds of RSA keys. RFC 5702 section 2 allows 512 to 4096 bits, RFC 3110 any exponent; one of more
// than 64 bits serves nobody but who wants verification to be slow.
const (
	minModulusBits  = 512
	maxModulusBits  = 4096
	maxExponentBits = 64
)

// rsaKey is a public key as RFC 3110 section 2 writes it.
type rsaKey struct {
	n, e *big.Int
}

func parseRSA(b []byte) (rsaKey, bool) {
	if len(b) < 3 {
		return rsaKey{}, false
	}
	size, b := int(b[0]), b[1:]
	if size == 0 { // the exponent is longer than 255 octets: a 16-bit length follows
		size, b = int(b[0])<<8|int(b[1]), b[2:]
	}
	if size == 0 || size >= len(b) || len(b)-size > maxModulusBits/8+1 {
		return rsaKey{}, false
	}
	k := rsaKey{e: new(big.Int).SetBytes(b[:size]), n: new(big.Int).SetBytes(b[size:])}
	bits := k.n.BitLen()
	good := bits >= minModulusBits && bits <= maxModulusBits && k.n.Bit(0) == 1 &&
		k.e.BitLen() >= 2 && k.e.BitLen() <= maxExponentBits && k.e.Bit(0) == 1
	return k, good
}

// verify checks an RSASSA-PKCS1-v1_5 signature (RFC 3110 section 3, RFC 5702 section 3).
func (k rsaKey) verify(h crypto.Hash, msg, sig []byte) bool {
	hash := h.New()
	hash.Write(msg)
	sum := hash.Sum(nil)
	if k.n.BitLen() >= 1024 && k.e.BitLen() <= 31 {
		pub := &rsa.PublicKey{N: k.n, E: int(k.e.Int64())}
		return rsa.VerifyPKCS1v15(pub, h, sum, sig) == nil
	}
	return k.verifyOdd(h, sum, sig)
}

// verifyOdd serves the keys that crypto/rsa declines and the DNS allows: short moduli and large
// exponents. It compares with the whole expected encoding (RFC 8017 section 8.2.2); nothing is secret.
func (k rsaKey) verifyOdd(h crypto.Hash, sum, sig []byte) bool {
	size := (k.n.BitLen() + 7) / 8
	info := digestInfo(h)
	pad := size - 3 - len(info) - len(sum)
	s := new(big.Int).SetBytes(sig)
	if len(sig) != size || pad < 8 || s.Cmp(k.n) >= 0 {
		return false
	}
	want := append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, pad)...)
	want = append(want, 0)
	want = append(want, info...)
	want = append(want, sum...)
	got := s.Exp(s, k.e, k.n).FillBytes(make([]byte, size))
	return bytes.Equal(got, want)
}

// digestInfo is the DER head of a DigestInfo (RFC 8017 section 9.2, note 1).
func digestInfo(h crypto.Hash) []byte {
	switch h {
	case crypto.SHA1:
		return []byte("\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14")
	case crypto.SHA256:
		return []byte("\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20")
	}
	return []byte("\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40")
}
