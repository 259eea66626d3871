package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// wildcardData is what every name below alice.eth that has no records of its own is answered with.
const wildcardData = "192.0.2.99"

// proxied is dens with a quorum of 2 over backends that each stand behind a proxy of their own.
type proxied struct {
	*bed.Server
	ens     *bed.ENS
	proxies []*bed.Proxy
	asked   atomic.Int64 // makes every question a new one
}

func startProxied(t *testing.T, backends int, more string) *proxied {
	t.Helper()
	e := bed.DeployENS(t, bed.StartAnvil(t, "--block-time", "1", "--mixed-mining"))
	e.PlaceUniversalResolver(t)
	populate(t, e)
	p := &proxied{ens: e}
	var urls []string
	for range backends {
		proxy := bed.NewProxy(t, e.HTTP)
		p.proxies = append(p.proxies, proxy)
		urls = append(urls, proxy.URL)
	}
	upstream := bed.StartBIND(t, map[string]string{"example.org": exampleOrg}).String()
	p.Server = bed.Serve(t, config(upstream, true, urls...)+more)
	return p
}

// calls is how many HTTP requests with an eth_call each backend got since the last Reset.
func (p *proxied) calls() []int {
	var n []int
	for _, proxy := range p.proxies {
		n = append(n, proxy.Calls())
	}
	return n
}

func (p *proxied) reset() {
	for _, proxy := range p.proxies {
		proxy.Reset()
	}
}

// TestColdLookups counts the HTTP requests of names that are not in the cache.
func TestColdLookups(t *testing.T) {
	p := startProxied(t, 3, "")
	bed.Ask(t, p.DNS, "warm-up.alice.eth", dns.TypeA)
	for _, name := range []string{"bob.eth", "alice.eth", "www.alice.eth", "nobody.eth", "_dnslink.bob.eth"} {
		for _, rrtype := range []uint16{dns.TypeA, dns.TypeTXT} {
			p.reset()
			bed.Ask(t, p.DNS, name, rrtype)
			checkCost(t, name+" "+dns.Type(rrtype).String(), p.calls(), 2)
		}
	}

	p.reset()
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			spelling := "Equal.Alice.ETH"
			if i%2 == 0 {
				spelling = "eQUAL.aLICE.eth"
			}
			reply, err := bed.TryAsk(p.DNS, spelling, dns.TypeA)
			if err != nil || len(reply.Answer) != 1 || reply.Question[0].Name != spelling+"." {
				t.Errorf("%s: %v %v", spelling, reply, err)
			}
		})
	}
	wg.Wait()
	checkCost(t, "100 equal questions", p.calls(), 2)
}

// checkCost wants one request to each of as many backends as the quorum has, and none to the others.
func checkCost(t *testing.T, what string, calls []int, quorum int) {
	t.Helper()
	total, most := sum(calls), slices.Max(calls)
	t.Logf("%s: HTTP requests with calls by backend %v", what, calls)
	if total != quorum || most != 1 {
		t.Errorf("%s: HTTP requests with calls by backend %v, want one to each of %d", what, calls, quorum)
	}
}

// tally is what a stream of questions came to.
type tally struct {
	right, failed, wrong atomic.Int64
	firstWrong           atomic.Value
}

func (s *tally) String() string {
	return fmt.Sprintf("%d right, %d failed, %d wrong", s.right.Load(), s.failed.Load(), s.wrong.Load())
}

// stream asks new names for a while, several at once, and tells right answers from failures (SERVFAIL
// with an extended error) and from wrong ones.
func (p *proxied) stream(t *testing.T, d time.Duration) *tally {
	t.Helper()
	var s tally
	var wg sync.WaitGroup
	end := time.Now().Add(d)
	for range 4 {
		wg.Go(func() {
			for time.Now().Before(end) {
				p.askNew(&s)
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	if s.wrong.Load() > 0 {
		t.Errorf("wrong answers: %s; the first: %v", &s, s.firstWrong.Load())
	}
	return &s
}

func (p *proxied) askNew(s *tally) {
	name := fmt.Sprintf("n%d.alice.eth", p.asked.Add(1))
	reply, err := bed.TryAsk(p.DNS, name, dns.TypeA)
	switch {
	case err == nil && reply.Rcode == dns.RcodeSuccess && len(reply.Answer) == 1 && bed.Data(reply)[0] == wildcardData:
		s.right.Add(1)
	case err == nil && reply.Rcode == dns.RcodeServerFailure && bed.EDE(reply) != nil:
		s.failed.Add(1)
	default:
		s.wrong.Add(1)
		s.firstWrong.CompareAndSwap(nil, fmt.Sprintf("%s: %v %v", name, reply, err))
	}
}

// TestFaults breaks one backend of three, then two, under a stream of questions: with one broken the
// others answer, with two nobody is believed, and no answer is ever wrong.
func TestFaults(t *testing.T) {
	p := startProxied(t, 3, "")
	// Whoever refused a batch gets single calls for a while: that one comes last, so that the others can be counted.
	names := slices.Sorted(maps.Keys(bed.Faults))
	slices.SortStableFunc(names, func(a, b string) int { return int(bed.Faults[a]/bed.NoBatch) - int(bed.Faults[b]/bed.NoBatch) })
	for _, name := range names {
		fault := bed.Faults[name]
		t.Run(name, func(t *testing.T) {
			p.reset()
			before := p.asked.Load()
			p.proxies[0].Set(fault)
			one := p.stream(t, 4*time.Second)
			settled := p.stream(t, time.Second)
			t.Logf("one of three: %s, then %s; requests with calls by backend %v", one, settled, p.calls())
			if calls, questions := sum(p.calls()), int(p.asked.Load()-before); fault != bed.NoBatch && calls > len(p.proxies)*questions {
				t.Errorf("%d HTTP requests with calls for %d questions, want at most one to each backend", calls, questions)
			}
			if settled.right.Load() == 0 || settled.failed.Load() > settled.right.Load()/4 {
				t.Errorf("one backend of three is broken, and the others do not answer: %s", settled)
			}
			p.proxies[1].Set(fault)
			two := p.stream(t, 2*time.Second)
			t.Logf("two of three: %s", two)
			for _, proxy := range p.proxies {
				proxy.Set(bed.None)
			}
			bed.Wait(t, 5*time.Second, "answers after the fault is gone", func() bool {
				var s tally
				p.askNew(&s)
				return s.right.Load() == 1
			})
			bed.Wait(t, 20*time.Second, "every answer is right again", func() bool {
				s := p.stream(t, 500*time.Millisecond)
				return s.failed.Load() == 0 && s.right.Load() > 0
			})
		})
	}
}

func sum(counts []int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}

// TestAllBackendsDown wants stale answers where there are any, SERVFAIL with EDE 22 or 23 where not, and
// good answers within 5 seconds of the backends' return.
func TestAllBackendsDown(t *testing.T) {
	p := startProxied(t, 3, "    ttl: 1s\n")
	reply := bed.Ask(t, p.DNS, "carol.eth", dns.TypeAAAA) // NODATA, so that the negative answer is known too
	if reply.Rcode != dns.RcodeSuccess {
		t.Fatal(reply)
	}
	bed.Ask(t, p.DNS, "bob.eth", dns.TypeA)
	for _, proxy := range p.proxies {
		proxy.Set(bed.Down)
	}
	time.Sleep(1500 * time.Millisecond)
	stale := bed.Ask(t, p.DNS, "bob.eth", dns.TypeA)
	if len(stale.Answer) != 1 || bed.EDE(stale) == nil || bed.EDE(stale).InfoCode != dns.ExtendedErrorCodeStaleAnswer {
		t.Errorf("expired name while all is down: %v, want the stale answer with EDE 3", stale)
	} else if ttl := stale.Answer[0].Header().Ttl; ttl > 30 {
		t.Errorf("stale answer has TTL %d, want at most 30", ttl)
	}
	failed := bed.Ask(t, p.DNS, "unseen.alice.eth", dns.TypeA)
	ede := bed.EDE(failed)
	if failed.Rcode != dns.RcodeServerFailure || ede == nil || ede.InfoCode != dns.ExtendedErrorCodeNoReachableAuthority && ede.InfoCode != dns.ExtendedErrorCodeNetworkError {
		t.Errorf("unseen name while all is down: %v, want SERVFAIL with EDE 22 or 23", failed)
	}
	for _, proxy := range p.proxies {
		proxy.Set(bed.None)
	}
	bed.Wait(t, 5*time.Second, "answers after the backends' return", func() bool {
		reply, err := bed.TryAsk(p.DNS, "unseen.alice.eth", dns.TypeA)
		return err == nil && len(reply.Answer) == 1
	})
}

// TestConflict wants SERVFAIL with EDE 24 when two backends disagree, and a log line that names both.
func TestConflict(t *testing.T) {
	p := startProxied(t, 2, "")
	p.proxies[1].Set(bed.Forged)
	reply := bed.Ask(t, p.DNS, "bob.eth", dns.TypeTXT)
	if ede := bed.EDE(reply); reply.Rcode != dns.RcodeServerFailure || ede == nil || ede.InfoCode != dns.ExtendedErrorCodeInvalidData {
		t.Errorf("backends disagree: %v, want SERVFAIL with EDE 24", reply)
	}
	bed.Wait(t, 5*time.Second, "a log line that names both", func() bool {
		return strings.Contains(p.Log(), "operator1 returned") && strings.Contains(p.Log(), "operator2 returned")
	})
}
