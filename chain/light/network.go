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
