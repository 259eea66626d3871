package doq

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go/quicvarint"
)

// response is an http.ResponseWriter that keeps all to the end: the answers of a resolver are short.
type response struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// maxResponse bounds the body of a response: the longest message as JSON stays far below.
const maxResponse = 4 << 20

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. Interim responses are left out.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 && status <= 999 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if !hasBody(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	if w.body.Len()+len(p) > maxResponse {
		return 0, http.ErrContentLength
	}
	return w.body.Write(p)
}

func hasBody(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

// frames returns the response as it goes out: a HEADERS frame and perhaps a DATA frame (RFC 9114 section 4.1).
func (w *response) frames(method string, now time.Time) []byte {
	w.WriteHeader(http.StatusOK) // unless it was called
	if hasBody(w.status) && w.header.Get("Content-Length") == "" && method != http.MethodHead {
		w.header.Set("Content-Length", strconv.Itoa(w.body.Len()))
	}
	if w.header.Get("Date") == "" {
		w.header.Set("Date", now.UTC().Format(http.TimeFormat))
	}
	var block bytes.Buffer
	enc := qpack.NewEncoder(&block)
	field := func(name, value string) {
		_ = enc.WriteField(qpack.HeaderField{Name: name, Value: value}) // a Buffer takes all
	}
	field(":status", strconv.Itoa(w.status))
	for name, values := range w.header {
		lower := strings.ToLower(name)
		if hopByHop(lower) || !validName(lower) {
			continue
		}
		for _, v := range values {
			if !strings.ContainsAny(v, "\x00\r\n") {
				field(lower, v)
			}
		}
	}
	const heads = 2 * (1 + 8) // of the frames
	out := make([]byte, 0, heads+block.Len()+w.body.Len())
	out = quicvarint.Append(append(out, frameHeaders), uint64(block.Len()))
	out = append(out, block.Bytes()...)
	if w.body.Len() == 0 || method == http.MethodHead {
		return out
	}
	out = quicvarint.Append(append(out, frameData), uint64(w.body.Len()))
	return append(out, w.body.Bytes()...)
}

// appendContinue appends the HEADERS frame that says to go on: :status 100 of the static table (RFC 9110 section
// 15.2.1, RFC 9204 Appendix A).
func appendContinue(b []byte) []byte { return append(b, frameHeaders, 4, 0, 0, 0xff, 0) }

// hopByHop reports whether a field is of HTTP/1.1's connections (RFC 9114 section 4.2).
func hopByHop(name string) bool {
	return slices.Contains([]string{"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}, name)
}
