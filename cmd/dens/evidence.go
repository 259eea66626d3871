package main

import (
	"fmt"
	"strings"
	"time"

	"dens/chain/light"
	"dens/resolver"
)

// describeTrust says in one line what must be true for the answer to be right.
func describeTrust(o *resolver.Origin) string {
	who := strings.Join(o.Backends, ", ")
	switch {
	case o.Trust == "quorum":
		return "quorum: " + who + " agree"
	case o.Trust == "single":
		return "single: " + who + " is believed"
	case o.Proof != nil:
		return o.Trust + ", " + describeProofAnchor(o.Proof)
	default:
		return o.Trust + ": " + who
	}
}

// describeProofAnchor says who vouches for the block that an answer is proven by.
func describeProofAnchor(p *resolver.Proof) string {
	who := strings.Join(p.Vouchers, ", ")
	switch {
	case p.Beacon != nil && p.Beacon.Signers == 0:
		return "beacon anchor: the checkpoint's own block, which is believed"
	case p.Beacon != nil && p.Beacon.Finalized:
		return fmt.Sprintf("beacon anchor (finalized): %d of %d validators of the sync committee signed", p.Beacon.Signers, p.Beacon.Committee)
	case p.Beacon != nil:
		return fmt.Sprintf("beacon anchor (optimistic): %d of %d validators of the sync committee signed", p.Beacon.Signers, p.Beacon.Committee)
	case p.Anchor == "trusted":
		return "trusted anchor: " + who + " is believed about the block"
	default:
		return p.Anchor + " anchor: " + who + " agree on the block"
	}
}

// describeGateways says what data from outside of the chain is worth; "" without any.
func describeGateways(o *resolver.Origin) string {
	if len(o.Gateways) == 0 {
		return ""
	}
	from := "data from " + strings.Join(o.Gateways, ", ") + " (CCIP-Read): "
	switch {
	case o.Trust != "proven":
		return from + "as good as the check in the contract"
	case o.Signature:
		return from + "the contract's check of it was executed over proven state, and verified a signature: a key vouches for the gateway's data"
	default:
		return from + "the contract's check of it was executed over proven state, and verified no signature: where it verifies another chain's proofs, the name is proven end to end, else the gateway is believed"
	}
}

// evidenceRows calls row for each link between what is believed and the answer, from the first on.
func evidenceRows(o *resolver.Origin, checkpointAge time.Duration, row func(key, value string)) {
	block := fmt.Sprintf("%d of %s", o.Block, o.BlockTime.UTC().Format(time.DateTime+" UTC"))
	p := o.Proof
	if p == nil {
		row("block", block)
		row("block hash", o.BlockHash)
		row("trust", describeTrust(o))
		return
	}
	row("trust", describeTrust(o))
	if p.Beacon != nil {
		beaconRows(p.Beacon, checkpointAge, row)
		row("brought by", or(strings.Join(p.Vouchers, ", "), "the state file"))
	} else {
		row("vouched for", "by "+strings.Join(p.Vouchers, ", "))
	}
	row("block", block)
	row("block hash", o.BlockHash)
	row("state root", p.StateRoot)
	for _, a := range p.Accounts {
		row("account", a.Address+", "+count(a.Slots, "slot")+" read")
	}
	if p.LeftOut > 0 {
		row("account", fmt.Sprintf("and %d more", p.LeftOut))
	}
	row("proofs from", strings.Join(o.Backends, ", "))
	row("cost", fmt.Sprintf("%s, %s", count(p.Trips, "trip"), count(p.Bytes, "byte")))
}

// beaconRows are the links from the checkpoint to the beacon block that holds the block.
func beaconRows(b *resolver.BeaconProof, checkpointAge time.Duration, row func(key, value string)) {
	age, final := "", "not final yet"
	if checkpointAge > 0 {
		age = ", " + days(checkpointAge) + " old"
	}
	if b.Finalized {
		final = "final"
	}
	row("checkpoint", fmt.Sprintf("%s at slot %d%s: this is believed", b.Checkpoint, b.CheckpointSlot, age))
	row("network", b.Network+", by the rules of "+b.Fork)
	if b.Signers > 0 {
		row("committee", fmt.Sprintf("of period %d: %d of %d members signed, in slot %d", b.Period, b.Signers, b.Committee, b.SignatureSlot))
	} else {
		final = "the checkpoint itself"
	}
	row("beacon block", fmt.Sprintf("%s at slot %d, %s", b.Root, b.Slot, final))
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// checkpointAge is how long ago the checkpoint of an answer's evidence was made; 0 where that is not known.
// network is the chain's own, nil where only built-in ones are known.
func checkpointAge(o *resolver.Origin, network *light.Network, now time.Time) time.Duration {
	if o == nil || o.Proof == nil || o.Proof.Beacon == nil {
		return 0
	}
	b := o.Proof.Beacon
	if network == nil {
		var ok bool
		if network, ok = light.Named(b.Network); !ok {
			return 0
		}
	}
	return slotAge(network, b.CheckpointSlot, now)
}

// network returns the consensus network of a chain, nil where it has none.
func (s *stack) network(name string) *light.Network {
	if c := s.chain(name); c != nil {
		return c.cfg.light.network
	}
	return nil
}
