//go:build !linux

package stream

// waiter returns what waits for octets and takes them in.
func (c *Conn) waiter() func() error { return c.waitPlain }

// firstOctet waits until the client has sent something.
func (c *Conn) firstOctet() error { return c.firstOctetPlain() }

// discard reads, and throws away, until the client has closed or the time is over.
func (c *Conn) discard() { c.discardPlain() }

// writeNow is never called: a link has no descriptor here.
func writeNow(int, []byte) (int, error) { return 0, nil }
