package soak

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

// Target is a server, with the addresses of its listeners.
type Target struct {
	DNS, DoT, DoH, DoQ string
	HTTP               string // without TLS
	Roots              *x509.CertPool
	ServerName         string // of the certificate
	Path               string // of DoH
	// Known are questions that the server can answer from its cache, for those who flood it.
	Known []Question
}

// dialTimeout is what it takes to connect, at the very most.
const dialTimeout = 5 * time.Second

// config is a TLS configuration with the given ALPN protocols.
func (t *Target) config(alpn ...string) *tls.Config {
	return &tls.Config{RootCAs: t.Roots, ServerName: t.ServerName, NextProtos: alpn}
}

// dial connects from an address; "" is any.
func dial(ctx context.Context, network, from, to string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var d net.Dialer
	if from != "" {
		ip := net.ParseIP(from)
		d.LocalAddr = &net.TCPAddr{IP: ip}
		if network == "udp" {
			d.LocalAddr = &net.UDPAddr{IP: ip}
		}
	}
	return d.DialContext(ctx, network, to)
}

// DialTLS connects from an address ("" is any) and shakes hands.
func (t *Target) DialTLS(ctx context.Context, from, to string, alpn ...string) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := dial(ctx, "tcp", from, to)
	if err != nil {
		return nil, err
	}
	c := tls.Client(conn, t.config(alpn...))
	if err := c.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// stranger is an address of somebody who means harm: the limits that count for one client are not to hit those
// at 127.0.0.1.
func stranger() string {
	return fmt.Sprintf("127.%d.%d.%d", 64+rand.IntN(64), rand.IntN(256), 1+rand.IntN(254))
}
