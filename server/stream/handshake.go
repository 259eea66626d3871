package stream

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// Handshakes bounds the TLS handshakes of all listeners that share it: how many are under way, in all and of
// one client, and how many of them compute at once. It is safe for concurrent use.
type Handshakes struct {
	all, each int
	cpu       chan struct{} // a token for each that computes

	mu      sync.Mutex // guards what follows
	clients map[netip.Prefix]int
	order   list.List // of *shake, the oldest first
}

// NewHandshakes bounds handshakes under way to all (1024), of which the one that has been under way for longest
// makes room for another, and to each (32) of one IPv4 address or IPv6 /64. Half of the processors, and at
// least one, may compute handshakes: the other half is left to the queries.
func NewHandshakes(all, each int) *Handshakes {
	if all <= 0 {
		all = 1024
	}
	if each <= 0 {
		each = 32
	}
	return &Handshakes{
		all:     all,
		each:    each,
		cpu:     make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		clients: make(map[netip.Prefix]int),
	}
}

// shake is one handshake under way. It computes only while it has a token, and waits for the client without.
type shake struct {
	h      *Handshakes
	c      *Conn
	client netip.Prefix
	done   <-chan struct{} // closed when its time is over
	held   bool
	place  *list.Element
}

var errBusy = errors.New("too many TLS handshakes")

// enter gives a handshake a place. It reports false when its client has too many.
func (h *Handshakes) enter(c *Conn, done <-chan struct{}) (*shake, bool) {
	s := &shake{h: h, c: c, client: clientOf(c.peer.Addr()), done: done}
	h.mu.Lock()
	if h.clients[s.client] >= h.each {
		h.mu.Unlock()
		return nil, false
	}
	var victim *shake
	if h.order.Len() >= h.all {
		victim = h.order.Front().Value.(*shake)
		h.remove(victim)
	}
	h.clients[s.client]++
	s.place = h.order.PushBack(s)
	h.mu.Unlock()
	if victim != nil {
		victim.c.l.conf.Intake.Conf().Stats.Handshakes.Add(1)
		victim.c.Close()
	}
	return s, true
}

// remove is called with mu held.
func (h *Handshakes) remove(s *shake) {
	if s.place == nil {
		return
	}
	h.order.Remove(s.place)
	s.place = nil
	if h.clients[s.client]--; h.clients[s.client] <= 0 {
		delete(h.clients, s.client)
	}
}

// leave gives the place back.
func (s *shake) leave() {
	s.rest()
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.h.remove(s)
}

// compute takes a token. It reports false when the time is over before there is one.
func (s *shake) compute() bool {
	if s == nil || s.held {
		return true
	}
	select {
	case s.h.cpu <- struct{}{}:
		s.held = true
	case <-s.done:
	}
	return s.held
}

// rest gives the token back.
func (s *shake) rest() {
	if s != nil && s.held {
		s.held = false
		<-s.h.cpu
	}
}

// clientOf is what counts as one client: an IPv4 address, or the /64 that one IPv6 host or home has.
func clientOf(ip netip.Addr) netip.Prefix {
	bits := min(ip.BitLen(), 64)
	p, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// secure does the handshake of a connection, which then goes on with a goroutine of its own: the stack of this
// one has grown. What comes before the client's first octet costs no more than a connection that is idle.
func (c *Conn) secure() {
	defer c.recover()
	conf := c.l.conf.Intake.Conf()
	limit := time.Now().Add(conf.ReadTimeout)
	c.deadline(limit)
	err := c.firstOctet()
	if err == nil {
		err = c.handshake(limit)
	}
	if err == nil {
		c.link.polled = true
		go c.serve()
		return
	}
	if !errors.Is(err, io.EOF) && c.stopAt.Load() == 0 {
		conf.Stats.Handshakes.Add(1)
		conf.Log.Debug("TLS handshake failed", "client", c.peer.Addr().String(), "error", err)
	}
	c.linger()
	c.destroy()
}

func (c *Conn) handshake(limit time.Time) error {
	ctx, cancel := context.WithDeadline(c.l.conf.Intake.Base(), limit)
	defer cancel()
	s, ok := c.l.conf.Handshakes.enter(c, ctx.Done())
	if !ok {
		return errBusy
	}
	defer s.leave()
	c.link.shake = s
	defer func() { c.link.shake = nil }()
	c.tls = tls.Server(&c.link, c.l.conf.TLS)
	return c.tls.Handshake()
}
