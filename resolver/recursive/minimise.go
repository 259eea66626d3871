package recursive

import (
	"strings"

	"github.com/miekg/dns"
)

// Bounds of QNAME minimisation (RFC 9156 section 2.3).
const (
	maxMinimised = 10 // steps for one name
	oneLabel     = 4  // of these, steps that add one label
)

// minimiser chooses what to ask on the way to a name: no more labels than the servers need to refer to
// the next zone (RFC 9156 section 3).
type minimiser struct {
	name   string
	rrtype uint16
	labels int  // of the name that was asked last
	steps  int  // questions with less than the whole name
	whole  bool // no more of that
}

// next returns the question for the servers of zone.
func (m *minimiser) next(zone string) (string, uint16) {
	total := dns.CountLabel(m.name)
	from := max(m.labels, dns.CountLabel(zone))
	if m.whole || m.steps >= maxMinimised {
		return m.name, m.rrtype
	}
	add := 1
	if left := maxMinimised - m.steps; m.steps >= oneLabel {
		add = max(1, (total-from)/left)
	}
	labels := from + add
	// Names that begin with an underscore are no zone cuts as a rule (RFC 9156 section 2.3).
	for labels < total && strings.HasPrefix(suffix(m.name, labels), "_") {
		labels++
	}
	if labels >= total {
		return m.name, m.rrtype
	}
	m.labels = labels
	m.steps++
	return suffix(m.name, labels), dns.TypeA
}

// suffix returns the last labels of a name.
func suffix(name string, labels int) string {
	if labels == 0 {
		return "."
	}
	off, _ := dns.PrevLabel(name, labels)
	return name[off:]
}
