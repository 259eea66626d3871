package doh

import "errors"

// errHuffman is a string that the code of RFC 7541 Appendix B cannot have.
var errHuffman = errors.New("bad Huffman code")

// huffmanLengths are the lengths of the codes of all octets, in bits (RFC 7541 Appendix B). The code is canonical:
// codes of one length follow each other in the order of their octets, so that nothing else has to be known.
const huffmanLengths = "" +
	"\x0d\x17\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x18\x1e\x1c\x1c\x1e\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1e\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c\x1c" +
	"\x06\x0a\x0a\x0c\x0d\x06\x08\x0b\x0a\x0a\x08\x0b\x08\x06\x06\x06\x05\x05\x05\x06\x06\x06\x06\x06\x06\x06\x07\x08\x0f\x06\x0c\x0a" +
	"\x0d\x06\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x08\x07\x08\x0d\x13\x0d\x0e\x06" +
	"\x0f\x05\x06\x05\x06\x05\x06\x06\x06\x05\x07\x07\x06\x06\x06\x05\x06\x07\x06\x05\x05\x06\x07\x07\x07\x07\x07\x0f\x0b\x0e\x0d\x1c" +
	"\x14\x16\x14\x14\x16\x16\x16\x17\x16\x17\x17\x17\x17\x17\x18\x17\x18\x18\x16\x17\x18\x17\x17\x17\x17\x15\x16\x17\x16\x17\x17\x18" +
	"\x16\x15\x14\x16\x16\x17\x17\x15\x17\x16\x16\x18\x15\x16\x17\x17\x15\x15\x16\x15\x17\x16\x17\x17\x14\x16\x16\x16\x17\x16\x16\x17" +
	"\x1a\x1a\x14\x13\x16\x17\x16\x19\x1a\x1a\x1a\x1b\x1b\x1a\x18\x19\x13\x15\x1a\x1b\x1b\x1a\x1b\x18\x15\x15\x1a\x1a\x1c\x1b\x1b\x1b" +
	"\x14\x18\x14\x15\x16\x15\x15\x17\x16\x16\x19\x19\x18\x18\x1a\x17\x1a\x1b\x1a\x1a\x1b\x1b\x1b\x1b\x1b\x1c\x1b\x1b\x1b\x1b\x1b\x1a"

const (
	huffmanMax  = 30 // bits of the longest code
	huffmanFast = 8  // bits that are looked up at once; octets of DNS messages in base64url have no longer codes
	huffmanEOS  = 256
)

// huffmanCode is the code, made for decoding.
type huffmanCode struct {
	fast  [1 << huffmanFast]uint16 // by the first bits: the octet, and above it the length; 0: the code is longer
	order [huffmanEOS + 1]uint16   // symbols in the order of their codes
	first [huffmanMax + 1]uint32   // the first code of each length
	start [huffmanMax + 2]uint16   // where codes of each length begin in order
}

// huffman never changes.
var huffman = newHuffmanCode()

func newHuffmanCode() *huffmanCode {
	h := new(huffmanCode)
	var code uint32
	var n uint16
	for length := 1; length <= huffmanMax; length++ {
		code <<= 1
		h.first[length], h.start[length] = code, n
		for sym := range huffmanEOS + 1 {
			if sym < huffmanEOS && int(huffmanLengths[sym]) != length || sym == huffmanEOS && length != huffmanMax {
				continue
			}
			h.order[n] = uint16(sym)
			n++
			if length <= huffmanFast {
				from := code << (huffmanFast - length)
				for i := range uint32(1) << (huffmanFast - length) {
					h.fast[from+i] = uint16(length)<<8 | uint16(sym)
				}
			}
			code++
		}
	}
	h.start[huffmanMax+1] = n
	return h
}

// decode appends the octets that src encodes.
func (h *huffmanCode) decode(dst, src []byte) ([]byte, error) {
	var acc uint64 // the last n bits are those to come
	var n uint
	for {
		for n <= 56 && len(src) > 0 {
			acc, n, src = acc<<8|uint64(src[0]), n+8, src[1:]
		}
		for n >= huffmanFast {
			e := h.fast[uint8(acc>>(n-huffmanFast))]
			if e == 0 {
				break
			}
			dst = append(dst, byte(e))
			n -= uint(e >> 8)
		}
		if n >= huffmanMax || len(src) == 0 {
			sym, length := h.next(acc, n)
			switch {
			case length == 0 && n < 8 && acc&(1<<n-1) == 1<<n-1:
				return dst, nil // what is left is the beginning of EOS (RFC 7541 section 5.2)
			case length == 0 || sym == huffmanEOS:
				return dst, errHuffman
			}
			dst = append(dst, byte(sym))
			n -= length
		}
	}
}

// next finds the one code that the last n bits of acc begin with; length 0: none, or not all of it is there.
func (h *huffmanCode) next(acc uint64, n uint) (sym uint16, length uint) {
	for length = 1; length <= min(n, huffmanMax); length++ {
		code := uint32(acc>>(n-length)) & (1<<length - 1)
		if i := code - h.first[length]; code >= h.first[length] && i < uint32(h.start[length+1]-h.start[length]) {
			return h.order[h.start[length]+uint16(i)], length
		}
	}
	return 0, 0
}
