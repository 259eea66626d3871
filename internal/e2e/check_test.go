package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dens/internal/e2e/bed"
)

// TestCheck checks configurations that work, and ones of which a part does not.
func TestCheck(t *testing.T) {
	t.Parallel()
	chain := world(t)
	const secret = "opensesame-4711"
	env := []string{"DENS_TEST_KEY=" + secret}
	wrong := bed.NewProxy(t, chain.HTTPURL())
	wrong.Set(bed.WrongChain)
	dead, deadServer := bed.Free(t), bed.Free(t)
	deadURL := fmt.Sprintf("http://%s/v2/${DENS_TEST_KEY}", dead)
	_, cert, _ := bed.Certificate(t, "dens.example")
	listen, _, _ := listenSection(t)
	secure := strings.TrimSuffix(listen, "\n") + fmt.Sprintf("\n  dot: [%q]\n", bed.Free(t))
	broken := filepath.Join(t.TempDir(), "broken.pem")
	if err := os.WriteFile(broken, []byte("-----BEGIN PRIVATE KEY-----\n"+secret+"\n-----END PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := `(?m)^demo\s+\S*127\.0\.0\.1:\d+\S*\s+\S+\s+1337\s+\d+\s+[01]\s+\S+s\s+[\d.]+(µs|ms)\s+(yes|no)\s+(all|\d+ blocks)\s+yes\s+yes\s+ok$`
	network := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(network, chain.Beacon.NetworkConfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	root, slot := chain.Beacon.Checkpoint()
	light := func(more string, beacons ...string) worldOptions {
		return worldOptions{trust: "proven", rpc: []string{chain.HTTPURL(), chain.WSURL()}, chainExt: fmt.Sprintf("    checkpoint: %q\n    network: %q\n    beacon: [\"%s\"]\n%s", root.Hex(), network, strings.Join(beacons, `", "`), more)}
	}
	tests := map[string]struct {
		conf string
		code int
		want []string
	}{
		"all is well": {listen + worldConfig(chain, worldOptions{rpc: []string{chain.HTTPURL(), chain.WSURL()}, trust: "quorum"}), 0, []string{
			`(?m)^CHAIN\s+BACKEND\s+OPERATOR\s+ID\s+HEAD\s+LAG\s+AGE\s+LATENCY\s+ARCHIVE\s+PROOFS\s+LISTS\s+BATCHES\s+VERDICT$`, good,
			`(?m)^CHAIN\s+TRUST\s+ANCHOR\s+BLOCK\s+AGE\s+VERDICT$`, `(?m)^demo\s+quorum \(2 of 2 operators\)\s+-\s+\d+\s+\S+s\s+ok$`,
			`(?m)^ZONE\s+SERVER\s+LATENCY\s+VERDICT$`, `(?m)^\.\s+` + regexp.QuoteMeta(chain.DNS) + `\s+\S+\s+ok$`,
		}},
		"a backend is dead": {listen + worldConfig(chain, worldOptions{rpc: []string{chain.HTTPURL(), deadURL}}), 1, []string{
			good, `(?m)^demo\s+\S*` + dead.String() + `\S*\s+operator2(\s+-){9}\s+.*refused`,
		}},
		"proven": {listen + worldConfig(chain, light("", chain.Beacon.URL())), 0, []string{
			good, `(?m)^demo\s+proven\s+beacon \(optimistic\)\s+\d+\s+\S+s\s+ok$`,
			`(?m)^demo\s+demo\s+` + root.Hex() + fmt.Sprintf(`\s+%d\s+\d+ \w+\s+\d+\s+ok$`, slot),
			`(?m)^demo\s+127\.0\.0\.1:\d+\s+\d+\s+\d+\s+\d+\s+ok$`,
		}},
		"a beacon API is dead": {listen + worldConfig(chain, light("", chain.Beacon.URL(), deadURL)), 1, []string{
			`(?m)^demo\s+proven\s+beacon \(optimistic\)\s+\d+\s+\S+s\s+ok$`, `(?m)^demo\s+` + dead.String() + `\s+-\s+-\s+-\s+.*refused`,
		}},
		"the checkpoint is too old": {listen + worldConfig(chain, light("    max_checkpoint_age: 1h\n", chain.Beacon.URL())), 1, []string{
			`(?m)^demo\s+proven\s+quorum \(2 of 2 operators\)\s+\d+\s+\S+s\s+.*checkpoint is too old`,
		}},
		"the checkpoint is too old, and nothing else is wanted": {listen + worldConfig(chain, light("    max_checkpoint_age: 1h\n    anchor: optimistic\n", chain.Beacon.URL())), 1, []string{
			`(?m)^demo\s+proven\s+beacon \(optimistic\)\s+-\s+-\s+.*checkpoint is too old`,
		}},
		"proven by agreement": {listen + worldConfig(chain, worldOptions{trust: "proven", rpc: []string{chain.HTTPURL(), chain.WSURL()}}), 0, []string{
			good, `(?m)^demo\s+proven\s+quorum \(2 of 2 operators\)\s+\d+\s+\S+s\s+ok: no checkpoint is configured$`,
		}},
		"no backend is left": {listen + worldConfig(chain, worldOptions{trust: "quorum", rpc: []string{chain.HTTPURL(), deadURL}}), 1, []string{
			`1 of 2 operators`,
		}},
		"a backend of another chain": {listen + worldConfig(chain, worldOptions{rpc: []string{chain.HTTPURL(), wrong.URL + "/${DENS_TEST_KEY}"}}), 1, []string{
			good, `(?m)^demo\s+\S*` + strings.TrimPrefix(wrong.URL, "http://") + `\S*\s+operator2\s.*chain.*5`,
		}},
		"an upstream server is dead": {listen + worldConfig(chain, worldOptions{forward: deadServer.String()}), 1, []string{
			good, `(?m)^\.\s+` + deadServer.String() + `\s+\S+\s+connection refused$`,
		}},
		"a certificate without its key": {secure + worldConfig(chain, worldOptions{rest: fmt.Sprintf("tls: { cert: %q, key: %q }\n", cert, broken)}), 1, []string{
			`(?m)^\S+:\d+: tls\.cert: .*` + regexp.QuoteMeta(cert), good,
		}},
		"no such certificate": {secure + worldConfig(chain, worldOptions{rest: "tls: { cert: /nowhere/a.pem, key: /nowhere/b.pem }\n"}), 1, []string{
			`(?m)^\S+:\d+: tls\.cert: .*/nowhere/a\.pem.*no such file`,
		}},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			out := runDens(t, env, "check", "--config", writeConfig(t, c.conf), "--timeout", "15s")
			if out.code != c.code {
				t.Errorf("exit status %d, want %d", out.code, c.code)
			}
			for _, pattern := range c.want {
				mustMatch(t, name, out.all(), pattern)
			}
			if strings.Contains(out.all(), secret) {
				t.Errorf("a secret shows:\n%s", out.all())
			}
		})
	}
}

// TestBrokenConfig wants file, line, key, what was found and what was expected from every command that
// reads a configuration.
func TestBrokenConfig(t *testing.T) {
	t.Parallel()
	const rpc = "    rpc: [http://127.0.0.1:1]\n"
	for name, c := range map[string]struct{ conf, want string }{
		"an unknown key":      {"log: {}\nlisten:\n  dsn: []\n", `dens.yaml:3: listen.dsn: found an unknown key, expected "dns"`},
		"an unknown section":  {"\n\nlisten: {}\ncahce: {}\n", `dens.yaml:4: cahce: found an unknown key, expected "cache"`},
		"a bad address":       {"listen:\n  dns:\n    - 127.0.0.1:5353\n    - 127.0.0.300:53\n", `dens.yaml:4: listen.dns[1]: found "127.0.0.300:53", expected an IP address and port`},
		"a bad contract":      {"names:\n  - zone: eth\n    chain: ethereum\n    registry: 0x1234\n", `dens.yaml:4: names[0].registry: found "0x1234", expected an address: 0x and 40 hex digits`},
		"a missing variable":  {"chains:\n  ethereum:\n    id: 1\n    trust: single\n    rpc:\n      - https://example.org/${DENS_NO_SUCH_KEY}\n", `dens.yaml:6: chains.ethereum.rpc[0]: found ${DENS_NO_SUCH_KEY}, which is not set, expected an environment variable of that name`},
		"a wrong type":        {"cache:\n  entries: [1]\n", `dens.yaml:2: cache.entries: found a list, expected a whole number`},
		"a word for a number": {"cache: { entries: many }\n", `dens.yaml:1: cache.entries: found "many", expected a whole number`},
		"a bad duration":      {"cache:\n  stale: soon\n", `dens.yaml:2: cache.stale: found "soon", expected a duration`},
		"a bad network":       {"access:\n  allow: [loopback, everyone]\n", `dens.yaml:2: access.allow[1]: found "everyone", expected`},
		"broken YAML":         {"listen:\n  dns: [\"127.0.0.1:53\"\nlog: {}\n", `dens.yaml:`},
		"a tab":               {"listen:\n\tdns: []\n", `dens.yaml:2: found broken YAML`},
		"too great a quorum":  {"chains:\n  ethereum:\n    id: 1\n    quorum: 3\n" + rpc, `dens.yaml:4: chains.ethereum.quorum: found 3, expected at most 1 (the number of operators)`},
		"proven by nobody":    {"chains:\n  ethereum:\n    id: 1\n    anchor: optimistic\n" + rpc, `dens.yaml:3: chains.ethereum.checkpoint: found no checkpoint, expected the root of a finalised block of the beacon chain`},
		"an unknown chain":    {"names:\n  - zone: eth\n    chain: mars\n", `dens.yaml:3: names[0].chain: found "mars", expected a key of chains: ethereum`},
		"an unknown system":   {"names:\n  - { zone: eth, chain: ethereum, system: gns }\n", `dens.yaml:2: names[0].system: found "gns", expected`},
		"no certificate":      {"listen:\n  dot: [\"127.0.0.1:8853\"]\n", `dens.yaml:1: tls.cert: found "" (the default), expected a certificate file`},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeConfig(t, c.conf)
			for _, args := range [][]string{{"serve"}, {"check"}, {"lookup", "alice.eth"}} {
				out := runDens(t, nil, append(args, "--config", file)...)
				if out.code != 1 || out.stdout != "" || !strings.Contains(out.stderr, c.want) || !strings.Contains(out.stderr, "expected") {
					t.Errorf("%s: %+v, want exit status 1 and\n%s", args[0], out, c.want)
				}
			}
		})
	}
	for _, path := range []string{"/nowhere/dens.yaml", t.TempDir()} {
		if out := runDens(t, nil, "serve", "--config", path); out.code != 1 || !strings.Contains(out.stderr, path) {
			t.Errorf("--config %s: %+v", path, out)
		}
	}
}
