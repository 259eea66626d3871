// Package server listens for DNS over UDP, TCP, TLS (RFC 7858) and HTTPS (RFC 8484). It knows bytes only.
package server

import (
	"context"

	"dens/internal/wire"
)

// Handler answers DNS messages: bytes in, bytes out.
//
// ServeWire appends the reply to buf[:0], or to a new slice when buf is too small, and returns it; an
// empty reply means to stay silent. It owns neither req nor buf after it returned. It is called
// concurrently. ctx ends when the request's time is up; nothing else stops a handler that hangs, which
// until then holds one of the Server's places. For UDP it keeps the reply within the size that the client and dens allow.
type Handler interface {
	ServeWire(ctx context.Context, req []byte, from wire.Peer, buf []byte) []byte
}
