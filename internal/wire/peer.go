package wire

import "net/netip"

// Protocol is the transport that a request came by.
type Protocol uint8

const (
	UDP Protocol = iota
	TCP
	DoT
	DoH
)

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
