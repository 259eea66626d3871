package stream

import (
	"io"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// waiter returns what waits for octets and takes them in. On Linux that is one long RawConn.Read, which
// holds nothing while it waits.
func (c *Conn) waiter() func() error {
	raw := c.raw()
	if raw == nil {
		return c.waitPlain
	}
	ready := c.ready
	return func() error { return raw.Read(ready) }
}

func (c *Conn) raw() syscall.RawConn {
	sc, ok := c.link.Conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// ready takes in all that has arrived. It reports false to wait for more: RawConn.Read calls it again then.
//
// It reads until nothing is there. To stop where a read brings less than there is room for would save a call, but
// an end of the stream that came together with the data would then wake nobody: the poller tells of changes, and
// does not say which.
func (c *Conn) ready(fd uintptr) (done bool) {
	c.link.reading = int(fd)
	defer func() { c.link.reading = noFD }()
	s := c.l.slabs.get()
	defer c.l.slabs.put(s)
	var sealed *[slabSize]byte
	if c.tls != nil {
		sealed = c.l.slabs.getSealed()
		defer c.l.slabs.putSealed(sealed)
	}
	have := copy(s.in[:], c.rest)
	for c.cause == nil && !c.stopped() {
		into := s.in[have:]
		if sealed != nil {
			into = sealed[:]
		}
		n, err := readNow(int(fd), into)
		switch {
		case err == syscall.EAGAIN:
			c.keep(s.in[:have])
			return false
		case err != nil:
			c.fail(err)
		case n == 0:
			c.keep(s.in[:have]) // what is left is cut off
			c.fail(io.EOF)
		default:
			have = c.take(s, sealed, have, n)
		}
	}
	c.keep(s.in[:have])
	return true
}

// firstOctet waits until the client has sent something.
func (c *Conn) firstOctet() error {
	raw := c.raw()
	if raw == nil {
		return c.firstOctetPlain()
	}
	var cause error
	err := raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, errno := uintptr(0), syscall.EINTR
		for errno == syscall.EINTR {
			n, _, errno = syscall.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b)), 1, syscall.MSG_PEEK, 0, 0)
		}
		switch {
		case errno == syscall.EAGAIN:
			return false
		case errno != 0:
			cause = errno
		case n == 0:
			cause = io.EOF
		}
		return true
	})
	if err != nil {
		return err
	}
	return cause
}

// discard reads, and throws away, until the client has closed or the time is over.
func (c *Conn) discard() {
	raw := c.raw()
	if raw == nil {
		c.discardPlain()
		return
	}
	total := 0
	_ = raw.Read(func(fd uintptr) bool {
		s := c.l.slabs.get()
		defer c.l.slabs.put(s)
		for total < lingerBytes {
			n, err := readNow(int(fd), s.in[:])
			if err != nil || n == 0 {
				return err != syscall.EAGAIN
			}
			total += n
		}
		return true
	})
}

// readNow reads what has arrived, without waiting: the descriptor does not block. The scheduler is not told,
// which would cost more than the call.
func readNow(fd int, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		if errno == 0 {
			return int(n), nil
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// writeNow writes what goes out at once, which may be less than p.
func writeNow(fd int, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, errno
		}
	}
}
