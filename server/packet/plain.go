package packet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"dens/internal/wire"
	"dens/server/intake"
)

// readPlain reads one packet with each system call. It works on all systems.
func readPlain(s *socket) error {
	var q wire.Query
	request, reply, room := make([]byte, requestSize), make([]byte, replySize), make([]byte, controlSize)
	var control []byte
	if s.wildcard {
		control = room
	}
	for {
		n, oob, _, from, err := s.conn.ReadMsgUDPAddrPort(request, control)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
		if n > intake.MaxSmall {
			s.in.Conf().Stats.Malformed.Add(1)
			continue
		}
		q = wire.Query{Msg: request[:n], Start: time.Now(), Reader: s.reader}
		q.From = wire.Peer{Addr: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), Protocol: wire.UDP}
		var source []byte
		if s.wildcard {
			source = replySource(room[:oob])
		}
		out, done := s.in.Take(&q, reply[:0])
		switch {
		case !done:
			if p := s.detach(&q, source); p != nil {
				p.to = from
				s.wait(p, s.sendPlain)
			}
		case len(out) > 0:
			s.armWrite()
			if _, _, err := s.conn.WriteMsgUDPAddrPort(out, source, from); err != nil {
				s.in.Conf().Stats.WriteErrors.Add(1)
			}
		}
	}
}

func (s *socket) sendPlain(p *packet, reply []byte) error {
	s.armWrite()
	_, _, err := s.conn.WriteMsgUDPAddrPort(reply, p.control, p.to)
	return err
}

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
