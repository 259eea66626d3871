package validate

import (
	"strings"

	"github.com/miekg/dns"
)

// within says whether name is zone or below it; both are in canonical form.
func within(name, zone string) bool {
	if zone == "." || name == zone {
		return true
	}
	cut := len(name) - len(zone)
	if cut <= 0 || name[cut-1] != '.' || name[cut:] != zone {
		return false
	}
	// A dot behind an odd number of backslashes is part of a label.
	escapes := 0
	for i := cut - 2; i >= 0 && name[i] == '\\'; i-- {
		escapes++
	}
	return escapes%2 == 0
}

// below says whether name is strictly below zone.
func below(name, zone string) bool { return name != zone && within(name, zone) }

// parent drops the first label of a name; the root's is the root.
func parent(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[i:]
}

// child is the name one label below zone on the way to name, which is below zone.
func child(zone, name string) string {
	i, _ := dns.PrevLabel(name, dns.CountLabel(zone)+1)
	return name[i:]
}

// home is the name whose zone the data of a type at name is in: DS is in the zone above (RFC 4035
// section 2.4), but for the root's, which does not exist.
func home(name string, rrtype uint16) string {
	if rrtype == dns.TypeDS {
		return parent(name)
	}
	return name
}

// substitutes says that target is what a DNAME from owner to its target makes of name (RFC 6672 section 2.2).
func substitutes(name, owner, dname, target string) bool {
	if !below(name, owner) {
		return false
	}
	prefix, ok := strings.CutSuffix(name, owner)
	if owner == "." {
		prefix, ok = name, true
	}
	if dname == "." {
		return ok && prefix == target
	}
	return ok && prefix+dname == target
}
