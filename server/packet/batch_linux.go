package packet

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"dens/internal/wire"
	"dens/server/intake"
)

// canShare says whether sockets can share an address so that each gets some of the packets (SO_REUSEPORT).
const canShare = true

func share(_, _ string, raw syscall.RawConn) error {
	var err error
	if ctrlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); ctrlErr != nil {
		return ctrlErr
	}
	return os.NewSyscallError("setsockopt", err)
}

// enlarge gives the socket buffers for the packets that come while all processors are busy elsewhere. Who may
// not exceed the system's bound (net.core.rmem_max) gets what that allows.
func enlarge(conn *net.UDPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		for _, option := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option[0], socketBuffer) != nil {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option[1], socketBuffer)
			}
		}
	})
}

// keepWhole keeps the replies by IPv4 from being cut into fragments because of what ICMP says of the way: whoever
// forges that could then make up the later fragments (RFC 9715). By IPv6 no way is too short for 1232 octets.
func keepWhole(conn *net.UDPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT)
	})
}

// batchSize is how many packets one system call takes: enough for what arrives while a batch is answered, few
// enough that their buffers stay in the processor's cache.
const (
	bitsOfBatch = 6
	batchSize   = 1 << bitsOfBatch
)

// batch is the buffers of one reader. The headers of requests point to them for good: they stay armed.
type batch struct {
	requests [batchSize]message // for recvmmsg(2)
	replies  [batchSize]message // for sendmmsg(2)
	slots    [batchSize]slot
	query    wire.Query // the one that is being answered
	joiner   joiner
	pace     pace
}

// message is struct mmsghdr of recvmmsg(2). The kernel finds one right behind the other.
type message struct {
	header unix.Msghdr
	octets uint32
}

// The octets take one word, of 32 or 64 bits: this does not compile where they take more.
var _ [unsafe.Sizeof(unix.Msghdr{}) + unsafe.Alignof(unix.Msghdr{})]byte = [unsafe.Sizeof(message{})]byte{}

// slot is the room for one packet.
type slot struct {
	in, out unix.Iovec
	from    peerAddr
	control [controlSize]byte
	reply   [replySize]byte
	request [requestSize]byte
}

// peerAddr is a socket address as the kernel writes it: of the greater family. Replies go to it as it came.
type peerAddr struct {
	raw [unix.SizeofSockaddrInet6]byte
	len uint32
}

func (a *peerAddr) addrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(a.raw[2:])
	switch binary.NativeEndian.Uint16(a.raw[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a.raw[4:8])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(a.raw[8:24])).Unmap(), port)
	default:
		return netip.AddrPort{}
	}
}

func newBatch(wildcard bool) *batch {
	b := new(batch)
	for i := range b.slots {
		s, m := &b.slots[i], &b.requests[i]
		s.in.Base = &s.request[0]
		s.in.SetLen(len(s.request))
		m.header.Iov = &s.in
		m.header.SetIovlen(1)
		m.header.Name = &s.from.raw[0]
		if wildcard {
			m.header.Control = &s.control[0]
		}
	}
	return b
}

// arm sets what the kernel has changed in the headers of the first n requests.
func (b *batch) arm(n int, wildcard bool) {
	for i := range b.requests[:n] {
		h := &b.requests[i].header
		h.Namelen = unix.SizeofSockaddrInet6
		h.Flags = 0
		if wildcard {
			h.SetControllen(controlSize)
		}
	}
}

// batches tells whether the system takes the calls for many packets: some sandboxes do not.
func batches(conn *net.UDPConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	ok := false
	_ = raw.Control(func(fd uintptr) {
		// Of no messages: it shows whether the call is there, and touches nothing.
		_, errno := mmsg(unix.SYS_RECVMMSG, fd, nil)
		_, errnoSend := mmsg(unix.SYS_SENDMMSG, fd, nil)
		ok = (errno == 0 || errno == unix.EAGAIN) && errnoSend == 0
	})
	return ok
}

// mmsg is recvmmsg(2) or sendmmsg(2). It never waits, but may take longer than the scheduler lets a system call
// pass for a short one: it is not told, since it would take this thread's processor away and give it back for
// each batch.
func mmsg(call, fd uintptr, list []message) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(list))), uintptr(len(list)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// readBatches reads as many packets as there are with each system call, and sends the replies of those that
// need no waiting with one more. All of it happens in one call of the poller's Read, so that a packet that
// comes between two batches is never missed: it wakes the next wait.
func readBatches(s *socket) error {
	b := newBatch(s.wildcard)
	b.arm(batchSize, s.wildcard)
	var failed syscall.Errno
	_ = s.raw.Control(func(fd uintptr) { b.joiner.off = !canJoin(fd) })
	err := s.raw.Read(func(fd uintptr) bool {
		for !s.ended() {
			n, errno := mmsg(unix.SYS_RECVMMSG, fd, b.requests[:])
			switch {
			case errno == unix.EAGAIN:
				return false
			case errno == unix.EINTR:
				continue
			case errno != 0:
				failed = errno
				return true
			}
			if s.serveBatch(fd, b, n) {
				// So that those who wait are worked on now: else they pile up until the scheduler takes this
				// goroutine off, and the hits behind wait for all of them.
				runtime.Gosched()
			}
			b.arm(n, s.wildcard)
			b.pace.note(n, s.spread)
			if n < batchSize {
				return false // the kernel had no more: what comes now wakes the wait
			}
		}
		return true
	})
	switch {
	case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case err != nil:
		return err
	case failed != 0:
		return os.NewSyscallError("recvmmsg", failed)
	}
	return nil
}

// serveBatch answers the first n requests, and reports whether there were some that have to wait.
func (s *socket) serveBatch(fd uintptr, b *batch, n int) (missed bool) {
	now := time.Now()
	q, replies := &b.query, 0
	for i := range n {
		m, slot := &b.requests[i], &b.slots[i]
		if m.octets > intake.MaxSmall {
			s.in.Conf().Stats.Malformed.Add(1)
			continue
		}
		*q = wire.Query{Msg: slot.request[:m.octets], Start: now, Reader: s.reader}
		q.From.Addr, q.From.Protocol = slot.from.addrPort(), wire.UDP
		slot.from.len = m.header.Namelen
		var control []byte
		if s.wildcard {
			control = replyControl(slot.control[:m.header.Controllen])
		}
		out, done := s.in.Take(q, slot.reply[:0])
		switch {
		case !done:
			if p := s.detach(q, control); p != nil {
				missed = true
				p.peer = slot.from
				s.wait(p, s.sendLater)
			}
		case len(out) > 0:
			b.replies[replies].set(&slot.out, &slot.from, out, control)
			replies++
		}
	}
	s.send(fd, &b.joiner, b.joiner.join(b.replies[:replies]))
	return missed
}

// set fills in the header of a reply.
func (m *message) set(iov *unix.Iovec, to *peerAddr, reply, control []byte) {
	iov.Base = &reply[0]
	iov.SetLen(len(reply))
	m.header = unix.Msghdr{Name: &to.raw[0], Namelen: to.len, Iov: iov, Control: unsafe.SliceData(control)}
	m.header.SetIovlen(1)
	m.header.SetControllen(len(control))
	if len(control) == 0 {
		m.header.Control = nil
	}
}

// send sends all replies. One that cannot be sent, such as to an address without a route, is counted and
// passed over. While the socket has no room, it waits for a moment; replies to neighbours that do not exist may
// take all of the room for seconds, and what comes meanwhile is to be read all the same.
func (s *socket) send(fd uintptr, j *joiner, messages []message) {
	for len(messages) > 0 {
		n, errno := mmsg(unix.SYS_SENDMMSG, fd, messages)
		switch {
		case errno == 0:
			messages = messages[n:]
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			if !s.awaitRoom(fd) {
				s.in.Conf().Stats.WriteErrors.Add(repliesIn(messages))
				return
			}
		case messages[0].header.Iovlen > 1:
			// Not every way takes joined replies: some devices cannot sum them up (EIO), some lines are too short.
			j.off = j.off || errno == unix.EIO
			s.send(fd, j, apart(&messages[0]))
			messages = messages[1:]
		default:
			s.in.Conf().Stats.WriteErrors.Add(1)
			messages = messages[1:]
		}
	}
}

// awaitRoom waits until the socket has room for replies, and reports whether that was before sendWait was over. It
// does not wait by way of the poller, where whoever waits to send keeps out the others, too.
func (s *socket) awaitRoom(fd uintptr) bool {
	if time.Now().Before(s.impatient) {
		return false
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(sendWait/time.Millisecond))
	if n > 0 || errors.Is(err, unix.EINTR) {
		return true
	}
	s.impatient = time.Now().Add(sendPause)
	return false
}

// sendLater sends a reply that was waited for. When the socket has no room, it tries again a few times.
func (s *socket) sendLater(p *packet, reply []byte) error {
	var m message
	var iov unix.Iovec
	m.set(&iov, &p.peer, reply, p.control)
	for try := 0; ; try++ {
		var errno syscall.Errno
		if err := s.raw.Control(func(fd uintptr) {
			_, errno = mmsg(unix.SYS_SENDMMSG, fd, unsafe.Slice(&m, 1))
		}); err != nil {
			return err
		}
		switch {
		case errno == 0:
			return nil
		case try < sendTries && (errno == unix.EAGAIN || errno == unix.EINTR):
			time.Sleep(sendWait / sendTries)
		default:
			return os.NewSyscallError("sendmmsg", errno)
		}
	}
}
