package stream

import (
	"net"
	"sync"
	"time"
)

// handOver gives the connection to who accepts from Listener.Handed.
func (c *Conn) handOver() {
	c.mu.Lock()
	closed := c.closed
	c.handed = !closed
	if !closed {
		c.clearDeadlines()
	}
	c.mu.Unlock()
	if closed {
		c.destroy()
		return
	}
	c.link.polled = false
	var conn net.Conn = &c.link
	if c.tls != nil {
		conn = c.tls
	}
	if !c.l.handed.give(conn, c.l.conf.Intake.Conf().ReadTimeout) {
		c.link.Close()
	}
	c.l.remove(c)
}

// handed is a net.Listener of the connections that were handed over.
type handed struct {
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newHanded(addr net.Addr) *handed {
	return &handed{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// give waits until somebody accepts the connection. It reports false when nobody does.
func (h *handed) give(conn net.Conn, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case h.conns <- conn:
		return true
	case <-h.done:
	case <-timer.C:
	}
	return false
}

// Accept implements net.Listener.
func (h *handed) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handed) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements net.Listener.
func (h *handed) Addr() net.Addr { return h.addr }
