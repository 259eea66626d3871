package dnssec

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/miekg/dns"
)

// ErrKeyType is the error of a key that does not fit its algorithm, or an algorithm nothing is signed with.
var ErrKeyType = errors.New("key and algorithm do not fit")

// Signer signs the RRsets of a zone. It is immutable; it is safe for concurrent use if Private is.
type Signer struct {
	Key     *dns.DNSKEY
	Private crypto.Signer
}

// NewKey returns the DNSKEY of a public key in zone (RFC 4034 section 2; RFC 3110, 6605, 8080 for the key).
// flags are dns.ZONE for a zone signing key, with dns.SEP added for a key signing key. ttl is in seconds.
func NewKey(zone string, ttl uint32, flags uint16, alg uint8, pub crypto.PublicKey) (*dns.DNSKEY, error) {
	raw := encodePublic(alg, pub)
	if raw == nil || parsePublic(alg, raw) == nil {
		return nil, fmt.Errorf("%w: %T for algorithm %d", ErrKeyType, pub, alg)
	}
	return &dns.DNSKEY{
		Hdr:       dns.RR_Header{Name: dns.CanonicalName(zone), Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: ttl},
		Flags:     flags,
		Protocol:  3,
		Algorithm: alg,
		PublicKey: base64.StdEncoding.EncodeToString(raw),
	}, nil
}

func encodePublic(alg uint8, pub crypto.PublicKey) []byte {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		e := big.NewInt(int64(k.E)).Bytes()
		return append(append([]byte{byte(len(e))}, e...), k.N.Bytes()...)
	case *ecdsa.PublicKey:
		if point, err := k.Bytes(); err == nil {
			return point[1:]
		}
	case ed25519.PublicKey:
		if alg == dns.ED25519 {
			return k
		}
	case ed448.PublicKey:
		if alg == dns.ED448 {
			return k
		}
	}
	return nil
}

// NewDS returns the DS of a key (RFC 4034 section 5); nil for a digest type other than SHA-1, SHA-256 and
// SHA-384 or a key that has no wire form.
func NewDS(k *dns.DNSKEY, digestType uint8) *dns.DS {
	zone, ok := parseName(k.Hdr.Name)
	one, ok2 := newKey(k)
	if !ok || !ok2 {
		return nil
	}
	sum := digest(digestType, append(append([]byte(nil), zone...), one.rdata...))
	if sum == nil {
		return nil
	}
	return &dns.DS{
		Hdr:        dns.RR_Header{Name: zone.String(), Rrtype: dns.TypeDS, Class: k.Hdr.Class, Ttl: k.Hdr.Ttl},
		KeyTag:     one.tag,
		Algorithm:  k.Algorithm,
		DigestType: digestType,
		Digest:     strings.ToUpper(hex.EncodeToString(sum)),
	}
}

// Sign signs one RRset for the time from inception to expiration (RFC 4034 section 3). Its TTL must be the
// same in all records (RFC 2181 section 5.2); the least is signed. A wildcard's own RRset is signed as such.
func (s *Signer) Sign(rrs []dns.RR, inception, expiration time.Time) (*dns.RRSIG, error) {
	c, err := canonicalize(rrs)
	if err != nil {
		return nil, err
	}
	zone, okZone := parseName(s.Key.Hdr.Name)
	k, okKey := newKey(s.Key)
	if !okZone || !okKey || !c.owner.within(zone) {
		return nil, fmt.Errorf("%s is not in the zone of the key", c.owner)
	}
	sig := &dns.RRSIG{
		Hdr:         dns.RR_Header{Name: rrs[0].Header().Name, Rrtype: dns.TypeRRSIG, Class: c.class, Ttl: c.ttl},
		TypeCovered: c.rrtype,
		Algorithm:   s.Key.Algorithm,
		Labels:      uint8(c.owner.sigLabels()),
		OrigTtl:     c.ttl,
		Expiration:  uint32(expiration.Unix()),
		Inception:   uint32(inception.Unix()),
		KeyTag:      k.tag,
		SignerName:  zone.String(),
	}
	msg, err := c.signedData(sig, zone)
	if err != nil {
		return nil, err
	}
	raw, err := signRaw(s.Private, sig.Algorithm, msg)
	if err != nil {
		return nil, fmt.Errorf("sign %s %s: %w", c.owner, typeName(c.rrtype), err)
	}
	sig.Signature = base64.StdEncoding.EncodeToString(raw)
	return sig, nil
}

// signRaw returns a signature as the algorithm's RFC writes it.
func signRaw(private crypto.Signer, alg uint8, msg []byte) ([]byte, error) {
	hash := signatureHash(alg)
	if hash != 0 {
		h := hash.New()
		h.Write(msg)
		msg = h.Sum(nil)
	}
	raw, err := private.Sign(rand.Reader, msg, hash)
	if err != nil {
		return nil, err
	}
	switch alg {
	case dns.ECDSAP256SHA256:
		return flatten(raw, 32)
	case dns.ECDSAP384SHA384:
		return flatten(raw, 48)
	}
	return raw, nil
}

// flatten turns an ASN.1 signature into r | s (RFC 6605 section 4).
func flatten(der []byte, size int) ([]byte, error) {
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		return nil, err
	}
	if sig.R.Sign() < 0 || sig.S.Sign() < 0 || sig.R.BitLen() > 8*size || sig.S.BitLen() > 8*size {
		return nil, ErrKeyType
	}
	out := make([]byte, 2*size)
	sig.R.FillBytes(out[:size])
	sig.S.FillBytes(out[size:])
	return out, nil
}

func encodeHash(h [20]byte) string {
	return strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(h[:]))
}
