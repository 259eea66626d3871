package soak

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// quicConn opens a QUIC connection from an address of a stranger, by a socket that goes silent after some
// datagrams. The socket ends it, and the other end is not told.
func (t *Target) quicConn(ctx context.Context, to, alpn string, datagrams int) (conn *quic.Conn, end func(), err error) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(stranger())})
	if err != nil {
		return nil, nil, err
	}
	addr, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		socket.Close()
		return nil, nil, err
	}
	conf := &quic.Config{HandshakeIdleTimeout: time.Second, MaxIncomingUniStreams: 3}
	transport := &quic.Transport{Conn: &cutOff{socket, datagrams}}
	end = func() {
		socket.Close()
		transport.Close() //nolint:errcheck // the socket is closed
	}
	if conn, err = transport.Dial(ctx, addr, t.config(alpn), conf); err != nil {
		end()
		return nil, nil, err
	}
	return conn, end, nil
}

// many is enough for every datagram of an abuse.
const many = 1 << 30

// eachQUIC has something done to n connections.
func (t *Target) eachQUIC(ctx context.Context, n int, to, alpn string, do func(context.Context, *quic.Conn)) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			conn, end, err := t.quicConn(ctx, to, alpn, many)
			if err != nil {
				return
			}
			defer end()
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(conn.Context(), cancel)()
			do(ctx, conn)
		})
	}
	wg.Wait()
}

// toEither has something done to both QUIC listeners.
func toEither(n int, do func(ctx context.Context, t *Target, c *quic.Conn)) Abuse {
	return func(ctx context.Context, t *Target) {
		for to, alpn := range map[string]string{t.DoQ: "doq", t.DoH: "h3"} {
			t.eachQUIC(ctx, n, to, alpn, func(ctx context.Context, c *quic.Conn) { do(ctx, t, c) })
		}
	}
}

func quicAbuses() map[string]Abuse {
	return map[string]Abuse{
		"QUIC: handshakes that stop": func(ctx context.Context, t *Target) {
			var wg sync.WaitGroup
			for i := range 10 {
				wg.Go(func() {
					to, alpn := t.DoQ, "doq"
					if i%2 == 1 {
						to, alpn = t.DoH, "h3"
					}
					if _, end, err := t.quicConn(ctx, to, alpn, 1+i/5); err == nil {
						end()
					}
				})
			}
			wg.Wait()
		},
		"QUIC: a wrong ALPN": func(ctx context.Context, t *Target) {
			for _, to := range []string{t.DoQ, t.DoH} {
				t.eachQUIC(ctx, 2, to, "imap", func(context.Context, *quic.Conn) {})
			}
		},
		"QUIC: gone without a word": toEither(3, func(ctx context.Context, t *Target, c *quic.Conn) {
			if s, err := c.OpenStreamSync(ctx); err == nil {
				s.Write(t.burst(1)) //nolint:errcheck // see storm.go, as all below
			}
		}),
	}
}

// quicStreamAbuses are those of streams.
func quicStreamAbuses() map[string]Abuse {
	return map[string]Abuse{
		"QUIC: streams that stall": toEither(3, func(ctx context.Context, t *Target, c *quic.Conn) {
			for range 10 {
				if s, err := c.OpenStreamSync(ctx); err == nil {
					s.Write([]byte{0, 100, 1, 2})
				}
			}
			<-ctx.Done()
		}),
		"QUIC: streams left open": toEither(2, func(ctx context.Context, t *Target, c *quic.Conn) {
			for range 200 {
				s, err := c.OpenStreamSync(ctx)
				if err != nil {
					return
				}
				s.Write(t.burst(1)) // without FIN
			}
		}),
		"QUIC: streams reset": toEither(2, func(ctx context.Context, t *Target, c *quic.Conn) {
			for range 500 {
				s, err := c.OpenStreamSync(ctx)
				if err != nil {
					return
				}
				s.Write(t.burst(1))
				s.CancelWrite(3)
				s.CancelRead(3)
			}
		}),
		"QUIC: one-way streams": toEither(2, func(ctx context.Context, t *Target, c *quic.Conn) {
			for range 20 {
				ctx, cancel := context.WithTimeout(ctx, time.Second)
				if s, err := c.OpenUniStreamSync(ctx); err == nil {
					s.Write(noise(300))
				}
				cancel()
			}
		}),
		"QUIC: noise in streams": toEither(2, func(ctx context.Context, t *Target, c *quic.Conn) {
			for range 20 {
				s, err := c.OpenStreamSync(ctx)
				if err != nil {
					return
				}
				s.Write(noise(2000))
				s.Close()
			}
		}),
		"DoQ: several messages in a stream": func(ctx context.Context, t *Target) {
			t.eachQUIC(ctx, 2, t.DoQ, "doq", func(ctx context.Context, c *quic.Conn) {
				if s, err := c.OpenStreamSync(ctx); err == nil {
					s.Write(t.burst(3))
					s.Close()
					<-ctx.Done()
				}
			})
		},
		"QUIC: idle": toEither(5, func(ctx context.Context, _ *Target, _ *quic.Conn) { <-ctx.Done() }),
		"QUIC: reads nothing": toEither(1, func(ctx context.Context, t *Target, c *quic.Conn) {
			for range 100 {
				s, err := c.OpenStreamSync(ctx)
				if err != nil {
					return
				}
				s.Write(t.burst(1))
				s.Close()
			}
			<-ctx.Done()
		}),
	}
}
