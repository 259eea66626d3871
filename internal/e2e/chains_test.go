package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// TestForkOnAnotherChain has ENS on one chain and a fork of it, with a zone of its own, on another: an
// entry under names is all it takes. The chains have backends and trust of their own, and what happens to
// one leaves the other alone.
func TestForkOnAnotherChain(t *testing.T) {
	first := bed.DeployENS(t, bed.StartAnvil(t))
	first.PlaceUniversalResolver(t)
	first.Register(t, "alice.eth", bed.PublicResolverAddress)
	first.SetDNS(t, "alice.eth", "alice.eth. 300 IN A 192.0.2.10", "shop.alice.eth. 300 IN CNAME alice.arb.")

	second := bed.DeployENS(t, bed.StartAnvil(t, "--chain-id", "42161"))
	second.RegisterTLD(t, "arb", common.Address{})
	second.Register(t, "alice.arb", bed.PublicResolverAddress)
	second.SetDNS(t, "alice.arb", "alice.arb. 300 IN A 192.0.2.77")

	proxies := []*bed.Proxy{bed.NewProxy(t, second.HTTP), bed.NewProxy(t, second.HTTP)}
	server := bed.Serve(t, fmt.Sprintf(`resolve: { forward: [] }
chains:
  ethereum: { id: 1, trust: quorum, quorum: 2, max_head_age: 1h, rpc: [{ url: %q, operator: one }, { url: %q, operator: two }] }
  arbitrum: { id: 42161, max_head_age: 1h, rpc: [{ url: %q, operator: three }, { url: %q, operator: four }] }
names:
  - { zone: eth, system: ens, chain: ethereum, registry: %q, universal_resolver: %q }
  - { zone: arb, system: ens, chain: arbitrum, registry: %q, ttl: 60s }
`, first.HTTP, first.WS, proxies[0].URL, proxies[1].URL, bed.RegistryAddress.Hex(), bed.UniversalResolverAddress.Hex(), bed.RegistryAddress.Hex()))

	for _, r := range []row{
		{"alice.eth", dns.TypeA, 0, []string{"192.0.2.10"}, ""},
		{"alice.arb", dns.TypeA, 0, []string{"192.0.2.77"}, ""},
		{"alice.arb", dns.TypeMX, 0, nil, "alice.arb."},
		{"bob.arb", dns.TypeA, dns.RcodeNameError, nil, "arb."},
		{"shop.alice.eth", dns.TypeA, 0, []string{"192.0.2.77", "alice.arb."}, ""}, // from one chain into the other
	} {
		r.check(t, server.DNS)
	}

	// Of a chain that has no light client, backends that agree vouch for the block: what it holds is proven.
	for name, want := range map[string]string{"alice.eth": "quorum", "alice.arb": "proven"} {
		got, o := askFor(t, server.DNS, name, dns.TypeA, bits{ad: true})
		if o == nil || o.Trust != want || got.AuthenticatedData != (want == "proven") {
			t.Errorf("%s: AD is %v by %+v, want %s", name, got.AuthenticatedData, o, want)
		} else if p := o.Proof; want == "proven" && (p == nil || p.Anchor != "quorum" || len(p.Vouchers) != 2 || len(p.Accounts) == 0) {
			t.Errorf("%s: %+v", name, p)
		}
	}

	for _, p := range proxies {
		p.Set(bed.Down)
	}
	row{"alice.eth", dns.TypeTXT, 0, nil, "alice.eth."}.check(t, server.DNS)
	if reply := bed.Ask(t, server.DNS, "unseen.arb", dns.TypeA); reply.Rcode != dns.RcodeServerFailure {
		t.Errorf("a name on the chain whose backends are down: %v", reply)
	}
}

// TestWrongChain has a backend that is healthy, but of another chain than the configuration says.
func TestWrongChain(t *testing.T) {
	e := bed.DeployENS(t, bed.StartAnvil(t, "--chain-id", "5"))
	e.PlaceUniversalResolver(t)
	e.Register(t, "alice.eth", bed.PublicResolverAddress)
	e.SetDNS(t, "alice.eth", "alice.eth. 300 IN A 192.0.2.66")
	server := bed.ServeUnready(t, fmt.Sprintf(`resolve: { forward: [] }
chains: { ethereum: { id: 1, trust: single, rpc: [%q] } }
`, e.HTTP))
	if reply := bed.Ask(t, server.DNS, "alice.eth", dns.TypeA); reply.Rcode != dns.RcodeServerFailure || bed.EDE(reply) == nil {
		t.Errorf("answer from another chain: %v", reply)
	}
	if status, body := server.Get(t, "/readyz"); status != 503 {
		t.Errorf("/readyz is %d: %s", status, body)
	}
}

// TestSubscription has backends that are polled once an hour: those over WebSocket and IPC know a new block
// at once all the same, and the one over HTTP does not.
func TestSubscription(t *testing.T) {
	e := bed.DeployENS(t, bed.StartAnvil(t))
	server := bed.Serve(t, fmt.Sprintf(`resolve: { forward: [] }
chains:
  ethereum: { id: 1, trust: single, block_time: 1h, max_head_age: 1h, rpc: [{ url: %q, operator: http }, { url: %q, operator: ws }, { url: %q, operator: ipc }] }
names:
  - { zone: eth, chain: ethereum }
`, e.HTTP, e.WS, e.IPC))
	head := func(operator string) float64 {
		return metric(t, server, "dens_backend_head", fmt.Sprintf("operator=%q", operator))
	}
	bed.Wait(t, 10*time.Second, "a first head of each backend", func() bool {
		return head("http") > 0 && head("ws") > 0 && head("ipc") > 0
	})
	before := head("http")
	for range 3 {
		e.Mine(t, 1)
	}
	bed.Wait(t, 5*time.Second, "the new head by subscription", func() bool {
		return head("ws") == before+3 && head("ipc") == before+3
	})
	if now := head("http"); now != before {
		t.Errorf("the backend over HTTP went from block %v to %v: heads are polled, and the test shows nothing", before, now)
	}
}
