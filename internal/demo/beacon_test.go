package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/trie"
	"github.com/ethereum/go-ethereum/trie/trienode"

	"dens/internal/demo/consensus"
)

// served is the execution block's hash in the optimistic update that a client gets.
func served(t *testing.T, c *Chain) (hash common.Hash) {
	t.Helper()
	response, err := http.Get(c.Beacon.URL() + "/eth/v1/beacon/light_client/optimistic_update") //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // read
	var update struct {
		Data struct {
			Attested struct {
				Execution struct {
					Hash common.Hash `json:"block_hash"`
				} `json:"execution"`
			} `json:"attested_header"`
		} `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&update); err != nil {
		t.Fatal(err)
	}
	return update.Data.Attested.Execution.Hash
}

// TestBeaconSignsNewestBlock changes a record, and finds the change in the state that the beacon chain's
// head leads to.
func TestBeaconSignsNewestBlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if served(t, w.Chain) != w.Head().Hash() {
		t.Error("the beacon chain does not know the names")
	}
	for i := range 3 {
		call, err := Pack(Resolver, "setText(bytes32,string,string)", Namehash("alice.eth"), "round", fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Apply(t.Context(), Tx{To: &w.Resolver, Data: call}); err != nil {
			t.Fatal(err)
		}
		if err := w.Advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		if served(t, w.Chain) != w.Head().Hash() {
			t.Error("the beacon chain's head has not the newest block")
		}
		slot := w.Beacon.Head().Slot
		if err := w.Advance(t.Context()); err != nil || w.Beacon.Head().Slot != slot {
			t.Errorf("an advance without need made a block: %v", err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Mine(); err != nil {
		t.Fatal(err)
	}
	if err := w.Advance(ended); err == nil && served(t, w.Chain) != w.Head().Hash() {
		t.Error("no error, and no block")
	}
}

// TestBeaconFollowsByItself waits for a block of each chain.
func TestBeaconFollowsByItself(t *testing.T) {
	t.Parallel()
	c, err := Start(t.Context(), Config{Period: time.Second, Beacon: consensus.Config{History: 2, Forks: map[string]uint64{"electra": 0}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	first, deadline := c.Beacon.Head(), time.Now().Add(time.Minute)
	for c.Beacon.Head().Hash == first.Hash {
		if time.Now().After(deadline) {
			t.Fatal("the head stays")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if now := c.Beacon.Head(); now.Slot <= first.Slot || now.Fork != "electra" {
		t.Errorf("from %+v to %+v", first, now)
	}
}

// TestNodeProvesRecentBlocks asks for proofs at a block of some time ago by its hash, as a verifier does.
func TestNodeProvesRecentBlocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.Head()
	const layers = 120 // go-ethereum keeps 128
	for range layers {
		if _, err := w.Mine(); err != nil {
			t.Fatal(err)
		}
	}
	for _, header := range []*types.Header{old, w.Head()} {
		at := map[string]any{"blockHash": header.Hash()}
		var list struct {
			AccessList types.AccessList `json:"accessList"`
			Error      string           `json:"error"`
		}
		call := map[string]any{"to": w.Registry, "data": hexutil.Bytes(w.pack(Registry, "resolver(bytes32)", Namehash("alice.eth")))}
		if err := w.Client().CallContext(t.Context(), &list, "eth_createAccessList", call, at); err != nil || list.Error != "" {
			t.Fatal(err, list.Error)
		}
		if len(list.AccessList) != 1 || len(list.AccessList[0].StorageKeys) == 0 {
			t.Fatalf("access list is %v", list.AccessList)
		}
		var proof struct {
			Account []hexutil.Bytes `json:"accountProof"`
			Storage common.Hash     `json:"storageHash"`
			Slots   []struct {
				Value *hexutil.Big    `json:"value"`
				Proof []hexutil.Bytes `json:"proof"`
			} `json:"storageProof"`
		}
		keys := list.AccessList[0].StorageKeys
		if err := w.Client().CallContext(t.Context(), &proof, "eth_getProof", w.Registry, keys, at); err != nil {
			t.Fatal(err)
		}
		prove(t, header.Root, w.Registry[:], proof.Account)
		for i, slot := range proof.Slots {
			prove(t, proof.Storage, keys[i][:], slot.Proof)
		}
		var code hexutil.Bytes
		if err := w.Client().CallContext(t.Context(), &code, "eth_getCode", w.Registry, at); err != nil || len(code) == 0 {
			t.Errorf("code of %d bytes: %v", len(code), err)
		}
	}
}

// prove checks that something is proven to be there.
func prove(t *testing.T, root common.Hash, key []byte, nodes []hexutil.Bytes) {
	t.Helper()
	var list trienode.ProofList
	for _, node := range nodes {
		list = append(list, []byte(node))
	}
	value, err := trie.VerifyProof(root, crypto.Keccak256(key), list.Set())
	if err != nil || len(value) == 0 {
		t.Errorf("%x is not proven: %x, %v", key, value, err)
	}
}
