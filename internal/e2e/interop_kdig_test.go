package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dens/internal/e2e/bed"
)

// kdigMode is one way in which kdig asks. QUIC has to be named last, or kdig takes TLS for it.
type kdigMode struct {
	name    string
	options []string
	session string // what kdig says of it, as a regular expression
}

var kdigModes = []kdigMode{
	{"DoT", []string{"+tls-ca", "+tls-hostname=NAME"}, `;; TLS session \(TLS1\.3\)`},
	{"DoH by POST", []string{"+tls-ca", "+tls-hostname=NAME", "+https"}, `;; HTTP session \(HTTP/2-POST\)-\(dens\.example/dns-query\)-\(status: 200\)`},
	{"DoH by GET", []string{"+tls-ca", "+tls-hostname=NAME", "+https-get"}, `;; HTTP session \(HTTP/2-GET\)-\(dens\.example/dns-query\)-\(status: 200\)`},
	{"DoQ", []string{"+tls-ca", "+tls-hostname=NAME", "+quic"}, `;; QUIC session \(QUICv1\)-\(TLS1\.3\)`},
}

func (m kdigMode) at(address, name string) []string {
	args := []string{"@" + address, "+time=10", "+retry=1"}
	for _, o := range m.options {
		args = append(args, strings.Replace(o, "NAME", name, 1))
	}
	return args
}

// checkKnot asks by kdig, whose TLS is GnuTLS, HTTP/2 nghttp2 and QUIC ngtcp2.
func checkKnot(t *testing.T, _ *interop) {
	kdig := bed.Tool(t, "kdig")
	for _, m := range kdigModes {
		t.Run(m.name, func(t *testing.T) {
			args := append(m.at(interopAddress, interopName), "+cookie="+clientCookie)
			for question, want := range map[string]string{
				"alice.eth A":         `(?m)^alice\.eth\.\s+\d+\s+IN\s+A\s+192\.0\.2\.10$`,
				"www.example.org A":   `(?m)^www\.example\.org\.\s+\d+\s+IN\s+A\s+198\.51\.100\.80$`,
				"big.example.org TXT": fmt.Sprintf(`;; Flags: qr rd ra; QUERY: 1; ANSWER: %d;`, interopBig),
				"nobody.eth A":        `status: NXDOMAIN`,
			} {
				out := bed.Run(t, kdig, slices.Concat(args, strings.Fields(question))...)
				for _, want := range []string{want, m.session, `;; COOKIE: (?i:` + clientCookie + `[0-9a-f]{32})`, `;; PADDING: \d+ B`} {
					mustMatch(t, "kdig "+question, out, want)
				}
				checkPadded(t, out)
			}
			out, _ := bed.RunCode(t, kdig, append(m.at(interopAddress, "other.example"), "alice.eth", "A")...)
			if strings.Contains(out, "192.0.2.10") {
				t.Errorf("kdig takes the certificate for another name's: the test proves nothing\n%s", out)
			}
		})
	}
	t.Run("TLS 1.2", func(t *testing.T) {
		conf := filepath.Join(t.TempDir(), "gnutls.conf")
		if err := os.WriteFile(conf, []byte("[overrides]\ndisabled-version = tls1.3\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, m := range kdigModes[:2] {
			args := append([]string{"GNUTLS_SYSTEM_PRIORITY_FILE=" + conf, kdig}, m.at(interopAddress, interopName)...)
			out := bed.Run(t, bed.Tool(t, "env"), append(args, "alice.eth", "A")...)
			mustMatch(t, m.name, out, `;; TLS session \(TLS1\.2\)`)
			mustMatch(t, m.name, out, `192\.0\.2\.10`)
		}
	})
	t.Run("plain", func(t *testing.T) {
		// Padding helps nobody where all can read along (RFC 8467 section 3).
		for _, transport := range []string{"+notcp", "+tcp"} {
			out := bed.Run(t, kdig, "@"+interopAddress, transport, "+padding=64", "alice.eth", "A")
			if !strings.Contains(out, "192.0.2.10") || strings.Contains(out, "PADDING") {
				t.Errorf("kdig %s +padding:\n%s", transport, out)
			}
		}
	})
}

// checkPadded wants a reply as long as RFC 8467 section 4.1 says.
func checkPadded(t *testing.T, out string) {
	t.Helper()
	received := regexp.MustCompile(`;; Received (\d+) B`).FindStringSubmatch(out)
	if received == nil {
		t.Errorf("kdig does not say what it received:\n%s", out)
		return
	}
	if n, err := strconv.Atoi(received[1]); err != nil || n%468 != 0 {
		t.Errorf("a reply of %s octets, want a multiple of 468", received[1])
	}
}

// checkPin runs the command that dens prints for a certificate that it made itself, and asks by each transport with
// that pin. Questions of one run share a connection.
func checkPin(t *testing.T, w *interop) {
	kdig := bed.Tool(t, "kdig")
	printed := regexp.MustCompile(`try="kdig ([^"]*\+tls-pin=(\S+) [^"]*)"`).FindStringSubmatch(w.self.Log())
	if printed == nil {
		t.Fatalf("no pin in the log:\n%s", w.self.Log())
	}
	out := bed.Run(t, kdig, strings.Fields(printed[1])...)
	mustMatch(t, "kdig "+printed[1], out, `(?m)^example\.org\.\s+\d+\s+IN\s+A\s+198\.51\.100\.1$`)
	wrong := strings.Replace(printed[1], printed[2], strings.Repeat("A", 43)+"=", 1)
	if out, _ := bed.RunCode(t, kdig, strings.Fields(wrong)...); strings.Contains(out, "198.51.100.1") {
		t.Errorf("kdig takes another pin: the test proves nothing\n%s", out)
	}
	questions := []string{"+keepopen", "example.org", "A", "www.example.org", "A", "big.example.org", "TXT", "nothing.example.org", "A"}
	for protocol, option := range map[string]string{"dot": "+tls", "doh": "+https"} {
		before := metric(t, w.self, "dens_connections_opened_total", `protocol="`+protocol+`"`)
		out := bed.Run(t, kdig, append([]string{"@" + interopSelf, "+tls-pin=" + printed[2], option}, questions...)...)
		if n := strings.Count(out, "; status: NOERROR;"); n != 3 || strings.Count(out, "; status: NXDOMAIN;") != 1 {
			t.Errorf("kdig %s +keepopen: %d answers, want 3 and one that a name does not exist\n%s", option, n, out)
		}
		if n := metric(t, w.self, "dens_connections_opened_total", `protocol="`+protocol+`"`) - before; n != 1 {
			t.Errorf("kdig %s +keepopen: %v connections, want one", option, n)
		}
	}
	out = bed.Run(t, kdig, "@"+interopSelf, "+tls-pin="+printed[2], "+quic", "example.org", "A")
	mustMatch(t, "kdig +quic", out, `(?s)QUIC session.*example\.org\.\s+\d+\s+IN\s+A\s+198\.51\.100\.1\n`)
}
