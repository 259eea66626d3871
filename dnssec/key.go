package dnssec

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"sync"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/miekg/dns"
)

// key is a DNSKEY whose public key is read when it is first needed.
type key struct {
	rr    *dns.DNSKEY
	rdata []byte
	tag   uint16
	once  sync.Once
	pub   any // rsaKey, *ecdsa.PublicKey, ed25519.PublicKey, ed448.PublicKey; nil when it is malformed
}

// newKey reads a DNSKEY's data; false when its base64 is broken, which no record off the wire has.
func newKey(rr *dns.DNSKEY) (*key, bool) {
	pub, err := base64.StdEncoding.DecodeString(rr.PublicKey)
	if err != nil {
		return nil, false
	}
	rdata := binary.BigEndian.AppendUint16(make([]byte, 0, 4+len(pub)), rr.Flags)
	rdata = append(rdata, rr.Protocol, rr.Algorithm)
	rdata = append(rdata, pub...)
	return &key{rr: rr, rdata: rdata, tag: keyTag(rdata)}, true
}

// keyTag is RFC 4034 appendix B, for every algorithm but RSA/MD5 (appendix B.1), which never validates.
func keyTag(rdata []byte) uint16 {
	var sum uint32
	for i, b := range rdata {
		if i&1 == 0 {
			sum += uint32(b) << 8
		} else {
			sum += uint32(b)
		}
	}
	return uint16(sum + sum>>16)
}

// usable says whether the key may sign a zone's data: the Zone Key flag and protocol 3 (RFC 4034
// section 2.1), not revoked (RFC 5011 section 2.1).
func (k *key) usable() bool {
	return k.rr.Flags&dns.ZONE != 0 && k.rr.Flags&dns.REVOKE == 0 && k.rr.Protocol == 3
}

func (k *key) public() any {
	k.once.Do(func() { k.pub = parsePublic(k.rr.Algorithm, k.rdata[4:]) })
	return k.pub
}

func parsePublic(alg uint8, b []byte) any {
	switch alg {
	case dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512:
		if k, ok := parseRSA(b); ok {
			return k
		}
	case dns.ECDSAP256SHA256:
		return parseECDSA(elliptic.P256(), b)
	case dns.ECDSAP384SHA384:
		return parseECDSA(elliptic.P384(), b)
	case dns.ED25519: // RFC 8080 section 3
		if len(b) == ed25519.PublicKeySize {
			return ed25519.PublicKey(b)
		}
	case dns.ED448:
		if len(b) == ed448.PublicKeySize {
			return ed448.PublicKey(b)
		}
	}
	return nil
}

// parseECDSA reads the point x | y (RFC 6605 section 4), which must be on the curve.
func parseECDSA(curve elliptic.Curve, b []byte) any {
	k, err := ecdsa.ParseUncompressedPublicKey(curve, append([]byte{4}, b...))
	if err != nil {
		return nil
	}
	return k
}

// verify checks one signature: only arithmetic, no policy.
func (k *key) verify(msg, sig []byte) bool {
	alg := k.rr.Algorithm
	switch pub := k.public().(type) {
	case rsaKey:
		return pub.verify(signatureHash(alg), msg, sig)
	case *ecdsa.PublicKey:
		size := (pub.Curve.Params().BitSize + 7) / 8
		if len(sig) != 2*size { // RFC 6605 section 4: r | s
			return false
		}
		h := signatureHash(alg).New()
		h.Write(msg)
		return ecdsa.Verify(pub, h.Sum(nil), new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:]))
	case ed25519.PublicKey:
		return len(sig) == ed25519.SignatureSize && ed25519.Verify(pub, msg, sig)
	case ed448.PublicKey:
		return len(sig) == ed448.SignatureSize && ed448.Verify(pub, msg, sig, "")
	}
	return false
}
