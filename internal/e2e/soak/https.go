package soak

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go/http3"
)

// https is a client of DoH: GET and POST in turn (RFC 8484 section 4.1).
type https struct {
	url    string
	proto  string // HTTP/2.0, ...
	client *http.Client
	close  func()
	asked  atomic.Int64
	lost   atomic.Int64
}

// protocols are the names of transports as HTTP has them.
var protocols = map[string]string{"h1": "HTTP/1.1", "h2": "HTTP/2.0", "h3": "HTTP/3.0"}

func newDoH(t *Target, transport string) *https {
	h := &https{url: "https://" + t.DoH + t.Path, proto: protocols[transport]}
	h.client, h.close = t.HTTPS(transport)
	return h
}

// HTTPS is an HTTP client of one version, "h1", "h2" or "h3", and what ends it.
func (t *Target) HTTPS(version string) (*http.Client, func()) {
	if version == "h3" {
		rt := &http3.Transport{TLSClientConfig: t.config("h3")}
		return &http.Client{Transport: rt}, func() { rt.Close() } //nolint:errcheck // the end
	}
	rt := &http.Transport{TLSClientConfig: t.config(), ForceAttemptHTTP2: version == "h2", MaxIdleConnsPerHost: 8}
	if version == "h1" {
		rt.TLSClientConfig.NextProtos = []string{"http/1.1"}
		rt.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	return &http.Client{Transport: rt}, rt.CloseIdleConnections
}

func (h *https) Lost() int64 { return h.lost.Load() }
func (h *https) Close()      { h.close() }

func (h *https) Exchange(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	for {
		reply, err := h.once(ctx, query)
		if err == nil || ctx.Err() != nil || errors.Is(err, ErrWrong) {
			return reply, err
		}
		h.lost.Add(1)
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-time.After(retryPause):
		}
	}
}

// once makes one request. Its ID is zero, so that caches may be of use (RFC 8484 section 4.1).
func (h *https) once(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	m := query.Copy()
	m.Id = 0
	raw, err := m.Pack()
	if err != nil {
		return nil, err
	}
	var req *http.Request
	if h.asked.Add(1)%2 == 0 {
		req, err = http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(raw))
	} else {
		req, err = http.NewRequestWithContext(ctx, http.MethodGet, h.url+"?dns="+base64.RawURLEncoding.EncodeToString(raw), nil)
	}
	if err != nil {
		return nil, err
	}
	if req.Header.Set("Accept", "application/dns-message"); req.Method == http.MethodPost {
		req.Header.Set("Content-Type", "application/dns-message")
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<17))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusGatewayTimeout {
		return nil, fmt.Errorf("status %s", resp.Status)
	}
	reply, err := h.check(resp, body)
	if err == nil && reply.Id != 0 {
		err = fmt.Errorf("%w: another ID", ErrWrong)
	}
	if err != nil {
		return nil, err
	}
	reply.Id = query.Id
	return reply, nil
}

// check reads a response, whose fields have to fit the message (RFC 8484 section 5.1).
func (h *https) check(resp *http.Response, body []byte) (*dns.Msg, error) {
	wrong := func(what string) error {
		return fmt.Errorf("%w: %s: %s %s %v %.200q", ErrWrong, what, resp.Proto, resp.Status, resp.Header, body)
	}
	reply := new(dns.Msg)
	switch {
	case resp.Proto != h.proto:
		return nil, wrong("not " + h.proto)
	case resp.StatusCode != http.StatusOK:
		return nil, wrong("the status")
	case resp.Header.Get("Content-Type") != "application/dns-message":
		return nil, wrong("the content type")
	case reply.Unpack(body) != nil:
		return nil, wrong("the message")
	}
	if len(reply.Answer) == 0 {
		return reply, nil
	}
	least := reply.Answer[0].Header().Ttl
	for _, rr := range reply.Answer {
		least = min(least, rr.Header().Ttl)
	}
	age, found := strings.CutPrefix(resp.Header.Get("Cache-Control"), "max-age=")
	if seconds, err := strconv.ParseUint(age, 10, 32); !found || err != nil || seconds > uint64(least) {
		return nil, wrong(fmt.Sprintf("Cache-Control, with a TTL of %d", least))
	}
	return reply, nil
}
