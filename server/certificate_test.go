package server

import (
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dens/internal/wire"
)

func TestCertificateReload(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := writePair(t, dir, "first")
	cert, err := NewCertificate(CertificateFiles{Cert: certFile, Key: keyFile})
	if err != nil {
		t.Fatal(err)
	}
	s := begin(t, Config{DoT: []string{"127.0.0.1:0"}, Certificate: cert}, newActor())
	dial := func() *tls.Conn {
		conn, err := tls.Dial("tcp", at(t, s, wire.DoT), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	name := func(conn *tls.Conn) string { return conn.ConnectionState().PeerCertificates[0].Subject.CommonName }
	old := dial()

	var log syncBuffer
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		cert.Watch(ctx, 5*time.Millisecond, slog.New(slog.NewTextHandler(&log, nil)))
	}()
	defer func() {
		cancel()
		<-done
	}()

	// A broken pair: the old one stays, and the log says why, once.
	if err := os.WriteFile(certFile, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	wait(t, "the broken pair to be noticed", func() bool { return strings.Contains(log.String(), "not usable") })
	time.Sleep(50 * time.Millisecond)
	if n := strings.Count(log.String(), "not usable"); n != 1 || !strings.Contains(log.String(), certFile) {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
	if got := name(dial()); got != "first" {
		t.Errorf("serves %q, want the first", got)
	}

	// A good pair, renamed into place as ACME clients do.
	fresh := t.TempDir()
	writePair(t, fresh, "second")
	for _, f := range []string{"cert.pem", "key.pem"} {
		if err := os.Rename(filepath.Join(fresh, f), filepath.Join(dir, f)); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, "the second pair", func() bool { return name(dial()) == "second" })

	// The connection of before is alive.
	write(t, old, framed(t, "example.org"))
	readReplies(t, old, 1)
	if got := name(old); got != "first" {
		t.Errorf("the old connection has %q", got)
	}
}

func TestCertificateErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	certFile, _ := writePair(t, dir, "first")
	_, otherKey := writePair(t, t.TempDir(), "second")
	for _, key := range []string{filepath.Join(dir, "none.pem"), otherKey} {
		_, err := NewCertificate(CertificateFiles{Cert: certFile, Key: key})
		if err == nil || !strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("got %v", err)
		}
		_, err = NewCertificate(CertificateFiles{Cert: certFile, Key: key, CertName: "${CERT}", KeyName: "${KEY}"})
		if err == nil || !strings.Contains(err.Error(), "${KEY}") || strings.Contains(err.Error(), filepath.Dir(key)) || strings.Contains(err.Error(), dir) {
			t.Errorf("paths that are not to be shown: got %v", err)
		}
	}
}
