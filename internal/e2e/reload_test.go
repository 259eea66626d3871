package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/demo"
	"dens/internal/e2e/bed"
)

// reloading is a server with its own addresses, whose configuration a test rewrites.
type reloading struct {
	*bed.Server
	listen string
}

func startReloading(t *testing.T, conf string, more ...string) *reloading {
	t.Helper()
	listen, dnsAddr, httpAddr := listenSection(t, more...)
	r := &reloading{serveWith(t, nil, dnsAddr, httpAddr, listen+conf), listen}
	r.WaitReady(t)
	t.Cleanup(func() { sigterm(t, r.Process) })
	return r
}

// write replaces the whole configuration file.
func (r *reloading) write(t *testing.T, config string) {
	t.Helper()
	if err := os.WriteFile(r.File, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

// reload sends SIGHUP and waits for the log line that says what came of it, which it returns.
func (r *reloading) reload(t *testing.T) string {
	t.Helper()
	before := len(r.Log())
	if err := r.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^.*msg=("not reloaded.*|reloaded)$`)
	var found string
	bed.Wait(t, 15*time.Second, "the log tells of the reload", func() bool {
		found = line.FindString(r.Log()[before:])
		return found != ""
	})
	return found
}

// reloadTo takes a configuration into force.
func (r *reloading) reloadTo(t *testing.T, config string) {
	t.Helper()
	r.write(t, config)
	if line := r.reload(t); strings.Contains(line, "not reloaded") {
		t.Fatal(line)
	}
}

// TestReload changes names, gateways, aliases, upstream servers and listeners of a running server.
func TestReload(t *testing.T) {
	t.Parallel()
	chain := world(t)
	nobody := startStub(t, func(reply *dns.Msg, _ dns.Question) { // a root in which nothing exists
		reply.Rcode = dns.RcodeNameError
		reply.Ns = []dns.RR{stubSOA()}
	})
	r := startReloading(t, worldConfig(chain, worldOptions{noNames: true, forward: nobody.addr}))
	row{"alice.eth", dns.TypeA, dns.RcodeNameError, nil, "."}.check(t, r.DNS) // known now, for minutes

	r.reloadTo(t, r.listen+worldConfig(chain, worldOptions{forward: nobody.addr}))
	row{"alice.eth", dns.TypeA, 0, []string{"192.0.2.10"}, ""}.check(t, r.DNS)
	row{"bob.eth", dns.TypeA, 0, []string{demo.GatewayA}, ""}.check(t, r.DNS)
	row{"alice.eth.link", dns.TypeA, dns.RcodeNameError, nil, "."}.check(t, r.DNS)

	r.reloadTo(t, r.listen+worldConfig(chain, worldOptions{forward: nobody.addr, gateway: "192.0.2.77", aliases: "eth.limo, eth.link"}))
	row{"bob.eth", dns.TypeA, 0, []string{"192.0.2.77"}, ""}.check(t, r.DNS)
	row{"alice.eth.link", dns.TypeA, 0, []string{"192.0.2.10"}, ""}.check(t, r.DNS)

	r.reloadTo(t, r.listen+worldConfig(chain, worldOptions{noNames: true}))
	row{"www.example.org", dns.TypeA, 0, []string{"198.51.100.80"}, ""}.check(t, r.DNS)
	if reply := bed.Ask(t, r.DNS, "bob.eth", dns.TypeA); len(reply.Answer) > 0 {
		t.Errorf("bob.eth is still answered after its zone is gone: %v", reply)
	}
	t.Run("listeners", func(t *testing.T) { checkListeners(t, r, chain) })
	t.Run("broken", func(t *testing.T) { checkBrokenReload(t, r, chain) })
}

// checkListeners adds, moves and removes listeners.
func checkListeners(t *testing.T, r *reloading, chain *demo.Chain) {
	conf := worldConfig(chain, worldOptions{})
	alice := row{"alice.eth", dns.TypeA, 0, []string{"192.0.2.10"}, ""}
	second, web := bed.Free(t).String(), bed.Free(t).String()
	r.reloadTo(t, fmt.Sprintf("listen: { dns: [%q, %q], http: %q }\n", r.DNS, second, r.HTTP)+conf)
	alice.check(t, r.DNS)
	alice.check(t, second)

	r.reloadTo(t, fmt.Sprintf("listen: { dns: [%q], http: %q }\n", second, web)+conf)
	alice.check(t, second)
	bed.Wait(t, 5*time.Second, "the old listeners are closed", func() bool {
		return refused("tcp", r.DNS) && refused("tcp", r.HTTP) && udpGone(r.DNS)
	})
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/dns-query?name=alice.eth"} {
		if status, body := (&bed.Server{HTTP: web}).Get(t, path); status != http.StatusOK {
			t.Errorf("%s at the new address: %d %s", path, status, body)
		}
	}
	r.reloadTo(t, r.listen+conf)
	alice.check(t, r.DNS)
	bed.Wait(t, 5*time.Second, "the second listener is closed", func() bool { return refused("tcp", second) && refused("tcp", web) })
	if status, _ := r.Get(t, "/healthz"); status != http.StatusOK {
		t.Errorf("/healthz at the first address: %d", status)
	}
}

func refused(network, addr string) bool {
	conn, err := net.DialTimeout(network, addr, time.Second)
	if err == nil {
		conn.Close()
	}
	return err != nil
}

// udpGone tells whether nobody has a UDP port: the kernel then says so.
func udpGone(addr string) bool {
	_, _, err := (&dns.Client{Timeout: time.Second}).Exchange(new(dns.Msg).SetQuestion("localhost.", dns.TypeA), addr)
	return err != nil && strings.Contains(err.Error(), "refused")
}

// checkBrokenReload wants the old configuration to stay in force, and a log line that says why.
func checkBrokenReload(t *testing.T, r *reloading, chain *demo.Chain) {
	good := r.listen + worldConfig(chain, worldOptions{})
	taken := startStub(t, addressOf("192.0.2.1")).addr
	for name, c := range map[string]struct{ conf, want string }{
		"unknown key":   {good + "cahce: {}\n", fmt.Sprintf(`dens.yaml:%d: cahce: found an unknown key`, strings.Count(good, "\n")+1)},
		"bad value":     {"cache:\n  entries: many\n" + good, `dens.yaml:2: cache.entries: found`},
		"YAML":          {good + "cache: [\n", `dens.yaml:`},
		"taken port":    {fmt.Sprintf("listen: { dns: [%q, %q], http: %q }\n", r.DNS, taken, r.HTTP) + worldConfig(chain, worldOptions{}), taken},
		"taken http":    {fmt.Sprintf("listen: { dns: [%q], http: %q }\n", r.DNS, taken) + worldConfig(chain, worldOptions{}), taken},
		"no such certs": {strings.TrimSuffix(r.listen, "\n") + fmt.Sprintf("\n  dot: [%q]\ntls: { cert: /nowhere/a.pem, key: /nowhere/b.pem }\n", bed.Free(t)) + worldConfig(chain, worldOptions{}), "/nowhere/a.pem"},
	} {
		r.write(t, c.conf)
		line := r.reload(t)
		if !strings.Contains(line, "not reloaded") || !strings.Contains(line, "level=ERROR") || !strings.Contains(strings.ReplaceAll(line, `\"`, `"`), c.want) {
			t.Errorf("%s: the log says %s, want %s in it", name, line, c.want)
		}
		row{"carol.eth", dns.TypeA, 0, []string{"192.0.2.30", "192.0.2.31"}, ""}.check(t, r.DNS)
		if status, _ := r.Get(t, "/readyz"); status != http.StatusOK {
			t.Errorf("%s: /readyz is %d", name, status)
		}
	}
	if err := os.Remove(r.File); err != nil {
		t.Fatal(err)
	}
	if line := r.reload(t); !strings.Contains(line, "not reloaded") || !strings.Contains(line, "no such file") {
		t.Errorf("without the file the log says %s", line)
	}
	r.reloadTo(t, good)
	row{"carol.eth", dns.TypeMX, 0, []string{"10 mail.carol.eth."}, ""}.check(t, r.DNS)
}

// TestReloadUnderLoad reloads many times under a stream of questions by UDP and TCP, new names and known
// ones: every question gets its right answer, at the first try.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	chain := world(t)
	r := startReloading(t, worldConfig(chain, worldOptions{}))
	var asked, wrong atomic.Int64
	var first atomic.Value
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			client := &dns.Client{Net: []string{"udp", "tcp"}[i%2], Timeout: 10 * time.Second}
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				name, want := fmt.Sprintf("s%dn%d.alice.eth.", i, n), "192.0.2.12"
				switch n % 3 {
				case 1:
					name, want = "alice.eth.", "192.0.2.10"
				case 2:
					name, want = "www.example.org.", "198.51.100.80"
				}
				reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), r.DNS)
				asked.Add(1)
				if err != nil || len(reply.Answer) != 1 || bed.Data(reply)[0] != want {
					wrong.Add(1)
					first.CompareAndSwap(nil, fmt.Sprintf("%s by %s: %v %v", name, client.Net, reply, err))
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	const reloads = 60
	for i := range reloads {
		r.reloadTo(t, r.listen+worldConfig(chain, worldOptions{gateway: fmt.Sprintf("192.0.2.%d", 100+i), aliases: []string{"eth.limo", "eth.limo, eth.link"}[i%2]}))
	}
	close(stop)
	wg.Wait()
	t.Logf("%d questions during %d reloads", asked.Load(), reloads)
	if wrong.Load() > 0 {
		t.Errorf("%d of %d questions got no or no right answer; the first: %v", wrong.Load(), asked.Load(), first.Load())
	}
	if asked.Load() < 200 {
		t.Errorf("only %d questions were asked", asked.Load())
	}
	row{"bob.eth", dns.TypeA, 0, []string{"192.0.2.159"}, ""}.check(t, r.DNS)
}

// TestReloadKeepsCache counts calls to the backend: a reload costs none for names that are known.
func TestReloadKeepsCache(t *testing.T) {
	t.Parallel()
	chain := world(t)
	proxy := bed.NewProxy(t, chain.HTTPURL())
	up := startStub(t, addressOf("198.51.100.80"))
	conf := worldConfig(chain, worldOptions{rpc: []string{proxy.URL}, forward: up.addr})
	r := startReloading(t, conf)
	names := []string{"alice.eth", "www.alice.eth", "bob.eth", "nobody.eth", "www.example.org"}
	ask := func() {
		for _, name := range names {
			if reply := bed.Ask(t, r.DNS, name, dns.TypeA); reply.Rcode != dns.RcodeSuccess && name != "nobody.eth" {
				t.Errorf("%s: %v", name, reply)
			}
		}
	}
	ask()
	for i, config := range []string{conf, conf + "log: { level: debug }\n", conf + "access: { allow: [loopback] }\n"} {
		r.reloadTo(t, r.listen+config)
		calls, hits, questions := proxy.Methods()["eth_call"], metric(t, r.Server, "dens_replies_total", `outcome="hit"`), up.count("www.example.org.")
		ask()
		if n := proxy.Methods()["eth_call"] - calls; n != 0 {
			t.Errorf("%d calls for known names after reload %d, want none", n, i)
		}
		if n := up.count("www.example.org.") - questions; n != 0 {
			t.Errorf("%d questions to the upstream server after reload %d, want none", n, i)
		}
		if n := metric(t, r.Server, "dens_replies_total", `outcome="hit"`) - hits; n != float64(len(names)) {
			t.Errorf("%v hits after reload %d, want %d", n, i, len(names))
		}
	}
}

// TestCertificateReload replaces the certificate's files under a running server, without a signal and
// with one: new connections get the new certificate, old ones live on.
func TestCertificateReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	install := func() *x509.CertPool {
		ca, newCert, newKey := bed.Certificate(t, "dens.example")
		for from, to := range map[string]string{newKey: key, newCert: cert} {
			if err := os.Rename(from, to); err != nil {
				t.Fatal(err)
			}
		}
		pem, err := os.ReadFile(ca)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			t.Fatal("no certificate in " + ca)
		}
		return pool
	}
	dot, doh := bed.Free(t).String(), bed.Free(t).String()
	oldPool := install()
	r := startReloading(t, worldConfig(world(t), worldOptions{rest: fmt.Sprintf("tls: { cert: %q, key: %q }\n", cert, key)}),
		fmt.Sprintf("  dot: [%q]\n  doh: [%q]\n  tcp_idle: 60s", dot, doh))
	old := dialTLS(t, dot, oldPool)
	askTLS(t, old)

	newPool := install()
	bed.Wait(t, 12*time.Second, "the new certificate is served", func() bool { return trusts(dot, newPool) && trusts(doh, newPool) })
	if trusts(dot, oldPool) {
		t.Error("the old certificate is still served")
	}
	askTLS(t, old)
	askTLS(t, dialTLS(t, dot, newPool))
	if !strings.Contains(r.Log(), "certificate reloaded") {
		t.Errorf("the log does not tell of the new certificate:\n%s", r.Log())
	}

	if err := os.WriteFile(cert, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	bed.Wait(t, 12*time.Second, "the log tells of the broken certificate", func() bool {
		return strings.Contains(r.Log(), "not usable")
	})
	if !trusts(dot, newPool) {
		t.Error("the last good certificate is not served any more")
	}
	lastPool := install()
	if line := r.reload(t); strings.Contains(line, "not reloaded") {
		t.Error(line)
	}
	if !trusts(dot, lastPool) || !trusts(doh, lastPool) {
		t.Error("the new certificate is not served after SIGHUP")
	}
	askTLS(t, old)
}

func trusts(addr string, pool *x509.CertPool) bool {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 3 * time.Second}, "tcp", addr, &tls.Config{RootCAs: pool, ServerName: "dens.example"})
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func dialTLS(t *testing.T, addr string, pool *x509.CertPool) *dns.Conn {
	t.Helper()
	conn, err := dns.DialTimeoutWithTLS("tcp", addr, &tls.Config{RootCAs: pool, ServerName: "dens.example"}, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func askTLS(t *testing.T, conn *dns.Conn) {
	t.Helper()
	conn.SetDeadline(time.Now().Add(10 * time.Second)) //nolint:errcheck // the read says so
	if err := conn.WriteMsg(new(dns.Msg).SetQuestion("alice.eth.", dns.TypeA)); err != nil {
		t.Fatal(err)
	}
	reply, err := conn.ReadMsg()
	if err != nil || len(reply.Answer) != 1 {
		t.Fatalf("by TLS: %v %v", reply, err)
	}
}
