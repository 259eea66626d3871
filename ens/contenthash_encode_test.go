package ens

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
)

// encodeContentHash is the inverse of DecodeContentHash. Errors wrap ErrContentHash.
func encodeContentHash(text string) ([]byte, error) {
	if len(text) > 4*maxContentHash {
		return nil, badHash("%d characters", len(text))
	}
	code, value, err := encodeValue(text)
	if err != nil {
		return nil, err
	}
	hash := append(binary.AppendUvarint(nil, code), value...)
	if len(hash) > maxContentHash {
		return nil, badHash("%d bytes", len(hash))
	}
	return hash, nil
}

func encodeValue(text string) (code uint64, value []byte, err error) {
	scheme, rest := "", ""
	if s, ok := strings.CutPrefix(text, "/"); ok {
		scheme, rest, _ = strings.Cut(s, "/")
	} else {
		scheme, rest, _ = strings.Cut(text, "://")
	}
	switch scheme {
	case "ipfs":
		code = codeIPFS
		value, err = encodeIPFS(rest)
	case "ipns":
		code = codeIPNS
		value, err = encodeIPNS(rest)
	case "bzz":
		code = codeSwarm
		value, err = encodeSwarm(rest)
	case "onion":
		code, value, err = codeOnion, []byte(rest), checkOnion(rest, 16)
	case "onion3":
		code, value, err = codeOnion3, []byte(rest), checkOnion(rest, 56)
	case "sia":
		code = codeSkynet
		value, err = unsized(rest, 34, base64.RawURLEncoding.Strict().DecodeString)
	case "ar":
		code = codeArweave
		value, err = unsized(rest, 32, base64.RawURLEncoding.Strict().DecodeString)
	case "adnl":
		code = codeADNL
		value, err = unsized(rest, 32, hex.DecodeString)
	default:
		err = badHash("unknown scheme")
	}
	return code, value, err
}

func encodeIPFS(s string) ([]byte, error) {
	c, err := cid.Decode(s)
	if err != nil {
		return nil, badHash("CID: %v", err)
	}
	return cid.NewCidV1(c.Type(), c.Hash()).Bytes(), nil
}

func encodeIPNS(s string) ([]byte, error) {
	if isDomain(s) {
		mh, err := multihash.Encode([]byte(s), multihash.IDENTITY)
		if err != nil || len(s) >= 36 {
			return nil, badHash("domain name is too long")
		}
		return cid.NewCidV1(cid.DagProtobuf, mh).Bytes(), nil
	}
	c, err := cid.Decode(s)
	if err != nil {
		return nil, badHash("CID: %v", err)
	}
	value := cid.NewCidV1(c.Type(), c.Hash()).Bytes()
	if c.Version() == 0 { // a peer id as it was written before CIDs
		value = cid.NewCidV1(cid.Libp2pKey, c.Hash()).Bytes()
	}
	if _, err := decodeIPNS(value); err != nil {
		return nil, err
	}
	return value, nil
}

func encodeSwarm(s string) ([]byte, error) {
	digest, err := unsized(s, 32, hex.DecodeString)
	if err != nil {
		return nil, err
	}
	mh, err := multihash.Encode(digest, multihash.KECCAK_256)
	if err != nil {
		return nil, badHash("multihash: %v", err)
	}
	return cid.NewCidV1(codecSwarmManifest, mh).Bytes(), nil
}

func unsized(s string, length int, decode func(string) ([]byte, error)) ([]byte, error) {
	value, err := decode(s)
	if err != nil || len(value) != length {
		return nil, badHash("not %d encoded bytes", length)
	}
	return value, nil
}
