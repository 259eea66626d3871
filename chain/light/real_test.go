package light

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// mainnetCheckpoint is the root of the finalised beacon block of slot 14934240.
var mainnetCheckpoint = common.HexToHash("0x06b26eecbd0ea78e0cedc8972cd54344ad7515854354f145cf319059f2aa7ce2")

func realMainnet(t testing.TB) (*Network, *Store, *Update) {
	t.Helper()
	n, ok := Named("mainnet")
	if !ok {
		t.Fatal("mainnet is not built in")
	}
	bootstrap, err := DecodeBootstrap(n, recorded(t, "mainnet", "bootstrap.json"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := NewStore(n, mainnetCheckpoint, bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	update, err := DecodeFinalityUpdate(n, recorded(t, "mainnet", "finality_update.json"))
	if err != nil {
		t.Fatal(err)
	}
	return n, store, update
}

// Ethereum mainnet on 6 August 2026, under Fulu: from a finalised block that is believed, the committee of
// 512 that the block's state holds, and what 511 of them signed 94 slots later.
func TestRealMainnet(t *testing.T) {
	n, store, update := realMainnet(t)
	if got := store.Finalized(); got.Slot != 14934240 || got.BlockNumber != 25697208 || got.Period != 1823 || got.Fork != "fulu" ||
		got.BlockHash != common.HexToHash("0x78ce62bbbcb8ac60450f668c805d42eea4134738e16cb340b36083b3aec92e41") {
		t.Errorf("checkpoint: %+v", got)
	}
	if _, err := store.Apply(update, n.SlotStart(14934334).Add(-time.Second)); !errors.Is(err, ErrFutureSlot) {
		t.Errorf("a second before its slot: %v", err)
	}
	advanced, err := store.Apply(update, n.SlotStart(14934334))
	if err != nil || !advanced {
		t.Fatalf("advanced %v, %v", advanced, err)
	}
	want := Head{
		Slot: 14934333, Root: common.HexToHash("0xb623a1a9fba92222cac0f39ac27460e8e1fd7d8aac9826b9ba58bdf0b456c129"),
		BlockHash:   common.HexToHash("0x709116c942aef520321406ab27eefc738e1ad89e847db993dbe1e83045718981"),
		BlockNumber: 25697300, BlockTime: time.Unix(1786036019, 0).UTC(),
		SignatureSlot: 14934334, Signers: 511, Committee: 512, Period: 1823, Fork: "fulu",
	}
	if got := store.Optimistic(); got != want {
		t.Errorf("head %+v, want %+v", got, want)
	}
	if got := store.Optimistic(); !got.BlockTime.Equal(n.SlotStart(got.Slot)) {
		t.Errorf("block of %s in the slot of %s", got.BlockTime, n.SlotStart(got.Slot))
	}
	if got := store.Finalized(); got.Slot != 14934240 || got.Root != mainnetCheckpoint {
		t.Errorf("finalised %+v", got)
	}
	kept, err := store.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	again, err := UnmarshalStore(n, kept)
	if err != nil || again.Optimistic() != want {
		t.Errorf("from what was kept: %v", err)
	}
}

// Whatever is altered in what mainnet signed, it is refused, and the store stays as it was.
func TestRealMainnetLies(t *testing.T) {
	t.Parallel()
	n, store, _ := realMainnet(t)
	honest := recorded(t, "mainnet", "finality_update.json")
	begin := store.Optimistic()
	fields := leaves(t, honest)
	if len(fields) < 60 {
		t.Fatalf("only %d fields", len(fields))
	}
	for _, path := range fields {
		if path == "version" {
			continue // no data of the chain: it says how the rest is to be read
		}
		body := alter(t, honest, path)
		update, err := DecodeFinalityUpdate(n, body)
		if err == nil {
			_, err = store.Apply(update, n.SlotStart(14940000))
		}
		if err == nil || store.Optimistic() != begin {
			t.Errorf("%s altered: %v, %+v", path, err, store.Optimistic())
		}
	}
	bootstrap := recorded(t, "mainnet", "bootstrap.json")
	for i, path := range leaves(t, bootstrap) {
		if path == "version" || strings.Contains(path, "pubkeys") && i%64 != 0 {
			continue
		}
		b, err := DecodeBootstrap(n, alter(t, bootstrap, path))
		if err == nil {
			_, err = NewStore(n, mainnetCheckpoint, b)
		}
		if err == nil {
			t.Errorf("bootstrap with %s altered was accepted", path)
		}
	}
	// Another network's rules, or another chain's genesis, make it another message.
	sepolia, _ := Named("sepolia")
	if _, err := newStore(sepolia, bootstrap, mainnetCheckpoint); err == nil {
		t.Error("taken for sepolia's")
	}
	other := *n
	other.ValidatorsRoot[0] ^= 1
	store.network = &other
	update, err := DecodeFinalityUpdate(&other, honest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Apply(update, n.SlotStart(14940000)); !errors.Is(err, ErrSignature) {
		t.Errorf("with another genesis: %v", err)
	}
}

func newStore(n *Network, body []byte, checkpoint common.Hash) (*Store, error) {
	b, err := DecodeBootstrap(n, body)
	if err != nil {
		return nil, err
	}
	return NewStore(n, checkpoint, b)
}

// leaves are the paths of all strings in a JSON value.
func leaves(t testing.TB, body []byte) (paths []string) {
	t.Helper()
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, value any)
	walk = func(path string, value any) {
		switch v := value.(type) {
		case map[string]any:
			for key, child := range v {
				walk(strings.TrimPrefix(path+"."+key, "."), child)
			}
		case []any:
			for i, child := range v {
				walk(fmt.Sprintf("%s.%d", path, i), child)
			}
		case string:
			paths = append(paths, path)
		}
	}
	walk("", value)
	slices.Sort(paths)
	return paths
}

// alter changes the last digit of the string at a path.
func alter(t testing.TB, body []byte, path string) []byte {
	t.Helper()
	var root any
	if err := json.Unmarshal(body, &root); err != nil {
		t.Fatal(err)
	}
	at := root
	steps := strings.Split(path, ".")
	for i, step := range steps {
		last := i == len(steps)-1
		switch v := at.(type) {
		case map[string]any:
			if last {
				v[step] = otherDigit(v[step].(string))
			}
			at = v[step]
		case []any:
			var index int
			if _, err := fmt.Sscan(step, &index); err != nil {
				t.Fatal(err)
			}
			if last {
				v[index] = otherDigit(v[index].(string))
			}
			at = v[index]
		}
	}
	altered, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(altered, body) {
		t.Fatalf("%s is as before", path)
	}
	return altered
}

func otherDigit(s string) string {
	if strings.HasSuffix(s, "1") {
		return s[:len(s)-1] + "2"
	}
	return s[:len(s)-1] + "1"
}

// A devnet of another beacon client and of another execution client, with the minimal preset: a bootstrap
// under Fulu, the update that hands over to period 1, the first one under Gloas, whose header proves
// nothing but the hash of an execution block, and finality beyond it.
func TestRealFork(t *testing.T) {
	n, err := ParseNetwork("devnet", recorded(t, "devnet", "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := common.HexToHash("0xbc270041f1a6fe9b1fee39edee8dfb6f13f70e2e714b9b9086acaec22fd419f9")
	store, err := newStore(n, recorded(t, "devnet", "bootstrap.json"), checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	updates, err := DecodeUpdates(n, recorded(t, "devnet", "updates.json"))
	if err != nil || len(updates) != 2 {
		t.Fatalf("%d updates, %v", len(updates), err)
	}
	final, err := DecodeFinalityUpdate(n, recorded(t, "devnet", "finality_update.json"))
	if err != nil {
		t.Fatal(err)
	}
	now := n.SlotStart(100)
	if _, err := store.Apply(updates[1], now); !errors.Is(err, ErrUnknownPeriod) {
		t.Errorf("the second update before the first: %v", err)
	}
	steps := []struct {
		update           *Update
		slot, final      uint64
		hash, finalHash  string
		period, signedBy uint64
		fork             string
	}{
		{updates[0], 32, 16, "0x233cf4881add3557cc5693dbc72034bebfcc941f45e5295000f0ba15ce71692e",
			"0x8f8ede5dfc38665020b28498a2d7bc2f371b33fce0715846ca6ac18fa9f68272", 0, 0, "fulu"},
		{updates[1], 80, 64, "0xf1adfc6a1b902c16a43d174672777d3d45cdedc0caf27f36653cf040b1991ae5",
			"0x5f509b0dfcefdeaea3c96ea742c958d3621fad9acbf7551a48205de245f76be4", 1, 1, "gloas"},
		{final, 96, 80, "0x37e4f64cc9d556acb769979994213454555d700b985eef6de78ba5d9caa112f9",
			"0xf1adfc6a1b902c16a43d174672777d3d45cdedc0caf27f36653cf040b1991ae5", 1, 1, "gloas"},
	}
	for i, step := range steps {
		advanced, err := store.Apply(step.update, now)
		if err != nil || !advanced {
			t.Fatalf("step %d: advanced %v, %v", i, advanced, err)
		}
		head, finalized := store.Optimistic(), store.Finalized()
		if head.Slot != step.slot || head.BlockHash != common.HexToHash(step.hash) || head.Fork != step.fork ||
			head.Parent != (step.fork == "gloas") || head.Signers != 32 || head.Period != step.signedBy || store.Period() != step.period {
			t.Errorf("step %d: head %+v in period %d", i, head, store.Period())
		}
		if finalized.Slot != step.final || finalized.BlockHash != common.HexToHash(step.finalHash) {
			t.Errorf("step %d: finalised %+v", i, finalized)
		}
	}
	// Who does not know of the fork, or expects it at another time, refuses its data.
	for _, epoch := range []string{"18446744073709551615", "16", "9"} {
		config := bytes.Replace(recorded(t, "devnet", "config.yaml"), []byte("GLOAS_FORK_EPOCH: 8"), []byte("GLOAS_FORK_EPOCH: "+epoch), 1)
		late, err := ParseNetwork("devnet", config)
		if err != nil {
			t.Fatal(err)
		}
		store, err := newStore(late, recorded(t, "devnet", "bootstrap.json"), checkpoint)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Apply(updates[0], now); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Apply(updates[1], now); err == nil || store.Optimistic().Slot != 32 {
			t.Errorf("fork at epoch %s: %v", epoch, err)
		}
	}
}
