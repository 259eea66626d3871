package light

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// stateMagic begins every stored state; its last byte is the version of the format.
const stateMagic = "dens light\x01"

// headState is a Head as it is stored, without what the network tells.
type headState struct {
	Slot, Number, SignatureSlot, Period uint64
	Signers                             uint32
	Time                                int64 // Unix seconds; 0: not proven
	Root, BlockHash                     common.Hash
}

// state is what stands before the committees, in big-endian.
type state struct {
	ValidatorsRoot common.Hash
	CommitteeSize  uint32
	Checkpoint     common.Hash
	CheckpointSlot uint64
	Optimistic     headState
	Finalized      headState
	Next           bool // a second committee follows
}

// MarshalBinary writes the store for UnmarshalStore, with a checksum and the network's validators root. It
// holds no secrets, but who can change it can make the client believe anything.
func (s *Store) MarshalBinary() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(stateMagic)
	err := binary.Write(&b, binary.BigEndian, state{
		ValidatorsRoot: s.network.ValidatorsRoot,
		CommitteeSize:  uint32(s.network.CommitteeSize),
		Checkpoint:     s.checkpoint,
		CheckpointSlot: s.checkpointSlot,
		Optimistic:     s.optimistic.state(),
		Finalized:      s.finalized.state(),
		Next:           s.next != nil,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	b.Write(s.current.keys)
	if s.next != nil {
		b.Write(s.next.keys)
	}
	sum := sha256.Sum256(b.Bytes())
	return append(b.Bytes(), sum[:]...), nil
}

// UnmarshalStore reads what MarshalBinary wrote, for the same network. It fails with ErrState, or with
// ErrMalformed when n is none.
func UnmarshalStore(n *Network, data []byte) (*Store, error) {
	if err := n.check(); err != nil {
		return nil, err
	}
	st, keys, err := openState(n, data)
	if err != nil {
		return nil, err
	}
	s := &Store{
		network:        n,
		checkpoint:     st.Checkpoint,
		checkpointSlot: st.CheckpointSlot,
		optimistic:     st.Optimistic.head(n),
		finalized:      st.Finalized.head(n),
		period:         n.Period(st.Finalized.Slot),
	}
	if s.optimistic.Slot < s.finalized.Slot || s.finalized.Slot < s.checkpointSlot {
		return nil, fmt.Errorf("%w: found slots %d (optimistic), %d (finalised), %d (checkpoint), expected them to fall", ErrState,
			s.optimistic.Slot, s.finalized.Slot, s.checkpointSlot)
	}
	size := (n.CommitteeSize + 1) * pubkeySize
	if s.current, err = committeeKeys(keys[:size:size]).unpack(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	if st.Next {
		if s.next, err = committeeKeys(keys[size:]).unpack(); err != nil {
			return nil, fmt.Errorf("%w: next: %w", ErrState, err)
		}
	}
	return s, nil
}

// openState checks the outside and returns a copy of the committees' keys.
func openState(n *Network, data []byte) (st state, keys []byte, err error) {
	head := len(stateMagic) + binary.Size(state{})
	if len(data) < head+sha256.Size {
		return st, nil, fmt.Errorf("%w: found %d bytes, expected at least %d", ErrState, len(data), head+sha256.Size)
	}
	if got := data[:len(stateMagic)]; string(got) != stateMagic {
		return st, nil, fmt.Errorf("%w: found format %q, expected %q", ErrState, got, stateMagic)
	}
	body, found := data[:len(data)-sha256.Size], data[len(data)-sha256.Size:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], found) {
		return st, nil, fmt.Errorf("%w: found checksum %#x, expected %#x", ErrState, found, sum)
	}
	if _, err := binary.Decode(body[len(stateMagic):], binary.BigEndian, &st); err != nil {
		return st, nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	if st.ValidatorsRoot != n.ValidatorsRoot {
		return st, nil, fmt.Errorf("%w: found the network with validators root %v, expected %v", ErrState, st.ValidatorsRoot, n.ValidatorsRoot)
	}
	if int64(st.CommitteeSize) != int64(n.CommitteeSize) {
		return st, nil, fmt.Errorf("%w: found committees of %d, expected %d", ErrState, st.CommitteeSize, n.CommitteeSize)
	}
	committees := 1
	if st.Next {
		committees++
	}
	if want := committees * (n.CommitteeSize + 1) * pubkeySize; len(body)-head != want {
		return st, nil, fmt.Errorf("%w: found %d bytes of committees, expected %d", ErrState, len(body)-head, want)
	}
	return st, bytes.Clone(body[head:]), nil
}

func (h *Head) state() headState {
	st := headState{
		Slot:          h.Slot,
		Number:        h.BlockNumber,
		SignatureSlot: h.SignatureSlot,
		Period:        h.Period,
		Signers:       uint32(h.Signers),
		Root:          h.Root,
		BlockHash:     h.BlockHash,
	}
	if !h.BlockTime.IsZero() {
		st.Time = h.BlockTime.Unix()
	}
	return st
}

func (st *headState) head(n *Network) Head {
	h := Head{
		Slot:          st.Slot,
		Root:          st.Root,
		BlockHash:     st.BlockHash,
		BlockNumber:   st.Number,
		SignatureSlot: st.SignatureSlot,
		Signers:       int(st.Signers),
		Committee:     n.CommitteeSize,
		Period:        st.Period,
		Fork:          n.Fork(st.Slot).Name,
	}
	h.Parent = rank(h.Fork) >= rank("gloas")
	if st.Time != 0 {
		h.BlockTime = time.Unix(st.Time, 0).UTC()
	}
	return h
}
