package server

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

var (
	// ErrClosed says that the Server was shut down.
	ErrClosed = errors.New("server is shut down")
	// ErrNoCertificate says that DoT, DoH or DoQ was asked for without a certificate.
	ErrNoCertificate = errors.New("DNS over TLS, HTTPS and QUIC need a certificate")
)

// errOwnPort is the cause when the port is one that this Server listens on.
var errOwnPort = errors.New("dens itself listens on that port, and a change between addresses that overlap needs a restart")

// listenError names the address and the cause, and what to do about it where that is known.
func listenError(network, address string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // net's own text would name the address again
	}
	_, port, _ := net.SplitHostPort(address)
	return Advise(fmt.Errorf("listen on %s (%s): %w", address, network, err), port)
}

// Advise adds to an error of listening on a port what can be done about it, where that is known.
func Advise(err error, port string) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && port == "53":
		return fmt.Errorf("%w; another program has the port, often systemd-resolved, dnsmasq or a resolver: "+
			"see it with \"ss -lntup 'sport = :53'\"; for systemd-resolved set DNSStubListener=no in /etc/systemd/resolved.conf "+
			"and restart it, or listen on one address such as 127.0.0.1:53", err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; another program has the port: see it with \"ss -lntup 'sport = :%s'\"", err, port)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w; ports below 1024 need the right to bind them: run \"setcap cap_net_bind_service=+ep\" "+
			"on the program, set AmbientCapabilities=CAP_NET_BIND_SERVICE in its systemd unit, or take a higher port such as 5353", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w; no interface of this machine has that address", err)
	}
	return err
}
