package chain

import (
	"slices"

	"github.com/ethereum/go-ethereum/common"
)

// Union returns the evidence of two Calls at one block that were made one after the other: all accounts,
// in order of their addresses, the trips and the bytes of both. Which slots were read is not known, so
// that an account's count is the greater of the two. The anchor is that of p. Without evidence for one of
// them, or where they are of different blocks, there is none for both: nil. Neither is changed.
func (p *Proof) Union(q *Proof) *Proof {
	if p == nil || q == nil || p.Anchor.Hash != q.Anchor.Hash || p.StateRoot != q.StateRoot {
		return nil
	}
	both := *p
	both.Trips, both.Bytes = p.Trips+q.Trips, p.Bytes+q.Bytes
	slots := make(map[common.Address]int, len(p.Accounts)+len(q.Accounts))
	for _, list := range [][]ProvenAccount{p.Accounts, q.Accounts} {
		for _, a := range list {
			slots[a.Address] = max(slots[a.Address], a.Slots)
		}
	}
	both.Accounts = make([]ProvenAccount, 0, len(slots))
	for address, n := range slots {
		both.Accounts = append(both.Accounts, ProvenAccount{Address: address, Slots: n})
	}
	slices.SortFunc(both.Accounts, func(a, b ProvenAccount) int { return a.Address.Cmp(b.Address) })
	return &both
}
