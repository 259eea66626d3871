package stream

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"dens/server/intake"
)

// Listener serves the connections of one socket.
//
//	New --Serve--> open --Drain--> accepts and reads for a moment --> all replies written --> closed
type Listener struct {
	conf   Config
	l      net.Listener
	ended  chan struct{} // closed when the accepting has ended
	work   sync.WaitGroup
	handed *handed

	blocked gate // connections whose write waits
	slabs   slabs
	queries sync.Pool // *wire.Query
	misses  sync.Pool // *miss

	mu       sync.Mutex // guards what follows
	conns    map[*Conn]struct{}
	draining bool
}

// New returns a Listener of l, which it owns from now on.
func New(conf Config, l net.Listener) *Listener {
	return &Listener{
		conf:   conf.withDefaults(),
		l:      l,
		ended:  make(chan struct{}),
		handed: newHanded(l.Addr()),
		conns:  make(map[*Conn]struct{}),
	}
}

// Addr returns the address of the socket.
func (l *Listener) Addr() net.Addr { return l.l.Addr() }

// Handed returns a listener whose connections are those that were handed over: their handshake is done, their
// place among all connections is given back when they are closed, and is found by Place. Where TLS is spoken
// they are *tls.Conn, or embed one. Somebody has to accept from it, or they are closed. It ends with Drain,
// or when it is closed.
func (l *Listener) Handed() net.Listener { return l.handed }

// Serve accepts connections until Drain. It is called once.
func (l *Listener) Serve() {
	defer close(l.ended)
	for {
		conn, err := l.l.Accept()
		switch {
		case err == nil:
			l.admit(conn)
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return
		default:
			// Mostly too many open files: the others go on, and one of them will end.
			l.conf.Intake.Conf().Log.Warn("accept failed", "address", l.Addr().String(), "error", err)
			time.Sleep(acceptPause)
		}
	}
}

// acceptPause keeps a lack of file descriptors from becoming a busy loop.
const acceptPause = 100 * time.Millisecond

func (l *Listener) admit(conn net.Conn) {
	c := newConn(l, conn)
	if c.place = l.conf.Intake.Admit(c.peer.Addr(), l.conf.Protocol, c.Close); c.place == nil {
		conn.Close()
		return
	}
	l.add(c)
	if l.conf.TLS != nil {
		go c.secure()
	} else {
		go c.serve()
	}
}

func (l *Listener) add(c *Conn) {
	l.work.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = struct{}{}
	if l.draining {
		c.Stop(intake.DrainGrace)
	}
}

func (l *Listener) remove(c *Conn) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	l.work.Done()
}

// Drain takes what the kernel has accepted, answers all that is read within a moment, and closes. When ctx ends
// first, the connections are closed under their requests. Connections that were handed over are left to who
// has them. It is called after Serve was started.
func (l *Listener) Drain(ctx context.Context) {
	if d, ok := l.l.(interface{ SetDeadline(time.Time) error }); ok {
		_ = d.SetDeadline(time.Now().Add(intake.DrainGrace))
	} else {
		l.l.Close()
	}
	l.each(func(c *Conn) { c.Stop(intake.DrainGrace) })
	<-l.ended
	l.l.Close()
	intake.WaitOr(ctx, &l.work)
	l.each((*Conn).Close)
	l.handed.Close()
}

// each marks the listener as draining and visits its connections.
func (l *Listener) each(do func(*Conn)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.draining = true
	for c := range l.conns {
		do(c)
	}
}

// Abandon closes a Listener that never served.
func (l *Listener) Abandon() {
	l.l.Close()
	l.handed.Close()
}
