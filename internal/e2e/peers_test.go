package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// startENS is dens over the real ENS contracts on anvil, trusting a single backend, with BIND upstream.
// more are further lines of the listen section, rest further sections.
func startENS(t *testing.T, rest string, more ...string) (*bed.Server, *bed.ENS) {
	t.Helper()
	e := bed.DeployENS(t, bed.StartAnvil(t))
	e.PlaceUniversalResolver(t)
	populate(t, e)
	upstream := bed.StartBIND(t, map[string]string{"example.org": exampleOrg + bigTXT()}).String()
	return bed.Serve(t, config(upstream, true, e.HTTP, e.WS)+rest, more...), e
}

// bigTXT is an RRset that does not fit into 1232 bytes.
func bigTXT() string {
	var zone strings.Builder
	for i := range 12 {
		fmt.Fprintf(&zone, "big TXT \"%03d %s\"\n", i, strings.Repeat("x", 200))
	}
	return zone.String()
}

func TestDownstreams(t *testing.T) {
	server, _ := startENS(t, "")
	zones := map[string]string{"eth": server.DNS, "example.org": server.DNS}
	downstreams := map[string]netip.AddrPort{
		"Unbound": bed.StartUnbound(t, zones),
		"CoreDNS": bed.StartCoreDNS(t, zones),
	}
	for name, addr := range downstreams {
		t.Run(name, func(t *testing.T) {
			for _, r := range []row{
				{"alice.eth", dns.TypeA, 0, []string{"192.0.2.10", "192.0.2.11"}, ""},
				{"alice.eth", dns.TypeMX, 0, []string{"10 mail.alice.eth."}, ""},
				{"any.alice.eth", dns.TypeA, 0, []string{"192.0.2.99"}, ""},
				{"_dnslink.bob.eth", dns.TypeTXT, 0, []string{`"dnslink=` + ipfsPath + `"`}, ""},
				{"bare.eth", dns.TypeA, 0, nil, "bare.eth."},
				{"nobody.eth", dns.TypeA, dns.RcodeNameError, nil, "eth."},
				{"alias.alice.eth", dns.TypeA, 0, []string{"192.0.2.80", "www.example.org."}, ""},
			} {
				r.check(t, addr.String())
			}
			if big := bed.Ask(t, addr.String(), "big.example.org", dns.TypeTXT); len(big.Answer) != 12 {
				t.Errorf("big.example.org has %d TXT records, want 12", len(big.Answer))
			}
		})
	}
}

func TestNSDUpstream(t *testing.T) {
	upstream := bed.StartNSD(t, map[string]string{"example.org": exampleOrg + bigTXT()})
	server := bed.Serve(t, fmt.Sprintf("chains: {}\nnames: []\nresolve: { forward: [], zones: [{ zone: example.org, forward: [%q] }] }\n", "tcp://"+upstream.String()))
	row{"www.example.org", dns.TypeA, 0, []string{"192.0.2.80"}, ""}.check(t, server.DNS)
	row{"nothing.example.org", dns.TypeA, dns.RcodeNameError, nil, "example.org."}.check(t, server.DNS)
	if big := bed.Ask(t, server.DNS, "big.example.org", dns.TypeTXT); len(big.Answer) != 12 {
		t.Errorf("big.example.org has %d TXT records, want 12", len(big.Answer))
	}
}

// TestClients asks by dig, kdig and drill over every transport.
func TestClients(t *testing.T) {
	dot, doh := bed.Free(t), bed.Free(t)
	ca, cert, key := bed.Certificate(t, "dens.example")
	server, _ := startENS(t, fmt.Sprintf("tls: { cert: %q, key: %q }\n", cert, key),
		fmt.Sprintf("  dot: [%q]", dot), fmt.Sprintf("  doh: [%q]", doh))
	addr := netip.MustParseAddrPort(server.DNS)
	at, port := "@"+addr.Addr().String(), func(a netip.AddrPort) string { return fmt.Sprint(a.Port()) }
	tls := []string{"+tls-ca=" + ca, "+tls-hostname=dens.example"}
	clients := map[string][]string{
		"dig":           {"dig", "+short", at, "-p", port(addr)},
		"dig +tcp":      {"dig", "+short", "+tcp", at, "-p", port(addr)},
		"dig +noedns":   {"dig", "+short", "+noedns", at, "-p", port(addr)},
		"dig plain DoH": {"dig", "+short", "+http-plain", at, "-p", fmt.Sprint(netip.MustParseAddrPort(server.HTTP).Port())},
		"kdig":          {"kdig", "+short", at, "-p", port(addr)},
		"kdig +tls":     slices.Concat([]string{"kdig", "+short", "+tls", at, "-p", port(dot)}, tls),
		"kdig +https":   slices.Concat([]string{"kdig", "+short", "+https", at, "-p", port(doh)}, tls),
		"drill":         {"drill", "-Q", at, "-p", port(addr)},
		"drill -t":      {"drill", "-Q", "-t", at, "-p", port(addr)},
	}
	for name, args := range clients {
		t.Run(name, func(t *testing.T) {
			tool := bed.Tool(t, args[0])
			ask := func(question ...string) []string {
				lines := strings.Fields(bed.Run(t, tool, append(slices.Clone(args[1:]), question...)...))
				slices.Sort(lines)
				return lines
			}
			if got, want := ask("alice.eth", "A"), []string{"192.0.2.10", "192.0.2.11"}; !slices.Equal(got, want) {
				t.Errorf("alice.eth A: %q, want %q", got, want)
			}
			if got, want := ask("www.example.org", "A"), []string{"192.0.2.80"}; !slices.Equal(got, want) {
				t.Errorf("www.example.org A: %q, want %q", got, want)
			}
			if name == "drill" {
				return // it leaves it to the user to come again by TCP
			}
			if got := strings.Count(strings.Join(ask("big.example.org", "TXT"), " "), "xxx\""); got != 12 {
				t.Errorf("big.example.org TXT: %d records, want 12", got)
			}
		})
	}
	out := bed.Run(t, bed.Tool(t, "dig"), at, "-p", port(addr), "+ignore", "big.example.org", "TXT")
	if !strings.Contains(out, " tc ") {
		t.Errorf("a reply that does not fit has no TC:\n%s", out)
	}
	wrong := append(slices.Clone(clients["kdig +tls"][1:len(clients["kdig +tls"])-1]), "+tls-hostname=other.example", "alice.eth")
	if out, _ := bed.RunCode(t, bed.Tool(t, "kdig"), wrong...); strings.Contains(out, "192.0.2.10") {
		t.Errorf("kdig took a certificate of another name: the test's certificates prove nothing\n%s", out)
	}
}

// TestKubo resolves the DNSLink of an on-chain name by an IPFS node whose resolver for eth is dens.
func TestKubo(t *testing.T) {
	server, _ := startENS(t, "")
	ipfs, home := bed.Tool(t, "ipfs"), t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), ipfs, args...)
		cmd.Env = append(os.Environ(), "IPFS_PATH="+home, "IPFS_TELEMETRY=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("ipfs %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("init", "--profile", "test")
	run("config", "--json", "DNS.Resolvers", fmt.Sprintf(`{"eth.": "http://%s/dns-query"}`, server.HTTP))
	if got := run("--offline", "name", "resolve", "bob.eth"); got != ipfsPath {
		t.Errorf("ipfs name resolve bob.eth: %q, want %q", got, ipfsPath)
	}
	if got := run("--offline", "resolve", "-r=false", "/ipns/bob.eth"); got != ipfsPath {
		t.Errorf("ipfs resolve /ipns/bob.eth: %q, want %q", got, ipfsPath)
	}
}

// insideVar tells a process that it is the part of TestSystemResolver that runs in the namespace.
const insideVar = "DENS_E2E_INSIDE"

// TestSystemResolver runs a host, in a network namespace, whose resolv.conf is dens, and whose dens finds
// its backend by a host name: getent and curl use on-chain names, and dens never asks itself for help.
func TestSystemResolver(t *testing.T) {
	if os.Getenv(insideVar) != "" {
		hostWithDens(t)
		return
	}
	space := fmt.Sprintf("dens-e2e-%d", os.Getpid())
	etc := filepath.Join("/etc/netns", space)
	if err := os.MkdirAll(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(etc) })
	if err := os.WriteFile(filepath.Join(etc, "resolv.conf"), []byte("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ip := bed.Tool(t, "ip")
	bed.Run(t, ip, "netns", "add", space)
	t.Cleanup(func() { exec.Command(ip, "netns", "delete", space).Run() }) //nolint:errcheck // the end of the test
	bed.Run(t, ip, "-n", space, "link", "set", "lo", "up")
	bed.Run(t, ip, "-n", space, "address", "add", "192.0.2.10/32", "dev", "lo")
	bed.Run(t, ip, "-n", space, "address", "add", "192.0.2.11/32", "dev", "lo")
	cmd := exec.CommandContext(t.Context(), ip, "netns", "exec", space, os.Args[0], "-test.run", "^TestSystemResolver$", "-test.v")
	cmd.Env = append(os.Environ(), insideVar+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestSystemResolver") {
		t.Errorf("in the namespace: %v\n%s", err, out)
	}
}

func hostWithDens(t *testing.T) {
	e := bed.DeployENS(t, bed.StartAnvil(t))
	e.PlaceUniversalResolver(t)
	populate(t, e)
	upstream := bed.StartBIND(t, map[string]string{"example.org": exampleOrg + "node A 127.0.0.1\n"}).String()
	_, port, _ := strings.Cut(strings.TrimPrefix(e.HTTP, "http://"), ":")
	byName := "http://node.example.org:" + port
	file := filepath.Join(t.TempDir(), "dens.yaml")
	conf := "listen: { dns: [\"127.0.0.1:53\"], http: \"192.0.2.10:80\" }\naccess: { allow: [loopback, 192.0.2.10] }\n" + config(upstream, true, byName, "ws"+strings.TrimPrefix(byName, "http"))
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	server := &bed.Server{Process: bed.Start(t, bed.Dens(t), "serve", "--config", file), DNS: "127.0.0.1:53", HTTP: "192.0.2.10:80"}
	server.WaitReady(t)
	if out := bed.Run(t, bed.Tool(t, "getent"), "ahostsv4", "alice.eth"); !strings.Contains(out, "192.0.2.10") {
		t.Errorf("getent ahostsv4 alice.eth: %q", out)
	}
	if out := bed.Run(t, bed.Tool(t, "getent"), "hosts", "www.example.org"); !strings.Contains(out, "192.0.2.80") {
		t.Errorf("getent hosts www.example.org: %q", out)
	}
	if out, code := bed.RunCode(t, bed.Tool(t, "getent"), "hosts", "nobody.eth"); code == 0 {
		t.Errorf("getent hosts nobody.eth: %q", out)
	}
	if out := bed.Run(t, bed.Tool(t, "curl"), "-sS", "--max-time", "10", "--retry", "3", "--retry-all-errors", "http://alice.eth/healthz"); !strings.Contains(strings.ToLower(out), "ok") {
		t.Errorf("curl http://alice.eth/healthz: %q", out)
	}
}
