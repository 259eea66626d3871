package forward

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/miekg/dns"

	"dens/resolver"
)

const (
	headerLen  = 12
	maxMessage = 65535
	udpSize    = 1232 // RFC 9715 section 3.1
	// requestRoom is enough for most requests.
	requestRoom = 96
)

var (
	errRequest = errors.New("request is not one question")
	// errShape means that a message is not even a DNS message.
	errShape = errors.New("garbled message")
)

// request packs a question: recursion and authentic data wanted (RFC 6840 section 5.7), DO and CD as
// the client has them. Without EDNS there is no DO.
func request(q resolver.Query, edns bool) ([]byte, error) {
	flags, size := resolver.FlagRD|resolver.FlagAD, uint16(0)
	if q.CD {
		flags |= resolver.FlagCD
	}
	if edns {
		size = udpSize
	}
	return resolver.AppendRequest(make([]byte, 0, requestRoom), q, flags, size)
}

// questionOf returns the question section of a message with one question.
func questionOf(msg []byte) ([]byte, bool) {
	if len(msg) < headerLen || binary.BigEndian.Uint16(msg[4:]) != 1 {
		return nil, false
	}
	for i := headerLen; i < len(msg) && i-headerLen < 255; i += 1 + int(msg[i]) {
		if msg[i] > 63 {
			return nil, false
		}
		if msg[i] == 0 {
			if i+5 > len(msg) {
				return nil, false
			}
			return msg[headerLen : i+5], true
		}
	}
	return nil, false
}

// matching is what a reply has in common with the request.
type matching uint8

const (
	foreign matching = iota // another id, another question, or no reply
	bare                    // the id, with an error rcode and no question
	folded                  // the question in another spelling
	exact
)

// match compares a reply with the id and the question that were sent (RFC 5452 section 9.1).
func match(reply []byte, id uint16, question []byte) matching {
	if len(reply) < headerLen || binary.BigEndian.Uint16(reply) != id || reply[2]&0xf8 != 0x80 {
		return foreign
	}
	if binary.BigEndian.Uint16(reply[4:]) == 0 {
		// What cannot read a request, or will not, may send nothing but a header.
		if len(reply) == headerLen && reply[3]&0x0f != dns.RcodeSuccess && reply[3]&0x0f != dns.RcodeNameError {
			return bare
		}
		return foreign
	}
	got, ok := questionOf(reply)
	switch {
	case !ok || len(got) != len(question):
		return foreign
	case bytes.Equal(got, question):
		return exact
	case sameFolded(got, question):
		return folded
	default:
		return foreign
	}
}

// sameFolded compares two questions of one length without regard to case. Type and class count as they
// are.
func sameFolded(a, b []byte) bool {
	name := len(a) - 4
	for i := range name {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return bytes.Equal(a[name:], b[name:])
}

func lower(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b | 0x20
	}
	return b
}

// restore gives a reply the id and the spelling that req has.
func restore(reply, req, question []byte) {
	copy(reply[:2], req[:2])
	if binary.BigEndian.Uint16(reply[4:]) == 1 {
		copy(reply[headerLen:], question)
	}
}

// into returns msg in buf where it fits.
func into(buf, msg []byte) []byte {
	if cap(buf) < len(msg) {
		return msg
	}
	return append(buf[:0], msg...)
}

func truncated(msg []byte) bool { return msg[2]&0x02 != 0 }
