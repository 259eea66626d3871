package light

import (
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/beacon/merkle"
	"github.com/ethereum/go-ethereum/beacon/params"
	"github.com/ethereum/go-ethereum/common"
)

// verifyHeader checks that the beacon block holds the execution block (is_valid_light_client_header of
// capella, deneb and gloas/light-client/sync-protocol.md), by the rules in force at its slot.
func (n *Network) verifyHeader(h *header, f form) error {
	fork, err := n.rules(h.beacon.slot)
	if err != nil {
		return err
	}
	if f.hashOnly {
		return prove("execution_branch", h.beacon.body, params.BodyIndexExecBlockHash(fork), h.branch, h.payload.hash)
	}
	blobs := rank(fork) >= rank("deneb")
	switch {
	case rank(fork) >= rank("gloas") || blobs && !f.blobs:
		return fmt.Errorf("%w header: slot %d is of %s, found the form of %s", ErrMalformed, h.beacon.slot, fork, f.version)
	case !blobs && (h.payload.blobGas != 0 || h.payload.excessGas != 0):
		return fmt.Errorf("%w header: slot %d is of %s, found blob gas", ErrMalformed, h.beacon.slot, fork)
	}
	return prove("execution_branch", h.beacon.body, params.BodyIndexExecPayload, h.branch, h.payload.root(blobs))
}

// prove checks a branch, which may have been lengthened to the form of a later fork by leading zeros
// (is_valid_normalized_merkle_branch of electra/light-client/sync-protocol.md).
func prove(what string, root common.Hash, index uint64, branch merkle.Values, leaf common.Hash) error {
	if err := merkle.VerifyNormalizedProof(root, index, branch, merkle.Value(leaf)); err != nil {
		return fmt.Errorf("%w: %s from %v at generalised index %d to %v: %w", ErrProof, what, leaf, index, root, err)
	}
	return nil
}

// Head is a proven block.
type Head struct {
	Slot          uint64
	Root          common.Hash // of the beacon block
	BlockHash     common.Hash // of the execution block
	BlockNumber   uint64      // zero from Gloas on, where only the hash is proven
	BlockTime     time.Time   // zero from Gloas on
	SignatureSlot uint64      // as claimed, within Period: it is not signed itself; zero for a checkpoint
	Signers       int         // zero for a checkpoint, which nobody signed
	Committee     int         // size of the committee that signed
	Period        uint64      // of the committee that signed
	Fork          string      // at Slot, in lower case
	Parent        bool        // Gloas: BlockHash is that of the parent's payload
}

// head describes a verified header.
func (n *Network) head(h *header, f form) Head {
	head := Head{
		Slot:      h.beacon.slot,
		Root:      h.beacon.root(),
		BlockHash: h.payload.hash,
		Committee: n.CommitteeSize,
		Period:    n.Period(h.beacon.slot),
		Fork:      n.Fork(h.beacon.slot).Name,
	}
	head.Parent = rank(head.Fork) >= rank("gloas")
	if !f.hashOnly {
		head.BlockNumber = h.payload.number
		head.BlockTime = time.Unix(int64(h.payload.time), 0).UTC()
	}
	return head
}
