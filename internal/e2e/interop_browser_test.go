package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dens/internal/e2e/bed"
)

// checkChromium opens pages by names that only the browser's secure DNS can find: by HTTP/2, and by HTTP/3.
func checkChromium(t *testing.T, w *interop) {
	browse := func(flags string, names ...string) []string {
		home := browserHome(t, w.ca, w.web)
		args := []string{filepath.Join(bed.Root(), "internal", "e2e", "js", "browse.mjs"), bed.Tool(t, "chromium"), filepath.Join(home, "profile"), flags}
		for _, name := range names {
			args = append(args, "http://"+name+"/")
		}
		cmd := exec.CommandContext(t.Context(), bed.Tool(t, "node"), args...)
		cmd.Dir = bed.Path(t)
		cmd.Env = append(os.Environ(), "HOME="+home)
		var shown []string
		out, err := cmd.Output()
		if err == nil {
			err = json.Unmarshal(out, &shown)
		}
		if err != nil || len(shown) != len(names) {
			var stderr []byte
			if exit, ok := err.(*exec.ExitError); ok {
				stderr = exit.Stderr
			}
			t.Fatalf("%v\n%s%s", err, out, stderr)
		}
		return shown
	}
	// Only browsers ask for HTTPS records here (RFC 9460).
	asked := func(protocol string) float64 {
		return metric(t, w.dens, "dens_queries_total", `protocol="`+protocol+`"`, `type="HTTPS"`)
	}

	names := []string{"www.example.org", "alice.eth", "bob.eth", "nobody.eth"}
	// By its HTTPS record the browser knows that bob.eth speaks TLS (RFC 9460 section 9.5), if it comes before the
	// browser is tired of waiting for it.
	want := []string{page("http", "www.example.org"), page("http", "alice.eth"), "This is bob.eth by http", "ERR_NAME_NOT_RESOLVED"}
	for i, text := range browse("[]", names...) {
		if !strings.Contains(text, want[i]) {
			t.Errorf("http://%s/ shows %q, want %q", names[i], text, want[i])
		}
	}
	if asked("doh") == 0 {
		t.Error("no question for HTTPS came by HTTP/2")
	}
	before := asked("doh3")
	if shown := browse(fmt.Sprintf(`["--origin-to-force-quic-on=%s:443"]`, interopAddress), "alice.eth"); shown[0] != page("http", "alice.eth") {
		t.Errorf("with HTTP/3, http://alice.eth/ shows %q", shown[0])
	}
	if asked("doh3") == before {
		t.Error("no question for HTTPS came by HTTP/3")
	}
}

// browserHome is a directory of a user whose Chromium trusts two authorities and uses dens alone, as its settings
// page would have it.
func browserHome(t *testing.T, ca, web string) string {
	t.Helper()
	home := t.TempDir()
	db, profile := filepath.Join(home, ".pki", "nssdb"), filepath.Join(home, "profile")
	for _, dir := range []string{db, profile} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	certutil := bed.Tool(t, "certutil")
	bed.Run(t, certutil, "-d", "sql:"+db, "-N", "--empty-password")
	for _, file := range []string{ca, web} {
		bed.Run(t, certutil, "-d", "sql:"+db, "-A", "-t", "C,,", "-n", file, "-i", file)
	}
	state := fmt.Sprintf(`{"dns_over_https":{"mode":"secure","templates":"https://%s/dns-query{?dns}"}}`, interopAddress)
	if err := os.WriteFile(filepath.Join(profile, "Local State"), []byte(state), 0o600); err != nil {
		t.Fatal(err)
	}
	return home
}
