package forward

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// httpError is a failure in words that hold no secret.
type httpError string

func (e httpError) Error() string { return string(e) }

const mediaType = "application/dns-message"

// web exchanges messages with one DoH resource (RFC 8484).
type web struct {
	client *http.Client
	url    *url.URL // may hold a secret
}

// newWeb returns a web for an upstream with defaults filled in.
func newWeb(u Upstream, dial Dialer, connect, idle time.Duration, tlsConfig *tls.Config) (*web, error) {
	ref, err := url.Parse(u.Path)
	if err != nil || ref.Host != "" {
		return nil, fmt.Errorf("upstream %s: the path does not fit into a URL", u.Name)
	}
	_, port, err := net.SplitHostPort(u.Addr)
	if err != nil {
		return nil, fmt.Errorf("upstream %s: address is not host:port", u.Name)
	}
	host := net.JoinHostPort(u.ServerName, port)
	if port == "443" {
		host = strings.TrimSuffix(host, ":443")
	}
	w := &web{url: &url.URL{Scheme: "https", Host: host, Path: ref.Path, RawPath: ref.RawPath, RawQuery: ref.RawQuery}}
	w.client = &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				ctx, cancel := context.WithTimeout(ctx, connect)
				defer cancel()
				return dial(ctx, "tcp", u.Addr)
			},
			TLSClientConfig:        tlsConfig,
			TLSHandshakeTimeout:    connect,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxConnsPerHost:        16,
			MaxResponseHeaderBytes: 16 << 10,
			IdleConnTimeout:        idle,
			// A peer that is gone without a word is noticed within two pings.
			HTTP2: &http.HTTP2Config{SendPingTimeout: 2 * time.Second, PingTimeout: time.Second},
		},
		// A redirect would take the questions elsewhere than the configuration says.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return w, nil
}

// exchange is as resolver.Exchanger has it, to the one server.
func (w *web) exchange(ctx context.Context, req, buf []byte) ([]byte, error) {
	question, ok := questionOf(req)
	if !ok {
		return nil, errRequest
	}
	body := append([]byte(nil), req...)
	body[0], body[1] = 0, 0 // RFC 8484 section 4.1
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, w.clean(err)
	}
	r.Header.Set("Content-Type", mediaType)
	r.Header.Set("Accept", mediaType)
	r.Header.Set("User-Agent", "")    // RFC 8484 section 8.2
	r.Header["Idempotency-Key"] = nil // a query may be sent again when a kept connection was dead
	resp, err := w.client.Do(r)
	if err != nil {
		return nil, w.clean(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, httpError("HTTP status " + strconv.Itoa(resp.StatusCode))
	}
	if t, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(t), mediaType) {
		return nil, httpError("HTTP reply is no DNS message")
	}
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage+1))
	if err != nil {
		return nil, w.clean(err)
	}
	if len(reply) > maxMessage {
		return nil, httpError("HTTP reply is too long")
	}
	// RFC 8484 has the reply's id be the request's; some servers make up their own. The stream says
	// which request it belongs to.
	if len(reply) >= headerLen {
		reply[0], reply[1] = 0, 0
	}
	switch match(reply, 0, question) {
	case foreign:
		return nil, errQuestion
	default:
		restore(reply, req, question)
		return into(buf, reply), nil
	}
}

// clean takes the URL out of an error: it may hold a secret.
func (w *web) clean(err error) error {
	if urlErr := (*url.Error)(nil); errors.As(err, &urlErr) {
		err = urlErr.Err
	}
	for _, secret := range []string{w.url.Path, w.url.EscapedPath(), w.url.RawQuery} {
		if len(secret) > 1 && strings.Contains(err.Error(), secret) {
			return errors.New("HTTP request failed")
		}
	}
	return err
}

func (w *web) close() { w.client.CloseIdleConnections() }
