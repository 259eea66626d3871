package internet

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/miekg/dns"

	"dens/dnssec"
)

// unknownAlgorithm is an algorithm that nobody implements (it is unassigned).
const unknownAlgorithm = 200

// unsupported are the algorithms that no validator may take for one it knows: unassigned, or given up (RFC
// 8624 section 3.1, RFC 9906). Their keys and signatures here are those of ECDSA with another number on them.
func unsupported(alg uint8) bool {
	return alg == unknownAlgorithm || alg == dns.DSA || alg == dns.DSANSEC3SHA1 || alg == dns.ECCGOST
}

const (
	keyTTL    = 3600 // seconds, of DNSKEY and DS
	zskFlags  = dns.ZONE
	kskFlags  = dns.ZONE | dns.SEP
	goodProto = 3
)

// zoneKey is a key of a zone, with its private half.
type zoneKey struct {
	*dns.DNSKEY
	private crypto.Signer
}

// keyring makes private keys. RSA keys take long to make, and so are shared: the zone's name is in every
// signature, and nothing else tells two zones' keys apart here.
type keyring struct {
	mu  sync.Mutex
	rsa map[string]*rsa.PrivateKey // guarded by mu
}

func newKeyring() *keyring { return &keyring{rsa: map[string]*rsa.PrivateKey{}} }

// private makes a private key of an algorithm. Those of one algorithm and role are the same for RSA.
func (k *keyring) private(alg uint8, role string) (crypto.Signer, error) {
	if unsupported(alg) {
		alg = dns.ECDSAP256SHA256
	}
	switch alg {
	case dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512:
		k.mu.Lock()
		defer k.mu.Unlock()
		if key, ok := k.rsa[role]; ok {
			return key, nil
		}
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		k.rsa[role] = key
		return key, nil
	case dns.ECDSAP256SHA256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case dns.ECDSAP384SHA384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case dns.ED25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case dns.ED448:
		_, key, err := ed448.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("no keys of algorithm %d", alg)
}

// key makes a key of a zone.
func (k *keyring) key(zone string, alg uint8, flags uint16, protocol uint8) (zoneKey, error) {
	role := "zsk"
	if flags&dns.SEP != 0 {
		role = "ksk"
	}
	private, err := k.private(alg, role)
	if err != nil {
		return zoneKey{}, err
	}
	as := alg
	if unsupported(alg) {
		as = dns.ECDSAP256SHA256
	}
	public, err := dnssec.NewKey(zone, keyTTL, flags, as, private.Public())
	if err != nil {
		return zoneKey{}, err
	}
	public.Algorithm, public.Protocol = alg, protocol
	return zoneKey{public, private}, nil
}

// sign makes the signature of an RRset. Algorithms that the DNS library knows are signed by it, Ed448 by
// dens.
func (k zoneKey) sign(rrs []dns.RR, from, until time.Time) (*dns.RRSIG, error) {
	if k.Algorithm == dns.ED448 {
		return (&dnssec.Signer{Key: k.DNSKEY, Private: k.private}).Sign(rrs, from, until)
	}
	sig := &dns.RRSIG{
		Hdr:        dns.RR_Header{Ttl: rrs[0].Header().Ttl},
		Algorithm:  k.Algorithm,
		Inception:  uint32(from.Unix()),
		Expiration: uint32(until.Unix()),
		KeyTag:     k.KeyTag(),
		SignerName: k.Hdr.Name,
	}
	if unsupported(k.Algorithm) {
		sig.Algorithm = dns.ECDSAP256SHA256
	}
	if err := sig.Sign(k.private, rrs); err != nil {
		return nil, fmt.Errorf("sign %s: %w", rrs[0].Header().Name, err)
	}
	sig.Algorithm = k.Algorithm
	return sig, nil
}

// junkKeys makes RSA keys that nobody has the private half of, all with one key tag: the stuff of KeyTrap
// (CVE-2023-50387).
func junkKeys(zone string, n int, tag uint16) ([]*dns.DNSKEY, error) {
	keys := make([]*dns.DNSKEY, 0, n)
	for len(keys) < n {
		modulus := make([]byte, 256)
		if _, err := rand.Read(modulus); err != nil {
			return nil, err
		}
		modulus[0] |= 0x80
		modulus[255] |= 1
		key, err := dnssec.NewKey(zone, keyTTL, zskFlags, dns.RSASHA256, &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537})
		if err != nil {
			return nil, err
		}
		raw := append([]byte{3, 1, 0, 1}, modulus...)
		for word := range 1 << 16 {
			binary.BigEndian.PutUint16(raw[100:], uint16(word))
			key.PublicKey = base64.StdEncoding.EncodeToString(raw)
			if rawTag(key.Flags, key.Algorithm, raw) == tag {
				keys = append(keys, key)
				break
			}
		}
	}
	return keys, nil
}

// rawTag is the key tag (RFC 4034 appendix B) of a key of protocol 3 whose bytes are raw.
func rawTag(flags uint16, alg uint8, raw []byte) uint16 {
	sum := uint32(flags) + goodProto<<8 + uint32(alg)
	for i, b := range raw {
		if i%2 == 0 {
			sum += uint32(b) << 8
		} else {
			sum += uint32(b)
		}
	}
	return uint16(sum + sum>>16&0xffff)
}
