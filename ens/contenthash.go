package ens

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multibase"
	"github.com/multiformats/go-multihash"
	"github.com/multiformats/go-varint"
)

// Protocol codes of content hashes (ENSIP-7, by the multicodec table).
const (
	codeIPFS    = 0xe3
	codeSwarm   = 0xe4
	codeIPNS    = 0xe5
	codeOnion   = 0x1bc
	codeOnion3  = 0x1bd
	codeSkynet  = 0xb19910
	codeArweave = 0xb29910
	codeADNL    = 0xb69910
)

// Codecs of CIDs within content hashes.
const (
	codecSwarmManifest = 0xfa
	codecSwarmFeed     = 0xfb
)

// ErrContentHash means that a content hash, or its text form, is not one of those known.
var ErrContentHash = errors.New("not a content hash")

func badHash(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrContentHash, fmt.Sprintf(format, args...))
}

// DecodeContentHash returns the text form of a binary content hash (ENSIP-7): /ipfs/ and /ipns/ paths
// with CIDv1 in base32 and base36 (or a DNSLink domain), /bzz/, onion://, onion3://, sia://, ar:// and
// adnl://. It is strict: what follows the hash, or is too long, is an error that wraps ErrContentHash.
func DecodeContentHash(hash []byte) (string, error) {
	if len(hash) > maxContentHash {
		return "", badHash("%d bytes", len(hash))
	}
	code, n, err := varint.FromUvarint(hash)
	if err != nil {
		return "", badHash("protocol code: %v", err)
	}
	value := hash[n:]
	switch code {
	case codeIPFS:
		return decodeIPFS(value)
	case codeIPNS:
		return decodeIPNS(value)
	case codeSwarm:
		return decodeSwarm(value)
	case codeOnion:
		return decodeOnion("onion://", value, 16)
	case codeOnion3:
		return decodeOnion("onion3://", value, 56)
	case codeSkynet:
		return sized("sia://", value, 34, base64.RawURLEncoding.EncodeToString)
	case codeArweave:
		return sized("ar://", value, 32, base64.RawURLEncoding.EncodeToString)
	case codeADNL:
		return sized("adnl://", value, 32, hex.EncodeToString)
	}
	return "", badHash("unknown protocol 0x%x", code)
}

func decodeIPFS(value []byte) (string, error) {
	c, err := castCID(value)
	if err != nil {
		return "", err
	}
	base := multibase.Encoding(multibase.Base32)
	if c.Type() == cid.Libp2pKey {
		base = multibase.Base36
	}
	return cidPath("/ipfs/", c, base)
}

// decodeIPNS tells keys from the domain names that older tools stored inlined in an identity multihash:
// the shortest inlined key, Ed25519's, has 36 bytes.
func decodeIPNS(value []byte) (string, error) {
	c, err := castCID(value)
	if err != nil {
		return "", err
	}
	mh, err := multihash.Decode(c.Hash())
	if err != nil {
		return "", badHash("multihash: %v", err)
	}
	if mh.Code != multihash.IDENTITY || mh.Length >= 36 {
		return cidPath("/ipns/", c, multibase.Base36)
	}
	if !isDomain(string(mh.Digest)) {
		return "", badHash("neither a key nor a domain name")
	}
	return "/ipns/" + string(mh.Digest), nil
}

func decodeSwarm(value []byte) (string, error) {
	c, err := castCID(value)
	if err != nil {
		return "", err
	}
	mh, err := multihash.Decode(c.Hash())
	switch {
	case err != nil:
		return "", badHash("multihash: %v", err)
	case c.Type() != codecSwarmManifest && c.Type() != codecSwarmFeed,
		mh.Code != multihash.KECCAK_256, len(mh.Digest) != 32:
		return "", badHash("not a Swarm reference")
	}
	return "/bzz/" + hex.EncodeToString(mh.Digest), nil
}

func decodeOnion(prefix string, value []byte, length int) (string, error) {
	if err := checkOnion(string(value), length); err != nil {
		return "", err
	}
	return prefix + string(value), nil
}

// checkOnion accepts the base32 of RFC 7686 names, without the final ".onion".
func checkOnion(s string, length int) error {
	if len(s) != length || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return badHash("not %d characters of base32", length)
	}
	return nil
}

func sized(prefix string, value []byte, length int, encode func([]byte) string) (string, error) {
	if len(value) != length {
		return "", badHash("%d bytes where %s has %d", len(value), prefix, length)
	}
	return prefix + encode(value), nil
}

// castCID reads a CID that must fill value.
func castCID(value []byte) (cid.Cid, error) {
	c, err := cid.Cast(value)
	if err != nil {
		return cid.Undef, badHash("CID: %v", err)
	}
	return c, nil
}

func cidPath(prefix string, c cid.Cid, base multibase.Encoding) (string, error) {
	s, err := cid.NewCidV1(c.Type(), c.Hash()).StringOfBase(base)
	if err != nil {
		return "", badHash("CID: %v", err)
	}
	return prefix + s, nil
}

// isDomain accepts lower-case host names of two labels or more.
func isDomain(s string) bool {
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return len(labels) > 1
}
