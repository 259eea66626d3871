package wire

import "encoding/binary"

const (
	typeNS    = 2
	typeSOA   = 6
	typeRRSIG = 46

	// MaxMessage is the greatest length of a message (RFC 1035 section 4.2.2).
	MaxMessage = 65535
)

// Layout says what ParseReply found in a reply.
type Layout struct {
	NameEnd     int // offset behind the question's name; 0 without a question
	QuestionEnd int // offset behind the question
	Records     int // how many there are behind it
	// Negative is set for NXDOMAIN and for NODATA, which is told by the SOA record in the authority
	// section (RFC 2308 section 2.2).
	Negative bool
}

// ParseReply reads the layout of a reply with at most one question and without an OPT record. It
// reports false for anything else.
func ParseReply(msg []byte) (Layout, bool) {
	var l Layout
	if len(msg) < headerLen || len(msg) > MaxMessage {
		return l, false
	}
	flags := binary.BigEndian.Uint16(msg[2:])
	off, ok := l.question(msg)
	if !ok || flags&flagQR == 0 {
		return l, false
	}
	answers := int(binary.BigEndian.Uint16(msg[6:]))
	authorities := int(binary.BigEndian.Uint16(msg[8:]))
	n := answers + authorities + int(binary.BigEndian.Uint16(msg[10:]))
	l.Negative = flags&rcodeMask == RcodeNameError
	for i := range n {
		rr, ok := readRR(msg, off)
		if !ok || rr.typ == typeOPT {
			return l, false
		}
		if rr.typ == typeSOA && i >= answers && i < answers+authorities {
			l.Negative = true
		}
		l.Records++
		off = rr.end
	}
	return l, off == len(msg)
}

func (l *Layout) question(msg []byte) (off int, ok bool) {
	switch binary.BigEndian.Uint16(msg[4:]) {
	case 0:
		return headerLen, true
	case 1:
		end, ok := skipPlainName(msg, headerLen)
		if !ok || end+4 > len(msg) {
			return 0, false
		}
		l.NameEnd, l.QuestionEnd = end, end+4
		return end + 4, true
	default:
		return 0, false
	}
}

// Rcode returns the four bits of the rcode in a message's header.
func Rcode(msg []byte) uint16 { return binary.BigEndian.Uint16(msg[2:]) & rcodeMask }

// Readdress turns a copy of a reply into the reply to req: its ID, RD and CD, the client's own spelling
// of the name, RA set, and AD only for clients that asked for it by AD or DO (RFC 6840 section 5.8).
// rcode, where it is extended, replaces the header's bits. The question of msg has to be that of req.
func (r *Request) Readdress(msg, req []byte, rcode uint16) {
	flags := binary.BigEndian.Uint16(msg[2:])
	keep := uint16(flagAA | flagTC | rcodeMask)
	if r.AD() || r.DO {
		keep |= flagAD
	}
	flags = flags&keep | flagQR | flagRA | r.Flags&(opcodeMask|flagRD|flagCD)
	if rcode > rcodeMask {
		flags = flags&^rcodeMask | rcode&rcodeMask
		if !r.EDNS {
			flags = flags&^rcodeMask | RcodeServerFailure // the header alone cannot say it
		}
	}
	binary.BigEndian.PutUint16(msg, r.ID)
	binary.BigEndian.PutUint16(msg[2:], flags)
	copy(msg[headerLen:r.NameEnd], r.Name(req))
}

// ClearAD takes AD from a message: its data may not be authentic any more.
func ClearAD(msg []byte) {
	binary.BigEndian.PutUint16(msg[2:], binary.BigEndian.Uint16(msg[2:])&^flagAD)
}

// Age lowers the TTLs of a reply that ParseReply took by age, in seconds. None gets below zero. off is where
// its records begin.
func Age(msg []byte, off int, age uint32) {
	for off < len(msg) {
		rr, ok := readRR(msg, off)
		if !ok {
			return
		}
		ttl := ttlAt(msg, rr.ttlOff())
		binary.BigEndian.PutUint32(msg[rr.ttlOff():], ttl-min(ttl, age))
		off = rr.end
	}
}

// CapTTLs lowers to most, in seconds, the TTLs above it, of a reply as for Age.
func CapTTLs(msg []byte, off int, most uint32) {
	for off < len(msg) {
		rr, ok := readRR(msg, off)
		if !ok {
			return
		}
		binary.BigEndian.PutUint32(msg[rr.ttlOff():], min(ttlAt(msg, rr.ttlOff()), most))
		off = rr.end
	}
}

// SetTTLs sets the TTLs to ttl, in seconds, of a reply as for Age.
func SetTTLs(msg []byte, off int, ttl uint32) {
	for off < len(msg) {
		rr, ok := readRR(msg, off)
		if !ok {
			return
		}
		binary.BigEndian.PutUint32(msg[rr.ttlOff():], ttl)
		off = rr.end
	}
}

// ttlAt reads a TTL. One with its highest bit set is zero (RFC 2181 section 8).
func ttlAt(msg []byte, off int) uint32 {
	ttl := binary.BigEndian.Uint32(msg[off:])
	if ttl > 1<<31-1 {
		return 0
	}
	return ttl
}

// AddOPT appends the OPT record to a whole message and counts it in the header.
func AddOPT(msg []byte, o *OPT) []byte {
	n := binary.BigEndian.Uint16(msg[10:])
	binary.BigEndian.PutUint16(msg[10:], n+1)
	return AppendOPT(msg, o)
}
