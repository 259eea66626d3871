package certs

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// files serves a pair of files, and runs what watches them. dial returns a new connection.
func files(t *testing.T, cert, key string, log io.Writer) (f *Files, dial func() *tls.Conn) {
	t.Helper()
	f, err := NewFiles(FilesConfig{Cert: cert, Key: key, Interval: 5 * time.Millisecond, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, Config(func() Source { return f }, new(Tickets), "dot"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return f, func() *tls.Conn {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
}

func name(conn *tls.Conn) string {
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestFilesReload(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := writePair(t, dir, "first")
	var log syncBuffer
	f, dial := files(t, certFile, keyFile, &log)
	old := dial()

	// A broken pair: the old one stays, and the log says why, once.
	if err := os.WriteFile(certFile, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	wait(t, "the broken pair to be noticed", func() bool { return f.Status().Error != "" })
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
	wait(t, "the failure to be forgotten", func() bool { return f.Status().Error == "" })

	// The connection of before is alive.
	if _, err := old.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if _, err := io.ReadFull(old, buf); err != nil || string(buf) != "hello" || name(old) != "first" {
		t.Errorf("the old connection: %q %v %q", buf, err, name(old))
	}
}

// TestFilesBehindALink turns a link from one directory to another, as a volume of a Secret does: the paths and
// their links stay what they are.
func TestFilesBehindALink(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []string{"first", "second"} {
		at := filepath.Join(dir, ".."+version)
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		writePair(t, at, version)
		// Both are as old and as long, which is no proof that they are the same.
		same := time.Now().Add(-time.Hour)
		for _, file := range []string{"cert.pem", "key.pem"} {
			if err := os.Chtimes(filepath.Join(at, file), same, same); err != nil {
				t.Fatal(err)
			}
		}
	}
	link := func(from, to string) {
		t.Helper()
		if err := os.Symlink(to, from+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(from+".new", from); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	link(filepath.Join(dir, "..data"), "..first")
	link(cert, "..data/cert.pem")
	link(key, "..data/key.pem")
	var log syncBuffer
	_, dial := files(t, cert, key, &log)
	if got := name(dial()); got != "first" {
		t.Fatalf("serves %q", got)
	}
	link(filepath.Join(dir, "..data"), "..second")
	wait(t, "the second pair", func() bool { return name(dial()) == "second" })
	if strings.Contains(log.String(), "not usable") {
		t.Errorf("log:\n%s", log.String())
	}
}

// TestFilesNotReadAtFirst: what kept a new pair from being read is no longer there, and the files have not changed
// since.
func TestFilesNotReadAtFirst(t *testing.T) {
	dir := t.TempDir()
	cert, key := writePair(t, dir, "first")
	var log syncBuffer
	f, err := NewFiles(FilesConfig{Cert: cert, Key: key, Interval: 5 * time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	writePair(t, dir, "second")
	f.changed()                                   // the change is seen,
	f.note(errors.New("too many files are open")) // but not read
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx)
	}()
	wait(t, "the second pair", func() bool { return f.current.Load().Leaf.Subject.CommonName == "second" })
	wait(t, "the failure to be forgotten", func() bool { return f.Status().Error == "" })
	cancel()
	<-done
}

func TestFilesErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	certFile, _ := writePair(t, dir, "first")
	_, otherKey := writePair(t, t.TempDir(), "second")
	large := filepath.Join(t.TempDir(), "large.pem")
	if err := os.WriteFile(large, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{filepath.Join(dir, "none.pem"), otherKey, large} {
		_, err := NewFiles(FilesConfig{Cert: certFile, Key: key})
		if err == nil || !strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("got %v", err)
		}
		_, err = NewFiles(FilesConfig{Cert: certFile, Key: key, CertName: "${CERT}", KeyName: "${KEY}"})
		if err == nil || !strings.Contains(err.Error(), "${KEY}") || strings.Contains(err.Error(), filepath.Dir(key)) || strings.Contains(err.Error(), dir) {
			t.Errorf("paths that are not to be shown: got %v", err)
		}
	}
}

// TestFilesAdvice has pairs that operators make: a chain that begins with the authority, a key with a passphrase.
func TestFilesAdvice(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := writePair(t, dir, "server")
	authority, _ := writePair(t, t.TempDir(), "authority")
	read := func(path string) []byte {
		t.Helper()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	write := func(name string, data []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	turned := write("turned.pem", append(read(authority), read(certFile)...))
	locked := write("locked.pem", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("sealed")}))
	for name, tt := range map[string]struct{ cert, key, want string }{
		"a chain that begins with the authority": {turned, keyFile, "has to be the first"},
		"a key with a passphrase":                {certFile, locked, "knows no passphrase"},
		"a key of something else":                {authority, keyFile, "private key does not match public key"},
	} {
		if _, err := NewFiles(FilesConfig{Cert: tt.cert, Key: tt.key}); err == nil || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for path, want := range map[string]bool{filepath.Join(dir, "none.pem"): true, locked: false} {
		if _, err := NewFiles(FilesConfig{Cert: certFile, Key: path}); errors.Is(err, ErrKey) != want {
			t.Errorf("whether it is about the key alone: %v", err)
		}
	}
}

// TestFilesNotValid shows certificates before and after their time, and says so once for each.
func TestFilesNotValid(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, begin time.Time, life time.Duration) (certFile, keyFile string) {
		t.Helper()
		pair := testPair(t, name, begin, life)
		data, err := encodePair(pair.PrivateKey, pair.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "pair.pem")
		if err := replaceFile(path, data); err != nil {
			t.Fatal(err)
		}
		return path, path
	}
	certFile, keyFile := put("early", time.Now().Add(time.Hour), time.Hour)
	var log syncBuffer
	_, dial := files(t, certFile, keyFile, &log)
	said := func() int { return strings.Count(log.String(), "not valid now") }
	if got := name(dial()); got != "early" || said() != 1 {
		t.Errorf("shows %q\n%s", got, log.String())
	}
	put("ended", time.Now().Add(-2*time.Hour), time.Hour)
	wait(t, "one that has ended", func() bool { return name(dial()) == "ended" && said() == 2 })
	put("ends soon", time.Now().Add(-time.Hour), time.Hour+time.Second)
	wait(t, "one that ends meanwhile", func() bool { return name(dial()) == "ends soon" && said() == 3 })
	put("good", time.Now().Add(-time.Hour), 2*time.Hour)
	wait(t, "a good one", func() bool { return name(dial()) == "good" })
	time.Sleep(50 * time.Millisecond)
	if said() != 3 {
		t.Errorf("log:\n%s", log.String())
	}
}
