package stream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
)

// Connections go to net/http, with and without TLS.
func TestHandOver(t *testing.T) {
	server, client := newTLS(t, "http/1.1")
	for _, tt := range []struct {
		name string
		way  way
		tls  bool
	}{
		{"TCP", polled, false}, {"TLS", polled, true}, {"plain TLS", plain, true}, {"plain TCP", plain, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conf := Config{NewSession: func(*Conn, string) Session { return nil }, Protocol: wire.DoH}
			scheme, transport := "http://", &http.Transport{}
			if tt.tls {
				conf.TLS = server
				scheme, transport.TLSClientConfig = "https://", client.Clone()
			}
			s := start(t, tt.way, conf, intake.Limits{ReadTimeout: 10 * time.Second}, echo{})
			hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(w, io.MultiReader(strings.NewReader(r.URL.Path), r.Body))
			}), ConnState: func(conn net.Conn, _ http.ConnState) {
				if Place(conn) == nil {
					t.Error("a connection has no place")
				}
			}}
			served := make(chan error, 1)
			go func() { served <- hs.Serve(s.Handed()) }()
			c := &http.Client{Transport: transport, Timeout: 30 * time.Second}
			for range 3 {
				resp, err := c.Get(scheme + s.Addr().String() + "/path")
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(body) != "/path" {
					t.Errorf("got %q", body)
				}
			}
			if open := s.stats.Conns()[2].Open; open != 1 {
				t.Errorf("%d connections are open, want 1", open)
			}
			transport.CloseIdleConnections()
			wait(t, "the place to be given back", func() bool { return s.stats.Conns()[2].Open == 0 })
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			if err := hs.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			if err := <-served; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		})
	}
}

// A connection that nobody takes is closed, and one that was handed over makes room for others.
func TestHandedConnectionsEnd(t *testing.T) {
	s := start(t, polled, Config{NewSession: func(*Conn, string) Session { return nil }},
		intake.Limits{ReadTimeout: 500 * time.Millisecond, MaxConns: 1}, echo{})
	ended(t, s.dial(t, nil))
	wait(t, "the place to be given back", func() bool { return s.stats.Conns()[0].Open == 0 })

	taken := make(chan net.Conn)
	take := func() {
		conn, err := s.Handed().Accept()
		if err != nil {
			t.Error(err)
		}
		taken <- conn
	}
	go take()
	first := s.dial(t, nil)
	conn := <-taken
	defer conn.Close()
	time.Sleep(600 * time.Millisecond) // ReadTimeout is over: the deadlines are the new owner's
	write(t, first, []byte("x"))
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	go take()
	second := s.dial(t, nil)
	other := <-taken
	defer other.Close()
	ended(t, first)
	write(t, other, []byte("y"))
	if _, err := io.ReadFull(second, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	s.Handed().Close()
	if _, err := s.Handed().Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accepted with %v", err)
	}
}
