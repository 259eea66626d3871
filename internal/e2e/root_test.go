package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// The name servers of the small internet, at the addresses that dens's built-in hints have for the root.
var (
	rootAddresses = []string{
		"198.41.0.4", "170.247.170.2", "192.33.4.12", "199.7.91.13", "192.203.230.10", "192.5.5.241", "192.112.36.4",
		"198.97.190.53", "192.36.148.17", "192.58.128.30", "193.0.14.129", "199.7.83.42", "202.12.27.33",
	}
	tldAddress     = "192.5.6.30"
	exampleAddress = "199.43.135.53"
)

// publicZones are the zones of the small internet by their server: com, co and io are not signed, the others are.
func publicZones() (root, tlds, example map[string]string) {
	const soa = "@ 300 SOA ns hostmaster 1 3600 900 86400 300\n"
	zone := soa
	for i, a := range rootAddresses {
		host := fmt.Sprintf("%c.root-servers.net.", 'a'+i)
		zone += fmt.Sprintf(". 518400 NS %s\n%s 518400 A %s\n", host, host, a)
	}
	tlds = map[string]string{}
	for _, tld := range []string{"com.", "co.", "io.", "org."} {
		zone += fmt.Sprintf("%s 300 NS a.nic.%s\na.nic.%s 300 A %s\n", tld, tld, tld, tldAddress)
		tlds[tld] = soa + fmt.Sprintf("%s 300 NS a.nic.%s\na.nic 300 A %s\n", tld, tld, tldAddress)
	}
	root = map[string]string{".": zone}
	for host, address := range serviceHosts() {
		tlds[host[strings.LastIndexByte(host, '.')+1:]+"."] += fmt.Sprintf("%s. 300 A %s\n", host, address)
	}
	tlds["org."] += fmt.Sprintf("example 300 NS ns.example.org.\nns.example 300 A %s\n", exampleAddress)
	example = map[string]string{"example.org.": soa + "@ 300 NS ns\nns 300 A " + exampleAddress + "\nwww 300 A 192.0.2.80\n"}
	return root, tlds, example
}

// makeRoot starts the name servers of the small internet, and returns the trust anchor of its root.
func makeRoot(t *testing.T, outside *namespace) (anchor string) {
	t.Helper()
	root, tlds, example := publicZones()
	dir := t.TempDir()
	exampleDS := signZone(t, dir, "example.org.", example)
	tlds["org."] += exampleDS
	root["."] += signZone(t, dir, "org.", tlds)
	anchor = signZone(t, dir, ".", root)
	startAuthority(t, outside, example, exampleAddress)
	startAuthority(t, outside, tlds, tldAddress)
	startAuthority(t, outside, root, rootAddresses...)
	return anchor
}

// signZone signs one of zones with a new key, and returns the DS record of that.
func signZone(t *testing.T, dir, zone string, zones map[string]string) (ds string) {
	t.Helper()
	key := strings.TrimSpace(bed.Run(t, bed.Tool(t, "dnssec-keygen"), "-q", "-K", dir, "-a", "ECDSAP256SHA256", "-f", "KSK", zone))
	plain, signed := filepath.Join(dir, "plain"), filepath.Join(dir, "signed")
	if err := os.WriteFile(plain, []byte("$ORIGIN "+zone+"\n"+zones[zone]), 0o600); err != nil {
		t.Fatal(err)
	}
	bed.Run(t, bed.Tool(t, "dnssec-signzone"), "-q", "-S", "-z", "-K", dir, "-d", dir, "-o", zone, "-O", "full", "-f", signed, plain)
	data, err := os.ReadFile(signed)
	if err != nil {
		t.Fatal(err)
	}
	zones[zone] = string(data)
	return bed.Run(t, bed.Tool(t, "dnssec-dsfromkey"), "-2", filepath.Join(dir, key))
}

// startAuthority starts NSD with zones at addresses of the namespace, until the test ends.
func startAuthority(t *testing.T, at *namespace, zones map[string]string, addresses ...string) *bed.Process {
	t.Helper()
	dir := t.TempDir()
	conf := fmt.Sprintf("server:\n\tdatabase: \"\"\n\tzonesdir: %q\n\tpidfile: \"\"\n\tzonelistfile: \"%s/zone.list\"\n\txfrdfile: \"\"\n\txfrdir: %q\n\tusername: \"\"\n\tchroot: \"\"\n\tserver-count: 1\n\trrl-ratelimit: 0\n", dir, dir, dir)
	for _, a := range addresses {
		bed.Run(t, bed.Tool(t, "ip"), "-n", at.name, "address", "add", a+"/32", "dev", "lo")
		conf += "\tip-address: " + a + "\n"
	}
	conf += "remote-control:\n\tcontrol-enable: no\n"
	some := ""
	for zone, text := range zones {
		some = zone
		file := filepath.Join(dir, "zone."+zone)
		if err := os.WriteFile(file, []byte("$ORIGIN "+zone+"\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		conf += fmt.Sprintf("zone:\n\tname: %q\n\tzonefile: %q\n\tprovide-xfr: 0.0.0.0/0 NOKEY\n", zone, file)
	}
	file := filepath.Join(dir, "nsd.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	p := bed.Start(t, bed.Tool(t, "ip"), "netns", "exec", at.name, bed.Tool(t, "nsd"), "-d", "-c", file)
	bed.Wait(t, 15*time.Second, "NSD answers for "+some, func() bool {
		if p.Exited() {
			t.Fatalf("NSD ended:\n%s", p.Log())
		}
		reply, err := bed.TryAsk(addresses[0]+":53", some, dns.TypeSOA)
		return err == nil && len(reply.Answer) > 0
	})
	return p
}
