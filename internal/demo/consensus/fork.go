package consensus

import (
	"crypto/sha256"
	"fmt"
	"math"
	"strings"

	"github.com/ethereum/go-ethereum/common"
)

// far is the epoch of a fork that never comes (FAR_FUTURE_EPOCH).
const far = math.MaxUint64

// fork is a version of the consensus rules, as far as light clients see it.
type fork struct {
	name    string
	epoch   uint64
	version [4]byte
	layout
}

// layout says where things are: generalised indices.
type layout struct {
	finalized uint64 // of finalized_checkpoint.root in the state; its epoch is the sibling
	current   uint64 // of current_sync_committee in the state
	next      uint64 // of next_sync_committee in the state
	// fields is the width of the execution payload in the body, 0 from Gloas on.
	fields uint64
	hash   uint64 // of the execution block's hash in the body
}

// payloadIndex is the place of the execution payload in the body, until Gloas.
const payloadIndex = 25

// gloas says that light client headers hold a hash in the place of an execution header.
func (l layout) gloas() bool { return l.fields == 0 }

// forkTable are all forks, in order, with their epochs and versions. The layouts are those of altair, capella, deneb, electra and
// gloas/light-client/sync-protocol.md.
func forkTable(epochs map[string]uint64, versions map[string][4]byte) ([]fork, error) {
	capella := layout{finalized: 105, current: 54, next: 55, fields: 16, hash: 412}
	deneb := layout{finalized: 105, current: 54, next: 55, fields: 32, hash: 812}
	electra := layout{finalized: 169, current: 86, next: 87, fields: 32, hash: 812}
	gloas := layout{finalized: 735, current: 2945, next: 2946, hash: 2856}
	table := []fork{
		{name: "genesis"}, {name: "altair"}, {name: "bellatrix"}, // over from the start
		{name: "capella", layout: capella},
		{name: "deneb", layout: deneb},
		{name: "electra", layout: electra},
		{name: "fulu", layout: electra},
		{name: "gloas", layout: gloas},
	}
	left := len(epochs)
	for i := range table {
		f := &table[i]
		f.version = [4]byte{byte(i), 'd', 'n', 's'}
		if version, ok := versions[f.name]; ok {
			f.version = version
		}
		epoch, named := epochs[f.name]
		switch {
		case named && i > 3 && epoch < table[i-1].epoch, named && i <= 3 && epoch > 0:
			return nil, fmt.Errorf("fork %s cannot be at epoch %d", f.name, epoch)
		case named:
			f.epoch = epoch
			left--
		case left == 0 && i > 3:
			f.epoch = far
		case i > 0:
			f.epoch = table[i-1].epoch
		}
	}
	if left != 0 {
		return nil, fmt.Errorf("a fork among %v is not known", epochs)
	}
	return table, nil
}

// forkAt is the fork that is in force at a slot.
func (c *Chain) forkAt(slot uint64) *fork {
	epoch := slot / SlotsPerEpoch
	at := &c.forks[0]
	for i := range c.forks {
		if c.forks[i].epoch <= epoch {
			at = &c.forks[i]
		}
	}
	return at
}

// forkNamed returns nil for an unknown name.
func (c *Chain) forkNamed(name string) *fork {
	for i := range c.forks {
		if c.forks[i].name == name {
			return &c.forks[i]
		}
	}
	return nil
}

// validatorsRoot is the genesis_validators_root of a chain that stands for no other network.
func validatorsRoot() common.Hash { return sha256.Sum256([]byte("dens demo validators")) }

// domainSyncCommittee is DOMAIN_SYNC_COMMITTEE (altair/beacon-chain.md).
const domainSyncCommittee = 7

// signingRoot is what a committee signs for a block root in a slot. The domain is that of the slot before
// (altair/light-client/sync-protocol.md, validate_light_client_update).
func (c *Chain) signingRoot(root common.Hash, signatureSlot uint64) common.Hash {
	var version common.Hash
	f := c.forkAt(max(signatureSlot, 1) - 1)
	copy(version[:], f.version[:])
	data := hashPair(version, c.config.ValidatorsRoot)
	domain := common.Hash{domainSyncCommittee}
	copy(domain[4:], data[:28])
	return hashPair(root, domain)
}

// settings are the chain's constants, as the consensus layer's config.yaml and the beacon API's spec call
// them.
func (c *Chain) settings() [][2]string {
	seconds := uint64(c.config.SlotTime.Seconds())
	list := [][2]string{
		{"PRESET_BASE", "mainnet"},
		{"CONFIG_NAME", "dens-demo"},
		{"GENESIS_TIME", fmt.Sprint(c.config.Genesis.Unix())},
		{"GENESIS_VALIDATORS_ROOT", c.config.ValidatorsRoot.Hex()},
		{"SECONDS_PER_SLOT", fmt.Sprint(seconds)},
		{"SLOT_DURATION_MS", fmt.Sprint(seconds * 1000)},
	}
	for _, f := range c.forks {
		name := strings.ToUpper(f.name)
		list = append(list, [2]string{name + "_FORK_VERSION", fmt.Sprintf("0x%x", f.version)})
		if name != "GENESIS" {
			list = append(list, [2]string{name + "_FORK_EPOCH", fmt.Sprint(f.epoch)})
		}
	}
	return list
}

// NetworkConfig is the consensus layer's config.yaml of the chain, with GENESIS_TIME and
// GENESIS_VALIDATORS_ROOT in it.
func (c *Chain) NetworkConfig() []byte {
	var text strings.Builder
	for _, pair := range c.settings() {
		value := pair[1]
		if len(value) == 66 || pair[0] == "CONFIG_NAME" || pair[0] == "PRESET_BASE" {
			value = "'" + value + "'" // text, and too long for a number
		}
		fmt.Fprintf(&text, "%s: %s\n", pair[0], value)
	}
	return []byte(text.String())
}
