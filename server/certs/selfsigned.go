package certs

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net/netip"
	"sync/atomic"
	"time"
)

// SelfSignedConfig says what a certificate without an authority is for.
type SelfSignedConfig struct {
	Names     []string      // DNS names; "localhost" when there is neither a name nor an address
	Addresses []netip.Addr  // without zones
	Key       crypto.Signer // where State has none; nil: one is drawn
	State     string        // path of the file that keeps key and certificate over restarts; "": none does
	ReadOnly  bool          // State is not written

	Life time.Duration    // 398 days, more than which some clients do not take; renewed when a third is left
	Now  func() time.Time // time.Now
	Log  *slog.Logger     // slog.DiscardHandler
}

func (c SelfSignedConfig) withDefaults() SelfSignedConfig {
	if len(c.Names)+len(c.Addresses) == 0 {
		c.Names = []string{"localhost"}
	}
	if c.Life <= 0 {
		c.Life = 398 * 24 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

const (
	// leeway is how far clients' clocks may be behind.
	leeway = time.Hour
	// checkInterval is how often the clock is looked at, which may have been set, or slept through.
	checkInterval = time.Hour
)

// SelfSigned is a certificate that dens signs itself. Clients know it by its Pin, which stays for as long as the
// key does: over renewals, and with a State over restarts.
type SelfSigned struct {
	conf    SelfSignedConfig
	key     crypto.Signer
	kept    atomic.Bool // the key is in State
	current atomic.Pointer[tls.Certificate]
	failed  atomic.Pointer[string]
}

// NewSelfSigned reads the key, or draws one, and makes the certificate. Errors name the State and nothing of
// what it holds.
func NewSelfSigned(conf SelfSignedConfig) (*SelfSigned, error) {
	s := &SelfSigned{conf: conf.withDefaults()}
	kept, err := s.readState()
	if err != nil {
		return nil, fmt.Errorf("state of the self-signed certificate, %s: %w", s.conf.State, err)
	}
	if s.key == nil {
		s.key = s.conf.Key
	}
	if s.key == nil {
		if s.key, err = newKey(); err != nil {
			return nil, err
		}
	}
	if kept != nil && s.fits(kept.Leaf) {
		s.current.Store(kept)
		return s, nil
	}
	return s, s.renew()
}

// readState takes the key from the file, where there is one, and returns its certificate, if any.
func (s *SelfSigned) readState() (*tls.Certificate, error) {
	if s.conf.State == "" {
		return nil, nil
	}
	data, err := readFile(s.conf.State)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	key, cert, err := decodePair(data)
	if err != nil {
		return nil, fmt.Errorf("%w; without the file a new key is made", err)
	}
	s.key = key
	s.kept.Store(true)
	return cert, nil
}

// fits reports whether a certificate may stay in force.
func (s *SelfSigned) fits(leaf *x509.Certificate) bool {
	now := s.conf.Now()
	return !now.Before(leaf.NotBefore) && now.Before(renewAt(leaf)) && leaf.NotAfter.Sub(leaf.NotBefore) <= s.conf.Life+2*leeway &&
		covers(leaf, s.conf.Names, s.conf.Addresses) && len(leaf.DNSNames)+len(leaf.IPAddresses) == len(s.conf.Names)+len(s.conf.Addresses)
}

// renewAt is when a certificate has a third of its life left.
func renewAt(leaf *x509.Certificate) time.Time {
	return leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 3)
}

// renew makes a certificate for the key, and keeps it.
func (s *SelfSigned) renew() error {
	cert, err := s.sign()
	if err != nil {
		return err
	}
	s.current.Store(cert)
	if s.conf.State == "" || s.conf.ReadOnly {
		return nil
	}
	data, err := encodePair(s.key, cert.Certificate)
	if err == nil {
		err = replaceFile(s.conf.State, data)
	}
	if err != nil {
		return fmt.Errorf("state of the self-signed certificate, %s: %w", s.conf.State, err)
	}
	s.kept.Store(true)
	return nil
}

func (s *SelfSigned) sign() (*tls.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := s.conf.Now()
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), // positive: RFC 5280 section 4.1.2.2
		Subject:      pkix.Name{CommonName: "dens, self-signed"},
		NotBefore:    now.Add(-leeway), NotAfter: now.Add(s.conf.Life - leeway),
		DNSNames: s.conf.Names, IPAddresses: toIPs(s.conf.Addresses),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		// An end entity: whoever trusts it trusts it for its own names alone.
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, s.key.Public(), s.key)
	if err != nil {
		return nil, err
	}
	return makePair(s.key, [][]byte{der})
}

// GetCertificate implements Source.
func (s *SelfSigned) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return s.current.Load(), nil
}

// NextProtos implements Source.
func (s *SelfSigned) NextProtos() []string { return nil }

// Pin returns the pin of the key, see Pin.
func (s *SelfSigned) Pin() string { return Pin(s.current.Load().Leaf) }

// Key returns the key, for another certificate with the same pin.
func (s *SelfSigned) Key() crypto.Signer { return s.key }

// Kept reports whether the key, and so the pin, is kept in a file.
func (s *SelfSigned) Kept() bool { return s.kept.Load() }

// Status implements Keeper.
func (s *SelfSigned) Status() Status {
	status := statusOf("self-signed", s.current.Load())
	if failed := s.failed.Load(); failed != nil {
		status.Error = *failed
	}
	return status
}

// Run implements Keeper.
func (s *SelfSigned) Run(ctx context.Context) {
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if s.failed.Load() == nil && s.fits(s.current.Load().Leaf) {
			continue
		}
		if err := s.renew(); err != nil {
			text := err.Error()
			s.failed.Store(&text)
			s.conf.Log.Error("the self-signed certificate could not be renewed or kept", "error", err)
			continue
		}
		s.failed.Store(nil)
		s.conf.Log.Info("self-signed certificate renewed", "expires", s.current.Load().Leaf.NotAfter, "pin", s.Pin())
	}
}
