package server

import (
	"context"
	"crypto/tls"
	"net"

	"dens/internal/wire"
	"dens/server/stream"
)

// streamListener is one TCP socket, for DNS or DNS over TLS.
type streamListener struct{ l *stream.Listener }

func (s *Server) newStreamListener(socket *net.TCPListener, proto wire.Protocol) streamListener {
	var security *tls.Config
	if proto == wire.DoT {
		security = s.tlsConfig("dot") // one for all connections: it holds the keys of session tickets
	}
	return streamListener{stream.New(stream.Config{
		Intake: s.in, Protocol: proto, TLS: security, Handshakes: s.handshakes,
	}, socket)}
}

func (l streamListener) addr() net.Addr { return l.l.Addr() }

func (l streamListener) serve() { l.l.Serve() }

func (l streamListener) drain(ctx context.Context) { l.l.Drain(ctx) }

func (l streamListener) abandon() { l.l.Abandon() }
