package web

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

func newHandler(t *testing.T, conf Config) http.Handler {
	t.Helper()
	return New(conf)
}

func TestHealth(t *testing.T) {
	h := newHandler(t, Config{Allow: func(netip.Addr) bool { return false }})
	if w := get(t, h, "/healthz"); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func TestReadiness(t *testing.T) {
	up, down := Part{Name: "forward .", Ready: true}, Part{Name: "chain ethereum", Reason: "no <backend> \"answers\""}
	tests := []struct {
		parts  []Part
		code   int
		status string
	}{
		{nil, 503, "unready"},
		{[]Part{down}, 503, "unready"},
		{[]Part{down, up}, 200, "degraded"},
		{[]Part{up, up}, 200, "ready"},
	}
	for _, tt := range tests {
		w := get(t, newHandler(t, Config{Ready: func() []Part { return tt.parts }}), "/readyz")
		var got struct {
			Status string
			Parts  []Part
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if w.Code != tt.code || got.Status != tt.status || len(got.Parts) != len(tt.parts) || got.Parts == nil {
			t.Errorf("%v: %d %+v", tt.parts, w.Code, got)
		}
		for i, p := range got.Parts {
			if p != tt.parts[i] {
				t.Errorf("part %+v, want %+v", p, tt.parts[i])
			}
		}
	}
}

func TestGuard(t *testing.T) {
	doh := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(299) })
	h := newHandler(t, Config{
		Gatherer: prometheus.NewRegistry(), DoH: doh,
		Ready: func() []Part { return []Part{{Ready: true}} },
		Allow: func(a netip.Addr) bool { return a == netip.MustParseAddr("127.0.0.1") },
	})
	tests := []struct {
		from string
		want map[string]int
	}{
		{"127.0.0.1:5", map[string]int{"/": 200, "/readyz": 200, "/metrics": 200, "/healthz": 200, "/dns-query": 299, "/x": 404}},
		{"[::ffff:127.0.0.1]:5", map[string]int{"/": 200}},
		{"192.0.2.1:5", map[string]int{"/": 403, "/readyz": 403, "/metrics": 403, "/healthz": 200, "/dns-query": 299}},
		{"@", map[string]int{"/": 403}},
	}
	for _, tt := range tests {
		for path, want := range tt.want {
			r := httptest.NewRequest("GET", path, nil)
			r.RemoteAddr = tt.from
			r.Header.Set("X-Forwarded-For", "127.0.0.1")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s from %s: %d, want %d", path, tt.from, w.Code, want)
			}
		}
	}
	r := httptest.NewRequest("POST", "/metrics", nil)
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 405 {
		t.Errorf("POST /metrics: %d", w.Code)
	}
}

func TestDoHPath(t *testing.T) {
	doh := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Method) })
	path := "/q"
	h := newHandler(t, Config{DoH: doh, DoHPath: func() string { return path }})
	for _, method := range []string{"GET", "POST", "OPTIONS"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "/q?dns=AAAA", nil))
		if w.Body.String() != method {
			t.Errorf("%s: %d %q", method, w.Code, w.Body)
		}
	}
	if w := get(t, h, "/dns-query"); w.Code != 404 {
		t.Errorf("the default path answers %d beside another", w.Code)
	}
	path = "/dns-query"
	if w := get(t, h, "/dns-query"); w.Body.String() != "GET" {
		t.Errorf("after a reload: %d", w.Code)
	}
	if w := get(t, h, "/q"); w.Code != 404 {
		t.Errorf("the path of before answers %d", w.Code)
	}
}

// Nothing that is shown can become markup, and the policy lets in the page's own style only.
func TestPage(t *testing.T) {
	const evil = `<script>alert("x")</script>`
	reg := prometheus.NewRegistry()
	m, err := NewMetrics(reg, "1", Sources{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		m.Observe(seen(m, "udp", "hit", "", 1, 0, 0))
	}
	m.Observe(seen(m, "udp", "miss", "", 1, 0, 0))
	h := newHandler(t, Config{
		Version: evil, Started: time.Date(2026, 11, 21, 6, 0, 0, 0, time.UTC), Metrics: m,
		Ready: func() []Part { return []Part{{Name: evil, Ready: true}, {Name: "b", Reason: evil}} },
		Status: func() Status {
			return Status{
				Backends: []Backend{{Chain: evil, Name: evil, Operator: evil, State: evil, Reason: evil, Head: 4242, Lag: 7,
					Latency: 1500 * time.Microsecond, Calls: 31, Errors: 17, Up: true}},
				Upstreams: []Upstream{{Zone: evil, Name: evil, State: evil, Reason: evil, Queries: 99}},
				Recursion: Recursion{Anchors: []Anchor{{Zone: evil, Tag: 20326, State: evil, Since: time.Date(2026, 11, 1, 2, 3, 4, 0, time.UTC)}}},
				Cache:     Cache{Entries: 1234},
			}
		},
	})
	w := get(t, h, "/")
	body := w.Body.String()
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	if strings.Contains(body, "<script") {
		t.Error("markup went through")
	}
	if got := strings.Count(body, "&lt;script&gt;"); got != 14 {
		t.Errorf("%d escaped values, want 14", got)
	}
	for _, want := range []string{"2026-11-21 06:00:00 UTC", "2026-11-01 02:03:04 UTC", ">20326<", "degraded", "4242", "1.5 ms", ">31<", ">17<", ">99<", ">1234<", "75.0 %", ">4<", ">3<"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if regexp.MustCompile(`(?i)(src|href)="?(https?:|//)`).MatchString(body) {
		t.Error("the page loads something from elsewhere")
	}
	found := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(body)
	if found == nil {
		t.Fatal("no style")
	}
	sum := sha256.Sum256([]byte(found[1]))
	csp := w.Header().Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, base64.StdEncoding.EncodeToString(sum[:])) {
		t.Errorf("policy %q does not fit the style", csp)
	}
}

func TestEmptyPage(t *testing.T) {
	w := get(t, newHandler(t, Config{}), "/")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "nothing is configured") || !strings.Contains(w.Body.String(), "unready") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, k := range []string{"Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy"} {
		if w.Header().Get(k) == "" {
			t.Errorf("no %s", k)
		}
	}
	if w.Header().Get("Set-Cookie") != "" {
		t.Error("a cookie")
	}
}

func serve(t *testing.T, conf ServerConfig, h http.Handler) *Server {
	t.Helper()
	before := runtime.NumGoroutine()
	conf.Address = "127.0.0.1:0"
	s, err := Listen(conf, h)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Error(err)
		}
		for end := time.Now().Add(30 * time.Second); runtime.NumGoroutine() > before; time.Sleep(2 * time.Millisecond) {
			if time.Now().After(end) {
				stacks := make([]byte, 1<<16)
				t.Fatalf("goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
	return s
}

func client(t *testing.T, h2 bool) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(!h2)
	tr.Protocols.SetUnencryptedHTTP2(h2)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

func TestServerProtocolsAndSwap(t *testing.T) {
	s := serve(t, ServerConfig{}, newHandler(t, Config{}))
	url := "http://" + s.Addr().String() + "/healthz"
	for _, h2 := range []bool{false, true} {
		c := client(t, h2)
		resp, err := c.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if want := map[bool]int{false: 1, true: 2}[h2]; resp.StatusCode != 200 || resp.ProtoMajor != want {
			t.Errorf("%d by HTTP/%d", resp.StatusCode, resp.ProtoMajor)
		}
		c.CloseIdleConnections()
	}
	s.SetHandler(http.NotFoundHandler())
	c := client(t, false)
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 404 {
		t.Errorf("the old handler answers: %d", resp.StatusCode)
	}
	c.CloseIdleConnections()
}

func TestServerCutsSlowAndLargeHeaders(t *testing.T) {
	s := serve(t, ServerConfig{ReadTimeout: 100 * time.Millisecond, IdleTimeout: 100 * time.Millisecond}, newHandler(t, Config{}))
	for name, head := range map[string]string{
		"slow":  "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ",
		"large": "GET / HTTP/1.1\r\nHost: a\r\nX-Large: " + strings.Repeat("x", 64<<10) + "\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, head)
		_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
		b, err := io.ReadAll(conn)
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() {
			t.Errorf("%s: the connection was left open", name)
		}
		if strings.Contains(string(b), " 200 ") {
			t.Errorf("%s: answered", name)
		}
		conn.Close()
	}
}

func TestServerShutdownAnswers(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	s := serve(t, ServerConfig{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		w.WriteHeader(204)
	}))
	c := client(t, false)
	got := make(chan int, 1)
	go func() {
		resp, err := c.Get("http://" + s.Addr().String())
		if err != nil {
			t.Error(err)
			got <- 0
			return
		}
		resp.Body.Close()
		got <- resp.StatusCode
	}()
	<-begun
	time.AfterFunc(50*time.Millisecond, func() { close(release) })
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if code := <-got; code != 204 {
		t.Errorf("status %d", code)
	}
}

func TestListenErrors(t *testing.T) {
	taken, err := Listen(ServerConfig{Address: "127.0.0.1:0"}, http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		taken.Addr().String(): "address already in use", "localhost:0": "IP address", "127.0.0.1": "host:port", "": "host:port",
	} {
		if _, err := Listen(ServerConfig{Address: address}, http.NotFoundHandler()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", address, err, want)
		}
	}
	// One that never served gives its address back.
	address := taken.Addr().String()
	if err := taken.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := Listen(ServerConfig{Address: address}, http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Shutdown(t.Context())
}
