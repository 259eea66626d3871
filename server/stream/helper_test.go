package stream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
)

// echo answers with the request itself. IDs have meaning: those with bitMiss set are answered later, those with
// bitLong at length, and those with bitSilent not at all.
type echo struct{}

const (
	bitMiss   = 0x01
	bitLong   = 0x10
	bitSilent = 0x20
)

func (echo) Hit(q *wire.Query, buf []byte) ([]byte, bool) {
	if q.ID&bitMiss != 0 {
		return buf[:0], false
	}
	if q.ID&bitSilent != 0 {
		return buf[:0], true
	}
	return appendEcho(buf[:0], q.Msg), true
}

func (echo) Miss(_ context.Context, q *wire.Query, buf []byte) []byte {
	time.Sleep(time.Duration(q.ID>>8) * time.Microsecond)
	return appendEcho(buf[:0], q.Msg)
}

// appendEcho appends what echo answers.
func appendEcho(buf, msg []byte) []byte {
	at := len(buf)
	buf = append(buf, msg...)
	buf[at+2] |= 0x80
	if binary.BigEndian.Uint16(msg)&bitLong != 0 {
		buf = append(buf, make([]byte, 5000)...)
	}
	return buf
}

// message is a question with an ID.
func message(id uint16) []byte {
	return append([]byte{byte(id >> 8), byte(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0},
		7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 3, 'o', 'r', 'g', 0, 0, 1, 0, 1)
}

func framed(msgs ...[]byte) (out []byte) {
	for _, m := range msgs {
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(m))), m...)
	}
	return out
}

// burst is n questions of which all are hits.
func burst(n int) (out []byte) {
	for i := range n {
		out = append(out, framed(message(uint16(i)<<8))...)
	}
	return out
}

// readFrames reads n messages, or with n below 0 all until the end.
func readFrames(t testing.TB, r io.Reader, n int) (out [][]byte) {
	t.Helper()
	br := bufio.NewReader(r)
	for n < 0 || len(out) < n {
		var head [2]byte
		if _, err := io.ReadFull(br, head[:]); err != nil {
			if n < 0 && err == io.EOF {
				return out
			}
			t.Fatalf("after %d messages: %v", len(out), err)
		}
		msg := make([]byte, binary.BigEndian.Uint16(head[:]))
		if _, err := io.ReadFull(br, msg); err != nil {
			t.Fatal(err)
		}
		out = append(out, msg)
	}
	return out
}

// newTLS returns what a listener and its clients need.
func newTLS(t testing.TB, protocols ...string) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	server = &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   protocols,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	}
	return server, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", DynamicRecordSizingDisabled: true}
}

// served is a Listener on loopback.
type served struct {
	*Listener
	in     *intake.Intake
	stats  *intake.Stats
	writes *atomic.Int64 // where plain is set
}

// way is by which code a connection is read.
type way string

const (
	polled way = "polled"
	plain  way = "plain"
)

// start serves until the test ends, which fails when goroutines are left.
func start(t testing.TB, w way, conf Config, limits intake.Limits, h intake.Handler) *served {
	t.Helper()
	before := runtime.NumGoroutine()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &served{stats: new(intake.Stats), writes: new(atomic.Int64)}
	s.in = intake.New(intake.Config{Limits: limits, Stats: s.stats}, h)
	conf.Intake = s.in
	if conf.Protocol == wire.UDP {
		conf.Protocol = wire.TCP
	}
	if w == plain {
		socket = hidden{socket, s.writes}
	}
	s.Listener = New(conf, socket)
	go s.Serve()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		s.Drain(ctx)
		s.in.Close()
		wait(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
		if got := s.in.Load(); got != (intake.Load{}) {
			t.Errorf("places were kept: %+v", got)
		}
	})
	return s
}

// hidden hides from what its connections are made, so that they are read as anywhere but on Linux.
type hidden struct {
	net.Listener
	writes *atomic.Int64
}

func (h hidden) Accept() (net.Conn, error) {
	conn, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &hiddenConn{Conn: conn, writes: h.writes}, nil
}

type hiddenConn struct {
	net.Conn
	writes *atomic.Int64
}

func (h *hiddenConn) Write(p []byte) (int, error) {
	h.writes.Add(1)
	n, err := h.Conn.Write(p[:len(p)/2])
	if err != nil {
		return n, err
	}
	runtime.Gosched() // in two pieces, as when the kernel has not enough room
	m, err := h.Conn.Write(p[n:])
	return n + m, err
}

func (h *hiddenConn) CloseWrite() error { return h.Conn.(*net.TCPConn).CloseWrite() }

// dial opens a connection, with TLS when there is a client's Config.
func (s *served) dial(t testing.TB, security *tls.Config) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if security == nil {
		return conn
	}
	secure := tls.Client(conn, security)
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	return secure
}

func write(t testing.TB, conn io.Writer, p []byte) {
	t.Helper()
	if _, err := conn.Write(p); err != nil {
		t.Fatal(err)
	}
}

func wait(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("waited in vain for %s\n%s", what, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// each runs a test by both ways of reading, with and without TLS.
func each(t *testing.T, limits intake.Limits, do func(t *testing.T, s *served, client *tls.Config)) {
	t.Helper()
	server, client := newTLS(t, "dot")
	for _, w := range []way{polled, plain} {
		t.Run(string(w)+" TCP", func(t *testing.T) { do(t, start(t, w, Config{}, limits, echo{}), nil) })
		t.Run(string(w)+" DoT", func(t *testing.T) {
			do(t, start(t, w, Config{TLS: server, Protocol: wire.DoT}, limits, echo{}), client)
		})
	}
}

// counter is a Session that counts what it is given.
type counter struct {
	mu    sync.Mutex
	got   bytes.Buffer
	ended int
}

func (c *counter) Receive(in, out []byte) (int, []byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got.Write(in)
	return len(in), append(out, in...), nil
}

func (c *counter) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended++
}
