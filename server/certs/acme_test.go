package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/acme"
)

func acmeConfig(t *testing.T, log *syncBuffer) ACMEConfig {
	t.Helper()
	return ACMEConfig{
		Domains: []string{"dns.example", "127.0.0.1"}, Directory: "https://acme.invalid/dir", Cache: filepath.Join(t.TempDir(), "cache"), HTTP: true, TLS: true,
		Chance: func() float64 { return 0 }, Log: slog.New(slog.NewTextHandler(log, nil)),
	}
}

func newACME(t *testing.T, conf ACMEConfig) *ACME {
	t.Helper()
	a, err := NewACME(conf)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestACMERun tells the life of a certificate by a script of what the ACME server does, on a clock of its own.
func TestACMERun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		a := newACME(t, acmeConfig(t, &log))
		start := time.Now()
		refused := &acme.AuthorizationError{Identifier: "dns.example", Errors: []error{errors.New("no such name")}}
		limited := &acme.Error{StatusCode: 429, ProblemType: "urn:ietf:params:acme:error:rateLimited", Header: http.Header{"Retry-After": {"7200"}}}
		const life = 90 * 24 * time.Hour
		type event struct {
			at   time.Duration
			kind string
			err  error
		}
		script := []event{
			{0, kindHTTP, errors.New("connection refused")},
			{5 * time.Second, kindHTTP, errors.New("connection refused")},
			{15 * time.Second, kindHTTP, fmt.Errorf("challenge: %w", refused)},
			{20 * time.Second, kindTLS, refused},
			{15*time.Minute + 20*time.Second, kindHTTP, fmt.Errorf("order: %w", limited)},
			{2*time.Hour + 15*time.Minute + 20*time.Second, kindHTTP, refused},
			{2*time.Hour + 30*time.Minute + 20*time.Second, kindTLS, nil},
			{2*time.Hour + 30*time.Minute + 20*time.Second + life*2/3, kindTLS, nil},
		}
		var at int
		a.obtain = func(ctx context.Context, kind string) (*tls.Certificate, error) {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("an attempt without an end")
			}
			if at == len(script) {
				t.Errorf("once more at %s", time.Since(start))
				return nil, errors.New("the end")
			}
			want := script[at]
			if got := time.Since(start); got != want.at || kind != want.kind {
				t.Errorf("attempt %d at %s by %s, want %s by %s", at, got, kind, want.at, want.kind)
			}
			at++
			if want.err != nil {
				return nil, want.err
			}
			return testPair(t, fmt.Sprint(at), time.Now(), life, "dns.example"), nil
		}
		go a.Run(t.Context())
		time.Sleep(time.Hour)
		synctest.Wait()
		if _, err := a.GetCertificate(&tls.ClientHelloInfo{}); !errors.Is(err, ErrNone) {
			t.Errorf("before there is one: %v", err)
		}
		if s := a.Status(); s.Error == "" || !s.NotAfter.IsZero() || !slices.Equal(s.Names, []string{"dns.example"}) || len(s.Addresses) != 1 {
			t.Errorf("status: %+v", s)
		}
		time.Sleep(life)
		synctest.Wait()
		cert, err := a.GetCertificate(&tls.ClientHelloInfo{ServerName: "nobody.example"})
		if at != len(script) || err != nil || cert.Leaf.Subject.CommonName != "8" {
			t.Errorf("after %d attempts: %v %v", at, cert, err)
		}
		if s := a.Status(); s.Error != "" || s.NotAfter.Before(time.Now()) {
			t.Errorf("status: %+v", s)
		}
		if !strings.Contains(log.String(), "no such name") || strings.Count(log.String(), "certificate from the ACME server") != len(script) {
			t.Errorf("log:\n%s", log.String())
		}
	})
}

// TestACMERetry: a call ends the wait after a failure, and nothing else.
func TestACMERetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		a := newACME(t, acmeConfig(t, &log))
		asked := 0
		a.obtain = func(context.Context, string) (*tls.Certificate, error) {
			if asked++; asked < 4 {
				return nil, &acme.Error{StatusCode: 403, Detail: strings.Repeat("\xff", 2*maxReason)}
			}
			return testPair(t, "at last", time.Now(), 90*24*time.Hour, "dns.example"), nil
		}
		go a.Run(t.Context())
		time.Sleep(time.Minute) // two attempts, by each challenge one
		for _, want := range []int{2, 3, 4, 4} {
			synctest.Wait()
			if asked != want {
				t.Errorf("asked %d times, want %d", asked, want)
			}
			if s := a.Status(); len(s.Error) > maxReason || (s.Error == "") != (want == 4) {
				t.Errorf("%d octets of reason after %d attempts", len(s.Error), want)
			}
			a.Retry()
			a.Retry()
		}
	})
}

// TestACMEWrongClock has an authority whose certificates look as if they had ended long ago: they are not asked
// for over and over.
func TestACMEWrongClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		a := newACME(t, acmeConfig(t, &log))
		asked := 0
		const life = 90 * 24 * time.Hour
		a.obtain = func(context.Context, string) (*tls.Certificate, error) {
			asked++
			return testPair(t, "old", time.Now().Add(-10*life), life, "dns.example"), nil
		}
		go a.Run(t.Context())
		time.Sleep(life - time.Hour)
		synctest.Wait()
		if asked != 2 {
			t.Errorf("asked %d times in %s", asked, life)
		}
	})
}

// TestACMECache is a restart, and what is not taken from a cache.
func TestACMECache(t *testing.T) {
	var log syncBuffer
	conf := acmeConfig(t, &log)
	a := newACME(t, conf)
	pair := testPair(t, "kept", time.Now().Add(-time.Hour), 2*time.Hour, "dns.example")
	a.accept(pair)
	b := newACME(t, conf)
	cert, err := b.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil || !cert.Leaf.Equal(pair.Leaf) || b.Status().Pin != Pin(pair.Leaf) {
		t.Errorf("after a restart: %v %v", cert, err)
	}
	if fmt.Sprint(a.account.Public()) != fmt.Sprint(b.account.Public()) {
		t.Error("another account after a restart")
	}
	more, other, trial := conf, conf, conf
	more.Domains = []string{"dns.example", "more.example"}
	c := newACME(t, more)
	if cert, err := c.GetCertificate(&tls.ClientHelloInfo{}); err != nil || !cert.Leaf.Equal(pair.Leaf) {
		t.Errorf("with one more name, until there is a new one: %v %v", cert, err)
	}
	if !c.sleepUntilDue(t.Context(), time.Time{}) {
		t.Error("with one more name: no new one is due")
	}
	other.Domains = []string{"more.example", "dns.example"}
	trial.Directory = "https://trial.acme.invalid/dir"
	other.ReadOnly, trial.ReadOnly = true, true
	for name, conf := range map[string]ACMEConfig{"another name": other, "another server": trial} {
		if cert, err := newACME(t, conf).GetCertificate(&tls.ClientHelloInfo{}); !errors.Is(err, ErrNone) {
			t.Errorf("%s: %v %v", name, cert, err)
		}
	}
	if dirs, err := os.ReadDir(conf.Cache); err != nil || len(dirs) != 1 {
		t.Errorf("an onlooker has written: %v %v", dirs, err)
	}
	err = filepath.Walk(conf.Cache, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestACMEErrors(t *testing.T) {
	var log syncBuffer
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("SECRET"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := acmeConfig(t, &log)
	a := newACME(t, broken)
	if err := os.WriteFile(filepath.Join(a.folder(), "account.pem"), []byte("SECRET"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(*ACMEConfig)
		want   string
	}{
		"no name":      {func(c *ACMEConfig) { c.Domains = nil }, "needs a name"},
		"no challenge": {func(c *ACMEConfig) { c.HTTP, c.TLS = false, false }, "challenge"},
		"CA":           {func(c *ACMEConfig) { c.CAFile = file }, file},
		"cache":        {func(c *ACMEConfig) { c.Cache = file }, file},
		"broken key":   {func(c *ACMEConfig) { *c = broken }, "without the file a new one is made"},
	} {
		conf := acmeConfig(t, &log)
		tt.change(&conf)
		if _, err := NewACME(conf); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestChallenges puts challenges in place and takes them away, as an order does.
func TestChallenges(t *testing.T) {
	var log syncBuffer
	a := newACME(t, acmeConfig(t, &log))
	client := a.newClient()
	get := func(method, path string) (int, string) {
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w.Code, w.Body.String()
	}
	const path = "/.well-known/acme-challenge/abc"
	if code, _ := get("GET", path); code != 404 {
		t.Errorf("before: %d", code)
	}
	withdraw, err := a.challenges.prepare(client, &acme.Challenge{Type: kindHTTP, Token: "abc"}, "dns.example")
	if err != nil {
		t.Fatal(err)
	}
	if code, body := get("GET", path); code != 200 || !strings.HasPrefix(body, "abc.") {
		t.Errorf("%d %q", code, body)
	}
	if code, _ := get("POST", path); code != 405 {
		t.Errorf("POST: %d", code)
	}
	for _, other := range []string{"/", "/.well-known/acme-challenge/", path + "d"} {
		if code, _ := get("GET", other); code != 404 {
			t.Errorf("%s: %d", other, code)
		}
	}
	withdraw()
	if code, _ := get("GET", path); code != 404 {
		t.Errorf("after: %d", code)
	}

	address := serve(t, Config(func() Source { return a }, new(Tickets), "dot"))
	challenged := func(server string) []string {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, ServerName: server, NextProtos: []string{ChallengeProto}})
		if err != nil {
			return nil
		}
		defer conn.Close()
		if p := conn.ConnectionState().NegotiatedProtocol; p != ChallengeProto {
			t.Errorf("agreed on %q", p)
		}
		return conn.ConnectionState().PeerCertificates[0].DNSNames
	}
	if got := challenged("dns.example"); got != nil {
		t.Errorf("before: %v", got)
	}
	if withdraw, err = a.challenges.prepare(client, &acme.Challenge{Type: kindTLS, Token: "abc"}, "dns.example"); err != nil {
		t.Fatal(err)
	}
	if got := challenged("DNS.example"); !slices.Equal(got, []string{"dns.example"}) {
		t.Errorf("%v", got)
	}
	if got := challenged("other.example"); got != nil {
		t.Errorf("another name: %v", got)
	}
	withdraw()
	if got := challenged("dns.example"); got != nil {
		t.Errorf("after: %v", got)
	}
}

func TestServerName(t *testing.T) {
	for identifier, want := range map[string]string{
		"DNS.example": "dns.example",
		"192.0.2.1":   "1.2.0.192.in-addr.arpa",
		"2001:db8::1": "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", // RFC 8738 section 6
	} {
		if got := serverName(identifier); got != want {
			t.Errorf("%s: %s, want %s", identifier, got, want)
		}
	}
}
