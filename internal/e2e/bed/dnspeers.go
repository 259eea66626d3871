package bed

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// writeFile writes a file into dir and returns its path.
func writeFile(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// waitDNS waits until a server answers, whatever it says.
func waitDNS(t testing.TB, p *Process, addr netip.AddrPort, name string) {
	t.Helper()
	Wait(t, 15*time.Second, addr.String()+" answers", func() bool {
		if p.Exited() {
			t.Fatalf("%s ended:\n%s", filepath.Base(p.Cmd.Path), p.Log())
		}
		query := new(dns.Msg).SetQuestion(name, dns.TypeSOA)
		client := &dns.Client{Timeout: 200 * time.Millisecond}
		_, _, err := client.Exchange(query, addr.String())
		return err == nil
	})
}

// StartBIND starts BIND with the given zones (origin to zone file) until the test ends. It refuses all else.
func StartBIND(t testing.TB, zones map[string]string) netip.AddrPort {
	t.Helper()
	dir, addr := t.TempDir(), Free(t)
	conf := fmt.Sprintf(`options {
	directory %q; pid-file none; session-keyfile none; managed-keys-directory %q;
	listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; };
	recursion no; dnssec-validation no; minimal-responses yes; empty-zones-enable no;
};
controls { };
`, dir, dir, addr.Port())
	origin := ""
	for o, text := range zones {
		origin = o
		conf += fmt.Sprintf("zone %q { type primary; file %q; };\n", o, writeFile(t, dir, o+".zone", text))
	}
	p := Start(t, Tool(t, "named"), "-g", "-c", writeFile(t, dir, "named.conf", conf), "-n", "1")
	waitDNS(t, p, addr, dns.Fqdn(origin))
	return addr
}

// StartNSD starts NSD with the given zones (origin to zone file) until the test ends.
func StartNSD(t testing.TB, zones map[string]string) netip.AddrPort {
	t.Helper()
	dir, addr := t.TempDir(), Free(t)
	conf := fmt.Sprintf(`server:
	ip-address: 127.0.0.1@%d
	zonesdir: %q
	pidfile: ""
	zonelistfile: "%s/zone.list"
	xfrdfile: ""
	xfrdir: %q
	username: ""
	chroot: ""
	server-count: 1
	rrl-ratelimit: 0
remote-control:
	control-enable: no
`, addr.Port(), dir, dir, dir)
	origin := ""
	for o, text := range zones {
		origin = o
		conf += fmt.Sprintf("zone:\n\tname: %q\n\tzonefile: %q\n", o, writeFile(t, dir, o+".zone", text))
	}
	p := Start(t, Tool(t, "nsd"), "-d", "-c", writeFile(t, dir, "nsd.conf", conf))
	waitDNS(t, p, addr, dns.Fqdn(origin))
	return addr
}

// StartUnbound starts Unbound, which forwards the given zones (to an address each) and knows no others.
func StartUnbound(t testing.TB, forward map[string]string) netip.AddrPort {
	t.Helper()
	dir, addr := t.TempDir(), Free(t)
	conf := fmt.Sprintf(`server:
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
	access-control: 127.0.0.0/8 allow
	num-threads: 1
remote-control:
	control-enable: no
`, addr.Port(), dir)
	zone := ""
	for z, to := range forward {
		zone = z
		server := netip.MustParseAddrPort(to)
		conf += fmt.Sprintf("forward-zone:\n\tname: %q\n\tforward-addr: %s@%d\n", z, server.Addr(), server.Port())
	}
	p := Start(t, Tool(t, "unbound"), "-d", "-c", writeFile(t, dir, "unbound.conf", conf))
	waitDNS(t, p, addr, dns.Fqdn(zone))
	return addr
}

// StartCoreDNS starts CoreDNS, which forwards the given zones (to an address each).
func StartCoreDNS(t testing.TB, forward map[string]string) netip.AddrPort {
	t.Helper()
	addr, conf := Free(t), ""
	zone := ""
	for z, to := range forward {
		zone = z
		conf += fmt.Sprintf("%s:%d {\n\tbind 127.0.0.1\n\terrors\n\tcache 30\n\tforward . %s\n}\n", z, addr.Port(), to)
	}
	p := Start(t, Tool(t, "coredns"), "-conf", writeFile(t, t.TempDir(), "Corefile", conf))
	waitDNS(t, p, addr, dns.Fqdn(zone))
	return addr
}
