package pool

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"dens/chain"
)

// TestStreamFloods: a WebSocket server that talks too much, or in the wrong way, is dropped.
func TestStreamFloods(t *testing.T) {
	t.Parallel()
	tests := map[string]func(c *websocket.Conn) error{
		"unasked": func(c *websocket.Conn) error {
			return c.WriteMessage(websocket.TextMessage, []byte(`{"jsonrpc":"2.0","id":9,"method":"eth_sign","params":[]}`))
		},
		"huge": func(c *websocket.Conn) error {
			return c.WriteMessage(websocket.TextMessage, bytes.Repeat([]byte("["), 2<<20))
		},
		"deep": func(c *websocket.Conn) error {
			return c.WriteMessage(websocket.TextMessage, bytes.Repeat([]byte("["), 1000))
		},
		"garbage": func(c *websocket.Conn) error { return c.WriteMessage(websocket.BinaryMessage, []byte("\xff\x00")) },
	}
	for name, send := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := fakeNode(t)
			dropped := make(chan struct{}, 100)
			n.Intercept(func(w http.ResponseWriter, r *http.Request) {
				c, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
				if err != nil {
					return
				}
				defer c.Close()
				go func() {
					for {
						_, body, err := c.ReadMessage()
						if err != nil || c.WriteMessage(websocket.TextMessage, n.Answer(body)) != nil {
							return
						}
						if bytes.Contains(body, []byte("latest")) {
							for send(c) == nil {
							}
							dropped <- struct{}{}
							return
						}
					}
				}()
				<-dropped
				dropped <- struct{}{}
			})
			e := endpoint(t, n.WS(), func(c *EndpointConfig) { c.MaxBody = 1 << 20 })
			select {
			case <-dropped:
				dropped <- struct{}{}
			case <-time.After(30 * time.Second):
				t.Fatal("the flood goes on")
			}
			n.Intercept(nil)
			eventually(t, "recovery", func() bool {
				_, err := e.CallAt(within(t, 20*time.Second), msgs("a"), n.Head())
				return err == nil
			})
		})
	}
}

func TestHandshakeIsBounded(t *testing.T) {
	t.Parallel()
	n := fakeNode(t)
	n.Intercept(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\n")
		for {
			if _, err := fmt.Fprintf(conn, "X-Header: %s\r\n", strings.Repeat("x", 1000)); err != nil {
				return
			}
		}
	})
	e := endpoint(t, n.WS())
	if _, err := e.Latest(within(t, 20*time.Second), 0); !errors.Is(err, chain.ErrLimit) {
		t.Errorf("error %v", err)
	}
}
