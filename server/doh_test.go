package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/wire"
	"dens/server/intake"
)

// codec is a JSONCodec on the DNS library.
type codec struct{}

func (codec) Request(v url.Values) ([]byte, error) {
	name := v.Get("name")
	if _, ok := dns.IsDomainName(name); !ok || name == "" {
		return nil, errors.New("name is no domain name")
	}
	return question(name).Pack()
}

func (codec) Reply(b []byte) ([]byte, error) {
	var m dns.Msg
	if err := m.Unpack(b); err != nil {
		return nil, err
	}
	if strings.HasPrefix(m.Question[0].Name, "odd.") {
		panic("the codec cannot do this")
	}
	return json.Marshal(map[string]any{"Status": m.Rcode, "Answers": len(m.Answer)})
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func TestDoHRequests(t *testing.T) {
	q := packed(t, question("example.org"))
	std := b64(q)
	for strings.ContainsAny(std, "+/") || len(q)%3 == 0 {
		t.Fatal("choose a question that needs padding and no special characters")
	}
	const message, plain = typeMessage, "text/plain; charset=utf-8"
	tests := []struct {
		name, method, target string
		header               string // "Key: value"
		body                 []byte
		status               int
		contentType          string
	}{
		{"GET", "GET", "/dns-query?dns=" + std, "", nil, 200, message},
		{"GET with padding", "GET", "/dns-query?dns=" + base64.URLEncoding.EncodeToString(q), "", nil, 200, message},
		{"HEAD", "HEAD", "/dns-query?dns=" + std, "", nil, 200, message},
		{"POST", "POST", "/dns-query", "Content-Type: application/dns-message", q, 200, message},
		{"POST, parameters", "POST", "/dns-query", "Content-Type: Application/DNS-Message; x=y", q, 200, message},
		{"JSON", "GET", "/dns-query?name=example.org&type=A", "", nil, 200, typeJSON},
		{"JSON by header", "GET", "/dns-query?name=example.org", "Accept: application/dns-json", nil, 200, typeJSON},
		{"JSON by ct", "GET", "/dns-query?name=example.org&ct=application/dns-json", "Accept: application/dns-message", nil, 200, typeJSON},
		{"message by ct", "GET", "/dns-query?name=example.org&ct=application/dns-message", "", nil, 200, message},
		{"message by header", "GET", "/dns-query?name=example.org", "Accept: application/dns-message", nil, 200, message},
		{"preflight", "OPTIONS", "/dns-query", "Origin: https://example.org", nil, 204, ""},

		{"no parameter", "GET", "/dns-query", "", nil, 400, plain},
		{"bad query string", "GET", "/dns-query?dns=%zz", "", nil, 400, plain},
		{"two parameters", "GET", "/dns-query?dns=" + std + "&dns=" + std, "", nil, 400, plain},
		{"no base64", "GET", "/dns-query?dns=!!!", "", nil, 400, plain},
		{"base64 of the other alphabet", "GET", "/dns-query?dns=%2B%2F%2B%2F" + std, "", nil, 400, plain},
		{"line feed in base64", "GET", "/dns-query?dns=%0A" + std, "", nil, 400, plain},
		{"empty", "GET", "/dns-query?dns=", "", nil, 400, plain},
		{"short", "GET", "/dns-query?dns=AAAA", "", nil, 400, plain},
		{"a reply", "GET", "/dns-query?dns=" + b64(packed(t, new(dns.Msg).SetReply(question("a")))), "", nil, 400, plain},
		{"silence", "GET", "/dns-query?dns=" + b64(packed(t, question("silent"))), "", nil, 400, plain},
		{"too long", "GET", "/dns-query?dns=" + strings.Repeat("A", 90000), "", nil, 413, plain},
		{"bad name", "GET", "/dns-query?name=", "", nil, 400, plain},
		{"bad ct", "GET", "/dns-query?name=a&ct=text/html", "", nil, 415, plain},
		{"other path", "GET", "/?dns=" + std, "", nil, 404, plain},
		{"PUT", "PUT", "/dns-query", "Content-Type: application/dns-message", q, 405, plain},
		{"no type", "POST", "/dns-query", "", q, 415, plain},
		{"form", "POST", "/dns-query", "Content-Type: application/x-www-form-urlencoded", q, 415, plain},
		{"empty body", "POST", "/dns-query", "Content-Type: application/dns-message", nil, 400, plain},
		{"long body", "POST", "/dns-query", "Content-Type: application/dns-message", make([]byte, 65536), 413, plain},
		{"codec panics", "GET", "/dns-query?name=odd.example", "", nil, 500, plain},
		{"handler panics", "GET", "/dns-query?dns=" + b64(packed(t, question("panic"))), "", nil, 200, message},
	}
	s := New(Config{JSON: codec{}}, newActor())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, tt.target, bytes.NewReader(tt.body))
			if k, v, ok := strings.Cut(tt.header, ": "); ok {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			s.DoH().ServeHTTP(w, r)
			if w.Code != tt.status || w.Header().Get("Content-Type") != tt.contentType {
				t.Fatalf("status %d, type %q; want %d, %q", w.Code, w.Header().Get("Content-Type"), tt.status, tt.contentType)
			}
			if w.Header().Get("Set-Cookie") != "" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers %v", w.Header())
			}
			if tt.status != 404 && w.Header().Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("pages may not read this: %v", w.Header())
			}
			if tt.contentType == message && tt.method != "HEAD" {
				if err := new(dns.Msg).Unpack(w.Body.Bytes()); err != nil {
					t.Error(err)
				}
			}
			if s.in.Load().Stream != 0 || s.in.Load().Large != 0 {
				t.Error("a place was not given back")
			}
		})
	}
}

func TestDoHLargePost(t *testing.T) {
	stats := new(intake.Stats)
	a := newActor()
	s := New(Config{Config: intake.Config{Stats: stats, Limits: intake.Limits{MaxLarge: 1}}}, a)
	q := question("slow.example")
	q.SetEdns0(1232, false)
	q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_PADDING{Padding: make([]byte, 60000)})
	post := func() *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/dns-query", bytes.NewReader(packed(t, q)))
		r.ContentLength = -1 // as with chunks
		r.Header.Set("Content-Type", typeMessage)
		w := httptest.NewRecorder()
		s.DoH().ServeHTTP(w, r)
		return w
	}
	first := make(chan int)
	go func() { first <- post().Code }()
	<-a.slow
	if w := post(); w.Code != 503 || w.Header().Get("Retry-After") == "" || stats.Shed.Load() != 1 {
		t.Errorf("status %d, %d shed; want 503 and one", w.Code, stats.Shed.Load())
	}
	close(a.release)
	if code := <-first; code != 200 {
		t.Errorf("status %d", code)
	}
	if code := post().Code; code != 200 {
		t.Errorf("status %d after the place was given back", code)
	}
}

func TestDoHShedsWhenFull(t *testing.T) {
	s := New(Config{Config: intake.Config{Limits: intake.Limits{MaxStream: 1}}}, newActor())
	if !s.in.EnterStream() {
		t.Fatal("no room")
	}
	get := func() int {
		w := httptest.NewRecorder()
		s.DoH().ServeHTTP(w, httptest.NewRequest("GET", "/dns-query?dns="+b64(packed(t, question("a"))), nil))
		return w.Code
	}
	if got := get(); got != 503 {
		t.Errorf("status %d, want 503", got)
	}
	s.in.LeaveStream()
	if got := get(); got != 200 {
		t.Errorf("status %d, want 200", got)
	}
}

// TestDoHSlowBodyTakesNoPlace: a client that does not end its body keeps nobody else from being answered.
func TestDoHSlowBodyTakesNoPlace(t *testing.T) {
	s := New(Config{Config: intake.Config{Limits: intake.Limits{MaxStream: 1}}}, newActor())
	body, rest := io.Pipe()
	slow := httptest.NewRequest("POST", "/dns-query", body)
	slow.Header.Set("Content-Type", typeMessage)
	ended := make(chan int)
	go func() {
		w := httptest.NewRecorder()
		s.DoH().ServeHTTP(w, slow)
		ended <- w.Code
	}()
	q := packed(t, question("example.org"))
	if _, err := rest.Write(q[:5]); err != nil { // returns once it was read: the request is under way
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.DoH().ServeHTTP(w, httptest.NewRequest("GET", "/dns-query?dns="+b64(q), nil))
	if w.Code != http.StatusOK {
		t.Errorf("while another sends its body: status %d", w.Code)
	}
	if _, err := rest.Write(q[5:]); err != nil {
		t.Fatal(err)
	}
	rest.Close()
	if code := <-ended; code != http.StatusOK {
		t.Errorf("the slow one: status %d", code)
	}
}

// httpsClient speaks the given protocol to a server with a certificate of pool.
func httpsClient(t *testing.T, conf *tls.Config, h2 bool) *http.Client {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: conf, Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP2(h2)
	tr.Protocols.SetHTTP1(!h2)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 4 * time.Second}
}

func TestDoHOverTLS(t *testing.T) {
	cert, pool := newCertificate(t)
	stats := new(intake.Stats)
	s := begin(t, Config{DoH: []string{"127.0.0.1:0"}, Certificate: cert, Path: "/resolve", Config: intake.Config{Stats: stats}}, newActor())
	target := "https://" + at(t, s, wire.DoH) + "/resolve"
	for _, h2 := range []bool{true, false} {
		c := httpsClient(t, &tls.Config{RootCAs: pool}, h2)
		resp, err := c.Post(target, typeMessage, bytes.NewReader(packed(t, question("example.org"))))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{true: 2, false: 1}[h2]; resp.ProtoMajor != want {
			t.Errorf("HTTP/%d, want %d", resp.ProtoMajor, want)
		}
		m := new(dns.Msg)
		if err := m.Unpack(body); err != nil {
			t.Fatal(err)
		}
		if got := who(t, m); got != "doh 127.0.0.1" {
			t.Errorf("asked by %q", got)
		}
		if got := resp.Header.Get("Cache-Control"); got != "max-age=120" {
			t.Errorf("Cache-Control %q, want the smaller TTL", got)
		}
		c.CloseIdleConnections()
	}
	wait(t, "the connections to be counted", func() bool {
		c := stats.Conns()[2]
		return c.Protocol == wire.DoH && c.Opened == 2 && c.Open == 0
	})
}

// Requests under way are answered when the server shuts down.
func TestDoHShutdownAnswers(t *testing.T) {
	cert, pool := newCertificate(t)
	a := newActor()
	s := begin(t, Config{DoH: []string{"127.0.0.1:0"}, Certificate: cert}, a)
	c := httpsClient(t, &tls.Config{RootCAs: pool}, true)
	got := make(chan error, 1)
	go func() {
		resp, err := c.Get("https://" + at(t, s, wire.DoH) + "/dns-query?dns=" + b64(packed(t, question("slow.example"))))
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		got <- err
	}()
	<-a.slow
	time.AfterFunc(50*time.Millisecond, func() { close(a.release) })
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestDoHIdleConnectionMakesRoom(t *testing.T) {
	cert, pool := newCertificate(t)
	stats := new(intake.Stats)
	s := begin(t, Config{DNS: []string{"127.0.0.1:0"}, DoH: []string{"127.0.0.1:0"}, Certificate: cert, Config: intake.Config{Stats: stats, Limits: intake.Limits{MaxConns: 1}}}, newActor())
	c := httpsClient(t, &tls.Config{RootCAs: pool}, true)
	resp, err := c.Get("https://" + at(t, s, wire.DoH) + "/dns-query?dns=" + b64(packed(t, question("a"))))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	wait(t, "the idle connection to make room", func() bool {
		c := &dns.Client{Net: "tcp", Timeout: 3 * time.Second}
		_, _, err := c.Exchange(question("example.org"), at(t, s, wire.TCP))
		return err == nil
	})
	if got := stats.Conns()[2]; got.Evicted != 1 {
		t.Errorf("counted %+v, want one evicted", got)
	}
}

func TestHTTPPeer(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:5": "127.0.0.1:5", "[::ffff:10.0.0.1]:5": "10.0.0.1:5", "[fe80::1%eth0]:5": "[fe80::1%eth0]:5", "@": "invalid AddrPort",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = in
		r.Header.Set("X-Forwarded-For", "127.0.0.1")
		if got := httpPeer(r); got.Addr.String() != want || got.Protocol != wire.DoH {
			t.Errorf("%s: %v, want %s", in, got, want)
		}
	}
}

// FuzzReadGet: what is taken is what one gets by the letter of RFC 8484, and what is made by its letter
// is taken.
func FuzzReadGet(f *testing.F) {
	f.Add("dns="+b64(packed(f, question("example.org"))), "")
	f.Add("dns=AAA=&ct=x", "application/dns-json")
	f.Add("name=example.org&type=AAAA&do=1", "application/dns-message")
	f.Add("dns=%0a;", "*/*")
	f.Fuzz(func(t *testing.T, raw, accept string) {
		q, err := readGet(raw, accept, codec{})
		if err != nil {
			var he *httpError
			if !errors.As(err, &he) || he.status < 400 || he.status > 499 || q.msg != nil {
				t.Fatalf("error %v with %v", err, q)
			}
		} else if len(q.msg) > maxMessage {
			t.Fatalf("%d octets", len(q.msg))
		}
		if v, perr := url.ParseQuery(raw); err == nil && perr == nil && v.Has("dns") {
			// One form only, but for the padding and the bits that no octet holds.
			text := strings.TrimRight(v.Get("dns"), "=")
			if back := b64(q.msg); len(back) != len(text) || len(back) > 0 && back[:len(back)-1] != text[:len(text)-1] {
				t.Fatalf("%q was read as %q", text, back)
			}
		}
		if msg := []byte(raw); len(msg) <= maxMessage {
			back, err := readGet("dns="+b64(msg), accept, nil)
			if err != nil || !bytes.Equal(back.msg, msg) {
				t.Fatalf("%x came back as %x, %v", msg, back.msg, err)
			}
		}
	})
}

// TestDoHSlowBody: a client that drips its body is cut.
func TestDoHSlowBody(t *testing.T) {
	cert, pool := newCertificate(t)
	s := begin(t, Config{DoH: []string{"127.0.0.1:0"}, Certificate: cert, Config: intake.Config{Limits: intake.Limits{ReadTimeout: 100 * time.Millisecond}}}, newActor())
	conn, err := tls.Dial("tcp", at(t, s, wire.DoH), &tls.Config{RootCAs: pool, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	write(t, conn, []byte("POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Type: application/dns-message\r\nContent-Length: 900\r\n\r\n"))
	_ = conn.SetReadDeadline(time.Now().Add(3 * time.Second))
	answer, err := io.ReadAll(conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("the connection was left open")
	}
	if bytes.Contains(answer, []byte(" 200 ")) {
		t.Errorf("answered with %q", answer)
	}
}
