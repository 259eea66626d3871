package recursive

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// asked returns the names that the servers of one zone are asked for, when they refer nowhere.
func asked(name, zone string) []string {
	m := minimiser{name: name, rrtype: dns.TypeMX}
	var out []string
	for range 200 {
		qname, rrtype := m.next(zone)
		out = append(out, qname)
		if qname == name {
			if rrtype != dns.TypeMX {
				return nil
			}
			return out
		}
	}
	return nil
}

func TestMinimiser(t *testing.T) {
	tests := []struct {
		name, zone string
		want       []string
	}{
		{"www.example.org.", ".", []string{"org.", "example.org.", "www.example.org."}},
		{"www.example.org.", "example.org.", []string{"www.example.org."}},
		{"example.org.", "example.org.", []string{"example.org."}},
		{".", ".", []string{"."}},
		{"_sip._tcp.example.org.", "example.org.", []string{"_sip._tcp.example.org."}},
		{"a._tcp.b.example.org.", "example.org.", []string{"b.example.org.", "a._tcp.b.example.org."}},
		{`a\.b.c.`, ".", []string{"c.", `a\.b.c.`}},
	}
	for _, tt := range tests {
		if got := asked(tt.name, tt.zone); !slices.Equal(got, tt.want) {
			t.Errorf("%s at %s: %v", tt.name, tt.zone, got)
		}
	}
	for labels := 1; labels <= 126; labels++ {
		name := strings.Repeat("a.", labels)
		if got := asked(name, "."); got == nil || len(got) > maxMinimised+1 {
			t.Errorf("%d labels: %d steps", labels, len(got))
		}
	}
}
