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
	// Reader tells apart the goroutines that read from clients at the same time, as far as 8 bits do: counters
	// are kept for each, lest all cores write to one place.
	Reader uint8
}

// Encrypted reports whether the transport hides the reply, so that padding it makes sense (RFC 8467).
func (p Protocol) Encrypted() bool { return p >= DoT }

// Peek reads Request from Msg, as the function of that name does, with what depends on the transport: over
// connections, EDNS options may break a request that are of no account by UDP.
func (q *Query) Peek() {
	q.Request.read(q.Msg)
	connection := q.From.Protocol == TCP || q.From.Protocol == DoT
	if q.BadKeepalive && connection && (q.Kind == Plain || q.Kind == Other || q.Kind == Probe) {
		q.Kind, q.Rcode = Broken, RcodeFormatError // RFC 7828 section 3.2.1
	}
}

// KeepaliveFor returns the keepalive of the reply, 0 for none.
func (q *Query) KeepaliveFor() uint16 {
	if !q.KeepaliveAsked {
		return 0
	}
	return q.Keepalive
}

// Pad sets the padding of a reply's OPT record when the client and the transport want it (RFC 7830): that of
// a message of n octets, to which the record is then added.
func (q *Query) Pad(o *OPT, n int) {
	if q.Padding && q.From.Protocol.Encrypted() {
		o.Pad(n, q.Limit)
	}
}

// AppendStatus is the function of that name for Msg, which is req, with the options that the transport asks
// for. Padding may make the reply as long as Limit.
func (q *Query) AppendStatus(dst, req []byte, s Status) []byte {
	o := s.opt(&q.Request)
	o.Keepalive = q.KeepaliveFor()
	q.Pad(&o, q.statusLen())
	return q.appendStatus(dst, req, &s, &o)
}
