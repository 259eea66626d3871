package server

import (
	"net"
	"net/netip"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
)

// slot is a connection with its place among all connections. Closing it gives the place back.
type slot struct {
	*net.TCPConn
	*intake.Place
}

// Close closes the connection and gives its place back.
func (s *slot) Close() error {
	err := s.TCPConn.Close()
	s.Leave()
	return err
}

// addrPortOf returns the address of a peer, IPv4 in its plain form.
func addrPortOf(addr net.Addr) netip.AddrPort {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// tableListener is a net.Listener whose connections have a place.
type tableListener struct {
	*net.TCPListener
	s     *Server
	proto wire.Protocol
}

// Accept returns the next connection that there is room for.
func (l tableListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		if p := l.s.in.Admit(addrPortOf(conn.RemoteAddr()).Addr(), l.proto, func() { conn.Close() }); p != nil {
			return &slot{conn, p}, nil
		}
		conn.Close()
	}
}

// answer has one request answered, and waits for that.
func (s *Server) answer(req []byte, from wire.Peer, buf []byte) []byte {
	q := &wire.Query{Msg: req, From: from, Start: time.Now()}
	if reply, done := s.in.Take(q, buf); done {
		return reply
	}
	return s.in.Wait(q, buf)
}

// maxMessage is the length of the longest message (RFC 1035 section 4.2.2).
const maxMessage = 1<<16 - 1

// message is the room for one reply.
type message struct{ reply [maxSmall]byte }

// malformed tells what is not even handed to the Handler: shorter than a header, or itself a reply.
func malformed(msg []byte) bool { return len(msg) < 12 || msg[2]&0x80 != 0 }
