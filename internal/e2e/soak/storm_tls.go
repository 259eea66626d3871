package soak

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// hello is the first flight of a TLS handshake.
func (t *Target) hello(alpn string) []byte {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	go tls.Client(near, t.config(alpn)).Handshake() //nolint:errcheck // it ends with the pipe
	buf := make([]byte, 16<<10)
	n, err := far.Read(buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

// encrypted are the TCP ports with TLS, and what is spoken there.
func (t *Target) encrypted() map[string]string { return map[string]string{t.DoT: "dot", t.DoH: "h2"} }

// eachTLS is each over TLS.
func (t *Target) eachTLS(ctx context.Context, n int, addr, alpn string, do func(*tls.Conn)) {
	each(ctx, n, []string{addr}, func(c net.Conn) {
		conn := tls.Client(c, t.config(alpn))
		if conn.HandshakeContext(ctx) == nil {
			do(conn)
		}
	})
}

// record is a record of TLS that claims a length.
func record(kind byte, length int, body []byte) []byte {
	return append([]byte{kind, 3, 3, byte(length >> 8), byte(length)}, body...)
}

func tlsAbuses() map[string]Abuse {
	raw := func(n int, make func(hello []byte) []byte) Abuse {
		return func(ctx context.Context, t *Target) {
			for addr, alpn := range t.encrypted() {
				message := make(t.hello(alpn))
				each(ctx, n, []string{addr}, func(c net.Conn) {
					c.Write(message) //nolint:errcheck // see storm.go, as all below
					untilClosed(c)
				})
			}
		}
	}
	return map[string]Abuse{
		"TLS: half a hello":           raw(5, func(h []byte) []byte { return h[:len(h)/2] }),
		"TLS: a hello, then nothing":  raw(5, func(h []byte) []byte { return h }),
		"TLS: a hello, then garbage":  raw(5, func(h []byte) []byte { return append(h, noise(500)...) }),
		"TLS: a record of garbage":    raw(5, func([]byte) []byte { return record(22, 300, noise(400)) }),
		"TLS: a record too long":      raw(5, func([]byte) []byte { return record(22, 0xffff, noise(4000)) }),
		"TLS: data before handshake":  raw(5, func([]byte) []byte { return record(23, 100, noise(200)) }),
		"TLS: an alert first":         raw(5, func([]byte) []byte { return record(21, 2, []byte{2, 40}) }),
		"TLS: plain DNS to its ports": func(ctx context.Context, t *Target) { plainToTLS(ctx, t) },
		"TLS: a wrong ALPN": func(ctx context.Context, t *Target) {
			for addr := range t.encrypted() {
				t.eachTLS(ctx, 3, addr, "imap", func(*tls.Conn) {})
			}
		},
		"TLS: an old version": func(ctx context.Context, t *Target) {
			each(ctx, 4, []string{t.DoT, t.DoH}, func(c net.Conn) {
				conf := t.config("h2")
				conf.MinVersion, conf.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
				tls.Client(c, conf).HandshakeContext(ctx)
			})
		},
		"TLS: reset in the handshake": func(ctx context.Context, t *Target) {
			for addr, alpn := range t.encrypted() {
				hello := t.hello(alpn)
				each(ctx, 10, []string{addr}, func(c net.Conn) {
					c.Write(hello)
					time.Sleep(2 * time.Millisecond)
					reset(c)
				})
			}
		},
		"TLS: garbage after the handshake": func(ctx context.Context, t *Target) {
			for addr, alpn := range t.encrypted() {
				t.eachTLS(ctx, 3, addr, alpn, func(c *tls.Conn) {
					c.NetConn().Write(noise(300))
					untilClosed(c)
				})
			}
		},
	}
}

// dotAbuses are those of connections whose handshake was good.
func dotAbuses() map[string]Abuse {
	return map[string]Abuse{
		"DoT: resets after asking": func(ctx context.Context, t *Target) {
			t.eachTLS(ctx, 5, t.DoT, "dot", func(c *tls.Conn) {
				c.Write(append(t.burst(20), Frame(fresh())...))
				reset(c.NetConn())
			})
		},
		"DoT: closes right after asking": func(ctx context.Context, t *Target) {
			t.eachTLS(ctx, 5, t.DoT, "dot", func(c *tls.Conn) { c.Write(append(t.burst(20), Frame(fresh())...)) })
		},
		"DoT: a message that stalls": func(ctx context.Context, t *Target) {
			t.eachTLS(ctx, 5, t.DoT, "dot", func(c *tls.Conn) {
				c.Write([]byte{1, 0, 7})
				untilClosed(c)
			})
		},
		"DoT: a record that stalls": func(ctx context.Context, t *Target) {
			t.eachTLS(ctx, 5, t.DoT, "dot", func(c *tls.Conn) {
				c.NetConn().Write(record(23, 400, noise(50)))
				untilClosed(c)
			})
		},
		"DoT: asks thousands and reads none": func(ctx context.Context, t *Target) {
			t.eachTLS(ctx, 1, t.DoT, "dot", func(c *tls.Conn) {
				for range 20 {
					if _, err := c.Write(t.burst(200)); err != nil {
						return
					}
				}
				<-ctx.Done()
			})
		},
		"DoT: idle": func(ctx context.Context, t *Target) {
			t.eachTLS(ctx, 20, t.DoT, "dot", func(c *tls.Conn) { untilClosed(c) })
		},
		"DoT: noise as messages": func(ctx context.Context, t *Target) {
			t.eachTLS(ctx, 3, t.DoT, "dot", func(c *tls.Conn) {
				for range 20 {
					c.Write(Frame(noise(300)))
				}
				untilClosed(c)
			})
		},
	}
}

func plainToTLS(ctx context.Context, t *Target) {
	each(ctx, 10, []string{t.DoT, t.DoH}, func(c net.Conn) {
		c.Write(t.burst(3)) //nolint:errcheck // see storm.go
		untilClosed(c)
	})
}
