package dnssec

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"testing"

	"github.com/miekg/dns"
)

// oddKey makes an RSA key that crypto/rsa declines, and signs with it.
func oddKey(t *testing.T, bits int, e *big.Int) (public []byte, sign func(msg []byte) []byte) {
	t.Helper()
	one := big.NewInt(1)
	for {
		p, err := rand.Prime(rand.Reader, bits/2)
		if err != nil {
			t.Fatal(err)
		}
		q, err := rand.Prime(rand.Reader, bits-bits/2)
		if err != nil {
			t.Fatal(err)
		}
		n := new(big.Int).Mul(p, q)
		d := new(big.Int).ModInverse(e, new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)))
		if d == nil || n.BitLen() != bits {
			continue
		}
		public = append(append([]byte{byte(len(e.Bytes()))}, e.Bytes()...), n.Bytes()...)
		return public, func(msg []byte) []byte {
			sum := sha256.Sum256(msg)
			em := make([]byte, bits/8)
			info := digestInfo(crypto.SHA256)
			copy(em[len(em)-32:], sum[:])
			copy(em[len(em)-32-len(info):], info)
			em[1] = 1
			for i := 2; i < len(em)-33-len(info); i++ {
				em[i] = 0xff
			}
			return new(big.Int).Exp(new(big.Int).SetBytes(em), d, n).FillBytes(make([]byte, bits/8))
		}
	}
}

func TestOddRSAKeys(t *testing.T) {
	large := new(big.Int).SetUint64(1<<40 + 15)
	tests := []struct {
		name string
		bits int
		e    *big.Int
		good bool
	}{
		{"512 bits", 512, big.NewInt(65537), true},
		{"768 bits", 768, big.NewInt(3), true},
		{"large exponent", 1024, large, true},
		{"504 bits", 504, big.NewInt(65537), false},
		{"exponent of 65 bits", 1024, new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 64), big.NewInt(13)), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			public, sign := oddKey(t, tt.bits, tt.e)
			k, ok := newKey(&dns.DNSKEY{Flags: dns.ZONE, Protocol: 3, Algorithm: dns.RSASHA256, PublicKey: base64.StdEncoding.EncodeToString(public)})
			if !ok {
				t.Fatal("key")
			}
			msg := []byte("data")
			sig := sign(msg)
			if got := k.verify(msg, sig); got != tt.good {
				t.Errorf("verified: %v", got)
			}
			if k.verify([]byte("other"), sig) || k.verify(msg, sig[1:]) || k.verify(msg, nil) {
				t.Error("a wrong signature verified")
			}
			sig[len(sig)/2] ^= 1
			if k.verify(msg, sig) {
				t.Error("a changed signature verified")
			}
		})
	}
}

func TestMalformedKeys(t *testing.T) {
	for alg := range uint8(17) {
		for _, n := range []int{0, 1, 2, 3, 31, 32, 57, 64, 96, 200, 5000} {
			if pub := parsePublic(alg, make([]byte, n)); pub != nil && (alg != dns.ED25519 || n != 32) && (alg != dns.ED448 || n != 57) {
				t.Errorf("algorithm %d, %d octets: %T", alg, n, pub)
			}
		}
	}
	for _, raw := range [][]byte{{0, 0, 0, 1}, {0, 255, 255, 1}, {255, 1, 1}, append([]byte{1, 2}, make([]byte, 128)...)} {
		if _, ok := parseRSA(raw); ok {
			t.Errorf("RSA key %x", raw)
		}
	}
}
