package internet

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// One question of each attack costs little, and the victim less.
func TestAttackCost(t *testing.T) {
	n := Start(t, topZones(), goodZones(), bogusZones(), aliasZones(), attackZones())
	resolvers := []*Resolver{n.StartDens(t), n.StartUnbound(t), n.StartBIND(t)}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-28s", "queries (at the victim), time")
	for _, r := range resolvers {
		fmt.Fprintf(&b, "%26s", r.Name)
	}
	for i, a := range attacks {
		fmt.Fprintf(&b, "\n%-28s", a.name)
		for _, r := range resolvers {
			n.Settle(t)
			n.Forget()
			patience := maxAttackTime
			if r.Dens == nil {
				patience = 3 * time.Second // peers are here for the table; some attacks keep them busy for long
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			reply := r.Ask(ctx, attackQuestion(a.question, a.rrtype, i))
			cancel()
			n.Settle(t)
			sent, victim := n.Sent(r), 0
			for _, s := range sent {
				if strings.HasSuffix(strings.ToLower(s.Name), victimZone+".") {
					victim++
				}
			}
			fmt.Fprintf(&b, "%26s", fmt.Sprintf("%s %d (%d) %v", reply.Rcode, len(sent), victim, reply.Took.Round(time.Millisecond)))
			if r.Dens == nil {
				continue
			}
			if victim > maxAtVictim || len(sent) > maxPerAttack || reply.Took > maxAttackTime {
				t.Errorf("%s: %d queries, %d at the victim, %v:%s", a.name, len(sent), victim, reply.Took, describe(sent))
			}
			if a.rcode != "" && reply.Rcode != a.rcode {
				t.Errorf("%s: %s, expected %s", a.name, reply, a.rcode)
			}
		}
	}
	t.Log(b.String())
	exhausted := metric(t, resolvers[0], "dens_recursive_budget_exhausted_total")
	if len(exhausted) == 0 {
		t.Error("no budget was counted as exhausted")
	}
	t.Logf("dens_recursive_budget_exhausted_total %v", exhausted)
}
