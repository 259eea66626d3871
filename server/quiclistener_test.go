package server

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"dens/internal/wire"
)

// quicDial connects to addr from a socket of its own.
func quicDial(t *testing.T, addr, protocol string) (*quic.Conn, error) {
	t.Helper()
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	socket, err := net.ListenUDP("udp", nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &quic.Transport{Conn: socket}
	t.Cleanup(func() {
		tr.Close()
		socket.Close()
	})
	return tr.Dial(ctx, to, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}, nil)
}

func askDoQ(t *testing.T, q *quic.Conn, name string) *dns.Msg {
	t.Helper()
	m := question(name)
	m.Id = 0
	msg := packed(t, m)
	str, err := q.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := str.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)); err != nil {
		t.Fatal(err)
	}
	str.Close()
	_ = str.SetReadDeadline(time.Now().Add(30 * time.Second))
	b, err := io.ReadAll(str)
	if err != nil || len(b) < 2 {
		t.Fatalf("%d octets, %v", len(b), err)
	}
	r := new(dns.Msg)
	if err := r.Unpack(b[2:]); err != nil {
		t.Fatal(err)
	}
	return r
}

func askHTTP3(t *testing.T, rt *http3.Transport, addr, name string) *dns.Msg {
	t.Helper()
	c := &http.Client{Transport: rt, Timeout: 30 * time.Second}
	resp, err := c.Get("https://" + addr + "/dns-query?dns=" + base64.RawURLEncoding.EncodeToString(packed(t, question(name))))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", resp.Status, err)
	}
	r := new(dns.Msg)
	if err := r.Unpack(b); err != nil {
		t.Fatal(err)
	}
	return r
}

func newHTTP3(t *testing.T) *http3.Transport {
	rt := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(func() { rt.Close() })
	return rt
}

// TestQUIC has DNS over QUIC and HTTP/3 on one socket, and takes one of them away, and the other.
func TestQUIC(t *testing.T) {
	cert, _ := newCertificate(t)
	both := Config{DoH: []string{"127.0.0.1:0"}, DoQ: []string{"127.0.0.1:0"}, Certificate: cert}
	s := begin(t, both, newActor())
	addr := at(t, s, wire.DoQ)
	for _, p := range []wire.Protocol{wire.DoH, wire.DoH3} {
		if got := at(t, s, p); got != addr {
			t.Errorf("%s listens on %s, not on %s", p, got, addr)
		}
	}
	q, err := quicDial(t, addr, "doq")
	if err != nil {
		t.Fatal(err)
	}
	if got := who(t, askDoQ(t, q, "a.example")); got != "doq 127.0.0.1" {
		t.Errorf("the handler saw %q", got)
	}
	rt := newHTTP3(t)
	if got := who(t, askHTTP3(t, rt, addr, "a.example")); got != "doh3 127.0.0.1" {
		t.Errorf("the handler saw %q", got)
	}

	without := both
	without.DoQ = nil
	if err := s.Reconfigure(without); err != nil {
		t.Fatal(err)
	}
	var closed *quic.ApplicationError
	select {
	case <-q.Context().Done():
	case <-time.After(30 * time.Second):
		t.Fatal("DNS over QUIC goes on after it was turned off")
	}
	if err := context.Cause(q.Context()); !errors.As(err, &closed) || closed.ErrorCode != 0 {
		t.Errorf("its connection ended with %v", err)
	}
	var alert *quic.TransportError
	if _, err := quicDial(t, addr, "doq"); !errors.As(err, &alert) || alert.ErrorCode != 0x100+120 { // no_application_protocol
		t.Errorf("a new one got %v", err)
	}
	askHTTP3(t, rt, addr, "b.example")
	if err := s.Reconfigure(both); err != nil {
		t.Fatal(err)
	}
	if q, err = quicDial(t, addr, "doq"); err != nil {
		t.Fatal(err)
	}
	without = both
	without.DoH = nil
	if err := s.Reconfigure(without); err != nil {
		t.Fatal(err)
	}
	askDoQ(t, q, "c.example")
}

// TestAltSvc has clients that come by TCP told of HTTP/3, and nobody else.
func TestAltSvc(t *testing.T) {
	cert, _ := newCertificate(t)
	s := begin(t, Config{DoH: []string{"127.0.0.1:0"}, Certificate: cert}, newActor())
	addr := at(t, s, wire.DoH)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	target := "https://" + addr + "/dns-query?dns=" + base64.RawURLEncoding.EncodeToString(packed(t, question("a.example")))
	insecure := &tls.Config{InsecureSkipVerify: true}
	h1, h2 := new(http.Protocols), new(http.Protocols)
	h1.SetHTTP1(true)
	h2.SetHTTP2(true)
	first := &http.Transport{TLSClientConfig: insecure.Clone(), Protocols: h1}
	second := &http.Transport{TLSClientConfig: insecure.Clone(), Protocols: h2}
	defer first.CloseIdleConnections()
	defer second.CloseIdleConnections()
	want := `h3=":` + port + `"; ma=86400`
	for _, tt := range []struct {
		rt   http.RoundTripper
		want []string // of one response after the other, on one connection
	}{{first, []string{want, want}}, {second, []string{want, ""}}, {newHTTP3(t), []string{""}}} {
		c := &http.Client{Transport: tt.rt, Timeout: 30 * time.Second}
		for n, want := range tt.want {
			resp, err := c.Get(target)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Error(err)
			}
			resp.Body.Close()
			if got := resp.Header.Get("Alt-Svc"); got != want || resp.StatusCode != http.StatusOK {
				t.Errorf("%s, response %d: %s, %q", resp.Proto, n, resp.Status, got)
			}
		}
	}
}

// TestQUICFromTheAddressAsked asks a wildcard listener at an address that is not the one it would choose.
func TestQUICFromTheAddressAsked(t *testing.T) {
	cert, _ := newCertificate(t)
	s := begin(t, Config{DoQ: []string{"0.0.0.0:0"}, DoH: []string{":0"}, Certificate: cert}, newActor())
	port := func(p wire.Protocol) uint16 { return netip.MustParseAddrPort(at(t, s, p)).Port() }
	q, err := quicDial(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), port(wire.DoQ)).String(), "doq")
	if err != nil {
		t.Fatal(err)
	}
	askDoQ(t, q, "a.example")
	for _, host := range []string{"127.0.0.2", "::1"} {
		to := netip.AddrPortFrom(netip.MustParseAddr(host), port(wire.DoH3)).String()
		askHTTP3(t, newHTTP3(t), to, "a.example")
	}
}

func TestQUICRefusesAddresses(t *testing.T) {
	cert, _ := newCertificate(t)
	for _, tt := range []struct {
		conf Config
		want string
	}{
		{Config{DoQ: []string{"127.0.0.1:0"}}, "certificate"},
		{Config{DoQ: []string{"127.0.0.1:53"}, Certificate: cert}, "port 53"},
		{Config{DoQ: []string{"127.0.0.1:0", "127.0.0.1:0"}, Certificate: cert}, "listed twice"},
		{Config{DoQ: []string{"localhost:853"}, Certificate: cert}, "no IP address"},
	} {
		err := New(tt.conf, newActor()).Start()
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v", tt.conf.DoQ, err)
		}
	}
}

// TestKdig asks with a client that has nothing in common with the server's code.
func TestKdig(t *testing.T) {
	kdig, err := exec.LookPath("kdig")
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := newCertificate(t)
	s := begin(t, Config{DoQ: []string{"127.0.0.1:0"}, Certificate: cert}, newActor())
	_, port, err := net.SplitHostPort(at(t, s, wire.DoQ))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, kdig, "+quic", "+padding", "@127.0.0.1", "-p", port, "a.example", "A").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "doq 127.0.0.1") {
		t.Errorf("%v\n%s", err, out)
	}
}
