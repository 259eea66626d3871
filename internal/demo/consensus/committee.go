package consensus

import (
	"crypto/sha256"
	"fmt"
	"math/big"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/consensys/gnark-crypto/ecc/bls12-381/fr"
	"github.com/ethereum/go-ethereum/common"
)

// signatureDST is the domain separation tag of proofs of possession (phase0/beacon-chain.md, BLS).
const signatureDST = "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"

// Committee is a sync committee with its secret keys: consecutive numbers from one that follows from a
// text. It does not change.
type Committee struct {
	first     fr.Element
	keys      [CommitteeSize][48]byte
	aggregate [48]byte
	root      common.Hash
}

// NewCommittee makes a committee from a text. Another text gives another committee: an attacker's own.
func NewCommittee(seed string) *Committee {
	c := &Committee{}
	digest := sha256.Sum256([]byte(seed))
	c.first.SetBytes(digest[:])
	_, _, generator, _ := bls.Generators()
	var point, sum bls.G1Jac
	var scalar big.Int
	point.FromAffine(&generator)
	point.ScalarMultiplication(&point, c.first.BigInt(&scalar))
	points := make([]bls.G1Jac, CommitteeSize)
	for i := range points {
		points[i] = point
		sum.AddAssign(&point)
		point.AddMixed(&generator)
	}
	for i, affine := range bls.BatchJacobianToAffineG1(points) {
		c.keys[i] = affine.Bytes()
	}
	var total bls.G1Affine
	total.FromJacobian(&sum)
	c.aggregate = total.Bytes()
	c.root = c.hashTreeRoot()
	return c
}

// hashTreeRoot is the root of the container SyncCommittee (altair/beacon-chain.md).
func (c *Committee) hashTreeRoot() common.Hash {
	roots := make([]common.Hash, CommitteeSize)
	for i := range c.keys {
		roots[i] = vector(c.keys[i][:])
	}
	return hashPair(merkleize(roots), vector(c.aggregate[:]))
}

// Root is the committee's hash tree root.
func (c *Committee) Root() common.Hash { return c.root }

// aggregateSignature is the container SyncAggregate (altair/beacon-chain.md).
type aggregateSignature struct {
	bits      [CommitteeSize / 8]byte
	signature [96]byte
}

// sign signs with count keys; start is the first of them.
func (c *Committee) sign(message common.Hash, count int, start uint64) (aggregateSignature, error) {
	var a aggregateSignature
	var secret, term fr.Element
	for i := range count {
		at := (start + uint64(i)) % CommitteeSize
		a.bits[at/8] |= 1 << (at % 8)
		term.SetUint64(at)
		secret.Add(&secret, term.Add(&term, &c.first))
	}
	point, err := bls.HashToG2(message[:], []byte(signatureDST))
	if err != nil {
		return a, fmt.Errorf("hash to curve: %w", err)
	}
	var scalar big.Int
	point.ScalarMultiplication(&point, secret.BigInt(&scalar))
	a.signature = point.Bytes()
	return a, nil
}
