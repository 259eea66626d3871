package bed

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Pebble is a running ACME server.
type Pebble struct {
	*Process
	Directory string // URL
	CA        string // file of the authority that vouches for the server itself

	management string
	client     *http.Client
}

// PebbleConfig says how a Pebble checks who has a name, and what it signs.
type PebbleConfig struct {
	Host      string         // name of the server itself
	DNS       netip.AddrPort // the DNS server that it asks
	HTTP, TLS uint16         // the ports that challenges are looked for at
	Validity  time.Duration  // of certificates; 90 days
}

// StartPebble starts an ACME server that loses one nonce in five, and waits until it answers.
func StartPebble(t testing.TB, conf PebbleConfig) *Pebble {
	t.Helper()
	if conf.Validity == 0 {
		conf.Validity = 90 * 24 * time.Hour
	}
	ca, cert, key := Certificate(t, conf.Host)
	listen := Free(t)
	p := &Pebble{CA: ca, Directory: fmt.Sprintf("https://%s:%d/dir", conf.Host, listen.Port()), management: Free(t).String()}
	text, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen.String(), "managementListenAddress": p.management,
		"certificate": cert, "privateKey": key, "httpPort": conf.HTTP, "tlsPort": conf.TLS,
		"retryAfter":   map[string]int{"authz": 1, "order": 1},
		"keyAlgorithm": "ecdsa",
		"profiles":     map[string]any{"default": map[string]any{"description": "of a test", "validityPeriod": int(conf.Validity.Seconds())}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(data)
	p.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}, Timeout: 5 * time.Second}
	cmd := exec.Command(Tool(t, "pebble"), "-strict", "-config", writeFile(t, t.TempDir(), "pebble.json", string(text)), "-dnsserver", conf.DNS.String())
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=20")
	p.Process = StartCmd(t, cmd)
	Wait(t, 20*time.Second, "Pebble answers", func() bool {
		if p.Exited() {
			t.Fatalf("Pebble ended:\n%s", p.Log())
		}
		_, err := p.get("/roots/0")
		return err == nil
	})
	return p
}

// Root is the file of the root that Pebble's certificates lead to, another one at each start.
func (p *Pebble) Root(t testing.TB) string {
	t.Helper()
	text, err := p.get("/roots/0")
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, t.TempDir(), "root.pem", text)
}

func (p *Pebble) get(path string) (string, error) {
	resp, err := p.client.Get("https://" + p.management + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", resp.Status)
	}
	return string(data), err
}
