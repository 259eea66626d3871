package internet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// What a question costs on a fresh start, with 20 ms an exchange, beside Unbound and BIND. dens sends about
// as many queries in all as Unbound, or fewer; times are shown and not judged.
func TestEfficiency(t *testing.T) {
	n := Start(t, topZones(), goodZones())
	n.SetDelay(20 * time.Millisecond)
	rows := []struct {
		what, name string
		rrtype     uint16
		want       string
	}{
		{"a cold name, not signed", "www.plain.com", dns.TypeA, "NOERROR |"},
		{"the same again", "www.plain.com", dns.TypeA, "NOERROR |"},
		{"second name in the zone", "mail.plain.com", dns.TypeA, "NOERROR |"},
		{"second zone in the domain", "www.victim.com", dns.TypeA, "NOERROR |"},
		{"a signed name", "www.alg13.org", dns.TypeA, "NOERROR AD"},
		{"second name in the zone", "mail.alg13.org", dns.TypeA, "NOERROR AD"},
		{"second type of the name", "www.alg13.org", dns.TypeAAAA, "NOERROR AD"},
		{"a signed zone below it", "www.sub.alg13.org", dns.TypeA, "NOERROR AD"},
		{"a name that is not there", "missing.alg13.org", dns.TypeA, "NXDOMAIN AD"},
		{"another in the same gap", "missinh.alg13.org", dns.TypeA, "NXDOMAIN AD"},
		{"NSEC3, signed by RSA", "www.n3alg8.net", dns.TypeA, "NOERROR AD"},
		{"an alias in its zone", "alias.alg13.com", dns.TypeA, "NOERROR AD"},
		{"an empty non-terminal's child", "a.b.ent.alg14.net", dns.TypeA, "NOERROR AD"},
	}
	resolvers := []*Resolver{n.StartDens(t), n.StartUnbound(t), n.StartBIND(t)}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-32s", "queries / milliseconds")
	for _, r := range resolvers {
		fmt.Fprintf(&b, "%14s", r.Name)
	}
	total := map[string]int{}
	for _, row := range rows {
		fmt.Fprintf(&b, "\n%-32s", row.what)
		for _, r := range resolvers {
			cost := n.Measure(t, r, row.name, row.rrtype)
			if !strings.HasPrefix(cost.Reply.String(), row.want) {
				t.Errorf("%s: %s: %s, expected %s", r.Name, row.name, cost.Reply, row.want)
			}
			total[r.Name] += len(cost.Queries)
			fmt.Fprintf(&b, "%14s", fmt.Sprintf("%d / %d", len(cost.Queries), cost.Reply.Took.Milliseconds()))
			if r.Dens != nil && len(cost.Queries) > 12 {
				t.Errorf("dens sent %d queries for %s:%s", len(cost.Queries), row.name, describe(cost.Queries))
			}
		}
	}
	t.Log(b.String() + fmt.Sprintf("\nall: %v", total))
	// Which of a zone's servers is asked first is chance, and so is what is left over for a second one.
	if total["dens"] > total["unbound"]+3 {
		t.Errorf("dens sent %d queries, Unbound %d", total["dens"], total["unbound"])
	}
}
