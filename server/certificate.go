package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// CertificateFiles are a chain and its key, in PEM form.
type CertificateFiles struct {
	Cert, Key string // paths
	// CertName and KeyName are what errors and the log call the files, where a path is not to be shown.
	// The paths themselves when empty.
	CertName, KeyName string
}

// Certificate is a TLS certificate and its key, kept up to date with their files.
type Certificate struct {
	files   CertificateFiles
	current atomic.Pointer[tls.Certificate]

	mu   sync.Mutex // guards seen
	seen [2]fileState
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

// NewCertificate reads the files. Errors name them and nothing of what they hold.
func NewCertificate(files CertificateFiles) (*Certificate, error) {
	if files.CertName == "" {
		files.CertName = files.Cert
	}
	if files.KeyName == "" {
		files.KeyName = files.Key
	}
	c := &Certificate{files: files, seen: states(files.Cert, files.Key)}
	if err := c.Load(); err != nil {
		return nil, err
	}
	return c, nil
}

// Load reads the files anew. With an error, the old pair stays in force.
func (c *Certificate) Load() error {
	cert, err := os.ReadFile(c.files.Cert)
	if err != nil {
		return fmt.Errorf("certificate %s: %w", c.files.CertName, withoutPath(err))
	}
	key, err := os.ReadFile(c.files.Key)
	if err != nil {
		return fmt.Errorf("key %s: %w", c.files.KeyName, withoutPath(err))
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", c.files.CertName, c.files.KeyName, err)
	}
	c.current.Store(&pair)
	return nil
}

// withoutPath is the cause of an error of package os alone.
func withoutPath(err error) error {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Err
	}
	return err
}

// GetCertificate is for tls.Config. Connections that exist keep what they began with.
func (c *Certificate) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// Watch looks at the files every interval, loads them when they have changed, and logs what came of
// it, until ctx ends. A broken pair is tried again when the files change again.
func (c *Certificate) Watch(ctx context.Context, interval time.Duration, log *slog.Logger) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !c.changed() {
			continue
		}
		if err := c.Load(); err != nil {
			log.Error("the new certificate is not usable, the old one stays", "error", err)
			continue
		}
		log.Info("certificate reloaded", "file", c.files.CertName, "expires", c.current.Load().Leaf.NotAfter)
	}
}

func (c *Certificate) changed() bool {
	now := states(c.files.Cert, c.files.Key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if now[0].same(c.seen[0]) && now[1].same(c.seen[1]) {
		return false
	}
	c.seen = now
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

// tlsConfig is that of one kind of listener. The certificate is the one in force at each handshake.
func (s *Server) tlsConfig(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: protocols,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert := s.conf.Load().Certificate
			if cert == nil {
				return nil, ErrNoCertificate // a draining listener, after all TLS was turned off
			}
			return cert.GetCertificate(hello)
		},
	}
}
