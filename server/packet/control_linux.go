package packet

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// replyControl turns the control data that came with a request into that of its reply, in place, so that the
// reply leaves from the address that was asked: a client takes it from no other. Of the packet information
// (ip(7), ipv6(7)) the interface is only kept where an address means nothing without it; for the rest the
// routes decide. Without usable information it returns nil.
func replyControl(control []byte) []byte {
	for off := 0; off+unix.SizeofCmsghdr <= len(control); {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[off]))
		size := int(h.Len)
		if size < unix.SizeofCmsghdr || off+size > len(control) {
			return nil
		}
		data := control[off+unix.CmsgLen(0) : off+size]
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// The kernel puts an address of its own beside that of the packet, which may be a broadcast.
			clear(data[:4])
			return control[off : off+size]
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			addr := netip.AddrFrom16([16]byte(data[:16]))
			if addr.IsMulticast() || addr.Unmap().IsMulticast() {
				return nil
			}
			if !addr.IsLinkLocalUnicast() {
				binary.NativeEndian.PutUint32(data[16:], 0)
			}
			return control[off : off+size]
		}
		off += unix.CmsgSpace(size - unix.CmsgLen(0))
	}
	return nil
}
