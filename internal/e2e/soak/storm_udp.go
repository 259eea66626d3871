package soak

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"net"
	"time"
)

// datagrams sends n datagrams from one address, a few at a time.
func datagrams(ctx context.Context, n int, to string, make func() []byte) {
	conn, err := dial(ctx, "udp", stranger(), to)
	if err != nil {
		return
	}
	defer conn.Close()
	for i := range n {
		conn.Write(make()) //nolint:errcheck // see storm.go
		if i%20 == 19 && !pause(ctx, 5*time.Millisecond) {
			return
		}
	}
}

// longHeader is a QUIC packet with a long header (RFC 9000 section 17.2) and noise for the rest.
func longHeader(kind byte, version [4]byte) []byte {
	p := make([]byte, 1200)
	rand.Read(p) //nolint:errcheck // it never fails
	p[0] = 0xc0 | kind<<4
	copy(p[1:], version[:])
	p[5], p[14] = 8, 8 // lengths of the connection IDs
	if kind == 0 {
		p[23] = 0                                                 // no token
		p[24], p[25] = 0x40|byte((len(p)-26)>>8), byte(len(p)-26) // the length of the rest, as a varint of 2 octets
	}
	return p
}

// cutOff connects a UDP socket from which nothing goes out after the first n datagrams.
type cutOff struct {
	net.PacketConn
	left int
}

func (c *cutOff) WriteTo(p []byte, to net.Addr) (int, error) {
	if c.left--; c.left < 0 {
		return len(p), nil
	}
	return c.PacketConn.WriteTo(p, to)
}

func udpAbuses() map[string]Abuse {
	v1 := [4]byte{0, 0, 0, 1}
	return map[string]Abuse{
		"UDP: noise": func(ctx context.Context, t *Target) {
			for _, to := range []string{t.DNS, t.DoQ, t.DoH} {
				datagrams(ctx, 200, to, func() []byte { return noise(1400) })
			}
		},
		"UDP: questions with noise behind them": func(ctx context.Context, t *Target) {
			datagrams(ctx, 200, t.DNS, func() []byte { return append(t.burst(1)[2:], noise(100)...) })
		},
		"UDP: replies": func(ctx context.Context, t *Target) {
			datagrams(ctx, 200, t.DNS, func() []byte {
				m := t.burst(1)[2:]
				m[2] |= 0x80
				return m
			})
		},
		"UDP: a flood of what nobody knows": func(ctx context.Context, t *Target) {
			datagrams(ctx, 200, t.DNS, fresh)
		},
		"QUIC: Initials of noise": func(ctx context.Context, t *Target) {
			for _, to := range []string{t.DoQ, t.DoH} {
				datagrams(ctx, 100, to, func() []byte { return longHeader(0, v1) })
			}
		},
		"QUIC: 0-RTT, Handshake, Retry of noise": func(ctx context.Context, t *Target) {
			for _, to := range []string{t.DoQ, t.DoH} {
				datagrams(ctx, 100, to, func() []byte { return longHeader(byte(1+mathrand.IntN(3)), v1) })
			}
		},
		"QUIC: versions that nobody knows": func(ctx context.Context, t *Target) {
			for _, to := range []string{t.DoQ, t.DoH} {
				datagrams(ctx, 100, to, func() []byte { return longHeader(0, [4]byte{0x1a, 0x2a, 0x3a, 0x4a}) })
			}
		},
		"QUIC: short headers of noise": func(ctx context.Context, t *Target) {
			for _, to := range []string{t.DoQ, t.DoH} {
				datagrams(ctx, 100, to, func() []byte { return append([]byte{0x40}, noise(1000)...) })
			}
		},
	}
}
