package configs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParse holds for any file: it is taken and makes sense, or each problem has a line; and what a
// variable holds is in no error and in no printed form of the configuration.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(sample))
	for _, s := range []string{"a: &a [*a]", "chaos: { version: '${S}' }", "listen: { dns: ['${S}'] }", "resolve: { forward: ['tls://1.1.1.1#${S}', 'https://${S}/${S}', '${S}'] }",
		"chains: { a: { id: 1, rpc: [{ url: 'https://${S}', operator: '${S}' }] } }", "? [a]\n: b", "chains: { a: { id: 1, checkpoint: '0x" + strings.Repeat("1", 64) + "', anchor: finalized, state: '${S}', network: x.yaml, beacon: ['https://${S}', { url: 'http://b/${S}', operator: b }], rpc: [/a] } }", "resolve: { mode: recursive, trust_anchor: '${S}', fallback: ['tls://1.1.1.1#${S}'], zones: [{ zone: a.b, stub: ['${S}', 10.0.0.1], validate: true }] }",
		"resolve: { mode: '${S}', local_root: { file: '${S}', axfr: ['${S}'] }, private: { refuse: true, zones: ['${S}'] }, ipv4: false, ipv6: false }", "names: [{ zone: '${S}' }]", "tls: { acme: { domains: ['${S}', a.example, '::1'], email: '${S}', directory: 'https://${S}', ca_file: '${S}', http: '${S}' }, name: '${S}' }\nlisten: { doq: ['${S}'] }", "doh: { path: '/${S}', trusted_proxies: ['${S}', any] }\ndiscovery: { enabled: false, addresses: ['${S}'] }\ntls: { self_signed: true, self_signed_state: a }", "${S}: 1", "listen: { dns: ['[fe80::1%${S}]:53'] }"} {
		f.Add([]byte(s))
	}
	const secret = "zq-s3cr3t-zq"
	f.Fuzz(func(t *testing.T, data []byte) {
		if strings.Contains(string(data), "s3cr3t") {
			return // the file itself says it
		}
		cfg, err := Parse("f.yaml", data, func(string) (string, bool) { return secret, true })
		if err == nil {
			showsNothing(t, cfg, "s3cr3t")
			for name, c := range cfg.Chains {
				chainMakesSense(t, name, &c)
			}
			for _, n := range cfg.Names {
				if _, ok := cfg.Chains[n.Chain]; !ok || !strings.HasSuffix(n.Zone, ".") || n.Registry.IsZero() {
					t.Fatalf("name makes no sense: %+v", n)
				}
			}
			resolveMakesSense(t, &cfg.Resolve)
			return
		}
		if strings.Contains(err.Error(), "s3cr3t") {
			t.Fatalf("the error shows a secret: %v", err)
		}
		var joined interface{ Unwrap() []error }
		if !errors.As(err, &joined) {
			t.Fatalf("not a list of problems: %v", err)
		}
		for _, e := range joined.Unwrap() {
			var p *Problem
			if strings.Contains(e.Error(), "\n") || errors.As(e, &p) && (p.Line < 1 || p.Found == "" || p.Expected == "") {
				t.Fatalf("not a whole problem: %q", e)
			}
		}
	})
}

func chainMakesSense(t *testing.T, name string, c *Chain) {
	t.Helper()
	light := c.Trust == TrustProven && (c.Anchor == AnchorOptimistic || c.Anchor == AnchorFinalized)
	switch {
	case c.ID == 0 || len(c.RPC) == 0:
	case c.Trust != TrustProven && (c.Anchor != AnchorAuto || !c.Checkpoint.IsZero()):
	case c.Trust == TrustQuorum && !c.CanAgree():
	case c.Trust == TrustProven && !c.LightClient() && c.Anchor != AnchorTrusted && !c.CanAgree():
	case c.Anchor == AnchorTrusted && len(c.Operators()) != 1:
	case light && !c.LightClient():
	case c.LightClient() && (len(c.Beacon) == 0 || c.Network == ""):
	case c.Anchor == AnchorFinalized && c.slowFinality() && c.MaxHeadAge != 0 && c.MaxHeadAge < minFinalizedHeadAge:
	default:
		return
	}
	t.Fatalf("chain %s makes no sense: %+v", name, c)
}

func resolveMakesSense(t *testing.T, r *Resolve) {
	t.Helper()
	switch {
	case r.Mode == ModeRecursive && len(r.Forward) == 0 && (r.IPv4 || r.IPv6):
	case r.Mode == ModeForward && len(r.Fallback) == 0 && !r.LocalRoot.On() && r.RootHints.Reveal() == "":
	default:
		t.Fatalf("the mode makes no sense: %+v", r)
	}
	for _, u := range r.Fallback {
		if u.Scheme != "tls" && u.Scheme != "https" {
			t.Fatalf("a fallback over plain DNS: %s", u)
		}
	}
	for _, z := range r.Zones {
		if !strings.HasSuffix(z.Zone, ".") || (len(z.Forward) > 0) == (len(z.Stub) > 0) {
			t.Fatalf("zone makes no sense: %+v", z)
		}
	}
}

func showsNothing(t *testing.T, cfg *Config, secret string) {
	t.Helper()
	out, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{string(out)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		shown = append(shown, fmt.Sprintf(verb, cfg), fmt.Sprintf(verb, *cfg))
	}
	for _, s := range shown {
		if strings.Contains(s, secret) {
			t.Fatalf("a secret shows: %s", s)
		}
	}
}
