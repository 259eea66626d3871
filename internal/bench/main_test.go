package main

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dens/internal/bench/load"
	"dens/internal/bench/peers"
	"dens/internal/bench/report"
)

// TestMain is the benchmark itself where a test has started it in a network namespace.
func TestMain(m *testing.M) {
	if isolated() {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestOptions(t *testing.T) {
	tests := []struct {
		args   string
		reason string // "": they are fine
	}{
		{"", ""},
		{"-servers dens,unbound -transports udp,doh -rounds 5 -time 2s -tests all", ""},
		{"-transports all -tests mix,cold -large 1000000", ""},
		{"-servers nobody", `no server "nobody"`},
		{"-transports udp,icmp", `"icmp" is not one of`},
		{"-tests none", `"none" is not one of`},
		{"-rounds 0", "-rounds"},
		{"-time 10ms", "-time"},
		{"-names 5", "-names"},
		{"-large 99999999", "-large"},
		{"-dens /no/such/program", "-dens"},
		{"-from x.json", "-svg"},
		{"-quick", "not defined"},
		{"extra", "no flags"},
	}
	for _, tt := range tests {
		_, err := parseOptions(strings.Fields(tt.args))
		if err != nil != (tt.reason != "") || err != nil && !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("%q: %v, want %q", tt.args, err, tt.reason)
		}
	}
	o, err := parseOptions([]string{"-transports", "doh,udp", "-tests", "cold,hits"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.transports, []load.Transport{load.UDP, load.DoH}) || !slices.Equal(o.tests, []string{"hits", "cold"}) || o.rounds != 3 {
		t.Errorf("%+v", o)
	}
}

func TestRotate(t *testing.T) {
	list := []int{1, 2, 3}
	for n, want := range [][]int{{1, 2, 3}, {2, 3, 1}, {3, 1, 2}, {1, 2, 3}} {
		if got := rotate(list, n); !slices.Equal(got, want) {
			t.Errorf("by %d: %v, want %v", n, got, want)
		}
	}
}

func TestAddressesDiffer(t *testing.T) {
	seen := make(map[netip.Addr]string)
	for _, p := range peers.All() {
		a := address(p)
		if seen[a] != "" || !a.IsLoopback() {
			t.Errorf("%s has %s, like %q", p.Name, a, seen[a])
		}
		seen[a] = p.Name
	}
}

func TestIdentity(t *testing.T) {
	id, err := newIdentity(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{id.cert, id.key} {
		if data, err := os.ReadFile(file); err != nil || !strings.Contains(string(data), "-----BEGIN ") {
			t.Errorf("%s: %.20q, %v", file, data, err)
		}
	}
}

func TestQuestions(t *testing.T) {
	b := &bench{dir: t.TempDir()}
	path, err := b.questions("names", 2, func(i int) string { return []string{"a.", "b."}[i] })
	if err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "a. A\nb. A\n" {
		t.Errorf("%q, %v", data, err)
	}
	if path, err = b.urls(netip.MustParseAddr("127.0.1.1"), []int{5, 6}); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || strings.Count(string(data), "https://127.0.1.1/dns-query?dns=") != 2 || strings.Count(string(data), "\n") != 2 {
		t.Errorf("%q, %v", data, err)
	}
}

func TestRedraw(t *testing.T) {
	dir := t.TempDir()
	file, chart := filepath.Join(dir, "found.json"), filepath.Join(dir, "found.svg")
	found := &report.Report{Reference: "unbound", Hits: []report.Series{{Server: "dens", Transport: "udp", CPU: 3, Ratio: 0.5}}}
	if err := write(options{json: file}, found); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-from", file, "-svg", chart}, nil); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(chart); err != nil || string(data) != string(found.SVG()) {
		t.Errorf("%v:\n%s", err, data)
	}
	if err := os.WriteFile(file, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-from", file, "-svg", chart}, nil); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a broken file: %v", err)
	}
}

func TestBuiltPrograms(t *testing.T) {
	text, err := binaries{"dens": "/x y/dens"}.encode()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := decodeBinaries(text); err != nil || b["dens"] != "/x y/dens" || len(b) != 1 {
		t.Errorf("%v, %v", b, err)
	}
	if _, err := decodeBinaries("1"); err == nil {
		t.Error("a number is no list of programs")
	}
}

// TestColdStart runs the benchmark in a namespace, as far as that takes no more than the end-to-end tests do.
func TestColdStart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "found.json")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out strings.Builder
	if err := run(ctx, []string{"-servers", "unbound", "-tests", "cold", "-rounds", "1", "-json", file}, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found report.Report
	if err := json.Unmarshal(data, &found); err != nil {
		t.Fatal(err)
	}
	if len(found.Starts) != 1 || found.Starts[0].Server != "unbound" || found.Starts[0].Median <= 0 || len(found.Starts[0].All) != 1 {
		t.Errorf("%s", data)
	}
	if len(found.Servers) != 1 || found.Servers[0].Version == "" {
		t.Errorf("no version: %+v", found.Servers)
	}
	if !strings.Contains(out.String(), "From start to first answer") {
		t.Errorf("no table:\n%s", &out)
	}
}
