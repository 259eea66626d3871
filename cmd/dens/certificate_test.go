package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/configs"
	"dens/internal/looptest"
	"dens/internal/wire"
	"dens/server/certs"
	"dens/web"
)

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func parsed(t *testing.T, text string) *configs.Config {
	t.Helper()
	cfg, err := configs.Parse("dens.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// quiet is a configuration that asks nobody.
const quiet = "names: []\nchains: {}\nresolve: { forward: [] }\n"

// running starts a daemon of a configuration.
func running(t *testing.T, cfg *configs.Config) (*daemonState, *lockedBuffer) {
	t.Helper()
	var log lockedBuffer
	d, err := startDaemon(cfg, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.shutdown(30 * time.Second); err != nil {
			t.Error(err)
		}
	})
	return d, &log
}

// shownBy dials the listener for DNS over TLS and returns its certificate.
func shownBy(t *testing.T, d *daemonState) *x509.Certificate {
	t.Helper()
	for _, b := range d.server.Addrs() {
		if b.Protocol == wire.DoT {
			conn, err := tls.Dial("tcp", b.Addr.String(), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			return conn.ConnectionState().PeerCertificates[0]
		}
	}
	t.Fatal("no listener for DNS over TLS")
	return nil
}

// TestSelfSignedOverReloads keeps the certificate while its configuration stays, and the pin when it does not.
func TestSelfSignedOverReloads(t *testing.T) {
	const listen = quiet + "listen: { dns: [], http: '', dot: ['127.0.0.1:0'] }\n"
	d, log := running(t, parsed(t, listen+"tls: { self_signed: true, name: dns.example }\n"))
	first := shownBy(t, d)
	pin := certs.Pin(first)
	if !strings.Contains(log.String(), "pin="+pin) || !strings.Contains(log.String(), "+tls-pin="+pin) || first.VerifyHostname("dns.example") != nil || first.VerifyHostname("127.0.0.1") != nil {
		t.Errorf("names %v %v\n%s", first.DNSNames, first.IPAddresses, log.String())
	}
	state := filepath.Join(t.TempDir(), "state.pem")
	for _, tt := range []struct {
		text     string
		same     bool
		announce int
	}{
		{"tls: { self_signed: true, name: dns.example }\ncache: { entries: 5000 }\n", true, 1},
		{"tls: { self_signed: true, name: other.example }\n", false, 2},
		{"tls: { self_signed: true, name: other.example, self_signed_state: '" + state + "' }\n", false, 3},
	} {
		if err := d.reload(t.Context(), parsed(t, listen+tt.text)); err != nil {
			t.Fatal(err)
		}
		now := shownBy(t, d)
		if now.Equal(first) != tt.same || certs.Pin(now) != pin {
			t.Errorf("%s: the same: %v, pin %s, want %s", tt.text, now.Equal(first), certs.Pin(now), pin)
		}
		if n := strings.Count(log.String(), "self-signed certificate"); n != tt.announce {
			t.Errorf("%s: announced %d times", tt.text, n)
		}
	}
	if _, err := os.Stat(state); err != nil {
		t.Error(err)
	}
	parts := d.current.Load().parts()
	if p := parts[len(parts)-1]; p.Name != "certificate" || !p.Ready || !p.Aside || !strings.Contains(p.Names, "other.example 127.0.0.1") || p.Expires == "" {
		t.Errorf("%+v", p)
	}
	if c := d.current.Load().certificateState(); len(c) != 1 || c[0].Kind != "self-signed" || c[0].ExpiresIn < 24*time.Hour || c[0].Failing {
		t.Errorf("%+v", c)
	}
	// Nothing is encrypted any more.
	if err := d.reload(t.Context(), parsed(t, quiet+"listen: { dns: ['127.0.0.1:0'], http: '' }\n")); err != nil {
		t.Fatal(err)
	}
	if gen := d.current.Load(); gen.identity != nil || gen.certificateState() != nil {
		t.Error("a certificate without a listener")
	}
}

// freePort finds a port that nobody has, for UDP and TCP.
func freePort(t *testing.T) uint16 { return looptest.Free(t).Port() }

// TestDiscovery asks for the encrypted listeners, of which reloads change name, addresses and path.
func TestDiscovery(t *testing.T) {
	dot, doh := freePort(t), freePort(t)
	config := func(tls, more string) *configs.Config {
		return parsed(t, fmt.Sprintf("%slisten: { dns: ['127.0.0.1:0'], http: '', dot: ['127.0.0.1:%d'], doh: ['127.0.0.1:%d'] }\ntls: { self_signed: true%s }\n%s", quiet, dot, doh, tls, more))
	}
	d, _ := running(t, config(", name: dns.example", ""))
	told := func(name string) string {
		t.Helper()
		reply, err := dns.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeSVCB), d.server.Addrs()[0].Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		lines := []string{dns.RcodeToString[reply.Rcode]}
		for _, rr := range append(reply.Answer, reply.Extra...) {
			if rr.Header().Rrtype != dns.TypeOPT {
				line := strings.Join(strings.Fields(strings.TrimPrefix(rr.String(), rr.Header().String())), " ")
				lines = append(lines, strings.NewReplacer(fmt.Sprint(dot), "DOT", fmt.Sprint(doh), "DOH").Replace(line))
			}
		}
		return strings.Join(lines, "\n")
	}
	first := "NOERROR\n" + `1 dns.example. alpn="h2,h3" port="DOH" ipv4hint="127.0.0.1" dohpath="/dns-query{?dns}"` + "\n" + `2 dns.example. alpn="dot" port="DOT" ipv4hint="127.0.0.1"` + "\n127.0.0.1"
	for _, tt := range []struct {
		tls, more, name, want string
	}{
		{", name: dns.example", "", "_dns.resolver.arpa.", first},
		{", name: dns.example", "", "_dns.dns.example.", first},
		{", name: dns.example", "", "_dns.other.example.", "REFUSED"},
		{", name: dns.example", "", "dns.resolver.arpa.", "NOERROR"},
		{", name: other.example", "discovery: { addresses: ['2001:db8::1'] }\ndoh: { path: /q }\n", "_dns.resolver.arpa.",
			"NOERROR\n" + `1 other.example. alpn="h2,h3" port="DOH" ipv6hint="2001:db8::1" dohpath="/q{?dns}"` + "\n" + `2 other.example. alpn="dot" port="DOT" ipv6hint="2001:db8::1"` + "\n2001:db8::1"},
		{", name: dns.example", "discovery: { enabled: false }\n", "_dns.resolver.arpa.", "NOERROR"},
		{"", "", "_dns.resolver.arpa.", "NOERROR"}, // no name
	} {
		if err := d.reload(t.Context(), config(tt.tls, tt.more)); err != nil {
			t.Fatal(err)
		}
		if got := told(tt.name); got != tt.want {
			t.Errorf("%s %s: %s:\n%s, want\n%s", tt.tls, tt.more, tt.name, got, tt.want)
		}
	}
}

func TestServerNames(t *testing.T) {
	acme := parsed(t, "tls: { acme: { domains: [192.0.2.1, dns.example, DNS2.example] } }\n")
	file := parsed(t, "tls: { cert: a, key: b }\n")
	named := parsed(t, "tls: { cert: a, key: b, name: main.example }\n")
	self := parsed(t, "tls: { self_signed: true }\n")
	status := certs.Status{Names: []string{"*.example", "Dns.example", "localhost", "dns3.example"}}
	for _, tt := range []struct {
		cfg  *configs.Config
		want string
	}{{acme, "dns.example. dns2.example. dns3.example."}, {file, "dns.example. dns3.example."}, {named, "main.example. dns.example. dns3.example."}, {self, ""}} {
		if got := strings.Join(serverNames(tt.cfg, status), " "); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.cfg.TLS, got, tt.want)
		}
	}
}

func TestReachable(t *testing.T) {
	list := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("100.64.0.1"), netip.MustParseAddr("fd00::1"), netip.MustParseAddr("2600::1")}
	for allow, want := range map[string]string{"loopback, private": "[10.0.0.1 8.8.8.8 100.64.0.1 fd00::1 2600::1]", "any": "[8.8.8.8 2600::1]", "private, 8.8.4.0/24": "[8.8.8.8 2600::1]"} {
		if got := fmt.Sprint(reachable(parsed(t, "access: { allow: ["+allow+"], rate: 10 }\n"), list)); got != want {
			t.Errorf("%s: %s, want %s", allow, got, want)
		}
	}
}

func TestCertificatePart(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		s    certs.Status
		want web.Part
	}{
		"none":    {certs.Status{Names: []string{"a.example"}, Error: "no answer"}, web.Part{Names: "a.example", Reason: "there is none yet: no answer"}},
		"well":    {certs.Status{NotAfter: now.Add(time.Hour)}, web.Part{Ready: true, Expires: "2026-11-21T13:00:00Z"}},
		"failing": {certs.Status{NotAfter: now.Add(time.Hour), Error: "no answer"}, web.Part{Ready: true, Degraded: true, Expires: "2026-11-21T13:00:00Z", Reason: "no answer"}},
		"ended":   {certs.Status{NotAfter: now.Add(-time.Hour)}, web.Part{Expires: "2026-11-21T11:00:00Z", Reason: "it has ended"}},
		"early":   {certs.Status{NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour)}, web.Part{Expires: "2026-11-21T14:00:00Z", Reason: "it begins at 2026-11-21T13:00:00Z only, or the clock is wrong"}},
	} {
		tt.want.Name, tt.want.Aside = "certificate", true
		if got := certificatePart(tt.s, now); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

// TestCheckCertificate has what dens check says of certificates. None of its kinds leaves a trace.
func TestCheckCertificate(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state.pem")
	if _, err := certs.NewSelfSigned(certs.SelfSignedConfig{State: state}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		text, want string
		ok         bool
	}{
		"nothing is encrypted": {"listen: { dns: ['192.0.2.1:53'] }\n", "", true},
		"self-signed":          {"listen: { dns: ['192.0.2.1:53'], dot: [':853'] }\ntls: { self_signed: true, name: dns.example }\n", "- | ok; the pin is in the log of each start: tls.self_signed_state names a file to keep it in", true},
		"self-signed and kept": {"listen: { dns: ['192.0.2.1:53'], dot: [':853'] }\ntls: { self_signed: true, name: dns.example, self_signed_state: " + state + " }\n", "PIN | ok", true},
		"kept from now on":     {"listen: { dns: ['192.0.2.1:53'], dot: [':853'] }\ntls: { self_signed: true, name: dns.example, self_signed_state: " + dir + "/new.pem }\n", "- | ok; its key, and so the pin, is made at the first start", true},
		"kept nowhere":         {"listen: { dot: [':853'] }\ntls: { self_signed: true, name: dns.example, self_signed_state: " + dir + "/none/new.pem }\n", "- | open " + dir + "/none/", false},
		"ACME, kept nowhere":   {"listen: { doh: [':443'] }\ntls: { acme: { domains: [dns.example], cache: /proc/1/none/acme } }\n", "- | open /proc/1/", false},
		"no name":              {"listen: { dot: [':853'] }\ntls: { self_signed: true, self_signed_state: " + state + " }\n", "PIN | ok; without a name (tls.name) no client is told of the encrypted listeners", true},
		"ACME by DoT alone":    {"listen: { dot: [':853'] }\ntls: { acme: { domains: [dns.example], cache: " + dir + "/acme } }\n", "- | none yet: dens gets it when it serves; nothing listens at port 443", true},
		"ACME":                 {"listen: { doh: [':443'] }\ntls: { acme: { domains: [dns.example], cache: " + dir + "/acme } }\n", "- | none yet: dens gets it when it serves, with port 443 of its names leading here", true},
		"ACME by HTTP":         {"listen: { doh: [':443'] }\ntls: { acme: { domains: [dns.example], cache: " + dir + "/acme, http: ':80' } }\n", "- | none yet: dens gets it when it serves, with port 80 of its names leading to [::]:80", true},
		"a file":               {"listen: { dns: ['192.0.2.1:53', '127.0.0.1:53'], dot: [':853'] }\ntls: { cert: " + state + ", key: " + state + ", name: localhost }\n", "PIN | ok; clients that know only 192.0.2.1 cannot verify it, and stay with plain DNS", true},
		"another name":         {"listen: { dot: [':853'] }\ntls: { cert: " + state + ", key: " + state + ", name: dns.example }\n", "PIN | it is not for dns.example, which is tls.name", false},
	} {
		r, err := checkCertificate(parsed(t, tt.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, ok := "", true
		if r != nil {
			var out bytes.Buffer
			ok = printCertificate(&out, r)
			fields := strings.Split(strings.TrimSpace(out.String()), "\t")
			if len(fields[3]) == 44 {
				fields[3] = "PIN"
			}
			got = strings.Join(fields[3:], " | ")
		}
		if !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") || ok != tt.ok {
			t.Errorf("%s: %s (%v), want %s", name, got, ok, tt.want)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("traces: %v %v", left, err)
	}
	none := dir + "/none"
	for tls, want := range map[string]string{
		"cert: " + none + "\n  key: " + none:                                       "dens.yaml:3: tls.cert: certificate " + none + ": ",
		"cert: " + state + "\n  key: " + none:                                      "dens.yaml:4: tls.key: key " + none + ": ",
		"self_signed: true\n  self_signed_state: " + dir:                           "dens.yaml:4: tls.self_signed_state: state of the self-signed certificate, " + dir + ": ",
		"name: a.example\n  acme: { domains: [a.example], ca_file: " + none + " }": "dens.yaml:4: tls.acme: authorities of the ACME server, " + none + ": ",
	} {
		if _, err := checkCertificate(parsed(t, "listen: { dot: [':853'] }\ntls:\n  "+tls+"\n")); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", tls, err, want)
		}
	}
}
