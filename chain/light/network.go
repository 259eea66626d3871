package light

import (
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// Network is what a light client must know of a consensus network. It is not changed after it is made.
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

// Bounds of what a network may be, wide enough for every known one.
const (
	maxCommittee      = 2048
	maxSlotsPerEpoch  = 1 << 10
	maxEpochsPerEpoch = 1 << 16
	maxSlotTime       = time.Hour
)

// check refuses a network with which slots, periods or committees cannot be computed.
func (n *Network) check() error {
	switch {
	case n.SlotTime <= 0 || n.SlotTime > maxSlotTime:
		return fmt.Errorf("%w network: slot time is %v, must be positive and at most %v", ErrMalformed, n.SlotTime, maxSlotTime)
	case n.SlotsPerEpoch == 0 || n.SlotsPerEpoch > maxSlotsPerEpoch:
		return fmt.Errorf("%w network: %d slots an epoch, must be 1 to %d", ErrMalformed, n.SlotsPerEpoch, maxSlotsPerEpoch)
	case n.EpochsPerPeriod == 0 || n.EpochsPerPeriod > maxEpochsPerEpoch:
		return fmt.Errorf("%w network: %d epochs a period, must be 1 to %d", ErrMalformed, n.EpochsPerPeriod, maxEpochsPerEpoch)
	case n.CommitteeSize < 8 || n.CommitteeSize > maxCommittee || bits.OnesCount(uint(n.CommitteeSize)) != 1:
		return fmt.Errorf("%w network: committees of %d, must be a power of two from 8 to %d", ErrMalformed, n.CommitteeSize, maxCommittee)
	case len(n.Forks) == 0 || n.Forks[0].Epoch != 0:
		return fmt.Errorf("%w network: no fork at epoch 0", ErrMalformed)
	}
	for i := 1; i < len(n.Forks); i++ {
		if n.Forks[i].Epoch < n.Forks[i-1].Epoch {
			return fmt.Errorf("%w network: fork %s (epoch %d) is listed after %s (epoch %d)", ErrMalformed,
				n.Forks[i].Name, n.Forks[i].Epoch, n.Forks[i-1].Name, n.Forks[i-1].Epoch)
		}
	}
	return nil
}

// Slot returns the slot at a time; before genesis it is 0.
func (n *Network) Slot(at time.Time) uint64 {
	if at.Before(n.Genesis) {
		return 0
	}
	return uint64(at.Sub(n.Genesis) / n.SlotTime) // Sub saturates at 292 years
}

// SlotStart returns when a slot begins. Slots that lie centuries ahead share one far time.
func (n *Network) SlotStart(slot uint64) time.Time {
	if slot > math.MaxInt64/uint64(n.SlotTime) {
		return n.Genesis.Add(math.MaxInt64)
	}
	return n.Genesis.Add(time.Duration(slot) * n.SlotTime)
}

// Epoch returns the epoch of a slot.
func (n *Network) Epoch(slot uint64) uint64 { return slot / n.SlotsPerEpoch }

// Period returns the sync committee period of a slot.
func (n *Network) Period(slot uint64) uint64 { return n.Epoch(slot) / n.EpochsPerPeriod }

// Fork returns the rules in force at a slot.
func (n *Network) Fork(slot uint64) Fork {
	epoch := n.Epoch(slot)
	for i := len(n.Forks) - 1; i >= 0; i-- {
		if n.Forks[i].Epoch <= epoch {
			return n.Forks[i]
		}
	}
	return Fork{}
}

// Supermajority is how many members of a committee must sign: two thirds, rounded up.
func (n *Network) Supermajority() int { return (2*n.CommitteeSize + 2) / 3 }
