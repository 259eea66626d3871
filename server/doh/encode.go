package doh

import (
	"strconv"

	"golang.org/x/net/http2/hpack"
)

// Fields of responses that HPACK has a number for (RFC 7541 Appendix A). None is put into the dynamic table, so
// that header blocks do not depend on each other.
const (
	indexStatus        = 8
	indexCacheControl  = 24
	indexContentLength = 28
	indexContentType   = 31
	indexDate          = 33
)

// commonHead is what the responses with a DNS message have in common; entry 8 is :status 200 as a whole. It never
// changes.
var commonHead = appendFields(appendIndexed([]byte{0x80 | indexStatus}, indexContentType, typeMessage), fieldsAll, fieldsCORS)

// appendHead appends the HEADERS frame of a response.
func (s *Session) appendHead(out []byte, id uint32, resp *response, last bool) []byte {
	flags := uint8(flagEndHeaders)
	if last {
		flags |= flagEndStream
	}
	from := len(out)
	out = appendFrame(out, 0, typeHeaders, flags, id)
	if s.smallTable {
		out = append(out, 0x20) // the dynamic table has no octets (RFC 7541 section 4.2)
	}
	if resp.common {
		out = append(out, commonHead...)
	} else {
		out = appendRareHead(out, resp)
	}
	if resp.contentType != "" {
		out = appendIndexedNumber(out, indexContentLength, "", int64(len(resp.body)))
	}
	if resp.maxAge >= 0 {
		out = appendIndexedNumber(out, indexCacheControl, "max-age=", resp.maxAge)
	}
	out = appendIndexed(out, indexDate, s.r.date(s.now))
	if alt := s.r.conf.Load().AltSvc; alt != "" && !s.advertised {
		out = appendFields(out, []pair{{"alt-svc", alt}}) // once is enough: clients keep it
		s.advertised = true
	}
	n := len(out) - from - frameHead
	out[from+1], out[from+2] = byte(n>>8), byte(n)
	return out
}

// appendContinue appends the HEADERS frame that says to go on (RFC 9110 section 15.2.1).
func (s *Session) appendContinue(out []byte, id uint32) []byte {
	block := []byte{0x20, indexStatus, 3, '1', '0', '0'}
	if !s.smallTable {
		block = block[1:]
	}
	return append(appendFrame(out, len(block), typeHeaders, flagEndHeaders, id), block...)
}

func appendRareHead(out []byte, resp *response) []byte {
	out = append(append(out, indexStatus, 3), strconv.Itoa(resp.status)...)
	if resp.contentType != "" {
		out = appendIndexed(out, indexContentType, resp.contentType)
	}
	return appendFields(out, fieldsAll, resp.extra)
}

// appendIndexed appends a literal field without indexing whose name has a number above 14 (RFC 7541 section 6.2.2).
// The value has less than 127 octets.
func appendIndexed(out []byte, name byte, value string) []byte {
	return append(append(out, 0x0f, name-0x0f, byte(len(value))), value...)
}

// appendIndexedNumber is appendIndexed with a number at the end of the value.
func appendIndexedNumber(out []byte, name byte, prefix string, n int64) []byte {
	out = append(out, 0x0f, name-0x0f, 0)
	from := len(out)
	out = strconv.AppendInt(append(out, prefix...), n, 10)
	out[from-1] = byte(len(out) - from)
	return out
}

// appendFields appends literal fields whose names are spelled out.
func appendFields(out []byte, lists ...[]pair) []byte {
	for _, list := range lists {
		for _, f := range list {
			out = append(out, 0)
			out = appendText(appendText(out, f.name), f.value)
		}
	}
	return out
}

func appendText(out []byte, text string) []byte {
	return hpack.AppendHuffmanString(append(out, 0x80|byte(hpack.HuffmanEncodeLength(text))), text)
}
