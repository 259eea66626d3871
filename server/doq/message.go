package doq

import (
	"encoding/binary"
	"errors"
	"io"

	"dens/server/intake"
)

const (
	lengthLen = 2 // octets of the length before a message (RFC 9250 section 4.2)
	headerLen = 12
	// bufferLen has room for an ordinary query, and for one octet more, to tell what follows it. It is all that a
	// stream which stalls holds.
	bufferLen = lengthLen + 512 + 1
)

var (
	errShort   = errors.New("the stream ended within a message")
	errMore    = errors.New("more than one message on a stream")
	errTiny    = errors.New("a message without a header")
	errNoRoom  = errors.New("too many large requests")
	errNoFIN   = errors.New("a whole message, but no end of the stream")
	errPartial = errors.New("the message did not come in time")
)

// readMessage reads the one message that a stream may carry, up to the stream's end. It uses buf, of bufferLen
// octets, or for a message that is too long a slice of its own. One of more than intake.MaxSmall octets needs a place
// that enterLarge gives; large reports that it did. What went wrong is one of the errors above, or in a chain with
// errNoFIN or errPartial that of r.
func readMessage(r io.Reader, buf []byte, enterLarge func() bool) (msg []byte, large bool, err error) {
	have, end := 0, 0 // octets read, and where the message ends, once known
	for {
		if have == len(buf) { // it is longer than most; only who sends much gets much room
			room := end + 1
			if !large {
				room = min(room, 4*have)
			}
			buf = append(make([]byte, 0, room), buf...)[:room]
		}
		n, err := r.Read(buf[have:])
		have += n
		if have >= lengthLen && end == 0 {
			end = lengthLen + int(binary.BigEndian.Uint16(buf))
			if end < lengthLen+headerLen {
				return nil, large, errTiny
			}
			if end > lengthLen+intake.MaxSmall {
				if large = enterLarge(); !large {
					return nil, false, errNoRoom
				}
			}
		}
		switch {
		case end != 0 && have > end:
			return nil, large, errMore
		case err == nil:
		case errors.Is(err, io.EOF) && end != 0 && have == end:
			return buf[lengthLen:end], large, nil
		case errors.Is(err, io.EOF):
			return nil, large, errShort
		case end != 0 && have == end:
			return nil, large, errors.Join(errNoFIN, err)
		default:
			return nil, large, errors.Join(errPartial, err)
		}
	}
}

// frame returns a reply with its length before it. The reply stands in room behind the place for that, or,
// when it was too long for room, elsewhere. It is nil for one that is too long for a stream.
func frame(room, reply []byte) []byte {
	if len(reply) > 1<<16-1 {
		return nil
	}
	var out []byte
	if len(reply) <= cap(room)-lengthLen && &reply[0] == &room[:lengthLen+1][lengthLen] {
		out = room[:lengthLen+len(reply)]
	} else {
		out = append(make([]byte, lengthLen, lengthLen+len(reply)), reply...)
	}
	binary.BigEndian.PutUint16(out, uint16(len(reply)))
	return out
}
