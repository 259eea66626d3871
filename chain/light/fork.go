package light

import (
	"crypto/sha256"
	"fmt"
	"math/bits"
	"slices"

	"github.com/ethereum/go-ethereum/beacon/params"
	"github.com/ethereum/go-ethereum/common"
)

// forkNames are the forks that this package knows of, in order.
func forkNames() []string {
	return []string{"phase0", "altair", "bellatrix", "capella", "deneb", "electra", "fulu", "gloas"}
}

// rank orders forks; -1 is a fork that is not known.
func rank(fork string) int { return slices.Index(forkNames(), fork) }

// rules returns the name of the fork in force at a slot, if its light client data is understood.
func (n *Network) rules(slot uint64) (string, error) {
	name := n.Fork(slot).Name
	if err := supported(name); err != nil {
		return "", fmt.Errorf("%w at slot %d", err, slot)
	}
	return name, nil
}

// supported refuses forks before Capella, whose headers prove no execution block, and those to come.
func supported(fork string) error {
	switch r := rank(fork); {
	case r < 0:
		return fmt.Errorf("%w %.20q, expected capella to gloas: a newer release of dens may know it, upgrade", ErrFork, fork)
	case r < rank("capella"):
		return fmt.Errorf("%w: %s is before capella and proves no execution block", ErrFork, fork)
	}
	return nil
}

// form is the shape of light client data, by the fork that the API calls its "version".
type form struct {
	version   string
	blobs     bool // the payload header holds blob gas (Deneb)
	hashOnly  bool // the header proves the hash of an execution block only (Gloas, EIP-7732)
	execution int  // lengths of branches from here on
	committee int
	finality  int
}

// formOf returns the shape that a version has.
func formOf(version string) (form, error) {
	if version == "" {
		return form{}, fmt.Errorf("%w version: it is missing", ErrMalformed)
	}
	if err := supported(version); err != nil {
		return form{}, fmt.Errorf("version: %w", err)
	}
	f := form{
		version:   version,
		blobs:     rank(version) >= rank("deneb"),
		hashOnly:  rank(version) >= rank("gloas"),
		execution: depth(params.BodyIndexExecPayload),
		committee: depth(params.StateIndexSyncCommittee(version)),
		finality:  depth(params.StateIndexFinalBlock(version)),
	}
	if f.hashOnly {
		f.execution = depth(params.BodyIndexExecBlockHash(version))
	}
	return f, nil
}

// depth is the length of a branch to a generalised index.
func depth(index uint64) int { return bits.Len64(index) - 1 }

// signingRoot is what a committee signs for a block (compute_signing_root of phase0/beacon-chain.md with
// DOMAIN_SYNC_COMMITTEE).
func (n *Network) signingRoot(fork Fork, block common.Hash) common.Hash {
	var version common.Hash
	copy(version[:], fork.Version[:])
	data := merge(version, n.ValidatorsRoot)

	domain := common.Hash{7} // DOMAIN_SYNC_COMMITTEE
	copy(domain[4:], data[:28])
	return merge(block, domain)
}

// merge is the parent of two nodes of an SSZ tree.
func merge(left, right common.Hash) common.Hash {
	var pair [64]byte
	copy(pair[:32], left[:])
	copy(pair[32:], right[:])
	return sha256.Sum256(pair[:])
}
