package doh

import (
	"dens/server/intake"

	"golang.org/x/net/http2"
	"strings"
	"testing"
)

// TestSessionRefuses: requests that are none of ours are answered by their status, and disturb no other.
func TestSessionRefuses(t *testing.T) {
	q := packed(t, question("www.example"))
	tests := []struct {
		name   string
		fields []string
		body   []byte
		status string
	}{
		{"other path", fieldsOf("GET", "/"), nil, "404"},
		{"star", fieldsOf("OPTIONS", "*"), nil, "404"},
		{"PUT", fieldsOf("PUT", "/dns-query"), q, "405"},
		{"CONNECT", []string{":method", "CONNECT", ":authority", "a:1"}, nil, "404"},
		{"no parameter", fieldsOf("GET", "/dns-query"), nil, "400"},
		{"no base64", fieldsOf("GET", "/dns-query?dns=!!"), nil, "400"},
		{"no message", fieldsOf("GET", "/dns-query?dns=AAAA"), nil, "400"},
		{"silence", fieldsOf("GET", "/dns-query?dns="+b64(packed(t, question("silent.example")))), nil, "400"},
		{"two parameters", fieldsOf("GET", "/dns-query?dns=AAAA&dns=AAAA"), nil, "400"},
		{"proxies that disagree", fieldsOf("GET", "/dns-query?dns="+b64(q), "x-forwarded-for", "192.0.2.1", "forwarded", "for=192.0.2.2"), nil, "400"},
		{"empty body", fieldsOf("POST", "/dns-query", "content-type", typeMessage), nil, "400"},
		{"no type", fieldsOf("POST", "/dns-query"), q, "415"},
		{"form", fieldsOf("POST", "/dns-query", "content-type", "text/html; q=1"), q, "415"},
		{"announced too long", fieldsOf("POST", "/dns-query", "content-type", typeMessage, "content-length", "65536"), make([]byte, 65536), "413"},
		{"too long", fieldsOf("POST", "/dns-query", "content-type", typeMessage), make([]byte, 65536), "413"},
		{"long header", fieldsOf("GET", "/dns-query?dns="+b64(q), "cookie", strings.Repeat("x", 9000), "b", strings.Repeat("y", 7300)), nil, "431"},
		{"JSON that cannot be asked", fieldsOf("GET", "/dns-query?name=panic"), nil, "500"},
		{"JSON that cannot be", fieldsOf("GET", "/dns-query?name=odd.example"), nil, "500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, intake.Config{}, newActor()).greet()
			p.headers(1, tt.body == nil, tt.fields...)
			p.send()
			for body := tt.body; len(body) > 0; {
				n := min(len(body), 10000)
				p.must(p.framer.WriteData(1, n == len(body), body[:n]))
				p.send()
				body = body[n:]
			}
			p.get(3, "www.example")
			p.send()
			r := p.replies()
			if a := r.streams[1]; a == nil || a.status != tt.status || !a.ended || a.fields["content-type"] != typeText {
				t.Errorf("got %+v, want status %s; %v", a, tt.status, p.err)
			}
			expect200(t, r, 3)
			if p.left().streams > 0 || p.res.in.Load() != (intake.Load{}) {
				t.Errorf("left: %d streams, %+v", p.left().streams, p.res.in.Load())
			}
		})
	}
}

// TestSessionMalformed: what is no request resets its stream, and no other (RFC 9113 section 8.1.1).
func TestSessionMalformed(t *testing.T) {
	get := fieldsOf("GET", "/dns-query?dns=AAAB")
	for name, fields := range map[string][]string{
		"upper case":            append(get, "Accept", "x"),
		"connection":            append(get, "connection", "close"),
		"te":                    append(get, "te", "gzip"),
		"line feed":             append(get, "accept", "a\nb"),
		"space at the end":      append(get, "accept", "a "),
		"unknown pseudo":        append([]string{":x", "y"}, get...),
		"pseudo of a response":  append([]string{":status", "200"}, get...),
		"pseudo after others":   append([]string{"accept", "x"}, get...),
		"pseudo twice":          append([]string{":path", "/"}, get...),
		"no path":               {":method", "GET", ":scheme", "https"},
		"empty path":            fieldsOf("GET", ""),
		"relative path":         fieldsOf("GET", "dns-query"),
		"CONNECT with a path":   fieldsOf("CONNECT", "/"),
		"length of nothing":     append(get, "content-length", "4"),
		"length that is none":   append(get, "content-length", "+0"),
		"two lengths":           append(get, "content-length", "0", "content-length", "1"),
		"two types":             append(get, "content-type", "a/b", "content-type", "a/c"),
		"transfer-encoding too": append(get, "transfer-encoding", "chunked"),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, intake.Config{}, newActor()).greet()
			p.headers(1, true, fields...)
			p.get(3, "www.example")
			p.send()
			r := p.replies()
			if a := r.streams[1]; a == nil || a.reset == nil || *a.reset != http2.ErrCodeProtocol || a.status != "" {
				t.Errorf("got %+v", a)
			}
			expect200(t, r, 3)
			if p.stats.Malformed.Load() != 1 {
				t.Error("not counted")
			}
		})
	}
}

// TestSessionStreamErrors: so do bodies that are not what was said.
func TestSessionStreamErrors(t *testing.T) {
	tests := []struct {
		name string
		send func(p *peer)
		code http2.ErrCode
	}{
		{"body longer than said", func(p *peer) { p.post(1, "content-length", "2"); p.must(p.framer.WriteData(1, false, []byte("abc"))) }, http2.ErrCodeProtocol},
		{"body shorter than said", func(p *peer) { p.post(1, "content-length", "4"); p.must(p.framer.WriteData(1, true, []byte("abc"))) }, http2.ErrCodeProtocol},
		{"trailers that do not end", func(p *peer) { p.post(1); p.headers(1, false, "a", "b") }, http2.ErrCodeProtocol},
		{"trailers with a path", func(p *peer) { p.post(1); p.headers(1, true, ":path", "/") }, http2.ErrCodeProtocol},
		{"data after the end", func(p *peer) { p.get(1, "www.example"); p.must(p.framer.WriteData(1, true, []byte("abc"))) }, http2.ErrCodeStreamClosed},
		{"data while it is answered", func(p *peer) { p.get(1, "slow.example"); p.must(p.framer.WriteData(1, true, []byte("abc"))) }, http2.ErrCodeStreamClosed},
		{"header after the end", func(p *peer) { p.get(1, "slow.example"); p.headers(1, true, "a", "b") }, http2.ErrCodeStreamClosed},
		{"window too wide", func(p *peer) { p.get(1, "slow.example"); p.must(p.framer.WriteWindowUpdate(1, 1<<31-1)) }, http2.ErrCodeFlowControl},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newActor()
			p := newPeer(t, intake.Config{}, a).greet()
			tt.send(p)
			p.get(3, "www.example")
			p.send()
			close(a.release)
			r := p.replies()
			if a := r.streams[1]; a == nil || a.reset == nil || *a.reset != tt.code {
				t.Errorf("got %+v", a)
			}
			expect200(t, r, 3)
		})
	}
}

// TestSessionConnectionErrors: what breaks the protocol ends the connection, with a code that says why.
func TestSessionConnectionErrors(t *testing.T) {
	raw := func(kind http2.FrameType, flags http2.Flags, id uint32, payload ...byte) func(p *peer) {
		return func(p *peer) { p.must(p.framer.WriteRawFrame(kind, flags, id, payload)) }
	}
	tests := []struct {
		name string
		send func(p *peer)
		code http2.ErrCode
	}{
		{"even stream", func(p *peer) { p.get(2, "a") }, http2.ErrCodeProtocol},
		{"stream 0", func(p *peer) { p.get(0, "a") }, http2.ErrCodeProtocol},
		{"stream of before", func(p *peer) { p.get(5, "a"); p.get(3, "a") }, http2.ErrCodeProtocol},
		{"closed stream", func(p *peer) { p.get(5, "a"); p.get(5, "a") }, http2.ErrCodeStreamClosed},
		{"data on an idle stream", func(p *peer) { p.must(p.framer.WriteData(9, false, nil)) }, http2.ErrCodeProtocol},
		{"padding too long", raw(http2.FrameData, http2.FlagDataPadded, 0, 9), http2.ErrCodeProtocol},
		{"padding without length", func(p *peer) { p.post(1); raw(http2.FrameData, http2.FlagDataPadded, 1)(p) }, http2.ErrCodeFrameSize},
		{"long frame", func(p *peer) { p.must(p.framer.WriteData(1, false, make([]byte, 16385))) }, http2.ErrCodeFrameSize},
		{"header that does not decode", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, 0x80), http2.ErrCodeCompression},
		{"header with half a priority", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersPriority, 1, 1), http2.ErrCodeFrameSize},
		{"continuation of nothing", raw(http2.FrameContinuation, 0, 1), http2.ErrCodeProtocol},
		{"header cut off", func(p *peer) { raw(http2.FrameHeaders, 0, 1)(p); raw(http2.FramePing, 0, 0)(p) }, http2.ErrCodeProtocol},
		{"continuation of another", func(p *peer) { raw(http2.FrameHeaders, 0, 1)(p); raw(http2.FrameContinuation, 4, 3)(p) }, http2.ErrCodeProtocol},
		{"empty continuations", func(p *peer) {
			raw(http2.FrameHeaders, 0, 1)(p)
			for range 100 {
				raw(http2.FrameContinuation, 0, 1)(p)
			}
		}, http2.ErrCodeEnhanceYourCalm},
		{"long continuations", func(p *peer) {
			raw(http2.FrameHeaders, 0, 1, make([]byte, 9000)...)(p)
			raw(http2.FrameContinuation, 0, 1, make([]byte, 9000)...)(p)
		}, http2.ErrCodeEnhanceYourCalm},
		{"settings on a stream", raw(http2.FrameSettings, 0, 1), http2.ErrCodeProtocol},
		{"settings cut off", raw(http2.FrameSettings, 0, 0, 1, 2, 3), http2.ErrCodeFrameSize},
		{"full acknowledgement", raw(http2.FrameSettings, http2.FlagSettingsAck, 0, 0, 3, 0, 0, 0, 1), http2.ErrCodeFrameSize},
		{"push 2", raw(http2.FrameSettings, 0, 0, 0, 2, 0, 0, 0, 2), http2.ErrCodeProtocol},
		{"window of all", raw(http2.FrameSettings, 0, 0, 0, 4, 0x80, 0, 0, 0), http2.ErrCodeFlowControl},
		{"short frames", raw(http2.FrameSettings, 0, 0, 0, 5, 0, 0, 0, 1), http2.ErrCodeProtocol},
		{"ping on a stream", raw(http2.FramePing, 0, 1, make([]byte, 8)...), http2.ErrCodeProtocol},
		{"short ping", raw(http2.FramePing, 0, 0, 1), http2.ErrCodeFrameSize},
		{"window update of zero", raw(http2.FrameWindowUpdate, 0, 0, 0, 0, 0, 0), http2.ErrCodeProtocol},
		{"window too wide", raw(http2.FrameWindowUpdate, 0, 0, 0x7f, 0xff, 0xff, 0xff), http2.ErrCodeFlowControl},
		{"window of an idle stream", raw(http2.FrameWindowUpdate, 0, 7, 0, 0, 0, 1), http2.ErrCodeProtocol},
		{"short window update", raw(http2.FrameWindowUpdate, 0, 0, 1), http2.ErrCodeFrameSize},
		{"reset of an idle stream", raw(http2.FrameRSTStream, 0, 7, 0, 0, 0, 1), http2.ErrCodeProtocol},
		{"short reset", raw(http2.FrameRSTStream, 0, 1, 0), http2.ErrCodeFrameSize},
		{"push", raw(http2.FramePushPromise, 4, 1, 0, 0, 0, 2), http2.ErrCodeProtocol},
		{"short priority", raw(http2.FramePriority, 0, 1, 0), http2.ErrCodeFrameSize},
		{"priority of its own", raw(http2.FramePriority, 0, 3, 0, 0, 0, 3, 1), http2.ErrCodeProtocol},
		{"goaway on a stream", raw(http2.FrameGoAway, 0, 1, make([]byte, 8)...), http2.ErrCodeProtocol},
		{"short goaway", raw(http2.FrameGoAway, 0, 0, 1), http2.ErrCodeFrameSize},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, intake.Config{}, newActor()).greet()
			tt.send(p)
			p.send()
			r := p.replies()
			if p.err == nil || r.goAway == nil || r.goAway.ErrCode != tt.code {
				t.Fatalf("error %v, %+v", p.err, r.goAway)
			}
			p.s.End()
			if p.stats.Abuse.Load() != 1 || p.replies().goAway != nil {
				t.Error("counted or said more than once")
			}
		})
	}
	t.Run("no preface", func(t *testing.T) {
		p := newPeer(t, intake.Config{}, newActor())
		p.in.WriteString("GET / HTTP/1.1\r\n\r\n")
		p.send()
		if r := p.replies(); p.err == nil || r.goAway == nil {
			t.Error(p.err)
		}
	})
	t.Run("no settings", func(t *testing.T) {
		p := newPeer(t, intake.Config{}, newActor())
		p.in.WriteString(preface)
		p.get(1, "a")
		p.send()
		if r := p.replies(); p.err == nil || r.goAway == nil || len(r.streams) > 0 {
			t.Error(p.err)
		}
	})
}
