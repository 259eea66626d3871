package e2e

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dens/configs"
)

// keyRows are the rows of the README's table of keys: key to default, without the backquotes.
func keyRows(t *testing.T) map[string]string {
	t.Helper()
	_, section, ok := strings.Cut(readRoot(t, "README.md"), "\n### Keys\n")
	section, _, ended := strings.Cut(section, "\n#")
	if !ok || !ended {
		t.Fatal("README.md has no section Keys")
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.+?) \\| .+ \\|$").FindAllStringSubmatch(section, -1) {
		if _, twice := rows[m[1]]; twice {
			t.Errorf("the key %s is there twice", m[1])
		}
		rows[m[1]] = m[2]
	}
	return rows
}

// configKeys adds the keys of a configuration type, as the README writes them.
func configKeys(typ reflect.Type, path string, keys map[string]bool) {
	for f := range typ.Fields() {
		key := path + f.Tag.Get("json")
		switch {
		case f.Type == reflect.TypeFor[configs.Places](): // no key
		case f.Type == reflect.TypeFor[[]configs.RPC]():
			for _, k := range []string{"", "[].url", "[].operator", "[].rate", "[].batch"} {
				keys[key+k] = true
			}
		case f.Type == reflect.TypeFor[[]configs.Beacon]():
			for _, k := range []string{"", "[].url", "[].operator"} {
				keys[key+k] = true
			}
		case f.Type.Kind() == reflect.Map:
			configKeys(f.Type.Elem(), key+".NAME.", keys)
		case f.Type.Kind() == reflect.Slice && hasKeys(f.Type.Elem()):
			configKeys(f.Type.Elem(), key+"[].", keys)
		case hasKeys(f.Type):
			configKeys(f.Type, key+".", keys)
		default:
			keys[key] = true
		}
	}
}

func hasKeys(typ reflect.Type) bool {
	return typ.Kind() == reflect.Struct && typ.NumField() > 0 && typ.Field(0).Tag.Get("json") != ""
}

// TestReadmeKeys compares the table with the configuration's types, and its defaults with the built-in ones.
func TestReadmeKeys(t *testing.T) {
	rows, want := keyRows(t), map[string]bool{}
	configKeys(reflect.TypeFor[configs.Config](), "", want)
	for key := range want {
		if rows[key] == "" {
			t.Errorf("the key %s is not in the README's table", key)
		}
	}
	for key := range rows {
		if !want[key] {
			t.Errorf("the README's table has the key %s, the configuration has not", key)
		}
	}
	if t.Failed() {
		return
	}
	// A file that sets every key to what the table says is the default must change nothing.
	def := configs.Default()
	file := defaultsFile(rows)
	cfg, err := configs.Parse("README", []byte(file), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	name := slices.Collect(maps.Keys(def.Chains))[0]
	chain := cfg.Chains["main"]
	chain.ID, chain.RPC = def.Chains[name].ID, def.Chains[name].RPC // the table gives none
	if !reflect.DeepEqual(chain, def.Chains[name]) {
		t.Errorf("chains: the README's defaults make %+v, the built-in ones are %+v", chain, def.Chains[name])
	}
	plain, err := configs.Parse("none", []byte("chains: { main: { id: 1, trust: single, rpc: [/a] } }\nnames: [{ zone: eth, chain: main }]"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(cfg.Names, plain.Names) {
		t.Errorf("names: the README's defaults make %+v, the built-in ones are %+v", cfg.Names, plain.Names)
	}
	cfg.Chains, cfg.Names = def.Chains, def.Names // in words
	cfg.Places = def.Places
	if !reflect.DeepEqual(cfg, def) {
		t.Errorf("the README's defaults make\n%+v\nand the built-in ones are\n%+v", cfg, def)
	}
}

// defaultsFile makes a configuration file of the defaults in the table, for one chain and one zone.
func defaultsFile(rows map[string]string) string {
	flow := func(prefix, more string) string {
		for _, key := range slices.Sorted(maps.Keys(rows)) {
			name, below := strings.CutPrefix(key, prefix)
			value, isCode := strings.CutPrefix(rows[key], "`")
			if below && isCode && !strings.ContainsAny(name, ".[") {
				more += fmt.Sprintf("%s: %s, ", name, strings.TrimSuffix(value, "`"))
			}
		}
		return "{ " + more + "}"
	}
	var file strings.Builder
	for _, section := range []string{"listen", "doh", "discovery", "access", "cache", "chaos", "log"} {
		fmt.Fprintf(&file, "%s: %s\n", section, flow(section+".", ""))
	}
	fmt.Fprintf(&file, "tls: %s\n", flow("tls.", "acme: "+flow("tls.acme.", "")+", "))
	below := "local_root: " + flow("resolve.local_root.", "") + ", private: " + flow("resolve.private.", "") + ", "
	fmt.Fprintf(&file, "resolve: %s\n", flow("resolve.", below))
	fmt.Fprintf(&file, "chains: { main: %s }\n", flow("chains.NAME.", "id: 1, rpc: [/a, /b], ccip: "+flow("chains.NAME.ccip.", "")+", "))
	fmt.Fprintf(&file, "names: [%s]\n", flow("names[].", "zone: eth, chain: main, gateways: "+flow("names[].gateways.", "")+", "))
	return file.String()
}
