package doq

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"dens/internal/wire"
	"dens/server/intake"
)

// maxLinger is the longest time for which a connection that is done waits for its last replies to arrive.
const maxLinger = time.Second

// conn is one connection.
//
//	accepted, perhaps before its handshake is complete --admit--> has a place --retire--> takes requests for
//	intake.DrainGrace --> all replies sent --> closed
type conn struct {
	l         *Listener
	q         *quic.Conn
	proto     wire.Protocol
	codes     codes
	tls       *tls.ConnectionState // of the handshake, perhaps before its end
	accepting context.Context      // until retired
	stop      context.CancelFunc
	blamed    sync.Once // the client broke the protocol
	retired   sync.Once

	mu        sync.Mutex // guards what follows
	place     *intake.Place
	timer     *time.Timer   // for watch
	under     int           // requests under way
	rest      chan struct{} // gets something when none is any more
	cancelled int           // how many more requests were cancelled than answered
}

func newConn(l *Listener, q *quic.Conn) *conn {
	state := q.ConnectionState().TLS
	c := &conn{l: l, q: q, proto: protocolOf(&state), codes: doqCodes, tls: &state, rest: make(chan struct{}, 1)}
	if c.proto == wire.DoH3 {
		c.codes = h3Codes
	}
	c.accepting, c.stop = context.WithCancel(context.Background())
	return c
}

// serve serves the connection to its end.
func (c *conn) serve() {
	defer c.stop()
	var admission sync.WaitGroup
	admission.Go(c.admit)
	if c.proto == wire.DoH3 {
		c.serveHTTP3()
	} else {
		c.serveDoQ()
	}
	admission.Wait()
	c.leave()
}

// admit gives the connection a place once the handshake has proven the client's address. Until then it counts
// among the handshakes.
func (c *conn) admit() {
	select {
	case <-c.q.HandshakeComplete():
	case <-c.q.Context().Done():
		if !c.established() {
			c.l.in.Conf().Stats.Handshakes.Add(1)
		}
		return
	}
	attemptOf(c.q.Context()).end()
	place := c.l.in.Admit(c.peer().Addr(), c.proto, func() { go c.close(c.codes.noError) })
	if place == nil {
		c.close(c.codes.excessiveLoad)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.place = place
	if c.under > 0 {
		place.Begin(1)
	}
	c.timer = time.AfterFunc(c.l.in.Conf().IdleTimeout, c.watch)
}

// established reports whether the handshake is complete: what comes before can be a replay (RFC 9001 section
// 9.2).
func (c *conn) established() bool {
	select {
	case <-c.q.HandshakeComplete():
		return true
	default:
		return false
	}
}

// watch closes the connection when it has been idle for long.
func (c *conn) watch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer == nil {
		return
	}
	if left := c.l.in.Conf().IdleTimeout - c.place.Idle(); left > 0 {
		c.timer.Reset(left)
		return
	}
	go c.close(c.codes.noError)
}

func (c *conn) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.place == nil {
		return
	}
	c.timer.Stop()
	c.timer = nil
	c.place.Leave()
}

// begin says that a request has come, end that it needs no more.
func (c *conn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.under++; c.under == 1 && c.place != nil {
		c.place.Begin(1)
	}
}

func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.under--; c.under > 0 {
		return
	}
	if c.place != nil {
		c.place.End(1)
	}
	select {
	case c.rest <- struct{}{}:
	default:
	}
}

func (c *conn) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.under > 0
}

// retire lets the connection end: soon it takes no more requests.
func (c *conn) retire() {
	c.retired.Do(func() { time.AfterFunc(intake.DrainGrace, c.stop) })
}

// finish closes a connection that takes no more requests, once all are answered and the answers had the time
// to arrive: closing would drop what is lost on the way.
func (c *conn) finish() {
	gone := c.q.Context().Done()
	for {
		if c.busy() {
			select {
			case <-c.rest:
			case <-gone:
				return
			}
			continue
		}
		select {
		case <-time.After(min(max(intake.DrainGrace, 3*c.q.ConnectionStats().SmoothedRTT), maxLinger)):
		case <-gone:
			return
		}
		if !c.busy() {
			c.close(c.codes.noError)
			return
		}
	}
}

// close closes the connection; only the first code counts. It waits until the code is sent.
func (c *conn) close(code quic.ApplicationErrorCode) { _ = c.q.CloseWithError(code, "") }

// peer is where the client is now; its address may change (RFC 9000 section 9), and is validated when it does.
func (c *conn) peer() netip.AddrPort { return addrPortOf(c.q.RemoteAddr()) }

// addrPortOf returns the address of a peer, IPv4 in its plain form.
func addrPortOf(addr net.Addr) netip.AddrPort {
	udp, ok := addr.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := udp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
