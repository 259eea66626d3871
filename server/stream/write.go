package stream

import (
	"errors"
	"sync/atomic"
	"time"
)

var (
	// errBroken is that an earlier write failed.
	errBroken = errors.New("the connection takes no more")
	// errBlocked is that a client does not read, and too many others do not either: each of them holds the
	// buffers of what it was to be sent.
	errBlocked = errors.New("too many clients do not read")
)

// gate bounds how many are inside at once.
type gate struct{ n atomic.Int64 }

func (g *gate) enter(limit int) bool {
	if g.n.Add(1) > int64(limit) {
		g.n.Add(-1)
		return false
	}
	return true
}

func (g *gate) leave() { g.n.Add(-1) }

// Write sends p, after what others are sending, or fails within Limits.WriteTimeout; then the connection ends.
// It is for what was made later, such as a reply that was waited for.
func (c *Conn) Write(p []byte) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	return c.send(p)
}

// reply sends what a session answers at once. Only the goroutine that reads calls it.
func (c *Conn) reply(p []byte) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	c.link.fd = c.link.reading
	err := c.send(p)
	c.link.fd = noFD
	return err
}

// send is called with writeMu held.
func (c *Conn) send(p []byte) (err error) {
	if c.broken {
		c.l.conf.Intake.Conf().Stats.WriteErrors.Add(1)
		return errBroken
	}
	if c.tls != nil {
		_, err = c.tls.Write(p)
	} else {
		_, err = c.link.Write(p)
	}
	if err != nil {
		c.l.conf.Intake.Conf().Stats.WriteErrors.Add(1)
		c.broken = true
		c.Close()
	}
	return err
}

// armWrite sets the write deadline before a write that may wait.
func (c *Conn) armWrite() {
	d := c.l.conf.Intake.Conf().WriteTimeout
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		_ = c.link.Conn.SetWriteDeadline(time.Now().Add(d))
	}
}
