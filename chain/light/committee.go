package light

import (
	"bytes"
	"fmt"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/ethereum/go-ethereum/common"
)

const (
	pubkeySize    = bls.SizeOfG1AffineCompressed
	signatureSize = bls.SizeOfG2AffineCompressed
)

// committeeKeys is a SyncCommittee (altair/beacon-chain.md) as its bytes: the members' public keys, then
// the sum of them all.
type committeeKeys []byte

func (k committeeKeys) members() int { return len(k)/pubkeySize - 1 }

func (k committeeKeys) key(i int) []byte { return k[i*pubkeySize : (i+1)*pubkeySize] }

func (k committeeKeys) isZero() bool { return len(bytes.Trim(k, "\x00")) == 0 }

// root is the hash tree root.
func (k committeeKeys) root() common.Hash {
	leaves := make([]common.Hash, k.members()+1)
	for i := range leaves {
		leaves[i] = merkleize(chunks(k.key(i)), 2)
	}
	size := k.members()
	return merge(merkleize(leaves[:size], size), leaves[size])
}

// committee is a sync committee whose keys were checked.
type committee struct {
	keys   committeeKeys
	root   common.Hash
	points []bls.G1Affine
	total  bls.G1Jac // sum of points
}

// unpack checks and decompresses every key, which takes a tenth of a second, and that the last one is the
// sum of the others.
func (k committeeKeys) unpack() (*committee, error) {
	c := &committee{keys: k, root: k.root(), points: make([]bls.G1Affine, k.members())}
	for i := range c.points {
		if err := readKey(&c.points[i], k.key(i)); err != nil {
			return nil, fmt.Errorf("%w committee: key %d: %w", ErrMalformed, i, err)
		}
		c.total.AddMixed(&c.points[i])
	}
	var sum bls.G1Affine
	sum.FromJacobian(&c.total)
	if got := sum.Bytes(); !bytes.Equal(got[:], k.key(k.members())) {
		return nil, fmt.Errorf("%w committee: the aggregate key is %#x, the sum of all keys is %#x",
			ErrMalformed, k.key(k.members()), got)
	}
	if sum.IsInfinity() {
		return nil, fmt.Errorf("%w committee: the sum of all keys is the point at infinity", ErrMalformed)
	}
	return c, nil
}
