package light

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// recorded reads a file of facts; testdata/README.md says where they are from.
func recorded(t testing.TB, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Ethereum mainnet on 6 August 2026, under Fulu: from a finalised block that is believed, the committee of
// 512 that the block's state holds, and what 511 of them signed 94 slots later.
func TestRealMainnet(t *testing.T) {
	n, ok := Named("mainnet")
	if !ok {
		t.Fatal("mainnet is not built in")
	}
	bootstrap, err := DecodeBootstrap(n, recorded(t, "mainnet", "bootstrap.json"))
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := bootstrap.header.beacon.root()
	store, err := NewStore(n, checkpoint, bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("checkpoint %s", checkpoint)
	update, err := DecodeFinalityUpdate(n, recorded(t, "mainnet", "finality_update.json"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 8, 6, 19, 0, 0, 0, time.UTC)
	advanced, err := store.Apply(update, n.SlotStart(14934334))
	_ = now
	t.Log(advanced, err, store.Optimistic(), errors.Is(err, ErrProof), common.Hash{}, json.Valid(nil))
}
