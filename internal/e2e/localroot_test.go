package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dens/internal/e2e/bed"
)

// TestLocalRoot serves from a copy of the root zone (RFC 8806), which is got by transfer or from a file
// and verified by its ZONEMD, while no root server answers any more.
func TestLocalRoot(t *testing.T) {
	if !isolated(t) {
		return
	}
	outside := makeHome(t)
	root, tlds, example := publicZones()
	dir := t.TempDir()
	tlds["org."] += signZone(t, dir, "example.org.", example)
	root["."] += signZone(t, dir, "org.", tlds)
	copyFile, anchor := signRoot(t, root)
	startAuthority(t, outside, example, exampleAddress)
	startAuthority(t, outside, tlds, tldAddress)
	servers := startAuthority(t, outside, root, rootAddresses...)

	kept := filepath.Join(dir, "kept")
	chain := world(t)
	transferred := bed.ServeUnready(t, rootedConfig(chain, fmt.Sprintf("trust_anchor: %q, local_root: { axfr: [%s], cache: %q }", anchor, rootAddresses[0], kept)))
	bed.Wait(t, 20*time.Second, "the copy is in use", func() bool { return strings.Contains(transferred.Log(), "local root zone in use") })
	servers.Stop(t, syscall.SIGTERM)
	read := bed.ServeUnready(t, rootedConfig(chain, fmt.Sprintf("trust_anchor: %q, local_root: { file: %q }", anchor, copyFile)))
	bed.Wait(t, 20*time.Second, "the file is in use", func() bool { return strings.Contains(read.Log(), "local root zone in use") })
	for name, s := range map[string]*bed.Server{"transferred": transferred, "read": read} {
		if reply := askSecurely(t, s.DNS, "www.example.org"); reply.Rcode != 0 || !reply.AuthenticatedData || len(reply.Answer) != 1 {
			t.Errorf("%s: www.example.org: %v", name, reply)
		}
		if reply := askSecurely(t, s.DNS, "no.such"); reply.Rcode != 3 || !reply.AuthenticatedData {
			t.Errorf("%s: no.such: %v", name, reply)
		}
	}
	if info, err := os.Stat(kept); err != nil || info.Size() == 0 {
		t.Errorf("the copy was not kept: %v", err)
	}
	out := runDens(t, nil, "lookup", "www.example.org", "A", "--trace", "--config", read.File)
	if out.code != 0 || !strings.Contains(out.stdout, "192.0.2.80") {
		t.Errorf("lookup: %+v", out)
	}
	mustMatch(t, "lookup", out.stdout, `(?m) org\. A +\. +local +- +referral to org\.$`)

	// A copy with another address in it is none.
	text, err := os.ReadFile(copyFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copyFile, []byte(strings.ReplaceAll(string(text), tldAddress, "192.5.6.66")), 0o600); err != nil {
		t.Fatal(err)
	}
	out = runDens(t, nil, "check", "--config", read.File)
	if out.code == 0 || !strings.Contains(out.all(), "digest") {
		t.Errorf("check of a changed copy: %+v", out)
	}
}

// signRoot signs the root zone with its digest in it, and returns the files of the zone and its DS.
func signRoot(t *testing.T, zones map[string]string) (zone, ds string) {
	t.Helper()
	dir := t.TempDir()
	key := filepath.Join(dir, strings.TrimSpace(bed.Run(t, bed.Tool(t, "sh"), "-c", "cd "+dir+" && "+bed.Tool(t, "ldns-keygen")+" -k -a ECDSAP256SHA256 .")))
	plain, signed := filepath.Join(dir, "root"), filepath.Join(dir, "root.signed")
	if err := os.WriteFile(plain, []byte("$ORIGIN .\n"+zones["."]), 0o600); err != nil {
		t.Fatal(err)
	}
	bed.Run(t, bed.Tool(t, "ldns-signzone"), "-z", "simple:sha384", "-o", ".", "-f", signed, plain, key)
	data, err := os.ReadFile(signed)
	if err != nil {
		t.Fatal(err)
	}
	zones["."] = string(data)
	return signed, key + ".ds"
}
