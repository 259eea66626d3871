package discovery

import (
	"net/netip"
	"slices"
)

// Bounds of what is told.
const (
	maxEndpoints = 8
	maxAddrs     = 4 // of each family and endpoint
)

// Listeners are the encrypted listeners of a server. An unspecified address stands for all of its family, [::]
// also for IPv4 where there is no IPv4 listener with its port.
type Listeners struct {
	DoH, DoT, DoQ []netip.AddrPort
	Path          string // of DNS over HTTPS
}

// Endpoints returns what clients are told of listeners: HTTPS first, which gets through most networks and has both
// transports, then TLS, then QUIC, or both at once where they share a port. here are the addresses that stand for
// unspecified ones.
func (l Listeners) Endpoints(here []netip.Addr) []Endpoint {
	var out []Endpoint
	for _, port := range ports(l.DoH) {
		out = append(out, Endpoint{ALPN: []string{"h2", "h3"}, Port: port, Path: l.Path, Addrs: reached(l.DoH, port, here)})
	}
	quic := ports(l.DoQ)
	for _, port := range ports(l.DoT) {
		e := Endpoint{ALPN: []string{"dot"}, Port: port, Addrs: reached(l.DoT, port, here)}
		if at := slices.Index(quic, port); at >= 0 && slices.Equal(e.Addrs, reached(l.DoQ, port, here)) {
			e.ALPN = append(e.ALPN, "doq")
			quic = slices.Delete(quic, at, at+1)
		}
		out = append(out, e)
	}
	for _, port := range quic {
		out = append(out, Endpoint{ALPN: []string{"doq"}, Port: port, Addrs: reached(l.DoQ, port, here)})
	}
	return out[:min(len(out), maxEndpoints)]
}

// ports returns the ports of listeners, each once, in order. 0 is one that is not known.
func ports(list []netip.AddrPort) []uint16 {
	var out []uint16
	for _, a := range list {
		if a.Port() != 0 && !slices.Contains(out, a.Port()) {
			out = append(out, a.Port())
		}
	}
	return out
}

// reached returns the addresses at which clients find a port.
func reached(list []netip.AddrPort, port uint16, here []netip.Addr) []netip.Addr {
	var v4, v6 []netip.Addr
	add := func(a netip.Addr) {
		family := &v6
		if a.Is4() {
			family = &v4
		}
		if len(*family) < maxAddrs && !slices.Contains(*family, a) {
			*family = append(*family, a)
		}
	}
	alone := !slices.ContainsFunc(list, func(a netip.AddrPort) bool { return a.Port() == port && a.Addr().Unmap().Is4() })
	for _, a := range list {
		addr := a.Addr().Unmap()
		switch {
		case a.Port() != port || addr.Zone() != "":
		case !addr.IsUnspecified():
			add(addr)
		default:
			for _, h := range here {
				if h = h.Unmap(); h.Is4() == addr.Is4() || h.Is4() && alone {
					add(h)
				}
			}
		}
	}
	return append(v4, v6...)
}
