package wire

import (
	"encoding/binary"
	"unicode/utf8"
)

const (
	optionEDE = 15 // RFC 8914
	optLen    = 11 // an OPT record without options

	// maxEDEText keeps the longest question with an OPT record, a cookie and an EDE below 512 octets.
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
	return n
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
