package internet

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	leastAgreement = 99.5 // per cent
	leastQuestions = 5000
	atOnce         = 50
)

// hold keeps the internet up for a look by hand: go test -run Agreement -v -args -hold 10m
var hold = flag.Duration("hold", 0, "how long the internet stays up after the comparison")

// Dens agrees with Unbound and BIND wherever these two agree, on a fresh start of all three, with many
// questions at once, and again with all that is in its cache then. DENS_DIFFERENCES names a file for all
// differences; .cold and .warm are added to it.
func TestAgreement(t *testing.T) {
	n := Start(t, AllZones())
	questions := n.Questions()
	if len(questions) < leastQuestions {
		t.Fatalf("%d questions", len(questions))
	}
	resolvers := []*Resolver{n.StartUnbound(t), n.StartBIND(t), n.StartDens(t)}
	replies := make([][]Reply, len(resolvers))
	var group sync.WaitGroup
	for i, r := range resolvers {
		group.Go(func() {
			start := time.Now()
			replies[i] = r.AskAll(t.Context(), questions, atOnce)
			t.Logf("%s: %d questions in %v, %d queries sent", r.Name, len(questions), time.Since(start).Round(time.Second), len(n.Sent(r)))
		})
	}
	group.Wait()
	judge := func(pass string, replies [][]Reply) {
		t.Helper()
		c := Compare(questions, replies[0], replies[1], replies[2],
			func(q Question) Reply { return n.Truth(t.Context(), q) },
			func(q Question) (one, two Reply) {
				return resolvers[0].Ask(t.Context(), q), resolvers[1].Ask(t.Context(), q)
			})
		t.Logf("%s\n%s", pass, c.Table("dens"))
		list := List(c.Differences, "unbound", "bind", "dens")
		if path := os.Getenv("DENS_DIFFERENCES"); path != "" {
			if err := os.WriteFile(path+"."+pass, []byte(c.Table("dens")+list+"\n\nThe peers differ:\n"+List(c.Undecided, "unbound", "bind", "dens")), 0o644); err != nil {
				t.Error(err)
			}
		}
		if c.Agreement() < leastAgreement {
			t.Errorf("%s: dens agrees on %.2f %% of %d questions at which the peers agree\n%s", pass, c.Agreement(), c.Agreed, list)
		}
		if c.Agreed < leastQuestions {
			t.Errorf("%s: the peers agree on %d questions only", pass, c.Agreed)
		}
		for _, d := range c.Differences {
			if d.Unsafe != "" {
				t.Errorf("%s: unsafe: %s: %s\n\tunbound %s\n\tbind %s\n\tdens %s", pass, d.Unsafe, d.Question, d.One, d.Two, d.Reply)
			}
		}
	}
	judge("cold", replies)
	// What is in the cache by now is as good.
	judge("warm", [][]Reply{replies[0], replies[1], resolvers[2].AskAll(t.Context(), questions, atOnce)})
	if *hold > 0 {
		for _, r := range resolvers {
			fmt.Printf("%s: nsenter -t %d -n dig @127.0.0.1 -p %s\n", r.Name, os.Getpid(), strings.TrimPrefix(r.Address, "127.0.0.1:"))
		}
		time.Sleep(*hold)
	}
}
