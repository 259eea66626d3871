package server

import (
	"context"
	"net"

	"dens/server/packet"
)

// packetListener is one UDP address.
type packetListener struct{ *packet.Listener }

func (l packetListener) addr() net.Addr            { return net.UDPAddrFromAddrPort(l.Addr()) }
func (l packetListener) serve()                    { l.Serve() }
func (l packetListener) drain(ctx context.Context) { l.Drain(ctx) }
func (l packetListener) abandon()                  { l.Close() }
