package internet

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Limits of what an attack may cost. They are the design's, with room for what is asked on the side.
const (
	maxAtVictim   = 12        // queries at an NXNSAttack's victim, of one question
	maxPerAttack  = 110       // queries in all, of one question
	maxMemory     = 600 << 10 // kB of dens's memory at its peak
	maxAttackTime = 12 * time.Second
)

// attacks are questions that set one off; %d makes each another name.
var attacks = []struct {
	name, question string
	rrtype         uint16
	rcode          string // "" is any
}{
	{"NXNSAttack", "a%d." + nxnsZone, dns.TypeA, "SERVFAIL"},
	{"KeyTrap", "x%d.wild." + keyTrapZone, dns.TypeA, "SERVFAIL"},
	{"KeyTrap, a missing name", "missing%d." + keyTrapZone, dns.TypeA, "SERVFAIL"},
	{"NSEC3 hashes", strings.Repeat("l.", 100) + "m%d." + hashZone, dns.TypeA, ""},
	{"TsuNAME", "t%d." + circleZone, dns.TypeA, "SERVFAIL"},
	{"CAMP", "a1.c%d." + campZone, dns.TypeA, ""},
	{"10,000 addresses", "c%d." + crowdZone, dns.TypeA, ""},
	{"10,000 servers", "c%d.ref." + crowdZone, dns.TypeA, "SERVFAIL"},
	{"alias loop", "self.alias.net", dns.TypeA, "SERVFAIL"},
	{"loop of DNAMEs", "x%d.dloop.alias.net", dns.TypeA, ""},
}

func attackQuestion(text string, rrtype uint16, i int) Question {
	if strings.Contains(text, "%d") {
		text = fmt.Sprintf(text, i)
	}
	return Question{Name: dns.Fqdn(text), Type: rrtype, Flags: DO}
}

// While all attacks run, other clients have their answers, and dens's memory stays bounded.
func TestAttacksUnderLoad(t *testing.T) {
	n := Start(t, topZones(), goodZones(), bogusZones(), aliasZones(), attackZones())
	r := n.StartDens(t)
	names := goodNames(n)
	calm := askGood(t, r, names[:len(names)/2])
	n.Forget()

	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var asked atomic.Int64
	for c := range 30 {
		clients.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				a := attacks[(c+i)%len(attacks)]
				r.Ask(ctx, attackQuestion(a.question, a.rrtype, 1000*(c+1)+i))
				asked.Add(1)
			}
		})
	}
	time.Sleep(500 * time.Millisecond) // the attack is under way
	busy := askGood(t, r, names[len(names)/2:])
	time.Sleep(2 * time.Second)
	cancel()
	clients.Wait()
	n.Settle(t)
	memory := peakMemory(t, r)
	sent := len(n.Sent(r)) + n.Lost()
	t.Logf("%d attacks; good names: median %v, slowest %v; without attacks %v, %v; %d queries sent; peak memory %d MB; exhausted %v",
		asked.Load(), busy.median, busy.slowest, calm.median, calm.slowest, sent, memory>>10, metric(t, r, "dens_recursive_budget_exhausted_total"))
	if memory > maxMemory {
		t.Errorf("dens used %d MB", memory>>10)
	}
	if limit := int(asked.Load())*maxPerAttack + 20*len(names); sent > limit {
		t.Errorf("%d queries for %d attacks", sent, asked.Load())
	}
	r.must(t, "www.alg13.net", dns.TypeA, "NOERROR AD")
}

// goodNames are signed names with an answer, in zones of all kinds.
func goodNames(n *Internet) (names []string) {
	for _, z := range n.Zones {
		if z.Group == "algorithms" && !unsupported(z.Sign.Alg) || z.Group == "signed" {
			for _, label := range []string{"www", "mail", "x.wild", "a.b.ent"} {
				names = append(names, label+"."+z.fqdn())
			}
		}
	}
	return names
}

// goodTimes are how long good names took.
type goodTimes struct{ median, slowest time.Duration }

func askGood(t *testing.T, r *Resolver, names []string) goodTimes {
	t.Helper()
	var questions []Question
	for _, name := range names {
		questions = append(questions, Question{Name: name, Type: dns.TypeA, Flags: AD})
	}
	var took []time.Duration
	for i, reply := range r.AskAll(t.Context(), questions, 10) {
		if reply.Rcode != "NOERROR" || !reply.AD || len(reply.Answer) == 0 {
			t.Errorf("%s: %s", questions[i], reply)
		}
		took = append(took, reply.Took)
	}
	slices.Sort(took)
	return goodTimes{took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond)}
}

// peakMemory is the greatest resident size of dens so far, in kB.
func peakMemory(t *testing.T, r *Resolver) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.Process.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(data)
	if m == nil {
		t.Fatalf("no VmHWM in\n%s", data)
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kb
}

// metric are the series of a metric of dens that are not zero, by their labels.
func metric(t *testing.T, r *Resolver, name string) map[string]float64 {
	t.Helper()
	_, body := r.Dens.Get(t, "/metrics")
	out := map[string]float64{}
	for line := range strings.Lines(body) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil && v > 0 && strings.HasPrefix(key, name) {
			out[strings.TrimPrefix(key, name)] = v
		}
	}
	return out
}
