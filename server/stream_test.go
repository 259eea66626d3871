package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/wire"
	"dens/server/intake"
)

func framed(t testing.TB, names ...string) []byte {
	t.Helper()
	var out []byte
	for i, n := range names {
		q := question(n)
		q.Id = uint16(i + 1)
		b := packed(t, q)
		out = binary.BigEndian.AppendUint16(out, uint16(len(b)))
		out = append(out, b...)
	}
	return out
}

func dialTCP(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn.(*net.TCPConn)
}

// readReplies reads until n replies came, or with n below 0 until the server closes.
func readReplies(t *testing.T, conn io.Reader, n int) []*dns.Msg {
	t.Helper()
	var out []*dns.Msg
	r := bufio.NewReader(conn)
	for n < 0 || len(out) < n {
		var head [2]byte
		_, err := io.ReadFull(r, head[:])
		b := make([]byte, binary.BigEndian.Uint16(head[:]))
		if err == nil {
			_, err = io.ReadFull(r, b)
		}
		if err != nil {
			if n < 0 && errors.Is(err, io.EOF) {
				return out
			}
			t.Fatalf("after %d replies: %v", len(out), err)
		}
		m := new(dns.Msg)
		if err := m.Unpack(b); err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

func write(t *testing.T, conn io.Writer, b []byte) {
	t.Helper()
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

func TestTCPAndDoT(t *testing.T) {
	cert, _ := newCertificate(t)
	s := begin(t, Config{DNS: []string{"127.0.0.1:0"}, DoT: []string{"127.0.0.1:0"}, Certificate: cert}, newActor())
	for network, proto := range map[string]wire.Protocol{"tcp": wire.TCP, "tcp-tls": wire.DoT} {
		r := ask(t, network, at(t, s, proto), "example.org")
		if got, want := who(t, r), proto.String()+" 127.0.0.1"; got != want {
			t.Errorf("asked by %q, want %q", got, want)
		}
		if r := ask(t, network, at(t, s, proto), "big.example"); len(r.Answer) != 802 {
			t.Errorf("%s: %d records of a long reply came, want 802", network, len(r.Answer))
		}
	}
}

func TestDoTVersionsAndALPN(t *testing.T) {
	cert, pool := newCertificate(t)
	s := begin(t, Config{DoT: []string{"127.0.0.1:0"}, Certificate: cert}, newActor())
	tests := []struct {
		name string
		conf *tls.Config
		want uint16 // 0: no handshake
		alpn string
	}{
		{"today", &tls.Config{NextProtos: []string{"dot"}}, tls.VersionTLS13, "dot"},
		{"no ALPN", &tls.Config{}, tls.VersionTLS13, ""},
		{"TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12}, tls.VersionTLS12, ""},
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, 0, ""},
		{"HTTP's ALPN", &tls.Config{NextProtos: []string{"h2"}}, 0, ""},
	}
	for _, tt := range tests {
		tt.conf.RootCAs, tt.conf.ServerName = pool, "127.0.0.1"
		conn, err := tls.Dial("tcp", at(t, s, wire.DoT), tt.conf)
		if tt.want == 0 {
			if err == nil {
				t.Errorf("%s: the handshake went through", tt.name)
				conn.Close()
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if st := conn.ConnectionState(); st.Version != tt.want || st.NegotiatedProtocol != tt.alpn {
			t.Errorf("%s: version %x, ALPN %q; want %x, %q", tt.name, st.Version, st.NegotiatedProtocol, tt.want, tt.alpn)
		}
		conn.Close()
	}
}

func TestDoTResumesSessions(t *testing.T) {
	cert, pool := newCertificate(t)
	s := begin(t, Config{DoT: []string{"127.0.0.1:0"}, Certificate: cert}, newActor())
	conf := &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	for i := range 2 {
		conn, err := tls.Dial("tcp", at(t, s, wire.DoT), conf)
		if err != nil {
			t.Fatal(err)
		}
		write(t, conn, framed(t, "example.org"))
		readReplies(t, conn, 1) // the session ticket comes before the first reply
		if got := conn.ConnectionState().DidResume; got != (i == 1) {
			t.Errorf("connection %d: resumed %v", i, got)
		}
		conn.Close()
	}
}

func TestPipeliningOutOfOrder(t *testing.T) {
	a := newActor()
	s := begin(t, Config{}, a)
	conn := dialTCP(t, at(t, s, wire.TCP))
	write(t, conn, framed(t, "slow.example", "one.example", "two.example"))
	for _, m := range readReplies(t, conn, 2) {
		if m.Id == 1 {
			t.Fatal("the slow question was answered first")
		}
	}
	close(a.release)
	if m := readReplies(t, conn, 1)[0]; m.Id != 1 {
		t.Errorf("reply %d came last, want 1", m.Id)
	}
}

func TestPipelineBound(t *testing.T) {
	a := newActor()
	s := begin(t, Config{Config: intake.Config{Limits: intake.Limits{MaxPipeline: 3}}}, a)
	conn := dialTCP(t, at(t, s, wire.TCP))
	write(t, conn, framed(t, "slow.a", "slow.b", "slow.c", "slow.d", "slow.e"))
	for range 3 {
		<-a.slow
	}
	select {
	case n := <-a.slow:
		t.Fatalf("%s is under way beside three others", n)
	case <-time.After(50 * time.Millisecond):
	}
	close(a.release)
	readReplies(t, conn, 5)
}

// What was read is answered, also after the client has closed its sending side.
func TestHalfClose(t *testing.T) {
	a := newActor()
	s := begin(t, Config{}, a)
	conn := dialTCP(t, at(t, s, wire.TCP))
	write(t, conn, framed(t, "slow.a", "b", "slow.c", "d"))
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	<-a.slow
	<-a.slow
	time.AfterFunc(20*time.Millisecond, func() { close(a.release) })
	if got := readReplies(t, conn, -1); len(got) != 4 {
		t.Errorf("%d replies, want 4", len(got))
	}
}

func TestDoTHalfClose(t *testing.T) {
	cert, pool := newCertificate(t)
	a := newActor()
	s := begin(t, Config{DoT: []string{"127.0.0.1:0"}, Certificate: cert}, a)
	conn, err := tls.Dial("tcp", at(t, s, wire.DoT), &tls.Config{RootCAs: pool})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	write(t, conn, framed(t, "slow.a", "b"))
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	<-a.slow
	time.AfterFunc(20*time.Millisecond, func() { close(a.release) })
	if got := readReplies(t, conn, -1); len(got) != 2 {
		t.Errorf("%d replies, want 2", len(got))
	}
}

// Malformed input behind good requests must not turn into a reset that destroys their replies.
func TestCloseKeepsReplies(t *testing.T) {
	s := begin(t, Config{}, newActor())
	for range 20 {
		conn := dialTCP(t, at(t, s, wire.TCP))
		burst := append(framed(t, "big.a", "big.b"), 0, 0)
		write(t, conn, append(burst, make([]byte, 20000)...)) // of which the server reads little
		if got := readReplies(t, conn, -1); len(got) != 2 {
			t.Fatalf("%d replies, want 2", len(got))
		}
	}
}

func TestStreamEnds(t *testing.T) {
	short := []byte{0, 5, 1, 2, 3, 4, 5}
	reply := packed(t, new(dns.Msg).SetReply(question("a")))
	tests := []struct {
		name      string
		send      []byte
		replies   int
		malformed uint64
		slow      uint64
		idle      time.Duration // until the connection is closed; a client may be slow to begin
	}{
		{"length zero", append(framed(t, "a", "b"), 0, 0), 2, 1, 0, time.Minute},
		{"shorter than a header", append(framed(t, "a"), short...), 1, 1, 0, time.Minute},
		{"a reply", append(framed(t, "a"), append([]byte{0, byte(len(reply))}, reply...)...), 1, 1, 0, time.Minute},
		{"silence of the handler", framed(t, "a", "silent"), 1, 0, 0, 2 * time.Second},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 0, 0, 1, time.Minute},
		{"drip of a length", []byte{0}, 0, 0, 1, time.Minute},
		{"drip of a message", framed(t, "a")[:20], 0, 0, 1, time.Minute},
		{"nothing", nil, 0, 0, 0, 300 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stats := new(intake.Stats)
			s := begin(t, Config{Config: intake.Config{Stats: stats, Limits: intake.Limits{IdleTimeout: tt.idle, ReadTimeout: 300 * time.Millisecond}}}, newActor())
			conn := dialTCP(t, at(t, s, wire.TCP))
			write(t, conn, tt.send)
			if got := readReplies(t, conn, -1); len(got) != tt.replies {
				t.Errorf("%d replies, want %d", len(got), tt.replies)
			}
			if got := stats.Malformed.Load(); got != tt.malformed {
				t.Errorf("%d malformed, want %d", got, tt.malformed)
			}
			if got := stats.Slow.Load(); got != tt.slow {
				t.Errorf("%d slow, want %d", got, tt.slow)
			}
			conn.Close()
			wait(t, "the places to be given back", func() bool {
				return s.in.Load().Stream == 0 && s.in.Load().Large == 0 && stats.Conns()[0].Open == 0
			})
		})
	}
}

// A client that sends an octet now and then holds its connection no longer than one that sends none.
func TestSlowDripIsCut(t *testing.T) {
	s := begin(t, Config{Config: intake.Config{Limits: intake.Limits{ReadTimeout: 150 * time.Millisecond}}}, newActor())
	conn := dialTCP(t, at(t, s, wire.TCP))
	var err error
	for write(t, conn, []byte{15, 255}); err == nil; time.Sleep(20 * time.Millisecond) {
		_, err = conn.Write([]byte{0}) // the whole message would take more than a minute
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection was not cut")
	}
}

// A connection with a question under way is not idle, and its idle time counts from the last reply.
func TestIdleCountsFromTheLastReply(t *testing.T) {
	a := newActor()
	s := begin(t, Config{Config: intake.Config{Limits: intake.Limits{IdleTimeout: 1500 * time.Millisecond}}}, a)
	conn := dialTCP(t, at(t, s, wire.TCP))
	write(t, conn, framed(t, "slow.example"))
	<-a.slow
	time.Sleep(2 * time.Second)
	close(a.release)
	readReplies(t, conn, 1)
	write(t, conn, framed(t, "example"))
	readReplies(t, conn, 1)
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("an idle connection ended with %v, want EOF", err)
	}
}

// A client that asks and does not read is cut, and harms nobody else.
func TestWriteDeadline(t *testing.T) {
	stats := new(intake.Stats)
	a, long := newActor(), make([]byte, 60000)
	s := begin(t, Config{Config: intake.Config{Stats: stats, Limits: intake.Limits{WriteTimeout: 100 * time.Millisecond}}}, handlerFunc(
		func(ctx context.Context, req []byte, from wire.Peer, buf []byte) []byte {
			if bytes.Contains(req, []byte("big")) {
				return long
			}
			return a.Miss(ctx, &wire.Query{Msg: req, From: from}, buf)
		}))
	conn := dialTCP(t, at(t, s, wire.TCP))
	_ = conn.SetReadBuffer(1 << 12)
	go func() {
		burst := bytes.Repeat(framed(t, "big.example"), 64)
		for range 20 {
			if _, err := conn.Write(burst); err != nil {
				return
			}
		}
	}()
	wait(t, "the client to be cut", func() bool { return stats.WriteErrors.Load() > 0 && stats.Conns()[0].Open == 0 })
	ask(t, "tcp", at(t, s, wire.TCP), "example.org")
}

func TestLargeMessage(t *testing.T) {
	stats := new(intake.Stats)
	a := newActor()
	s := begin(t, Config{Config: intake.Config{Stats: stats, Limits: intake.Limits{MaxLarge: 1}}}, a)
	large := func(name string) []byte {
		q := question(name)
		q.SetEdns0(1232, false)
		q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_PADDING{Padding: make([]byte, 60000)})
		b := packed(t, q)
		return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
	}
	first, second := dialTCP(t, at(t, s, wire.TCP)), dialTCP(t, at(t, s, wire.TCP))
	write(t, first, large("slow.example"))
	<-a.slow
	write(t, second, large("example"))
	if got := readReplies(t, second, -1); len(got) != 0 || stats.Shed.Load() != 1 {
		t.Errorf("%d replies, %d shed; want none and one", len(got), stats.Shed.Load())
	}
	close(a.release)
	readReplies(t, first, 1)
	write(t, first, large("example"))
	readReplies(t, first, 1)
	wait(t, "the place to be given back", func() bool { return s.in.Load().Large == 0 })
}

func TestStreamBoundInAll(t *testing.T) {
	stats := new(intake.Stats)
	a := newActor()
	s := begin(t, Config{Config: intake.Config{Stats: stats, Limits: intake.Limits{MaxStream: 2}}}, a)
	conn := dialTCP(t, at(t, s, wire.TCP))
	write(t, conn, framed(t, "slow.a", "slow.b"))
	<-a.slow
	<-a.slow
	other := dialTCP(t, at(t, s, wire.TCP))
	write(t, other, framed(t, "c"))
	if got := readReplies(t, other, -1); len(got) != 0 || stats.Shed.Load() != 1 {
		t.Errorf("%d replies, %d shed; want none and one", len(got), stats.Shed.Load())
	}
	close(a.release)
	readReplies(t, conn, 2)
	wait(t, "the places to be given back", func() bool { return s.in.Load().Stream == 0 })
}

func TestConnsPerClient(t *testing.T) {
	stats := new(intake.Stats)
	s := begin(t, Config{DNS: []string{"0.0.0.0:0"}, Config: intake.Config{Stats: stats, Limits: intake.Limits{MaxConnsPerClient: 2}}}, newActor())
	_, port, _ := net.SplitHostPort(at(t, s, wire.TCP))
	addr := net.JoinHostPort("127.0.0.1", port)
	one, two := dialTCP(t, addr), dialTCP(t, addr)
	for _, c := range []net.Conn{one, two} {
		write(t, c, framed(t, "a"))
		readReplies(t, c, 1)
	}
	three := dialTCP(t, addr)
	if _, err := three.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the third connection ended with %v, want it closed", err)
	}
	other := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	conn, err := other.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	write(t, conn, framed(t, "a"))
	readReplies(t, conn, 1)
	if got := stats.Conns()[0]; got.Opened != 3 || got.Refused != 1 || got.Open != 3 {
		t.Errorf("counted %+v, want 3 opened, 1 refused, 3 open", got)
	}
	one.Close()
	wait(t, "the place to be given back", func() bool { return stats.Conns()[0].Open == 2 })
	again := dialTCP(t, addr)
	write(t, again, framed(t, "a"))
	readReplies(t, again, 1)
}

// With all places taken, the connection that has been idle for longest goes, and busy ones stay.
func TestConnsInAll(t *testing.T) {
	stats := new(intake.Stats)
	a := newActor()
	s := begin(t, Config{Config: intake.Config{Stats: stats, Limits: intake.Limits{MaxConns: 3, MaxConnsPerClient: 100}}}, a)
	addr := at(t, s, wire.TCP)
	busy, oldest, newer := dialTCP(t, addr), dialTCP(t, addr), dialTCP(t, addr)
	write(t, busy, framed(t, "slow.example"))
	<-a.slow
	for _, c := range []net.Conn{oldest, newer} {
		write(t, c, framed(t, "a"))
		readReplies(t, c, 1)
		wait(t, "the connection to be idle", func() bool { return s.in.Load().Stream == 1 })
	}
	fourth := dialTCP(t, addr)
	write(t, fourth, framed(t, "a"))
	readReplies(t, fourth, 1)
	if _, err := oldest.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the oldest ended with %v, want it closed", err)
	}
	write(t, newer, framed(t, "a"))
	readReplies(t, newer, 1)
	close(a.release)
	readReplies(t, busy, 1)
	if got := stats.Conns()[0]; got.Evicted != 1 || got.Open != 3 {
		t.Errorf("counted %+v, want one evicted, 3 open", got)
	}
}

// TestHandshakesOfOneClient: its bound is that of all listeners together.
func TestHandshakesOfOneClient(t *testing.T) {
	cert, _ := newCertificate(t)
	stats := new(intake.Stats)
	s := begin(t, Config{
		DoT: []string{"127.0.0.1:0"}, DoH: []string{"127.0.0.1:0"}, Certificate: cert,
		Config: intake.Config{Stats: stats, Limits: intake.Limits{ReadTimeout: time.Minute}},
	}, newActor())
	const each, bound = 20, 32 // bound is the default of stream.NewHandshakes
	for range each {
		write(t, dialTCP(t, at(t, s, wire.DoT)), []byte{22})
		write(t, dialTCP(t, at(t, s, wire.DoH)), []byte{22})
	}
	wait(t, "those above the bound to be refused", func() bool { return stats.Handshakes.Load() == 2*each-bound })
}
