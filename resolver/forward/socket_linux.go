package forward

import (
	"encoding/binary"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	maxSpare   = 256  // released sockets of one family that are kept
	maxDrained = 1024 // more datagrams than the kernel holds for a socket
)

// sockets are UDP sockets of the kernel that are used by one exchange after the other, since opening one,
// making it known to the poller and closing it costs more than the rest of an exchange. What RFC 5452
// section 9.2 asks for stays: connecting a socket that has no port draws one by chance from all of
// net.ipv4.ip_local_port_range, and taking its peer away gives it back. It is safe for concurrent use.
type sockets struct {
	mu     sync.Mutex
	spare  [2][]*socket // of IPv4, of IPv6; the newest last
	closed bool
}

// socket is one of them. Only who has taken it may use it.
//
//	spare: no port, no peer --take--> connected --put, clean--> spare
//	                                       \-----put-----> closed
type socket struct {
	file *os.File // for the poller
	raw  syscall.RawConn
	fd   int

	peer     unix.RawSockaddrAny
	peerLen  uintptr
	from     unix.RawSockaddrAny
	buf      []byte // of the Read under way
	n        int    // its result
	errno    unix.Errno
	timed    bool // a deadline was set: not for another exchange
	released bool // it was seen to give its port back

	receive   func(fd uintptr) bool // s.tryRead, bound once
	interrupt func()                // ends a Read that waits
}

// take returns a socket that is connected to a server from a new port.
func (p *sockets) take(to netip.AddrPort) (*socket, error) {
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	s := p.pop(to.Addr())
	if s != nil && !s.drain() {
		s.file.Close()
		s = nil
	}
	if s == nil {
		var err error
		if s, err = newSocket(to.Addr()); err != nil {
			return nil, err
		}
	}
	s.setPeer(to)
	if errno := s.connect(&s.peer, s.peerLen); errno != 0 {
		s.file.Close()
		return nil, os.NewSyscallError("connect", errno)
	}
	return s, nil
}

// put gives a socket back; clean says that its exchange ended as it should, with nobody left who may
// still call interrupt.
func (p *sockets) put(s *socket, clean bool) {
	if !clean || s.timed || !s.release() || !p.push(s) {
		s.file.Close()
	}
}

func familyIndex(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

func (p *sockets) pop(a netip.Addr) *socket {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.spare[familyIndex(a)]
	if len(list) == 0 {
		return nil
	}
	last := len(list) - 1
	s := list[last]
	list[last] = nil
	p.spare[familyIndex(a)] = list[:last]
	return s
}

func (p *sockets) push(s *socket) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := 0
	if s.peer.Addr.Family == unix.AF_INET6 {
		i = 1
	}
	if p.closed || len(p.spare[i]) >= maxSpare {
		return false
	}
	p.spare[i] = append(p.spare[i], s)
	return true
}

// close closes the sockets that are not in use. Those that are will be when they are put back.
func (p *sockets) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for i, list := range p.spare {
		for _, s := range list {
			s.file.Close()
		}
		p.spare[i] = nil
	}
}

func newSocket(a netip.Addr) (*socket, error) {
	family := unix.AF_INET
	if !a.Is4() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &socket{fd: fd, file: os.NewFile(uintptr(fd), "udp")}
	if s.raw, err = s.file.SyscallConn(); err != nil {
		s.file.Close()
		return nil, err
	}
	s.receive = s.tryRead
	s.interrupt = func() { s.file.SetReadDeadline(time.Unix(1, 0)) } //nolint:errcheck // a closed one does not wait
	return s, nil
}

func (s *socket) setPeer(to netip.AddrPort) {
	if to.Addr().Is4() {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.peer))
		*sa = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.Addr().As4()}
		setPort(&sa.Port, to.Port())
		s.peerLen = unix.SizeofSockaddrInet4
		return
	}
	sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(&s.peer))
	*sa = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: to.Addr().As16()}
	setPort(&sa.Port, to.Port())
	s.peerLen = unix.SizeofSockaddrInet6
}

// setPort writes a port in network order.
func setPort(field *uint16, port uint16) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(field))[:], port)
}

func (s *socket) connect(to *unix.RawSockaddrAny, n uintptr) unix.Errno {
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(s.fd), uintptr(unsafe.Pointer(to)), n)
		if errno != unix.EINTR {
			return errno
		}
	}
}

// release takes the peer away, and with it the port (udp(7) on AF_UNSPEC): nothing can come in any more. It
// reports false when the kernel keeps the port, which is seen once for each socket.
func (s *socket) release() bool {
	var nobody unix.RawSockaddrAny
	nobody.Addr.Family = unix.AF_UNSPEC
	if s.connect(&nobody, unsafe.Sizeof(nobody.Addr)) != 0 {
		return false
	}
	if !s.released {
		switch local, err := unix.Getsockname(s.fd); local := local.(type) {
		case *unix.SockaddrInet4:
			s.released = err == nil && local.Port == 0
		case *unix.SockaddrInet6:
			s.released = err == nil && local.Port == 0
		}
	}
	return s.released
}

// drain throws away what came in for the peer before: late replies, and errors by ICMP. Without a port there
// comes no more. It reports false when there is no end to it all the same.
func (s *socket) drain() bool {
	var waste [1]byte
	for range maxDrained {
		_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(&waste)), 1, unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EAGAIN {
			return true
		}
	}
	return false
}

// Write sends one datagram.
func (s *socket) Write(b []byte) (int, error) {
	for {
		n, err := unix.Write(s.fd, b)
		if err != unix.EINTR {
			return n, os.NewSyscallError("write", err)
		}
	}
}

// Read waits for a datagram of the peer.
func (s *socket) Read(buf []byte) (int, error) {
	s.buf = buf
	err := s.raw.Read(s.receive)
	s.buf = nil
	if err != nil {
		return 0, err
	}
	if s.errno != 0 {
		return 0, os.NewSyscallError("recvfrom", s.errno)
	}
	return s.n, nil
}

// tryRead reports whether there was a datagram or an error. What is not of the peer was on its way to the one
// before while the socket was drained.
func (s *socket) tryRead(uintptr) bool {
	for {
		size := uint32(unix.SizeofSockaddrAny)
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(s.buf))), uintptr(len(s.buf)),
			0, uintptr(unsafe.Pointer(&s.from)), uintptr(unsafe.Pointer(&size)))
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return false
		case errno != 0 || s.isPeer():
			s.n, s.errno = int(n), errno
			return true
		}
	}
}

func (s *socket) isPeer() bool {
	if s.from.Addr.Family != s.peer.Addr.Family {
		return false
	}
	if s.peer.Addr.Family == unix.AF_INET {
		a, b := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.from)), (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.peer))
		return a.Port == b.Port && a.Addr == b.Addr
	}
	a, b := (*unix.RawSockaddrInet6)(unsafe.Pointer(&s.from)), (*unix.RawSockaddrInet6)(unsafe.Pointer(&s.peer))
	return a.Port == b.Port && a.Addr == b.Addr
}

// SetReadDeadline is as in net.Conn.
func (s *socket) SetReadDeadline(t time.Time) error {
	s.timed = true
	return s.file.SetReadDeadline(t)
}
