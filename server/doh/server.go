package doh

import (
	"context"
	"log/slog"
	"net"
	"net/http"

	"dens/server/stream"
)

// Server returns the server of the connections that NewSession leaves to it: HTTP/1.1. They come from
// stream.Listener.Handed, with a place among all connections. The time limits stay those of now.
func (r *Resource) Server() *http.Server {
	conf := r.in.Conf()
	return &http.Server{
		Handler:           r.Handler(),
		ReadHeaderTimeout: conf.ReadTimeout,
		ReadTimeout:       2 * conf.ReadTimeout,
		WriteTimeout:      2*conf.ReadTimeout + conf.QueryTimeout + conf.WriteTimeout,
		IdleTimeout:       conf.IdleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         trackState,
		BaseContext:       func(net.Listener) context.Context { return r.in.Base() },
		ErrorLog:          slog.NewLogLogger(conf.Log.Handler(), slog.LevelDebug), // mostly connections that broke
		Protocols:         http1Only(),
	}
}

func http1Only() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}

// trackState tells the table of connections which are idle.
func trackState(conn net.Conn, state http.ConnState) {
	p := stream.Place(conn)
	if p == nil {
		return
	}
	switch state {
	case http.StateActive:
		p.Begin(1)
	case http.StateIdle:
		p.End(1)
	}
}
