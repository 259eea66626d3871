package doq

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/quic-go/qpack"
)

// fieldExtra is what each field counts beyond its octets (RFC 9114 section 4.2.2).
const fieldExtra = 32

// readRequest reads the header of a request. The body comes from r as the handler reads it. Next to the errors of r,
// there are fatal, malformed and errLongHeader.
func readRequest(r *bufio.Reader) (*http.Request, error) {
	f := frames{r: r}
	for {
		kind, length, err := f.next()
		if errors.Is(err, io.EOF) {
			return nil, &malformed{h3RequestIncomplete}
		}
		if err != nil {
			return nil, err
		}
		switch kind {
		case frameHeaders:
			return f.request(length)
		case frameData, frameCancelPush, frameSettings, framePushPromise, frameGoAway, frameMaxPushID:
			return nil, &fatal{h3FrameUnexpected}
		}
		if err := f.skip(kind, length); err != nil {
			return nil, err
		}
	}
}

// request decodes the header (RFC 9204 section 4.5).
func (f *frames) request(length uint64) (*http.Request, error) {
	if length > maxHeader {
		return nil, errLongHeader
	}
	block, err := f.payload(length)
	if err != nil {
		return nil, err
	}
	h := head{fields: make(http.Header, 8), length: -1}
	for next := qpack.NewDecoder().Decode(block); ; {
		field, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, &fatal{qpackDecompression}
		}
		if h.size += len(field.Name) + len(field.Value) + fieldExtra; h.size > maxHeader {
			return nil, errLongHeader
		}
		if !h.add(field) {
			return nil, &malformed{h3MessageError}
		}
	}
	return h.request(f)
}

// head is the header of a request while it is decoded.
type head struct {
	method, scheme, authority, path string
	fields                          http.Header
	length                          int64 // Content-Length; -1: none
	size                            int
}

// add takes a field and reports whether it may be there (RFC 9114 sections 4.2 and 4.3).
func (h *head) add(f qpack.HeaderField) bool {
	if strings.ContainsAny(f.Value, "\x00\r\n") || f.Value != strings.Trim(f.Value, " \t") {
		return false
	}
	switch f.Name {
	case ":method":
		return h.pseudo(&h.method, f.Value)
	case ":scheme":
		return h.pseudo(&h.scheme, f.Value)
	case ":authority":
		return h.pseudo(&h.authority, f.Value)
	case ":path":
		return h.pseudo(&h.path, f.Value)
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		return false
	case "te":
		return f.Value == "trailers"
	case "content-length":
		n, err := strconv.ParseUint(f.Value, 10, 63)
		if err != nil || h.length >= 0 && h.length != int64(n) {
			return false
		}
		h.length = int64(n)
	}
	if !validName(f.Name) {
		return false
	}
	name := http.CanonicalHeaderKey(f.Name)
	h.fields[name] = append(h.fields[name], f.Value)
	return true
}

// pseudo takes a pseudo-header field: before all others, once, and not empty.
func (h *head) pseudo(to *string, value string) bool {
	if *to != "" || value == "" || len(h.fields) > 0 {
		return false
	}
	*to = value
	return true
}

// validName reports whether a name is a token without capitals (RFC 9110 section 5.6.2).
func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if ('a' > c || c > 'z') && ('0' > c || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return name != ""
}

// request makes a request of the header (RFC 9114 section 4.3.1).
func (h *head) request(f *frames) (*http.Request, error) {
	host := h.authority
	if lines := h.fields["Host"]; len(lines) > 0 {
		if len(lines) > 1 || host != "" && lines[0] != host {
			return nil, &malformed{h3MessageError}
		}
		host = lines[0]
	}
	target, err := h.target()
	if err != nil || host == "" {
		return nil, &malformed{h3MessageError}
	}
	return &http.Request{
		Method: h.method, URL: target, RequestURI: h.path, Host: host, Header: h.fields,
		Proto: "HTTP/3.0", ProtoMajor: 3,
		ContentLength: h.length, Body: &body{frames: f, left: h.length, sized: h.length >= 0},
	}, nil
}

var errTarget = errors.New("no target")

func (h *head) target() (*url.URL, error) {
	switch {
	case h.method == http.MethodConnect:
		if h.scheme != "" || h.path != "" {
			return nil, errTarget
		}
		return &url.URL{Host: h.authority}, nil
	case h.method == "" || h.scheme == "" || h.path == "":
		return nil, errTarget
	case h.path == "*" && h.method == http.MethodOptions:
		return &url.URL{Path: "*"}, nil
	case h.path[0] != '/':
		return nil, errTarget
	}
	return url.ParseRequestURI(h.path)
}

// body is the body of a request: the DATA frames, up to the end or to the trailers.
type body struct {
	*frames
	frame   uint64 // octets left of this frame
	left    int64  // octets left of the whole, when its length was said
	sized   bool
	trailed bool
	err     error
	leave   func() // tells the client to send it; nil: it does not wait for that
}

var errLength = errors.New("the body is not as long as its header says")

// Read implements io.Reader. The end is io.EOF.
func (b *body) Read(p []byte) (int, error) {
	if b.leave != nil {
		b.leave()
		b.leave = nil
	}
	for b.err == nil && b.frame == 0 {
		b.err = b.advance()
	}
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	n, err := b.r.Read(p[:min(uint64(len(p)), b.frame)])
	b.frame -= uint64(n)
	b.left -= int64(n)
	if b.sized && b.left < 0 {
		b.err = errLength
	} else {
		b.err = within(err)
	}
	return n, b.err
}

// advance goes to the next DATA frame.
func (b *body) advance() error {
	kind, length, err := b.next()
	switch {
	case errors.Is(err, io.EOF) && b.sized && b.left != 0:
		return errLength
	case err != nil:
		return err
	case kind == frameData && !b.trailed && length > 0:
		b.frame = length
		return nil
	case kind == frameData && !b.trailed: // empty
	case kind == frameHeaders && !b.trailed:
		b.trailed = true // trailers mean nothing here
	case kind <= frameSettings && kind != 0x2, kind == framePushPromise, kind == frameGoAway, kind == frameMaxPushID:
		return &fatal{h3FrameUnexpected}
	}
	return b.skip(kind, length)
}

// Close implements io.Closer.
func (b *body) Close() error { return nil }
