package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// FilesConfig names a chain and its key, in PEM form.
type FilesConfig struct {
	Cert, Key string // paths
	// CertName and KeyName are what errors and the log call the files, where a path is not to be shown.
	// The paths themselves when empty.
	CertName, KeyName string

	Interval time.Duration // 5 s: how often the files are looked at
	Log      *slog.Logger  // slog.DiscardHandler
}

func (c FilesConfig) withDefaults() FilesConfig {
	if c.CertName == "" {
		c.CertName = c.Cert
	}
	if c.KeyName == "" {
		c.KeyName = c.Key
	}
	if c.Interval <= 0 {
		c.Interval = 5 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// maxFile bounds what is read of a file: far more than a chain and its key.
const maxFile = 1 << 20

// Files is a certificate and its key, kept up to date with their files: also with files that are renamed into
// place, or are reached by way of a link that is turned elsewhere, as a Secret's in Kubernetes.
type Files struct {
	conf     FilesConfig
	current  atomic.Pointer[tls.Certificate]
	remarked *x509.Certificate // that remark has logged; NewFiles and then Run have it

	mu     sync.Mutex // guards what follows
	seen   [2]fileState
	failed string // why the last reload was none
}

// fileState tells whether a file has changed. A file that is renamed over another of the same size and
// time differs by its inode, which os.SameFile compares.
type fileState struct {
	info os.FileInfo
}

func (a fileState) same(b fileState) bool {
	if a.info == nil || b.info == nil {
		return a.info == nil && b.info == nil
	}
	return a.info.Size() == b.info.Size() && a.info.ModTime().Equal(b.info.ModTime()) && os.SameFile(a.info, b.info)
}

// ErrKey is in errors about the file of the key alone.
var ErrKey = errors.New("key")

// NewFiles reads the files. Errors name them and nothing of what they hold.
func NewFiles(conf FilesConfig) (*Files, error) {
	f := &Files{conf: conf.withDefaults()}
	f.changed()
	if err := f.load(); err != nil {
		return nil, err
	}
	f.remark()
	return f, nil
}

// load reads the files anew, once more where they are replaced between the one's reading and the other's. With
// an error, the old pair stays in force.
func (f *Files) load() error {
	err := f.read()
	if err != nil && f.changed() {
		err = f.read()
	}
	return err
}

func (f *Files) read() error {
	cert, err := readFile(f.conf.Cert)
	if err != nil {
		return fmt.Errorf("certificate %s: %w", f.conf.CertName, err)
	}
	key, err := readFile(f.conf.Key)
	if err != nil {
		return fmt.Errorf("%w %s: %w", ErrKey, f.conf.KeyName, err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w%s", f.conf.CertName, f.conf.KeyName, err, advice(cert, key))
	}
	f.current.Store(&pair)
	return nil
}

// advice says how a pair that is none could become one, where that can be told.
func advice(cert, key []byte) string {
	if bytes.Contains(key, []byte("ENCRYPTED")) {
		return "; it is encrypted, and dens knows no passphrase"
	}
	const most = 10 // longer than any chain
	for range most {
		var block *pem.Block
		if block, cert = pem.Decode(cert); block == nil {
			break
		}
		if _, err := tls.X509KeyPair(pem.EncodeToMemory(block), key); err == nil {
			return "; it is that of a later certificate of the file, which has to be the first"
		}
	}
	return ""
}

// remark logs, once, that the certificate in force is not valid at the time, so that clients do not take it.
func (f *Files) remark() {
	leaf, now := f.current.Load().Leaf, time.Now()
	if leaf == f.remarked || !now.Before(leaf.NotBefore) && !now.After(leaf.NotAfter) {
		return
	}
	f.remarked = leaf
	f.conf.Log.Error("the certificate is not valid now, if the clock is right: clients will not take it",
		"file", f.conf.CertName, "begins", leaf.NotBefore, "expires", leaf.NotAfter)
}

// readFile reads a file that is not too large. Errors do not repeat its path.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("more than %d octets", maxFile)
	}
	return data, nil
}

// withoutPath is the cause of an error of package os alone.
func withoutPath(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}

// GetCertificate implements Source. Connections that exist keep what they began with.
func (f *Files) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.current.Load(), nil
}

// NextProtos implements Source.
func (f *Files) NextProtos() []string { return nil }

// Status implements Keeper.
func (f *Files) Status() Status {
	s := statusOf("files", f.current.Load())
	s.Error = f.failure()
	return s
}

// Run implements Keeper: it looks at the files every interval, loads them when they have changed, and logs
// what came of it. A pair that is not usable is tried again each time, since what was in the way need not be the
// files: too many of them open, a right that came late.
func (f *Files) Run(ctx context.Context) {
	ticker := time.NewTicker(f.conf.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if f.changed() || f.failure() != "" {
			f.reload()
		}
		f.remark()
	}
}

// reload loads the files, and logs what came of it where that is news.
func (f *Files) reload() {
	err := f.load()
	news := f.note(err)
	switch {
	case err == nil:
		f.conf.Log.Info("certificate reloaded", "file", f.conf.CertName, "expires", f.current.Load().Leaf.NotAfter)
	case news:
		f.conf.Log.Error("the new certificate is not usable, the old one stays", "error", err)
	}
}

// note keeps what came of a reload, and reports whether that is another failure than before.
func (f *Files) note(err error) (news bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.failed
	f.failed = ""
	if err != nil {
		f.failed = err.Error()
	}
	return f.failed != before
}

func (f *Files) failure() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

func (f *Files) changed() bool {
	now := states(f.conf.Cert, f.conf.Key)
	f.mu.Lock()
	defer f.mu.Unlock()
	if now[0].same(f.seen[0]) && now[1].same(f.seen[1]) {
		return false
	}
	f.seen = now
	return true
}

func states(files ...string) (out [2]fileState) {
	for i, f := range files {
		if info, err := os.Stat(f); err == nil {
			out[i] = fileState{info}
		}
	}
	return out
}
