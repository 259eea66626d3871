package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"dens/internal/wire"
	"dens/server/packet"
)

// binding is one address of the Config. proto is TCP for UDP and TCP together, and DoQ for all that QUIC carries.
type binding struct {
	proto   wire.Protocol
	address string
}

// bindings lists what a Config wants to be listened on, and checks that it can be.
func (c *Config) bindings() ([]binding, error) {
	if len(c.DoT)+len(c.DoH)+len(c.DoQ) > 0 && c.Certificate == nil {
		return nil, ErrNoCertificate
	}
	quic, err := c.quicAddresses()
	if err != nil {
		return nil, err
	}
	var out []binding
	for _, list := range []struct {
		proto     wire.Protocol
		addresses []string
	}{{wire.TCP, c.DNS}, {wire.DoT, c.DoT}, {wire.DoH, c.DoH}, {wire.DoQ, quic}} {
		for _, a := range list.addresses {
			b := binding{list.proto, a}
			if _, _, err := parseAddress(a); err != nil {
				return nil, err
			}
			if slices.Contains(out, b) {
				return nil, fmt.Errorf("address %q is listed twice", a)
			}
			out = append(out, b)
		}
	}
	return out, nil
}

// parseAddress reads "host:port". family is "4", "6", or "" for both, with no address then. Names are
// not taken: dens may be the one that would be asked for them.
func parseAddress(address string) (family string, addr netip.AddrPort, err error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return "", addr, fmt.Errorf("address %q is not of the form host:port", address)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return "", addr, fmt.Errorf("address %q: the port is no number from 0 to 65535", address)
	}
	if host == "" {
		return "", netip.AddrPortFrom(netip.Addr{}, uint16(port)), nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "", addr, fmt.Errorf("address %q: the host is no IP address", address)
	}
	if ip = ip.Unmap(); ip.Is4() {
		family = "4"
	} else {
		family = "6"
	}
	return family, netip.AddrPortFrom(ip, uint16(port)), nil
}

// listen opens the sockets of a binding; added are those that were opened before it.
func (s *Server) listen(b binding, conf *Config, added map[binding][]listener) ([]listener, error) {
	family, addr, err := parseAddress(b.address)
	if err != nil {
		return nil, err
	}
	open := listenTCP
	switch b.proto {
	case wire.TCP:
		return s.listenBoth(b.address, family, addr)
	case wire.DoQ:
		return s.listenQUIC(b.address, added)
	case wire.DoH:
		open = listenHTTPS
	}
	l, err := open(family, addr)
	if err != nil {
		return nil, listenError("tcp", b.address, err)
	}
	if b.proto == wire.DoH {
		return []listener{s.newDoHListener(l)}, nil
	}
	return []listener{s.newStreamListener(l, b.proto)}, nil
}

// holds reports whether an open listener has the port of b.
func (s *Server) holds(b binding) bool {
	_, addr, err := parseAddress(b.address)
	if err != nil {
		return false
	}
	for open, ls := range s.open {
		for _, l := range ls {
			if bound(open, l.addr()).Addr.Port() == addr.Port() {
				return true
			}
		}
	}
	return false
}

// portTries is how often a port that the kernel gave for TCP may turn out to be taken for UDP.
const portTries = 16

// listenBoth opens TCP and UDP on one port.
func (s *Server) listenBoth(address, family string, addr netip.AddrPort) ([]listener, error) {
	for try := 1; ; try++ {
		tcp, err := listenTCP(family, addr)
		if err != nil {
			return nil, listenError("tcp", address, err)
		}
		port := addrPortOf(tcp.Addr()).Port()
		udp, err := packet.Listen(s.in, packet.Config{
			Network: "udp" + family, Addr: netip.AddrPortFrom(addr.Addr(), port), Sockets: runtime.GOMAXPROCS(0),
		})
		if err == nil {
			return []listener{packetListener{udp}, s.newStreamListener(tcp, wire.TCP)}, nil
		}
		tcp.Close()
		if addr.Port() != 0 || !errors.Is(err, syscall.EADDRINUSE) || try == portTries {
			return nil, listenError("udp", address, err)
		}
	}
}

func listenTCP(family string, addr netip.AddrPort) (*net.TCPListener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // its sockets cost more and none of the clients speaks it
	l, err := lc.Listen(context.Background(), "tcp"+family, hostPort(addr.Addr(), addr.Port()))
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// hostPort writes an address for package net; the zero Addr is all addresses of both families.
func hostPort(ip netip.Addr, port uint16) string {
	host := ""
	if ip.IsValid() {
		host = ip.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

func bound(b binding, addr net.Addr) Bound {
	if udp, ok := addr.(*net.UDPAddr); ok {
		ap := udp.AddrPort()
		return Bound{wire.UDP, b.address, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())}
	}
	return Bound{b.proto, b.address, addrPortOf(addr)}
}

func sortBound(list []Bound) {
	slices.SortFunc(list, func(a, b Bound) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Address, b.Address), a.Addr.Compare(b.Addr))
	})
}

func each(ls []listener, do func(listener)) {
	for _, l := range ls {
		do(l)
	}
}
