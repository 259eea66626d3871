package configs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Chain is one blockchain and its backends.
type Chain struct {
	ID     uint64   `json:"id"`
	Trust  string   `json:"trust"`  // TrustProven, TrustQuorum or TrustSingle
	Anchor string   `json:"anchor"` // with TrustProven: who vouches for the newest block; AnchorAuto, ...
	Quorum int      `json:"quorum"` // operators that must agree; counts with TrustQuorum and AnchorQuorum only
	RPC    []RPC    `json:"rpc"`    // at least one
	Beacon []Beacon `json:"beacon"` // for the light client
	// Checkpoint is the one block that the light client believes; zero: none.
	Checkpoint Checkpoint `json:"checkpoint"`
	// Network is one of networks, or the path of a consensus layer's config.yaml; "": no light client.
	Network          string        `json:"network"`
	MaxCheckpointAge time.Duration `json:"max_checkpoint_age"` // an older Checkpoint is refused; 0 is off
	MaxHeadAge       time.Duration `json:"max_head_age"`       // an older newest block is refused; 0 is off
	// State is the path of a directory that remembers what is proven; "" is memory only. It holds nothing
	// of variables.
	State     Secret        `json:"state"`
	Timeout   time.Duration `json:"timeout"`    // for one call in all
	BlockTime time.Duration `json:"block_time"` // usual time between blocks
	CCIP      CCIP          `json:"ccip"`
}

// The values of Chain.Trust.
const (
	TrustProven = "proven" // calls are executed here, over state that is proven
	TrustQuorum = "quorum" // backends must agree on the results of calls
	TrustSingle = "single" // one backend is believed
)

// The values of Chain.Anchor.
const (
	AnchorAuto       = ""           // optimistic where a checkpoint is at hand that is young enough, else quorum
	AnchorOptimistic = "optimistic" // the light client, newest blocks
	AnchorFinalized  = "finalized"  // the light client, finalised blocks
	AnchorQuorum     = "quorum"     // backends that agree on the block's hash
	AnchorTrusted    = "trusted"    // the user's own node
)

// Finality comes 13 to 19 minutes after a block on the networks with slots of 12 seconds, and the next block
// is told a little later; more where the network is troubled.
const (
	finalizedHeadAge    = 30 * time.Minute
	minFinalizedHeadAge = 20 * time.Minute
)

// slowFinality reports whether minFinalizedHeadAge counts for the chain: Gnosis and others are quicker.
func (c Chain) slowFinality() bool {
	return c.Network == "mainnet" || c.Network == "sepolia" || c.Network == "hoodi"
}

// networks are the consensus networks that are built in, by the ids of their chains (EIP-155).
var networks = map[uint64]string{1: "mainnet", 100: "gnosis", 560048: "hoodi", 11155111: "sepolia"}

// networkOf returns the network of a chain, "" when none is built in.
func networkOf(id uint64) string { return networks[id] }

// NetworkFile returns the path of the network's description, and false when Network is built in or "".
func (c Chain) NetworkFile() (string, bool) {
	return c.Network, c.Network != "" && !slices.Contains(slices.Collect(maps.Values(networks)), c.Network)
}

// BeaconAnchor reports whether the light client may be what vouches for blocks, given a checkpoint.
func (c Chain) BeaconAnchor() bool {
	return c.Trust == TrustProven && (c.Anchor == AnchorAuto || c.needsBeacon())
}

// LightClient reports whether the configuration has all that the light client takes.
func (c Chain) LightClient() bool { return c.BeaconAnchor() && !c.Checkpoint.IsZero() }

// CanAgree reports whether there are enough operators for a quorum.
func (c Chain) CanAgree() bool { return c.Quorum >= 2 && c.Quorum <= len(c.Operators()) }

// Operators returns who runs the backends, each once, sorted.
func (c Chain) Operators() []string {
	names := map[string]bool{}
	for _, r := range c.RPC {
		names[r.Operator] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func (c Chain) needsBeacon() bool {
	return c.Anchor == AnchorOptimistic || c.Anchor == AnchorFinalized
}

// needsQuorum reports whether nothing but a quorum can vouch for blocks or results.
func (c Chain) needsQuorum() bool {
	return c.Trust == TrustQuorum || c.Trust == TrustProven &&
		(c.Anchor == AnchorQuorum || c.Anchor == AnchorAuto && c.Checkpoint.IsZero())
}

// beaconNames reports whether the host of a beacon API must be resolved.
func (c Chain) beaconNames() bool {
	return slices.ContainsFunc(c.Beacon, func(b Beacon) bool { return b.named() })
}

func (v value) chains(dst *map[string]Chain) {
	if v.node.ShortTag() == "!!null" {
		return
	}
	*dst = map[string]Chain{}
	v.entries(func(name string, v value) {
		if !isLabel(name) {
			v.bad("this name of a chain", "letters, digits and hyphens in lower case, at most 63")
			return
		}
		c := defaultChain(0)
		v.chain(&c)
		(*dst)[name] = c
	})
}

func (v value) chain(c *Chain) {
	v.fields(map[string]func(value){
		"id": func(v value) {
			var id int64
			v.integer64(&id, 1, 1<<53)
			c.ID = uint64(id)
		},
		"trust": func(v value) { v.word(&c.Trust, TrustProven, TrustQuorum, TrustSingle) },
		"anchor": func(v value) {
			if v.node.Value != "" || v.node.ShortTag() != "!!str" {
				v.word(&c.Anchor, AnchorOptimistic, AnchorFinalized, AnchorQuorum, AnchorTrusted)
			}
		},
		"quorum":             func(v value) { v.integer(&c.Quorum, 1, 100) },
		"rpc":                func(v value) { listOf(v, &c.RPC, value.rpc) },
		"beacon":             func(v value) { listOf(v, &c.Beacon, value.beacon) },
		"checkpoint":         func(v value) { v.checkpoint(&c.Checkpoint) },
		"network":            func(v value) { v.network(&c.Network) },
		"max_checkpoint_age": func(v value) { v.duration(&c.MaxCheckpointAge, true, time.Hour, 520*week) },
		"max_head_age":       func(v value) { v.duration(&c.MaxHeadAge, true, time.Second, week) },
		"state":              func(v value) { v.file(&c.State) },
		"timeout":            func(v value) { v.duration(&c.Timeout, false, 100*time.Millisecond, time.Minute) },
		"block_time":         func(v value) { v.duration(&c.BlockTime, false, 10*time.Millisecond, time.Hour) },
		"ccip":               func(v value) { v.ccip(&c.CCIP) },
	})
	if c.Network == "" {
		c.Network = networkOf(c.ID)
	}
	if c.ID == 1 && c.Network == networkOf(1) && !v.d.has(v.path+".beacon") {
		c.Beacon = mainnetBeacon()
	}
	if c.Anchor == AnchorFinalized && !v.d.has(v.path+".max_head_age") {
		c.MaxHeadAge = finalizedHeadAge
	}
}

// network reads the name of a network or the path of a file. What is no path is a name, so that one that is
// mistyped is not looked for as a file.
func (v value) network(dst *string) {
	names := slices.Sorted(maps.Values(networks))
	expected := strings.Join(names, " or ") + ", or the path of a consensus layer's config.yaml"
	s, ok := v.plain(expected)
	if !ok {
		return
	}
	if s != "" && !slices.Contains(names, s) && !isPath(s) {
		v.bad(quote(s), expected)
		return
	}
	*dst = s
}

// isPath tells paths of files from words.
func isPath(s string) bool {
	return strings.Contains(s, "/") || strings.HasSuffix(s, ".yaml") || strings.HasSuffix(s, ".yml")
}

func (d *decoder) checkChain(path string, c Chain) {
	if c.ID == 0 && !d.has(path+".id") {
		d.addAt(path+".id", "no chain id", "one, such as 1 for Ethereum")
	}
	d.checkAnchor(path, &c)
	if d.wrongBelow(path + ".rpc") {
		return // what is left of the list says nothing
	}
	if len(c.RPC) == 0 {
		d.addAt(path+".rpc", "no backend", "at least one")
		return
	}
	urls := map[string]bool{}
	for i, r := range c.RPC {
		if urls[r.URL] {
			d.addAt(path+".rpc", fmt.Sprintf("element %d a second time (%s)", i, r), "each backend once")
		}
		urls[r.URL] = true
	}
	d.checkQuorum(path, &c)
}

// checkQuorum looks whether there are operators enough, or not too many.
func (d *decoder) checkQuorum(path string, c *Chain) {
	n := len(c.Operators())
	if c.Trust == TrustProven && c.Anchor == AnchorTrusted && n > 1 {
		d.addAt(path+".rpc", fmt.Sprintf("backends of %d operators with anchor: trusted", n),
			"those of one, since each of them is believed about the newest block (give nodes of your own the same operator), or anchor: quorum")
	}
	if !c.needsQuorum() || d.wrongBelow(path+".trust") || d.wrongBelow(path+".anchor") || d.wrongBelow(path+".checkpoint") {
		return
	}
	others := "anchor: trusted for a node of your own, or trust: single"
	if c.Trust != TrustProven {
		others = "trust: proven with anchor: trusted for a node of your own, or trust: single"
	}
	switch {
	case c.Quorum < 2:
		d.addAt(path+".quorum", fmt.Sprint(c.Quorum), "at least 2 (or "+others+")")
	case n < 2:
		d.addAt(path+".quorum", fmt.Sprint(c.Quorum), fmt.Sprintf("at most %d (the number of operators), or %s", n, others))
	case c.Quorum > n:
		d.addAt(path+".quorum", fmt.Sprint(c.Quorum), fmt.Sprintf("at most %d (the number of operators)", n))
	}
}

// checkAnchor looks whether the keys of who vouches for blocks fit together. Those without effect mislead
// about what dens does.
func (d *decoder) checkAnchor(path string, c *Chain) {
	unused := func(with, instead string, keys ...string) {
		for _, key := range keys {
			if d.has(path+"."+key) && !d.wrongBelow(path+"."+key) && c.isSet(key) {
				d.addAt(path+"."+key, key+" with "+with, instead+", or no "+key)
			}
		}
	}
	light := []string{"beacon", "checkpoint", "network", "max_checkpoint_age"}
	switch {
	case d.wrongBelow(path+".trust") || d.wrongBelow(path+".anchor"):
	case c.Trust != TrustProven:
		unused("trust: "+c.Trust, "trust: proven", append(light, "anchor", "state")...)
	case !c.BeaconAnchor():
		unused("anchor: "+c.Anchor, "anchor: optimistic or finalized", light...)
	default:
		d.checkLightClient(path, c)
	}
}

// isSet reports whether a key of the light client that the file has says more than that there is nothing.
func (c Chain) isSet(key string) bool {
	switch key {
	case "anchor":
		return c.Anchor != AnchorAuto
	case "beacon":
		return len(c.Beacon) > 0
	case "checkpoint":
		return !c.Checkpoint.IsZero()
	case "network":
		return c.Network != ""
	case "state":
		return c.State.Reveal() != ""
	default:
		return true
	}
}

func (d *decoder) checkLightClient(path string, c *Chain) {
	if own, named := networks[c.ID], slices.Contains(slices.Collect(maps.Values(networks)), c.Network); named && c.Network != own && !d.wrongBelow(path+".id") {
		expected := "the path of the config.yaml of this chain's network, since its id is " + fmt.Sprint(c.ID)
		if own != "" {
			expected = own + ", since the chain's id is " + fmt.Sprint(c.ID)
		}
		d.addAt(path+".network", quote(c.Network), expected)
	}
	urls := map[string]bool{}
	for i, b := range c.Beacon {
		if urls[b.URL] {
			d.addAt(path+".beacon", fmt.Sprintf("element %d a second time (%s)", i, b), "each beacon API once")
		}
		urls[b.URL] = true
	}
	if c.Anchor == AnchorFinalized && c.slowFinality() && c.MaxHeadAge > 0 && c.MaxHeadAge < minFinalizedHeadAge {
		d.addAt(path+".max_head_age", short(c.MaxHeadAge), "at least "+short(minFinalizedHeadAge)+
			" with anchor: finalized: a block is final 13 to 19 minutes after it was made, so that anchors would not stay young enough")
	}
	wrong := func(key string) bool { return d.wrongBelow(path + "." + key) }
	if c.Anchor == AnchorAuto && c.Checkpoint.IsZero() {
		return // a quorum vouches for blocks until there is one
	}
	if c.Checkpoint.IsZero() && !wrong("checkpoint") {
		d.addAt(path+".checkpoint", "no checkpoint", "the root of a finalised block of the beacon chain, since anchor: "+c.Anchor+" begins with one, or anchor: quorum")
	}
	if c.Network == "" && !wrong("network") {
		d.addAt(path+".network", "no network", "the path of the config.yaml of this chain's network, since the light client must know it, or anchor: quorum without a checkpoint")
	}
	if len(c.Beacon) == 0 && !wrong("beacon") {
		d.addAt(path+".beacon", "no beacon API", "at least one for the light client to ask, or anchor: quorum without a checkpoint")
	}
}
