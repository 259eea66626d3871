package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/demo/consensus"
	"dens/internal/e2e/bed"
)

// shortTTL ends a names section: what has no TTL of its own, as the TXT of bob.eth, expires at once.
const shortTTL = "    ttl: 1s\n    negative_ttl: 1s\n"

// seen has the answer cached that is to be stale later.
func seen(t *testing.T, server string) {
	t.Helper()
	got, o := askFor(t, server, "bob.eth", dns.TypeTXT, bits{ad: true})
	if len(got.Answer) != 2 || !got.AuthenticatedData {
		t.Fatalf("bob.eth: %v", got)
	}
	checkProof(t, "bob.eth TXT", o)
}

// waitStale waits until the expired answer is used for want of a better one. What is stale is not authentic.
func waitStale(t *testing.T, server string) {
	t.Helper()
	bed.Wait(t, 60*time.Second, "a stale answer", func() bool {
		time.Sleep(200 * time.Millisecond)
		got, _ := askFor(t, server, "bob.eth", dns.TypeTXT, bits{ad: true})
		if len(got.Answer) != 2 || got.Rcode != 0 {
			t.Fatalf("bob.eth while nobody answers: %v", got)
		}
		if stale := ede(got) == int(dns.ExtendedErrorCodeStaleAnswer); stale && !got.AuthenticatedData {
			return true
		} else if stale || !got.AuthenticatedData {
			t.Fatalf("bob.eth: AD is %v with extended error %d", got.AuthenticatedData, ede(got))
		}
		return false
	})
}

// waitHealed waits until names that nobody has asked for are answered and proven again.
func waitHealed(t *testing.T, server string) {
	t.Helper()
	bed.Wait(t, 60*time.Second, "proven answers", func() bool {
		time.Sleep(100 * time.Millisecond)
		got, o := askFor(t, server, freshName(), dns.TypeA, bits{ad: true})
		return len(got.Answer) == 1 && got.AuthenticatedData && bed.Data(got)[0] == wildData && o.Proof.Beacon != nil
	})
}

// TestProvidersGone takes all backends away: what was proven is served stale, the rest fails, and all is well
// when they return.
func TestProvidersGone(t *testing.T) {
	t.Parallel()
	chain := world(t)
	proxies := []*bed.Proxy{bed.NewProxy(t, chain.HTTPURL()), bed.NewProxy(t, chain.HTTPURL())}
	s := bed.Serve(t, provenConfig(t, chain, chain.Beacon, worldOptions{rpc: []string{proxies[0].URL, proxies[1].URL}, rest: shortTTL}))
	seen(t, s.DNS)
	for _, p := range proxies {
		p.Set(bed.Down)
	}
	unanswered(t, s.DNS, 22)
	waitStale(t, s.DNS)
	unanswered(t, s.DNS, 22)
	bed.Wait(t, 20*time.Second, "/readyz tells of it", func() bool {
		_, body := s.Get(t, "/readyz")
		return strings.Contains(body, `"name":"chain demo","ready":false`)
	})
	for _, p := range proxies {
		p.Set(bed.None)
	}
	waitHealed(t, s.DNS)
}

// TestBeaconGone takes all beacon APIs away: that shows before the newest proven block is too old, and when it
// is, what was proven is served stale, and the rest fails; until they return.
func TestBeaconGone(t *testing.T) {
	t.Parallel()
	chain := signed(t, consensus.Config{})
	apis := []*bed.BeaconAPI{bed.NewBeaconAPI(t, chain), bed.NewBeaconAPI(t, chain)}
	s := bed.Serve(t, provenConfig(t, world(t), chain, worldOptions{chainExt: "    max_head_age: 15s\n", rest: shortTTL}, apis[0].URL, apis[1].URL))
	seen(t, s.DNS)
	if failing := metric(t, s, "dens_light_client_failing_seconds"); failing != 0 {
		t.Errorf("/metrics: failing for %v s though all is well", failing)
	}
	for _, api := range apis {
		api.SetDown(true)
	}
	early := regexp.MustCompile(`"name":"chain demo","ready":true,"degraded":true,"reason":"no beacon API has brought anything new`)
	bed.Wait(t, 14*time.Second, "/readyz tells of it early", func() bool {
		_, body := s.Get(t, "/readyz")
		return early.MatchString(body)
	})
	fresh(t, s.DNS) // the newest block that is proven is not too old yet
	if failing, left := metric(t, s, "dens_light_client_failing_seconds"), metric(t, s, "dens_chain_anchor_expires_seconds"); failing <= 0 || left <= 0 {
		t.Errorf("/metrics: failing for %v s, the anchor holds for %v s", failing, left)
	}
	bed.Wait(t, 20*time.Second, "/metrics says that no beacon API is up", func() bool { return metric(t, s, "dens_beacon_up") == 0 })
	waitStale(t, s.DNS)
	unanswered(t, s.DNS, 14)
	bed.Wait(t, 20*time.Second, "/readyz says that the chain is not ready", func() bool {
		_, body := s.Get(t, "/readyz")
		return strings.Contains(body, `"name":"chain demo","ready":false,"reason":"light client: `)
	})
	apis[1].SetDown(false)
	waitHealed(t, s.DNS)
	bed.Wait(t, 20*time.Second, "/readyz says that all is well", func() bool {
		_, body := s.Get(t, "/readyz")
		return regexp.MustCompile(`"name":"chain demo","ready":true[,}]`).MatchString(body) && !strings.Contains(body, "degraded")
	})
}
