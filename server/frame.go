package server

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

const (
	frameLen   = 2 // octets of the length before each message (RFC 1035 section 4.2.2)
	maxMessage = 1<<16 - 1
)

// errEmptyFrame is a message of length zero, which no DNS message has.
var errEmptyFrame = errors.New("message of length zero")

// readFrame reads one message, into buf when it fits there.
func readFrame(r *bufio.Reader, buf []byte) ([]byte, error) {
	var head [frameLen]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head[:]))
	if n == 0 {
		return nil, errEmptyFrame
	}
	if n > cap(buf) {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, err
	}
	return buf, nil
}

// frame puts the length before a reply that was made with room[:frameLen] left free for it. A reply
// that the handler put elsewhere, since room was too small, is copied: one write is one TLS record.
func frame(room, reply []byte) []byte {
	out := room[:frameLen]
	if &reply[0] == &room[frameLen] {
		out = room[:frameLen+len(reply)]
	} else {
		out = append(out, reply...)
	}
	binary.BigEndian.PutUint16(out, uint16(len(reply)))
	return out
}
