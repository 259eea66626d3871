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
	True     bool   // what looks unsafe is what the zone holds
}

// Comparison is how a resolver stands to two peers.
type Comparison struct {
	Questions   int
	Agreed      int // questions at which the peers agree
	Same        int // of these, those at which the resolver says the same
	Differences []Difference
	Undecided   []Difference       // questions at which the peers differ from each other
	groups      map[string]*[3]int // by group of zones: questions, Agreed, Same
}

// Compare compares a resolver's replies with those of two peers. truth is what the zone's own program says to
// a question, and warm what a peer says to it now; they settle two kinds of differences, see judge.
func Compare(questions []Question, one, two, replies []Reply, truth func(Question) Reply, warm func(Question) (one, two Reply)) *Comparison {
	c := &Comparison{Questions: len(questions), groups: map[string]*[3]int{}}
	for i, q := range questions {
		counts := c.groups[q.Zone.Group]
		if counts == nil {
			counts = new([3]int)
			c.groups[q.Zone.Group] = counts
		}
		counts[0]++
		d := Difference{Question: q, One: one[i], Two: two[i], Reply: replies[i]}
		agreed, same := d.judge(truth, warm)
		if !agreed {
			c.Undecided = append(c.Undecided, d)
		}
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
	for _, list := range [][]Difference{c.Differences, c.Undecided} {
		slices.SortStableFunc(list, func(a, b Difference) int {
			return cmp.Or(cmp.Compare(a.Question.Zone.Group, b.Question.Zone.Group), cmp.Compare(a.Question.Zone.Name, b.Question.Zone.Name),
				cmp.Compare(a.Question.String(), b.Question.String()))
		})
	}
	return c
}

// judge tells whether the peers agree and whether the resolver says the same, and looks for what is unsafe.
func (d *Difference) judge(truth func(Question) Reply, warm func(Question) (one, two Reply)) (agreed, same bool) {
	agreed = d.One.Same(d.Two)
	same = agreed && d.Reply.Same(d.One)
	if same {
		return agreed, same
	}
	d.Unsafe = unsafe(d.Question, d.One, d.Two, d.Reply)
	// With CD both peers give AD only to what they happen to have validated before, for somebody else (RFC
	// 4035 section 3.2.3 leaves it to them): what they say without CD tells whether AD is earned.
	if d.Question.Flags == DOCD && d.Reply.AD {
		q := d.Question
		q.Flags = DO
		a, b := warm(q)
		if a.Same(d.Reply) || b.Same(d.Reply) {
			d.Unsafe = ""
		}
		if agreed && a.Same(d.Reply) && b.Same(d.Reply) {
			return agreed, true
		}
	}
	// Where only servers lie and the zone is right, a resolver may know better from what it has validated
	// before, or at another server.
	if d.Unsafe != "" && strings.HasPrefix(d.Question.Zone.Group, "denial") {
		if t := truth(d.Question); t.Rcode == d.Reply.Rcode && slices.Equal(t.Answer, d.Reply.Answer) {
			d.Unsafe, d.True = "", true
		}
	}
	return agreed, same
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

// List shows differences to people, each with all answers.
func List(differences []Difference, one, two, name string) string {
	var b strings.Builder
	zone := ""
	for _, d := range differences {
		if z := d.Question.Zone; z.Name != zone {
			zone = z.Name
			fmt.Fprintf(&b, "\n%s (%s)\n", z.Name, z.Group)
		}
		fmt.Fprintf(&b, "  %s\n", d.Question)
		if d.True {
			b.WriteString("    what the zone holds, and its servers hide\n")
		}
		if d.Unsafe != "" {
			fmt.Fprintf(&b, "    UNSAFE: %s\n", d.Unsafe)
		}
		fmt.Fprintf(&b, "    %-8s %s\n    %-8s %s\n    %-8s %s\n", one, d.One, two, d.Two, name, d.Reply)
	}
	return b.String()
}
