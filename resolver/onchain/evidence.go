package onchain

import (
	"slices"

	"dens/chain"
	"dens/names"
	"dens/resolver"
)

// maxProofAccounts bounds the accounts that the evidence lists: it has to find room in an EDNS option
// beside the answer, and which contracts are read is up to a contract.
const maxProofAccounts = 64

// authentic says whether what a name system found is authentic (RFC 4035 section 3.2.3): all of it was
// computed here from state that is proven. That a record is absent is proven in the same way. What a
// CCIP-Read gateway said is not the chain's word: it is as good as a check that a contract's owner wrote,
// which may be a signature by a key of anybody's or none at all.
func authentic(src *names.Source) bool {
	return src.Trust == chain.Proven && len(src.Gateways) == 0
}

// origin is the evidence behind an answer.
func origin(q question, rec *names.Records) *resolver.Origin {
	src := rec.Source
	o := &resolver.Origin{
		Name:        q.inner,
		Chain:       src.Chain,
		Block:       src.Head.Number,
		BlockHash:   src.Head.Hash.Hex(),
		BlockTime:   src.Head.Time.UTC(),
		Resolver:    src.Resolver,
		ContentHash: rec.ContentPath,
		Trust:       src.Trust.String(),
		Backends:    append([]string{}, src.Backends...),
		Gateways:    slices.Clone(src.Gateways),
	}
	if src.Trust == chain.Proven {
		o.Signature = src.Signature && len(src.Gateways) > 0
		o.Proof = proof(src.Proof)
	}
	return o
}

// proof is a chain.Proof in the contract's form.
func proof(p *chain.Proof) *resolver.Proof {
	if p == nil {
		return nil
	}
	out := &resolver.Proof{
		Anchor: p.Anchor.Source.String(), Vouchers: append([]string{}, p.Anchor.Vouchers...),
		StateRoot: p.StateRoot.Hex(), Trips: p.Trips, Bytes: p.Bytes,
		Accounts: make([]resolver.ProofAccount, 0, min(len(p.Accounts), maxProofAccounts)),
	}
	for _, a := range p.Accounts[:min(len(p.Accounts), maxProofAccounts)] {
		out.Accounts = append(out.Accounts, resolver.ProofAccount{Address: a.Address.Hex(), Slots: a.Slots})
	}
	out.LeftOut = len(p.Accounts) - len(out.Accounts)
	if b := p.Anchor.Beacon; b != nil {
		out.Beacon = &resolver.BeaconProof{
			Network: b.Network, Fork: b.Fork,
			Checkpoint: b.Checkpoint.Hex(), CheckpointSlot: b.CheckpointSlot,
			Period: b.Period, Slot: b.Slot, Root: b.Root.Hex(), SignatureSlot: b.SignatureSlot,
			Signers: b.Signers, Committee: b.Committee, Finalized: b.Finalized,
		}
	}
	return out
}
