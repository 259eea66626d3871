package ens

import (
	"fmt"
	"slices"

	"dens/chain"
	"dens/names"
)

// evidence is what one look-up rests on: all its Calls, and of what they brought only what was used.
type evidence struct {
	head     *chain.Head // of the first Call; all others are pinned to it
	trust    chain.Trust
	backends []string
	proof    *chain.Proof // of all Calls; nil when one had none

	gateways  []string // whose data was used
	signature bool     // over some of that data
}

// add notes one more Call. The first one decides on the block.
func (e *evidence) add(r *chain.Result) error {
	if e.head == nil {
		head := r.Head
		e.head, e.trust, e.proof = &head, r.Trust, r.Proof
		e.backends = slices.Clone(r.Backends)
		return nil
	}
	if r.Head.Hash != e.head.Hash {
		return fmt.Errorf("%w: a call was executed at another block than the first", chain.ErrConflict)
	}
	e.trust = min(e.trust, r.Trust) // a chain is as strong as its weakest link
	e.proof = e.proof.Union(r.Proof)
	e.backends = union(e.backends, r.Backends)
	return nil
}

// use notes that what came from gateways, if any, went into the answer. Of several, one that is vouched for
// by a signature is enough to make the answer one that is.
func (e *evidence) use(gateways []string, signature bool) {
	if len(gateways) > 0 {
		e.gateways, e.signature = union(e.gateways, gateways), e.signature || signature
	}
}

// source is the evidence as the contract of names has it.
func (e *evidence) source(chainName, resolver string) names.Source {
	return names.Source{
		Chain: chainName, Head: *e.head, Trust: e.trust, Resolver: resolver, Backends: e.backends,
		Gateways: e.gateways, Signature: e.signature, Proof: e.proof,
	}
}
