package stream

import (
	"crypto/tls"
	"errors"
	"io"
	"time"
)

// waitPlain waits for octets by way of net.Conn, and takes them in. It holds buffers while it waits.
func (c *Conn) waitPlain() error {
	s := c.l.slabs.get()
	defer c.l.slabs.put(s)
	have := copy(s.in[:], c.rest)
	var n int
	var err error
	if c.tls == nil {
		if n, err = c.link.Conn.Read(s.in[have:]); n > 0 {
			have = c.deliver(s, have+n)
		}
	} else {
		sealed := c.l.slabs.getSealed()
		defer c.l.slabs.putSealed(sealed)
		if n, err = c.link.Conn.Read(sealed[:]); n > 0 {
			have = c.open(s, have, sealed[:n])
		}
	}
	c.keep(s.in[:have])
	return err
}

// take takes octets in: n more behind have in s.in, or in sealed when they come by TLS. It returns how many
// stand in s.in then.
func (c *Conn) take(s *slab, sealed *[slabSize]byte, have, n int) int {
	if sealed == nil {
		return c.deliver(s, have+n)
	}
	return c.open(s, have, sealed[:n])
}

// open decrypts what one read has brought, all of it, and delivers it.
func (c *Conn) open(s *slab, have int, sealed []byte) int {
	c.link.in = sealed
	fresh := false
	for c.cause == nil {
		n, err := c.tls.Read(s.in[have:])
		have += n
		fresh = fresh || n > 0
		if err == nil && have < len(s.in) {
			continue
		}
		if fresh {
			have = c.deliver(s, have)
			fresh = false
		}
		if err == errAgain { //nolint:errorlint // crypto/tls returns it as it is
			break
		}
		if err != nil && c.cause == nil {
			c.keep(s.in[:have]) // what is left is cut off
			c.failTLS(err)
		}
	}
	c.link.in = nil
	return have
}

// takeEarly takes in what came together with the end of the handshake, and is within crypto/tls already.
func (c *Conn) takeEarly() {
	s := c.l.slabs.get()
	defer c.l.slabs.put(s)
	c.keep(s.in[:c.open(s, 0, nil)])
}

// failTLS notes why TLS takes nothing more in. A client that says that it has sent all ends well.
func (c *Conn) failTLS(err error) {
	if _, alert := errors.AsType[tls.AlertError](err); !alert && !errors.Is(err, io.EOF) {
		c.l.conf.Intake.Conf().Stats.Abuse.Add(1)
	}
	c.fail(err)
}

// discardPlain reads, and throws away, until the client has closed or the time is over.
func (c *Conn) discardPlain() {
	s := c.l.slabs.get()
	defer c.l.slabs.put(s)
	for total := 0; total < lingerBytes; {
		n, err := c.link.Conn.Read(s.in[:])
		if err != nil {
			return
		}
		total += n
	}
}

// firstOctetPlain waits until the client has sent something, by way of net.Conn, which cannot but read it.
func (c *Conn) firstOctetPlain() error {
	var b [1]byte
	n, err := c.link.Conn.Read(b[:])
	if n > 0 {
		c.link.in = []byte{b[0]}
		return nil
	}
	return err
}

// clearDeadlines is for who takes the connection over.
func (c *Conn) clearDeadlines() { _ = c.link.Conn.SetDeadline(time.Time{}) }
