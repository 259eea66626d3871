package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
)

// A client that takes its time gets all of its replies, in their order, though they fit no buffer.
func TestSlowReader(t *testing.T) {
	each(t, intake.Limits{}, func(t *testing.T, s *served, client *tls.Config) {
		const n = 1500
		conn := s.dial(t, client)
		var sent []byte
		for i := range n {
			sent = append(sent, framed(message(uint16(i)<<8|bitLong))...)
		}
		written := make(chan error, 1)
		go func() {
			_, err := conn.Write(sent)
			written <- err
		}()
		time.Sleep(50 * time.Millisecond) // the server's writes wait by now
		for i, msg := range readFrames(t, conn, n) {
			if want := appendEcho(nil, message(uint16(i)<<8|bitLong)); !bytes.Equal(msg, want) {
				t.Fatalf("reply %d differs", i)
			}
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
	})
}

// A client that does not read is cut, and disturbs no other.
func TestClientThatDoesNotRead(t *testing.T) {
	each(t, intake.Limits{WriteTimeout: 500 * time.Millisecond}, func(t *testing.T, s *served, client *tls.Config) {
		deaf, other := s.dial(t, client), s.dial(t, client)
		go func() {
			queries := bytes.Repeat(framed(message(bitLong)), 1000)
			for {
				if _, err := deaf.Write(queries); err != nil {
					return
				}
			}
		}()
		proto := s.conf.Protocol - wire.TCP
		wait(t, "the client to be cut", func() bool { return s.stats.WriteErrors.Load() > 0 && s.stats.Conns()[proto].Open == 1 })
		write(t, other, burst(3))
		readFrames(t, other, 3)
	})
}

// When too many clients do not read, more of them are cut at once.
func TestManyThatDoNotRead(t *testing.T) {
	s := start(t, polled, Config{}, intake.Limits{WriteTimeout: time.Minute, MaxConns: 256, MaxConnsPerClient: 100}, echo{})
	queries := bytes.Repeat(framed(message(bitLong)), 1000)
	const limit = 64
	for range limit + 3 {
		conn := s.dial(t, nil).(*net.TCPConn)
		_ = conn.SetReadBuffer(4096)
		go func() {
			for {
				if _, err := conn.Write(queries); err != nil {
					return
				}
			}
		}()
	}
	wait(t, "three to be cut", func() bool { return s.stats.WriteErrors.Load() == 3 && s.stats.Conns()[0].Open == limit })
	other := s.dial(t, nil)
	write(t, other, burst(3))
	readFrames(t, other, 3)
	s.each((*Conn).Close)
}

// What has reached the kernel when a listener is drained is answered, at once or later; then connections end.
func TestDrain(t *testing.T) {
	server, client := newTLS(t, "dot")
	for name, conf := range map[string]Config{"TCP": {}, "DoT": {TLS: server, Protocol: wire.DoT}} {
		for _, w := range []way{polled, plain} {
			t.Run(string(w)+" "+name, func(t *testing.T) {
				release := make(chan struct{})
				s := start(t, w, conf, intake.Limits{}, held{release})
				security := client
				if conf.TLS == nil {
					security = nil
				}
				busy, idle := s.dial(t, security), s.dial(t, security)
				for _, conn := range []net.Conn{busy, idle} {
					write(t, conn, burst(1))
					readFrames(t, conn, 1)
				}
				write(t, busy, append(framed(message(bitMiss)), burst(2)...))
				drained := make(chan struct{})
				go func() {
					s.Drain(context.Background())
					close(drained)
				}()
				if got := readFrames(t, idle, -1); len(got) != 0 {
					t.Errorf("%d replies on the idle connection", len(got))
				}
				readFrames(t, busy, 2)
				select {
				case <-drained:
					t.Fatal("the listener has ended before all was answered")
				default:
				}
				close(release)
				if got := readFrames(t, busy, -1); len(got) != 1 {
					t.Errorf("%d replies came later, want 1", len(got))
				}
				<-drained
			})
		}
	}
}
