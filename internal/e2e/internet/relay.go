package internet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

const (
	backendTimeout = 4 * time.Second  // the longest that a program behind a relay may take
	idleTimeout    = 10 * time.Second // of a TCP connection to a relay
	maxInFlight    = 2000             // queries that all relays handle at a time
)

// relays are the servers of the internet: each stands at a public address, port 53, in front of a program
// that holds zones. They log every query, can delay all replies, and have the faults.
type relays struct {
	queryLog
	delay atomic.Int64 // nanoseconds that every reply takes
	slots chan struct{}

	mu      sync.Mutex
	closing bool // guarded by mu, as below
	closers []io.Closer
	work    sync.WaitGroup
}

// relay is one of them.
type relay struct {
	all     *relays
	at      netip.Addr
	backend string // address and port of the program; "" for none
	fault   Fault  // nil: bytes are passed on as they are
	idle    chan net.Conn
}

func newRelays() *relays { return &relays{slots: make(chan struct{}, maxInFlight)} }

// SetDelay makes every reply take so long.
func (r *relays) SetDelay(d time.Duration) { r.delay.Store(int64(d)) }

// Close ends all relays.
func (r *relays) Close() {
	r.mu.Lock()
	r.closing = true
	for _, c := range r.closers {
		c.Close()
	}
	r.mu.Unlock()
	r.work.Wait()
}

// open puts a server up.
func (r *relays) open(at netip.Addr, backend string, fault Fault) error {
	one := &relay{all: r, at: at, backend: backend, fault: fault, idle: make(chan net.Conn, 64)}
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, 53)))
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	udp.SetReadBuffer(1 << 20) //nolint:errcheck // a smaller one will do
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(at, 53)))
	if err != nil {
		udp.Close()
		return fmt.Errorf("relay: %w", err)
	}
	r.mu.Lock()
	r.closers = append(r.closers, udp, tcp)
	r.mu.Unlock()
	r.work.Add(2)
	go func() { defer r.work.Done(); one.serveUDP(udp) }()
	go func() { defer r.work.Done(); one.serveTCP(tcp) }()
	return nil
}

// note logs a query; false when it is none.
func (r *relay) note(wire []byte, from netip.AddrPort, tcp bool) bool {
	if len(wire) < 12 || wire[2]&0x80 != 0 {
		return false
	}
	name, off, err := dns.UnpackDomainName(wire, 12)
	if err != nil || off+4 > len(wire) {
		return false
	}
	r.all.add(Seen{
		At: time.Now(), From: from.Addr(), To: r.at, TCP: tcp, Name: name, Port: from.Port(),
		Type: binary.BigEndian.Uint16(wire[off:]), ID: binary.BigEndian.Uint16(wire),
	})
	return true
}

// wait lets the delay pass that has not passed since start.
func (r *relay) wait(start time.Time) {
	if d := time.Duration(r.all.delay.Load()) - time.Since(start); d > 0 {
		time.Sleep(d)
	}
}

func (r *relay) serveUDP(conn *net.UDPConn) {
	buf := make([]byte, 65535)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || !r.note(buf[:n], from, false) {
			continue
		}
		start, query := time.Now(), append([]byte(nil), buf[:n]...)
		r.all.slots <- struct{}{}
		go func() {
			defer func() { <-r.all.slots }()
			r.answerUDP(conn, from, query, start)
		}()
	}
}

func (r *relay) answerUDP(conn *net.UDPConn, from netip.AddrPort, query []byte, start time.Time) {
	send := func(wire []byte) {
		r.wait(start)
		conn.WriteToUDPAddrPort(wire, from) //nolint:errcheck // the asker notices
	}
	if r.fault == nil {
		if reply := r.passUDP(query); reply != nil {
			send(reply)
		}
		return
	}
	spoof := func(wire []byte) {
		r.wait(start)
		other, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.at, 0)), net.UDPAddrFromAddrPort(from))
		if err == nil {
			other.Write(wire) //nolint:errcheck // as above
			other.Close()
		}
	}
	r.misbehave(query, false, send, spoof)
}

// passUDP asks the program behind the relay.
func (r *relay) passUDP(query []byte) []byte {
	var conn net.Conn
	select {
	case conn = <-r.idle:
	default:
		var err error
		if conn, err = net.Dial("udp", r.backend); err != nil {
			return nil
		}
	}
	conn.SetDeadline(time.Now().Add(backendTimeout)) //nolint:errcheck // then the read fails
	buf := make([]byte, 65535)
	if _, err := conn.Write(query); err != nil {
		conn.Close()
		return nil
	}
	for {
		n, err := conn.Read(buf)
		if err != nil {
			conn.Close()
			return nil
		}
		if n >= 2 && buf[0] == query[0] && buf[1] == query[1] {
			select {
			case r.idle <- conn:
			default:
				conn.Close()
			}
			return buf[:n]
		}
	}
}

func (r *relay) serveTCP(l *net.TCPListener) {
	for {
		conn, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			go r.connection(conn)
		}
	}
}

func (r *relay) connection(conn *net.TCPConn) {
	defer conn.Close()
	from := conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	for {
		conn.SetDeadline(time.Now().Add(idleTimeout)) //nolint:errcheck // then the read fails
		query, err := readFrame(conn)
		if err != nil || !r.note(query, from, true) {
			return
		}
		start := time.Now()
		send := func(wire []byte) {
			r.wait(start)
			conn.Write(frame(wire)) //nolint:errcheck // the asker notices
		}
		if r.fault != nil {
			r.misbehave(query, true, send, func([]byte) {})
			continue
		}
		reply, err := r.passTCP(query)
		if err != nil {
			return
		}
		send(reply)
	}
}

// passTCP asks the program behind the relay on a connection of its own.
func (r *relay) passTCP(query []byte) ([]byte, error) {
	conn, err := net.DialTimeout("tcp", r.backend, backendTimeout)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(backendTimeout)) //nolint:errcheck // as above
	if _, err := conn.Write(frame(query)); err != nil {
		return nil, err
	}
	return readFrame(conn)
}

// misbehave lets the fault answer.
func (r *relay) misbehave(query []byte, tcp bool, send, spoof func([]byte)) {
	m := new(dns.Msg)
	if m.Unpack(query) != nil || len(m.Question) != 1 {
		return
	}
	r.fault(&Exchange{Query: m, TCP: tcp, send: send, spoof: spoof, forward: r.forward})
}

func (r *relay) forward(m *dns.Msg) (*dns.Msg, error) {
	wire, err := m.Pack()
	if err != nil {
		return nil, err
	}
	if wire, err = r.passTCP(wire); err != nil {
		return nil, err
	}
	reply := new(dns.Msg)
	return reply, reply.Unpack(wire)
}

func frame(wire []byte) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, 0, len(wire)+2), uint16(len(wire))), wire...)
}

func readFrame(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	wire := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, wire)
	return wire, err
}
