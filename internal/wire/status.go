// Package wire reads and patches DNS messages (RFC 1035 section 4) as bytes, without unpacking them.
package wire

// Status is a reply without records: what AppendStatus makes of a request that is not to be resolved.
type Status struct {
	Rcode   uint16 // extended rcodes (RFC 6891 section 6.1.3) need a request with OPT
	TC      bool   // truncated: the client is to come back by TCP
	HasEDE  bool   // EDECode and EDEText are to go out (RFC 8914) when the request has an OPT record
	EDECode uint16
	EDEText string
}
