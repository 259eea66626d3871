package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
	"dens/server/stream"
)

// DoH returns the DNS over HTTPS resource (RFC 8484) as a handler, for a listener that somebody else
// owns. It answers at the configured path only. Unless a proxy that is trusted says otherwise, the
// connection's address is the client's.
func (s *Server) DoH() http.Handler { return s.doh.Handler() }

// doHListener is one TCP socket for DNS over HTTPS: HTTP/2 is spoken here, HTTP/1.1 by net/http.
type doHListener struct {
	s    *Server
	l    *stream.Listener
	http *http.Server
}

// newDoHListener makes a listener. The time limits of HTTP/1.1 stay those of now.
func (s *Server) newDoHListener(socket *net.TCPListener) doHListener {
	return doHListener{s: s, http: s.doh.Server(), l: stream.New(stream.Config{
		Intake: s.in, Protocol: wire.DoH, TLS: s.tlsConfig("h2", "http/1.1"), NewSession: s.doh.NewSession, Handshakes: s.handshakes,
	}, socket)}
}

func (l doHListener) addr() net.Addr { return l.l.Addr() }

func (l doHListener) serve() {
	go l.l.Serve()
	err := l.http.Serve(l.l.Handed())
	// A listener that drains closes what it hands over, maybe before the HTTP server knows.
	if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		l.s.in.Conf().Log.Error("HTTP/1.1 of DNS over HTTPS has ended", "address", l.addr().String(), "error", err)
	}
}

// drain answers the requests under way and closes. When ctx ends first, the connections are closed
// under them.
func (l doHListener) drain(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { l.l.Drain(ctx) })
	select {
	case <-time.After(intake.DrainGrace): // connections that have just come may turn out to be of HTTP/1.1
	case <-ctx.Done():
	}
	if err := l.http.Shutdown(ctx); err != nil {
		l.http.Close()
	}
	group.Wait()
}

func (l doHListener) abandon() { l.l.Abandon() }
