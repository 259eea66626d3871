package stream

import "encoding/binary"

// records follows the records of TLS in what arrives (RFC 8446 section 5.1), and tells whether one was begun and not
// ended: crypto/tls holds a buffer for it until then.
type records struct {
	header [5]byte
	got    int // octets of the header
	left   int // octets behind the header that are still to come
}

// take notes what has arrived.
func (r *records) take(p []byte) {
	for len(p) > 0 {
		if r.left > 0 {
			n := min(r.left, len(p))
			r.left -= n
			p = p[n:]
			continue
		}
		n := copy(r.header[r.got:], p)
		p = p[n:]
		if r.got += n; r.got == len(r.header) {
			r.got, r.left = 0, int(binary.BigEndian.Uint16(r.header[3:]))
		}
	}
}

// partial tells whether a record was begun and not ended.
func (r *records) partial() bool { return r.got > 0 || r.left > 0 }
