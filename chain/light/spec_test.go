package light

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	bls "github.com/consensys/gnark-crypto/ecc/bls12-381"
	"github.com/ethereum/go-ethereum/beacon/merkle"
	"github.com/ethereum/go-ethereum/beacon/params"
	"github.com/ethereum/go-ethereum/common"
)

// The consensus specification's vectors of light_client/single_merkle_proof: where in a state or a block's
// body things are, fork by fork.
func TestSpecMerkleProofs(t *testing.T) {
	var vectors []struct {
		Name, Fork, Proves, Root, Leaf string
		Index                          uint64 `json:"gindex"`
		Branch                         []string
	}
	if err := json.Unmarshal(recorded(t, "spec", "single_merkle_proof.json"), &vectors); err != nil {
		t.Fatal(err)
	}
	index := map[string]func(fork string) uint64{
		"current_sync_committee": params.StateIndexSyncCommittee,
		"next_sync_committee":    params.StateIndexNextSyncCommittee,
		"finality":               params.StateIndexFinalBlock,
		"execution":              func(string) uint64 { return params.BodyIndexExecPayload },
	}
	forks := map[string]int{}
	for _, v := range vectors {
		forks[v.Fork]++
		at := index[v.Proves](v.Fork)
		if at != v.Index {
			t.Errorf("%s: index %d, expected %d", v.Name, at, v.Index)
		}
		f, err := formOf(v.Fork)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int{"current_sync_committee": f.committee, "next_sync_committee": f.committee, "finality": f.finality, "execution": f.execution}
		if len(v.Branch) != want[v.Proves] {
			t.Errorf("%s: a branch of %d, expected %d", v.Name, want[v.Proves], len(v.Branch))
		}
		var branch merkle.Values
		for _, s := range v.Branch {
			branch = append(branch, merkle.Value(common.HexToHash(s)))
		}
		root, leaf := common.HexToHash(v.Root), common.HexToHash(v.Leaf)
		if err := prove(v.Name, root, at, branch, leaf); err != nil {
			t.Error(err)
		}
		for i := range branch {
			lie := slices.Clone(branch)
			lie[i][7] ^= 1
			if err := prove(v.Name, root, at, lie, leaf); !errors.Is(err, ErrProof) {
				t.Errorf("%s with node %d altered: %v", v.Name, i, err)
			}
		}
		lies := map[string]error{
			"another leaf":    prove(v.Name, root, at, branch, common.Hash{1}),
			"another root":    prove(v.Name, common.Hash{1}, at, branch, leaf),
			"shorter branch":  prove(v.Name, root, at, branch[1:], leaf),
			"the place above": prove(v.Name, root, at/2, branch, leaf),
		}
		for name, err := range lies {
			if !errors.Is(err, ErrProof) {
				t.Errorf("%s, %s: %v", v.Name, name, err)
			}
		}
	}
	if forks["capella"] != 4 || forks["deneb"] != 4 || forks["electra"] != 3 || forks["fulu"] != 4 {
		t.Errorf("vectors by fork: %v", forks)
	}
}

// The consensus specification's vectors of BLS signatures, as a committee checks them.
func TestSpecSignatures(t *testing.T) {
	var vectors struct {
		Aggregate struct {
			Pubkeys []string
			Output  string
		}
		Verify []struct {
			Name               string
			Pubkeys            []string
			Message, Signature string
			Output             bool
		}
	}
	if err := json.Unmarshal(recorded(t, "spec", "bls.json"), &vectors); err != nil {
		t.Fatal(err)
	}
	valid := 0
	for _, v := range vectors.Verify {
		err := verifyVector(v.Pubkeys, common.HexToHash(v.Message), unhex(t, v.Signature), t)
		if (err == nil) != v.Output {
			t.Errorf("%s: %v, expected %v", v.Name, err, v.Output)
		}
		if v.Output {
			valid++
		}
	}
	if valid != 5 || len(vectors.Verify) != 17 {
		t.Errorf("%d valid of %d", valid, len(vectors.Verify))
	}
	var keys committeeKeys
	for _, s := range append(slices.Clone(vectors.Aggregate.Pubkeys), vectors.Aggregate.Output) {
		keys = append(keys, unhex(t, s)...)
	}
	if _, err := keys.unpack(); err != nil {
		t.Error(err)
	}
	copy(keys[len(keys)-pubkeySize:], keys[:pubkeySize])
	if _, err := keys.unpack(); !errors.Is(err, ErrMalformed) {
		t.Errorf("with another sum: %v", err)
	}
}

func verifyVector(pubkeys []string, message common.Hash, signature []byte, t *testing.T) error {
	c := &committee{points: make([]bls.G1Affine, len(pubkeys))}
	for i, s := range pubkeys {
		if err := readKey(&c.points[i], unhex(t, s)); err != nil {
			return err
		}
		c.total.AddMixed(&c.points[i])
	}
	return c.verify([]byte{0xff}, message, signature)
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	data, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
