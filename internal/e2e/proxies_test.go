package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dens/internal/e2e/bed"
)

// The one client that may ask behind a proxy, and one that only says that it was that.
const (
	proxiedClient  = "192.0.2.7"
	proxiedPretend = "192.0.2.8"
)

// TestProxies puts the reverse proxies in front of dens that the pages show, as they are there: a client is taken for
// whom the proxy sees, and for nobody else that it names.
func TestProxies(t *testing.T) {
	if !isolated(t) {
		return
	}
	for _, a := range []string{proxiedClient, proxiedPretend} {
		bed.Run(t, bed.Tool(t, "ip"), "address", "add", a+"/32", "dev", "lo")
	}
	file := writeConfig(t, "listen: { dns: [\"127.0.0.1:5353\"], http: \"127.0.0.1:8053\" }\n"+
		"access: { allow: ["+proxiedClient+"] }\ndoh: { trusted_proxies: [loopback] }\nresolve: { forward: [] }\nchains: {}\nnames: []\n")
	dens := bed.Start(t, bed.Dens(t), "serve", "--config", file)
	ca, cert, key := bed.Certificate(t, "dns.example.org")
	both := filepath.Join(t.TempDir(), "both.pem")
	bed.Run(t, bed.Tool(t, "bash"), "-ec", `cat "$1" "$2" > "$3"`, "bash", cert, key, both)
	placed := strings.NewReplacer("/etc/dens/tls/fullchain.pem", cert, "/etc/dens/tls/privkey.pem", key, "/etc/haproxy/dns.example.org.pem", both)

	for kind, start := range map[string]func(t *testing.T, config string){
		"nginx": func(t *testing.T, config string) {
			whole := "daemon off;\npid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n" + config + "}\n"
			bed.Start(t, bed.Tool(t, "nginx"), "-p", t.TempDir(), "-c", written(t, whole))
		},
		"haproxy": func(t *testing.T, config string) {
			bed.Start(t, bed.Tool(t, "haproxy"), "-db", "-f", written(t, config))
		},
	} {
		t.Run(kind, func(t *testing.T) {
			blocks := readmeBlocks(t, kind)
			if len(blocks) != 1 || dens.Exited() {
				t.Fatalf("%d blocks; dens:\n%s", len(blocks), dens.Log())
			}
			start(t, placed.Replace(blocks[0].text))
			checkProxy(t, ca)
		})
	}
}

func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "proxy.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func checkProxy(t *testing.T, ca string) {
	t.Helper()
	const url = "https://dns.example.org/dns-query?name=localhost"
	ask := func(from, url string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Forwarded-For", proxiedClient)
		req.Header.Set("Forwarded", "for="+proxiedClient)
		resp, err := clientBehind(t, ca, from).Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		if err != nil || resp.StatusCode == http.StatusOK && resp.ProtoMajor != 2 {
			t.Errorf("%s: %v", resp.Proto, err)
		}
		return resp.StatusCode, string(body)
	}
	bed.Wait(t, 10*time.Second, "an answer by the proxy", func() bool {
		status, body := ask(proxiedClient, url)
		return status == http.StatusOK && strings.Contains(body, `"data":"127.0.0.1"`)
	})
	if status, body := ask(proxiedPretend, url); status != http.StatusOK || !strings.Contains(body, `"info_code":18`) {
		t.Errorf("a client that claims to be another: %d %s, want REFUSED with EDE 18", status, body)
	}
	if status, body := ask(proxiedClient, strings.Replace(url, "/dns-query", "/metrics", 1)); status == http.StatusOK || strings.Contains(body, "dens_") {
		t.Errorf("the proxy passes on /metrics: %d %.100s", status, body)
	}
}

// clientBehind is a client at an address that finds dns.example.org here, and trusts ca alone.
func clientBehind(t *testing.T, ca, from string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(ca)
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no authority: ", err)
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, net.JoinHostPort(from, "443"))
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}
