package wire

import "time"

// Query is one request on its way through a transport and the handler behind it.
type Query struct {
	Request           // what Peek reads from Msg
	Msg     []byte    // the request as it came; it belongs to the transport, for as long as the query is under way
	From    Peer      // who asks
	Start   time.Time // when it was read
	Limit   int       // octets of the longest reply that may go out, its OPT record included
	// Keepalive is for how long an idle connection stays open, in units of 100 ms, for clients that ask
	// (RFC 7828); 0 is not to say.
	Keepalive uint16
}

// Encrypted reports whether the transport hides the reply, so that padding it makes sense (RFC 8467).
func (p Protocol) Encrypted() bool { return p >= DoT }
