package doq

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"dens/server/intake"
)

// FuzzReadMessage reads one stream of DNS over QUIC, whole and octet by octet: both see the same, and a message comes
// out only of a stream that is exactly that.
func FuzzReadMessage(f *testing.F) {
	f.Add([]byte{}, true)
	f.Add([]byte{0, 12, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, true)
	f.Add([]byte{0, 12, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, false)
	f.Add([]byte{0, 11, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0}, true)
	f.Add(append([]byte{0, 80}, make([]byte, 80)...), true)
	f.Add([]byte{0x20, 0, 0, 0}, true)
	f.Add([]byte{0x20, 0, 0, 0}, false)
	f.Fuzz(func(t *testing.T, stream []byte, allow bool) {
		read := func(r io.Reader) (msg []byte, large bool, err error) {
			asked := 0
			msg, large, err = readMessage(r, make([]byte, lengthLen+32+1), func() bool { asked++; return allow })
			if asked > 1 || large != (asked == 1 && allow) {
				t.Fatalf("asked %d times for a place, large %v", asked, large)
			}
			return msg, large, err
		}
		msg, large, err := read(bytes.NewReader(stream))
		slow, _, slowErr := read(iotest.OneByteReader(bytes.NewReader(stream)))
		if !errors.Is(err, slowErr) && !errors.Is(slowErr, err) || !bytes.Equal(msg, slow) {
			t.Fatalf("whole %x, %v; octet by octet %x, %v", msg, err, slow, slowErr)
		}
		right := len(stream) >= lengthLen+headerLen && int(binary.BigEndian.Uint16(stream)) == len(stream)-lengthLen
		if right && len(stream)-lengthLen > intake.MaxSmall && !allow {
			right = false
		}
		if right != (err == nil) || err == nil && !bytes.Equal(msg, stream[lengthLen:]) {
			t.Fatalf("%d octets: %v", len(stream), err)
		}
		if err == nil && large != (len(msg) > intake.MaxSmall) {
			t.Fatalf("%d octets are large: %v", len(msg), large)
		}
	})
}

// FuzzHTTP3 reads streams of HTTP/3: requests with their bodies, and unidirectional ones. What comes out is whole, and
// does not depend on how the octets arrive.
func FuzzHTTP3(f *testing.F) {
	settings := aFrame(frameSettings, 6, 0x44, 0)
	f.Add(join(with(get, "accept application/dns-message"), aFrame(frameData, 1, 2, 3), aHeader("a b")))
	f.Add(join(with(get, "content-length 2"), aFrame(0x21, 9), aFrame(frameData, 1), aFrame(frameData, 2)))
	f.Add(join([]byte{0}, settings, aFrame(frameGoAway, 0)))
	f.Add([]byte{2, 0x20})
	f.Fuzz(func(t *testing.T, stream []byte) {
		read := func(r io.Reader) string {
			req, err := readRequest(bufio.NewReaderSize(r, readerLen))
			if err != nil {
				return err.Error()
			}
			if req.Host == "" || req.Method == "" || req.URL == nil {
				t.Fatalf("%+v", req)
			}
			for name, values := range req.Header {
				if !validName(strings.ToLower(name)) || strings.ContainsAny(strings.Join(values, ""), "\x00\r\n") {
					t.Fatalf("field %q: %q", name, values)
				}
			}
			b, err := io.ReadAll(req.Body)
			if err == nil && req.ContentLength >= 0 && int64(len(b)) != req.ContentLength || len(b) > len(stream) {
				t.Fatalf("%d octets for a length of %d", len(b), req.ContentLength)
			}
			if err != nil {
				return err.Error() // how much of the body came before depends on how it arrived
			}
			return req.Method + req.URL.String() + string(b)
		}
		if whole, slow := read(bytes.NewReader(stream)), read(iotest.OneByteReader(bytes.NewReader(stream))); whole != slow {
			t.Fatalf("whole %q, octet by octet %q", whole, slow)
		}
		whole := new(critical).serveUnidirectional(bytes.NewReader(stream))
		slow := new(critical).serveUnidirectional(iotest.OneByteReader(bytes.NewReader(stream)))
		if (whole == nil) != (slow == nil) || whole != nil && whole.Error() != slow.Error() {
			t.Fatalf("whole %v, octet by octet %v", whole, slow)
		}
	})
}
