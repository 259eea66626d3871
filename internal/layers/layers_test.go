// Package layers keeps the imports of dens pointing down.
package layers

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// allowed lists, for each package (or all below it, with a final "/..."), which of ours it may import.
// Tests may import more: they stand outside the house. The most exact entry counts.
var allowed = map[string][]string{
	"chain":               {},
	"chain/...":           {"chain"},
	"chain/verify":        {"chain", "chain/proof"},
	"chain/pool":          {"chain", "chain/internal/reason"},
	"chain/beacon":        {"chain", "chain/light", "chain/internal/reason"},
	"chain/internal/...":  {"chain"},
	"chain/light":         {},
	"chain/proof":         {},
	"dnssec":              {},
	"configs":             {},
	"web":                 {},
	"resolver":            {},
	"resolver/...":        {"resolver", "dnssec"},
	"resolver/onchain":    {"resolver", "dnssec", "names", "chain"},
	"resolver/recursive":  {"resolver", "dnssec", "resolver/authority", "resolver/validate", "resolver/denial", "resolver/localroot"},
	"names":               {"chain"},
	"names/...":           {"names", "chain", "internal/wire"},
	"ens":                 {"names", "chain", "internal/wire"},
	"cache":               {"internal/wire"},
	"cache/...":           {"cache", "internal/wire"},
	"server":              {"internal/wire", "server/intake", "server/packet", "server/stream", "server/doh", "server/doq", "server/certs"},
	"server/intake":       {"internal/wire"},
	"server/packet":       {"internal/wire", "server/intake"},
	"server/stream":       {"internal/wire", "server/intake"},
	"server/doh":          {"internal/wire", "server/intake", "server/stream"},
	"server/doq":          {"internal/wire", "server/intake"},
	"server/certs":        {},
	"reply":               {"resolver", "cache", "internal/wire"},
	"internal/wire":       {},
	"internal/dial":       {},
	"internal/demo":       {"internal/demo/consensus"},
	"internal/demo/...":   {},
	"cmd/...":             {"*"},
	"internal/e2e/...":    {"*"},
	"internal/bench":      {"*"},
	"internal/bench/...":  {"*"},
	"internal/layers/...": {},
}

// libraries says who may know a library (by the prefix of its import path).
var libraries = map[string][]string{
	"github.com/miekg/dns":                {"resolver", "dnssec", "reply", "internal/demo", "internal/e2e", "internal/bench", "cmd"},
	"github.com/ethereum/go-ethereum":     {"chain", "ens", "names/", "internal/demo", "internal/e2e", "cmd"},
	"github.com/wealdtech/go-ens":         {"ens"},
	"github.com/prometheus":               {"web", "cmd"},
	"github.com/spf13/cobra":              {"cmd"},
	"go.yaml.in/yaml":                     {"configs", "chain/light"},
	"github.com/consensys/gnark-crypto":   {"chain/light", "internal/demo/consensus"},
	"github.com/hashicorp/golang-lru":     {"cache", "ens", "chain", "resolver"},
	"github.com/adraffy/go-ens-normalize": {"ens"},
	"github.com/quic-go":                  {"server/doq", "internal/bench", "internal/e2e"},
}

func TestArrowsPointDown(t *testing.T) {
	root := filepath.Join("..", "..")
	checked := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() && path != root {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return filepath.SkipDir // a module of its own: a peer that a test builds
			}
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		checked++
		checkFile(t, path, filepath.ToSlash(rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 20 {
		t.Fatalf("only %d files were read: the walk starts in the wrong place", checked)
	}
}

func checkFile(t *testing.T, path, pkg string) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range file.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if ours, ok := strings.CutPrefix(target, "dens/"); ok {
			if !mayImport(pkg, ours) {
				t.Errorf("%s: %s must not import %s: the arrow points up", path, pkg, ours)
			}
			continue
		}
		for library, friends := range libraries {
			if strings.HasPrefix(target, library) && !isFriend(pkg, friends) {
				t.Errorf("%s: %s must not know %s", path, pkg, library)
			}
		}
	}
}

func mayImport(pkg, target string) bool {
	list, ok := allowed[pkg]
	for p := pkg; !ok; list, ok = allowed[p+"/..."] {
		if p = filepath.ToSlash(filepath.Dir(p)); p == "." {
			return false
		}
	}
	for _, a := range list {
		if a == target || a == "*" {
			return true
		}
	}
	return false
}

func isFriend(pkg string, friends []string) bool {
	for _, f := range friends {
		if pkg == f || strings.HasPrefix(pkg, strings.TrimSuffix(f, "/")+"/") {
			return true
		}
	}
	return false
}

func TestRules(t *testing.T) {
	tests := []struct {
		pkg, target string
		want        bool
	}{
		{"chain", "names", false},
		{"chain/pool", "chain", true},
		{"chain/quorum", "chain/pool", false},
		{"cache", "server", false},
		{"cmd/dens", "server", true},
		{"resolver/forward", "names", false},
		{"resolver/onchain", "names", true},
		{"unheard/of", "chain", false},
	}
	for _, tt := range tests {
		if got := mayImport(tt.pkg, tt.target); got != tt.want {
			t.Errorf("mayImport(%q, %q) = %v, want %v", tt.pkg, tt.target, got, tt.want)
		}
	}
}
