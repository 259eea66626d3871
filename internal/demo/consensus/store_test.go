package consensus

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"dens/chain/light"
)

// follower is the light client of dens before this chain.
type follower struct {
	*reader
	network *light.Network
	store   *light.Store
}

func (r *reader) raw(path string) []byte {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/eth/v1/beacon/light_client/"+path, nil))
	if w.Code != http.StatusOK {
		r.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// begin starts a light client from the checkpoint.
func (r *reader) begin() *follower {
	r.t.Helper()
	network, err := light.ParseNetwork("demo", r.NetworkConfig())
	if err != nil {
		r.t.Fatal(err)
	}
	return r.beginIn(network)
}

// beginIn is begin by what is known of the network otherwise.
func (r *reader) beginIn(network *light.Network) *follower {
	r.t.Helper()
	root, _ := r.Checkpoint()
	bootstrap, err := light.DecodeBootstrap(network, r.raw("bootstrap/"+root.Hex()))
	if err != nil {
		r.t.Fatal(err)
	}
	store, err := light.NewStore(network, root, bootstrap)
	if err != nil {
		r.t.Fatal(err)
	}
	return &follower{r, network, store}
}

// sync applies all that the store misses, and must arrive at the chain's own heads.
func (f *follower) sync() {
	f.t.Helper()
	if start, count := f.store.Missing(time.Now()); count > 0 {
		updates, err := light.DecodeUpdates(f.network, f.raw(fmt.Sprintf("updates?start_period=%d&count=%d", start, count)))
		if err != nil {
			f.t.Fatal(err)
		}
		for _, u := range updates {
			if _, err := f.store.Apply(u, time.Now()); err != nil {
				f.t.Fatalf("update at slot %d: %v", u.Slot(), err)
			}
		}
	}
	for _, part := range []struct {
		path   string
		decode func(*light.Network, []byte) (*light.Update, error)
	}{{"optimistic_update", light.DecodeOptimisticUpdate}, {"finality_update", light.DecodeFinalityUpdate}} {
		u, err := part.decode(f.network, f.raw(part.path))
		if err != nil {
			f.t.Fatal(err)
		}
		final, ok := u.FinalizedSlot()
		if u.Slot() <= f.store.Optimistic().Slot && (!ok || final <= f.store.Finalized().Slot) {
			continue // nothing new: not worth a signature's check
		}
		if _, err := f.store.Apply(u, time.Now()); err != nil {
			f.t.Fatalf("%s at slot %d: %v", part.path, u.Slot(), err)
		}
	}
	if want := f.Chain.Head(); !same(f.store.Optimistic(), want) {
		f.t.Fatalf("head is %+v, want %+v", f.store.Optimistic(), want)
	}
	if want := f.Chain.Finalized(); !same(f.store.Finalized(), want) {
		f.t.Fatalf("finalised is %+v, want %+v", f.store.Finalized(), want)
	}
}

func same(got light.Head, want Block) bool {
	return got.Slot == want.Slot && got.Root == want.Root && got.BlockHash == want.Hash && got.Fork == want.Fork
}

// TestStoreFollows leads the light client over each fork's boundary, by a block before it and one after.
func TestStoreFollows(t *testing.T) {
	for _, fork := range []string{"deneb", "electra", "fulu", "gloas"} {
		t.Run(fork, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const epoch = 3*EpochsPerPeriod + 100
				r := start(t, Config{
					Forks:   map[string]uint64{fork: epoch},
					Genesis: genesis(epoch*SlotsPerEpoch - 500),
				})
				f := r.begin()
				f.sync()
				steps, want := []time.Duration{400, 98, 2, 1, 70, 64}, uint64(epoch*SlotsPerEpoch)
				if fork == "gloas" { // and over two periods
					steps, want = append(steps, 4857, 10, 100, 8200), 5*SlotsPerPeriod
				}
				for _, seconds := range steps {
					time.Sleep(seconds * time.Second)
					r.advance()
					f.sync()
				}
				if r.Head().Fork != fork || r.Head().Slot < want || r.Chain.Finalized().Fork != fork {
					t.Fatalf("got to %+v only", r.Head())
				}
			})
		})
	}
}

// TestStandsForMainnet: with mainnet's identity, the chain is one that the light client knows by name.
func TestStandsForMainnet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, _ := light.Named("mainnet")
		newest := network.Forks[len(network.Forks)-1]
		config := Config{
			Genesis: network.Genesis, SlotTime: network.SlotTime,
			ValidatorsRoot: network.ValidatorsRoot, Versions: map[string][4]byte{newest.Name: newest.Version},
		}
		time.Sleep(time.Until(network.SlotStart(newest.Epoch*SlotsPerEpoch + 2*SlotsPerPeriod)))
		r := start(t, config)
		f := r.beginIn(network)
		f.sync()
		for range 3 {
			time.Sleep(SlotsPerPeriod / 3 * network.SlotTime)
			r.advance()
			f.sync()
		}
		if r.Head().Fork != newest.Name {
			t.Fatalf("the head is of %s", r.Head().Fork)
		}
	})
}

// TestStoreCatchesUp: a light client comes back after periods without it.
func TestStoreCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Forks: map[string]uint64{"capella": 0}})
		f := r.begin()
		f.sync()
		for range 9 {
			time.Sleep(SlotsPerPeriod / 3 * time.Second)
			r.advance()
		}
		f.sync()
		if root, _ := f.store.Checkpoint(); f.store.Finalized().Root == root {
			t.Error("nothing was finalised")
		}
	})
}

// TestStoreRefusesForgeries: each forgery is wrong in one way, and believed by nobody. An honest one is.
func TestStoreRefusesForgeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{Forks: map[string]uint64{"fulu": 0}})
		attacker := NewCommittee("attacker")
		slot := r.Now() - 1
		period := slot / SlotsPerPeriod
		f := r.begin()
		f.sync()
		time.Sleep(10 * time.Second)
		lie := &types.Header{Number: common.Big1, Difficulty: common.Big1}
		for _, tt := range []struct {
			name string
			Forgery
			want error // of the light client; nil: it believes
		}{
			{"341 signers", Forgery{Slot: slot + 1, Signers: 341}, light.ErrSigners},
			{"own keys", Forgery{Slot: slot + 1, Signer: attacker, Execution: lie}, light.ErrSignature},
			{"own block", Forgery{Slot: slot + 1, Signer: attacker, Hash: common.Hash{0xba, 0xd}}, light.ErrSignature},
			{"own committee", Forgery{Slot: slot + 1, Signer: attacker, Next: attacker}, light.ErrSignature},
			{"another period", Forgery{Slot: slot + 1, Signer: r.Committee(period + 1)}, light.ErrSignature},
			{"future", Forgery{Slot: slot + 1, SignatureSlot: r.Now() + 1}, light.ErrFutureSlot},
			{"signed before", Forgery{Slot: slot + 1, SignatureSlot: slot}, light.ErrMalformed},
			{"an older fork", Forgery{Slot: slot + 1, Fork: "deneb"}, light.ErrProof},
			{"a later fork", Forgery{Slot: slot + 1, Fork: "gloas"}, light.ErrFork},
			{"342 signers", Forgery{Slot: slot + 1, Signers: 342}, nil},
			{"none", Forgery{Slot: slot + 2}, nil},
			{"signed late", Forgery{Slot: slot + 3, SignatureSlot: slot + 8}, nil},
		} {
			before := f.store.Optimistic()
			forged, err := r.Forge(tt.Forgery)
			if err != nil {
				t.Fatal(err)
			}
			updates, err := light.DecodeUpdates(f.network, bytes.Join([][]byte{[]byte("["), forged.Update, []byte("]")}, nil))
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			_, err = f.store.Apply(updates[0], time.Now())
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
			if after := f.store.Optimistic(); (err != nil && after != before) || (err == nil && after.Root != forged.Root) {
				t.Errorf("%s: head is %+v", tt.name, after)
			}
		}
		if _, err := r.Forge(Forgery{Fork: "altair"}); err == nil {
			t.Error("forged a fork without a light client")
		}
	})
}

// TestStoreRefusesForgedCheckpoint: a bootstrap must be of the block that was asked for.
func TestStoreRefusesForgedCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, Config{})
		network := r.begin().network
		root, slot := r.Checkpoint()
		forged, err := r.Forge(Forgery{Slot: slot, Current: NewCommittee("attacker")})
		if err != nil {
			t.Fatal(err)
		}
		r.SetRewrite(func(kind string, body []byte) []byte {
			if kind == "bootstrap" {
				return forged.Bootstrap
			}
			return body
		})
		bootstrap, err := light.DecodeBootstrap(network, r.raw("bootstrap/"+root.Hex()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := light.NewStore(network, root, bootstrap); !errors.Is(err, light.ErrCheckpoint) {
			t.Errorf("%v", err)
		}
		if _, err := light.NewStore(network, forged.Root, bootstrap); err != nil {
			t.Errorf("who trusts a forged checkpoint is deceived: %v", err)
		}
		r.SetRewrite(nil)
		r.begin()
	})
}
