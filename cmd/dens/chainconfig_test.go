package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"dens/chain"
	"dens/chain/light"
	"dens/configs"
)

const (
	someRoot  = "0x85e6151a246e8fdba36db27a0c7678a575346272fe978c9281e13a8b26cdfa68"
	otherRoot = "0x1111111111111111111111111111111111111111111111111111111111111111"
)

func TestParseBuiltIn(t *testing.T) {
	if b, err := parseBuiltIn(""); b != nil || err != nil {
		t.Errorf("none: %v, %v", b, err)
	}
	b, err := parseBuiltIn("gnosis:" + someRoot + ":123456")
	if err != nil || *b != (builtIn{"gnosis", common.HexToHash(someRoot), 123456}) {
		t.Errorf("got %+v, %v", b, err)
	}
	if s := b.String(); !strings.HasPrefix(s, "gnosis "+someRoot+" slot 123456 (") || !strings.HasSuffix(s, " days old)") {
		t.Errorf("described as %q", s)
	}
	for _, s := range []string{
		"mainnet", "mainnet:" + someRoot, someRoot + ":1", "atlantis:" + someRoot + ":1", "mainnet:" + someRoot[2:] + ":1",
		"mainnet:" + someRoot + "00:1", "mainnet:0x" + strings.Repeat("0", 64) + ":1", "mainnet:0x" + strings.Repeat("g", 64) + ":1",
		"mainnet:" + someRoot + ":", "mainnet:" + someRoot + ":-1", "mainnet:" + someRoot + ":99999999999999", "mainnet:" + someRoot + ":1:",
	} {
		if b, err := parseBuiltIn(s); err == nil || !strings.Contains(err.Error(), "built in: found \""+s) {
			t.Errorf("%q: %v, %v", s, b, err)
		}
	}
}

// slotAgo is the slot of mainnet at a time before now.
func slotAgo(t *testing.T, ago time.Duration) uint64 {
	t.Helper()
	n, ok := light.Named("mainnet")
	if !ok {
		t.Fatal("no mainnet")
	}
	return n.Slot(time.Now().Add(-ago))
}

// TestWhoVouches: what vouches for blocks by the configuration and what was built in.
func TestWhoVouches(t *testing.T) {
	young := &builtIn{"mainnet", common.HexToHash(otherRoot), slotAgo(t, 24*time.Hour)}
	rpc := "rpc: [https://a.example.com, https://b.example.net]"
	for name, tt := range map[string]struct {
		keys    string
		release *builtIn
		blind   bool // no host can be looked up
		want    chain.AnchorSource
		root    string
		why     string
	}{
		"nothing":                              {"id: 1", nil, false, chain.AnchorQuorum, "", "no checkpoint is configured"},
		"a checkpoint":                         {"id: 1, checkpoint: '" + someRoot + "'", nil, false, chain.AnchorBeacon, someRoot, ""},
		"a release's":                          {"id: 1", young, false, chain.AnchorBeacon, otherRoot, ""},
		"both":                                 {"id: 1, checkpoint: '" + someRoot + "'", young, true, chain.AnchorBeacon, someRoot, ""},
		"a release's for another network":      {"id: 100, beacon: [https://c.example.com]", young, false, chain.AnchorQuorum, "", "no checkpoint is configured"},
		"a release's for a chain of one's own": {"id: 1, network: ./x.yaml", young, false, chain.AnchorQuorum, "", "no checkpoint is configured"},
		"a release's, no beacon API":           {"id: 1, beacon: []", young, false, chain.AnchorQuorum, "", "no beacon API is configured"},
		"a release's, nobody finds hosts":      {"id: 1", young, true, chain.AnchorQuorum, "", "no DNS server is configured"},
		"a release's, hosts by address":        {"id: 1, beacon: ['http://127.0.0.1:1']", young, true, chain.AnchorBeacon, otherRoot, ""},
		"quorum by its word":                   {"id: 1, anchor: quorum", young, false, chain.AnchorQuorum, "", ""},
		"an L2":                                {"id: 10", young, false, chain.AnchorQuorum, "", "no checkpoint is configured"},
		"not proven":                           {"id: 1, trust: quorum", young, false, chain.AnchorNone, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := parseConfig(t, "names: []\nchains: { a: { "+tt.keys+", "+rpc+" } }\n")
			c, err := newChainConfig("a", cfg.Chains["a"], tt.release, !tt.blind, false)
			if err != nil {
				t.Fatal(err)
			}
			root := ""
			if c.light.network != nil {
				root = c.light.checkpoint.Hex()
			}
			if c.source != tt.want || root != tt.root || !strings.HasPrefix(c.why, tt.why) || (c.why == "") != (tt.why == "") || (c.builtIn != nil) != (root == otherRoot) {
				t.Errorf("got %v, %s, %q, %v", c.source, root, c.why, c.builtIn)
			}
		})
	}
}

// TestOldRelease: a release that is too old by its own slot has a quorum vouch for blocks, and says so.
func TestOldRelease(t *testing.T) {
	conf := parseConfig(t, "names: []\nresolve: { forward: [127.0.0.1:1] }\nchains: { a: { id: 1, beacon: ['http://127.0.0.1:1'], rpc: ['http://127.0.0.1:1', 'http://127.0.0.2:1'] } }\n").Chains["a"]
	for name, tt := range map[string]struct {
		age  time.Duration
		most time.Duration
		want chain.AnchorSource
	}{
		"young":               {13 * 24 * time.Hour, 14 * 24 * time.Hour, chain.AnchorBeacon},
		"old":                 {15 * 24 * time.Hour, 14 * 24 * time.Hour, chain.AnchorQuorum},
		"old, of any age":     {500 * 24 * time.Hour, 0, chain.AnchorBeacon},
		"old, longer allowed": {15 * 24 * time.Hour, 30 * 24 * time.Hour, chain.AnchorBeacon},
	} {
		t.Run(name, func(t *testing.T) {
			conf := conf
			conf.MaxCheckpointAge = tt.most
			cfg, err := newChainConfig("a", conf, &builtIn{"mainnet", common.HexToHash(someRoot), slotAgo(t, tt.age)}, true, false)
			if err != nil {
				t.Fatal(err)
			}
			log := new(syncBuffer)
			c, err := newChain(cfg, nil, nil, newLogger(configs.Log{}, log))
			if err != nil {
				t.Fatal(err)
			}
			defer c.release()
			c.announce()
			source, why := c.anchorInForce()
			if source != tt.want || (why != "") != (tt.want == chain.AnchorQuorum) {
				t.Errorf("in force: %v, %q", source, why)
			}
			loud := strings.Contains(log.String(), "level=WARN msg=\"the checkpoint that is built into this release is 15 days old, over max_checkpoint_age: upgrade dens")
			if loud != (tt.want == chain.AnchorQuorum) {
				t.Errorf("log:\n%s", log)
			}
			if off := strings.Contains(log.String(), "max_checkpoint_age is off"); off != (tt.most == 0) {
				t.Errorf("log:\n%s", log)
			}
		})
	}
}

// TestChainFiles: what is wrong with the files that a chain names is told with their paths.
func TestChainFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("checkpoint", "# a\n"+someRoot+"\n")
	for name, tt := range map[string]struct{ checkpoint, network, want string }{
		"no checkpoint file": {filepath.Join(dir, "none"), "mainnet", "chains.a.checkpoint: open " + filepath.Join(dir, "none")},
		"a bad checkpoint":   {file("bad", "\n\n0x12\n"), "mainnet", "chains.a.checkpoint: " + filepath.Join(dir, "bad") + `:3: found "0x12", expected the root`},
		"no network file":    {good, filepath.Join(dir, "none.yaml"), "chains.a.network: open " + filepath.Join(dir, "none.yaml")},
		"a bad network":      {good, file("bad.yaml", "GENESIS_TIME: soon\n"), "chains.a.network: " + filepath.Join(dir, "bad.yaml") + ": "},
		"a huge network":     {good, file("huge.yaml", strings.Repeat("#\n", 1<<20)), "chains.a.network: " + filepath.Join(dir, "huge.yaml") + ": more than 1048576 bytes"},
		"a directory":        {good, dir + "/", "chains.a.network: read " + dir},
		"all is well":        {good, "mainnet", ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := parseConfig(t, "names: []\nchains: { a: { id: 1, rpc: [/a, /b], beacon: ['http://127.0.0.1:1'], checkpoint: '"+tt.checkpoint+"', network: '"+tt.network+"' } }\n")
			c, err := newChainConfig("a", cfg.Chains["a"], nil, false, false)
			switch {
			case tt.want == "" && (err != nil || c.light.checkpoint != common.HexToHash(someRoot)):
				t.Errorf("got %v, %v", c.light.checkpoint, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "expected")):
				t.Errorf("got %v, want %s", err, tt.want)
			}
			var p *configs.Problem
			if tt.want != "" && strings.Contains(tt.want, ":3:") && !errors.As(err, &p) {
				t.Errorf("no problem: %v", err)
			}
		})
	}
}

// TestStateNotWritable: a directory that cannot be used is said loudly, and names are answered without it.
func TestStateNotWritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	conf := parseConfig(t, "names: []\nchains: { a: { id: 1, anchor: trusted, state: '"+file+"/x', rpc: ['http://127.0.0.1:1'] } }\n").Chains["a"]
	cfg, err := newChainConfig("a", conf, nil, false, false)
	if err != nil {
		t.Fatal(err)
	}
	log := new(syncBuffer)
	c, err := newChain(cfg, nil, nil, newLogger(configs.Log{}, log))
	if err != nil {
		t.Fatal(err)
	}
	defer c.release()
	if !strings.Contains(log.String(), "level=ERROR msg=\"nothing will be remembered over a restart\"") || !strings.Contains(log.String(), "chains.a.state: ") {
		t.Errorf("log:\n%s", log)
	}
	if err := checkState(file + "/x"); err == nil {
		t.Error("dens check finds nothing wrong")
	}
	if err := checkState(filepath.Join(t.TempDir(), "a", "b")); err != nil {
		t.Errorf("a directory that can be made: %v", err)
	}
}
