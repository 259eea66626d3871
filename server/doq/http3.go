package doq

import (
	"context"
	"net/http"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// serveHTTP3 serves HTTP/3. Each connection has a server of its own, so that it can be ended by itself.
func (c *conn) serveHTTP3() {
	server := &http3.Server{Handler: http.HandlerFunc(c.serveHTTP), MaxHeaderBytes: maxHeader}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.ServeQUICConn(c.q)
	}()
	select {
	case <-served:
		return
	case <-c.accepting.Done():
	}
	going, cancel := context.WithCancel(c.q.Context())
	defer cancel()
	go server.Shutdown(going) //nolint:errcheck // GOAWAY (RFC 9114 section 5.2); it ends with the connection
	c.finish()
	<-served
}

// serveHTTP answers one request.
func (c *conn) serveHTTP(w http.ResponseWriter, r *http.Request) {
	c.begin()
	defer c.end()
	defer func() {
		if cause := recover(); cause != nil {
			if cause != http.ErrAbortHandler {
				c.l.in.LogPanic(cause)
			}
			panic(http.ErrAbortHandler) // the library resets the stream
		}
	}()
	conf := c.l.in.Conf()
	now := time.Now()
	limits := http.NewResponseController(w)
	_ = limits.SetReadDeadline(now.Add(conf.ReadTimeout))
	_ = limits.SetWriteDeadline(now.Add(conf.ReadTimeout + conf.QueryTimeout + conf.WriteTimeout))
	c.l.conf.Handler.ServeHTTP(w, r)
}
