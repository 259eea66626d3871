package doh

import (
	"bytes"
	"strings"
)

// maxHeader bounds the header of a request, in octets as RFC 9113 section 6.5.2 counts them, and by that the length
// of a GET: more than ten times what a query with padding has. Longer messages come by POST.
const maxHeader = 16 << 10

// kind is what a header field means here.
type kind uint8

const (
	kindOther kind = iota // nothing
	kindBad               // the request is malformed
	kindTE
	kindAuthority
	kindScheme
	kindMethod // the values of this one and of those after it are kept
	kindPath
	kindAccept
	kindContentType
	kindContentLength
	kindExpect
	kindForwardedFor
	kindForwarded
)

func (k kind) kept() bool   { return k >= kindMethod }
func (k kind) pseudo() bool { return k >= kindAuthority && k <= kindPath }

// kindOf tells what a field of that name is. Names of HTTP/1.1's connection have no place in HTTP/2, nor have
// upper-case letters (RFC 9113 sections 8.2.1 and 8.2.2).
func kindOf(name []byte) kind {
	switch string(name) {
	case ":authority":
		return kindAuthority
	case ":scheme":
		return kindScheme
	case ":method":
		return kindMethod
	case ":path":
		return kindPath
	case "accept":
		return kindAccept
	case "content-type":
		return kindContentType
	case "content-length":
		return kindContentLength
	case "x-forwarded-for":
		return kindForwardedFor
	case "forwarded":
		return kindForwarded
	case "expect":
		return kindExpect
	case "te":
		return kindTE
	case "", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return kindBad
	}
	for _, c := range name {
		if c <= ' ' || c >= 0x7f || c == ':' || 'A' <= c && c <= 'Z' {
			return kindBad
		}
	}
	return kindOther
}

// allows reports whether a field of this kind may have the value (RFC 9113 sections 8.2.1 and 8.2.2).
func (k kind) allows(value []byte) bool {
	if k == kindTE {
		return string(value) == "trailers"
	}
	if n := len(value); n > 0 && (value[0] == ' ' || value[0] == '\t' || value[n-1] == ' ' || value[n-1] == '\t') {
		return false
	}
	return bytes.IndexByte(value, 0) < 0 && bytes.IndexByte(value, '\n') < 0 && bytes.IndexByte(value, '\r') < 0
}

// head is the header of a request while it is decoded. It may be used again and again.
type head struct {
	method       string // "" for those that mean nothing here
	target       []byte // path and query
	accept       []byte
	contentType  []byte
	length       int64  // Content-Length; -1: none
	forwardedFor []byte // lines are joined
	forwarded    []byte
	expects      bool // the client waits for leave to send the body (RFC 9110 section 10.1.1)

	scratch []byte // what was decoded: the fields are parts of it, or of the block
	size    int
	seen    uint16 // pseudo-header fields, by kind
	regular bool   // another field came
	bad     bool
}

func (h *head) reset() {
	*h = head{scratch: h.scratch[:0], length: -1}
}

// skip counts a field that means nothing here.
func (h *head) skip(k kind, size int, bad bool) {
	h.size += size
	h.bad = h.bad || bad || k == kindBad
	if k.pseudo() {
		h.bad = h.bad || h.regular || h.seen&(1<<k) != 0
		h.seen |= 1 << k
		return
	}
	h.regular = true
}

// add takes a field. value stays valid as long as the block and h.
func (h *head) add(k kind, nameLen int, value []byte, bad bool) {
	h.skip(k, nameLen+len(value)+entryExtra, bad)
	if !k.kept() || h.size > maxHeader {
		return
	}
	switch k {
	case kindMethod:
		h.method = methodOf(value)
		h.bad = h.bad || len(value) == 0
	case kindPath:
		h.target = value
	case kindAccept:
		h.accept = h.join(h.accept, value)
	case kindContentType:
		h.bad = h.bad || h.contentType != nil
		h.contentType = value
	case kindContentLength:
		n, ok := decimal(value)
		h.bad = h.bad || !ok || h.length >= 0 && h.length != n
		h.length = n
	case kindExpect:
		h.expects = strings.EqualFold(string(value), "100-continue")
	case kindForwardedFor:
		h.forwardedFor = h.join(h.forwardedFor, value)
	case kindForwarded:
		h.forwarded = h.join(h.forwarded, value)
	}
}

// join is RFC 9110 section 5.3: lines of one name are a list.
func (h *head) join(list, value []byte) []byte {
	if list == nil {
		return value
	}
	from := len(h.scratch)
	h.scratch = append(append(append(h.scratch, list...), ", "...), value...)
	h.size += len(list) // what is copied counts again, so that many short lines do not cost more than a long one
	return h.scratch[from:]
}

// well reports whether the header is that of a request (RFC 9113 section 8.3.1).
func (h *head) well() bool {
	const all = 1<<kindMethod | 1<<kindScheme | 1<<kindPath
	if h.bad {
		return false
	}
	if h.method == methodConnect {
		return h.seen&(1<<kindScheme|1<<kindPath) == 0 && h.seen&(1<<kindAuthority) != 0
	}
	return h.seen&all == all && len(h.target) > 0 && (h.target[0] == '/' || string(h.target) == "*")
}

const methodConnect = "CONNECT"

// methodOf spares a string of its own for methods that mean something here.
func methodOf(value []byte) string {
	for _, m := range [...]string{"GET", "POST", "HEAD", "OPTIONS", methodConnect} {
		if string(value) == m {
			return m
		}
	}
	return ""
}

func decimal(text []byte) (n int64, ok bool) {
	if len(text) == 0 || len(text) > 18 {
		return -1, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return -1, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
