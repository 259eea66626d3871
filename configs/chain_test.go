package configs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const someRoot = "0x85e6151a246e8fdba36db27a0c7678a575346272fe978c9281e13a8b26cdfa68"

// chainText is a file with one chain of these keys, two backends and no names.
func chainText(keys string) string {
	return "names: []\nchains:\n  a:\n    rpc: [https://a.example.com, https://b.example.net]\n    " + strings.ReplaceAll(keys, "; ", "\n    ") + "\n"
}

// TestChainProblems names, for each mistake about who vouches for a chain, the lines that a user sees.
func TestChainProblems(t *testing.T) {
	for name, tt := range map[string]struct {
		keys string // from line 5 on
		want []string
	}{
		"unknown trust":                   {"id: 1; trust: sure", []string{`dens.yaml:6: chains.a.trust: found "sure", expected proven or quorum or single`}},
		"unknown anchor":                  {"id: 1; anchor: beacon", []string{`dens.yaml:6: chains.a.anchor: found "beacon", expected optimistic or finalized or quorum or trusted`}},
		"an anchor that is nothing":       {"id: 1; anchor:", []string{`chains.a.anchor: found nothing, expected optimistic or`}},
		"anchor with trust quorum":        {"id: 1; trust: quorum; anchor: finalized", []string{`dens.yaml:7: chains.a.anchor: found anchor with trust: quorum, expected trust: proven, or no anchor`}},
		"light client with trust single":  {"id: 1; trust: single; checkpoint: '" + someRoot + "'; state: /x; beacon: [https://c.example]; max_checkpoint_age: 1h", []string{`dens.yaml:7: chains.a.checkpoint: found checkpoint with trust: single, expected trust: proven, or no checkpoint`, `chains.a.state: found state with trust: single`, `chains.a.beacon: found`, `chains.a.max_checkpoint_age: found`}},
		"light client with anchor quorum": {"id: 1; anchor: quorum; checkpoint: '" + someRoot + "'; network: mainnet", []string{`chains.a.checkpoint: found checkpoint with anchor: quorum, expected anchor: optimistic or finalized, or no checkpoint`, `chains.a.network: found network with anchor: quorum`}},
		"no checkpoint":                   {"id: 1; anchor: optimistic", []string{`dens.yaml:4: chains.a.checkpoint: found no checkpoint, expected the root of a finalised block of the beacon chain, since anchor: optimistic begins with one, or anchor: quorum`}},
		"no network":                      {"id: 137; checkpoint: '" + someRoot + "'; beacon: [https://c.example]", []string{`chains.a.network: found no network, expected the path of the config.yaml`}},
		"no beacon API":                   {"id: 11155111; checkpoint: '" + someRoot + "'", []string{`chains.a.beacon: found no beacon API, expected at least one for the light client`}},
		"nothing of all that":             {"id: 137; anchor: finalized", []string{`chains.a.checkpoint: found no checkpoint`, `chains.a.network: found no network`, `chains.a.beacon: found no beacon API`}},
		"mistyped network":                {"id: 1; network: mainet", []string{`chains.a.network: found "mainet", expected gnosis or hoodi or mainnet or sepolia, or the path of a consensus layer's config.yaml`}},
		"network of another chain":        {"id: 1; network: sepolia", []string{`dens.yaml:6: chains.a.network: found "sepolia", expected mainnet, since the chain's id is 1`}},
		"network of another chain, L2":    {"id: 137; network: mainnet", []string{`chains.a.network: found "mainnet", expected the path of the config.yaml of this chain's network, since its id is 137`}},
		"mistyped root":                   {"id: 1; checkpoint: '" + someRoot[:65] + "'", []string{`chains.a.checkpoint: found "` + someRoot[:65] + `", expected the root of a beacon block: 0x and 64 hex digits, or the path of a file`}},
		"root without 0x":                 {"id: 1; checkpoint: '" + someRoot[2:] + "'", []string{`chains.a.checkpoint: found "` + someRoot[2:]}},
		"root of nothing":                 {"id: 1; checkpoint: '0x" + strings.Repeat("0", 64) + "'", []string{`chains.a.checkpoint: found "0x0000`}},
		"checkpoint's path by variable":   {"id: 1; checkpoint: '${KEY}'", []string{`chains.a.checkpoint: found "${KEY}", expected the root`}},
		"network by variable":             {"id: 1; network: '${KEY}.yaml'", []string{`chains.a.network: found "${KEY}.yaml", expected gnosis or`}},
		"state by variable":               {"id: 1; state: '${KEY}'", []string{`chains.a.state: found "${KEY}", expected the path of a file without a variable`}},
		"finality that is too young":      {"id: 1; anchor: finalized; max_head_age: 5m; checkpoint: '" + someRoot + "'", []string{`dens.yaml:7: chains.a.max_head_age: found 5m, expected at least 20m with anchor: finalized: a block is final 13 to 19 minutes after it was made`}},
		"trusted, of two operators":       {"id: 1; anchor: trusted", []string{`dens.yaml:4: chains.a.rpc: found backends of 2 operators with anchor: trusted, expected those of one, since each of them is believed`}},
		"quorum of one, trust quorum":     {"id: 1; trust: quorum; quorum: 1", []string{`chains.a.quorum: found 1, expected at least 2 (or trust: proven with anchor: trusted for a node of your own, or trust: single)`}},
		"quorum over the operators":       {"id: 1; anchor: quorum; quorum: 3", []string{`chains.a.quorum: found 3, expected at most 2 (the number of operators)`}},
		"beacon API as WebSocket":         {"id: 1; beacon: ['wss://c.example/KEY']", []string{`chains.a.beacon[0]: found "wss://c.example/...", expected the URL of a beacon API`}},
		"beacon API with its path":        {"id: 1; beacon: [https://c.example/eth/v1/beacon/light_client]", []string{`chains.a.beacon[0]: found "https://c.example/...", expected the URL of a beacon API (https:// or http://), without what begins with /eth/`}},
		"beacon API with a query":         {"id: 1; beacon: ['https://c.example/?k=KEY']", []string{`chains.a.beacon[0]: found "https://c.example/...", expected`}},
		"beacon API as a socket":          {"id: 1; beacon: [/run/lodestar.sock]", []string{`chains.a.beacon[0]: found "/run/lodestar.sock", expected the URL of a beacon API`}},
		"beacon API twice":                {"id: 1; beacon: [https://c.example, https://c.example]", []string{`chains.a.beacon: found element 1 a second time (https://c.example), expected each beacon API once`}},
		"hidden beacon API":               {"id: 1; beacon: ['${KEY}']", []string{`chains.a.beacon[0]: found a host or path that comes from a variable, expected an operator key`}},
		"beacon API with a rate":          {"id: 1; beacon: [{ url: 'https://c.example', rate: 5 }]", []string{`chains.a.beacon[0].rate: found an unknown key`}},
		"a broken trust alone":            {"id: 1; trust: [single]; anchor: finalized; quorum: 9", []string{`chains.a.trust: found a list, expected proven`}},
		"no time at all":                  {"id: 1; max_checkpoint_age: 1m", []string{`chains.a.max_checkpoint_age: found "1m", expected a duration from 1h to`}},
	} {
		t.Run(name, func(t *testing.T) { wantProblems(t, chainText(tt.keys), tt.want) })
	}
}

// TestBootstrapForBeacon: the light client's hosts must be resolved too.
func TestBootstrapForBeacon(t *testing.T) {
	text := "names: []\nresolve: { forward: [] }\nchains: { a: { id: 1, anchor: ANCHOR, rpc: ['http://127.0.0.1:8545'], checkpoint: '" + someRoot + "', beacon: ['http://BEACON:5052'] } }\n"
	with := func(anchor, host string) string {
		return strings.NewReplacer("ANCHOR", anchor, "BEACON", host).Replace(text)
	}
	wantProblems(t, with("optimistic", "beacon.example"), []string{`resolve.bootstrap: found no address`})
	if _, err := Parse("dens.yaml", []byte(with("finalized", "127.0.0.1")), nil); err != nil {
		t.Error(err)
	}
}

// TestAnchors has what the keys of a chain come to.
func TestAnchors(t *testing.T) {
	type outcome struct {
		light, needsQuorum bool
		network            string
		beacon             int
		head               time.Duration
	}
	for name, tt := range map[string]struct {
		keys string
		want outcome
	}{
		"mainnet, nothing said":     {"id: 1", outcome{false, true, "mainnet", 3, 5 * time.Minute}},
		"mainnet, empty words":      {"id: 1; anchor: ''; checkpoint: ''; network: ''; state: ''", outcome{false, true, "mainnet", 3, 5 * time.Minute}},
		"mainnet, checkpoint":       {"id: 1; checkpoint: '" + someRoot + "'", outcome{true, false, "mainnet", 3, 5 * time.Minute}},
		"mainnet, checkpoint alone": {"id: 1; quorum: 5; checkpoint: /etc/dens/checkpoint", outcome{true, false, "mainnet", 3, 5 * time.Minute}},
		"checkpoint of a variable":  {"id: 1; checkpoint: '${ROOT}'", outcome{true, false, "mainnet", 3, 5 * time.Minute}},
		"finalized":                 {"id: 1; anchor: finalized; checkpoint: '" + someRoot + "'", outcome{true, false, "mainnet", 3, 30 * time.Minute}},
		"finalized, of any age":     {"id: 1; anchor: finalized; max_head_age: 0; checkpoint: '" + someRoot + "'", outcome{true, false, "mainnet", 3, 0}},
		"sepolia":                   {"id: 11155111; checkpoint: '" + someRoot + "'; beacon: [{ url: 'https://${HOST}.example', operator: mine }]", outcome{true, false, "sepolia", 1, 5 * time.Minute}},
		"hoodi":                     {"id: 560048", outcome{false, true, "hoodi", 0, 5 * time.Minute}},
		"gnosis":                    {"id: 100", outcome{false, true, "gnosis", 0, 5 * time.Minute}},
		"a network of one's own":    {"id: 1; network: /etc/dens/config.yaml; checkpoint: f; beacon: [http://127.0.0.1:5052]", outcome{true, false, "/etc/dens/config.yaml", 1, 5 * time.Minute}},
		"L2":                        {"id: 10", outcome{false, true, "", 0, 5 * time.Minute}},
		"anchor quorum":             {"id: 1; anchor: quorum", outcome{false, true, "mainnet", 3, 5 * time.Minute}},
		"trust single":              {"id: 1; trust: single; quorum: 9; anchor: ''", outcome{false, false, "mainnet", 3, 5 * time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := Parse("dens.yaml", []byte(chainText(tt.keys)), environment("ROOT", someRoot, "HOST", "beacon"))
			if err != nil {
				t.Fatal(err)
			}
			c := cfg.Chains["a"]
			if got := (outcome{c.LightClient(), c.needsQuorum(), c.Network, len(c.Beacon), c.MaxHeadAge}); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestTrustedNodes(t *testing.T) {
	cfg, err := Parse("f.yaml", []byte("names: []\nchains: { a: { id: 10, anchor: trusted, state: /x, rpc: [{ url: 'http://127.0.0.1:1', operator: me }, { url: 'http://127.0.0.2:1', operator: me }] } }\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c := cfg.Chains["a"]; c.BeaconAnchor() || c.LightClient() || c.CanAgree() || c.needsQuorum() {
		t.Errorf("got %+v", c)
	}
}

func TestNetworkFile(t *testing.T) {
	for network, isFile := range map[string]bool{"": false, "mainnet": false, "gnosis": false, "./mainnet": true, "x.yaml": true} {
		if path, got := (&Chain{Network: network}).NetworkFile(); got != isFile || path != network {
			t.Errorf("%q: %q, %v", network, path, got)
		}
	}
}

func TestCheckpointFile(t *testing.T) {
	root, _ := parseRoot(someRoot)
	for name, tt := range map[string]struct {
		text, want string // want "" is the root
	}{
		"alone":            {someRoot, ""},
		"with comments":    {"# of slot 5\r\n\r\n  " + someRoot + "\t# from a friend\r\n\n", ""},
		"empty":            {"", `:1: found no root, expected the root of a beacon block: 0x and 64 hex digits`},
		"comments alone":   {"# a\n# b\n", `:2: found no root`},
		"mistyped":         {"#\n" + someRoot[1:], `:2: found "` + someRoot[1:] + `", expected the root`},
		"a digit too many": {someRoot + "0", `:1: found "`},
		"two":              {someRoot + "\n\n" + someRoot, `:3: found "` + someRoot + `" after the root on line 1, expected one root and nothing else`},
		"zero":             {"0x" + strings.Repeat("00", 32), `:1: found "0x00`},
		"too large":        {strings.Repeat("#\n", 40<<10), `:1: found more than 65536 bytes`},
		"bytes":            {"\x00\xff\x1b[2J", `:1: found "\x00\xff\x1b[2J"`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "checkpoint")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Checkpoint{File: path}.Read("chains.a.checkpoint")
			switch {
			case tt.want == "" && (err != nil || got != root):
				t.Errorf("got %x, %v", got, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), path+tt.want) || got != [32]byte{}):
				t.Errorf("got %x, %v, want %s", got, err, tt.want)
			}
			var p *Problem
			if err != nil && !errors.As(err, &p) {
				t.Errorf("no problem: %v", err)
			}
		})
	}
	if _, err := (Checkpoint{File: filepath.Join(t.TempDir(), "none")}).Read("k"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "k: open ") {
		t.Errorf("a file that is not there: %v", err)
	}
	if got, err := (Checkpoint{Root: root}).Read("k"); err != nil || got != root {
		t.Errorf("a root: %x, %v", got, err)
	}
}

// FuzzCheckpointFile: what is taken is a root that stands in the text, and is not zero.
func FuzzCheckpointFile(f *testing.F) {
	for _, s := range []string{someRoot, "# a\n" + someRoot + " # b", "0x", "", someRoot + "\n" + someRoot} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		root, problem := parseCheckpointFile(text)
		if problem != nil {
			if problem.Line < 1 || problem.Found == "" || problem.Expected == "" || strings.Contains(problem.Error(), "\n") {
				t.Fatalf("not a whole problem: %+v", problem)
			}
			return
		}
		if root == [32]byte{} || !strings.Contains(strings.ToLower(text), Checkpoint{Root: root}.String()) {
			t.Fatalf("%x is not in %q", root, text)
		}
	})
}

func TestBeaconHidesKeys(t *testing.T) {
	cfg, err := Parse("f.yaml", []byte("chains: { ethereum: { id: 1, rpc: [/a, /b], beacon: ['https://u:pw@beacon.example.com/v1/${K}/', { url: 'https://${K}.example', operator: mine }] } }"), environment("K", "s3cr3t"))
	if err != nil {
		t.Fatal(err)
	}
	b := cfg.Chains["ethereum"].Beacon
	if b[0].URL != "https://u:pw@beacon.example.com/v1/s3cr3t/" || b[0].Operator != "example.com" || b[0].Hidden() ||
		b[0].String() != "https://beacon.example.com/..." || !b[1].Hidden() || b[1].Operator != "mine" {
		t.Errorf("got %s %s, %s %s", b[0], b[0].Operator, b[1], b[1].Operator)
	}
	showsNothing(t, cfg, "s3cr3t")
	showsNothing(t, cfg, "pw@")
	if !reflect.DeepEqual(cfg.Chains["ethereum"].Operators(), []string{"a", "b"}) {
		t.Errorf("operators: %v", cfg.Chains["ethereum"].Operators())
	}
}

// TestLocate says where the file has the key of what is wrong with a file that it names.
func TestLocate(t *testing.T) {
	cfg, err := Parse("dens.yaml", []byte("log: {}\nresolve:\n  root_hints: /none\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	broken := &KeyError{"resolve.root_hints", os.ErrNotExist}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("start: %w", broken), "dens.yaml:3: start: resolve.root_hints: file does not exist"},
		{&KeyError{"resolve.trust_anchor", os.ErrNotExist}, "resolve.trust_anchor: file does not exist"},
		{os.ErrNotExist, "file does not exist"},
	} {
		if got := cfg.Locate(tt.err); got.Error() != tt.want || !errors.Is(got, os.ErrNotExist) {
			t.Errorf("got %v, want %s", got, tt.want)
		}
	}
	if got := cfg.Locate(nil); got != nil {
		t.Errorf("got %v", got)
	}
}
