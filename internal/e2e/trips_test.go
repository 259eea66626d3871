package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/miekg/dns"

	"dens/internal/demo"
	"dens/internal/demo/consensus"
	"dens/internal/e2e/bed"
)

// manyNames registers names with a record each in text form, so that each has slots of its own.
func manyNames(t *testing.T, chain *demo.Chain, count int) (names []string) {
	t.Helper()
	var txs []demo.Tx
	add := func(to common.Address, contract demo.Contract, signature string, args ...any) {
		data, err := demo.Pack(contract, signature, args...)
		if err != nil {
			t.Fatal(err)
		}
		txs = append(txs, demo.Tx{To: &to, Data: data})
	}
	for i := range count {
		label := fmt.Sprintf("many%d", i)
		name := label + ".eth"
		add(chain.Registry, demo.Registry, "setSubnodeRecord(bytes32,bytes32,address,address,uint64)",
			demo.Namehash("eth"), crypto.Keccak256Hash([]byte(label)), chain.Owner, chain.Resolver, uint64(0))
		add(chain.Resolver, demo.Resolver, "setText(bytes32,string,string)", demo.Namehash(name), "dns.A", fmt.Sprintf(`["192.0.2.%d"]`, 100+i))
		names = append(names, name)
	}
	if err := chain.Apply(t.Context(), txs...); err != nil {
		t.Fatal(err)
	}
	return names
}

// TestTrips counts the requests that answers wait for, by what the evidence says and by a proxy that adds
// 40 ms: two when all is cold, one at a new block for what is known, none within a block.
func TestTrips(t *testing.T) {
	t.Parallel()
	chain := ownWorld(t, consensus.Config{})
	names := manyNames(t, chain, 32)
	if err := chain.Advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	const patient = "    timeout: 20s\n" // the node has all names asked for at once, maybe on a busy machine
	proxy := bed.NewProxy(t, chain.HTTPURL())
	proxy.SetDelay(40 * time.Millisecond)
	s := bed.Serve(t, provenConfig(t, chain, chain.Beacon, worldOptions{rpc: []string{proxy.URL}, aliases: "eth.limo, eth.link", chainExt: patient}))
	newBlock := func() {
		t.Helper()
		if _, err := chain.Mine(); err != nil {
			t.Fatal(err)
		}
		if err := chain.Advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		bed.Wait(t, 20*time.Second, "the new block is vouched for", func() bool {
			return metric(t, s, "dens_chain_anchor_block") == float64(chain.Head().Number.Uint64())
		})
		proxy.Reset()
	}
	ask := func(what, name string, trips int) {
		t.Helper()
		before := proxy.Fetches()
		began := time.Now()
		got, o := askFor(t, s.DNS, name, dns.TypeA, bits{})
		took := time.Since(began)
		if len(got.Answer) != 1 || bed.Data(got)[0] != "192.0.2.10" {
			t.Fatalf("%s: %v", what, got)
		}
		fetches := proxy.Fetches() - before
		t.Logf("%-28s %d trips, %d requests, %6d bytes, %v", what, o.Proof.Trips, fetches, o.Proof.Bytes, took.Round(100*time.Microsecond))
		if o.Proof.Trips != trips || fetches != trips || o.Block != chain.Head().Number.Uint64() || (o.Proof.Bytes > 0) != (trips > 0) {
			t.Errorf("%s: %d trips by %d requests at block %d, want %d at block %d", what, o.Proof.Trips, fetches, o.Block, trips, chain.Head().Number)
		}
		if took < time.Duration(trips)*40*time.Millisecond {
			t.Errorf("%s: %v for %d trips: the proxy adds no time, and the test shows nothing", what, took, trips)
		}
	}
	newBlock()
	// A name below an alias of the zone asks the chain the same, and is another name to the cache.
	ask("cold", "alice.eth", 2)
	ask("within the block", "alice.eth.limo", 0)
	newBlock()
	ask("a new block", "alice.eth.link", 1)

	newBlock()
	askAll(t, s.DNS, names)
	methods := proxy.Methods()
	t.Logf("%d names at once at a new block: %d requests %v", len(names), proxy.Fetches(), methods)
	if methods["eth_getBlockByHash"] > 1 || methods["eth_getCode"] > 0 {
		t.Errorf("what the names share was fetched more than once: %v", methods)
	}

	cold := bed.NewProxy(t, chain.HTTPURL())
	cold.SetDelay(40 * time.Millisecond)
	other := bed.Serve(t, provenConfig(t, chain, chain.Beacon, worldOptions{rpc: []string{cold.URL}, chainExt: patient}))
	askAll(t, other.DNS, names)
	methods = cold.Methods()
	t.Logf("%d names at once, all cold: %d requests %v", len(names), cold.Fetches(), methods)
	const contracts = 3 // UniversalResolver, registry and resolver
	if methods["eth_getBlockByHash"] != 1 || methods["eth_getCode"] != contracts {
		t.Errorf("what the names share was not fetched once: %v", methods)
	}
}

// askAll asks for all names at once, each of which may cost two trips.
func askAll(t *testing.T, server string, names []string) {
	t.Helper()
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			got, o, err := tryFor(server, name, dns.TypeA, bits{ad: true})
			if err != nil || len(got.Answer) != 1 || bed.Data(got)[0] != fmt.Sprintf("192.0.2.%d", 100+i) || !got.AuthenticatedData {
				t.Errorf("%s: %v %v", name, got, err)
			} else if o.Proof.Trips > 2 {
				t.Errorf("%s: %d trips, want 2 at most", name, o.Proof.Trips)
			}
		})
	}
	wg.Wait()
}
