package light

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"go.yaml.in/yaml/v3"
)

const (
	maxConfig  = 1 << 18
	maxForks   = 64
	farFuture  = math.MaxUint64 // FAR_FUTURE_EPOCH: never
	forkEpoch  = "_FORK_EPOCH"
	forkVers   = "_FORK_VERSION"
	maxGenesis = 1 << 40 // Unix seconds
)

// ParseNetwork reads the configuration of a consensus layer (config.yaml of the consensus specifications)
// to which GENESIS_TIME and GENESIS_VALIDATORS_ROOT were added. PRESET_BASE is mainnet, gnosis or minimal;
// what a preset sets may be set anew. A fork that is not known is kept by name when it has an epoch, so
// that data of it is refused. It fails with ErrMalformed, with the line of the key.
func ParseNetwork(name string, config []byte) (*Network, error) {
	c, err := readConfig(config)
	if err != nil {
		return nil, err
	}
	n := &Network{Name: name}
	c.preset(n)
	n.SlotTime = c.slotTime(n.SlotTime)
	n.SlotsPerEpoch = c.number("SLOTS_PER_EPOCH", n.SlotsPerEpoch, 1, maxSlotsPerEpoch)
	n.EpochsPerPeriod = c.number("EPOCHS_PER_SYNC_COMMITTEE_PERIOD", n.EpochsPerPeriod, 1, maxEpochsPerEpoch)
	n.CommitteeSize = int(c.number("SYNC_COMMITTEE_SIZE", uint64(n.CommitteeSize), 8, maxCommittee))
	n.Genesis = time.Unix(int64(c.must("GENESIS_TIME", maxGenesis)), 0).UTC()
	c.hex("GENESIS_VALIDATORS_ROOT", n.ValidatorsRoot[:])
	c.forks(n)
	if c.err != nil {
		return nil, c.err
	}
	if n.ValidatorsRoot == (common.Hash{}) {
		return nil, fmt.Errorf("%w config: GENESIS_VALIDATORS_ROOT is zero", ErrMalformed)
	}
	if err := n.check(); err != nil {
		return nil, err
	}
	return n, nil
}

// networkConfig is a config.yaml: its scalars by key. The first thing wrong is kept.
type networkConfig struct {
	values map[string]*yaml.Node
	keys   []string // in the order of the file
	err    error
}

func readConfig(config []byte) (*networkConfig, error) {
	if len(config) > maxConfig {
		return nil, fmt.Errorf("%w config: %d bytes, expected at most %d", ErrMalformed, len(config), maxConfig)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(config, &doc); err != nil {
		return nil, fmt.Errorf("%w config: %w", ErrMalformed, err)
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%w config: expected lines of KEY: value", ErrMalformed)
	}
	c := &networkConfig{values: make(map[string]*yaml.Node)}
	pairs := doc.Content[0].Content
	for i := 0; i+1 < len(pairs); i += 2 {
		key, value := pairs[i], pairs[i+1]
		if value.Kind != yaml.ScalarNode || value.Tag == "!!null" {
			continue // lists such as BLOB_SCHEDULE, and keys without a value
		}
		if before, ok := c.values[key.Value]; ok {
			return nil, fmt.Errorf("%w config: line %d: %.60q was set in line %d already", ErrMalformed, key.Line, key.Value, before.Line)
		}
		c.values[key.Value] = value
		c.keys = append(c.keys, key.Value)
	}
	return c, nil
}

// fail notes what is wrong with the value of a key.
func (c *networkConfig) fail(key, expected string) {
	if c.err != nil {
		return
	}
	if v, ok := c.values[key]; ok {
		c.err = fmt.Errorf("%w config: line %d: %s: found %.80q, expected %s", ErrMalformed, v.Line, key, v.Value, expected)
		return
	}
	c.err = fmt.Errorf("%w config: %s is missing, expected %s", ErrMalformed, key, expected)
}

// number reads a number within bounds; without the key it is a default.
func (c *networkConfig) number(key string, byDefault, low, high uint64) uint64 {
	value, ok := c.values[key]
	if !ok {
		return byDefault
	}
	v, err := strconv.ParseUint(value.Value, 10, 64)
	if err != nil || v < low || v > high {
		c.fail(key, fmt.Sprintf("a number from %d to %d", low, high))
	}
	return v
}

// must reads a number that has no default.
func (c *networkConfig) must(key string, high uint64) uint64 {
	if c.values[key] == nil {
		c.fail(key, "a number")
		return 0
	}
	return c.number(key, 0, 0, high)
}

// hex reads exactly len(to) bytes.
func (c *networkConfig) hex(key string, to []byte) {
	expected := fmt.Sprintf("0x and %d hex digits", 2*len(to))
	value, ok := c.values[key]
	if !ok {
		c.fail(key, expected)
		return
	}
	digits, ok := strings.CutPrefix(value.Value, "0x")
	if !ok || len(digits) != 2*len(to) {
		c.fail(key, expected)
		return
	}
	if _, err := hex.Decode(to, []byte(digits)); err != nil {
		c.fail(key, expected)
	}
}

// preset fills in what PRESET_BASE stands for (presets/*/phase0.yaml and altair.yaml of the consensus
// specifications; that of gnosis is published beside its config.yaml).
func (c *networkConfig) preset(n *Network) {
	var base string
	if v := c.values["PRESET_BASE"]; v != nil {
		base = v.Value
	}
	switch base {
	case "mainnet":
		n.SlotTime, n.SlotsPerEpoch, n.EpochsPerPeriod, n.CommitteeSize = 12*time.Second, 32, 256, 512
	case "gnosis":
		n.SlotTime, n.SlotsPerEpoch, n.EpochsPerPeriod, n.CommitteeSize = 5*time.Second, 16, 512, 512
	case "minimal":
		n.SlotTime, n.SlotsPerEpoch, n.EpochsPerPeriod, n.CommitteeSize = 6*time.Second, 8, 8, 32
	default:
		c.fail("PRESET_BASE", "mainnet, gnosis or minimal")
	}
}

// slotTime reads SLOT_DURATION_MS, and SECONDS_PER_SLOT, which it replaces.
func (c *networkConfig) slotTime(byDefault time.Duration) time.Duration {
	seconds := time.Duration(c.number("SECONDS_PER_SLOT", uint64(byDefault/time.Second), 1, uint64(maxSlotTime/time.Second))) * time.Second
	if c.values["SECONDS_PER_SLOT"] == nil {
		seconds = byDefault
	}
	slot := time.Duration(c.number("SLOT_DURATION_MS", uint64(seconds/time.Millisecond), 1, uint64(maxSlotTime/time.Millisecond))) * time.Millisecond
	if c.values["SECONDS_PER_SLOT"] != nil && slot != seconds {
		c.fail("SLOT_DURATION_MS", fmt.Sprintf("%d, which SECONDS_PER_SLOT says", seconds/time.Millisecond))
	}
	return slot
}

// forks reads the schedule: phase0, the forks that are known, and those that are not but have an epoch.
func (c *networkConfig) forks(n *Network) {
	n.Forks = []Fork{{Name: "phase0"}}
	c.hex("GENESIS"+forkVers, n.Forks[0].Version[:])
	known := map[string]bool{"GENESIS": true, "PHASE0": true}
	var last *Fork
	for i, fork := range forkNames()[1:] {
		known[strings.ToUpper(fork)] = true
		f, ok := c.fork(strings.ToUpper(fork))
		switch {
		case !ok:
			last = nil
		case i > 0 && last == nil:
			c.fail(strings.ToUpper(forkNames()[i])+forkEpoch, "an epoch, since the fork after it has one")
		case last != nil && f.Epoch < last.Epoch:
			c.fail(strings.ToUpper(fork)+forkEpoch, fmt.Sprintf("at least %d, the epoch of %s", last.Epoch, last.Name))
		}
		if ok {
			n.Forks = append(n.Forks, f)
			last = &f
		}
	}
	for _, key := range c.keys {
		name, ok := strings.CutSuffix(key, forkEpoch)
		if !ok || known[name] {
			continue
		}
		if strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" || name == "" || len(name) > 40 {
			c.fail(key, "a name in capitals before it")
		}
		if f, ok := c.fork(name); ok {
			n.Forks = append(n.Forks, f)
		}
	}
	if len(n.Forks) > maxForks && c.err == nil {
		c.err = fmt.Errorf("%w config: found %d forks, expected at most %d", ErrMalformed, len(n.Forks), maxForks)
	}
	// Of forks at one epoch the later one is in force, and those that are not known are later.
	slices.SortStableFunc(n.Forks, func(a, b Fork) int {
		switch {
		case a.Epoch < b.Epoch:
			return -1
		case a.Epoch > b.Epoch:
			return 1
		}
		return 0
	})
}

// fork reads the epoch and the version of the fork whose keys begin so; ok is false when it is not scheduled.
func (c *networkConfig) fork(key string) (f Fork, ok bool) {
	if c.values[key+forkEpoch] == nil {
		return f, false
	}
	f = Fork{Name: forkName(key), Epoch: c.must(key+forkEpoch, farFuture)}
	if f.Epoch == farFuture {
		return f, false
	}
	c.hex(key+forkVers, f.Version[:])
	return f, true
}
