package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// checkResumption asks by OpenSSL's client twice with each version of TLS: the second session goes on from the first.
func checkResumption(t *testing.T, w *interop) {
	for _, version := range []string{"1.3", "1.2"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			session := filepath.Join(t.TempDir(), "session.pem")
			first := askOpenSSL(t, w, version, "-sess_out", session)
			mustMatch(t, "the first session", first, `New, TLSv`+version)
			again := askOpenSSL(t, w, version, "-sess_in", session)
			mustMatch(t, "the second session", again, `Reused, TLSv`+version)
		})
	}
}

// askOpenSSL asks over a connection by s_client, and returns what that says of it.
func askOpenSSL(t *testing.T, w *interop, version string, more ...string) string {
	t.Helper()
	cmd := exec.Command(bed.Tool(t, "openssl"), append([]string{"s_client", "-connect", interopAddress + ":853", "-alpn", "dot",
		"-tls" + strings.Replace(version, ".", "_", 1), "-servername", interopName, "-verify_hostname", interopName, "-verify_return_error", "-CAfile", w.ca}, more...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := bed.StartCmd(t, cmd)
	if _, err := in.Write(framed(question(t, 77, "alice.eth", dns.TypeA))); err != nil {
		t.Fatal(err)
	}
	bed.Wait(t, 10*time.Second, "the reply", func() bool {
		if p.Exited() {
			t.Fatalf("s_client ended:\n%s", p.Log())
		}
		return strings.Contains(p.Log(), "\xc0\x00\x02\x0a")
	})
	in.Close()
	bed.Wait(t, 10*time.Second, "s_client ends", p.Exited)
	mustMatch(t, "s_client", p.Log(), `ALPN protocol: dot`)
	mustMatch(t, "s_client", p.Log(), `Verification: OK`)
	return p.Log()
}
