package doq

import (
	"bufio"
	"errors"
	"io"
	"sync/atomic"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
)

// Types of unidirectional streams (RFC 9114 section 6.2, RFC 9204 section 4.2).
const (
	streamControl = 0x0
	streamPush    = 0x1
	streamEncoder = 0x2
	streamDecoder = 0x3
)

// Settings (RFC 9114 section 7.2.4.1).
const (
	settingMaxFieldSection = 0x6
	maxSettings            = 1 << 10 // octets
)

// critical are the streams of which a client has one each.
type critical struct{ control, encoder, decoder atomic.Bool }

// serveUnidirectional reads a stream that the client has opened, to its end.
func (c *critical) serveUnidirectional(str io.Reader) error {
	r := bufio.NewReaderSize(str, 256)
	kind, err := readVarint(r)
	if err != nil {
		return nil // reset, or ended before it said what it is (RFC 9114 section 6.2)
	}
	var once *atomic.Bool
	read := readControl
	switch kind {
	case streamControl:
		once = &c.control
	case streamEncoder:
		once, read = &c.encoder, readEncoder
	case streamDecoder:
		once, read = &c.decoder, readDecoder
	case streamPush:
		return &fatal{h3StreamCreation} // only servers push
	default:
		return &malformed{h3StreamCreation}
	}
	if once.Swap(true) {
		return &fatal{h3StreamCreation}
	}
	if err := read(r); !errors.Is(err, io.EOF) && !isReset(err) {
		return err
	}
	return &fatal{h3ClosedCritical}
}

func isReset(err error) bool {
	_, ok := errors.AsType[*quic.StreamError](err)
	return ok
}

// readControl reads the control stream. There is nothing in it that changes what this server does.
func readControl(r *bufio.Reader) error {
	f := frames{r: r}
	goAway, pushes := uint64(maxNumber), uint64(0)
	for first := true; ; first = false {
		kind, length, err := f.next()
		if err != nil {
			return err
		}
		if first != (kind == frameSettings) {
			if first {
				return &fatal{h3MissingSettings}
			}
			return &fatal{h3FrameUnexpected}
		}
		switch kind {
		case frameSettings:
			err = f.settings(length)
		case frameData, frameHeaders, framePushPromise:
			err = &fatal{h3FrameUnexpected}
		case frameCancelPush: // of a push that was never promised
			err = &fatal{h3IDError}
		case frameGoAway: // it may not rise (section 5.2)
			goAway, err = f.number(length, 0, goAway)
		case frameMaxPushID: // it may not fall (section 7.2.7)
			pushes, err = f.number(length, pushes, maxNumber)
		default:
			f.skipped = 0 // a control stream lives for long
			err = f.skip(kind, length)
		}
		if err != nil {
			return err
		}
	}
}

// settings reads a SETTINGS frame (RFC 9114 section 7.2.4).
func (f *frames) settings(length uint64) error {
	if length > maxSettings {
		return &fatal{h3ExcessiveLoad}
	}
	b, err := f.payload(length)
	if err != nil {
		return err
	}
	seen := make(map[uint64]bool)
	for len(b) > 0 {
		id, n, err := quicvarint.Parse(b)
		if err != nil {
			return &fatal{h3FrameError}
		}
		_, m, err := quicvarint.Parse(b[n:])
		if err != nil {
			return &fatal{h3FrameError}
		}
		if seen[id] || id == 0 || id >= 2 && id <= 5 { // those that HTTP/2 had (section 7.2.4.1)
			return &fatal{h3SettingsError}
		}
		seen[id] = true
		b = b[n+m:]
	}
	return nil
}

// maxNumber is above all that a frame can carry.
const maxNumber = 1 << 62

// number reads a frame that carries one number, from least to most.
func (f *frames) number(length, least, most uint64) (uint64, error) {
	if length == 0 || length > 8 {
		return 0, &fatal{h3FrameError}
	}
	b, err := f.payload(length)
	if err != nil {
		return 0, err
	}
	n, size, err := quicvarint.Parse(b)
	switch {
	case err != nil || size != len(b):
		return 0, &fatal{h3FrameError}
	case n < least || n > most:
		return 0, &fatal{h3IDError}
	}
	return n, nil
}

// readEncoder reads what the client says of its dynamic table. It has none, since the server offered no room for one:
// all it can say is that its capacity is 0 (RFC 9204 section 4.3.1).
func readEncoder(r *bufio.Reader) error {
	const capacityZero = 0x20
	for {
		b, err := r.ReadByte()
		if err != nil {
			return err
		}
		if b != capacityZero {
			return &fatal{qpackEncoderStream}
		}
	}
}

// readDecoder reads what the client says of the server's dynamic table, which has nothing in it.
func readDecoder(r *bufio.Reader) error {
	for {
		if _, err := r.ReadByte(); err != nil {
			return err
		}
	}
}

// appendControl is how the server's control stream begins.
func appendControl(b []byte) []byte {
	b = append(b, streamControl, frameSettings)
	setting := quicvarint.Append([]byte{settingMaxFieldSection}, maxHeader)
	return append(append(b, byte(len(setting))), setting...)
}

// appendGoAway says from which stream on requests are not served any more (RFC 9114 section 5.2).
func appendGoAway(b []byte, from quic.StreamID) []byte {
	b = append(b, frameGoAway, byte(quicvarint.Len(uint64(from))))
	return quicvarint.Append(b, uint64(from))
}
