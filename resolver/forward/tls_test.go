package forward

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// dot is a DoT server; each connection is closed after `each` questions.
func dot(t testing.TB, cfg *tls.Config, each int, note func(tls.ConnectionState)) string {
	return rawTCP(t, func(c net.Conn, _ int) {
		tc := tls.Server(c, cfg)
		if tc.Handshake() != nil {
			return
		}
		note(tc.ConnectionState())
		for range each {
			m := readMsg(tc)
			if m == nil {
				return
			}
			r := respond(m, "@ 60 IN A 192.0.2.1")
			r.AuthenticatedData = true
			writeMsg(tc, r)
		}
		tc.Close()
	})
}

func TestDoT(t *testing.T) {
	c := newCerts(t)
	var mu sync.Mutex
	var states []tls.ConnectionState
	for _, name := range []string{"dns.example", "127.0.0.1"} {
		states = nil
		addr := dot(t, c.config(t, name, time.Now().Add(time.Hour), "dot"), 2, func(s tls.ConnectionState) {
			mu.Lock()
			defer mu.Unlock()
			states = append(states, s)
		})
		f := forwarder(t, Config{RootCAs: c.pool}, Upstream{Protocol: TLS, Addr: addr, ServerName: name})
		for i := range 6 {
			if a := expect(t, f, fmt.Sprintf("n%d.example.org.", i)); !a.AuthenticatedData {
				t.Error("AD was not passed on")
			}
		}
		mu.Lock()
		if len(states) != 3 || states[0].DidResume || !states[2].DidResume {
			t.Errorf("%s: %d connections, the last one resumed: %v", name, len(states), states[len(states)-1].DidResume)
		}
		if p := states[0].NegotiatedProtocol; p != "dot" {
			t.Errorf("ALPN %q", p)
		}
		mu.Unlock()
	}
}

func TestCertificates(t *testing.T) {
	c, other := newCerts(t), newCerts(t)
	soon := time.Now().Add(time.Hour)
	tests := []struct {
		name string
		cfg  *tls.Config
		want string
	}{
		{"another name", c.config(t, "dns.example.org", soon, "dot", "h2"), "certificate is for another name"},
		{"expired", c.config(t, "dns.example", time.Now().Add(-time.Hour), "dot", "h2"), "certificate has expired or is not valid yet"},
		{"another authority", other.config(t, "dns.example", soon, "dot", "h2"), "certificate is not trusted"},
		{"no such protocol", c.config(t, "dns.example", soon, "smtp"), "TLS handshake failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked := make(chan struct{}, 16)
			addr := dot(t, tt.cfg, 1, func(tls.ConnectionState) { asked <- struct{}{} })
			for _, p := range []Protocol{TLS, HTTPS} {
				f := forwarder(t, Config{RootCAs: c.pool}, Upstream{Protocol: p, Addr: addr, ServerName: "dns.example"})
				a, err := f.Resolve(t.Context(), query("www.example.org."))
				var e *resolver.Error
				if !errors.As(err, &e) || e.Code != dns.ExtendedErrorCodeNetworkError || !strings.Contains(e.Text, "dns.example: "+tt.want) {
					t.Errorf("%s: %v, error %v", p, a, err)
				}
				if _, err := f.Probe(t.Context(), 0); err == nil || err.Error() != tt.want {
					t.Errorf("%s: probe: %v", p, err)
				}
			}
		})
	}
}

func TestNoTLSAtAll(t *testing.T) {
	addr := rawTCP(t, func(c net.Conn, _ int) { c.Write([]byte("220 mail.example ESMTP\r\n")) })
	f := forwarder(t, Config{}, Upstream{Protocol: TLS, Addr: addr})
	if _, err := f.Probe(t.Context(), 0); err == nil || err.Error() != "TLS handshake failed" {
		t.Error(err)
	}
}

// doh is a DoH server of net/http with HTTP/2.
func doh(t testing.TB, cfg *tls.Config, h http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h, TLSConfig: cfg, ErrorLog: nil}
	go s.ServeTLS(l, "", "")
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

func answerHTTP(w http.ResponseWriter, r *http.Request, change func(*dns.Msg)) {
	body, _ := io.ReadAll(r.Body)
	var m dns.Msg
	if err := m.Unpack(body); err != nil {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	reply := respond(&m, "@ 60 IN A 192.0.2.1")
	reply.AuthenticatedData = true
	if change != nil {
		change(reply)
	}
	b, _ := reply.Pack()
	w.Header().Set("Content-Type", "application/dns-message")
	w.Write(b)
}

const secret = "/v2/s3cr3t-t0ken/dns-query"

func TestDoH(t *testing.T) {
	c := newCerts(t)
	var requests, conns atomic.Int32
	var remotes sync.Map
	addr := doh(t, c.config(t, "dns.example", time.Now().Add(time.Hour)), func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if _, known := remotes.LoadOrStore(r.RemoteAddr, true); !known {
			conns.Add(1)
		}
		if r.ProtoMajor != 2 || r.Method != "POST" || r.URL.Path != secret || r.URL.RawQuery != "k=1" || r.Header.Get("User-Agent") != "" ||
			r.Header.Get("Content-Type") != "application/dns-message" || !strings.HasPrefix(r.Host, "dns.example:") {
			t.Errorf("%s %s %s %s %v", r.Proto, r.Method, r.Host, r.URL, r.Header)
		}
		answerHTTP(w, r, func(m *dns.Msg) {
			if m.Id != 0 {
				t.Errorf("id %d", m.Id)
			}
		})
	})
	f := forwarder(t, Config{RootCAs: c.pool}, Upstream{Protocol: HTTPS, Addr: addr, ServerName: "dns.example", Path: secret + "?k=1"})
	if a := expect(t, f, "www.example.org."); !a.AuthenticatedData {
		t.Error("AD was not passed on")
	}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if _, err := f.Resolve(t.Context(), query(fmt.Sprintf("n%d.example.org.", i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if requests.Load() < 101 || conns.Load() != 1 {
		t.Errorf("%d requests on %d connections", requests.Load(), conns.Load())
	}
}

// What goes wrong with a DoH server is told without its URL.
func TestDoHErrors(t *testing.T) {
	c := newCerts(t)
	var elsewhere atomic.Int32
	other := doh(t, c.config(t, "dns.example", time.Now().Add(time.Hour)), func(w http.ResponseWriter, r *http.Request) {
		elsewhere.Add(1)
		answerHTTP(w, r, nil)
	})
	tests := []struct {
		name string
		h    http.HandlerFunc
		want string
	}{
		{"status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, "HTTP status 403"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://"+other+secret, http.StatusTemporaryRedirect)
		}, "HTTP status 307"},
		{"page", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>"+secret) }, "HTTP reply is no DNS message"},
		{"huge", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/dns-message")
			for range 1000 {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
		}, "HTTP reply is too long"},
		{"another question", func(w http.ResponseWriter, r *http.Request) {
			answerHTTP(w, r, func(m *dns.Msg) { m.Question[0].Name = "evil.example." })
		}, "reply is to another question"},
		{"empty", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/dns-message")
		}, "reply is to another question"},
		{"broken off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/dns-message")
			w.Header().Set("Content-Length", "100")
			w.Write(make([]byte, 50))
			panic(http.ErrAbortHandler)
		}, "exchange failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := doh(t, c.config(t, "dns.example", time.Now().Add(time.Hour)), tt.h)
			f := forwarder(t, Config{RootCAs: c.pool, Timeout: 30 * time.Second},
				Upstream{Protocol: HTTPS, Addr: addr, ServerName: "dns.example", Path: secret})
			_, err := f.Resolve(t.Context(), query("www.example.org."))
			var e *resolver.Error
			if !errors.As(err, &e) || !strings.Contains(e.Text, "dns.example: "+tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if s := fmt.Sprintf("%v %+v %v", err, f.Status(), e.Err); strings.Contains(s, "s3cr3t") {
				t.Errorf("the secret shows: %s", s)
			}
		})
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
	// Nobody there.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	f := forwarder(t, Config{}, Upstream{Protocol: HTTPS, Addr: l.Addr().String(), ServerName: "dns.example", Path: secret})
	if _, err := f.Resolve(t.Context(), query("www.example.org.")); err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("error %v", err)
	}
}

func TestPlainUpstreamHasNoAD(t *testing.T) {
	h := func(w dns.ResponseWriter, r *dns.Msg) {
		m := respond(r, "@ 60 IN A 192.0.2.1")
		m.AuthenticatedData = true
		w.WriteMsg(m)
	}
	s := serve(t, "udp,tcp", h)
	for _, p := range []Protocol{UDP, TCP} {
		f := forwarder(t, Config{}, Upstream{Protocol: p, Addr: s.addr})
		if a := expect(t, f, "www.example.org."); a.AuthenticatedData {
			t.Errorf("%s: AD was passed on", p)
		}
	}
}
