//go:build !linux

package forward

import (
	"errors"
	"net"
	"net/netip"
)

// sockets are there for Linux only: elsewhere each exchange opens a socket of its own.
type sockets struct{}

type socket struct {
	net.Conn
	interrupt func()
}

func (*sockets) take(netip.AddrPort) (*socket, error) { return nil, errors.ErrUnsupported }

func (*sockets) put(*socket, bool) {}

func (*sockets) close() {}
