package reply

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"dens/resolver"
)

// Bounds of the evidence behind an answer, as it goes into an EDNS option (wire.OptionOrigin).
const (
	// maxOrigin is its length in octets: half of what the longest message has room for, so that it goes by
	// TCP beside all answers but the very longest.
	maxOrigin = 32 << 10
	// maxOriginList is how many of anything a server may tell of.
	maxOriginList = 1024
)

// encodeOrigin returns the evidence as JSON, or nil where it is better left out: there is none; a contract
// made it longer than a reply can bear; or it has no JSON, which of strings, numbers and a time only a year
// above 9999 has not.
func encodeOrigin(o *resolver.Origin) []byte {
	if o == nil {
		return nil
	}
	text, err := json.Marshal(o)
	if err != nil || len(text) > maxOrigin {
		return nil
	}
	return text
}

// ParseOrigin reads the evidence that a server sent, nil where it sent none. What it says is the server's
// word for it; strings are as they came, and to be made printable. An error means that it is not what dens
// sends.
func ParseOrigin(data []byte) (*resolver.Origin, error) {
	if len(data) == 0 {
		return nil, nil
	}
	o := new(resolver.Origin)
	if len(data) > maxOrigin {
		return nil, fmt.Errorf("origin of the answer: %d octets where %d are allowed", len(data), maxOrigin)
	}
	if err := json.Unmarshal(data, o); err != nil {
		return nil, fmt.Errorf("origin of the answer: %w", err)
	}
	if err := checkOrigin(o); err != nil {
		return nil, fmt.Errorf("origin of the answer: %w", err)
	}
	return o, nil
}

var (
	errOriginList  = errors.New("a list is too long")
	errOriginCount = errors.New("a count is below zero")
	errOriginProof = errors.New("a proof of what is not said to be proven")
)

func checkOrigin(o *resolver.Origin) error {
	longest := max(len(o.Backends), len(o.Gateways), len(o.NS), len(o.DS))
	if p := o.Proof; p != nil {
		if o.Trust != "proven" {
			return errOriginProof
		}
		longest = max(longest, len(p.Vouchers), len(p.Accounts))
		negative := slices.ContainsFunc(p.Accounts, func(a resolver.ProofAccount) bool { return a.Slots < 0 })
		if b := p.Beacon; negative || min(p.LeftOut, p.Trips, p.Bytes) < 0 || b != nil && min(b.Signers, b.Committee) < 0 {
			return errOriginCount
		}
	}
	if longest > maxOriginList {
		return errOriginList
	}
	return nil
}
