package wire

import "encoding/binary"

const (
	headerLen = 12

	flagQR = 1 << 15
	flagAA = 1 << 10
	flagTC = 1 << 9
	flagRD = 1 << 8
	flagRA = 1 << 7
	flagAD = 1 << 5
	flagCD = 1 << 4

	opcodeMask = 0xf << 11
	rcodeMask  = 0xf

	classINET = 1
	typeOPT   = 41
	flagDO    = 1 << 15 // in the OPT record's TTL (RFC 3225)
)

// Rcodes that are decided on without unpacking.
const (
	RcodeSuccess        uint16 = 0
	RcodeFormatError    uint16 = 1
	RcodeServerFailure  uint16 = 2
	RcodeNameError      uint16 = 3
	RcodeNotImplemented uint16 = 4
	RcodeRefused        uint16 = 5
	RcodeBadVersion     uint16 = 16
	RcodeBadCookie      uint16 = 23 // RFC 7873 section 8
)

// OptionOrigin is a private EDNS option (from the range for local use, RFC 6891 section 9). Empty in a
// request it asks for the evidence behind an on-chain answer, which comes back as JSON in the same option.
const OptionOrigin uint16 = 65313

// UDPSize is the payload size that dens advertises: it fits one unfragmented packet (RFC 9715).
const UDPSize = 1232

// minUDPSize is what every client can take (RFC 1035 section 4.2.1, RFC 6891 section 6.2.3).
const minUDPSize = 512

// Kind is what is to be done with a request.
type Kind uint8

const (
	// Silent is not to be answered at all: shorter than a header, or itself a reply.
	Silent Kind = iota
	// Broken is answered with Request.Rcode and nothing else: FORMERR, NOTIMP or BADVERS.
	Broken
	// Plain is one ordinary question of class IN, whose reply can be kept.
	Plain
	// Other is well-formed, but its reply is not kept: another class, a meta type, a zone transfer.
	Other
	// Probe has no question but a COOKIE option: the client wants a server cookie alone (RFC 7873
	// section 5.4).
	Probe
)

// Request is what can be told from a request's bytes. It holds offsets, not slices, so that it costs
// no allocation and keeps nothing alive.
type Request struct {
	Kind  Kind
	Rcode uint16 // why it is Broken
	ID    uint16
	Flags uint16

	HasQuestion bool // exactly one question, and it parses
	NameEnd     int  // offset behind the question's name
	QuestionEnd int  // offset behind the question
	Type, Class uint16

	EDNS    bool // an OPT record in the additional section; its options may be broken
	Version uint8
	UDPSize int // of the OPT record, at least 512; 512 without one
	DO      bool
	Origin  bool // OptionOrigin was sent
	// Padding is set when the client padded, and so wants the reply padded where that hides anything (RFC 7830).
	Padding bool
	// KeepaliveAsked is set when the client wants to know for how long an idle connection stays open
	// (RFC 7828), and BadKeepalive when its option has a value, which it may not have.
	KeepaliveAsked, BadKeepalive bool

	cookieOff, cookieEnd int // of the value of the COOKIE option; 0 without one
}

// RD, AD and CD are the header bits that a client sets (RFC 1035, RFC 6840 section 5.7, RFC 4035 section 3.2.2).
func (r *Request) RD() bool { return r.Flags&flagRD != 0 }
func (r *Request) AD() bool { return r.Flags&flagAD != 0 }
func (r *Request) CD() bool { return r.Flags&flagCD != 0 }

// Opcode returns the header's opcode; 0 is QUERY.
func (r *Request) Opcode() uint16 { return r.Flags & opcodeMask >> 11 }

// Name returns the question's name as it stands in req, the message that r was read from.
func (r *Request) Name(req []byte) []byte { return req[headerLen:r.NameEnd] }

// Question returns the question (name, type, class) as it stands in req.
func (r *Request) Question(req []byte) []byte { return req[headerLen:r.QuestionEnd] }

// Peek reads a request. It never fails: what is wrong with the request is its Kind and Rcode.
func Peek(req []byte) Request {
	var r Request
	r.read(req)
	return r
}

// read is Peek, in place.
func (r *Request) read(req []byte) {
	*r = Request{UDPSize: minUDPSize}
	if len(req) < headerLen {
		return
	}
	r.ID = binary.BigEndian.Uint16(req)
	r.Flags = binary.BigEndian.Uint16(req[2:])
	if r.Flags&flagQR != 0 {
		return
	}
	ok := r.walk(req)
	switch {
	case r.Opcode() != 0:
		// Before FORMERR: the sections of another opcode may mean something else altogether.
		r.Kind, r.Rcode = Broken, RcodeNotImplemented
	case r.EDNS && r.Version != 0:
		// Also before FORMERR: only the head of another version's OPT record is known (RFC 6891 section 6.1.3).
		r.Kind, r.Rcode = Broken, RcodeBadVersion
	case ok && r.cookieEnd != 0 && binary.BigEndian.Uint16(req[4:]) == 0:
		r.Kind = Probe
	case !ok || !r.HasQuestion:
		r.Kind, r.Rcode = Broken, RcodeFormatError
	case r.Class == classINET && ordinary(r.Type):
		r.Kind = Plain
	default:
		r.Kind = Other
	}
}

// ordinary reports whether a type is one of data: no OPT, no transfer, no meta type (RFC 6895
// section 3.1), but also ANY, whose reply (RFC 8482) is kept like any other.
func ordinary(t uint16) bool {
	const typeANY = 255
	return t != 0 && t != typeOPT && (t < 128 || t == typeANY || t > 255)
}

// walk reads all sections and reports whether they are well-formed.
func (r *Request) walk(req []byte) bool {
	off, ok := r.questions(req)
	if !ok {
		return false
	}
	answers := int(binary.BigEndian.Uint16(req[6:])) + int(binary.BigEndian.Uint16(req[8:]))
	for range answers {
		rr, ok := readRR(req, off)
		if !ok || rr.typ == typeOPT {
			return false
		}
		off = rr.end
	}
	for range binary.BigEndian.Uint16(req[10:]) {
		rr, ok := readRR(req, off)
		if !ok {
			return false
		}
		if rr.typ == typeOPT && !r.opt(req, off, rr) {
			return false
		}
		off = rr.end
	}
	return off == len(req)
}

// questions reads the question section. Only a single question is kept (RFC 9619).
func (r *Request) questions(req []byte) (off int, ok bool) {
	off = headerLen
	n := binary.BigEndian.Uint16(req[4:])
	for range n {
		nameEnd, ok := skipPlainName(req, off)
		if !ok || nameEnd+4 > len(req) {
			return 0, false
		}
		off = nameEnd + 4
		if n == 1 {
			r.HasQuestion = true
			r.NameEnd, r.QuestionEnd = nameEnd, off
			r.Type = binary.BigEndian.Uint16(req[nameEnd:])
			r.Class = binary.BigEndian.Uint16(req[nameEnd+2:])
		}
	}
	return off, true
}

// opt reads the OPT record at off (RFC 6891 section 6.1.2). A second one is an error, and so is an
// owner other than the root.
func (r *Request) opt(req []byte, off int, rr record) bool {
	if r.EDNS || req[off] != 0 {
		return false
	}
	r.EDNS = true
	r.UDPSize = max(int(binary.BigEndian.Uint16(req[rr.typeOff+2:])), minUDPSize)
	ttl := binary.BigEndian.Uint32(req[rr.ttlOff():])
	r.Version = uint8(ttl >> 16)
	r.DO = ttl&flagDO != 0
	for at := rr.dataOff(); at < rr.end; {
		if rr.end-at < 4 {
			return false
		}
		end := at + 4 + int(binary.BigEndian.Uint16(req[at+2:]))
		if end > rr.end {
			return false
		}
		switch binary.BigEndian.Uint16(req[at:]) {
		case OptionCookie:
			if !r.cookie(at+4, end) {
				return false
			}
		case OptionOrigin:
			r.Origin = true
		case OptionPadding:
			r.Padding = true
		case OptionKeepalive:
			r.KeepaliveAsked = true
			r.BadKeepalive = r.BadKeepalive || end != at+4
		}
		at = end
	}
	return true
}
