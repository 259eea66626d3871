package wire

import (
	"encoding/binary"
	"unicode/utf8"
)

const (
	// OptionKeepalive is the EDNS option edns-tcp-keepalive (RFC 7828).
	OptionKeepalive uint16 = 11
	// OptionPadding is the EDNS option of padding (RFC 7830).
	OptionPadding uint16 = 12

	optionEDE    = 15  // RFC 8914
	optLen       = 11  // an OPT record without options
	paddingBlock = 468 // RFC 8467 section 4.1

	// maxEDEText keeps the longest question with an OPT record, a cookie, a keepalive and an EDE within 512 octets.
	maxEDEText = 190
)

// OPT is what goes into a reply's OPT record (RFC 6891).
type OPT struct {
	Rcode   uint16 // extended; its upper eight bits go here
	DO      bool
	HasEDE  bool
	EDECode uint16
	EDEText string
	Cookie  []byte // value of OptionCookie, when not nil
	Origin  []byte // value of OptionOrigin, when not nil
	// Keepalive is the value of OptionKeepalive, in units of 100 ms, when not 0.
	Keepalive uint16
	// HasPadding adds OptionPadding with so many octets of zero. Pad sets them.
	HasPadding bool
	Padding    uint16
}

// Len returns the octets that AppendOPT will add.
func (o *OPT) Len() int {
	n := optLen
	if o.HasEDE {
		n += 6 + len(clip(o.EDEText))
	}
	if o.Cookie != nil {
		n += 4 + len(o.Cookie)
	}
	if o.Origin != nil {
		n += 4 + len(o.Origin)
	}
	if o.Keepalive != 0 {
		n += 4 + 2
	}
	if o.HasPadding {
		n += 4 + int(o.Padding)
	}
	return n
}

// Pad sets the padding so that a message of n octets, to which this record is then added, becomes a multiple
// of 468 octets (RFC 8467 section 4.1) or, where that is above limit, limit.
func (o *OPT) Pad(n, limit int) {
	o.HasPadding, o.Padding = false, 0
	n += o.Len() + 4
	if n > limit {
		return
	}
	whole := (n + paddingBlock - 1) / paddingBlock * paddingBlock
	o.HasPadding, o.Padding = true, uint16(min(whole, limit)-n)
}

// AppendOPT appends the OPT record to a message and does not touch the count in its header.
func AppendOPT(dst []byte, o *OPT) []byte {
	var ttl uint32
	if o.DO {
		ttl = flagDO
	}
	ttl |= uint32(o.Rcode>>4) << 24
	dst = append(dst, 0)
	dst = binary.BigEndian.AppendUint16(dst, typeOPT)
	dst = binary.BigEndian.AppendUint16(dst, UDPSize)
	dst = binary.BigEndian.AppendUint32(dst, ttl)
	dst = binary.BigEndian.AppendUint16(dst, uint16(o.Len()-optLen))
	if o.HasEDE {
		text := clip(o.EDEText)
		dst = binary.BigEndian.AppendUint16(dst, optionEDE)
		dst = binary.BigEndian.AppendUint16(dst, uint16(2+len(text)))
		dst = binary.BigEndian.AppendUint16(dst, o.EDECode)
		dst = append(dst, text...)
	}
	if o.Cookie != nil {
		dst = binary.BigEndian.AppendUint16(dst, OptionCookie)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(o.Cookie)))
		dst = append(dst, o.Cookie...)
	}
	if o.Origin != nil {
		dst = binary.BigEndian.AppendUint16(dst, OptionOrigin)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(o.Origin)))
		dst = append(dst, o.Origin...)
	}
	if o.Keepalive != 0 {
		dst = binary.BigEndian.AppendUint16(dst, OptionKeepalive)
		dst = binary.BigEndian.AppendUint16(dst, 2)
		dst = binary.BigEndian.AppendUint16(dst, o.Keepalive)
	}
	if o.HasPadding {
		dst = binary.BigEndian.AppendUint16(dst, OptionPadding)
		dst = binary.BigEndian.AppendUint16(dst, o.Padding)
		dst = append(dst, make([]byte, o.Padding)...) // zeros, which take no slice of their own
	}
	return dst
}

// clip shortens EXTRA-TEXT to maxEDEText octets of whole characters.
func clip(text string) string {
	if len(text) <= maxEDEText {
		return text
	}
	n := maxEDEText
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
