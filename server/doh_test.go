package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/wire"
	"dens/server/intake"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// httpsClient speaks the given protocol to a server with a certificate of pool.
func httpsClient(t *testing.T, conf *tls.Config, h2 bool) *http.Client {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: conf, Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP2(h2)
	tr.Protocols.SetHTTP1(!h2)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

func TestDoHOverTLS(t *testing.T) {
	cert, pool := newCertificate(t)
	stats := new(intake.Stats)
	s := begin(t, Config{DoH: []string{"127.0.0.1:0"}, Certificate: cert, Path: "/resolve", Config: intake.Config{Stats: stats}}, newActor())
	target := "https://" + at(t, s, wire.DoH) + "/resolve"
	for _, h2 := range []bool{true, false} {
		c := httpsClient(t, &tls.Config{RootCAs: pool}, h2)
		resp, err := c.Post(target, "application/dns-message", bytes.NewReader(packed(t, question("example.org"))))
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
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
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

// TestDoHSlowBody: a client that drips its body is cut.
func TestDoHSlowBody(t *testing.T) {
	cert, pool := newCertificate(t)
	s := begin(t, Config{DoH: []string{"127.0.0.1:0"}, Certificate: cert, Config: intake.Config{Limits: intake.Limits{ReadTimeout: 2 * time.Second}}}, newActor())
	conn, err := tls.Dial("tcp", at(t, s, wire.DoH), &tls.Config{RootCAs: pool, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	write(t, conn, []byte("POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Type: application/dns-message\r\nContent-Length: 900\r\n\r\n"))
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	answer, err := io.ReadAll(conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("the connection was left open")
	}
	if bytes.Contains(answer, []byte(" 200 ")) {
		t.Errorf("answered with %q", answer)
	}
}
