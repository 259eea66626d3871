package configs

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func environment(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func TestDefaultFileIsTheDefault(t *testing.T) {
	cfg, err := Load("default.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Places = Places{}
	if want := Default(); !reflect.DeepEqual(cfg, want) {
		t.Errorf("default.yaml and Default differ:\n%+v\n%+v", cfg, want)
	}
}

// TestDefaultFileHasEveryKey keeps default.yaml a complete reference: each json tag of the types stands
// in it as a key, be it in a comment.
func TestDefaultFileHasEveryKey(t *testing.T) {
	data, err := os.ReadFile("default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Slice, reflect.Map:
			walk(typ.Elem())
		case reflect.Struct:
			for f := range typ.Fields() {
				if key := f.Tag.Get("json"); key != "" && key != "-" {
					keys++
					if !strings.Contains(string(data), key+":") {
						t.Errorf("default.yaml does not have the key %s", key)
					}
				}
				if f.IsExported() {
					walk(f.Type)
				}
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	for _, key := range []string{"url", "operator", "rate", "batch"} {
		if !strings.Contains(string(data), key+":") {
			t.Errorf("default.yaml does not have the key %s", key)
		}
	}
	if keys < 60 {
		t.Errorf("only %d keys were looked for", keys)
	}
}

func TestExampleFilesLoad(t *testing.T) {
	env := environment("ETH_API_KEY", "k1", "NODE_TOKEN", "k2", "ETH_RPC_URL", "https://rpc.example.com/k3", "POD_NAME", "dens-0")
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, file := range files {
		if _, err := Load(file, env); err != nil {
			t.Errorf("%v", err)
		}
	}
}

// The sample of the design, whose keys must work as they are.
const sample = `
listen:
  dns: ["127.0.0.1:53", "[::1]:53"]     # UDP and TCP
  dot: []                               # e.g. ["0.0.0.0:853"]
  doh: []                               # e.g. ["0.0.0.0:443"]
  http: "127.0.0.1:8053"                # /healthz, /readyz, /metrics, and /dns-query without TLS
tls: { cert: "", key: "" }              # for dot and doh; files are watched and reloaded
access:
  allow: [loopback, private]            # CIDRs, or the words loopback, private, any
cache:
  entries: 200000
  stale: 24h                            # RFC 8767; 0 is off
  max_ttl: 24h
  negative_ttl: 15m
chains:
  ethereum:
    id: 1
    trust: quorum                       # single | quorum | proven
    quorum: 2
    rpc:
      - https://ethereum-rpc.publicnode.com
      - wss://example.org/ws
      - /run/geth.ipc
      - url: "https://eth.example.org/v2/${ETH_API_KEY}"
        operator: example               # endpoints of one operator count once
        rate: 50                        # requests a second
names:
  - zone: eth
    system: ens
    chain: ethereum
    registry: "0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e"
    universal_resolver: "0xeEeEEEeE14D718C2B47D9923Deab1335E144EeEe"
    aliases: [eth.limo, eth.link]
    gateways: { a: ["192.0.2.1"], aaaa: ["2001:db8::1"] }
    ttl: 300s                           # for data that carries no TTL of its own
resolve:
  forward: ["tls://9.9.9.9#dns.quad9.net", "https://1.1.1.1/dns-query", "192.0.2.53", "192.0.2.54:5300"]
  zones:
    - { zone: corp.example, forward: ["10.0.0.53"] }
log: { level: info, format: text }
`

// encrypted is the sample of the encrypted listeners, with each of its certificates in turn.
const encrypted = `
listen:
  dns: ["0.0.0.0:53", "[::]:53"]
  dot: ["0.0.0.0:853"]
  doh: ["0.0.0.0:443"]            # h2, and h3 on the same UDP port
  doq: ["0.0.0.0:853"]
tls:
  %s
doh: { path: /dns-query, trusted_proxies: [] }
`

func TestEncryptedSample(t *testing.T) {
	def := Default().TLS.ACME
	for text, want := range map[string]TLS{
		"cert: /etc/dens/cert.pem\n  key: /etc/dens/key.pem": {
			Cert: NewSecret("/etc/dens/cert.pem", "/etc/dens/cert.pem"), Key: NewSecret("/etc/dens/key.pem", "/etc/dens/key.pem"), ACME: def},
		"acme: { domains: [dns.example.org], email: ops@example.org }": {
			ACME: ACME{Domains: []string{"dns.example.org"}, Email: "ops@example.org", Directory: def.Directory, Cache: def.Cache}},
		"self_signed: true": {SelfSigned: true, ACME: def},
		"name: DNS.example.org\n  acme: { domains: [DNS.example.org., '2001:DB8::1'], directory: 'https://[::1]:14000/dir', profile: shortlived, cache: c, ca_file: ca.pem, http: ':80' }": {
			Name: "dns.example.org.", ACME: ACME{Domains: []string{"dns.example.org", "2001:db8::1"}, Directory: "https://[::1]:14000/dir", Profile: "shortlived",
				Cache: NewSecret("c", "c"), CAFile: NewSecret("ca.pem", "ca.pem"), HTTP: netip.MustParseAddrPort("[::]:80")}},
	} {
		cfg, err := Parse("dens.yaml", fmt.Appendf(nil, encrypted, text), nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if !reflect.DeepEqual(cfg.TLS, want) {
			t.Errorf("%s:\n%+v, want\n%+v", text, cfg.TLS, want)
		}
		if cfg.Listen.DoQ[0].Port() != 853 || cfg.DoH.Path != "/dns-query" || len(cfg.DoH.TrustedProxies) != 0 || !cfg.Discovery.Enabled {
			t.Errorf("%s: %+v %+v %+v", text, cfg.Listen, cfg.DoH, cfg.Discovery)
		}
	}
	cfg, err := Parse("dens.yaml", []byte("doh: { path: '/q{?dns}', trusted_proxies: [loopback, 192.0.2.1] }\ndiscovery: { enabled: false, addresses: [192.0.2.1, '2001:db8::1'] }\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.DoH.Path != "/q" || len(cfg.DoH.TrustedProxies) != 3 || cfg.Discovery.Enabled || len(cfg.Discovery.Addresses) != 2 {
		t.Errorf("%+v %+v", cfg.DoH, cfg.Discovery)
	}
}

func TestSample(t *testing.T) {
	cfg, err := Parse("dens.yaml", []byte(sample), environment("ETH_API_KEY", "opensesame"))
	if err != nil {
		t.Fatal(err)
	}
	rpc := cfg.Chains["ethereum"].RPC
	var operators []string
	for _, r := range rpc {
		operators = append(operators, r.Operator)
	}
	if got := strings.Join(operators, " "); got != "publicnode.com example.org geth.ipc example" {
		t.Errorf("operators: %s", got)
	}
	if rpc[3].URL != "https://eth.example.org/v2/opensesame" || rpc[3].Rate != 50 || rpc[3].String() != "https://eth.example.org/..." {
		t.Errorf("backend: %q %v %s", rpc[3].URL, rpc[3].Rate, rpc[3])
	}
	if !rpc[2].IPC() || rpc[1].Host() != "example.org" || !rpc[0].Batch {
		t.Errorf("backends: %v", rpc)
	}
	forward := cfg.Resolve.Forward
	if forward[0].ServerName != "dns.quad9.net" || forward[0].Port != 853 || forward[1].URL != "https://1.1.1.1/dns-query" || forward[3].Port != 5300 {
		t.Errorf("upstreams: %+v", forward)
	}
	if cfg.Names[0].Zone != "eth." || cfg.Resolve.Zones[0].Zone != "corp.example." {
		t.Errorf("zones: %q %q", cfg.Names[0].Zone, cfg.Resolve.Zones[0].Zone)
	}
}

func TestEmptyFilesAreTheDefault(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "{}\n", "listen:\nchains:\n"} {
		cfg, err := Parse("dens.yaml", []byte(text), nil)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		cfg.Places = Places{}
		if !reflect.DeepEqual(cfg, Default()) {
			t.Errorf("%q: not the default", text)
		}
	}
}
