package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// interopBig is how many TXT records big.example.org has in the demo's upstream server.
const interopBig = 40

// interopRows is what resolvers that forward to dens answer.
var interopRows = []row{
	{"alice.eth", dns.TypeA, 0, []string{"192.0.2.10"}, ""},
	{"alice.eth", dns.TypeMX, 0, []string{"10 mail.alice.eth."}, ""},
	{"www.example.org", dns.TypeA, 0, []string{"198.51.100.80"}, ""},
	{"onchain.example.org", dns.TypeA, 0, []string{"192.0.2.10", "alice.eth."}, ""},
	{"bare.eth", dns.TypeA, 0, nil, "eth."},
	{"nobody.eth", dns.TypeA, dns.RcodeNameError, nil, "eth."},
}

func checkRows(t *testing.T, p *bed.Process, at string) {
	t.Helper()
	bed.Wait(t, 15*time.Second, at+" answers", func() bool {
		if p.Exited() {
			t.Fatalf("%s has ended:\n%s", p.Cmd, p.Log())
		}
		reply, err := bed.TryAsk(at, "www.example.org", dns.TypeA)
		return err == nil && reply.Rcode == dns.RcodeSuccess
	})
	for _, r := range interopRows {
		r.check(t, at)
	}
	if big := bed.Ask(t, at, "big.example.org", dns.TypeTXT); len(big.Answer) != interopBig {
		t.Errorf("big.example.org has %d TXT records, want %d", len(big.Answer), interopBig)
	}
}

// checkUnboundTLS puts an Unbound in front of dens that speaks TLS with it.
func checkUnboundTLS(t *testing.T, w *interop) {
	at := bed.Free(t)
	dir := t.TempDir()
	p := bed.Start(t, bed.Tool(t, "unbound"), "-d", "-c", placeFile(t, "unbound.conf", fmt.Sprintf(`server:
	interface: 127.0.0.1@%d
	directory: %q
	chroot: ""
	username: ""
	pidfile: ""
	use-syslog: no
	logfile: ""
	do-daemonize: no
	do-not-query-localhost: no
	module-config: "iterator"
	num-threads: 1
	tls-cert-bundle: %q
remote-control:
	control-enable: no
forward-zone:
	name: "."
	forward-tls-upstream: yes
	forward-addr: %s@853#%s
`, at.Port(), dir, w.ca, interopAddress, interopName)))
	checkRows(t, p, at.String())
}

// checkCoreDNSTLS does the same with CoreDNS.
func checkCoreDNSTLS(t *testing.T, w *interop) {
	at := bed.Free(t)
	p := bed.Start(t, bed.Tool(t, "coredns"), "-conf", placeFile(t, "Corefile", fmt.Sprintf(
		".:%d {\n\tbind 127.0.0.1\n\terrors\n\tforward . tls://%s {\n\t\ttls %s\n\t\ttls_servername %s\n\t}\n}\n", at.Port(), interopAddress, w.ca, interopName)))
	checkRows(t, p, at.String())
}

func placeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkResolved has programs of the machine ask systemd-resolved, which speaks TLS with dens and insists on its name.
func checkResolved(t *testing.T, _ *interop) {
	const stub = "127.0.0.53"
	files := t.TempDir()
	for name, text := range map[string]string{
		"resolved.conf": fmt.Sprintf("[Resolve]\nDNS=%s#%s\nDomains=~.\nDNSOverTLS=yes\nDNSSEC=no\nFallbackDNS=\nLLMNR=no\nMulticastDNS=no\n", interopAddress, interopName),
		"resolv.conf":   "nameserver " + stub + "\noptions edns0 attempts:1 timeout:10\n",
	} {
		if err := os.WriteFile(filepath.Join(files, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// Both run in a mount namespace of their own, with a resolv.conf of their own.
	within := func(script string, args ...string) *exec.Cmd {
		return exec.Command(bed.Tool(t, "unshare"), append([]string{"--mount", "sh", "-ec", script, "sh", files}, args...)...)
	}
	cmd := within(`
mkdir -p /run/systemd/resolved.conf.d
cp "$1/resolved.conf" /run/systemd/resolved.conf.d/dens.conf
exec "$2"`, bed.Tool(t, "systemd-resolved"))
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+interopTrusted)
	p := bed.StartCmd(t, cmd)
	checkRows(t, p, stub+":53")

	getent := func(args ...string) (string, int) {
		cmd := within(`mount --bind "$1/resolv.conf" /etc/resolv.conf; shift; exec "$@"`, append([]string{bed.Tool(t, "getent"), "-s", "hosts:dns"}, args...)...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	for name, want := range map[string]string{"alice.eth": "192.0.2.10", "www.example.org": "198.51.100.80"} {
		if out, code := getent("ahostsv4", name); code != 0 || !strings.HasPrefix(out, want+" ") {
			t.Errorf("getent ahostsv4 %s: exit status %d\n%s", name, code, out)
		}
	}
	const notFound = 2
	if out, code := getent("ahosts", "nobody.eth"); code != notFound {
		t.Errorf("getent ahosts nobody.eth: exit status %d\n%s", code, out)
	}
}

// checkKuboTLS resolves DNSLink by an IPFS node that asks dens over HTTPS.
func checkKuboTLS(t *testing.T, _ *interop) {
	home := t.TempDir()
	ipfs := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), bed.Tool(t, "ipfs"), args...)
		cmd.Env = append(os.Environ(), "IPFS_PATH="+home, "IPFS_TELEMETRY=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("ipfs %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	ipfs("init", "--profile", "test")
	ipfs("config", "--json", "DNS.Resolvers", fmt.Sprintf(`{"eth.": "https://%s/dns-query"}`, netip.MustParseAddr(interopAddress)))
	if got := ipfs("--offline", "name", "resolve", "bob.eth"); got != ipfsPath {
		t.Errorf("ipfs name resolve bob.eth: %q, want %q", got, ipfsPath)
	}
}
