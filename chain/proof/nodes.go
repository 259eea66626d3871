package proof

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// Nodes are the nodes of the proofs that one answer to eth_getProof holds.
type Nodes struct {
	Account [][]byte   // of the account, from the state root down
	Slots   [][][]byte // of each slot, from the storage root down, in the order in which they were asked for
}

// DecodeAccountProof reads the result of eth_getProof (EIP-1186) to a request for that number of slots.
// Only the proofs are read: the fields beside them (balance, value, key ...) say nothing that a proof does
// not. At most MaxNodes nodes of MaxNode bytes are kept of each proof. Errors wrap ErrMalformed.
func DecodeAccountProof(raw json.RawMessage, slots int) (Nodes, error) {
	nodes, err := decodeProofs(raw, slots)
	if err != nil {
		return Nodes{}, fmt.Errorf("%w: proof: %w", ErrMalformed, err)
	}
	return nodes, nil
}

func decodeProofs(raw json.RawMessage, slots int) (nodes Nodes, err error) {
	var answer struct {
		Account json.RawMessage `json:"accountProof"`
		Storage json.RawMessage `json:"storageProof"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nodes, err
	}
	if nodes.Account, err = decodeNodes(answer.Account); err != nil {
		return nodes, err
	}
	proofs, err := elements(answer.Storage, slots)
	if err != nil {
		return nodes, fmt.Errorf("slots: %w", err)
	}
	if len(proofs) != slots {
		return nodes, fmt.Errorf("%d slots, asked for %d", len(proofs), slots)
	}
	for i, proof := range proofs {
		var slot struct {
			Proof json.RawMessage `json:"proof"`
		}
		if err := json.Unmarshal(proof, &slot); err != nil {
			return nodes, fmt.Errorf("slot %d: %w", i, err)
		}
		path, err := decodeNodes(slot.Proof)
		if err != nil {
			return nodes, fmt.Errorf("slot %d: %w", i, err)
		}
		nodes.Slots = append(nodes.Slots, path)
	}
	return nodes, nil
}

// decodeNodes reads a list of nodes in hexadecimal digits.
func decodeNodes(raw json.RawMessage) ([][]byte, error) {
	list, err := elements(raw, MaxNodes)
	if err != nil {
		return nil, fmt.Errorf("nodes: %w", err)
	}
	var nodes [][]byte
	for i, element := range list {
		const before, after = len(`"0x`), len(`"`)
		if len(element) < before+after || string(element[:before]) != `"0x` {
			return nil, fmt.Errorf("node %d: no string with 0x", i)
		}
		digits := element[before : len(element)-after]
		if len(digits) > 2*MaxNode {
			return nil, fmt.Errorf("node %d: %d bytes, at most %d", i, len(digits)/2, MaxNode)
		}
		node := make([]byte, hex.DecodedLen(len(digits)))
		if _, err := hex.Decode(node, digits); err != nil {
			return nil, fmt.Errorf("node %d: %w", i, err)
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

// elements cuts a list into its elements without copying them. raw is JSON that was found valid, or
// nothing; null is an empty list. It stops at the element that is one too many, so that a long list of
// short elements takes no memory.
func elements(raw json.RawMessage, most int) (list []json.RawMessage, err error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if raw[0] != '[' {
		return nil, errors.New("not a list")
	}
	depth, quoted, start := 0, false, -1
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if quoted {
			switch c {
			case '\\':
				i++
			case '"':
				quoted = false
			}
			continue
		}
		end := false
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		case '"':
			quoted = true
		case '[', '{':
			if depth++; depth == 1 {
				continue // of the list itself
			}
		case ']', '}':
			depth--
			end = depth == 0
		case ',':
			end = depth == 1
		}
		if !end && start < 0 {
			start = i
		}
		if end && start >= 0 {
			if len(list) == most {
				return nil, fmt.Errorf("more than %d elements", most)
			}
			list, start = append(list, trim(raw[start:i])), -1
		}
	}
	return list, nil
}

// trim takes white space off the end.
func trim(raw json.RawMessage) json.RawMessage {
	for n := len(raw); n > 0; n-- {
		switch raw[n-1] {
		case ' ', '\t', '\r', '\n':
		default:
			return raw[:n]
		}
	}
	return nil
}
