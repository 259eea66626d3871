package doh

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dens/server/intake"
)

func newResource(t testing.TB, conf intake.Config, a *actor) *Resource {
	in := intake.New(conf, a)
	t.Cleanup(in.Close)
	return New(in, Config{Path: "/dns-query{?dns}", JSON: codec{}, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
}

func TestRequests(t *testing.T) {
	q := packed(t, question("example.org"))
	std := b64(q)
	for strings.ContainsAny(std, "+/") || len(q)%3 == 0 {
		t.Fatal("choose a question that needs padding and no special characters")
	}
	const message, plain = typeMessage, typeText
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
		{"a reply", "GET", "/dns-query?dns=" + b64(packed(t, new(dns.Msg).SetReply(question("late")))), "", nil, 400, plain},
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
	res := newResource(t, intake.Config{}, newActor())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, tt.target, bytes.NewReader(tt.body))
			if k, v, ok := strings.Cut(tt.header, ": "); ok {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			res.Handler().ServeHTTP(w, r)
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
			if res.in.Load().Stream != 0 || res.in.Load().Large != 0 {
				t.Error("a place was not given back")
			}
		})
	}
}

func TestLargePost(t *testing.T) {
	stats := new(intake.Stats)
	a := newActor()
	res := newResource(t, intake.Config{Stats: stats, Limits: intake.Limits{MaxLarge: 1}}, a)
	q := question("slow.example")
	q.SetEdns0(1232, false)
	q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_PADDING{Padding: make([]byte, 60000)})
	post := func() *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/dns-query", bytes.NewReader(packed(t, q)))
		r.ContentLength = -1 // as with chunks
		r.Header.Set("Content-Type", typeMessage)
		w := httptest.NewRecorder()
		res.Handler().ServeHTTP(w, r)
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

func TestShedsWhenFull(t *testing.T) {
	res := newResource(t, intake.Config{Limits: intake.Limits{MaxStream: 1}}, newActor())
	if !res.in.EnterStream() {
		t.Fatal("no room")
	}
	get := func() int {
		w := httptest.NewRecorder()
		res.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/dns-query?dns="+b64(packed(t, question("late"))), nil))
		return w.Code
	}
	if got := get(); got != 503 {
		t.Errorf("status %d, want 503", got)
	}
	res.in.LeaveStream()
	if got := get(); got != 200 {
		t.Errorf("status %d, want 200", got)
	}
}

// TestSlowBodyTakesNoPlace: a client that does not end its body keeps nobody else from being answered.
func TestSlowBodyTakesNoPlace(t *testing.T) {
	res := newResource(t, intake.Config{Limits: intake.Limits{MaxStream: 1}}, newActor())
	body, rest := io.Pipe()
	slow := httptest.NewRequest("POST", "/dns-query", body)
	slow.Header.Set("Content-Type", typeMessage)
	ended := make(chan int)
	go func() {
		w := httptest.NewRecorder()
		res.Handler().ServeHTTP(w, slow)
		ended <- w.Code
	}()
	q := packed(t, question("late.example"))
	if _, err := rest.Write(q[:5]); err != nil { // returns once it was read: the request is under way
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	res.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/dns-query?dns="+b64(q), nil))
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

// TestProxy: a reverse proxy reaches the resource by HTTP/2 without TLS, and says who asks.
func TestProxy(t *testing.T) {
	res := newResource(t, intake.Config{}, newActor())
	inner := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("asked by %s", r.Proto)
		}
		res.Handler().ServeHTTP(w, r)
	}))
	inner.Config.Protocols = new(http.Protocols)
	inner.Config.Protocols.SetUnencryptedHTTP2(true)
	inner.Start()
	defer inner.Close()
	target, err := url.Parse(inner.URL)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{Protocols: inner.Config.Protocols}
	defer tr.CloseIdleConnections()
	outer := httptest.NewServer(&httputil.ReverseProxy{Transport: tr, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
		r.SetXForwarded()
	}})
	defer outer.Close()
	for claim, want := range map[string]string{
		"":                           "doh 127.0.0.1",
		"192.0.2.9":                  "doh 192.0.2.9", // the proxy adds 127.0.0.1, which is one of ours
		"192.0.2.1, 192.0.2.9":       "doh 192.0.2.9",
		"192.0.2.1, [2001:db8::1]:5": "doh 2001:db8::1",
		"192.0.2.1, unknown":         "doh invalid IP",
	} {
		req, err := http.NewRequest("GET", outer.URL+"/dns-query?dns="+b64(packed(t, question("late.example"))), nil)
		if err != nil {
			t.Fatal(err)
		}
		if claim != "" {
			req.Header.Set("X-Forwarded-For", claim)
		}
		resp, err := outer.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got := who(t, body); got != want {
			t.Errorf("%q: asked by %q, want %q", claim, got, want)
		}
	}
}

func TestPeerOf(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:5": "127.0.0.1:5", "[::ffff:10.0.0.1]:5": "10.0.0.1:5", "[fe80::1%eth0]:5": "[fe80::1%eth0]:5", "@": "invalid AddrPort",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = in
		if got := peerOf(r); got.Addr.String() != want || got.Protocol.String() != "doh" {
			t.Errorf("%s: %v, want %s", in, got, want)
		}
		r.ProtoMajor = 3
		if got := peerOf(r); got.Protocol.String() != "doh3" {
			t.Errorf("HTTP/3: %v", got)
		}
	}
}
