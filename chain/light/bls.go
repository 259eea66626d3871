package light

import (
	"errors"
	"fmt"
	"math/bits"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/ethereum/go-ethereum/common"
)

// suite is the domain separation tag of Ethereum's signatures (phase0/beacon-chain.md, BLS signatures).
const suite = "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"

// readKey reads a compressed public key that is in the right subgroup and not infinity (KeyValidate).
func readKey(p *bls.G1Affine, key []byte) error {
	if _, err := p.SetBytes(key); err != nil {
		return fmt.Errorf("%#x is no public key: %w", key, err)
	}
	if p.IsInfinity() {
		return errors.New("public key is the point at infinity")
	}
	return nil
}

// signers counts the bits of a Bitvector.
func signers(bitvector []byte) (count int) {
	for _, b := range bitvector {
		count += bits.OnesCount8(b)
	}
	return count
}

// verify checks the signature of those members whose bits are set (FastAggregateVerify). bitvector has a
// bit for each member.
func (c *committee) verify(bitvector []byte, message common.Hash, signature []byte) error {
	var sig bls.G2Affine
	if _, err := sig.SetBytes(signature); err != nil {
		return fmt.Errorf("%w: %#x: %w", ErrSignature, signature, err)
	}
	if sig.IsInfinity() {
		return fmt.Errorf("%w: it is the point at infinity", ErrSignature)
	}
	// Few are absent: to take them off the sum of all is cheaper than to add up the others.
	sum := c.total
	for i := range c.points {
		if bitvector[i/8]>>(i%8)&1 == 0 {
			var absent bls.G1Affine
			sum.AddMixed(absent.Neg(&c.points[i]))
		}
	}
	var key bls.G1Affine
	if key.FromJacobian(&sum); key.IsInfinity() {
		return fmt.Errorf("%w: the signers' keys add up to the point at infinity", ErrSignature)
	}
	hash, err := bls.HashToG2(message[:], []byte(suite))
	if err != nil {
		return fmt.Errorf("%w: hash to curve: %w", ErrSignature, err)
	}
	_, _, generator, _ := bls.Generators()
	generator.Neg(&generator)
	// e(key, hash) = e(generator, sig)
	ok, err := bls.PairingCheck([]bls.G1Affine{key, generator}, []bls.G2Affine{hash, sig})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if !ok {
		return fmt.Errorf("%w: %d members did not sign %v", ErrSignature, signers(bitvector), message)
	}
	return nil
}
