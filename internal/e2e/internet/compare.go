package internet

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Difference is a question at which a resolver says something else than two peers who agree, or something
// unsafe.
type Difference struct {
	Question Question
	One, Two Reply // of the peers
	Reply    Reply
	Unsafe   string // why it is unsafe; "" when it is not
}

// Comparison is how a resolver stands to two peers.
type Comparison struct {
	Questions   int
	Agreed      int // questions at which the peers agree
	Same        int // of these, those at which the resolver says the same
	Differences []Difference
	groups      map[string]*[3]int // by group of zones: questions, Agreed, Same
}

// Compare compares a resolver's replies with those of two peers.
func Compare(questions []Question, one, two, replies []Reply) *Comparison {
	c := &Comparison{Questions: len(questions), groups: map[string]*[3]int{}}
	for i, q := range questions {
		counts := c.groups[q.Zone.Group]
		if counts == nil {
			counts = new([3]int)
			c.groups[q.Zone.Group] = counts
		}
		counts[0]++
		d := Difference{Question: q, One: one[i], Two: two[i], Reply: replies[i], Unsafe: unsafe(q, one[i], two[i], replies[i])}
		agreed := one[i].Same(two[i])
		same := agreed && replies[i].Same(one[i])
		if agreed {
			c.Agreed++
			counts[1]++
		}
		if same {
			c.Same++
			counts[2]++
		}
		if agreed && !same || d.Unsafe != "" {
			c.Differences = append(c.Differences, d)
		}
	}
	slices.SortStableFunc(c.Differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Question.Zone.Group, b.Question.Zone.Group), cmp.Compare(a.Question.Zone.Name, b.Question.Zone.Name),
			cmp.Compare(a.Question.String(), b.Question.String()))
	})
	return c
}

// unsafe says why a reply harms: AD that neither peer gives, data that both hold back, or what an attacker
// made up.
func unsafe(q Question, one, two, reply Reply) string {
	failed := func(r Reply) bool { return r.Rcode == "SERVFAIL" || r.Rcode == "TIMEOUT" }
	for _, a := range reply.Answer {
		if q.Flags != DOCD && strings.HasSuffix(a, " a "+forged) && !slices.Contains(one.Answer, a) && !slices.Contains(two.Answer, a) {
			return "data that an attacker made up"
		}
	}
	switch {
	case reply.AD && !one.AD && !two.AD:
		return "AD that neither peer gives"
	case q.Flags != DOCD && one.Rcode == "SERVFAIL" && two.Rcode == "SERVFAIL" && !failed(reply) && len(reply.Answer) > 0:
		return "data that both peers hold back"
	case q.Flags != DOCD && one.Rcode == "SERVFAIL" && two.Rcode == "SERVFAIL" && reply.Rcode == "NXDOMAIN":
		return "denial that both peers hold back"
	}
	return ""
}

// Agreement is the share of questions with the peers' answer, of those at which they agree, in per cent.
func (c *Comparison) Agreement() float64 { return 100 * float64(c.Same) / float64(max(c.Agreed, 1)) }

// Table is the comparison for people: by group of zones, then each difference.
func (c *Comparison) Table(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-30s %9s %11s %9s\n", "zones", "questions", "peers agree", name)
	for _, g := range slices.Sorted(maps.Keys(c.groups)) {
		n := c.groups[g]
		fmt.Fprintf(&b, "%-30s %9d %11d %9d\n", g, n[0], n[1], n[2])
	}
	fmt.Fprintf(&b, "%-30s %9d %11d %9d   %.2f %%\n", "all", c.Questions, c.Agreed, c.Same, c.Agreement())
	return b.String()
}

// List are the differences for people, each with all answers.
func (c *Comparison) List(one, two, name string) string {
	var b strings.Builder
	zone := ""
	for _, d := range c.Differences {
		if z := d.Question.Zone; z.Name != zone {
			zone = z.Name
			fmt.Fprintf(&b, "\n%s (%s)\n", z.Name, z.Group)
		}
		fmt.Fprintf(&b, "  %s\n", d.Question)
		if d.Unsafe != "" {
			fmt.Fprintf(&b, "    UNSAFE: %s\n", d.Unsafe)
		}
		fmt.Fprintf(&b, "    %-8s %s\n    %-8s %s\n    %-8s %s\n", one, d.One, two, d.Two, name, d.Reply)
	}
	return b.String()
}
