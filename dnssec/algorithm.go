package dnssec

import (
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"

	"github.com/miekg/dns"
)

// Algorithm says whether signatures of algorithm alg are validated. Zones signed only by others are
// insecure (RFC 4035 section 5.2). RFC 9904 keeps the table at IANA that was in RFC 8624: MD5 (1), DSA
// (3, 6) and GOST (12, RFC 9906) must not be validated; SHA-1 (5, 7) is a matter of policy (RFC 9905).
func (v *Validator) Algorithm(alg uint8) bool {
	switch alg {
	case dns.RSASHA1, dns.RSASHA1NSEC3SHA1:
		return !v.cfg.RefuseSHA1Signatures
	case dns.RSASHA256, dns.RSASHA512, dns.ECDSAP256SHA256, dns.ECDSAP384SHA384, dns.ED25519, dns.ED448:
		return true
	}
	return false
}

// Digest says whether a DS with digest type t is used: SHA-256 (RFC 4509), SHA-384 (RFC 6605) and by
// policy SHA-1.
func (v *Validator) Digest(t uint8) bool {
	switch t {
	case dns.SHA1:
		return !v.cfg.RefuseSHA1Digests
	case dns.SHA256, dns.SHA384:
		return true
	}
	return false
}

// signatureHash returns what is hashed before signing; 0 for EdDSA, which takes the message whole.
func signatureHash(alg uint8) crypto.Hash {
	switch alg {
	case dns.RSASHA1, dns.RSASHA1NSEC3SHA1:
		return crypto.SHA1
	case dns.RSASHA256, dns.ECDSAP256SHA256:
		return crypto.SHA256
	case dns.ECDSAP384SHA384:
		return crypto.SHA384
	case dns.RSASHA512:
		return crypto.SHA512
	}
	return 0
}

// digest computes a DS digest of supported type t; nil for others.
func digest(t uint8, msg []byte) []byte {
	switch t {
	case dns.SHA1:
		sum := sha1.Sum(msg)
		return sum[:]
	case dns.SHA256:
		sum := sha256.Sum256(msg)
		return sum[:]
	case dns.SHA384:
		sum := sha512.Sum384(msg)
		return sum[:]
	}
	return nil
}
