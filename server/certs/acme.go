package certs

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
)

// ACMEConfig says what certificate to get, and from whom. To use it is to agree to the terms of the authority.
type ACMEConfig struct {
	// Domains are the names, as lower-case A-labels without the final dot, and IP addresses that the
	// certificate is for, all of them at once. The authority checks that they lead here.
	Domains   []string
	Email     string // where the authority writes to; "" is none
	Directory string // URL of the ACME server's directory; that of Let's Encrypt
	Profile   string // of the certificate, by the server's own names, such as "shortlived"; "" is its default
	Cache     string // directory for the account's key and the certificate, made where it is missing
	CAFile    string // PEM file of the authorities that vouch for the ACME server; "": the system's
	ReadOnly  bool   // only what the cache has is shown; Run does nothing

	// The challenges to meet, at least one. After a failure the other is tried.
	HTTP bool // HTTP-01, by way of Handler on port 80
	TLS  bool // TLS-ALPN-01, by way of GetCertificate on port 443

	// Dial connects to the ACME server. The zero value asks the system's resolver.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	Timeout time.Duration  // 3 min: one attempt in all
	Chance  func() float64 // rand.Float64: from 0 up to 1, so that not everybody renews at once
	Log     *slog.Logger   // slog.DiscardHandler
}

func (c ACMEConfig) withDefaults() ACMEConfig {
	if c.Directory == "" {
		c.Directory = acme.LetsEncryptURL
	}
	if c.Timeout <= 0 {
		c.Timeout = 3 * time.Minute
	}
	if c.Chance == nil {
		c.Chance = rand.Float64
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// ACME is a certificate from an ACME server, that Run gets, and renews when a third of its life is left.
//
//	NewACME: what the cache has -> Run: due -> attempt -> in force -> due ...
//	                                              `-> failed -> due again, later and later
//
// The certificate that was got last is shown for as long as there is no better one, be it too old.
type ACME struct {
	conf       ACMEConfig
	names      []string
	addrs      []netip.Addr
	transport  *http.Transport
	account    crypto.Signer // nil with ReadOnly
	challenges challenges
	current    atomic.Pointer[tls.Certificate]
	obtain     func(context.Context, string) (*tls.Certificate, error)
	retry      chan struct{} // holds one when Run is not to wait any longer

	mu     sync.Mutex // guards what follows
	failed string     // why the last attempt was none
}

// NewACME reads the cache. It does not ask the ACME server: that is for Run.
func NewACME(conf ACMEConfig) (*ACME, error) {
	a := &ACME{conf: conf.withDefaults(), retry: make(chan struct{}, 1)}
	a.obtain = a.order
	for _, d := range a.conf.Domains {
		if addr, err := netip.ParseAddr(d); err == nil {
			a.addrs = append(a.addrs, addr)
		} else {
			a.names = append(a.names, d)
		}
	}
	if len(a.conf.Domains) == 0 || !a.conf.HTTP && !a.conf.TLS {
		return nil, errors.New("a certificate from an ACME server needs a name and a challenge")
	}
	var err error
	if a.transport, err = a.newTransport(); err != nil {
		return nil, err
	}
	if err := a.readCache(); err != nil {
		return nil, fmt.Errorf("cache of certificates, %s: %w", a.conf.Cache, err)
	}
	return a, nil
}

func (a *ACME) newTransport() (*http.Transport, error) {
	roots, err := readRoots(a.conf.CAFile)
	if err != nil {
		return nil, fmt.Errorf("authorities of the ACME server, %s: %w", a.conf.CAFile, err)
	}
	return &http.Transport{
		// No Proxy: a proxy from the environment would look up host names on its own.
		DialContext: a.conf.Dial, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: roots}, TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConns: 2, IdleConnTimeout: 30 * time.Second,
	}, nil
}

// newClient returns a client that knows the account by its key alone: what else there is to know, the ACME
// server may have changed or forgotten since the last time.
func (a *ACME) newClient() *acme.Client {
	return &acme.Client{
		Key: a.account, DirectoryURL: a.conf.Directory, UserAgent: "dens", RetryBackoff: backoffRequest,
		HTTPClient: &http.Client{Transport: bounded{a.transport}, Timeout: 30 * time.Second},
	}
}

// backoffRequest has a request that the ACME server could not answer at the moment tried twice more, and one whose
// nonce it did not take (RFC 8555 section 6.5) soon and some times. Longer waits are Run's.
func backoffRequest(n int, _ *http.Request, resp *http.Response) time.Duration {
	switch {
	case resp != nil && resp.StatusCode == http.StatusBadRequest && n <= 8:
		return 100 * time.Millisecond
	case n <= 2:
		return time.Duration(n) * time.Second
	}
	return 0
}

// readRoots reads the authorities of a PEM file; "" is nil, the system's.
func readRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		return nil, errors.New("no certificate in it")
	}
	return roots, nil
}

// folder is where the cache of this ACME server is, so that no certificate of another, such as one for trials,
// is taken for one of it.
func (a *ACME) folder() string {
	_, rest, _ := strings.Cut(a.conf.Directory, "://")
	return filepath.Join(a.conf.Cache, "acme-"+fileName(rest))
}

// fileName makes a name for a file of a text.
func fileName(text string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, text)
	return name[:min(len(name), 150)]
}

// pairFile is where the certificate is kept.
func (a *ACME) pairFile() string {
	return filepath.Join(a.folder(), "cert-"+fileName(a.conf.Domains[0])+".pem")
}

// readCache takes the account's key, which it makes where there is none, and the certificate. One that is not for
// all that is asked for is better than none until Run has a new one.
func (a *ACME) readCache() error {
	data, err := readFile(a.pairFile())
	if err == nil {
		_, pair, err := decodePair(data)
		if err == nil && pair != nil {
			a.current.Store(pair)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if a.conf.ReadOnly {
		return nil
	}
	a.account, err = a.accountKey()
	return err
}

func (a *ACME) accountKey() (crypto.Signer, error) {
	path := filepath.Join(a.folder(), "account.pem")
	data, err := readFile(path)
	if err == nil {
		key, _, err := decodePair(data)
		if err != nil {
			return nil, fmt.Errorf("account's key: %w; without the file a new one is made", err)
		}
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(a.folder(), 0o700); err != nil {
		return nil, withoutPath(err)
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	if data, err = encodePair(key, nil); err != nil {
		return nil, err
	}
	return key, replaceFile(path, data)
}

// GetCertificate implements Source.
func (a *ACME) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if isChallenge(hello) {
		return a.challenges.certificate(hello.ServerName)
	}
	cert := a.current.Load()
	if cert == nil {
		return nil, ErrNone
	}
	return cert, nil
}

// NextProtos implements Source.
func (a *ACME) NextProtos() []string {
	if !a.conf.TLS {
		return nil
	}
	return []string{ChallengeProto}
}

// Handler answers HTTP-01 challenges (RFC 8555 section 8.3), and nothing else.
func (a *ACME) Handler() http.Handler { return &a.challenges }

// Status implements Keeper.
func (a *ACME) Status() Status {
	s := statusOf("acme", a.current.Load())
	if s.NotAfter.IsZero() {
		s.Names, s.Addresses = a.names, a.addrs
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s.Error = a.failed
	return s
}

// note keeps why the last attempt was none, and returns it.
func (a *ACME) note(err error) (reason string) {
	if err != nil {
		reason = reasonOf(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = reason
	return reason
}

// maxReason bounds what is kept of an error, parts of which the ACME server has written.
const maxReason = 1000

func reasonOf(err error) string {
	text := err.Error()
	return strings.ToValidUTF8(text[:min(len(text), maxReason)], "?")
}

// Retry has Run try again at once, if it waits after a failure: whoever calls it may have mended the cause. It does
// not when the ACME server has set a limit to how often it is asked.
func (a *ACME) Retry() {
	select {
	case a.retry <- struct{}{}:
	default: // it is to do so already
	}
}
