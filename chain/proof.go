package chain

import "github.com/ethereum/go-ethereum/common"

// AnchorSource says who vouches for the hash of the block that a call is executed at. Greater is better.
type AnchorSource uint8

const (
	// AnchorNone is the zero value: nobody does.
	AnchorNone AnchorSource = iota
	// AnchorTrusted means one node that the user runs or trusts.
	AnchorTrusted
	// AnchorQuorum means k independent operators that name the same hash.
	AnchorQuorum
	// AnchorBeacon means a sync committee of Ethereum's consensus that signed it.
	AnchorBeacon
)

// String returns the word that the configuration, the log and people use.
func (s AnchorSource) String() string {
	switch s {
	case AnchorTrusted:
		return "trusted"
	case AnchorQuorum:
		return "quorum"
	case AnchorBeacon:
		return "beacon"
	default:
		return "none"
	}
}

// Anchor is a block that calls are executed at, with who vouches for its hash.
type Anchor struct {
	Head
	Source AnchorSource
	// Vouchers are the operators that named the hash, or the beacon endpoint that brought its proof; never
	// URLs.
	Vouchers []string
	Beacon   *BeaconEvidence // with AnchorBeacon; else nil
}

// BeaconEvidence is how a beacon anchor came about (consensus specifications, altair/light-client).
type BeaconEvidence struct {
	Network        string      // the network's name: "mainnet"
	Fork           string      // of the block: "electra", "fulu"
	Checkpoint     common.Hash // root of the beacon block that was believed to begin with
	CheckpointSlot uint64      // its slot
	Period         uint64      // sync committee period of the signers
	Slot           uint64      // of the beacon block that holds the execution block
	Root           common.Hash // of that beacon block
	SignatureSlot  uint64      // of the signature over it, or over the block that finalised it
	Signers        int         // members of the committee that signed
	Committee      int         // members in all
	Finalized      bool        // Slot is finalised
}

// Proof is the evidence behind a Result with trust Proven.
type Proof struct {
	Anchor    Anchor
	StateRoot common.Hash // of the anchor's block
	// Accounts are those that the execution read, each proven to exist or to be absent, by address.
	Accounts []ProvenAccount
	Trips    int // rounds of requests, one after another, that the Call waited for; 0: all was known
	Bytes    int // of the answers that were fetched for it
}

// ProvenAccount is an account that an execution read.
type ProvenAccount struct {
	Address common.Address
	Slots   int // storage slots that were read
}
