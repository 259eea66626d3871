package chain_test

import (
	"reflect"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
)

func proofOf(block byte, trips, bytes int, accounts ...chain.ProvenAccount) *chain.Proof {
	p := &chain.Proof{StateRoot: common.Hash{31: block}, Accounts: accounts, Trips: trips, Bytes: bytes}
	p.Anchor.Hash, p.Anchor.Source = common.Hash{block}, chain.AnchorBeacon
	return p
}

func account(address byte, slots int) chain.ProvenAccount {
	return chain.ProvenAccount{Address: common.Address{19: address}, Slots: slots}
}

func TestUnion(t *testing.T) {
	one := proofOf(1, 2, 300, account(9, 1), account(2, 5))
	foreignRoot := proofOf(1, 1, 1)
	foreignRoot.StateRoot = common.Hash{7}
	for _, tt := range []struct {
		what       string
		p, q, want *chain.Proof
	}{
		{"accounts of both", one, proofOf(1, 1, 40, account(3, 0), account(2, 4), account(9, 2)),
			proofOf(1, 3, 340, account(2, 5), account(3, 0), account(9, 2))},
		{"nothing new", one, proofOf(1, 0, 0), proofOf(1, 2, 300, account(2, 5), account(9, 1))},
		{"no evidence for the one", nil, one, nil},
		{"no evidence for the other", one, nil, nil},
		{"another block", one, proofOf(2, 1, 1), nil},
		{"another state", one, foreignRoot, nil},
	} {
		if got := tt.p.Union(tt.q); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, want %+v", tt.what, got, tt.want)
		}
	}
	if !reflect.DeepEqual(one, proofOf(1, 2, 300, account(9, 1), account(2, 5))) {
		t.Errorf("an operand was changed: %+v", one)
	}
}
