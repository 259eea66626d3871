// Package consensus is a made-up beacon chain with the real rules that a light client can check: sync
// committees of 512 with BLS signatures, SSZ proofs at the real generalised indices of every fork from
// Capella to Gloas, and finality. Its blocks hold the blocks of an Ethereum node in the process. It is
// served as the light client part of the beacon API.
//
// What a light client cannot see is not there: validators, attestations, deposits. The keys are derived
// from fixed words and protect nothing. The package shares no code with the light client of dens, so that
// each checks the other.
package consensus

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// The mainnet preset (consensus-specs, presets/mainnet).
const (
	SlotsPerEpoch   = 32
	EpochsPerPeriod = 256
	SlotsPerPeriod  = SlotsPerEpoch * EpochsPerPeriod
	CommitteeSize   = 512
)

const (
	// finalityDistance is how many epochs the finalised one is behind when all goes well.
	finalityDistance = 2
	// minSlots is how old the chain must be at the start, in slots: enough for a finalised block after
	// genesis, which has rules of its own.
	minSlots   = (finalityDistance+1)*SlotsPerEpoch + 1
	maxHistory = 120 // periods; a client may ask for 128 updates at once
)

// Config is what a Chain is made of.
type Config struct {
	// Head returns the newest block of the execution node. It is asked for each beacon block.
	Head func() *types.Header
	// Genesis is slot 0, in whole seconds. With SlotTime it decides which slot is now. It must be at least
	// 97 slots ago.
	Genesis  time.Time     // as long ago as History needs, and half a period more
	SlotTime time.Duration // whole seconds; 1s
	// Forks are the epochs of deneb, electra, fulu and gloas; those to capella are at 0. One that is left
	// out comes with the one before it, or after the last one that is named never.
	Forks map[string]uint64 // all to fulu at 0
	// History is how many periods before the one of now the chain and its checkpoint begin. Old periods
	// have a few blocks only: enough for an update with finality each.
	History     uint64 // 1; more than 120 is refused
	FinalityLag uint64 // epochs that finality is late by
	Signers     int    // of 512; 500
	Port        int    // of HTTP on 127.0.0.1; 0: any free one; negative: only Handler
	Auto        bool   // make a block for each slot; else only by Advance
	// ValidatorsRoot is genesis_validators_root, and Versions are those of forks by name, "genesis" being the
	// first: to stand for a network that light clients know by name. Those left out are the package's own.
	ValidatorsRoot common.Hash
	Versions       map[string][4]byte
}

func (c Config) withDefaults(now time.Time) Config {
	if c.SlotTime == 0 {
		c.SlotTime = time.Second
	}
	if c.History == 0 {
		c.History = 1
	}
	if c.Genesis.IsZero() {
		slots := c.History*SlotsPerPeriod + SlotsPerPeriod/2
		c.Genesis = now.Add(-time.Duration(slots) * c.SlotTime).Truncate(time.Second)
	}
	if c.Forks == nil {
		c.Forks = map[string]uint64{"capella": 0, "deneb": 0, "electra": 0, "fulu": 0}
	}
	c.Forks = maps.Clone(c.Forks)
	if c.Signers == 0 {
		c.Signers = 500
	}
	if c.ValidatorsRoot == (common.Hash{}) {
		c.ValidatorsRoot = validatorsRoot()
	}
	return c
}

func (c Config) check(now time.Time) error {
	switch {
	case c.Head == nil:
		return errors.New("no function Head")
	case c.SlotTime < time.Second || c.SlotTime%time.Second != 0:
		return fmt.Errorf("slot time of %v is not in whole seconds", c.SlotTime)
	case c.Genesis.Nanosecond() != 0 || c.Genesis.Unix() <= 0:
		return fmt.Errorf("genesis at %v is not in whole seconds", c.Genesis)
	case now.Sub(c.Genesis) < minSlots*c.SlotTime:
		return fmt.Errorf("genesis at %v is less than %d slots ago", c.Genesis, minSlots)
	case c.History > maxHistory:
		return fmt.Errorf("history of %d periods, of %d at most", c.History, maxHistory)
	case c.Signers < 1 || c.Signers > CommitteeSize:
		return fmt.Errorf("%d signers of %d", c.Signers, CommitteeSize)
	}
	return nil
}
