package doq

import (
	"errors"
	"fmt"

	"github.com/quic-go/quic-go"
)

// Error codes of HTTP/3 (RFC 9114 section 8.1) and QPACK (RFC 9204 section 6).
const (
	h3NoError           = 0x100
	h3Internal          = 0x102
	h3StreamCreation    = 0x103
	h3ClosedCritical    = 0x104
	h3FrameUnexpected   = 0x105
	h3FrameError        = 0x106
	h3ExcessiveLoad     = 0x107
	h3IDError           = 0x108
	h3SettingsError     = 0x109
	h3MissingSettings   = 0x10a
	h3RequestRejected   = 0x10b
	h3RequestCancelled  = 0x10c
	h3RequestIncomplete = 0x10d
	h3MessageError      = 0x10e
	qpackDecompression  = 0x200
	qpackEncoderStream  = 0x201
)

// fatal is an error of the client for which the connection ends.
type fatal struct{ code quic.ApplicationErrorCode }

func (e *fatal) Error() string { return fmt.Sprintf("HTTP/3 connection error %#x", uint64(e.code)) }

// malformed is an error of the client for which the stream ends.
type malformed struct{ code quic.StreamErrorCode }

func (e *malformed) Error() string { return fmt.Sprintf("HTTP/3 stream error %#x", uint64(e.code)) }

// errLongHeader is for a request whose header is longer than maxHeader.
var errLongHeader = errors.New("the header is too long")
