package doq

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"

	"dens/server/intake"
)

func TestWrongProtocol(t *testing.T) {
	f := begin(t, intake.Limits{})
	for _, protocol := range []string{"h2", "dot", "acme-tls/1"} {
		_, err := f.tryDial(t, protocol)
		var alert *quic.TransportError
		if !errors.As(err, &alert) || alert.ErrorCode != 0x100+120 { // no_application_protocol
			t.Errorf("%s: %v", protocol, err)
		}
	}
	wait(t, "the failures to be counted", func() bool { return f.stats.Handshakes.Load() == 3 })
	ask(t, f.dial(t, ProtoDoQ), "hit.example")
}

func TestGarbage(t *testing.T) {
	f := begin(t, intake.Limits{})
	q := f.dial(t, ProtoDoQ)
	socket := rawSocket(t, f.Addr())
	random := rand.New(rand.NewPCG(1, 2))
	sent := 0
	for n := range 2000 {
		b := make([]byte, 1+random.IntN(1400))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		switch n % 4 {
		case 1:
			b[0] |= 0x40 // a short header
		case 2, 3:
			b[0] |= 0xc0 // a long header
			if len(b) > 5 {
				copy(b[1:], []byte{0, 0, 0, byte(n / 2 % 2)}) // version negotiation, or version 1
			}
		}
		m, err := socket.Write(b)
		if err != nil {
			t.Fatal(err)
		}
		sent += m
	}
	ask(t, q, "hit.example")
	ask(t, f.dial(t, ProtoDoQ), "hit.example")
	if got := received(t, socket, 200*time.Millisecond); got.octets > sent {
		t.Errorf("%d octets came back for %d", got.octets, sent)
	}
}

func rawSocket(t *testing.T, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	socket, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return socket
}

type traffic struct{ octets, packets, retries int }

// received counts what comes until nothing has come for a while.
func received(t *testing.T, socket *net.UDPConn, quiet time.Duration) (got traffic) {
	t.Helper()
	b := make([]byte, 1<<16)
	for {
		_ = socket.SetReadDeadline(time.Now().Add(quiet))
		n, err := socket.Read(b)
		if err != nil {
			return got
		}
		got.octets += n
		got.packets++
		if n > 0 && b[0]&0xf0 == 0xf0 { // RFC 9000 section 17.2.5
			got.retries++
		}
	}
}

// initials are the first flights of n clients that hear nothing. A flight ends with a pause.
func (f *fixture) initials(t *testing.T, n int, pause time.Duration) (flights [][][]byte) {
	t.Helper()
	hole, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	tr := transport(t, "127.0.0.1")
	gone := map[string]bool{} // by connection ID: what was sent late by a client of before
	for range n {
		ctx, cancel := context.WithCancel(context.Background())
		failed := make(chan struct{})
		go func() {
			defer close(failed)
			_, _ = tr.Dial(ctx, hole.LocalAddr(), f.clientTLS(ProtoDoQ), nil)
		}()
		var flight [][]byte
		var id string
		for timeout := 30 * time.Second; ; {
			b := make([]byte, 1<<11)
			_ = hole.SetReadDeadline(time.Now().Add(timeout))
			m, err := hole.Read(b)
			if err != nil {
				break
			}
			if id = string(b[6 : 6+b[5]]); !gone[id] { // RFC 9000 section 17.2
				flight, timeout = append(flight, b[:m]), pause
			}
		}
		gone[id] = true
		cancel()
		<-failed
		if len(flight) == 0 {
			t.Fatal("a client says nothing")
		}
		flights = append(flights, flight)
	}
	return flights
}

// TestAmplification has somebody begin a handshake and say no more (RFC 9000 section 8.1).
func TestAmplification(t *testing.T) {
	f := begin(t, intake.Limits{ReadTimeout: 2 * time.Second})
	socket := rawSocket(t, f.Addr())
	sent := 0
	for _, b := range f.initials(t, 1, 150*time.Millisecond)[0] {
		n, err := socket.Write(b)
		if err != nil {
			t.Fatal(err)
		}
		sent += n
	}
	got := received(t, socket, 1500*time.Millisecond) // longer than the handshake may be silent
	t.Logf("%d octets in %d packets for %d: factor %.2f", got.octets, got.packets, sent, float64(got.octets)/float64(sent))
	if got.octets < 1000 || got.octets > 3*sent {
		t.Errorf("%d octets came back for %d", got.octets, sent)
	}
	wait(t, "the failure to be counted", func() bool { return f.stats.Handshakes.Load() == 1 })
}

// TestRetry has one client begin more handshakes than it may without a check of its address.
func TestRetry(t *testing.T) {
	f := begin(t, intake.Limits{ReadTimeout: 20 * time.Second})
	socket := rawSocket(t, f.Addr())
	sent := 0
	const more = 10
	for _, flight := range f.initials(t, claimedPerClient+more, time.Millisecond) {
		n, err := socket.Write(flight[0])
		if err != nil {
			t.Fatal(err)
		}
		sent += n
		time.Sleep(time.Millisecond) // the queue of Retry packets is short, and the rest is dropped
	}
	got := received(t, socket, time.Second)
	if got.retries == 0 || got.retries > more || got.octets > 3*sent {
		t.Errorf("%+v for %d octets", got, sent)
	}
	ask(t, f.dial(t, ProtoDoQ), "hit.example") // from the same address, which the check proves
	f.shakes.mu.Lock()
	claimed := f.shakes.clients[clientOf(netip.MustParseAddr("127.0.0.1"))].claimed
	f.shakes.mu.Unlock()
	if claimed > claimedPerClient {
		t.Errorf("%d handshakes of one client that was not checked", claimed)
	}
}

func TestHandshakeBounds(t *testing.T) {
	now := time.Unix(1000, 0)
	addr := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}) }
	t.Run("of one client", func(t *testing.T) {
		h := newHandshakes(func() time.Time { return now })
		for n := range claimedPerClient {
			if h.doubts(addr(1)) {
				t.Fatalf("the address is doubted after %d", n)
			}
			h.begin(addr(1), false)
		}
		if !h.doubts(addr(1)) || h.doubts(addr(2)) {
			t.Error("the one client is not doubted, or another is")
		}
		var end func()
		for range provenPerClient {
			if end = h.begin(addr(1), true); end == nil {
				t.Fatal("a proven client is refused")
			}
		}
		if h.begin(addr(1), true) != nil || h.begin(addr(2), true) == nil {
			t.Error("the one client is not refused, or another is")
		}
		end()
		end()
		if h.begin(addr(1), true) == nil || h.begin(addr(1), true) != nil {
			t.Error("a place was not given back, or twice")
		}
	})
	t.Run("in all", func(t *testing.T) {
		h := newHandshakes(func() time.Time { return now })
		var ends []func()
		for n := range maxPending {
			if got := h.doubts(addr(n)); got != (n >= checkedFrom) {
				t.Fatalf("doubts after %d: %v", n, got)
			}
			ends = append(ends, h.begin(addr(n), n >= checkedFrom))
		}
		if h.begin(addr(1<<20), true) != nil {
			t.Error("there is no bound")
		}
		for _, end := range ends {
			end()
		}
		if h.pending != 0 || len(h.clients) != 0 {
			t.Errorf("%d handshakes and %d clients are left", h.pending, len(h.clients))
		}
	})
	t.Run("in a second", func(t *testing.T) {
		h := newHandshakes(func() time.Time { return now })
		for n := range checkedRate {
			if h.doubts(addr(n)) {
				t.Fatalf("the address is doubted after %d", n)
			}
			h.begin(addr(n), false)()
		}
		if !h.doubts(addr(0)) {
			t.Error("a flood is not checked")
		}
		now = now.Add(time.Second)
		if h.doubts(addr(0)) {
			t.Error("the next second is checked, too")
		}
	})
}

// gated is a client's socket that can be kept from hearing.
type gated struct {
	net.PacketConn
	early chan struct{} // closed when a datagram with 0-RTT data was written
	once  sync.Once
	hold  chan struct{} // reads wait until it is closed
}

func (g *gated) ReadFrom(b []byte) (int, net.Addr, error) {
	n, addr, err := g.PacketConn.ReadFrom(b)
	<-g.hold
	return n, addr, err
}

func (g *gated) WriteTo(b []byte, addr net.Addr) (int, error) {
	if hasEarlyData(b) {
		defer g.once.Do(func() { close(g.early) })
	}
	return g.PacketConn.WriteTo(b, addr)
}

// hasEarlyData looks for a 0-RTT packet in a client's datagram, perhaps behind an Initial packet (RFC 9000 section 17.2).
func hasEarlyData(b []byte) bool {
	r := bytes.NewReader(b)
	for {
		first, err := r.ReadByte()
		if err != nil || first&0xf0 == 0xd0 {
			return err == nil
		}
		if first&0xf0 != 0xc0 {
			return false
		}
		skip := func(n int64) { _, _ = r.Seek(n, io.SeekCurrent) }
		skip(4) // the version
		for range 2 {
			n, _ := r.ReadByte()
			skip(int64(n)) // a connection ID
		}
		for range 2 {
			n, _ := readVarint(r)
			skip(int64(n)) // the token, and the rest
		}
	}
}

// resume connects again with 0-RTT, from a socket that hears nothing yet.
func (f *fixture) resume(t *testing.T, conf *tls.Config) (*quic.Conn, *gated) {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	g := &gated{PacketConn: socket, early: make(chan struct{}), hold: make(chan struct{})}
	tr := &quic.Transport{Conn: g}
	t.Cleanup(func() {
		select {
		case <-g.hold:
		default:
			close(g.hold)
		}
		tr.Close()
		socket.Close()
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	q, err := tr.DialEarly(ctx, net.UDPAddrFromAddrPort(f.Addr()), conf, nil)
	if err != nil {
		t.Fatal(err)
	}
	return q, g
}

// tickets counts what a client could resume.
type tickets struct {
	tls.ClientSessionCache
	n atomic.Int64
}

func (c *tickets) Put(key string, s *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, s)
	if s != nil {
		c.n.Add(1)
	}
}

func TestEarlyData(t *testing.T) {
	f := begin(t, intake.Limits{})
	sessions := &tickets{ClientSessionCache: tls.NewLRUClientSessionCache(10)}
	conf := f.clientTLS(ProtoDoQ)
	conf.ClientSessionCache = sessions
	query := func(opcode int) *dns.Msg {
		m := question("miss.example")
		m.Opcode = opcode
		m.SetEdns0(1232, false)
		return m
	}
	full, err := transport(t, "127.0.0.1").Dial(context.Background(), net.UDPAddrFromAddrPort(f.Addr()), conf, nil)
	if err != nil {
		t.Fatal(err)
	}
	ask(t, full, "hit.example")
	wait(t, "a ticket", func() bool { return sessions.n.Load() > 0 })
	for _, tt := range []struct {
		name          string
		opcode, rcode int
		early         bool
	}{
		{"a query", dns.OpcodeQuery, dns.RcodeSuccess, false},
		{"a notification", dns.OpcodeNotify, dns.RcodeNotImplemented, false},
		{"an update", dns.OpcodeUpdate, dns.RcodeRefused, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := new(dns.Msg)
			for try := 0; try < 5 && (m.Rcode != tt.rcode || tooEarlyIn(m) != tt.early || len(m.Question) == 0); try++ {
				m = f.askEarly(t, conf, sessions, query(tt.opcode), 100*time.Millisecond<<try)
			}
			if m.Rcode != tt.rcode || tooEarlyIn(m) != tt.early {
				t.Errorf("the reply is %v", m)
			}
		})
	}
}

// askEarly asks in 0-RTT data. The client does not end the handshake for a while, in which the server has the time to
// answer; on a busy machine that may be too short.
func (f *fixture) askEarly(t *testing.T, conf *tls.Config, sessions *tickets, query *dns.Msg, hold time.Duration) *dns.Msg {
	t.Helper()
	before := sessions.n.Load()
	q, g := f.resume(t, conf)
	str := send(t, q, packed(t, query))
	select {
	case <-g.early:
	case <-time.After(10 * time.Second):
		t.Fatal("no 0-RTT data were sent")
	}
	time.Sleep(hold)
	close(g.hold)
	m, err := receive(str)
	if err != nil {
		t.Fatal(err)
	}
	late := question("hit.example")
	late.Opcode = dns.OpcodeUpdate
	wait(t, "another ticket", func() bool { return sessions.n.Load() > before }) // the server has seen the handshake's end
	if r, err := receive(send(t, q, packed(t, late))); err != nil || r.Rcode != dns.RcodeNotImplemented {
		t.Errorf("after the handshake: %v, %v", r, err)
	}
	if state := q.ConnectionState(); !state.Used0RTT || !state.TLS.DidResume {
		t.Errorf("0-RTT %v, resumed %v", state.Used0RTT, state.TLS.DidResume)
	}
	return m
}

func tooEarlyIn(m *dns.Msg) bool {
	opt := m.IsEdns0()
	if opt == nil {
		return false
	}
	for _, o := range opt.Option {
		if ede, ok := o.(*dns.EDNS0_EDE); ok && ede.InfoCode == tooEarly {
			return true
		}
	}
	return false
}

// TestMigration has a client go elsewhere (RFC 9000 section 9).
func TestMigration(t *testing.T) {
	f := begin(t, intake.Limits{})
	q := f.dial(t, ProtoDoQ)
	ask(t, q, "miss.example")
	path, err := q.AddPath(transport(t, "127.0.0.3"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := path.Probe(ctx); err != nil {
		t.Fatal(err)
	}
	if err := path.Switch(); err != nil {
		t.Fatal(err)
	}
	wait(t, "the client to be seen elsewhere", func() bool { return who(ask(t, q, "miss.example")) == "doq 127.0.0.3" })
}
