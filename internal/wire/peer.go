package wire

import "net/netip"

// Protocol is the transport that a request came by.
type Protocol uint8

const (
	UDP Protocol = iota
	TCP
	DoT
	DoH
	DoH3 // DNS over HTTPS by HTTP/3
	DoQ
)

// Protocols is how many there are.
const Protocols = int(DoQ) + 1

// String returns the name used in metrics and logs.
func (p Protocol) String() string {
	switch p {
	case UDP:
		return "udp"
	case TCP:
		return "tcp"
	case DoT:
		return "dot"
	case DoH:
		return "doh"
	case DoH3:
		return "doh3"
	case DoQ:
		return "doq"
	default:
		return "unknown"
	}
}

// Peer is who sent a request, how, and what its cookie proves.
type Peer struct {
	Addr     netip.AddrPort
	Protocol Protocol
	Cookie   Cookie // RFC 7873
}
