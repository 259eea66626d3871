package light

import (
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/beacon/merkle"
)

// Bootstrap is a block to begin with, and its sync committee (LightClientBootstrap of
// altair/light-client/sync-protocol.md). NewStore verifies it.
type Bootstrap struct {
	form   form
	header header
	keys   committeeKeys
	branch merkle.Values
}

// Slot is that of the block, unverified.
func (b *Bootstrap) Slot() uint64 { return b.header.beacon.slot }

// Update is a header that a sync committee signed, with what it proves (LightClientUpdate of
// altair/light-client/sync-protocol.md). Store.Apply verifies it.
type Update struct {
	form           form
	attested       header
	next           committeeKeys // nil: none
	nextBranch     merkle.Values
	finalized      header
	finalityBranch merkle.Values // nil: no finalised block
	bits           []byte        // who signed, a bit for each member
	signature      []byte
	signatureSlot  uint64
}

// Slot is that of the signed block, unverified.
func (u *Update) Slot() uint64 { return u.attested.beacon.slot }

// FinalizedSlot is that of the finalised block, unverified; ok is false when there is none.
func (u *Update) FinalizedSlot() (slot uint64, ok bool) {
	return u.finalized.beacon.slot, u.finalityBranch != nil
}

// SignatureSlot is when the signature was made, unverified. Its period is that of the committee.
func (u *Update) SignatureSlot() uint64 { return u.signatureSlot }

// header is a LightClientHeader. From the form of Gloas on only the hash of payload is filled.
type header struct {
	beacon  beaconHeader
	payload payloadHeader
	branch  merkle.Values
}

func (h *header) isZero() bool {
	return h.beacon == beaconHeader{} && h.payload == payloadHeader{} && isZero(h.branch)
}

// normalize turns the zeros that stand for what an update has not into nil. What stands beside such zeros
// must be zero too (validate_light_client_update).
func (u *Update) normalize() error {
	if isZero(u.finalityBranch) {
		if !u.finalized.isZero() {
			return fmt.Errorf("%w update: found a finalized_header and no finality_branch", ErrMalformed)
		}
		u.finalityBranch = nil
	}
	if isZero(u.nextBranch) {
		if !u.next.isZero() {
			return fmt.Errorf("%w update: found a next_sync_committee and no branch for it", ErrMalformed)
		}
		u.next, u.nextBranch = nil, nil
	}
	return nil
}

func isZero(branch merkle.Values) bool {
	return !slices.ContainsFunc(branch, func(v merkle.Value) bool { return v != merkle.Value{} })
}
