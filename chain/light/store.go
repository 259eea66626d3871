package light

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/beacon/params"
	"github.com/ethereum/go-ethereum/common"
)

// Store is what is proven (LightClientStore of altair/light-client/sync-protocol.md), but more careful:
// every head needs a supermajority, and time alone forces nothing. It is not for concurrent use.
//
//	NewStore or UnmarshalStore -> period p, next committee unknown <-> known -> period p+1 ...
type Store struct {
	network        *Network
	checkpoint     common.Hash
	checkpointSlot uint64
	optimistic     Head
	finalized      Head
	period         uint64     // of current, and of the finalised block
	current        *committee // never nil
	next           *committee // of the period after; nil: not known yet
}

// NewStore begins with the block whose root is checkpoint (initialize_light_client_store). b is verified
// wholly; that the checkpoint is on the chain, and that it is young enough, is the caller's belief. It
// fails with ErrCheckpoint, ErrProof, ErrMalformed or ErrFork.
func NewStore(n *Network, checkpoint common.Hash, b *Bootstrap) (*Store, error) {
	if err := n.check(); err != nil {
		return nil, err
	}
	s, err := begin(n, checkpoint, b)
	if err != nil {
		return nil, n.suspectFork(err, b.form, b.header.beacon.slot)
	}
	return s, nil
}

func begin(n *Network, checkpoint common.Hash, b *Bootstrap) (*Store, error) {
	if root := b.header.beacon.root(); root != checkpoint {
		return nil, fmt.Errorf("%w: found block %v, expected %v", ErrCheckpoint, root, checkpoint)
	}
	if b.keys.members() != n.CommitteeSize {
		return nil, fmt.Errorf("%w bootstrap: found a committee of %d, expected %d", ErrMalformed, b.keys.members(), n.CommitteeSize)
	}
	fork, err := n.rules(b.header.beacon.slot)
	if err != nil {
		return nil, err
	}
	if err := n.verifyHeader(&b.header, b.form); err != nil {
		return nil, fmt.Errorf("bootstrap: %w", err)
	}
	if err := prove("current_sync_committee_branch", b.header.beacon.state, params.StateIndexSyncCommittee(fork), b.branch, b.keys.root()); err != nil {
		return nil, fmt.Errorf("bootstrap: %w", err)
	}
	current, err := b.keys.unpack()
	if err != nil {
		return nil, fmt.Errorf("bootstrap: %w", err)
	}
	head := n.head(&b.header, b.form)
	return &Store{
		network:        n,
		checkpoint:     checkpoint,
		checkpointSlot: head.Slot,
		optimistic:     head,
		finalized:      head,
		period:         head.Period,
		current:        current,
	}, nil
}

// suspectFork says of data that fails in the form of a fork that is not scheduled that the fork may have
// come without this release, or the network's configuration, knowing its time.
func (n *Network) suspectFork(err error, f form, slot uint64) error {
	scheduled := slices.ContainsFunc(n.Forks, func(known Fork) bool { return known.Name == f.version })
	if scheduled || !errors.Is(err, ErrProof) && !errors.Is(err, ErrSignature) {
		return err
	}
	return fmt.Errorf("%w at slot %d: found data of %s, expected %s: if that fork has come, upgrade dens or the network's config.yaml (%v)",
		ErrFork, slot, f.version, n.Fork(slot).Name, err)
}

// Optimistic is the newest block that a supermajority signed.
func (s *Store) Optimistic() Head { return s.optimistic }

// Finalized is the newest finalised block that is proven: at least the bootstrap's.
func (s *Store) Finalized() Head { return s.finalized }

// Checkpoint is the block that the store began with.
func (s *Store) Checkpoint() (root common.Hash, slot uint64) { return s.checkpoint, s.checkpointSlot }

// Period is that of the committee in force: the period of the finalised block.
func (s *Store) Period() uint64 { return s.period }

// Missing returns the periods whose updates are needed to follow the chain at now, at most 128 at once;
// count 0 is none. The running period counts as soon as finality within it can be proven, so that the next
// committee is known before it signs. It stays missing while the network does not finalise: ask again later.
func (s *Store) Missing(now time.Time) (start, count uint64) {
	slot := s.network.Slot(now)
	start, end := s.period, s.network.Period(slot)
	if s.next != nil {
		start++
	}
	epoch := s.network.Epoch(slot) - end*s.network.EpochsPerPeriod
	if epoch >= min(4, s.network.EpochsPerPeriod/4) {
		end++
	}
	if end <= start {
		return start, 0
	}
	return start, min(end-start, maxUpdates)
}
