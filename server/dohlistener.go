package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"dens/internal/wire"
	"dens/server/intake"
)

// maxHeader bounds the header of an HTTP request, and by that the length of a GET: more than ten
// times what a query with padding has. Longer messages come by POST.
const maxHeader = 16 << 10

// doHListener is one TCP socket for DNS over HTTPS.
type doHListener struct {
	s    *Server
	l    tableListener
	http *http.Server
}

// newDoHListener makes a listener whose time limits stay those of conf.
func newDoHListener(s *Server, socket *net.TCPListener, conf *intake.Config) *doHListener {
	l := &doHListener{s: s, l: tableListener{TCPListener: socket, s: s, proto: wire.DoH}}
	l.http = &http.Server{
		Handler:           s.DoH(),
		TLSConfig:         s.tlsConfig("h2", "http/1.1"),
		ReadHeaderTimeout: conf.ReadTimeout,
		ReadTimeout:       2 * conf.ReadTimeout,
		WriteTimeout:      2*conf.ReadTimeout + conf.QueryTimeout + conf.WriteTimeout,
		IdleTimeout:       conf.IdleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         trackState,
		BaseContext:       func(net.Listener) context.Context { return s.in.Base() },
		ErrorLog:          slog.NewLogLogger(conf.Log.Handler(), slog.LevelDebug), // mostly failed handshakes
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          conf.MaxPipeline,
			MaxReceiveBufferPerConnection: 1 << 17,
			MaxReceiveBufferPerStream:     1 << 16,
			WriteByteTimeout:              conf.WriteTimeout,
		},
	}
	return l
}

// trackState tells the table which connections are idle.
func trackState(conn net.Conn, state http.ConnState) {
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return
	}
	s, ok := secure.NetConn().(*slot)
	if !ok {
		return
	}
	switch state {
	case http.StateActive:
		s.Begin(1)
	case http.StateIdle:
		s.End(1)
	}
}

func (l *doHListener) addr() net.Addr { return l.l.Addr() }

func (l *doHListener) serve() {
	err := l.http.ServeTLS(l.l, "", "")
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		l.s.in.Conf().Log.Error("DNS over HTTPS has ended", "address", l.addr().String(), "error", err)
	}
}

// drain answers the requests under way and closes. When ctx ends first, the connections are closed
// under them.
func (l *doHListener) drain(ctx context.Context) {
	if err := l.http.Shutdown(ctx); err != nil {
		l.http.Close()
	}
}

func (l *doHListener) abandon() { l.l.Close() }
