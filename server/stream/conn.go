package stream

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"dens/server/intake"
)

// Conn is one connection.
//
//	[handshake] --> reading --EOF, idle, error, stop--> all replies written --> lingering --> closed
//	    |
//	    +--> handed over
//
// One goroutine reads, and answers what can be answered at once. Its methods may be called from any goroutine.
type Conn struct {
	l       *Listener
	link    link
	tls     *tls.Conn // nil: plain TCP
	session Session
	place   *intake.Place
	peer    netip.AddrPort

	// Of the goroutine that reads alone.
	rest  []byte    // what the session has not consumed
	since time.Time // since when more octets are awaited for what has begun; zero: nothing has
	armed time.Time // the read deadline
	await bool      // the session awaits more, though it has consumed all
	pause int32     // above 0: read on when fewer requests than this are under way
	cause error     // why the reading ended

	under   atomic.Int32 // requests under way
	waiting atomic.Bool  // somebody waits for room
	stopAt  atomic.Int64 // when the reading stops, in Unix nanoseconds; 0: not told to

	mu     sync.Mutex // guards the deadlines of the link, and what follows
	room   sync.Cond  // fewer requests are under way, or the connection is closed
	closed bool
	handed bool

	writeMu sync.Mutex // serialises what is written
	broken  bool       // a write failed: nothing more can be sent. Guarded by writeMu
}

func newConn(l *Listener, conn net.Conn) *Conn {
	c := &Conn{l: l, peer: addrPort(conn.RemoteAddr())}
	c.link = link{Conn: conn, c: c, fd: noFD, reading: noFD}
	c.room.L = &c.mu
	return c
}

// addrPort returns the address of a peer, IPv4 in its plain form.
func addrPort(addr net.Addr) netip.AddrPort {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// Peer returns the client's address, IPv4 in its plain form.
func (c *Conn) Peer() netip.AddrPort { return c.peer }

// Begin says that n requests are under way: the connection is not idle meanwhile, and does not close by itself
// before End was called for each.
func (c *Conn) Begin(n int) {
	c.under.Add(int32(n))
	c.place.Begin(n)
}

// End says that n requests are under way no longer: what they are answered with has been written.
func (c *Conn) End(n int) {
	c.place.End(n)
	c.under.Add(-int32(n))
	if c.waiting.Load() {
		c.mu.Lock()
		c.room.Broadcast()
		c.mu.Unlock()
	}
}

// Await says whether more octets must come within Limits.ReadTimeout though all were consumed, since what
// has begun is not complete. The time counts from the first call with true after one with false; what is not
// consumed is awaited anyway. Only Receive may call it.
func (c *Conn) Await(more bool) { c.await = more }

// Cause returns why the reading has ended: os.ErrDeadlineExceeded when the connection was idle, too slow or told to
// stop, io.EOF when the client sends no more. Only Session.End may call it.
func (c *Conn) Cause() error { return c.cause }

// Stop ends the reading after grace; what was read by then is answered.
func (c *Conn) Stop(grace time.Duration) {
	at := time.Now().Add(grace)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handed || c.stopAt.Load() != 0 {
		return
	}
	c.stopAt.Store(at.UnixNano())
	_ = c.link.Conn.SetReadDeadline(at)
}

// Close ends the connection at once. It does not wait.
func (c *Conn) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	if c.handed {
		go c.link.Close() // which waits until nobody uses it
		return
	}
	// Not closed, which would wait for the goroutine that reads, and may be this one.
	c.stopAt.Store(1)
	_ = c.link.Conn.SetDeadline(time.Unix(1, 0))
	c.room.Broadcast()
}

func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// stopped reports whether the reading is to stop now.
func (c *Conn) stopped() bool {
	at := c.stopAt.Load()
	return at != 0 && time.Now().UnixNano() >= at
}

// deadline sets the read deadline, unless the reading is about to stop.
func (c *Conn) deadline(t time.Time) {
	c.armed = t
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopAt.Load() == 0 {
		_ = c.link.Conn.SetReadDeadline(t)
	}
}

// awaitRoom waits until fewer than limit requests are under way. It reports false when the connection was
// closed before.
func (c *Conn) awaitRoom(limit int32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting.Store(true)
	defer c.waiting.Store(false)
	for c.under.Load() >= limit && !c.closed {
		c.room.Wait()
	}
	return !c.closed
}

// serve lives as long as the connection, unless it is handed over.
func (c *Conn) serve() {
	defer c.recover()
	if !c.begin() {
		return
	}
	c.read()
	c.session.End()
	c.awaitRoom(1)
	c.linger()
	c.destroy()
}

// begin makes the session. It reports false when there is none: then the connection is no longer ours.
func (c *Conn) begin() bool {
	alpn := ""
	if c.tls != nil {
		alpn = c.tls.ConnectionState().NegotiatedProtocol
	}
	if c.session = c.l.conf.NewSession(c, alpn); c.session == nil {
		c.handOver()
		return false
	}
	return true
}

func (c *Conn) recover() {
	if cause := recover(); cause != nil {
		c.l.conf.Intake.LogPanic(cause)
		defer c.destroy()
		if c.session != nil {
			defer func() { _ = recover() }() // of a session that is broken
			c.session.End()
		}
	}
}

// destroy closes the connection and gives its place back.
func (c *Conn) destroy() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.link.Conn.Close()
	c.place.Leave()
	c.l.remove(c)
}

// read reads until nothing more is to be read.
func (c *Conn) read() {
	wait := c.waiter()
	if c.tls != nil {
		c.takeEarly()
	}
	for c.cause == nil && c.arm() {
		err := wait()
		switch {
		case c.cause != nil:
			return
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			c.fail(err)
			return
		}
	}
}

// arm sets the deadline for what comes next. It reports false when the time is over.
func (c *Conn) arm() bool {
	conf, now := c.l.conf.Intake.Conf(), time.Now()
	if c.stopped() {
		c.cause = os.ErrDeadlineExceeded
		return false
	}
	if !c.since.IsZero() {
		end := c.since.Add(conf.ReadTimeout)
		if !now.Before(end) {
			conf.Stats.Slow.Add(1)
			c.cause = os.ErrDeadlineExceeded
			return false
		}
		c.deadline(end)
		return true
	}
	// A client that waits for replies is not idle: the time counts from the last of them.
	left := conf.IdleTimeout - c.place.Idle()
	if left <= 0 {
		c.cause = os.ErrDeadlineExceeded
		return false
	}
	c.deadline(now.Add(left))
	return true
}

// fail notes why the reading ended, other than by the clock.
func (c *Conn) fail(err error) {
	c.cause = err
	if errors.Is(err, io.EOF) && !c.since.IsZero() {
		c.l.conf.Intake.Conf().Stats.Malformed.Add(1) // it ends within a message
	}
}

var errFull = errors.New("the session consumes nothing")

// deliver gives the session what it has not consumed, and writes what it replies. It returns how much is left,
// which stands at the beginning of s.in then.
func (c *Conn) deliver(s *slab, have int) (left int) {
	in := s.in[:have]
	for len(in) > 0 && c.cause == nil {
		n, out, err := c.session.Receive(in, s.out[:0])
		in = in[n:]
		if len(out) > 0 && c.reply(out) != nil {
			c.cause = errBroken
			break
		}
		if n > 0 && !c.await {
			c.since = time.Time{}
		}
		switch {
		case err != nil:
			c.cause = err
		case c.pause > 0:
			limit := c.pause
			c.pause = 0
			if !c.awaitRoom(limit) {
				c.cause = net.ErrClosed
			}
		case n == 0:
			return c.partial(s, in)
		}
	}
	return copy(s.in[:], in)
}

// partial is what deliver returns when the session wants more than there is.
func (c *Conn) partial(s *slab, in []byte) int {
	if len(in) == len(s.in) {
		c.l.conf.Intake.Conf().Stats.Abuse.Add(1)
		c.cause = errFull
	}
	return copy(s.in[:], in)
}

// keep puts what is left where it stays while the connection waits for more, and has the clock run for it.
func (c *Conn) keep(left []byte) {
	if len(left) == 0 {
		c.rest = nil
	} else {
		c.rest = append(c.rest[:0], left...)
	}
	if len(left) == 0 && !c.await && !c.link.records.partial() {
		c.since = time.Time{}
		return
	}
	if c.since.IsZero() {
		c.since = time.Now()
		if end := c.since.Add(c.l.conf.Intake.Conf().ReadTimeout); end.Before(c.armed) {
			c.deadline(end)
		}
	}
}

// lingerTime and lingerBytes bound what is still read, and thrown away, after the last reply: a socket closed
// with unread data sends a reset, which can destroy replies on their way.
const (
	lingerTime  = 200 * time.Millisecond
	lingerBytes = 1 << 16
)

// linger closes the sending side and lets the client take the replies in.
func (c *Conn) linger() {
	c.writeMu.Lock()
	broken := c.broken
	c.writeMu.Unlock()
	if broken || c.isClosed() {
		return
	}
	c.mu.Lock()
	if !c.closed {
		_ = c.link.Conn.SetDeadline(time.Now().Add(lingerTime))
	}
	c.mu.Unlock()
	if c.tls != nil {
		_ = c.tls.CloseWrite()
	}
	if half, ok := c.link.Conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		return
	}
	if errors.Is(c.cause, io.EOF) && c.tls == nil {
		return // the client has sent all, and all of it was read
	}
	c.discard()
}
