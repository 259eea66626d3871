package packet

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// joinSize is the longest reply that is joined with others: the kernel cuts no datagram that is too long for the
	// way. This one passes wherever IPv6 does.
	joinSize = 1232
	// joinOctets is what replies that are joined may have together: they are one IP packet on their way through the
	// kernel.
	joinOctets = 65000
	// segmentControl is the room for the length of the datagrams that a message is cut into.
	segmentControl = 24
)

// canJoin tells whether the kernel cuts messages into datagrams. One that cannot would send them whole.
func canJoin(fd uintptr) bool {
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, 0) == nil
}

// joiner joins the replies of a batch that have one length and go to one client. Each such message passes through
// the kernel as one packet, which becomes datagrams at the end of its way (UDP_SEGMENT of udp(7)): most of what a
// reply costs is that way. Those who ask over few sockets gain, such as proxies and other resolvers.
type joiner struct {
	off      bool               // nothing is joined
	messages [batchSize]message // the first replies of all, joined or not
	groups   [batchSize]group   // by message
	groupOf  [batchSize]uint8   // by reply
	iovs     [batchSize]unix.Iovec
	newest   [batchSize]uint8 // by hash: one more than the group that began last
}

// group is the replies that go into one message.
type group struct {
	size, replies int
	iovs          int // where theirs begin
	control       [controlSize + segmentControl]byte
}

// join returns the messages for the given replies. They are valid until it is called again.
func (j *joiner) join(replies []message) []message {
	if j.off || len(replies) < 2 {
		return replies
	}
	clear(j.newest[:])
	n := 0
	for i := range replies {
		r := &replies[i].header
		newest := &j.newest[joinHash(r)]
		if k := int(*newest) - 1; k >= 0 && j.groups[k].takes(&j.messages[k].header, r) {
			j.groups[k].replies++
			j.groupOf[i] = uint8(k)
			continue
		}
		j.messages[n].header = *r
		j.groups[n].size, j.groups[n].replies = int(r.Iov.Len), 1
		j.groupOf[i] = uint8(n)
		n++
		*newest = uint8(n)
	}
	if n == len(replies) {
		return replies
	}
	at := 0
	for k := range n {
		g, h := &j.groups[k], &j.messages[k].header
		g.iovs, at = at, at+g.replies
		if g.replies > 1 {
			g.cut(h)
		}
		h.Iov = &j.iovs[g.iovs]
		h.SetIovlen(g.replies)
	}
	for i := range replies {
		g := &j.groups[j.groupOf[i]]
		j.iovs[g.iovs] = *replies[i].header.Iov
		g.iovs++
	}
	return j.messages[:n]
}

// joinHash is that of a reply's length and its client's port.
func joinHash(h *unix.Msghdr) uint32 {
	if h.Name == nil {
		return 0
	}
	port := binary.NativeEndian.Uint16(unsafe.Slice(h.Name, 4)[2:])
	return (uint32(port)<<16 | uint32(h.Iov.Len)&0xffff) * 0x9e3779b1 >> (32 - bitsOfBatch)
}

// takes tells whether one more reply fits in, beside the group's first.
func (g *group) takes(first, h *unix.Msghdr) bool {
	return int(h.Iov.Len) == g.size && g.size <= joinSize && (g.replies+1)*g.size <= joinOctets &&
		bytes.Equal(unsafe.Slice(h.Name, h.Namelen), unsafe.Slice(first.Name, first.Namelen)) &&
		bytes.Equal(control(h), control(first))
}

// control returns the control data of a message.
func control(h *unix.Msghdr) []byte { return unsafe.Slice(h.Control, h.Controllen) }

// cut adds to a header that its message is to be cut into datagrams of the group's size.
func (g *group) cut(h *unix.Msghdr) {
	at := copy(g.control[:], control(h))
	if at > 0 {
		at = unix.CmsgSpace(at - unix.CmsgLen(0)) // the next one begins where it may
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&g.control[at]))
	c.Level, c.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	c.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(g.control[at+unix.CmsgLen(0):], uint16(g.size))
	h.Control = &g.control[0]
	h.SetControllen(at + unix.CmsgSpace(2))
}

// apart returns the replies of a joined message, each in one of its own.
func apart(joined *message) []message {
	iovs := unsafe.Slice(joined.header.Iov, int(joined.header.Iovlen))
	list := make([]message, len(iovs))
	for i := range list {
		h := &list[i].header
		*h = joined.header
		h.Iov = &iovs[i]
		h.SetIovlen(1)
		h.SetControllen(int(h.Controllen) - unix.CmsgSpace(2))
		if h.Controllen == 0 {
			h.Control = nil
		}
	}
	return list
}

// repliesIn returns how many replies there are in messages.
func repliesIn(list []message) (n uint64) {
	for i := range list {
		n += uint64(list[i].header.Iovlen)
	}
	return n
}
