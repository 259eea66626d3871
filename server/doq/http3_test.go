package doq

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"dens/internal/wire"
	"dens/server/intake"
)

// browser returns a client of HTTP/3.
func (f *fixture) browser(t testing.TB) *http.Client {
	t.Helper()
	tr := transport(t, "127.0.0.1")
	rt := &http3.Transport{
		TLSClientConfig: f.clientTLS(ProtoHTTP3),
		Dial: func(ctx context.Context, _ string, conf *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			return tr.DialEarly(ctx, net.UDPAddrFromAddrPort(f.Addr()), conf, qc)
		},
	}
	t.Cleanup(func() { rt.Close() })
	return &http.Client{Transport: rt, Timeout: 10 * time.Second}
}

// fetch asks one question by GET.
func fetch(c *http.Client, name string) (*dns.Msg, error) {
	octets, err := question(name).Pack()
	if err != nil {
		return nil, err
	}
	resp, err := c.Get("https://dens.test/dns-query?dns=" + base64.RawURLEncoding.EncodeToString(octets))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 3 {
		return nil, fmt.Errorf("%s %s: %s", resp.Proto, resp.Status, body)
	}
	m := new(dns.Msg)
	return m, m.Unpack(body)
}

func TestHTTP3(t *testing.T) {
	f := begin(t, intake.Limits{})
	c := f.browser(t)
	m, err := fetch(c, "miss.example")
	if err != nil || who(m) != "doh3 127.0.0.1" {
		t.Errorf("GET: %v, %v", m, err)
	}
	if m, err = fetch(c, "big.example"); err != nil || len(m.Answer) != 801 {
		t.Errorf("a long reply: %v", err)
	}
	octets, err := question("hit.example").Pack()
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Post("https://dens.test/dns-query", "application/dns-message", bytes.NewReader(octets))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("POST: %s", resp.Status)
	}
	if got := f.stats.Conns()[wire.DoH3-wire.TCP]; got.Opened != 1 || got.Open != 1 {
		t.Errorf("connections: %+v", got)
	}
}

func TestHTTP3ManyAtOnce(t *testing.T) {
	f := begin(t, intake.Limits{})
	var group sync.WaitGroup
	for n := range 4 {
		c := f.browser(t)
		for i := range 50 {
			group.Go(func() {
				name := fmt.Sprintf("%s%d-%d.example.", []string{"hit", "miss"}[i%2], n, i)
				if m, err := fetch(c, name); err != nil || m.Question[0].Name != name {
					t.Errorf("%s: %v, %v", name, m, err)
				}
			})
		}
	}
	group.Wait()
}

// TestHTTP3Stalled leaves a header and a body unfinished.
func TestHTTP3Stalled(t *testing.T) {
	f := begin(t, intake.Limits{ReadTimeout: 2 * time.Second})
	c := f.browser(t)
	pipe, w := io.Pipe()
	defer w.Close()
	resp, err := c.Post("https://dens.test/dns-query", "application/dns-message", pipe)
	if err == nil {
		defer resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("half a body got %s", resp.Status)
		}
	}
	if _, err := fetch(c, "hit.example"); err != nil {
		t.Errorf("another request: %v", err)
	}
	q := f.dial(t, ProtoHTTP3)
	str, err := q.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := str.Write([]byte{1, 0x40}); err != nil { // a HEADERS frame, and half of its length
		t.Fatal(err)
	}
	_ = str.SetReadDeadline(time.Now().Add(10 * time.Second))
	var reset *quic.StreamError
	if _, err := str.Read(make([]byte, 1)); !errors.As(err, &reset) || !reset.Remote {
		t.Errorf("half a header ended with %v", err)
	}
}

func TestHTTP3Drain(t *testing.T) {
	f := begin(t, intake.Limits{})
	c := f.browser(t)
	if _, err := fetch(c, "hit.example"); err != nil {
		t.Fatal(err)
	}
	idle := f.dial(t, ProtoHTTP3)
	slow := make(chan error, 1)
	go func() {
		_, err := fetch(c, "slow.example")
		slow <- err
	}()
	<-f.actor.slow
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		f.Drain(context.Background())
	}()
	if code := ended(t, idle); code != h3Codes.noError {
		t.Errorf("an idle connection was closed with %#x", code)
	}
	close(f.actor.release)
	if err := <-slow; err != nil {
		t.Errorf("a request under way ended with %v", err)
	}
	<-drained
}
