package stream

import (
	"net"

	"dens/server/intake"
)

// noFD is the descriptor of a link where writes go through package net.
const noFD = -1

// link is the connection below TLS, and the one that is handed over. While the Conn is polled, it has what one
// read has brought and nothing else, so that all records of a burst are decrypted from it; before and after
// that, it waits as any net.Conn does.
type link struct {
	net.Conn
	c       *Conn
	in      []byte // read and not consumed yet
	polled  bool
	records records // of what TLS has read
	reading int     // the descriptor, while the goroutine that reads may use it directly
	fd      int     // the descriptor, while a write may use it directly. Guarded by Conn.writeMu
	shake   *shake  // nil: no handshake is under way
}

// again is what a polled link returns when more has to come: a passing error, after which crypto/tls goes on
// where it stood.
type again struct{}

func (again) Error() string   { return "no more octets have arrived yet" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

// errAgain is one value, made once: it is returned at each burst.
var errAgain net.Error = again{}

// Read implements net.Conn.
func (l *link) Read(p []byte) (int, error) {
	if len(l.in) > 0 {
		n := copy(p, l.in)
		l.in = l.in[n:]
		l.records.take(p[:n])
		return n, nil
	}
	if l.polled {
		return 0, errAgain
	}
	l.shake.rest()
	n, err := l.Conn.Read(p)
	l.records.take(p[:n])
	if !l.shake.compute() && err == nil {
		err = errBusy
	}
	return n, err
}

// Write implements net.Conn. What cannot be sent at once is waited for.
func (l *link) Write(p []byte) (int, error) {
	n := 0
	if l.fd != noFD {
		var err error
		if n, err = writeNow(l.fd, p); err != nil || n == len(p) {
			return n, err
		}
	}
	if l.c.handed {
		return l.Conn.Write(p)
	}
	if !l.c.l.blocked.enter(max(64, l.c.l.conf.Intake.Conf().MaxConns/4)) {
		return n, errBlocked
	}
	defer l.c.l.blocked.leave()
	l.shake.rest() // who does not read keeps nobody else from computing
	l.c.armWrite()
	m, err := l.Conn.Write(p[n:])
	if !l.shake.compute() && err == nil {
		err = errBusy
	}
	return n + m, err
}

// Close implements net.Conn, for who has taken the connection over.
func (l *link) Close() error {
	err := l.Conn.Close()
	l.c.place.Leave()
	return err
}

// CloseWrite closes the sending side.
func (l *link) CloseWrite() error {
	if half, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Place returns the place of a connection that was handed over, or nil of any other.
func Place(conn net.Conn) *intake.Place {
	for {
		switch c := conn.(type) {
		case *link:
			return c.c.place
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
}
