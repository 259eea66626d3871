package light

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/beacon/params"
	"github.com/ethereum/go-ethereum/common"
)

// Apply verifies u wholly, by the clock now, and then takes over what it proves: newer heads, and the next
// committee when it comes with finality within its own period. advanced is false when u is valid but
// brings nothing new. On an error the store is as before; errors wrap ErrSigners, ErrFutureSlot,
// ErrUnknownPeriod, ErrPastPeriod, ErrProof, ErrSignature, ErrConflict, ErrMalformed or ErrFork. ErrUnproven
// comes with ErrSignature while no signature of the checkpoint's own committee has held.
func (s *Store) Apply(u *Update, now time.Time) (advanced bool, err error) {
	step, err := s.verify(u, now)
	if errors.Is(err, ErrSignature) && s.optimistic.Signers == 0 && s.network.Period(u.signatureSlot) == s.period {
		err = fmt.Errorf("%w: %w", ErrUnproven, err)
	}
	if err != nil {
		return false, s.network.suspectFork(err, u.form, u.attested.beacon.slot)
	}
	return s.take(step), nil
}

// step is what a verified update proves.
type step struct {
	attested  Head
	finalized *Head      // nil: none
	next      *committee // of the period after finalized's; nil: none, not final, or known already
}

// verify checks everything about u, the cheap first. It changes nothing.
func (s *Store) verify(u *Update, now time.Time) (*step, error) {
	if err := s.verifyTimes(u, now); err != nil {
		return nil, err
	}
	signing, err := s.committeeAt(s.network.Period(u.signatureSlot))
	if err != nil {
		return nil, err
	}
	fork, err := s.network.rules(u.attested.beacon.slot)
	if err != nil {
		return nil, err
	}
	if err := s.network.verifyHeader(&u.attested, u.form); err != nil {
		return nil, fmt.Errorf("attested_header: %w", err)
	}
	if err := s.verifyFinality(u, fork); err != nil {
		return nil, err
	}
	if err := s.verifyNext(u, fork); err != nil {
		return nil, err
	}
	root := u.attested.beacon.root()
	// The members signed in the slot before the one that included their signatures.
	signed := s.network.Fork(u.signatureSlot - 1)
	if err := signing.verify(u.bits, s.network.signingRoot(signed, root), u.signature); err != nil {
		return nil, fmt.Errorf("block %v of slot %d, signed by period %d under %s: %w",
			root, u.attested.beacon.slot, s.network.Period(u.signatureSlot), signed.Name, err)
	}
	return s.proven(u)
}

// verifyTimes checks sizes, the number of signers and the order of slots.
func (s *Store) verifyTimes(u *Update, now time.Time) error {
	n := s.network
	if 8*len(u.bits) != n.CommitteeSize {
		return fmt.Errorf("%w update: found %d sync_committee_bits, expected %d", ErrMalformed, 8*len(u.bits), n.CommitteeSize)
	}
	if got := signers(u.bits); got < n.Supermajority() {
		return fmt.Errorf("%w: found %d of %d, expected at least %d", ErrSigners, got, n.CommitteeSize, n.Supermajority())
	}
	if current := n.Slot(now); u.signatureSlot > current {
		return fmt.Errorf("%w: found signature_slot %d, expected at most %d by the local clock", ErrFutureSlot, u.signatureSlot, current)
	}
	attested := u.attested.beacon.slot
	if u.signatureSlot <= attested {
		return fmt.Errorf("%w update: found signature_slot %d, expected more than the attested slot %d", ErrMalformed, u.signatureSlot, attested)
	}
	if final, ok := u.FinalizedSlot(); ok && final > attested {
		return fmt.Errorf("%w update: found finalised slot %d, expected at most the attested slot %d", ErrMalformed, final, attested)
	}
	if _, err := n.rules(u.signatureSlot - 1); err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	return nil
}

// committeeAt returns the committee of a period.
func (s *Store) committeeAt(period uint64) (*committee, error) {
	switch {
	case period == s.period:
		return s.current, nil
	case period == s.period+1 && s.next != nil:
		return s.next, nil
	case period < s.period:
		return nil, fmt.Errorf("%w: found a signature of period %d, expected %d or later", ErrPastPeriod, period, s.period)
	case s.next != nil:
		return nil, fmt.Errorf("%w: found a signature of period %d, expected %d or %d", ErrUnknownPeriod, period, s.period, s.period+1)
	default:
		return nil, fmt.Errorf("%w: found a signature of period %d, expected %d", ErrUnknownPeriod, period, s.period)
	}
}

// verifyFinality checks the finalised block, if there is one, against the attested state.
func (s *Store) verifyFinality(u *Update, fork string) error {
	if u.finalityBranch == nil {
		return nil
	}
	var root common.Hash
	if u.finalized.beacon.slot > 0 {
		root = u.finalized.beacon.root()
		if err := s.network.verifyHeader(&u.finalized, u.form); err != nil {
			return fmt.Errorf("finalized_header: %w", err)
		}
	} else if !u.finalized.isZero() {
		// Until the first finality the state holds a zero root.
		return fmt.Errorf("%w update: found a finalized_header of slot 0 that is not zero", ErrMalformed)
	}
	return prove("finality_branch", u.attested.beacon.state, params.StateIndexFinalBlock(fork), u.finalityBranch, root)
}

// verifyNext checks the next committee, if there is one, against the attested state.
func (s *Store) verifyNext(u *Update, fork string) error {
	if u.next == nil {
		return nil
	}
	if u.next.members() != s.network.CommitteeSize {
		return fmt.Errorf("%w update: found a next_sync_committee of %d, expected %d", ErrMalformed, u.next.members(), s.network.CommitteeSize)
	}
	return prove("next_sync_committee_branch", u.attested.beacon.state, params.StateIndexNextSyncCommittee(fork), u.nextBranch, u.next.root())
}

// proven says what u, whose proofs and signature are right, brings to this store.
func (s *Store) proven(u *Update) (*step, error) {
	n := s.network
	p := &step{attested: n.head(&u.attested, u.form)}
	p.attested.sign(n, u)
	final := u.finalityBranch != nil && u.finalized.beacon.slot > 0
	if final {
		head := n.head(&u.finalized, u.form)
		head.sign(n, u)
		p.finalized = &head
		if head.Slot == s.finalized.Slot && head.Root != s.finalized.Root {
			return nil, fmt.Errorf("%w: found finalised block %v at slot %d, expected %v", ErrConflict, head.Root, head.Slot, s.finalized.Root)
		}
	}
	if u.next == nil {
		return p, nil
	}
	period := n.Period(u.attested.beacon.slot)
	if period == s.period && s.next != nil {
		if !bytes.Equal(u.next, s.next.keys) {
			return nil, fmt.Errorf("%w: found committee %v for period %d, expected %v", ErrConflict, u.next.root(), period+1, s.next.root)
		}
		return p, nil
	}
	// A committee that is not final could still be replaced by a reorganisation.
	if period < s.period || !final || n.Period(p.finalized.Slot) != period {
		return p, nil
	}
	next, err := u.next.unpack()
	if err != nil {
		return nil, fmt.Errorf("next_sync_committee: %w", err)
	}
	p.next = next
	return p, nil
}

// sign notes who signed.
func (h *Head) sign(n *Network, u *Update) {
	h.SignatureSlot = u.signatureSlot
	h.Signers = signers(u.bits)
	h.Period = n.Period(u.signatureSlot)
}

// take makes a step (apply_light_client_update). It cannot fail.
func (s *Store) take(p *step) (advanced bool) {
	if f := p.finalized; f != nil {
		period := s.network.Period(f.Slot)
		if period == s.period+1 && s.next != nil {
			s.period, s.current, s.next = period, s.next, nil
			advanced = true
		}
		if period == s.period && s.next == nil && p.next != nil {
			s.next = p.next
			advanced = true
		}
		if f.Slot > s.finalized.Slot {
			s.finalized = *f
			advanced = true
		}
	}
	if p.attested.Slot > s.optimistic.Slot {
		s.optimistic = p.attested
		advanced = true
	}
	return advanced
}
