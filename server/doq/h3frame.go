package doq

import (
	"bufio"
	"errors"
	"io"
)

// Types of frames (RFC 9114 section 7.2).
const (
	frameData        = 0x0
	frameHeaders     = 0x1
	frameCancelPush  = 0x3
	frameSettings    = 0x4
	framePushPromise = 0x5
	frameGoAway      = 0x7
	frameMaxPushID   = 0xd
)

// maxSkipped bounds the octets of frames that mean nothing here, on one stream. A frame counts one more than it carries:
// empty ones cost time, too.
const maxSkipped = 16 << 10

// frames reads the frames of a stream.
type frames struct {
	r       *bufio.Reader
	skipped uint64
}

// next reads the head of the next frame. io.EOF is the end of the stream between two frames; anywhere else the end is a
// frame error (RFC 9114 section 7.1).
func (f *frames) next() (kind, length uint64, err error) {
	if kind, err = readVarint(f.r); err != nil {
		return 0, 0, whole(err)
	}
	if length, err = readVarint(f.r); err != nil {
		return 0, 0, within(err)
	}
	return kind, length, nil
}

// skip passes over a frame of an unknown type, which there may be anywhere (RFC 9114 section 9). The types that
// HTTP/2 had where HTTP/3 has none are not unknown (section 7.2.8).
func (f *frames) skip(kind, length uint64) error {
	switch kind {
	case 0x2, 0x6, 0x8, 0x9:
		return &fatal{h3FrameUnexpected}
	}
	if f.skipped += length + 1; length > maxSkipped || f.skipped > maxSkipped {
		return &fatal{h3ExcessiveLoad}
	}
	_, err := f.r.Discard(int(length))
	return within(err)
}

// payload reads what a frame carries. Room for it is made as it comes.
func (f *frames) payload(length uint64) ([]byte, error) {
	b := make([]byte, min(length, readerLen))
	for have := 0; ; {
		n, err := io.ReadFull(f.r, b[have:])
		have += n
		if err != nil || uint64(have) == length {
			return b, within(err)
		}
		b = append(b, make([]byte, min(length-uint64(have), uint64(have)))...)
	}
}

// within is for errors in the middle of a frame.
func within(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &fatal{h3FrameError}
	}
	return err
}

// whole is for errors in the first number of a frame.
func whole(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &fatal{h3FrameError}
	}
	return err
}

// readVarint reads a number (RFC 9000 section 16). io.EOF means that nothing of it was there.
func readVarint(r io.ByteReader) (uint64, error) {
	first, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	n := uint64(first & 0x3f)
	for range 1<<(first>>6) - 1 {
		b, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			return 0, io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, err
		}
		n = n<<8 | uint64(b)
	}
	return n, nil
}
