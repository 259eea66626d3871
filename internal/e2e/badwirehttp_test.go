package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"dens/internal/e2e/soak"
)

const dnsMessage = "application/dns-message"

func newPost(ctx context.Context, w *soak.Target, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+w.DoH+w.Path, body)
	if err == nil {
		req.Header.Set("Content-Type", dnsMessage)
	}
	return req, err
}

// badRequest is a request by HTTP, whatever the version.
type badRequest struct {
	method, target, kind string // target is what follows the path of DoH; kind the Content-Type
	body                 []byte
	status               int
	counter              string
}

func badRequests() map[string]badRequest {
	good := message(0, flagsQuery, 1, 0, 0, 0, exampleA)
	reply := message(0, 0x8180, 1, 0, 0, 0, exampleA)
	return map[string]badRequest{
		"a wrong content type":       {"POST", "", "text/plain", good, 415, malformedTotal},
		"no content type":            {"POST", "", "", good, 415, malformedTotal},
		"JSON as content":            {"POST", "", "application/json", []byte("{}"), 415, malformedTotal},
		"a wrong method":             {"PUT", "", dnsMessage, good, 405, malformedTotal},
		"DELETE":                     {"DELETE", "", "", nil, 405, malformedTotal},
		"no dns parameter":           {"GET", "", "", nil, 400, malformedTotal},
		"another parameter":          {"GET", "?msg=AAAB", "", nil, 400, malformedTotal},
		"an empty dns parameter":     {"GET", "?dns=", "", nil, 400, malformedTotal},
		"a dns parameter twice":      {"GET", "?dns=" + encoded(good) + "&dns=" + encoded(good), "", nil, 400, malformedTotal},
		"not base64url":              {"GET", "?dns=AAA*", "", nil, 400, malformedTotal},
		"base64, but not url":        {"GET", "?dns=AA/+AAAA", "", nil, 400, malformedTotal},
		"a parameter that is no DNS": {"GET", "?dns=" + encoded([]byte("no DNS")), "", nil, 400, malformedTotal},
		"a reply as parameter":       {"GET", "?dns=" + encoded(reply), "", nil, 400, malformedTotal},
		"a body that is no DNS":      {"POST", "", dnsMessage, []byte("no DNS"), 400, malformedTotal},
		"a reply as body":            {"POST", "", dnsMessage, reply, 400, malformedTotal},
		"an empty body":              {"POST", "", dnsMessage, []byte{}, 400, malformedTotal},
		"an oversized body":          {"POST", "", dnsMessage, make([]byte, 70_000), 413, malformedTotal},
		"another path":               {"GET", "/other", "", nil, 404, malformedTotal},
		"a question that is broken":  {"POST", "", dnsMessage, message(0, flagsQuery, 1, 0, 0, 0, "\xff"), 200, ""},
	}
}

// badHTTP are bad requests by each version of HTTP, after which the same connection has to be of use.
func badHTTP() map[string]badInput {
	rows := map[string]badInput{}
	for _, version := range []string{"h1", "h2", "h3"} {
		for name, bad := range badRequests() {
			rows[version+": "+name] = badInput{func(ctx context.Context, w *soak.Target) error { return bad.send(ctx, w, version) }, bad.counter}
		}
	}
	// Go's server, which has HTTP/1.1, counts nothing; Go's client for HTTP/2 may see that it is of no use.
	for version, counter := range map[string]string{"h1": "", "h3": malformedTotal} {
		rows[version+": a header too long"] = badInput{func(ctx context.Context, w *soak.Target) error { return longHeader(ctx, w, version) }, counter}
	}
	return rows
}

func (b badRequest) send(ctx context.Context, w *soak.Target, version string) error {
	client, end := w.HTTPS(version)
	defer end()
	req, err := http.NewRequestWithContext(ctx, b.method, "https://"+w.DoH+w.Path+b.target, bytes.NewReader(b.body))
	if err != nil {
		return err
	}
	if b.kind != "" {
		req.Header.Set("Content-Type", b.kind)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	switch {
	case err != nil:
		return err
	case resp.StatusCode != b.status:
		return fmt.Errorf("status %s %q, want %d", resp.Status, body, b.status)
	case b.status == 405 && !strings.Contains(resp.Header.Get("Allow"), "POST"): // RFC 9110 section 15.5.6
		return fmt.Errorf("405 with Allow %q", resp.Header.Get("Allow"))
	case b.status == 200 && (len(body) < 12 || body[3]&0xf != 1):
		return fmt.Errorf("got %x, want FORMERR", body)
	}
	good, err := newPost(ctx, w, bytes.NewReader(message(0, flagsQuery, 1, 0, 0, 0, exampleA)))
	if err != nil {
		return err
	}
	if resp, err = client.Do(good); err != nil {
		return fmt.Errorf("the next request: %w", err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 || len(body) < 12 || body[7] != 1 {
		return fmt.Errorf("the next request: %s %x, %w", resp.Status, body, err)
	}
	return nil
}

// longHeader wants a request with a header without measure to be refused, by status or by an error.
func longHeader(ctx context.Context, w *soak.Target, version string) error {
	client, end := w.HTTPS(version)
	defer end()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+w.DoH+w.Path+"?dns="+strings.Repeat("A", 200_000), nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("no response")
		}
		return nil
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge && resp.StatusCode != http.StatusRequestURITooLong && resp.StatusCode != http.StatusBadRequest {
		return fmt.Errorf("status %s, want 431, 414 or 400", resp.Status)
	}
	return nil
}

// goesAway has frames sent, and wants GOAWAY with an error, and the connection closed (RFC 9113 section 5.4.1). To a
// flood, many frames, GOAWAY may be lost: what is sent to a closed socket resets it.
func goesAway(want http2.ErrCode, n int, do func(f *http2.Framer, i int) error) badInput {
	return badInput{func(ctx context.Context, w *soak.Target) error {
		conn, err := w.DialTLS(ctx, "", w.DoH, "h2")
		if err != nil {
			return err
		}
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })() //nolint:errcheck // reads and writes say so
		if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
			return err
		}
		framer := http2.NewFramer(conn, conn)
		framer.AllowIllegalWrites = true
		if err := framer.WriteSettings(); err != nil {
			return err
		}
		go func() {
			for i := range n {
				if do(framer, i) != nil {
					return // it is closed
				}
			}
		}()
		return readGoAway(conn, want, n > 1)
	}, abuseTotal}
}

func readGoAway(conn *tls.Conn, want http2.ErrCode, flood bool) error {
	framer, seen := http2.NewFramer(nil, conn), flood
	for {
		f, err := framer.ReadFrame()
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			if f.ErrCode != want {
				return fmt.Errorf("GOAWAY with %v, want %v", f.ErrCode, want)
			}
			seen = true
		default:
			if err == nil {
				continue
			}
			if isTimeout(err) {
				return errors.New("it is still open")
			}
			if !seen {
				return fmt.Errorf("closed without GOAWAY: %w", err)
			}
			return nil
		}
	}
}

// headerBlock is that of a request.
func headerBlock(fields ...string) []byte {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	fields = append([]string{":method", "GET", ":scheme", "https", ":authority", soakHost, ":path", "/dns-query?dns=" + encoded(message(0, flagsQuery, 1, 0, 0, 0, exampleA))}, fields...)
	for i := 0; i < len(fields); i += 2 {
		enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) //nolint:errcheck // memory
	}
	return block.Bytes()
}

func badHTTP2() map[string]badInput {
	get := headerBlock()
	open := func(f *http2.Framer, id uint32, block []byte) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: true, EndHeaders: true})
	}
	return map[string]badInput{
		"h2: no preface": {overTLS(toDoH, "h2", writes("GET / HTTP/1.1\r\nHost: dens.example\r\n\r\n")), abuseTotal},
		"h2: a frame too long": goesAway(http2.ErrCodeFrameSize, 1, func(f *http2.Framer, _ int) error {
			return f.WriteRawFrame(http2.FrameHeaders, 0, 1, make([]byte, 1<<20))
		}),
		"h2: a stream of the server":   goesAway(http2.ErrCodeProtocol, 1, func(f *http2.Framer, _ int) error { return open(f, 2, get) }),
		"h2: DATA without a stream":    goesAway(http2.ErrCodeProtocol, 1, func(f *http2.Framer, _ int) error { return f.WriteData(0, true, nil) }),
		"h2: DATA on an idle stream":   goesAway(http2.ErrCodeProtocol, 1, func(f *http2.Framer, _ int) error { return f.WriteData(7, true, nil) }),
		"h2: reset of an idle stream":  goesAway(http2.ErrCodeProtocol, 1, func(f *http2.Framer, _ int) error { return f.WriteRSTStream(7, http2.ErrCodeCancel) }),
		"h2: a header of noise":        goesAway(http2.ErrCodeCompression, 1, func(f *http2.Framer, _ int) error { return open(f, 1, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) }),
		"h2: a window overflow":        goesAway(http2.ErrCodeFlowControl, 1, func(f *http2.Framer, _ int) error { return f.WriteWindowUpdate(0, 1<<31-1) }),
		"h2: CONTINUATION out of turn": goesAway(http2.ErrCodeProtocol, 1, func(f *http2.Framer, _ int) error { return f.WriteContinuation(1, true, get) }),
		"h2: a push": goesAway(http2.ErrCodeProtocol, 1, func(f *http2.Framer, _ int) error {
			return f.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: get, EndHeaders: true})
		}),
		"h2: rapid reset": goesAway(http2.ErrCodeEnhanceYourCalm, 50_000, func(f *http2.Framer, i int) error {
			if err := open(f, uint32(2*i+1), get); err != nil {
				return err
			}
			return f.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
		}),
		"h2: a header too long": goesAway(http2.ErrCodeEnhanceYourCalm, 20, func(f *http2.Framer, i int) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headerBlock("x-long", strings.Repeat("~", 10_000))})
			}
			return f.WriteContinuation(1, false, make([]byte, 10_000))
		}),
		"h2: CONTINUATION flood": goesAway(http2.ErrCodeEnhanceYourCalm, 50_000, func(f *http2.Framer, i int) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: get})
			}
			return f.WriteContinuation(1, false, nil)
		}),
		"h2: PING flood":     goesAway(http2.ErrCodeEnhanceYourCalm, 200_000, func(f *http2.Framer, _ int) error { return f.WritePing(false, [8]byte{}) }),
		"h2: SETTINGS flood": goesAway(http2.ErrCodeEnhanceYourCalm, 200_000, func(f *http2.Framer, _ int) error { return f.WriteSettings() }),
		"h2: empty DATA flood": goesAway(http2.ErrCodeEnhanceYourCalm, 200_000, func(f *http2.Framer, i int) error {
			if i == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headerBlock("content-type", dnsMessage), EndHeaders: true})
			}
			return f.WriteData(1, false, nil)
		}),
	}
}
