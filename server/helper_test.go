package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/wire"
	"dens/server/certs"
	"dens/server/intake"
)

// handlerFunc has nothing at hand.
type handlerFunc func(ctx context.Context, req []byte, from wire.Peer, buf []byte) []byte

func (f handlerFunc) Hit(_ *wire.Query, buf []byte) ([]byte, bool) { return buf[:0], false }

func (f handlerFunc) Miss(ctx context.Context, q *wire.Query, buf []byte) []byte {
	return f(ctx, q.Msg, q.From, buf)
}

// actor answers by the first label of the question: slow waits, big is long, panic panics, silent has
// no reply, and all others have an address and, as text, who asked.
type actor struct {
	release chan struct{} // closed to let slow go on
	slow    chan string   // gets the name of each slow question
}

func newActor() *actor { return &actor{release: make(chan struct{}), slow: make(chan string, 1000)} }

func (a *actor) Hit(_ *wire.Query, buf []byte) ([]byte, bool) { return buf[:0], false }

func (a *actor) Miss(ctx context.Context, query *wire.Query, buf []byte) []byte {
	req, from := query.Msg, query.From
	var q dns.Msg
	if err := q.Unpack(req); err != nil || len(q.Question) != 1 {
		return nil
	}
	m := new(dns.Msg).SetReply(&q)
	name := q.Question[0].Name
	add := func(format string, args ...any) {
		rr, err := dns.NewRR(fmt.Sprintf(format, args...))
		if err != nil {
			panic(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	switch label, _, _ := strings.Cut(name, "."); label {
	case "slow":
		a.slow <- name
		select {
		case <-a.release:
		case <-ctx.Done():
			return nil
		}
	case "big":
		for i := range 800 {
			add("%s 60 IN TXT \"%04d %s\"", name, i, strings.Repeat("x", 60))
		}
	case "panic":
		panic("the actor was asked to")
	case "silent":
		return nil
	}
	add("%s 300 IN A 192.0.2.1", name)
	add("%s 120 IN TXT \"%s %s\"", name, from.Protocol, from.Addr.Addr())
	m.Compress = true
	out, err := m.PackBuffer(buf[:cap(buf)])
	if err != nil {
		panic(err)
	}
	return out
}

// begin starts a server on loopback. The test fails if goroutines outlive the server's Shutdown.
func begin(t *testing.T, conf Config, h intake.Handler) *Server {
	t.Helper()
	before := runtime.NumGoroutine()
	if len(conf.DNS)+len(conf.DoT)+len(conf.DoH)+len(conf.DoQ) == 0 {
		conf.DNS = []string{"127.0.0.1:0"}
	}
	s := New(conf, h)
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = s.Shutdown(ctx) // a test that looks at the outcome calls it itself
		wait(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
	})
	return s
}

func wait(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("waited in vain for %s\n%s", what, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// at returns the address of the first listener of a protocol.
func at(t *testing.T, s *Server, proto wire.Protocol) string {
	t.Helper()
	for _, b := range s.Addrs() {
		if b.Protocol == proto {
			return b.Addr.String()
		}
	}
	t.Fatalf("nothing listens on %s", proto)
	return ""
}

func question(name string) *dns.Msg { return new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA) }

func packed(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ask sends one question with a fresh client.
func ask(t *testing.T, network, addr, name string) *dns.Msg {
	t.Helper()
	c := &dns.Client{Net: network, Timeout: 20 * time.Second, TLSConfig: &tls.Config{InsecureSkipVerify: true}}
	r, _, err := c.Exchange(question(name), addr)
	if err != nil {
		t.Fatalf("%s %s: %v", network, name, err)
	}
	return r
}

// who is the text in which the actor says who asked.
func who(t *testing.T, r *dns.Msg) string {
	t.Helper()
	for _, rr := range r.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			return txt.Txt[0]
		}
	}
	t.Fatalf("no text in %v", r)
	return ""
}

// writePair writes a self-signed certificate for 127.0.0.1 and its key.
func writePair(t *testing.T, dir, cn string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: cn},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile:  {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func newCertificate(t *testing.T) (certs.Source, *x509.CertPool) {
	t.Helper()
	cert, key := writePair(t, t.TempDir(), "dens test")
	c, err := certs.NewFiles(certs.FilesConfig{Cert: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	shown, err := c.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(shown.Leaf)
	return c, pool
}
