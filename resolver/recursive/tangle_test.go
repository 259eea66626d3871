package recursive

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// tangle is an internet of top-level zones z0., z1., ... whose servers' names are in one another.
type tangle struct {
	hosts   [][]int // of each zone: the zones that its servers' names are in
	glued   []bool  // of each zone: whether the referral has the address of its host ns.z<i>.
	pause   func() time.Duration
	queries atomic.Int64
}

func newTangle(zones int, rnd *rand.Rand) *tangle {
	w := &tangle{hosts: make([][]int, zones), glued: make([]bool, zones)}
	for i := range zones {
		for range 1 + rnd.IntN(3) {
			w.hosts[i] = append(w.hosts[i], rnd.IntN(zones))
		}
		if w.glued[i] = rnd.IntN(6) == 0; w.glued[i] {
			w.hosts[i] = append(w.hosts[i], i)
		}
	}
	return w
}

// depth is how many look-ups of addresses deep a zone can be reached at best; a high number when it cannot.
func (w *tangle) depths() []int {
	const never = 1000
	out := make([]int, len(w.hosts))
	for i := range out {
		if out[i] = never; w.glued[i] {
			out[i] = 0
		}
	}
	for range out {
		for i, hosts := range w.hosts {
			for _, h := range hosts {
				if h != i {
					out[i] = min(out[i], out[h]+1)
				}
			}
		}
	}
	return out
}

func (w *tangle) Exchange(ctx context.Context, to netip.AddrPort, req, _ []byte) ([]byte, error) {
	w.queries.Add(1)
	select {
	case <-time.After(w.pause()):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var m dns.Msg
	if err := m.Unpack(req); err != nil {
		return nil, err
	}
	m.Response = true
	name := dns.CanonicalName(m.Question[0].Name)
	labels := dns.SplitDomainName(name)
	zone := 0
	if n, err := fmt.Sscanf(labels[len(labels)-1], "z%d", &zone); n != 1 || err != nil {
		return nil, fmt.Errorf("asked for %s", name)
	}
	add := func(to *[]dns.RR, format string, args ...any) {
		rr, err := dns.NewRR(fmt.Sprintf(format, args...))
		if err != nil {
			panic(err)
		}
		*to = append(*to, rr)
	}
	switch {
	case to.Addr().As4()[0] != 10: // a root server
		for _, h := range w.hosts[zone] {
			add(&m.Ns, "z%d. 3600 NS ns.z%d.", zone, h)
		}
		if w.glued[zone] {
			add(&m.Extra, "ns.z%d. 3600 A 10.0.0.%d", zone, zone)
		}
	case m.Question[0].Qtype == dns.TypeA:
		m.Authoritative = true
		add(&m.Answer, "%s 3600 A 10.0.0.%d", name, zone)
	default:
		m.Authoritative = true
		add(&m.Ns, "z%d. 3600 SOA a. b. 1 2 3 4 5", zone)
	}
	return m.Pack()
}

// TestTangles: however zones depend on each other, and whoever asks at the same time, what can be resolved
// is, the rest fails soon, and nothing is left under way.
func TestTangles(t *testing.T) {
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) { testTangle(t, seed) })
	}
}

func testTangle(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	const zones = 40
	w := newTangle(zones, rnd)
	w.pause = func() time.Duration { return rand.N(2 * time.Millisecond) }
	r, err := New(Config{UDP: w, TCP: w, NoIPv6: true, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	depths := w.depths()
	var wg sync.WaitGroup
	began := time.Now()
	for i := range 3 * zones {
		wg.Go(func() {
			zone := i % zones
			_, err := r.Resolve(t.Context(), resolver.Query{Name: fmt.Sprintf("w%d.z%d.", i, zone), Type: dns.TypeA, Class: dns.ClassINET})
			switch {
			case err == nil && depths[zone] > zones:
				t.Errorf("seed %d: z%d. cannot be resolved, and was", seed, zone)
			case err != nil && depths[zone] <= 2:
				t.Errorf("seed %d: z%d. at depth %d: %v", seed, zone, depths[zone], err)
			case err != nil && strings.Contains(err.Error(), "time"):
				t.Errorf("seed %d: z%d.: %v", seed, zone, err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("seed %d: %v", seed, took)
	}
	for end := time.Now().Add(10 * time.Second); r.Stats().Flights > 0; {
		if time.Now().After(end) {
			t.Fatalf("seed %d: %d flights do not end", seed, r.Stats().Flights)
		}
		time.Sleep(time.Millisecond)
	}
	t.Logf("seed %d: %d questions, %d queries, %v, limits %v", seed, 3*zones, w.queries.Load(), time.Since(began).Round(time.Millisecond), r.Stats().Limits)
}

// TestEasyServerAmongHard: a zone is reached by the one of its servers whose address is easy to find, though those
// of the others take more look-ups than there are for a question, in whatever order they are tried.
func TestEasyServerAmongHard(t *testing.T) {
	const easy, zones = 4, 40
	w := &tangle{hosts: make([][]int, zones), glued: make([]bool, zones)}
	w.hosts[0], w.hosts[easy], w.glued[easy] = []int{1, 2, 3, easy}, []int{easy}, true
	for i := range zones {
		if i != 0 && i != easy {
			w.hosts[i] = []int{easy + 1 + 3*i%35, easy + 1 + (3*i+1)%35, easy + 1 + (3*i+2)%35}
		}
	}
	w.pause = func() time.Duration { return rand.N(2 * time.Millisecond) }
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			r, err := New(Config{UDP: w, TCP: w, NoIPv6: true, Timeout: 20 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Resolve(t.Context(), resolver.Query{Name: "w.z0.", Type: dns.TypeA, Class: dns.ClassINET}); err != nil {
				t.Error(err)
			}
			for r.Stats().Flights > 0 {
				time.Sleep(time.Millisecond)
			}
		})
	}
}
