// Package stream serves connections: TCP, and TLS over it. A connection that waits holds a goroutine and no
// buffer; what has arrived when it wakes is read at once, answered at once where that can be, and the answers
// leave in one write.
package stream

// Session is what is spoken on one connection: framed DNS here, HTTP/2 elsewhere. Its methods are called by
// the connection's own goroutine, one at a time.
type Session interface {
	// Receive is given all octets that have arrived and that it has not consumed yet, decrypted. It returns how
	// many of them it consumes, and appends to out what is to be written now. What it does not consume is given
	// to it again, with what comes then, within Limits.ReadTimeout. An error ends the connection, once out and
	// what is still under way have been written.
	Receive(in, out []byte) (n int, reply []byte, err error)
	// End is called once, when nothing will be received any more. The connection closes when nothing is under
	// way any more (Conn.Begin, Conn.End), or when writing fails.
	End()
}

// A Conn offers sessions, from any goroutine:
//
//	Write(p []byte) error        what was made later, such as a reply that was waited for; serialised, within Limits.WriteTimeout
//	Begin(n int), End(n int)     n requests are under way, or no longer: the connection is not idle meanwhile
//	Peer() netip.AddrPort        the client, IPv4 in its plain form
//	Close()                      ends the connection at once
