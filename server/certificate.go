package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Certificate is a TLS certificate and its key, kept up to date with their files.
type Certificate struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]

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

// NewCertificate reads a chain and its key in PEM form. Errors name the files and nothing of what they hold.
func NewCertificate(certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, seen: states(certFile, keyFile)}
	if err := c.Load(); err != nil {
		return nil, err
	}
	return c, nil
}

// Load reads the files anew. With an error, the old pair stays in force.
func (c *Certificate) Load() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	c.current.Store(&pair)
	return nil
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
		log.Info("certificate reloaded", "file", c.certFile, "expires", c.current.Load().Leaf.NotAfter)
	}
}

func (c *Certificate) changed() bool {
	now := states(c.certFile, c.keyFile)
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
