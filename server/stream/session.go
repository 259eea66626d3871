// Package stream serves connections: TCP, and TLS over it. A connection that waits holds a goroutine and no
// buffer; what has arrived when it wakes is read at once, answered at once where that can be, and the answers
// leave in one write.
package stream

// Session is what is spoken on one connection: framed DNS here, HTTP/2 elsewhere. Its methods are called by
// the connection's own goroutine, one at a time. They may call all methods of Conn.
type Session interface {
	// Receive is given all octets that have arrived and that it has not consumed yet, decrypted: at least one,
	// and at most MaxUnconsumed. It returns how many of them it consumes, and appends to out[:0] what is to be
	// written now. When it consumes some, it is called again at once with what is left, so that it can have
	// out written whenever that has become long. When it consumes none, it is called again with what comes
	// then, within Limits.ReadTimeout; MaxUnconsumed octets of which it consumes none end the connection. An
	// error ends the connection, once out and what is still under way have been written. in and out are the
	// connection's own, and not to be kept.
	Receive(in, out []byte) (n int, reply []byte, err error)
	// End is called once, when nothing will be received any more. The connection closes when nothing is under
	// way any more (Conn.Begin, Conn.End), or when writing fails.
	End()
}

// MaxUnconsumed is how many octets a Session is given at most: a frame of HTTP/2 of the default length fits.
const MaxUnconsumed = slabSize
