package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
	"dens/resolver/anchors"
	"dens/resolver/authority"
	"dens/resolver/recursive"
	"dens/web"
)

// TestRootPart: /readyz says why names cannot be resolved from the root.
func TestRootPart(t *testing.T) {
	now := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	failed := func(code uint16) recursive.Health {
		return recursive.Health{Primed: true, Problem: "the root's keys do not validate: why", Trust: dnssec.Verdict{Status: dnssec.Bogus, Code: code, Text: "why"}}
	}
	tests := map[string]struct {
		health recursive.Health
		trust  []anchors.Status
		want   string
	}{
		"well": {recursive.Health{Primed: true, Servers: 13}, nil, ""},
		"well, an old error of another zone's anchor": {recursive.Health{Primed: true}, []anchors.Status{{Zone: "corp.example.", Error: "timed out"}}, ""},
		"just begun":  {recursive.Health{}, nil, "have not answered yet"},
		"blocked":     {recursive.Health{Blocked: true, Problem: "this network blocks DNS on port 53"}, nil, "this network blocks DNS on port 53"},
		"clock":       {failed(dns.ExtendedErrorCodeSignatureNotYetValid), nil, "the root's keys do not validate: why; the clock here says 2001-02-03T04:05:06Z: is it right?"},
		"late clock":  {failed(dns.ExtendedErrorCodeSignatureExpired), nil, "the clock here says 2001"},
		"anchors":     {failed(dns.ExtendedErrorCodeDNSKEYMissing), nil, "are the trust anchors out of date"},
		"closer look": {failed(dns.ExtendedErrorCodeDNSKEYMissing), []anchors.Status{{Zone: ".", Error: "the anchors are of keys 1, the zone shows 2"}}, "the anchors are of keys 1, the zone shows 2"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := rootPart(tt.health, tt.trust, now)
			if p.Ready != (tt.want == "") || !strings.Contains(p.Reason, tt.want) || p.Ready && p.Reason != "" || p.Name != "recursive ." {
				t.Errorf("%+v, want %q", p, tt.want)
			}
		})
	}
}

// TestRootMetrics: what was counted is there, and what was not is 0.
func TestRootMetrics(t *testing.T) {
	since := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	got := rootMetrics(recursive.Stats{
		Servers: authority.Stats{UDP: 5, TCP: 6, Servers: 7}, Limits: map[string]uint64{"queries": 8},
		Validations: map[string]uint64{"secure": 9}, Answers: 10, Cuts: 11,
	}, []anchors.Status{{Zone: ".", Keys: []anchors.KeyStatus{{Tag: 20326, State: anchors.Valid, Since: since}, {Tag: 1, State: anchors.AddPend}}}})
	for what, ok := range map[string]bool{
		"queries":     got.Queries["udp"] == 5 && got.Queries["tcp"] == 6,
		"exhausted":   got.Exhausted["queries"] == 8 && len(got.Exhausted) == 7,
		"validations": got.Validations["secure"] == 9 && len(got.Validations) == 5,
		"cached":      got.Cached["responses"] == 10 && got.Cached["cuts"] == 11,
		"servers":     got.Servers == 7,
		"anchors":     slices.Equal(got.Anchors, []web.Anchor{{Zone: ".", Tag: 20326, State: "Valid", Since: since}, {Zone: ".", Tag: 1, State: "AddPend"}}),
	} {
		if !ok {
			t.Errorf("%s: %+v", what, got)
		}
	}
	for _, name := range []string{"time", "depth", "signatures", "hashes", "flights", "lookups"} {
		if n, ok := got.Exhausted[name]; !ok || n != 0 {
			t.Errorf("%s: %d, %v", name, n, ok)
		}
	}
}

func TestFastestRoot(t *testing.T) {
	const ms = time.Millisecond
	steps := []resolver.Step{
		{Kind: resolver.StepQuery, Zone: ".", RTT: 2 * ms, Outcome: "timed out"},
		{Kind: resolver.StepQuery, Zone: ".", RTT: 30 * ms, Rcode: "NOERROR"},
		{Kind: resolver.StepQuery, Zone: ".", RTT: 20 * ms, Rcode: "NOERROR"},
		{Kind: resolver.StepQuery, Zone: "org.", RTT: ms, Rcode: "NOERROR"},
		{Kind: resolver.StepCached, Zone: ".", RTT: ms, Rcode: "NOERROR"},
	}
	if got := fastestRoot(steps); got != 20*ms {
		t.Errorf("%v", got)
	}
	if got := fastestRoot(steps[:1]); got != 0 {
		t.Errorf("of none: %v", got)
	}
}

// TestCheckWritable: the directory decides; the file need not be there, and is left alone.
func TestCheckWritable(t *testing.T) {
	dir := t.TempDir()
	if got := checkWritable("x", ""); got != nil {
		t.Errorf("no file: %+v", got)
	}
	if got := checkWritable("x", filepath.Join(dir, "state")); len(got) != 1 || got[0].problem != "" {
		t.Errorf("a fresh directory: %+v", got)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	if got := checkWritable("x", filepath.Join(dir, "none", "state")); len(got) != 1 || !strings.Contains(got[0].problem, "must be able to write") {
		t.Errorf("no directory: %+v", got)
	}
}

func TestPrintRoot(t *testing.T) {
	for _, problem := range []string{"", "no root \x1bserver answers"} {
		var out strings.Builder
		table := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
		ok := printRoot(table, []rootReport{{"servers", "13 known", problem}, {"anchors of .", "keys 20326", ""}})
		if err := table.Flush(); err != nil {
			t.Fatal(err)
		}
		if ok != (problem == "") || !strings.Contains(out.String(), "keys 20326  ok") || strings.Contains(out.String(), "\x1b") {
			t.Errorf("%v\n%s", ok, out.String())
		}
	}
}
