package main

import (
	"fmt"
	"strings"
	"time"

	"dens/chain"
	"dens/chain/beacon"
	"dens/chain/light"
	"dens/configs"
	"dens/web"
)

// anchorInForce returns who vouches for the chain's blocks now and, where that is not what the configuration
// would rather have, why.
func (c *chainStack) anchorInForce() (chain.AnchorSource, string) {
	if c.fallback != nil {
		if q, because := c.fallback.inForce(); q != nil {
			return chain.AnchorQuorum, because
		}
	}
	return c.source, c.why
}

// describeAnchor says in a few words who vouches for blocks: "beacon (optimistic)", "quorum (2 of 3)".
func (c *chainStack) describeAnchor(source chain.AnchorSource) string {
	operators := c.cfg.conf.Operators()
	switch source {
	case chain.AnchorBeacon:
		if c.cfg.light.finalized {
			return "beacon (finalized)"
		}
		return "beacon (optimistic)"
	case chain.AnchorQuorum:
		return fmt.Sprintf("quorum (%d of %d operators)", c.cfg.conf.Quorum, len(operators))
	case chain.AnchorTrusted:
		return "trusted (" + strings.Join(operators, ", ") + ")"
	default:
		return "none"
	}
}

// describeTrust says in a few words what must be true for an answer to be wrong.
func (c *chainStack) describeTrust() string {
	if c.cfg.conf.Trust == configs.TrustQuorum {
		return fmt.Sprintf("quorum (%d of %d operators)", c.cfg.conf.Quorum, len(c.cfg.conf.Operators()))
	}
	return c.cfg.conf.Trust
}

// announce logs what is in force for a chain, and warns of what is weaker than it could be.
func (c *chainStack) announce() {
	source, why := c.anchorInForce()
	attrs := []any{"trust", c.describeTrust(), "backends", len(c.cfg.conf.RPC), "operators", len(c.cfg.conf.Operators())}
	if source != chain.AnchorNone {
		attrs = append(attrs, "anchor", c.describeAnchor(source))
	}
	if source == chain.AnchorBeacon {
		l := c.cfg.light
		attrs = append(attrs, "network", l.network.Name, "checkpoint", l.checkpoint.Hex(), "beacon_endpoints", len(l.endpoints))
		if from := c.light.Status().Finalized.Beacon; from != nil {
			attrs = append(attrs, "checkpoint_age", days(slotAge(l.network, from.CheckpointSlot, time.Now())))
		} else if c.cfg.builtIn != nil {
			attrs = append(attrs, "checkpoint_age", days(slotAge(l.network, c.cfg.builtIn.slot, time.Now())))
		}
		attrs = append(attrs, "built_in", c.cfg.builtIn != nil)
	}
	if why != "" {
		attrs = append(attrs, "because", why)
	}
	c.log.Info("in force", attrs...)
	for _, w := range c.warnings() {
		c.log.Warn(w)
	}
}

// warnings are what is weaker than it could be by the configuration's own will.
func (c *chainStack) warnings() []string {
	conf := c.cfg.conf
	var all []string
	switch {
	case conf.Trust == configs.TrustSingle:
		all = append(all, "trust: single: whatever one backend says is believed")
	case c.source == chain.AnchorTrusted:
		all = append(all, "anchor: trusted: the newest block is whatever "+strings.Join(conf.Operators(), ", ")+" says it is")
	case c.source == chain.AnchorQuorum && c.cfg.builtIn != nil:
		all = append(all, c.why)
	}
	if c.source == chain.AnchorBeacon && conf.MaxCheckpointAge == 0 {
		all = append(all, "max_checkpoint_age is off: validators that left long ago could have signed another chain from the checkpoint on")
	}
	if c.source != chain.AnchorNone && conf.MaxHeadAge == 0 {
		all = append(all, "max_head_age is off: whoever withholds new blocks has old names answered for ever")
	}
	return all
}

// announceChains says what is in force for all chains that old, if any, did not have.
func (s *stack) announceChains(old *stack) {
	for _, c := range s.chains {
		if old.chain(c.name) != c {
			c.announce()
		}
	}
}

// checkpoints are what light clients believe, by their chains' names: a network and the root of a block.
func (s *stack) checkpoints() map[string]string {
	roots := map[string]string{}
	for _, c := range s.chains {
		if c.light != nil {
			roots[c.name] = c.cfg.light.network.ValidatorsRoot.Hex() + " " + c.cfg.light.checkpoint.Hex()
		}
	}
	return roots
}

// attributes are what the log says of an anchor.
func attributes(a chain.Anchor, network *light.Network, now time.Time) []any {
	attrs := []any{"anchor", a.Source.String(), "block", a.Number, "hash", a.Hash.Hex()}
	if b := a.Beacon; b != nil && network != nil {
		by := fmt.Sprintf("%d of %d", b.Signers, b.Committee)
		if b.Signers == 0 {
			by = "none, it is the checkpoint"
		}
		attrs = append(attrs, "slot", b.Slot, "finalized", b.Finalized, "signers", by,
			"checkpoint_slot", b.CheckpointSlot, "checkpoint_age", days(slotAge(network, b.CheckpointSlot, now)))
	}
	return attrs
}

// part says what is in force, whether calls to the chain have a chance now and, if not, or not for long, why.
func (c *chainStack) part() web.Part {
	p := web.Part{Name: "chain " + c.name, Ready: c.pool.Ready(), Trust: c.describeTrust()}
	if !p.Ready {
		p.Reason = firstReason(c.pool.Status())
	}
	source, why := c.anchorInForce()
	if source != chain.AnchorNone {
		p.Anchor = c.describeAnchor(source)
	}
	switch {
	case c.cfg.conf.Trust == configs.TrustQuorum:
		p.Ready = c.quorum.Ready()
	case source == chain.AnchorBeacon:
		lightPart(&p, c.light.Ready(), c.light.Status())
	case source == chain.AnchorQuorum && c.quorum != nil:
		p.Ready = c.quorum.Ready()
	case source == chain.AnchorQuorum:
		q, _ := c.fallback.inForce()
		p.Ready = q.Ready()
		if p.Ready {
			p.Degraded, p.Reason = true, "backends that agree vouch for blocks, not Ethereum's consensus: "+why
		}
	}
	if !p.Ready && p.Reason == "" {
		p.Reason = firstReason(c.pool.Status())
	}
	return p
}

// lightPart adds the state of the light client to that of the backends. Its loss of all endpoints shows
// while what it has proven can still be used.
func lightPart(p *web.Part, ready bool, status beacon.Status) {
	if !ready {
		p.Ready = false
		reason := strings.Replace(status.Reason, "light client: ", "", 1) // errors of the chain name it after their class
		p.Reason = "light client: " + or(reason, "no block is proven yet")
		return
	}
	if p.Ready && status.FailingFor > 0 {
		p.Degraded = true
		p.Reason = fmt.Sprintf("no beacon API has brought anything new for %s; what is proven is too old in %s: %s",
			status.FailingFor.Round(time.Second), max(status.ExpiresIn, 0).Round(time.Second), or(status.Reason, "no reason is known"))
	}
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// state is what metrics and the page show of the chain.
func (c *chainStack) state(now time.Time) web.Chain {
	source, why := c.anchorInForce()
	out := web.Chain{Name: c.name, Trust: c.cfg.conf.Trust, Anchor: source.String(), Reason: why}
	if c.verifier == nil {
		return out
	}
	v := c.verifier.Status()
	out.Proofs = &web.Proofs{Calls: v.Calls, Trips: v.Trips, Bytes: v.Bytes, Bad: v.BadProofs, Blocks: v.Blocks, Memory: v.Memory}
	out.Anchor = c.describeAnchor(source)
	if source != chain.AnchorBeacon {
		out.Block = anchoredBlock(c.newest(v.Anchor.Head), c.cfg.conf.MaxHeadAge, now)
		return out
	}
	s := c.light.Status()
	out.Light = lightState(s)
	if s.Anchor.Beacon != nil {
		start := c.cfg.light.network.SlotStart(s.Anchor.Beacon.Slot)
		out.Block = &web.Block{Number: s.Anchor.Number, Slot: s.Anchor.Beacon.Slot, Age: max(now.Sub(start), 0), ExpiresIn: max(s.ExpiresIn, 0)}
	}
	return out
}

// newest is the block that backends agree on now, or the one that was used last.
func (c *chainStack) newest(last chain.Head) chain.Head {
	q := c.quorum
	if q == nil && c.fallback != nil {
		q, _ = c.fallback.inForce()
	}
	if q == nil {
		return last
	}
	return q.Status().Head
}

// anchoredBlock is what is to be said of a block that no light client vouches for; maxAge 0 is off.
func anchoredBlock(h chain.Head, maxAge time.Duration, now time.Time) *web.Block {
	if h.Time.IsZero() {
		return nil
	}
	b := &web.Block{Number: h.Number, Age: max(now.Sub(h.Time), 0)}
	if b.ExpiresIn = max(maxAge-b.Age, 0); maxAge == 0 {
		b.ExpiresIn = forEver
	}
	return b
}

func lightState(s beacon.Status) *web.Light {
	out := &web.Light{Period: s.Period, Failing: s.FailingFor}
	if s.Finalized.Beacon != nil {
		out.Finalized = s.Finalized.Beacon.Slot
	}
	for _, e := range s.Endpoints {
		out.Endpoints = append(out.Endpoints, web.BeaconEndpoint{
			Name: e.Name, Up: e.Usable, Slot: e.Slot, Requests: e.Requests, Errors: e.Errors, Reason: e.LastError,
		})
	}
	return out
}
