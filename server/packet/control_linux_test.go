package packet

import (
	"bytes"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"dens/server/intake"
)

// controlOf is one piece of control data as the kernel lays it out for this processor.
func controlOf(level, typ int32, data ...byte) []byte {
	control := make([]byte, unix.CmsgSpace(len(data)))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	h.Level, h.Type = level, typ
	h.SetLen(unix.CmsgLen(len(data)))
	copy(control[unix.CmsgLen(0):], data)
	return control
}

// asked is packet information: of the interface 2, the address 127.0.0.1, and a packet to 127.0.0.77.
func asked() []byte {
	return controlOf(unix.IPPROTO_IP, unix.IP_PKTINFO, 2, 0, 0, 0, 127, 0, 0, 1, 127, 0, 0, 77)
}

// Whatever stands in control data, the outcome is a part of it.
func FuzzReplyControl(f *testing.F) {
	v6 := controlOf(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, make([]byte, unix.SizeofInet6Pktinfo)...)
	for _, seed := range [][]byte{nil, {1}, asked(), v6, append(v6, asked()...), make([]byte, controlSize)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, control []byte) {
		room := new(slot)
		n := copy(room.control[:], control)
		if out := replyControl(room.control[:n]); len(out) > n || len(out) > 0 && len(out) < unix.CmsgLen(unix.SizeofInet4Pktinfo) {
			t.Errorf("%x became %x", control, out)
		}
		if out := replySource(control); len(out) > controlSize {
			t.Errorf("%x became %x", control, out)
		}
	})
}

func TestReplyControl(t *testing.T) {
	room, head := new(slot), unix.CmsgLen(0)
	got := replyControl(room.control[:copy(room.control[:], asked())])
	if len(got) != head+unix.SizeofInet4Pktinfo || !bytes.Equal(got[head:head+8], []byte{0, 0, 0, 0, 127, 0, 0, 1}) {
		t.Errorf("got %x, want no interface and the address", got)
	}
	info := make([]byte, unix.SizeofInet6Pktinfo)
	copy(info, []byte{0xff, 2})
	multicast := controlOf(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, info...)
	if got := replyControl(room.control[:copy(room.control[:], multicast)]); got != nil {
		t.Errorf("a multicast address gave %x: nobody can send from it", got)
	}
}

// TestRepliesStayWhole: ICMP has no say in whether replies by IPv4 are cut into fragments.
func TestRepliesStayWhole(t *testing.T) {
	for _, network := range []string{"udp4", "udp"} {
		t.Run(network, func(t *testing.T) {
			l, _ := begin(t, Config{Network: network, Sockets: 2}, intake.Limits{}, newActor())
			for _, s := range l.sockets {
				_ = s.raw.Control(func(fd uintptr) {
					if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER); err != nil || got != unix.IP_PMTUDISC_OMIT {
						t.Errorf("path MTU discovery is %d, %v", got, err)
					}
				})
			}
		})
	}
}
