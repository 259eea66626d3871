package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"dens/internal/wire"
	"dens/server/doq"
)

// quicListener is one UDP socket for DNS over QUIC and HTTP/3, whichever of them the Config has on its address.
type quicListener struct {
	*doq.Listener
	conf doq.Config
}

func (l quicListener) addr() net.Addr            { return net.UDPAddrFromAddrPort(l.Addr()) }
func (l quicListener) serve()                    { l.Serve() }
func (l quicListener) drain(ctx context.Context) { l.Drain(ctx) }
func (l quicListener) abandon()                  { l.Close() }

// protocols are those that are served.
func (l quicListener) protocols() []wire.Protocol {
	return slices.DeleteFunc([]wire.Protocol{wire.DoQ, wire.DoH3}, func(p wire.Protocol) bool { return !l.conf.Serves(p) })
}

// quicAddresses are those of the UDP sockets that QUIC needs: HTTP/3 has the ports of HTTPS.
func (c *Config) quicAddresses() ([]string, error) {
	for i, a := range c.DoQ {
		_, addr, err := parseAddress(a)
		switch {
		case err != nil:
			return nil, err
		case addr.Port() == 53:
			return nil, fmt.Errorf("address %q: DNS over QUIC may not have port 53 (RFC 9250 section 4.1.1)", a)
		case slices.Contains(c.DoQ[:i], a):
			return nil, fmt.Errorf("address %q is listed twice", a)
		}
	}
	out := slices.Concat(c.DoH, c.DoQ)
	slices.Sort(out)
	return slices.Compact(out), nil
}

// listenQUIC opens the socket of an address. When that leaves the port open and HTTPS is there as well, it takes the
// port of HTTPS.
func (s *Server) listenQUIC(address string, added map[binding][]listener) ([]listener, error) {
	family, addr, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	if addr.Port() == 0 {
		for _, l := range slices.Concat(s.open[binding{wire.DoH, address}], added[binding{wire.DoH, address}]) {
			addr = netip.AddrPortFrom(addr.Addr(), bound(binding{}, l.addr()).Addr.Port())
		}
	}
	socket, err := listenUDP(family, addr)
	if err != nil {
		return nil, listenError("udp", address, err)
	}
	conf := doq.Config{
		TLS:     s.tlsConfig(doq.ProtoDoQ, doq.ProtoHTTP3),
		Handler: s.DoH(),
		Serves: func(p wire.Protocol) bool {
			conf := s.conf.Load()
			if p == wire.DoQ {
				return slices.Contains(conf.DoQ, address)
			}
			return slices.Contains(conf.DoH, address)
		},
	}
	return []listener{quicListener{doq.New(s.in, socket, conf), conf}}, nil
}

// altSvc says where HTTP/3 is, for clients that came by TCP: on the first port of HTTPS, which serves the same as all
// others (RFC 7838 section 3, RFC 9114 section 3.1.1). added are the listeners that are not open yet.
func (s *Server) altSvc(conf *Config, added map[binding][]listener) string {
	if len(conf.DoH) == 0 {
		return ""
	}
	https := binding{wire.DoH, conf.DoH[0]}
	for _, l := range slices.Concat(s.open[https], added[https]) {
		return fmt.Sprintf(`%s=":%d"; ma=86400`, doq.ProtoHTTP3, bound(https, l.addr()).Addr.Port())
	}
	return ""
}

func listenUDP(family string, addr netip.AddrPort) (*net.UDPConn, error) {
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(context.Background(), "udp"+family, hostPort(addr.Addr(), addr.Port()))
	if err != nil {
		return nil, err
	}
	return pc.(*net.UDPConn), nil
}

// listenHTTPS opens TCP on an address. A port that the kernel gives is one that HTTP/3 can have as well.
func listenHTTPS(family string, addr netip.AddrPort) (*net.TCPListener, error) {
	for try := 1; ; try++ {
		tcp, err := listenTCP(family, addr)
		if err != nil || addr.Port() != 0 {
			return tcp, err
		}
		udp, err := listenUDP(family, netip.AddrPortFrom(addr.Addr(), addrPortOf(tcp.Addr()).Port()))
		if err == nil {
			return tcp, udp.Close()
		}
		tcp.Close()
		if !errors.Is(err, syscall.EADDRINUSE) || try == portTries {
			return nil, err
		}
	}
}

// refreshQUIC lets the connections end whose protocol the Config has no more, where the socket stays for the other.
func refreshQUIC(ls []listener) {
	for _, l := range ls {
		if q, ok := l.(quicListener); ok {
			q.Refresh()
		}
	}
}
