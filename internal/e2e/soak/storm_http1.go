package soak

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"time"
)

func http1Abuses() map[string]Abuse {
	sends := func(n int, text func(t *Target) string) Abuse {
		return func(ctx context.Context, t *Target) {
			t.eachTLS(ctx, n, t.DoH, "http/1.1", func(c *tls.Conn) {
				io.WriteString(c, text(t)) //nolint:errcheck // see storm.go, as all below
				untilClosed(c)
			})
		}
	}
	post := func(t *Target, more string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/dns-message\r\n%s", t.Path, t.ServerName, more)
	}
	return map[string]Abuse{
		"h1: half a header": sends(4, func(t *Target) string { return post(t, "X-Half") }),
		"h1: a body that never comes": sends(4, func(t *Target) string {
			return post(t, "Content-Length: 500\r\n\r\nabc")
		}),
		"h1: a body too long": sends(2, func(t *Target) string {
			return post(t, "Content-Length: 1000000\r\nConnection: close\r\n\r\n") + strings.Repeat("x", 100_000)
		}),
		"h1: a header too long": sends(2, func(t *Target) string {
			return "GET /" + strings.Repeat("a", 100_000) + " HTTP/1.1\r\n\r\n"
		}),
		"h1: noise": sends(4, func(*Target) string { return string(noise(2000)) }),
		"h1: a header octet by octet": func(ctx context.Context, t *Target) {
			t.eachTLS(ctx, 3, t.DoH, "http/1.1", func(c *tls.Conn) {
				for _, b := range []byte(post(t, "X: y\r\n")) {
					if _, err := c.Write([]byte{b}); err != nil || !pause(ctx, 200*time.Millisecond) {
						return
					}
				}
			})
		},
	}
}
