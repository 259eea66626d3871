package internet

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// site is a program that holds zones, behind relays. Zones that are parent and child are at different
// sites, so that a query for the child gets a referral from the parent, unless their table wants otherwise.
type site struct {
	name    string // "nsd", "bind-tld": the program, and a tier
	backend netip.Addr
	addrs   []netip.Addr      // public addresses of servers without faults
	zones   map[string]string // zone file by origin
	ready   *bed.Process
}

func (s *site) program() string { program, _, _ := strings.Cut(s.name, "-"); return program }

func (s *site) address() string { return netip.AddrPortFrom(s.backend, 53).String() }

// start starts the program; wait waits until it answers.
func (s *site) start(t testing.TB) {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{}
	for i, origin := range slices.Sorted(maps.Keys(s.zones)) {
		files[origin] = writeFile(t, dir, fmt.Sprintf("%d.zone", i), s.zones[origin])
	}
	switch s.program() {
	case "bind":
		s.ready = bed.Start(t, bed.Tool(t, "named"), "-f", "-n", "1", "-c", writeFile(t, dir, "named.conf", s.bindConfig(dir, files)))
	case "nsd":
		s.ready = bed.Start(t, bed.Tool(t, "nsd"), "-d", "-c", writeFile(t, dir, "nsd.conf", s.nsdConfig(dir, files)))
	case "knot":
		s.ready = bed.Start(t, bed.Tool(t, "knotd"), "-c", writeFile(t, dir, "knot.conf", s.knotConfig(dir, files)))
	default:
		t.Fatalf("no program %s", s.name)
	}
}

func (s *site) wait(t testing.TB) {
	t.Helper()
	for origin := range s.zones {
		bed.Wait(t, 30*time.Second, fmt.Sprintf("%s answers for %s", s.name, origin), func() bool {
			if s.ready.Exited() {
				t.Fatalf("%s ended:\n%s", s.name, s.ready.Log())
			}
			client := &dns.Client{Timeout: 300 * time.Millisecond}
			reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(origin, dns.TypeSOA), s.address())
			return err == nil && reply.Rcode == dns.RcodeSuccess && reply.Authoritative
		})
	}
}

// quietBIND logs what goes wrong.
const quietBIND = "logging { channel said { stderr; severity warning; }; category default { said; }; category lame-servers { null; }; category query-errors { null; }; };"

func (s *site) bindConfig(dir string, files map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `options {
	directory %q; pid-file none; session-keyfile none; managed-keys-directory %q;
	listen-on port 53 { %s; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; empty-zones-enable no; notify no;
	minimal-responses no-auth-recursive; check-names primary ignore; max-records-per-type 0; max-types-per-name 0;
};
controls { };
%s
`, dir, dir, s.backend, quietBIND)
	for _, origin := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "zone %q { type primary; file %q; check-integrity no; check-mx ignore; check-wildcard no; };\n", origin, files[origin])
	}
	return b.String()
}

func (s *site) nsdConfig(dir string, files map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `server:
	ip-address: %s@53
	zonesdir: %q
	pidfile: ""
	database: ""
	zonelistfile: "%s/zone.list"
	xfrdfile: ""
	xfrdir: %q
	username: ""
	chroot: ""
	server-count: 1
	rrl-ratelimit: 0
	tcp-count: 500
remote-control:
	control-enable: no
`, s.backend, dir, dir, dir)
	for _, origin := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "zone:\n\tname: %q\n\tzonefile: %q\n", origin, files[origin])
	}
	return b.String()
}

func (s *site) knotConfig(dir string, files map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `server:
  rundir: %q
  listen: %s@53
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  tcp-max-clients: 500
log:
  - target: stderr
    any: warning
database:
  storage: %q
template:
  - id: default
    storage: %q
    zonefile-load: whole
    zonefile-sync: -1
    journal-content: none
    semantic-checks: off
zone:
`, dir, s.backend, dir, dir)
	for _, origin := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "  - domain: %q\n    file: %q\n", origin, files[origin])
	}
	return b.String()
}

func writeFile(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
