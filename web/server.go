package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"
)

// ServerConfig says how to listen.
type ServerConfig struct {
	Address      string        // "host:port" with an IP address, or ":port"
	Log          *slog.Logger  // slog.DiscardHandler
	MaxConns     int           // 1024
	ReadTimeout  time.Duration // 5 s: a header, and a body
	WriteTimeout time.Duration // 30 s: a reply, with the time to make it
	IdleTimeout  time.Duration // 30 s: a connection without a request
}

func (c ServerConfig) withDefaults() ServerConfig {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.MaxConns <= 0 {
		c.MaxConns = 1024
	}
	if c.ReadTimeout <= 0 {
		c.ReadTimeout = 5 * time.Second
	}
	if c.WriteTimeout <= 0 {
		c.WriteTimeout = 30 * time.Second
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = 30 * time.Second
	}
	return c
}

// Server is one plain HTTP listener: HTTP/1.1, and HTTP/2 for those who know beforehand that it is
// spoken (RFC 9113 section 3.3), such as reverse proxies of DNS over HTTPS.
//
//	Listen --Serve--> serving --Shutdown--> closed
type Server struct {
	handler atomic.Pointer[http.Handler]
	socket  net.Listener
	http    *http.Server
	log     *slog.Logger
}

// Listen binds the address. Connections wait until Serve.
func Listen(conf ServerConfig, h http.Handler) (*Server, error) {
	conf = conf.withDefaults()
	if err := checkAddress(conf.Address); err != nil {
		return nil, err
	}
	socket, err := net.Listen("tcp", conf.Address)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err // net's own text would name the address again
		}
		return nil, fmt.Errorf("listen on %s (http): %w", conf.Address, err)
	}
	s := &Server{socket: socket, log: conf.Log}
	s.SetHandler(h)
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serveHTTP),
		Protocols:         new(http.Protocols),
		ReadHeaderTimeout: conf.ReadTimeout,
		ReadTimeout:       2 * conf.ReadTimeout,
		WriteTimeout:      conf.WriteTimeout,
		IdleTimeout:       conf.IdleTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(conf.Log.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          100,
			MaxReceiveBufferPerConnection: 1 << 17,
			MaxReceiveBufferPerStream:     1 << 16,
			WriteByteTimeout:              conf.ReadTimeout,
		},
	}
	s.http.Protocols.SetHTTP1(true)
	s.http.Protocols.SetUnencryptedHTTP2(true)
	s.socket = netutil.LimitListener(socket, conf.MaxConns)
	return s, nil
}

// checkAddress refuses names: dens may be the one that would be asked for them.
func checkAddress(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err == nil && host != "" {
		_, err = netip.ParseAddr(host)
	}
	if err != nil {
		return fmt.Errorf("address %q is not of the form host:port with an IP address", address)
	}
	return nil
}

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	(*s.handler.Load()).ServeHTTP(w, r)
}

// SetHandler swaps the handler. Requests under way end with the old one.
func (s *Server) SetHandler(h http.Handler) { s.handler.Store(&h) }

// Addr is where the Server listens, with the port that 0 became.
func (s *Server) Addr() netip.AddrPort {
	tcp, ok := s.socket.Addr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(tcp.AddrPort().Addr().Unmap(), tcp.AddrPort().Port())
}

// Serve serves until Shutdown, and then returns nil.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.socket); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http on %s: %w", s.socket.Addr(), err)
	}
	return nil
}

// Shutdown answers the requests under way and closes; also a Server that never served. When ctx ends
// first, it closes all the same and returns the context's error.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	s.socket.Close() // when Serve was never called, nobody else does
	return err
}
