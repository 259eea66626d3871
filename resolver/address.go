package resolver

import (
	"net/netip"

	"github.com/miekg/dns"
)

// AddressOf returns the address in an A or AAAA record; an IPv4 address in the form of IPv6 as what it is.
func AddressOf(rr dns.RR) (netip.Addr, bool) {
	var addr netip.Addr
	var ok bool
	switch x := rr.(type) {
	case *dns.A:
		addr, ok = netip.AddrFromSlice(x.A)
	case *dns.AAAA:
		addr, ok = netip.AddrFromSlice(x.AAAA)
	}
	return addr.Unmap(), ok
}
