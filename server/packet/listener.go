// Package packet serves DNS over UDP: a socket for each core, whose reader answers on the spot what needs no
// waiting.
package packet

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"dens/server/intake"
)

// socketBuffer is the octets that the kernel may keep for a socket, in each direction: some thousand packets.
const socketBuffer = 4 << 20

// Listener is one UDP address, served by one or more sockets.
//
//	Listen --Serve--> reading --Drain--> reads for intake.DrainGrace --> all replies sent --> closed
type Listener struct {
	in       *intake.Intake
	addr     netip.AddrPort
	wildcard bool // the address asked comes with each packet
	sockets  []*socket
	spread   *spread // nil: the kernel spreads the packets by itself
	reading  sync.WaitGroup
	served   chan struct{} // closed when Serve was called
	misses   sync.WaitGroup
	packets  sync.Pool
	draining atomic.Int64 // when the reading is to end, in Unix nanoseconds; 0: not yet
}

// socket is one of the sockets that share an address. Its reader is its own goroutine.
type socket struct {
	*Listener
	conn   *net.UDPConn
	raw    rawConn
	read   func(*socket) error // reads and answers until the deadline or an error
	reader uint8               // wire.Query.Reader

	impatient time.Time // of the reader: until when replies without room are not waited for
}

// sendWait is how long a reply waits for room in the socket's buffer, and sendPause is for how long the reader does
// not wait again when that was in vain.
const (
	sendWait  = 20 * time.Millisecond
	sendPause = time.Second
	sendTries = 5
)

// armWrite sets the write deadline before a write that may wait.
func (s *socket) armWrite() { _ = s.conn.SetWriteDeadline(time.Now().Add(sendWait)) }

// Config is what a Listener is made with.
type Config struct {
	Network string         // "udp4", "udp6", or "udp" for both families
	Addr    netip.AddrPort // an invalid Addr: all addresses; port 0: one that the kernel chooses
	Sockets int            // 1: how many share the address, where the system can share one
	Plain   bool           // false: one system call for many packets, where the system has that
}

// Listen binds the sockets. An error tells of the address being taken even by a program that would share it.
func Listen(in *intake.Intake, conf Config) (*Listener, error) {
	conns, err := bind(conf)
	if err != nil {
		return nil, err
	}
	l := &Listener{in: in, addr: addrOf(conns[0]), served: make(chan struct{})}
	l.wildcard = l.addr.Addr().IsUnspecified()
	l.packets.New = func() any { return new(packet) }
	read := readPlain
	batched := !conf.Plain && batches(conns[0])
	if batched {
		read = readBatches
	}
	for i, conn := range conns {
		s := &socket{Listener: l, conn: conn, read: read, reader: uint8(i + 1)}
		if s.raw, err = conn.SyscallConn(); err == nil && l.wildcard {
			err = askForDestination(conn, conf.Network)
		}
		if err != nil {
			closeAll(conns)
			return nil, err
		}
		l.sockets = append(l.sockets, s)
	}
	if batched {
		l.spread = newSpread(l.sockets[0].raw, len(l.sockets))
	}
	return l, nil
}

// bind opens the sockets of a Config, all or none.
func bind(conf Config) ([]*net.UDPConn, error) {
	first, err := open(conf.Network, conf.Addr, false)
	if err != nil || conf.Sockets < 2 || !canShare {
		if err != nil {
			return nil, err
		}
		return []*net.UDPConn{first}, nil
	}
	// A socket that shares its address could also share that of a stranger, who would get some of the packets:
	// the first one has shown that there is none.
	at := netip.AddrPortFrom(conf.Addr.Addr(), addrOf(first).Port())
	first.Close()
	var conns []*net.UDPConn
	for range conf.Sockets {
		conn, err := open(conf.Network, at, true)
		if err != nil {
			closeAll(conns)
			return nil, err
		}
		conns = append(conns, conn)
	}
	return conns, nil
}

func open(network string, at netip.AddrPort, shared bool) (*net.UDPConn, error) {
	var lc net.ListenConfig
	if shared {
		lc.Control = share
	}
	host := ""
	if at.Addr().IsValid() {
		host = at.Addr().String()
	}
	conn, err := lc.ListenPacket(context.Background(), network, net.JoinHostPort(host, portText(at.Port())))
	if err != nil {
		return nil, err
	}
	enlarge(conn.(*net.UDPConn))
	keepWhole(conn.(*net.UDPConn))
	return conn.(*net.UDPConn), nil
}

func closeAll(conns []*net.UDPConn) {
	for _, c := range conns {
		c.Close()
	}
}

// addrOf returns the address of a socket, IPv4 in its plain form.
func addrOf(conn *net.UDPConn) netip.AddrPort {
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// Addr returns the address that is listened on, with the port that 0 became.
func (l *Listener) Addr() netip.AddrPort { return l.addr }

// Serve reads and answers until Drain.
func (l *Listener) Serve() {
	for _, s := range l.sockets {
		l.reading.Go(s.serve)
	}
	close(l.served)
	l.reading.Wait()
}

// serve reads until the socket is drained or closed.
func (s *socket) serve() {
	for {
		err := s.read(s)
		if err == nil || s.ended() {
			return
		}
		// A passing lack of memory, or an error of an earlier packet: never a reason to go deaf.
		s.in.Conf().Log.Debug("UDP read failed", "address", s.addr.String(), "error", err)
		time.Sleep(time.Millisecond)
	}
}

// ended tells whether the reading is over.
func (l *Listener) ended() bool {
	at := l.draining.Load()
	return at != 0 && time.Now().UnixNano() >= at
}

// Drain reads what the kernel holds, waits for all replies and closes. When ctx ends first, the sockets are
// closed under them.
func (l *Listener) Drain(ctx context.Context) {
	end := time.Now().Add(intake.DrainGrace)
	l.draining.Store(end.UnixNano())
	for _, s := range l.sockets {
		_ = s.conn.SetReadDeadline(end)
	}
	<-l.served
	l.reading.Wait()
	intake.WaitOr(ctx, &l.misses)
	l.Close()
}

// Close closes the sockets at once.
func (l *Listener) Close() {
	for _, s := range l.sockets {
		s.conn.Close()
	}
}
