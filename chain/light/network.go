package light

import (
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// Network is what a light client must know of a consensus network.
type Network struct {
	Name            string
	Genesis         time.Time
	ValidatorsRoot  common.Hash // genesis_validators_root
	SlotTime        time.Duration
	SlotsPerEpoch   uint64
	EpochsPerPeriod uint64 // of a sync committee
	CommitteeSize   int    // of a sync committee: 512, or 32 with the minimal preset
	Forks           []Fork // by Epoch
}

// Fork is a change of the consensus rules.
type Fork struct {
	Name    string // in lower case: "capella"
	Epoch   uint64
	Version [4]byte
}

// Named returns a network that is built in: mainnet, sepolia, hoodi or gnosis.
func Named(name string) (*Network, bool) { return nil, false }

// ParseNetwork reads a consensus layer's config.yaml with GENESIS_TIME and GENESIS_VALIDATORS_ROOT added.
func ParseNetwork(name string, config []byte) (*Network, error) { return nil, ErrMalformed }

// Slot returns the slot at a time; before genesis it is 0.
func (n *Network) Slot(at time.Time) uint64 { return 0 }

// SlotStart returns when a slot begins.
func (n *Network) SlotStart(slot uint64) time.Time { return n.Genesis }

// Epoch returns the epoch of a slot.
func (n *Network) Epoch(slot uint64) uint64 { return slot / n.SlotsPerEpoch }

// Period returns the sync committee period of a slot.
func (n *Network) Period(slot uint64) uint64 { return n.Epoch(slot) / n.EpochsPerPeriod }

// Fork returns the rules in force at a slot.
func (n *Network) Fork(slot uint64) Fork { return Fork{} }

// Supermajority is how many members of a committee must sign: two thirds, rounded up.
func (n *Network) Supermajority() int { return (2*n.CommitteeSize + 2) / 3 }
