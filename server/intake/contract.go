// Package intake is what all transports share: it takes requests in, has them answered, bounds what is
// under way, and counts.
package intake

import (
	"context"

	"dens/internal/wire"
)

// Handler answers DNS messages: bytes in, bytes out. Both methods append the reply to buf[:0], or to a new
// slice when buf is too small, and return it; an empty reply means to stay silent. They own neither q nor
// buf after they returned, keep the reply within q.Limit, and are called concurrently.
type Handler interface {
	// Hit answers what it can at once, on the goroutine that reads from the clients: it waits for nothing.
	// ok false leaves the request to Miss.
	Hit(q *wire.Query, buf []byte) (reply []byte, ok bool)
	// Miss answers what Hit did not. ctx ends when the request's time is up; nothing else stops a handler
	// that hangs, which until then holds one of the places that Limits bounds.
	Miss(ctx context.Context, q *wire.Query, buf []byte) []byte
}

// Guard stops requests before they reach the Handler.
type Guard interface {
	// Check reports whether the request may pass. If not, reply is what the client gets, appended to
	// buf[:0]; an empty one is silence. It waits for nothing.
	Check(q *wire.Query, buf []byte) (reply []byte, pass bool)
}

// Meter is a Guard that is told what became of the requests that it let pass.
type Meter interface {
	Guard
	// Sent is called with the length of each reply of the Handler. It waits for nothing.
	Sent(q *wire.Query, size int)
}
