package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/demo"
	"dens/internal/e2e/bed"
)

const (
	hostileTime   = 10 * time.Second // within which every question is answered
	hostileMemory = 400 << 20        // bytes of dens, whatever contracts return
)

// TestHostileContracts asks for names whose resolvers return garbage, a megabyte, loops: SERVFAIL with a
// reason within bounded time and memory, kept for seconds only, and no harm to other names.
func TestHostileContracts(t *testing.T) {
	t.Parallel()
	for name, direct := range map[string]bool{"by UniversalResolver": false, "registry read directly": true} {
		t.Run(name, func(t *testing.T) { testHostile(t, direct) })
	}
}

// testHostile is TestHostileContracts over one way to the contracts.
func testHostile(t *testing.T, direct bool) {
	t.Parallel()
	chain := world(t)
	proxy := bed.NewProxy(t, chain.HTTPURL())
	s := bed.Serve(t, worldConfig(chain, worldOptions{rpc: []string{proxy.URL}, direct: direct}))
	names := append(demo.Hostile(), "a.ring.eth", "b.ring.eth")

	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() { askOthers(t, s, stop) })
	var wg sync.WaitGroup
	room := make(chan struct{}, 4) // the backend's processor is not what is tested here
	for _, name := range names {
		for i, rrtype := range []uint16{dns.TypeA, dns.TypeTXT, dns.TypeAAAA} {
			asked := name
			if i == 2 {
				asked = "below." + name // has a look-up of its own
			}
			room <- struct{}{}
			wg.Go(func() {
				checkHostile(t, s.DNS, asked, rrtype)
				<-room
			})
		}
	}
	wg.Wait()
	close(stop)
	others.Wait()
	row{"www.example.org", dns.TypeA, 0, []string{"198.51.100.80"}, ""}.check(t, s.DNS) // foreign.eth claims it
	time.Sleep(3 * time.Second)                                                         // failures are kept for 2 s
	for _, name := range names {
		before := proxy.Methods()["eth_call"]
		checkHostile(t, s.DNS, name, dns.TypeA)
		if proxy.Methods()["eth_call"] == before {
			t.Errorf("%s: the failure was still in the cache after 3 s", name)
		}
	}
	for i := range 40 { // a megabyte each, at once
		wg.Go(func() { checkHostile(t, s.DNS, fmt.Sprintf("m%d.huge.eth", i), dns.TypeA) })
	}
	wg.Wait()
	checkMemory(t, s)
	if panics := metric(t, s, "dens_panics_total"); panics != 0 {
		t.Errorf("%v panics", panics)
	}
}

// TestHugeAnswers asks many names at once over backends that answer without end.
func TestHugeAnswers(t *testing.T) {
	t.Parallel()
	chain := world(t)
	proxy := bed.NewProxy(t, chain.HTTPURL())
	other := bed.NewProxy(t, chain.HTTPURL())
	s := bed.Serve(t, worldConfig(chain, worldOptions{rpc: []string{proxy.URL, other.URL}, trust: "quorum"}))
	proxy.Set(bed.Huge)
	other.Set(bed.Huge)
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() { checkHostile(t, s.DNS, fmt.Sprintf("n%d.alice.eth", i), dns.TypeA) })
		if i%50 == 49 {
			time.Sleep(20 * time.Millisecond) // the kernel drops more than some 270 packets that wait
		}
	}
	wg.Wait()
	checkMemory(t, s)
	proxy.Set(bed.None)
	other.Set(bed.None)
	bed.Wait(t, 6*time.Second, "answers after the backends are well again", func() bool {
		reply, err := bed.TryAsk(s.DNS, "well.alice.eth", dns.TypeA)
		return err == nil && len(reply.Answer) == 1
	})
}

func checkMemory(t *testing.T, s *bed.Server) {
	t.Helper()
	peak := peakMemory(t, s.Cmd.Process.Pid)
	t.Logf("peak of resident memory: %d MiB", peak>>20)
	if peak > hostileMemory {
		t.Errorf("dens took %d MiB, want at most %d", peak>>20, hostileMemory>>20)
	}
}

// checkHostile wants a failure with a reason. What is below ring.eth but no part of the ring does not
// exist, and foreign.eth may also be found to have nothing of its own.
func checkHostile(t *testing.T, server, name string, rrtype uint16) {
	start := time.Now()
	reply, err := bed.TryAsk(server, name, rrtype)
	took := time.Since(start)
	what := fmt.Sprintf("%s %s", name, dns.Type(rrtype))
	switch {
	case err != nil:
		t.Errorf("%s: %v after %v", what, err, took)
	case took > hostileTime:
		t.Errorf("%s was answered after %v, want at most %v", what, took, hostileTime)
	case reply.Rcode == dns.RcodeNameError && regexp.MustCompile(`\.[ab]\.ring\.eth$`).MatchString(name):
	case reply.Rcode != dns.RcodeServerFailure || bed.EDE(reply) == nil:
		t.Errorf("%s: %v, want SERVFAIL with an extended error", what, reply)
	case len(reply.Answer) > 0 && !regexp.MustCompile(`ring\.eth$`).MatchString(name):
		t.Errorf("%s has an answer: %v", what, reply)
	}
}

// askOthers asks good names until stop is closed: each must be answered rightly and soon.
func askOthers(t *testing.T, s *bed.Server, stop chan struct{}) {
	slowest, n := time.Duration(0), 0
	for ; ; n++ {
		select {
		case <-stop:
			t.Logf("%d good names asked meanwhile, the slowest took %v", n, slowest.Round(time.Millisecond))
			return
		default:
		}
		start := time.Now()
		reply, err := bed.TryAsk(s.DNS, fmt.Sprintf("good%d.alice.eth", n), dns.TypeA)
		if err != nil || len(reply.Answer) != 1 || bed.Data(reply)[0] != "192.0.2.12" {
			t.Errorf("a good name beside hostile ones: %v %v", reply, err)
		}
		slowest = max(slowest, time.Since(start))
		time.Sleep(20 * time.Millisecond)
	}
}

// peakMemory is the most that a process has had resident up to now, in bytes.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if match == nil {
		t.Fatalf("no VmHWM in:\n%s", status)
	}
	kib, err := strconv.ParseInt(string(match[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
