package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func selfSigned(t *testing.T, conf SelfSignedConfig) *SelfSigned {
	t.Helper()
	s, err := NewSelfSigned(conf)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSelfSigned is a client that knows the pin alone, one that trusts the certificate itself, and one that does
// neither.
func TestSelfSigned(t *testing.T) {
	s := selfSigned(t, SelfSignedConfig{Names: []string{"dns.example"}, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}})
	address := serve(t, Config(func() Source { return s }, new(Tickets), "dot"))
	pinned := &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(cs tls.ConnectionState) error {
		sum := sha256.Sum256(cs.PeerCertificates[0].RawSubjectPublicKeyInfo)
		if got := base64.StdEncoding.EncodeToString(sum[:]); got != s.Pin() {
			t.Errorf("pin %s, not %s", got, s.Pin())
		}
		return nil
	}}
	pool := x509.NewCertPool()
	pool.AddCert(s.current.Load().Leaf)
	for _, conf := range []*tls.Config{pinned, {RootCAs: pool}, {RootCAs: pool, ServerName: "dns.example"}} {
		conn, err := tls.Dial("tcp", address, conf)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	for _, conf := range []*tls.Config{{}, {RootCAs: pool, ServerName: "other.example"}} {
		if _, err := tls.Dial("tcp", address, conf); err == nil {
			t.Errorf("%+v: no error", conf)
		}
	}
	status := s.Status()
	if status.Kind != "self-signed" || !slices.Equal(status.Names, []string{"dns.example"}) || len(status.Addresses) != 2 || status.Pin != s.Pin() || status.Error != "" {
		t.Errorf("status: %+v", status)
	}
	leaf := s.current.Load().Leaf
	if life := leaf.NotAfter.Sub(leaf.NotBefore); life > 398*24*time.Hour || leaf.IsCA || leaf.SerialNumber.Sign() <= 0 {
		t.Errorf("valid for %s, authority: %v, serial %s", life, leaf.IsCA, leaf.SerialNumber)
	}
}

// TestSelfSignedState is one start after another.
func TestSelfSignedState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.pem")
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	conf := SelfSignedConfig{Names: []string{"dns.example"}, State: path, Now: clock}

	looked := conf
	looked.ReadOnly = true
	if s := selfSigned(t, looked); s.Kept() {
		t.Error("a key that nobody has kept is kept")
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("an onlooker has written the state")
	}
	first := selfSigned(t, conf)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || !first.Kept() {
		t.Fatalf("the state: %v %v", info, err)
	}
	same := selfSigned(t, conf)
	if same.Pin() != first.Pin() || !same.current.Load().Leaf.Equal(first.current.Load().Leaf) {
		t.Error("another certificate after a restart")
	}
	// A key of before, without a state.
	if s := selfSigned(t, SelfSignedConfig{Key: first.Key()}); s.Pin() != first.Pin() || s.Kept() {
		t.Errorf("with the key of before: pin %s, kept: %v", s.Pin(), s.Kept())
	}
	// Another name, later, and a clock that was wrong: another certificate, the same pin.
	other := conf
	other.Names = []string{"other.example"}
	for name, step := range map[string]func() *SelfSigned{
		"another name":  func() *SelfSigned { return selfSigned(t, other) },
		"a year later":  func() *SelfSigned { now = now.Add(365 * 24 * time.Hour); return selfSigned(t, conf) },
		"ten years ago": func() *SelfSigned { now = now.Add(-10 * 365 * 24 * time.Hour); return selfSigned(t, conf) },
	} {
		before := first.current.Load().Leaf
		s := step()
		leaf := s.current.Load().Leaf
		if s.Pin() != first.Pin() || leaf.Equal(before) || now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
			t.Errorf("%s: pin %s, not %s; from %s to %s", name, s.Pin(), first.Pin(), leaf.NotBefore, leaf.NotAfter)
		}
	}
	if left, err := filepath.Glob(path + "*"); err != nil || len(left) != 1 {
		t.Errorf("files that are left: %v %v", left, err)
	}
}

func TestSelfSignedBrokenState(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.pem")
	if err := os.WriteFile(broken, []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{broken, dir, filepath.Join(dir, "none", "state.pem")} {
		_, err := NewSelfSigned(SelfSignedConfig{State: path})
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestSelfSignedRenewal lets a year pass.
func TestSelfSignedRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log syncBuffer
		s := selfSigned(t, SelfSignedConfig{Log: slog.New(slog.NewTextHandler(&log, nil))})
		pin, first := s.Pin(), s.current.Load().Leaf
		if len(first.DNSNames) != 1 || first.DNSNames[0] != "localhost" {
			t.Errorf("names %v", first.DNSNames)
		}
		go s.Run(t.Context())
		time.Sleep(200 * 24 * time.Hour)
		synctest.Wait()
		if !s.current.Load().Leaf.Equal(first) {
			t.Fatal("renewed too early")
		}
		time.Sleep(100 * 24 * time.Hour)
		synctest.Wait()
		leaf := s.current.Load().Leaf
		if leaf.Equal(first) || s.Pin() != pin || !strings.Contains(log.String(), "renewed") || time.Until(leaf.NotAfter) < 300*24*time.Hour {
			t.Errorf("not renewed, or with another pin: until %s\n%s", leaf.NotAfter, log.String())
		}
	})
}
