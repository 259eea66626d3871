package proof

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Nodes are the nodes of the proofs that one answer to eth_getProof holds.
type Nodes struct {
	Account [][]byte   // of the account, from the state root down
	Slots   [][][]byte // of each slot, from the storage root down, in the order in which they were asked for
}

// DecodeAccountProof reads the result of eth_getProof (EIP-1186) to a request for that number of slots.
// Only the proofs are read: the fields beside them (balance, value, key ...) say nothing that a proof does
// not. Errors wrap ErrMalformed.
func DecodeAccountProof(raw json.RawMessage, slots int) (Nodes, error) {
	var answer struct {
		Account proofNodes `json:"accountProof"`
		Storage slotProofs `json:"storageProof"`
	}
	answer.Storage.max = slots
	if err := json.Unmarshal(raw, &answer); err != nil {
		return Nodes{}, fmt.Errorf("%w: proof: %w", ErrMalformed, err)
	}
	if got := len(answer.Storage.list); got != slots {
		return Nodes{}, fmt.Errorf("%w: proof: %d slots, asked for %d", ErrMalformed, got, slots)
	}
	return Nodes{Account: answer.Account, Slots: answer.Storage.list}, nil
}

// proofNodes is a list of nodes in hexadecimal digits. Its bounds hold while it is read, so that a long
// list of short elements takes no memory.
type proofNodes [][]byte

func (n *proofNodes) UnmarshalJSON(raw []byte) error {
	*n = nil // a key that comes twice counts once
	return eachElement(raw, MaxNodes, func(d *json.Decoder) error {
		var digits string
		if err := d.Decode(&digits); err != nil {
			return err
		}
		if len(digits) < 2 || digits[:2] != "0x" {
			return fmt.Errorf("node without 0x")
		}
		if len(digits) > 2+2*MaxNode {
			return fmt.Errorf("node of %d bytes, at most %d", len(digits)/2-1, MaxNode)
		}
		node, err := hex.DecodeString(digits[2:])
		if err != nil {
			return err
		}
		*n = append(*n, node)
		return nil
	})
}

// slotProofs is a list of at most max storage proofs.
type slotProofs struct {
	max  int
	list [][][]byte
}

func (s *slotProofs) UnmarshalJSON(raw []byte) error {
	s.list = nil
	return eachElement(raw, s.max, func(d *json.Decoder) error {
		var slot struct {
			Proof proofNodes `json:"proof"`
		}
		if err := d.Decode(&slot); err != nil {
			return err
		}
		s.list = append(s.list, slot.Proof)
		return nil
	})
}

// eachElement calls read for each element of a JSON list; null is an empty list.
func eachElement(raw []byte, most int, read func(*json.Decoder) error) error {
	if string(raw) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return fmt.Errorf("not a list")
	}
	for n := 0; d.More(); n++ {
		if n == most {
			return fmt.Errorf("more than %d elements", most)
		}
		if err := read(d); err != nil {
			return err
		}
	}
	return nil
}
