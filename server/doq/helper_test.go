package doq

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"

	"dens/internal/wire"
	"dens/server/intake"
)

// actor answers by the first label of the question: slow waits, big is long, panic panics, silent has no
// reply, hit is at hand. All others have, as text, who asked.
type actor struct {
	release chan struct{} // closed to let slow go on
	slow    chan struct{} // gets something for each slow question
	gone    atomic.Int64  // slow questions whose client went away
}

func newActor() *actor {
	return &actor{release: make(chan struct{}), slow: make(chan struct{}, 10000)}
}

func (a *actor) Hit(q *wire.Query, buf []byte) ([]byte, bool) {
	if q.Kind != wire.Plain {
		return q.AppendStatus(buf[:0], q.Msg, wire.Status{Rcode: q.Rcode}), true
	}
	if strings.HasPrefix(string(q.Name(q.Msg)), "\x03hit") {
		return q.AppendStatus(buf[:0], q.Msg, wire.Status{}), true
	}
	return buf[:0], false
}

func (a *actor) Miss(ctx context.Context, query *wire.Query, buf []byte) []byte {
	var q dns.Msg
	if err := q.Unpack(query.Msg); err != nil || len(q.Question) != 1 {
		return nil
	}
	m := new(dns.Msg).SetReply(&q)
	name := q.Question[0].Name
	text := func(text string) {
		hdr := dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60}
		m.Answer = append(m.Answer, &dns.TXT{Hdr: hdr, Txt: []string{text}})
	}
	switch label, _, _ := strings.Cut(name, "."); label {
	case "slow":
		a.slow <- struct{}{}
		select {
		case <-a.release:
		case <-ctx.Done():
			a.gone.Add(1)
			return nil
		}
	case "big":
		for i := range 800 {
			text(fmt.Sprintf("%04d %s", i, strings.Repeat("x", 60)))
		}
	case "panic":
		panic("the actor was asked to")
	case "silent":
		return nil
	}
	text(query.From.Protocol.String() + " " + query.From.Addr.Addr().String())
	m.Compress = true
	out, err := m.PackBuffer(buf[:cap(buf)])
	if err != nil {
		panic(err)
	}
	return out
}

// fixture is a Listener and what it needs.
type fixture struct {
	*Listener
	in     *intake.Intake
	stats  *intake.Stats
	actor  *actor
	roots  *x509.CertPool
	served atomic.Int64 // a bit for each protocol that is not served
}

func (f *fixture) serves(p wire.Protocol) bool { return f.served.Load()&(1<<p) == 0 }

// begin starts a Listener on loopback. The test fails if goroutines outlive it.
func begin(t testing.TB, limits intake.Limits) *fixture {
	t.Helper()
	return beginAt(t, limits, "127.0.0.1")
}

func beginAt(t testing.TB, limits intake.Limits, host string) *fixture {
	t.Helper()
	before := runtime.NumGoroutine()
	stats := new(intake.Stats)
	f := &fixture{stats: stats, actor: newActor()}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	f.in = intake.New(intake.Config{Limits: limits, Stats: stats, Log: log}, f.actor)
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
	if err != nil {
		t.Fatal(err)
	}
	var cert tls.Certificate
	cert, f.roots = certificate(t)
	f.Listener = New(f.in, socket, Config{
		TLS:     &tls.Config{Certificates: []tls.Certificate{cert}},
		Handler: http.HandlerFunc(f.serveDoH),
		Serves:  f.serves,
	})
	go f.Serve()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if !f.isDraining() { // a test that looks at the outcome calls it itself
			f.Drain(ctx)
		}
		f.in.Close()
		wait(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
		for _, c := range stats.Conns() {
			if c.Open != 0 {
				t.Errorf("%d connections of %s are still counted", c.Open, c.Protocol)
			}
		}
		if load := f.in.Load(); load != (intake.Load{}) {
			t.Errorf("requests are still counted: %+v", load)
		}
		f.shakes.mu.Lock()
		defer f.shakes.mu.Unlock()
		if f.shakes.pending != 0 || len(f.shakes.clients) != 0 {
			t.Errorf("%d handshakes are still counted", f.shakes.pending)
		}
	})
	return f
}

// serveDoH is the smallest DNS over HTTPS.
func (f *fixture) serveDoH(w http.ResponseWriter, r *http.Request) {
	var msg []byte
	var err error
	if r.Method == http.MethodPost {
		msg, err = io.ReadAll(r.Body)
	} else {
		msg, err = base64.RawURLEncoding.DecodeString(r.URL.Query().Get("dns"))
	}
	if err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		panic(err)
	}
	q := &wire.Query{Msg: msg, From: wire.Peer{Addr: addr, Protocol: wire.DoH3}, Start: time.Now()}
	reply, ok := f.in.Answer(r.Context(), q, nil)
	if !ok || len(reply) == 0 {
		http.Error(w, "no reply", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/dns-message")
	w.Write(reply) //nolint:errcheck // the client's loss
}

func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "dens test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"dens.test"},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots
}

func (f *fixture) clientTLS(protocol string) *tls.Config {
	return &tls.Config{RootCAs: f.roots, ServerName: "dens.test", NextProtos: []string{protocol}}
}

// dial connects with a socket of its own.
func (f *fixture) dial(t testing.TB, protocol string) *quic.Conn {
	t.Helper()
	q, err := f.tryDial(t, protocol)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	return q
}

func (f *fixture) tryDial(t testing.TB, protocol string) (*quic.Conn, error) {
	t.Helper()
	tr := transport(t, "127.0.0.1")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return tr.Dial(ctx, net.UDPAddrFromAddrPort(f.Addr()), f.clientTLS(protocol), nil)
}

// transport is a client's socket. It is closed before the Listener.
func transport(t testing.TB, host string) *quic.Transport {
	t.Helper()
	quietBuffers()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
	if err != nil {
		t.Fatal(err)
	}
	tr := &quic.Transport{Conn: socket}
	t.Cleanup(func() {
		tr.Close()
		socket.Close()
	})
	return tr
}

func question(name string) *dns.Msg {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeTXT)
	m.Id = 0
	return m
}

// packed is a message with its length before it.
func packed(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

// send opens a stream and writes to it, with FIN.
func send(t testing.TB, q *quic.Conn, octets []byte) *quic.Stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	str, err := q.OpenStreamSync(ctx)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	if _, err := str.Write(octets); err != nil {
		t.Fatalf("write: %v", err)
	}
	str.Close()
	return str
}

// receive reads the one reply of a stream.
func receive(str *quic.Stream) (*dns.Msg, error) {
	_ = str.SetReadDeadline(time.Now().Add(30 * time.Second))
	b, err := io.ReadAll(str)
	if err != nil {
		return nil, err
	}
	if len(b) < 2 || int(binary.BigEndian.Uint16(b)) != len(b)-2 {
		return nil, fmt.Errorf("%d octets are not one message", len(b))
	}
	m := new(dns.Msg)
	return m, m.Unpack(b[2:])
}

// ask sends one question and returns the reply.
func ask(t testing.TB, q *quic.Conn, name string) *dns.Msg {
	t.Helper()
	m, err := receive(send(t, q, packed(t, question(name))))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// who is the text in which the actor says who asked.
func who(m *dns.Msg) string {
	for _, rr := range m.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			return txt.Txt[0]
		}
	}
	return ""
}

// ended waits for the peer to close a connection, and returns its code.
func ended(t testing.TB, q *quic.Conn) quic.ApplicationErrorCode {
	t.Helper()
	select {
	case <-q.Context().Done():
	case <-time.After(30 * time.Second):
		t.Fatal("the connection stays open")
	}
	var closed *quic.ApplicationError
	if !errors.As(context.Cause(q.Context()), &closed) || !closed.Remote {
		t.Fatalf("the connection has ended with %v", context.Cause(q.Context()))
	}
	return closed.ErrorCode
}

func wait(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("waited in vain for %s\n%s", what, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// descriptors is how many files and sockets this process has open.
func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
