package stream

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
)

// ended waits until the server has closed.
func ended(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, conn)
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		t.Fatalf("the connection was not closed: %v", err)
	}
}

func TestHandshakeFailures(t *testing.T) {
	server, client := newTLS(t, "dot")
	hello := make(chan []byte, 1) // how a true one begins
	go func() {
		a, b := net.Pipe()
		go func() { _ = tls.Client(a, client).Handshake() }()
		buf := make([]byte, 200)
		_, _ = io.ReadFull(b, buf)
		hello <- buf
		b.Close()
	}()
	start0 := <-hello
	tests := []struct {
		name string
		send []byte
		want uint64 // handshakes that failed
	}{
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), 1},
		{"DNS without TLS", burst(3), 1},
		{"SSLv2", []byte{0x80, 0x2e, 1, 3, 1, 0, 21}, 1},
		{"a record that is too long", []byte{22, 3, 1, 0xff, 0xff, 1}, 1},
		{"half a ClientHello", start0, 1},
		{"silence", nil, 1},
	}
	for _, w := range []way{polled, plain} {
		for i, tt := range tests {
			if w == plain && i > 0 && i < len(tests)-1 {
				continue // the ways differ in how they wait, not in what they find
			}
			t.Run(string(w)+" "+tt.name, func(t *testing.T) {
				s := start(t, w, Config{TLS: server, Protocol: wire.DoT}, intake.Limits{ReadTimeout: time.Second}, echo{})
				conn := s.dial(t, nil)
				write(t, conn, tt.send)
				ended(t, conn)
				conn.Close() // or the server waits for that
				wait(t, "the place to be given back", func() bool { return s.stats.Conns()[1].Open == 0 })
				if got := s.stats.Handshakes.Load(); got != tt.want {
					t.Errorf("%d handshakes failed, want %d", got, tt.want)
				}
				good := s.dial(t, client)
				write(t, good, burst(1))
				readFrames(t, good, 1)
			})
		}
	}
}

// A connection that ends before it has said anything is no handshake that failed.
func TestNoHandshake(t *testing.T) {
	server, _ := newTLS(t, "dot")
	s := start(t, polled, Config{TLS: server, Protocol: wire.DoT}, intake.Limits{}, echo{})
	s.dial(t, nil).Close()
	wait(t, "the place to be given back", func() bool { c := s.stats.Conns()[1]; return c.Opened == 1 && c.Open == 0 })
	if got := s.stats.Handshakes.Load(); got != 0 {
		t.Errorf("%d handshakes failed, want none", got)
	}
}

func TestALPN(t *testing.T) {
	server, client := newTLS(t, "dot")
	s := start(t, polled, Config{TLS: server, Protocol: wire.DoT}, intake.Limits{}, echo{})
	client.NextProtos = []string{"h2", "http/1.1"}
	_, err := tls.Dial("tcp", s.Addr().String(), client)
	const noApplicationProtocol = 120 // RFC 7301 section 3.2
	if alert, ok := errors.AsType[tls.AlertError](err); !ok || alert != noApplicationProtocol {
		// The alert of the other side is an *net.OpError around a private type: its text has to do.
		if err == nil || err.Error() != "remote error: tls: no application protocol" {
			t.Errorf("the handshake ended with %v", err)
		}
	}
	client.NextProtos = []string{"h2", "dot"}
	conn := s.dial(t, client)
	write(t, conn, burst(1))
	readFrames(t, conn, 1)

	// What is agreed on for other ends carries no DNS.
	other, client := newTLS(t, "dot", "acme-tls/1")
	s = start(t, polled, Config{TLS: other, Protocol: wire.DoT}, intake.Limits{}, echo{})
	client.NextProtos = []string{"acme-tls/1"}
	conn = s.dial(t, client)
	if got := readFrames(t, conn, -1); len(got) != 0 {
		t.Errorf("%d messages came", len(got))
	}
}

// One client has no more than its share of handshakes, and those that are stalled make room for others.
func TestStalledHandshakes(t *testing.T) {
	server, client := newTLS(t, "dot")
	conf := Config{TLS: server, Protocol: wire.DoT, Handshakes: NewHandshakes(3, 2)}
	s := start(t, polled, conf, intake.Limits{ReadTimeout: time.Minute}, echo{})
	from := func(last byte) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, last)}}
		conn, err := d.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		return conn
	}
	underWay := func(n int) {
		t.Helper()
		wait(t, "handshakes to begin", func() bool {
			h := s.conf.Handshakes
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.order.Len() == n
		})
	}
	first, second := from(2), from(2)
	write(t, first, []byte{22})
	underWay(1)
	write(t, second, []byte{22})
	underWay(2)
	third := from(2)
	write(t, third, []byte{22})
	ended(t, third)

	other := from(3)
	write(t, other, []byte{22})
	underWay(3)
	good := tls.Client(from(4), client)
	if err := good.Handshake(); err != nil {
		t.Fatal(err)
	}
	write(t, good, burst(1))
	readFrames(t, good, 1)
	ended(t, first) // the oldest has made room
	if got := s.stats.Handshakes.Load(); got != 2 {
		t.Errorf("%d handshakes failed, want that of the third and the first", got)
	}
	underWay(2)
	for _, conn := range []net.Conn{second, other} {
		conn.Close()
	}
	underWay(0)
	if n := len(s.conf.Handshakes.clients); n != 0 {
		t.Errorf("%d clients are remembered", n)
	}
}

// A handshake that waits for its client keeps no other from computing.
func TestStalledHandshakesDoNotCompute(t *testing.T) {
	server, client := newTLS(t, "dot")
	conf := Config{TLS: server, Protocol: wire.DoT, Handshakes: NewHandshakes(0, 1<<10)} // one client's, on however many processors
	s := start(t, polled, conf, intake.Limits{ReadTimeout: time.Minute}, echo{})
	for range cap(s.conf.Handshakes.cpu) + 3 {
		conn := s.dial(t, nil)
		// A whole ClientHello, so that the server has computed, and waits for what never comes.
		_ = tls.Client(&deafConn{Conn: conn}, client).Handshake()
	}
	conn := s.dial(t, client)
	write(t, conn, burst(1))
	readFrames(t, conn, 1)
	wait(t, "all handshakes to have computed", func() bool { return len(s.conf.Handshakes.cpu) == 0 })
}

// deafConn sends and reads nothing.
type deafConn struct{ net.Conn }

func (*deafConn) Read([]byte) (int, error) { return 0, io.EOF }

func (*deafConn) Close() error { return nil }

func TestSessionTickets(t *testing.T) {
	server, client := newTLS(t, "dot")
	s := start(t, polled, Config{TLS: server, Protocol: wire.DoT}, intake.Limits{}, echo{})
	client.ClientSessionCache = tls.NewLRUClientSessionCache(2)
	for i := range 2 {
		conn := s.dial(t, client).(*tls.Conn)
		write(t, conn, burst(1))
		readFrames(t, conn, 1)
		if got := conn.ConnectionState().DidResume; got != (i == 1) {
			t.Errorf("connection %d: resumed %v", i, got)
		}
	}
}
