package certs

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxBody bounds what is read of a response: more than the longest chain that package acme takes.
const maxBody = 6 << 20

// bounded keeps the ACME server from filling the memory, and from sending its client elsewhere in clear text:
// package acme reads most responses to their end, whatever their length.
type bounded struct{ next http.RoundTripper }

var (
	errClear    = errors.New("the ACME server refers to a URL that is not https")
	errLongBody = fmt.Errorf("the ACME server's response is longer than %d octets", maxBody)
)

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, errClear
	}
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &boundedBody{resp.Body, maxBody}
	return resp, nil
}

// boundedBody fails where it is too long, so that its beginning is not taken for the whole.
type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left+1)])
	if n > b.left {
		return b.left, errLongBody
	}
	b.left -= n
	return n, err
}
