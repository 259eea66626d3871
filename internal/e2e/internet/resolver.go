package internet

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// Resolver is a recursive resolver on the internet, fresh from its start.
type Resolver struct {
	Name    string
	Address string // of its DNS listener
	Process *bed.Process
	Dens    *bed.Server // nil for others
	source  []netip.Addr
}

// The peers send from addresses of their own, by which the log tells them apart. What comes from others is
// dens's, which sends from the address that the system picks: on loopback, that of the server.
var (
	unboundSource = []netip.Addr{netip.MustParseAddr("100.64.0.1"), netip.MustParseAddr("2a10:53::1")}
	bindSource    = []netip.Addr{netip.MustParseAddr("100.64.0.2"), netip.MustParseAddr("2a10:53::2")}
)

func (n *Internet) sources(t testing.TB, addrs []netip.Addr) {
	t.Helper()
	ip := bed.Tool(t, "ip")
	bed.Run(t, ip, "address", "replace", addrs[0].String()+"/32", "dev", "lo")
	bed.Run(t, ip, "address", "replace", addrs[1].String()+"/128", "dev", "lo", "nodad")
}

// Sent are the queries that a resolver sent since the log was emptied.
func (n *Internet) Sent(r *Resolver) []Seen {
	return n.Seen(func(s Seen) bool {
		peer := s.From == unboundSource[0] || s.From == unboundSource[1] || s.From == bindSource[0] || s.From == bindSource[1]
		if r.source == nil {
			return !peer
		}
		return s.From == r.source[0] || s.From == r.source[1]
	})
}

// StartUnbound starts Unbound with the internet's root; more are lines of its server section.
func (n *Internet) StartUnbound(t testing.TB, more ...string) *Resolver {
	t.Helper()
	n.sources(t, unboundSource)
	dir, addr := t.TempDir(), bed.Free(t)
	conf := fmt.Sprintf(`server:
	interface: 127.0.0.1@%d
	outgoing-interface: %s
	outgoing-interface: %s
	directory: %q
	chroot: ""
	username: ""
	pidfile: ""
	use-syslog: no
	logfile: ""
	do-daemonize: no
	num-threads: 1
	access-control: 127.0.0.0/8 allow
	root-hints: %q
	trust-anchor-file: %q
	ede: yes
	%s
remote-control:
	control-enable: no
`, addr.Port(), unboundSource[0], unboundSource[1], dir, n.Hints, n.Anchor, strings.Join(more, "\n\t"))
	p := bed.Start(t, bed.Tool(t, "unbound"), "-d", "-c", writeFile(t, dir, "unbound.conf", conf))
	return n.started(t, &Resolver{Name: "unbound", Address: addr.String(), Process: p, source: unboundSource})
}

// StartBIND starts BIND as a resolver with the internet's root.
func (n *Internet) StartBIND(t testing.TB) *Resolver {
	t.Helper()
	n.sources(t, bindSource)
	dir, addr := t.TempDir(), bed.Free(t)
	data, err := os.ReadFile(n.Anchor)
	if err != nil {
		t.Fatal(err)
	}
	var anchors strings.Builder
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) >= 8 {
			fmt.Fprintf(&anchors, "\t. static-ds %s %s %s \"%s\";\n", f[4], f[5], f[6], f[7])
		}
	}
	conf := fmt.Sprintf(`options {
	directory %q; pid-file none; session-keyfile none; managed-keys-directory %q;
	listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; };
	query-source address %s; query-source-v6 address %s;
	recursion yes; dnssec-validation yes; allow-query { any; }; allow-recursion { any; };
};
controls { };
%s
trust-anchors {
%s};
zone "." { type hint; file %q; };
`, dir, dir, addr.Port(), bindSource[0], bindSource[1], quietBIND, anchors.String(), n.Hints)
	p := bed.Start(t, bed.Tool(t, "named"), "-f", "-n", "2", "-c", writeFile(t, dir, "named.conf", conf))
	return n.started(t, &Resolver{Name: "bind", Address: addr.String(), Process: p, source: bindSource})
}

// StartDens starts dens with the internet's root; more are lines of its resolve section, without indentation.
func (n *Internet) StartDens(t testing.TB, more ...string) *Resolver {
	t.Helper()
	return n.StartDensWith(t, n.Hints, more...)
}

// StartDensWith is StartDens with other hints.
func (n *Internet) StartDensWith(t testing.TB, hints string, more ...string) *Resolver {
	t.Helper()
	r := n.startDensUnready(t, hints, more...)
	r.Dens.WaitReady(t)
	return r
}

// startDensUnready is StartDensWith for a dens that may never become ready.
func (n *Internet) startDensUnready(t testing.TB, hints string, more ...string) *Resolver {
	t.Helper()
	config := fmt.Sprintf("resolve:\n  mode: recursive\n  root_hints: %q\n  trust_anchor: %q\n", hints, n.Anchor)
	if !strings.Contains(strings.Join(more, "\n"), "validate:") {
		config += "  validate: true\n"
	}
	for _, line := range more {
		config += "  " + line + "\n"
	}
	s := bed.ServeUnready(t, config+"names: []\nchains: {}\n")
	return &Resolver{Name: "dens", Address: s.DNS, Process: s.Process, Dens: s}
}

// started waits until a resolver answers for the root, be it with a failure.
func (n *Internet) started(t testing.TB, r *Resolver) *Resolver {
	t.Helper()
	bed.Wait(t, 20*time.Second, r.Name+" resolves", func() bool {
		if r.Process.Exited() {
			t.Fatalf("%s ended:\n%s", filepath.Base(r.Process.Cmd.Path), r.Process.Log())
		}
		client := &dns.Client{Timeout: time.Second}
		_, _, err := client.Exchange(new(dns.Msg).SetQuestion(".", dns.TypeNS), r.Address)
		return err == nil
	})
	return r
}
