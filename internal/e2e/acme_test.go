package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// serveHosts starts a DNS server by which all names of .example lead to this machine.
func serveHosts(t *testing.T) netip.AddrPort {
	t.Helper()
	at := bed.Free(t)
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, req *dns.Msg) {
		reply := new(dns.Msg).SetReply(req)
		reply.RecursionAvailable = true
		q := req.Question[0]
		switch {
		case !dns.IsSubDomain("example.", dns.CanonicalName(q.Name)):
			reply.Rcode = dns.RcodeNameError
		case q.Qtype == dns.TypeA:
			reply.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(127, 0, 0, 1)}}
		}
		w.WriteMsg(reply) //nolint:errcheck // the client will say
	})
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []*dns.Server{{PacketConn: conn, Handler: handler}, {Listener: listener, Handler: handler}} {
		go server.ActivateAndServe()            //nolint:errcheck // it ends with the test
		t.Cleanup(func() { server.Shutdown() }) //nolint:errcheck // as above
	}
	return at
}

// shown is the certificate that a listener shows to a client that names no server, nil while there is none.
func shown(at netip.AddrPort) *x509.Certificate {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", at.String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return nil
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// acmeConfig is a configuration that gets a certificate from an ACME server and forwards all names.
func acmeConfig(p *bed.Pebble, hosts netip.AddrPort, cache, more string) string {
	return fmt.Sprintf("chains: {}\nnames: []\nresolve: { forward: [%q] }\n"+
		"tls: { acme: { domains: [dens.example, 127.0.0.1, dns.example], email: ops@dens.example, directory: %q, ca_file: %q, cache: %q%s } }\n",
		hosts, p.Directory, p.CA, cache, more)
}

// TestACME gets a certificate from a real ACME server by each challenge, asks by a real client that believes that
// server alone, and starts again when it is gone.
func TestACME(t *testing.T) {
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			hosts, dot, doh := serveHosts(t), bed.Free(t), bed.Free(t)
			conf, more := bed.PebbleConfig{Host: "acme.example", DNS: hosts, HTTP: 1, TLS: dot.Port()}, ""
			if challenge == "http-01" {
				web := bed.Free(t)
				conf.HTTP, conf.TLS, more = web.Port(), 1, fmt.Sprintf(", http: %q", web)
			}
			pebble := bed.StartPebble(t, conf)
			cache := filepath.Join(t.TempDir(), "acme")
			config := acmeConfig(pebble, hosts, cache, more)
			listen := []string{fmt.Sprintf("  dot: [%q]", dot), fmt.Sprintf("  doh: [%q]", doh)}
			server := bed.Serve(t, config, listen...)
			bed.Wait(t, 60*time.Second, "a certificate", func() bool { return shown(dot) != nil })

			root := pebble.Root(t)
			checkKdig(t, dot, root)
			cert := shown(doh)
			for _, name := range []string{"dens.example", "dns.example", "127.0.0.1"} {
				if err := cert.VerifyHostname(name); err != nil {
					t.Error(err)
				}
			}
			bed.Wait(t, 5*time.Second, "/readyz to say so", func() bool {
				_, body := server.Get(t, "/readyz")
				return strings.Contains(body, `"name":"certificate","ready":true`) && strings.Contains(body, `"expires":"`+cert.NotAfter.UTC().Format(time.RFC3339)+`"`)
			})
			if left := metric(t, server, "dens_certificate_expires_seconds", `kind="acme"`); left < 80*24*3600 || left > 90*24*3600 {
				t.Errorf("dens_certificate_expires_seconds is %v", left)
			}
			told := strings.Join(bed.Data(bed.Ask(t, server.DNS, "_dns.resolver.arpa.", dns.TypeSVCB)), "\n")
			for _, want := range []string{
				fmt.Sprintf(`1 dens.example. alpn="h2,h3" port="%d" ipv4hint="127.0.0.1" dohpath="/dns-query{?dns}"`, doh.Port()),
				fmt.Sprintf(`2 dens.example. alpn="dot" port="%d" ipv4hint="127.0.0.1"`, dot.Port()),
			} {
				if !strings.Contains(told, want) {
					t.Errorf("discovery tells\n%s, want\n%s", told, want)
				}
			}

			// Nobody there to ask, at the next start.
			server.Stop(t, syscall.SIGTERM)
			pebble.Stop(t, os.Interrupt)
			bed.Serve(t, config, listen...)
			if again := shown(dot); again == nil || !again.Equal(cert) {
				t.Error("not the certificate of before after a restart")
			}
			out := bed.Run(t, bed.Dens(t), "check", "--config", server.File)
			if !strings.Contains(out, "dens.example dns.example 127.0.0.1  "+cert.NotAfter.UTC().Format(time.RFC3339)) {
				t.Errorf("dens check:\n%s", out)
			}
		})
	}
}

// checkKdig asks by DNS over TLS with a certificate that must lead to root.
func checkKdig(t *testing.T, dot netip.AddrPort, root string) {
	t.Helper()
	ask := func(ca, name string) string {
		out, _ := bed.RunCode(t, bed.Tool(t, "kdig"), "@"+dot.Addr().String(), "-p", fmt.Sprint(dot.Port()), "+short", "+tls-ca="+ca, "+tls-hostname="+name, "www.example", "A")
		return out
	}
	other, _, _ := bed.Certificate(t, "dens.example")
	if out := ask(root, "dens.example"); !strings.Contains(out, "127.0.0.1") {
		t.Errorf("kdig:\n%s", out)
	}
	for _, out := range []string{ask(other, "dens.example"), ask(root, "other.example")} {
		if strings.Contains(out, "\n127.0.0.1") || strings.HasPrefix(out, "127.0.0.1") {
			t.Errorf("kdig believes anybody:\n%s", out)
		}
	}
}

// TestACMERenewal has certificates that live for seconds: they are renewed under a connection that stays, and kept
// when the ACME server is gone.
func TestACMERenewal(t *testing.T) {
	hosts, dot := serveHosts(t), bed.Free(t)
	pebble := bed.StartPebble(t, bed.PebbleConfig{Host: "acme.example", DNS: hosts, HTTP: 1, TLS: dot.Port(), Validity: 10 * time.Second})
	server := bed.Serve(t, acmeConfig(pebble, hosts, t.TempDir(), ""), fmt.Sprintf("  dot: [%q]", dot), "  tcp_idle: 60s")
	var first *x509.Certificate
	bed.Wait(t, 60*time.Second, "a certificate", func() bool { first = shown(dot); return first != nil })
	client := &dns.Client{Net: "tcp-tls", TLSConfig: &tls.Config{InsecureSkipVerify: true}, Timeout: 5 * time.Second}
	conn, err := client.Dial(dot.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	bed.Wait(t, 30*time.Second, "another certificate", func() bool {
		now := shown(dot)
		if now == nil {
			t.Fatal("no certificate in between")
		}
		return !now.Equal(first)
	})
	reply, _, err := client.ExchangeWithConn(new(dns.Msg).SetQuestion("www.example.", dns.TypeA), conn)
	if err != nil || len(reply.Answer) != 1 {
		t.Errorf("the connection of before: %v %v", reply, err)
	}

	// The ACME server is gone: dens says so, and goes on with what it has.
	pebble.Stop(t, os.Interrupt)
	bed.Wait(t, 30*time.Second, "the failure to show", func() bool {
		_, body := server.Get(t, "/readyz")
		return strings.Contains(body, `"name":"certificate"`) && strings.Contains(body, `"status":"degraded"`) && strings.Contains(body, "connection refused")
	})
	if metric(t, server, "dens_certificate_failing", `kind="acme"`) != 1 || shown(dot) == nil {
		t.Error("dens_certificate_failing is not 1, or there is no certificate any more")
	}
}
