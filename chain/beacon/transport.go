package beacon

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"dens/chain"
)

// maxErrorBody bounds the body of an answer that is no success, in bytes.
const maxErrorBody = 4 << 10

// client makes GETs of one beacon API. It knows no proxy and no cookies, and follows no redirects: another
// host would see a key in the URL.
type client struct {
	addr    address
	http    *http.Client
	base    *http.Transport
	timeout time.Duration
}

// newClient returns a client whose connections end with ctx.
func newClient(ctx context.Context, addr address, dial chain.Dialer, timeout time.Duration) *client {
	if dial == nil {
		dial = dialAddress
	}
	base := &http.Transport{
		DialContext: func(req context.Context, network, address string) (net.Conn, error) {
			// net/http lets a dial outlive the request that began it.
			req, cancel := context.WithTimeout(req, timeout)
			defer cancel()
			defer context.AfterFunc(ctx, cancel)()
			return dial(req, network, address)
		},
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    timeout,
		MaxResponseHeaderBytes: 32 << 10,
		MaxConnsPerHost:        4,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        90 * time.Second,
		// HTTP/2 keeps a connection whose requests go unanswered: after a machine slept, or changed its
		// network, it would be of no use for as long as TCP tries, a quarter of an hour.
		HTTP2: &http.HTTP2Config{SendPingTimeout: timeout, PingTimeout: timeout / 2},
	}
	return &client{
		addr: addr, base: base, timeout: timeout,
		http: &http.Client{
			Transport:     base,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// dialAddress dials IP addresses only.
func dialAddress(ctx context.Context, network, address string) (net.Conn, error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, errNoDialer
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// get asks for something below /eth/v1/beacon/light_client/ and returns its body of at most limit bytes.
// The time for all of it is bounded. Errors are failures.
func (c *client) get(ctx context.Context, what, query string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	u := c.addr.url.JoinPath("eth/v1/beacon/light_client", what)
	switch {
	case u.RawQuery != "" && query != "":
		u.RawQuery += "&" + query
	case query != "":
		u.RawQuery = query
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, &failure{kind: broken, text: "the URL cannot be asked"}
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "dens")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, c.statusFailure(res)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, c.explain(err)
	}
	if int64(len(body)) > limit {
		return nil, &failure{kind: broken, text: fmt.Sprintf("the answer is longer than %d bytes", limit)}
	}
	return body, nil
}

// statusFailure says what an answer that is no success means.
func (c *client) statusFailure(res *http.Response) error {
	text := fmt.Sprintf("HTTP status %d", res.StatusCode)
	if res.StatusCode/100 == 3 {
		return &failure{kind: broken, text: text + ": redirects are not followed"}
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	if message := errorMessage(body); err == nil && message != "" {
		text += ": " + message
	}
	if res.StatusCode == http.StatusNotFound {
		return &failure{kind: absent, text: c.addr.safe(text)}
	}
	return &failure{kind: broken, text: c.addr.safe(text)}
}

// errorMessage reads {"code": 404, "message": "..."}, the beacon API's form of errors. Pages of HTML help
// nobody.
func errorMessage(body []byte) string {
	var e struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &e) != nil {
		return ""
	}
	return e.Message
}

// explain turns an error of net/http into one that may be shown.
func (c *client) explain(err error) error {
	if errors.Is(err, context.Canceled) {
		return &failure{kind: stopped, text: "cancelled"}
	}
	return &failure{kind: broken, text: cut(c.addr.masked(plain(err)), maxDial)}
}

// close drops idle connections.
func (c *client) close() { c.base.CloseIdleConnections() }
