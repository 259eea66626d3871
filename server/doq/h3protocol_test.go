package doq

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"

	"dens/server/intake"
)

// aFrame is a frame of HTTP/3.
func aFrame(kind uint64, payload ...byte) []byte {
	b := quicvarint.Append(nil, kind)
	b = quicvarint.Append(b, uint64(len(payload)))
	return append(b, payload...)
}

// aHeader is a HEADERS frame. Fields are "name value".
func aHeader(fields ...string) []byte {
	var block bytes.Buffer
	enc := qpack.NewEncoder(&block)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, " ")
		_ = enc.WriteField(qpack.HeaderField{Name: name, Value: value})
	}
	return aFrame(frameHeaders, block.Bytes()...)
}

var get = []string{":method GET", ":scheme https", ":authority dens.test", ":path /dns-query?dns=AAABAAABAAAAAAAAA2hpdAAAEAAB"}

func with(fields []string, more ...string) []byte {
	return aHeader(append(fields[:len(fields):len(fields)], more...)...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// TestRequestStreams has the errors of RFC 9114 sections 4.1.2, 4.3 and 7, and requests that are right.
func TestRequestStreams(t *testing.T) {
	f := begin(t, intake.Limits{})
	for _, tt := range []struct {
		name  string
		send  []byte
		conn  quic.ApplicationErrorCode
		str   quic.StreamErrorCode
		reply string
	}{
		{name: "a request", send: with(get), reply: "200"},
		{name: "an unknown frame before it", send: join(aFrame(0x21, 1, 2, 3), with(get)), reply: "200"},
		{name: "an unknown frame behind it", send: join(with(get), aFrame(0x21, 1, 2, 3)), reply: "200"},
		{name: "a Host field", send: with([]string{get[0], get[1], get[3]}, "host dens.test"), reply: "200"},
		{name: "a long header", send: with(get, "x "+strings.Repeat("~", maxHeader)), reply: "431"},
		{name: "many small fields", send: with(get, strings.Split(strings.Repeat("x y,", maxHeader/fieldExtra)+"x y", ",")...), reply: "431"},
		{name: "CONNECT", send: aHeader(":method CONNECT", ":authority a.example:1"), reply: "503"}, // the fixture has no path for it
		{name: "nothing", send: nil, str: h3RequestIncomplete},
		{name: "an unknown frame alone", send: aFrame(0x21), str: h3RequestIncomplete},
		{name: "half a frame", send: with(get)[:20], conn: h3FrameError},
		{name: "half a number", send: []byte{0x40}, conn: h3FrameError},
		{name: "DATA first", send: aFrame(frameData, 1), conn: h3FrameUnexpected},
		{name: "SETTINGS", send: aFrame(frameSettings), conn: h3FrameUnexpected},
		{name: "PUSH_PROMISE", send: aFrame(framePushPromise, 1), conn: h3FrameUnexpected},
		{name: "a frame of HTTP/2", send: aFrame(0x8, 1), conn: h3FrameUnexpected},
		{name: "long unknown frames", send: aFrame(0x21, make([]byte, maxSkipped+1)...), conn: h3ExcessiveLoad},
		{name: "many empty unknown frames", send: bytes.Repeat(aFrame(0x21), maxSkipped+1), conn: h3ExcessiveLoad},
		{name: "a dynamic table", send: aFrame(frameHeaders, 1, 0, 0x80), conn: qpackDecompression},
		{name: "a broken block", send: aFrame(frameHeaders, 0, 0, 0xff), conn: qpackDecompression},
		{name: "no path", send: aHeader(get[:3]...), str: h3MessageError},
		{name: "no authority", send: aHeader(get[0], get[1], get[3]), str: h3MessageError},
		{name: "two methods", send: with(get[:1], get...), str: h3MessageError},
		{name: "an unknown pseudo-header field", send: with(get, ":protocol x"), str: h3MessageError},
		{name: "a pseudo-header field late", send: with([]string{"a b"}, get...), str: h3MessageError},
		{name: "capitals", send: with(get, "Accept x"), str: h3MessageError},
		{name: "a field of connections", send: with(get, "transfer-encoding chunked"), str: h3MessageError},
		{name: "a line break", send: with(get, "a b\r\nc: d"), str: h3MessageError},
		{name: "te", send: with(get, "te gzip"), str: h3MessageError},
		{name: "two hosts", send: with(get, "host other.test"), str: h3MessageError},
		{name: "two lengths", send: with(get, "content-length 1", "content-length 2"), str: h3MessageError},
		{name: "a relative path", send: aHeader(get[0], get[1], get[2], ":path dns-query"), str: h3MessageError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := f.dial(t, ProtoHTTP3)
			str, err := q.OpenStream()
			if err != nil {
				t.Fatal(err)
			}
			_, _ = str.Write(tt.send) // the server may have heard enough before the end
			str.Close()
			if tt.conn != 0 {
				if code := ended(t, q); code != tt.conn {
					t.Errorf("closed with %#x", code)
				}
				return
			}
			_ = str.SetReadDeadline(time.Now().Add(10 * time.Second))
			b, err := io.ReadAll(str)
			if reset, ok := errors.AsType[*quic.StreamError](err); ok && tt.str != 0 {
				if reset.ErrorCode != tt.str {
					t.Errorf("reset with %#x", reset.ErrorCode)
				}
				return
			}
			if err != nil || tt.str != 0 {
				t.Fatalf("%x, %v", b, err)
			}
			if got := statusOf(t, b); got != tt.reply {
				t.Errorf("status %s", got)
			}
		})
	}
}

// statusOf reads the status of a response.
func statusOf(t *testing.T, octets []byte) string {
	t.Helper()
	f := frames{r: bufio.NewReader(bytes.NewReader(octets))}
	kind, length, err := f.next()
	if err != nil || kind != frameHeaders {
		t.Fatalf("frame %d, %v", kind, err)
	}
	block, err := f.payload(length)
	if err != nil {
		t.Fatal(err)
	}
	field, err := qpack.NewDecoder().Decode(block)()
	if err != nil || field.Name != ":status" {
		t.Fatalf("%v, %v", field, err)
	}
	return field.Value
}

// TestBodies reads DATA frames.
func TestBodies(t *testing.T) {
	post := []string{":method POST", ":scheme https", ":authority dens.test", ":path /dns-query"}
	for _, tt := range []struct {
		name string
		send []byte
		want string
		err  error
	}{
		{"none", with(post), "", nil},
		{"one frame", join(with(post), aFrame(frameData, 'a', 'b', 'c')), "abc", nil},
		{"frames and trailers", join(with(post), aFrame(frameData, 'a'), aFrame(0x21, 9), aFrame(frameData), aFrame(frameData, 'b', 'c'), aHeader("a b")), "abc", nil},
		{"of the length", join(with(post, "content-length 3"), aFrame(frameData, 'a', 'b', 'c')), "abc", nil},
		{"too short", join(with(post, "content-length 4"), aFrame(frameData, 'a', 'b', 'c')), "abc", errLength},
		{"too long", join(with(post, "content-length 2"), aFrame(frameData, 'a', 'b', 'c')), "abc", errLength},
		{"half a frame", join(with(post), aFrame(frameData, 'a', 'b', 'c')[:4]), "ab", &fatal{h3FrameError}},
		{"many empty frames", join(with(post), bytes.Repeat(aFrame(frameData), maxSkipped+1)), "", &fatal{h3ExcessiveLoad}},
		{"data behind trailers", join(with(post), aHeader("a b"), aFrame(frameData)), "", &fatal{h3FrameUnexpected}},
		{"SETTINGS", join(with(post), aFrame(frameSettings)), "", &fatal{h3FrameUnexpected}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, r := range []io.Reader{bytes.NewReader(tt.send), iotest.OneByteReader(bytes.NewReader(tt.send)), iotest.DataErrReader(bytes.NewReader(tt.send))} {
				req, err := readRequest(bufio.NewReader(r))
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(req.Body)
				if !bytes.HasPrefix([]byte(tt.want), b) || err == nil && string(b) != tt.want || !sameError(err, tt.err) {
					t.Errorf("%q, %v", b, err)
				}
			}
		})
	}
}

func sameError(a, b error) bool {
	f, ok := errors.AsType[*fatal](a)
	g, also := errors.AsType[*fatal](b)
	if ok && also {
		return *f == *g
	}
	return errors.Is(a, b)
}

// TestUnidirectionalStreams has the errors of RFC 9114 sections 6.2 and 7.2, and RFC 9204 section 4.2.
func TestUnidirectionalStreams(t *testing.T) {
	f := begin(t, intake.Limits{})
	settings := aFrame(frameSettings, 6, 0x44, 0)
	for _, tt := range []struct {
		name string
		send [][]byte
		code quic.ApplicationErrorCode // 0: all is well
	}{
		{"all of them", [][]byte{join([]byte{0}, settings, aFrame(frameMaxPushID, 3), aFrame(frameGoAway, 0), aFrame(0xf0700, 0, 'u')), {2, 0x20}, {3, 0x40}}, 0},
		{"an unknown one", [][]byte{{0x21, 1, 2}}, 0},
		{"control twice", [][]byte{join([]byte{0}, settings), join([]byte{0}, settings)}, h3StreamCreation},
		{"a push", [][]byte{{1, 0}}, h3StreamCreation},
		{"no SETTINGS", [][]byte{join([]byte{0}, aFrame(frameMaxPushID, 3))}, h3MissingSettings},
		{"SETTINGS twice", [][]byte{join([]byte{0}, settings, settings)}, h3FrameUnexpected},
		{"DATA", [][]byte{join([]byte{0}, settings, aFrame(frameData))}, h3FrameUnexpected},
		{"CANCEL_PUSH", [][]byte{join([]byte{0}, settings, aFrame(frameCancelPush, 0))}, h3IDError},
		{"a setting twice", [][]byte{join([]byte{0}, aFrame(frameSettings, 6, 1, 6, 1))}, h3SettingsError},
		{"a setting of HTTP/2", [][]byte{join([]byte{0}, aFrame(frameSettings, 2, 1))}, h3SettingsError},
		{"half a setting", [][]byte{join([]byte{0}, aFrame(frameSettings, 6))}, h3FrameError},
		{"many settings", [][]byte{join([]byte{0}, aFrame(frameSettings, make([]byte, maxSettings+1)...))}, h3ExcessiveLoad},
		{"an earlier GOAWAY", [][]byte{join([]byte{0}, settings, aFrame(frameGoAway, 8), aFrame(frameGoAway, 8), aFrame(frameGoAway, 4), aFrame(frameMaxPushID, 3), aFrame(frameMaxPushID, 3))}, 0},
		{"a later GOAWAY", [][]byte{join([]byte{0}, settings, aFrame(frameGoAway, 4), aFrame(frameGoAway, 8))}, h3IDError},
		{"fewer pushes", [][]byte{join([]byte{0}, settings, aFrame(frameMaxPushID, 3), aFrame(frameMaxPushID, 2))}, h3IDError},
		{"a long number", [][]byte{join([]byte{0}, settings, aFrame(frameGoAway, 0, 0))}, h3FrameError},
		{"a dynamic table", [][]byte{{2, 0x21}}, qpackEncoderStream},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := f.dial(t, ProtoHTTP3)
			for _, b := range tt.send {
				str, err := q.OpenUniStream()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := str.Write(b); err != nil {
					break // the connection has ended
				}
			}
			if tt.code == 0 {
				b, err := io.ReadAll(send(t, q, with(get)))
				if err != nil || statusOf(t, b) != "200" {
					t.Errorf("a request beside: %x, %v", b, err)
				}
				return
			}
			if code := ended(t, q); code != tt.code {
				t.Errorf("closed with %#x", code)
			}
		})
	}
	t.Run("control ends", func(t *testing.T) {
		q := f.dial(t, ProtoHTTP3)
		str, err := q.OpenUniStream()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := str.Write(join([]byte{0}, settings)); err != nil {
			t.Fatal(err)
		}
		str.Close()
		if code := ended(t, q); code != h3ClosedCritical {
			t.Errorf("closed with %#x", code)
		}
	})
}

// TestExpect: a client that waits for leave to send its body gets it, or an answer (RFC 9110 section 10.1.1).
func TestExpect(t *testing.T) {
	f := begin(t, intake.Limits{})
	q := f.dial(t, ProtoHTTP3)
	post := []string{":method POST", ":scheme https", ":authority dens.test", ":path /dns-query"}
	str, err := q.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	_ = str.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := str.Write(with(post, "expect 100-Continue")); err != nil {
		t.Fatal(err)
	}
	leave := appendContinue(nil)
	got := make([]byte, len(leave))
	if _, err := io.ReadFull(str, got); err != nil || statusOf(t, got) != "100" {
		t.Fatalf("told %x, %v", got, err)
	}
	if _, err := str.Write(aFrame(frameData, packed(t, question("hit.example"))[lengthLen:]...)); err != nil {
		t.Fatal(err)
	}
	str.Close()
	if b, err := io.ReadAll(str); err != nil || statusOf(t, b) != "200" {
		t.Errorf("%x, %v", b, err)
	}
	if b, err := io.ReadAll(send(t, q, with(get, "expect 100-continue"))); err != nil || statusOf(t, b) != "200" {
		t.Errorf("whose body nobody wants: %x, %v", b, err)
	}
}

// TestGoAway reads what the server says on its control stream.
func TestGoAway(t *testing.T) {
	f := begin(t, intake.Limits{})
	q := f.dial(t, ProtoHTTP3)
	if _, err := io.ReadAll(send(t, q, with(get))); err != nil {
		t.Fatal(err)
	}
	control, err := q.AcceptUniStream(q.Context())
	if err != nil {
		t.Fatal(err)
	}
	go f.Drain(q.Context())
	b, _ := io.ReadAll(control) // to the connection's end
	want := append(appendControl(nil), frameGoAway, 1, 4)
	if !bytes.Equal(b, want) {
		t.Errorf("the control stream has %x, not %x", b, want)
	}
	if code := ended(t, q); code != h3NoError {
		t.Errorf("closed with %#x", code)
	}
}

func TestResponse(t *testing.T) {
	w := response{header: http.Header{"X-A": {"b"}, "Bad Name": {"c"}, "X-Break": {"d\r\ne"}, "Connection": {"close"}}}
	if _, err := w.Write([]byte("body")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, maxResponse)); err == nil {
		t.Error("there is no bound")
	}
	f := frames{r: bufio.NewReader(bytes.NewReader(w.frames(http.MethodGet, time.Unix(0, 0))))}
	kind, length, err := f.next()
	if err != nil || kind != frameHeaders {
		t.Fatal(kind, err)
	}
	block, err := f.payload(length)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for next := qpack.NewDecoder().Decode(block); ; {
		field, err := next()
		if err != nil {
			break
		}
		got[field.Name] = field.Value
	}
	want := map[string]string{":status": "200", "x-a": "b", "content-length": strconv.Itoa(len("body")), "date": "Thu, 01 Jan 1970 00:00:00 GMT"}
	if len(got) != len(want) {
		t.Errorf("fields %v", got)
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s: %q", name, got[name])
		}
	}
	kind, length, err = f.next()
	if err != nil || kind != frameData {
		t.Fatal(kind, err)
	}
	if b, err := f.payload(length); err != nil || string(b) != "body" {
		t.Errorf("%q, %v", b, err)
	}
}
