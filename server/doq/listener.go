package doq

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"dens/internal/wire"
	"dens/server/intake"
)

// Listener is one UDP socket on which QUIC is spoken.
//
//	New --Serve--> accepts --Drain--> takes requests for intake.DrainGrace --> all replies sent --> closed
type Listener struct {
	in     *intake.Intake
	conf   Config
	tls    *tls.Config
	socket *net.UDPConn
	shakes *handshakes
	ended  chan struct{}  // closed when Serve has ended
	work   sync.WaitGroup // connections

	buffers sync.Pool // *[bufferLen]byte, of queries
	rooms   sync.Pool // *room
	readers sync.Pool // *bufio.Reader, of requests

	mu        sync.Mutex // guards what follows
	transport *quic.Transport
	accepting *quic.EarlyListener
	conns     map[*conn]struct{}
	draining  chan struct{} // closed by Drain
}

// readerLen has room for the header of an ordinary request.
const readerLen = 1 << 10

// New returns a Listener for a socket that is bound. The socket is the Listener's from now on.
func New(in *intake.Intake, socket *net.UDPConn, conf Config) *Listener {
	l := &Listener{
		in:       in,
		conf:     conf,
		tls:      conf.tlsConfig(),
		socket:   socket,
		shakes:   newHandshakes(time.Now),
		ended:    make(chan struct{}),
		conns:    make(map[*conn]struct{}),
		draining: make(chan struct{}),
	}
	l.buffers.New = func() any { return new([bufferLen]byte) }
	l.rooms.New = func() any { return new(room) }
	l.readers.New = func() any { return bufio.NewReaderSize(nil, readerLen) }
	return l
}

// Addr returns the socket's address.
func (l *Listener) Addr() netip.AddrPort { return addrPortOf(l.socket.LocalAddr()) }

// Close closes a Listener that never served.
func (l *Listener) Close() { l.socket.Close() }

// restartPause keeps a socket that cannot be read from becoming a busy loop, and from filling the log.
const restartPause = 500 * time.Millisecond

// Serve takes connections until Drain. When the system fails to read from the socket, it begins anew.
func (l *Listener) Serve() {
	defer close(l.ended)
	for {
		err := l.accept()
		if l.isDraining() {
			return
		}
		l.in.Conf().Log.Error("QUIC has to begin anew", "address", l.Addr().String(), "error", err)
		select {
		case <-time.After(restartPause):
		case <-l.draining:
			return
		}
	}
}

// accept opens a transport and serves its connections until it ends.
func (l *Listener) accept() error {
	ln, err := l.open()
	if err != nil {
		return err
	}
	for {
		q, err := ln.Accept(context.Background())
		if err != nil {
			return err
		}
		if attemptOf(q.Context()).taken.Swap(true) {
			continue // it ended meanwhile
		}
		c := newConn(l, q)
		l.add(c)
		go func() {
			defer l.remove(c)
			c.serve()
		}()
	}
}

var errDraining = errors.New("the listener is being drained")

// open makes the socket speak QUIC.
func (l *Listener) open() (*quic.EarlyListener, error) {
	quietBuffers()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isDraining() {
		return nil, errDraining
	}
	if l.transport != nil {
		l.transport.Close() // it has ended by itself
	}
	l.transport = &quic.Transport{
		Conn:               l.socket,
		ConnectionIDLength: connIDLength,
		VerifySourceAddress: func(addr net.Addr) bool {
			return l.shakes.doubts(addrPortOf(addr).Addr())
		},
		ConnContext: l.attempt,
	}
	var err error
	l.accepting, err = l.transport.ListenEarly(l.tls, &quic.Config{
		HandshakeIdleTimeout: l.in.Conf().ReadTimeout / 2, // also the life of the token in a Retry
		GetConfigForClient: func(*quic.ClientInfo) (*quic.Config, error) {
			conf := l.in.Conf()
			return quicConfig(conf, open(conf)), nil
		},
	})
	return l.accepting, err
}

// open is how many QUIC connections there are.
func open(conf *intake.Config) (n int) {
	for _, c := range conf.Stats.Conns() {
		if c.Protocol == wire.DoQ || c.Protocol == wire.DoH3 {
			n += int(c.Open)
		}
	}
	return n
}

// quietBuffers keeps the library from writing to the standard log that the system grants smaller buffers than
// it would like: nobody asked. The variable is its own switch for that.
func quietBuffers() { os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true") }

// attempt is a handshake under way.
type attempt struct {
	taken atomic.Bool // by a conn, or by the handshake's end
	end   func()      // gives its place back
}

type attemptKey struct{}

func attemptOf(ctx context.Context) *attempt { return ctx.Value(attemptKey{}).(*attempt) }

var errManyHandshakes = errors.New("too many handshakes")

// attempt gives a handshake its place, which ends with the connection at the latest.
func (l *Listener) attempt(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	end := l.shakes.begin(addrPortOf(info.RemoteAddr).Addr(), info.AddrVerified)
	if end == nil {
		l.in.Conf().Stats.Handshakes.Add(1)
		return nil, errManyHandshakes
	}
	a := &attempt{end: end}
	context.AfterFunc(ctx, func() {
		a.end()
		if !a.taken.Swap(true) {
			l.in.Conf().Stats.Handshakes.Add(1)
		}
	})
	return context.WithValue(ctx, attemptKey{}, a), nil
}

func (l *Listener) add(c *conn) {
	l.work.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = struct{}{}
	if l.isDraining() || !l.conf.Serves(c.proto) {
		c.retire()
	}
}

func (l *Listener) remove(c *conn) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	l.work.Done()
}

func (l *Listener) isDraining() bool {
	select {
	case <-l.draining:
		return true
	default:
		return false
	}
}

// each visits the connections. do must not wait.
func (l *Listener) each(do func(*conn)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		do(c)
	}
}

// Refresh lets the connections end whose protocol is not served any more.
func (l *Listener) Refresh() {
	l.each(func(c *conn) {
		if !l.conf.Serves(c.proto) {
			c.retire()
		}
	})
}

// Drain takes no more connections, answers all that comes within intake.DrainGrace on those that there are, and closes.
// When ctx ends first, they are closed under their requests. It is called once, and ends only after Serve began.
func (l *Listener) Drain(ctx context.Context) {
	l.mu.Lock()
	close(l.draining)
	accepting := l.accepting
	l.mu.Unlock()
	if accepting != nil {
		accepting.Close()
	}
	<-l.ended
	l.each((*conn).retire)
	intake.WaitOr(ctx, &l.work)
	var closing sync.WaitGroup
	l.each(func(c *conn) { closing.Go(func() { c.close(c.codes.noError) }) })
	closing.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.transport != nil {
		l.transport.Close()
	}
	l.socket.Close()
}
