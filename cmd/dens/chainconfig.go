package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
	"dens/chain/light"
	"dens/configs"
)

// chainConfig is all that the Callers of one chain are made of, with what stands in files.
type chainConfig struct {
	name     string
	conf     configs.Chain
	source   chain.AnchorSource // with trust proven; else chain.AnchorNone
	light    lightConfig        // with chain.AnchorBeacon
	why      string             // why an automatic anchor is none of the light client's; "" where it is, or never could be
	builtIn  *builtIn           // the release's checkpoint, where it is the one that counts; else nil
	onlooker bool               // for a few questions: it leaves no traces on disk
}

// lightConfig is what a light client is made of.
type lightConfig struct {
	network          *light.Network
	endpoints        []configs.Beacon
	checkpoint       common.Hash
	finalized        bool
	maxCheckpointAge time.Duration // negative is off
	maxHeadAge       time.Duration
	state            string // a file; "" is none
	readOnly         bool
}

// forEver stands for no bound of an age.
const forEver = 100 * 365 * 24 * time.Hour

// newChainConfig reads the files that the configuration of a chain names, and decides who vouches for its
// blocks. release is what was built in; nil is nothing. canLookUp says whether hosts can be found by name.
func newChainConfig(name string, conf configs.Chain, release *builtIn, canLookUp, onlooker bool) (chainConfig, error) {
	c := chainConfig{name: name, conf: conf, onlooker: onlooker}
	switch {
	case conf.Trust != configs.TrustProven:
		return c, nil
	case conf.Anchor == configs.AnchorTrusted:
		c.source = chain.AnchorTrusted
		return c, nil
	case !conf.BeaconAnchor():
		c.source = chain.AnchorQuorum
		return c, nil
	}
	c.source = chain.AnchorBeacon
	root, err := conf.Checkpoint.Read("chains." + name + ".checkpoint")
	if err != nil {
		return c, err
	}
	if conf.Checkpoint.IsZero() && conf.Anchor == configs.AnchorAuto {
		if c.why = c.whyNoRelease(release, canLookUp); c.why != "" {
			c.source = chain.AnchorQuorum
			return c, nil
		}
		root, c.builtIn = release.root, release
	}
	network, err := readNetwork(name, conf)
	if err != nil {
		return c, err
	}
	c.light = lightConfig{
		network: network, endpoints: conf.Beacon, checkpoint: root, finalized: conf.Anchor == configs.AnchorFinalized,
		maxCheckpointAge: conf.MaxCheckpointAge, maxHeadAge: conf.MaxHeadAge,
		state: lightStatePath(conf.State.Reveal(), name, root), readOnly: onlooker,
	}
	if c.light.maxCheckpointAge == 0 {
		c.light.maxCheckpointAge = -1
	}
	if c.light.maxHeadAge == 0 {
		c.light.maxHeadAge = forEver
	}
	return c, nil
}

// whyNoRelease says why the checkpoint of the release is of no use; "" is that it is.
func (c *chainConfig) whyNoRelease(release *builtIn, canLookUp bool) string {
	switch {
	case release == nil || release.network != c.conf.Network:
		return "no checkpoint is configured"
	case len(c.conf.Beacon) == 0:
		return "no beacon API is configured"
	case !canLookUp && slices.ContainsFunc(c.conf.Beacon, func(b configs.Beacon) bool { return !hasAddressHost(b.Endpoint) }):
		return "no DNS server is configured that could find the beacon APIs"
	}
	return ""
}

// expired says why a checkpoint of the release is of no use any more; "" is that it is. What was proven from
// it since may be remembered all the same.
func (c *chainConfig) expired(now time.Time) string {
	if c.builtIn == nil || c.conf.MaxCheckpointAge == 0 {
		return ""
	}
	age := slotAge(c.light.network, c.builtIn.slot, now)
	if age <= c.conf.MaxCheckpointAge {
		return ""
	}
	return fmt.Sprintf("the checkpoint that is built into this release is %s old, over max_checkpoint_age: upgrade dens, or configure a checkpoint", days(age))
}

// lightStatePath is the file of a light client in a directory. What was proven from one checkpoint is of no
// use to who has been told another.
func lightStatePath(dir, name string, checkpoint common.Hash) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, fmt.Sprintf("light-%s-%x", name, checkpoint[:4]))
}

// codeDir is the directory of contracts' code in the state directory. It is shared by all chains that have
// the directory: code is known by its hash.
func (c *chainConfig) codeDir() string {
	if dir := c.conf.State.Reveal(); dir != "" && !c.onlooker {
		return filepath.Join(dir, "code")
	}
	return ""
}

// maxNetworkFile bounds the description of a network, in bytes.
const maxNetworkFile = 1 << 20

// readNetwork returns the consensus network of a chain.
func readNetwork(name string, conf configs.Chain) (*light.Network, error) {
	key := "chains." + name + ".network"
	path, isFile := conf.NetworkFile()
	if !isFile {
		n, ok := light.Named(conf.Network)
		if !ok {
			return nil, &configs.KeyError{Key: key, Err: fmt.Errorf("there is no network %q", conf.Network)}
		}
		return n, nil
	}
	const expected = "expected a consensus layer's config.yaml with GENESIS_TIME and GENESIS_VALIDATORS_ROOT"
	f, err := os.Open(path)
	if err != nil {
		return nil, &configs.KeyError{Key: key, Err: fmt.Errorf("%w; %s", err, expected)}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxNetworkFile+1))
	if err == nil && len(data) > maxNetworkFile {
		err = fmt.Errorf("%s: more than %d bytes", path, maxNetworkFile)
	}
	if err != nil {
		return nil, &configs.KeyError{Key: key, Err: fmt.Errorf("%w; %s", err, expected)}
	}
	// The network is shown by the chain's name: where its description lies is nobody's business.
	n, err := light.ParseNetwork(name, data)
	if err != nil {
		return nil, &configs.KeyError{Key: key, Err: fmt.Errorf("%s: %w; %s", path, err, expected)}
	}
	return n, nil
}

// makeState makes the directory for what is remembered.
func (c *chainConfig) makeState() error {
	dir := c.conf.State.Reveal()
	if dir == "" || c.onlooker || c.conf.Trust != configs.TrustProven {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("chains.%s.state: %w; expected a directory that dens may write to", c.name, err)
	}
	f, err := os.CreateTemp(dir, ".dens-check-*")
	if err != nil {
		return fmt.Errorf("chains.%s.state: %w; expected a directory that dens may write to", c.name, err)
	}
	f.Close()
	return os.Remove(f.Name())
}
