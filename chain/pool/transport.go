package pool

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/rpc"

	"dens/chain"
)

// maxRetryAfter bounds what a backend may ask for in Retry-After (RFC 9110 section 10.2.3).
const maxRetryAfter = time.Minute

// statusError is an HTTP answer that is no success and holds no JSON-RPC answer.
type statusError struct {
	code       int
	retryAfter time.Duration // 0 is not told
	text       string        // the message of a JSON-RPC error in the body, if there is one
}

func (e *statusError) Error() string {
	s := "HTTP status " + strconv.Itoa(e.code)
	if e.text != "" {
		s += ": " + e.text
	}
	return s
}

// checkedTransport is an http.RoundTripper that hands on only bodies which are whole, small, flat, and an
// answer to the request. It reads the body itself, so the request's deadline is over all of it.
type checkedTransport struct {
	base    *http.Transport
	maxBody int64
	large   chan struct{} // a token for each body over smallBody, until it was decoded
}

// Names whose contracts return as much as they can are free to ask for, and each such answer is held in
// several forms while it is decoded. Ordinary ones stay below smallBody.
const (
	smallBody = 128 << 10 // bytes
	maxLarge  = 4
)

// newHTTPClient returns a client that follows no redirect and uses no proxy.
func newHTTPClient(cfg EndpointConfig) (*http.Client, *http.Transport) {
	base := &http.Transport{
		DialContext:       cfg.dial,
		TLSClientConfig:   &tls.Config{RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
		// A connection that was lost without a word, as after a sleep, would be used until TCP gives it up.
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: cfg.Timeout, PingTimeout: cfg.Timeout / 2},
		TLSHandshakeTimeout:    cfg.Timeout,
		MaxResponseHeaderBytes: 64 << 10,
		MaxConnsPerHost:        maxInFlight,
		MaxIdleConnsPerHost:    maxInFlight / 4,
		IdleConnTimeout:        90 * time.Second,
	}
	client := &http.Client{
		Transport:     &checkedTransport{base: base, maxBody: cfg.MaxBody, large: make(chan struct{}, maxLarge)},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return client, base
}

func (t *checkedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.GetBody == nil {
		return nil, errors.New("request without a body")
	}
	sent, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	request, err := io.ReadAll(sent)
	if err != nil {
		return nil, err
	}
	ids, batch, err := requestIDs(request)
	if err != nil {
		return nil, err
	}
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, release, err := t.readBody(req.Context(), resp)
	if err != nil {
		return nil, err
	}
	checked, err := checkResponse(resp, body, ids, batch)
	if err != nil {
		release()
		return nil, err
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: resp.Proto, ProtoMajor: resp.ProtoMajor, ProtoMinor: resp.ProtoMinor,
		Header: http.Header{}, Request: req,
		Body: &heldBody{bytes.NewReader(checked), release}, ContentLength: int64(len(checked)),
	}, nil
}

// heldBody gives something back when it is closed.
type heldBody struct {
	*bytes.Reader
	release func()
}

func (b *heldBody) Close() error {
	b.release()
	return nil
}

// errTooLong means that an answer was over EndpointConfig.MaxBody.
var errTooLong = fmt.Errorf("%w: answer too long", chain.ErrLimit)

// readBody reads a whole body. release is to be called once or more when the body is not needed any more;
// with an error it was called already.
func (t *checkedTransport) readBody(ctx context.Context, resp *http.Response) (body []byte, release func(), err error) {
	tooLong := fmt.Errorf("%w: more than %d bytes", errTooLong, t.maxBody)
	if resp.ContentLength > t.maxBody {
		return nil, nil, tooLong
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, min(smallBody, t.maxBody)+1))
	if err != nil || int64(len(body)) <= min(smallBody, t.maxBody) {
		return body, func() {}, err
	}
	select {
	case t.large <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("%w: more than %d at a time", errTooLong, maxLarge)
	}
	release = sync.OnceFunc(func() { <-t.large })
	whole := bytes.NewBuffer(body) // it doubles, and so leaves less behind than io.ReadAll
	_, err = whole.ReadFrom(io.LimitReader(resp.Body, t.maxBody+1-int64(len(body))))
	body = whole.Bytes()
	switch {
	case err == nil && int64(len(body)) > t.maxBody:
		err = tooLong
	case err == nil:
		return body, release, nil
	}
	release()
	return nil, nil, err
}

// checkResponse judges status and body. Some nodes send JSON-RPC errors with a status of 4xx or 5xx: a
// body that is a proper answer counts more than the status, unless that asks to slow down.
func checkResponse(resp *http.Response, body []byte, ids []string, batch bool) ([]byte, error) {
	code := resp.StatusCode
	after := retryAfter(resp.Header.Get("Retry-After"), time.Now())
	switch {
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		return nil, &statusError{code: code, retryAfter: after}
	case code >= 300 && code < 400:
		return nil, fmt.Errorf("%w: redirects are not followed (HTTP status %d)", chain.ErrMalformed, code)
	}
	checked, err := checkReply(body, ids, batch)
	if code >= 200 && code < 300 || err == nil {
		return checked, err
	}
	fail := &statusError{code: code, text: errorText(body)}
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusBadGateway, http.StatusGatewayTimeout:
		return nil, fail // nothing to do with batches
	}
	if batch {
		return nil, fmt.Errorf("%w: %w", errBatchRefused, fail)
	}
	return nil, fail
}

// errorText is the message of a JSON-RPC error in a body, or nothing: pages of HTML help nobody.
func errorText(body []byte) string {
	var m message
	if scan(body) != nil || json.Unmarshal(body, &m) != nil || m.Error == nil {
		return ""
	}
	return m.Error.Message
}

// retryAfter reads the header in both its forms; bounded, and 0 when absent or unreadable.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	var d time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		d = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now)
	} else if strings.Trim(value, "0123456789") == "" {
		d = maxRetryAfter
	}
	return min(max(d, 0), maxRetryAfter)
}

// link is one connection to a backend; for HTTP, which has none, a client whose chain id was checked.
type link struct {
	client  *rpc.Client
	lost    <-chan struct{} // closed when a stream broke; nil for HTTP
	refused func() bool     // the stream broke over a batch that was not taken; nil for HTTP
	close   func()
}

func (l *link) isLost() bool {
	select {
	case <-l.lost:
		return true
	default:
		return false
	}
}

// dialHTTP makes a link; nothing is sent yet.
func dialHTTP(ctx context.Context, addr address, cfg EndpointConfig) (*link, error) {
	client, base := newHTTPClient(cfg)
	c, err := rpc.DialOptions(ctx, addr.url.String(), rpc.WithHTTPClient(client), rpc.WithHeader("user-agent", "dens"))
	if err != nil {
		return nil, err
	}
	return &link{client: c, close: func() { c.Close(); base.CloseIdleConnections() }}, nil
}
