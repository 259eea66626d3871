// Package certs has the certificates that listeners of TLS and QUIC show: from files that are watched, from
// an ACME server (RFC 8555), or signed by dens itself.
package certs

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/netip"
	"slices"
	"time"
)

// Source is where listeners get their certificate from, at each handshake. Its methods wait for nothing and
// may be called concurrently.
type Source interface {
	// GetCertificate is for tls.Config. A client that names no server (SNI) gets the certificate, too: DNS
	// over TLS is asked for by IP address.
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// NextProtos are the ALPN protocols that GetCertificate has special certificates for.
	NextProtos() []string
}

// Keeper is a Source that keeps itself up to date.
type Keeper interface {
	Source
	// Run renews or reloads until ctx ends. It is called once.
	Run(ctx context.Context)
	// Status says what is in force.
	Status() Status
}

// ErrNone means that there is no certificate, or none yet.
var ErrNone = errors.New("there is no certificate yet")

// Status is what a Source has in force.
type Status struct {
	Kind      string       // "files", "acme" or "self-signed"
	Names     []string     // of the certificate; of what is to be had where there is none yet
	Addresses []netip.Addr // likewise
	NotBefore time.Time
	NotAfter  time.Time // zero: there is no certificate yet
	Pin       string    // see Pin; "" without a certificate
	Error     string    // why the last attempt to renew or reload it failed; "" when it did not
}

// statusOf describes a certificate; nil is none.
func statusOf(kind string, cert *tls.Certificate) Status {
	s := Status{Kind: kind}
	if cert == nil {
		return s
	}
	s.NotBefore, s.NotAfter, s.Pin = cert.Leaf.NotBefore, cert.Leaf.NotAfter, Pin(cert.Leaf)
	s.Names, s.Addresses = identities(cert.Leaf)
	return s
}

// identities are the names and addresses that a certificate is for (RFC 6125).
func identities(leaf *x509.Certificate) ([]string, []netip.Addr) {
	var addrs []netip.Addr
	for _, ip := range leaf.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			addrs = append(addrs, a.Unmap())
		}
	}
	return slices.Clone(leaf.DNSNames), addrs
}

// Pin is the base64 form of the SHA-256 digest of a certificate's SubjectPublicKeyInfo, by which clients know
// a server without an authority (RFC 7858 section 4.2, RFC 7469 section 2.4).
func Pin(leaf *x509.Certificate) string {
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
