package server

import (
	"net"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// controlSize has room for the packet information of both families.
const controlSize = 128

// askForDestination makes the kernel tell to which address each packet was sent. A socket for both
// families needs both options.
func askForDestination(conn *net.UDPConn, network string) error {
	var err4, err6 error
	if network != "udp6" {
		err4 = ipv4.NewPacketConn(conn).SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true)
	}
	if network != "udp4" {
		err6 = ipv6.NewPacketConn(conn).SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
	}
	if network == "udp" && (err4 == nil || err6 == nil) {
		return nil // systems differ in which of the two they take here
	}
	if err4 != nil {
		return err4
	}
	return err6
}

// replySource turns the control data that came with a request into that of its reply, so that the
// reply leaves from the address that was asked: a client takes it from no other.
func replySource(ctrl []byte) []byte {
	var dst net.IP
	var index int
	var m6 ipv6.ControlMessage
	if err := m6.Parse(ctrl); err == nil && m6.Dst != nil {
		dst, index = m6.Dst, m6.IfIndex
	}
	var m4 ipv4.ControlMessage
	if err := m4.Parse(ctrl); err == nil && m4.Dst != nil {
		dst = m4.Dst
	}
	switch {
	case dst == nil || dst.IsMulticast() || dst.Equal(net.IPv4bcast):
		return nil // not an address that one can send from
	case dst.To4() != nil:
		return (&ipv4.ControlMessage{Src: dst}).Marshal()
	case dst.IsLinkLocalUnicast():
		return (&ipv6.ControlMessage{Src: dst, IfIndex: index}).Marshal()
	default:
		return (&ipv6.ControlMessage{Src: dst}).Marshal()
	}
}
