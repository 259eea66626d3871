package doh

import "encoding/binary"

// preface is what a client begins with (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const (
	frameHead  = 9       // octets before the payload (RFC 9113 section 4.1)
	maxFrame   = 1 << 14 // octets of a payload, as without any SETTINGS (section 6.5.2)
	window     = 1<<16 - 1
	maxWindow  = 1<<31 - 1
	maxBlock   = maxHeader // octets of a header block
	maxBlockIn = 32        // frames of a header block
)

// Types of frames (RFC 9113 section 6).
const (
	typeData uint8 = iota
	typeHeaders
	typePriority
	typeReset
	typeSettings
	typePushPromise
	typePing
	typeGoAway
	typeWindowUpdate
	typeContinuation
)

// Flags of frames.
const (
	flagAck        = 0x1
	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// code is an error code (RFC 9113 section 7).
type code uint32

const (
	codeNone            code = 0x0
	codeProtocol        code = 0x1
	codeFlowControl     code = 0x3
	codeStreamClosed    code = 0x5
	codeFrameSize       code = 0x6
	codeRefused         code = 0x7
	codeCancel          code = 0x8
	codeCompression     code = 0x9
	codeEnhanceYourCalm code = 0xb
)

// connError ends a connection with GOAWAY.
type connError struct {
	code code
	text string
}

func (e *connError) Error() string { return "http/2: " + e.text }

var (
	errPreface      = &connError{codeProtocol, "no preface"}
	errFirst        = &connError{codeProtocol, "the first frame is not SETTINGS"}
	errStreamID     = &connError{codeProtocol, "bad stream identifier"}
	errClosed       = &connError{codeStreamClosed, "HEADERS on a closed stream"}
	errFrameSize    = &connError{codeFrameSize, "bad frame length"}
	errPadding      = &connError{codeProtocol, "padding longer than the frame"}
	errContinuation = &connError{codeProtocol, "bad CONTINUATION"}
	errBlock        = &connError{codeEnhanceYourCalm, "header block too long"}
	errCompression  = &connError{codeCompression, "header block does not decode"}
	errSettings     = &connError{codeProtocol, "bad SETTINGS"}
	errWindow       = &connError{codeFlowControl, "bad window"}
	errIncrement    = &connError{codeProtocol, "window update of zero"}
	errPush         = &connError{codeProtocol, "PUSH_PROMISE by a client"}
	errFlood        = &connError{codeEnhanceYourCalm, "too many frames that ask for nothing"}
)

// frame is one frame, but for the length.
type frame struct {
	kind    uint8
	flags   uint8
	id      uint32
	payload []byte
}

func (f *frame) has(flag uint8) bool { return f.flags&flag != 0 }

// readFrame reads a frame from the beginning of in. size is what it takes there, 0 when it is not all there.
func readFrame(in []byte) (f frame, size int, err *connError) {
	if len(in) < frameHead {
		return f, 0, nil
	}
	n := int(in[0])<<16 | int(in[1])<<8 | int(in[2])
	if n > maxFrame {
		return f, 0, errFrameSize
	}
	if len(in) < frameHead+n {
		return f, 0, nil
	}
	return frame{
		kind: in[3], flags: in[4], id: binary.BigEndian.Uint32(in[5:]) & maxWindow, payload: in[frameHead : frameHead+n],
	}, frameHead + n, nil
}

// unpadded is the payload without padding (RFC 9113 section 6.1).
func (f *frame) unpadded() ([]byte, *connError) {
	if !f.has(flagPadded) {
		return f.payload, nil
	}
	if len(f.payload) == 0 {
		return nil, errFrameSize
	}
	pad := int(f.payload[0])
	if pad >= len(f.payload) {
		return nil, errPadding
	}
	return f.payload[1 : len(f.payload)-pad], nil
}

// appendFrame appends the head of a frame.
func appendFrame(out []byte, length int, kind, flags uint8, id uint32) []byte {
	return append(out, byte(length>>16), byte(length>>8), byte(length), kind, flags,
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

// appendNumber appends a frame whose payload is one number: RST_STREAM, WINDOW_UPDATE.
func appendNumber(out []byte, kind uint8, id, number uint32) []byte {
	return binary.BigEndian.AppendUint32(appendFrame(out, 4, kind, 0, id), number)
}

// appendGoAway appends a GOAWAY frame.
func appendGoAway(out []byte, last uint32, c code) []byte {
	out = appendFrame(out, 8, typeGoAway, 0, 0)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(out, last), uint32(c))
}

// Settings (RFC 9113 section 6.5.2).
const (
	settingTableSize  = 0x1
	settingPush       = 0x2
	settingStreams    = 0x3
	settingWindow     = 0x4
	settingFrame      = 0x5
	settingHeaderList = 0x6
)

// appendSettings appends what this server asks for.
func appendSettings(out []byte, streams int) []byte {
	out = appendFrame(out, 12, typeSettings, 0, 0)
	out = binary.BigEndian.AppendUint32(append(out, 0, settingStreams), uint32(streams))
	return binary.BigEndian.AppendUint32(append(out, 0, settingHeaderList), maxHeader)
}
