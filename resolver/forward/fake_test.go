package forward

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// Nothing of this package may run when all is closed.
func TestMain(m *testing.M) {
	code := m.Run()
	var stacks string
	for range 500 {
		buf := make([]byte, 1<<20)
		stacks = ""
		for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "dens/resolver/forward.") && !strings.Contains(g, "forward.TestMain") {
				stacks += g + "\n\n"
			}
		}
		if stacks == "" {
			os.Exit(code)
		}
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Fprintln(os.Stderr, "these still run:\n"+stacks)
	os.Exit(1)
}

// fake is a DNS server on loopback, UDP and TCP on one port.
type fake struct {
	addr string
	mu   sync.Mutex
	seen []seen
}

// seen is one request as it came.
type seen struct {
	net, name string
	msg       *dns.Msg
	from      netip.AddrPort
}

func (f *fake) requests() []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]seen(nil), f.seen...)
}

func (f *fake) count(network string) int {
	n := 0
	for _, s := range f.requests() {
		if s.net == network {
			n++
		}
	}
	return n
}

func (f *fake) note(network string, m *dns.Msg, from net.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ap, _ := netip.ParseAddrPort(from.String())
	f.seen = append(f.seen, seen{network, m.Question[0].Name, m, ap})
}

type handler func(w dns.ResponseWriter, r *dns.Msg)

// serve starts a fake; nets says which of "udp", "tcp" it has.
func serve(t testing.TB, nets string, h handler) *fake {
	t.Helper()
	return serveAt(t, "127.0.0.1:0", nets, h)
}

func serveAt(t testing.TB, addr, nets string, h handler) *fake {
	t.Helper()
	f, err := listen(t, addr, nets, h)
	for i := 0; err != nil && i < 20; i++ { // the port may be taken on one of the two
		f, err = listen(t, addr, nets, h)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func listen(t testing.TB, addr, nets string, h handler) (*fake, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	f := &fake{addr: l.Addr().String()}
	if strings.Contains(nets, "tcp") {
		start(t, &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
			f.note("tcp", r, w.RemoteAddr())
			h(w, r)
		})})
	} else {
		l.Close()
	}
	if strings.Contains(nets, "udp") {
		pc, err := net.ListenPacket("udp", f.addr)
		if err != nil {
			return nil, err
		}
		start(t, &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
			f.note("udp", r, w.RemoteAddr())
			h(w, r)
		})})
	}
	return f, nil
}

func start(t testing.TB, s *dns.Server) {
	up := make(chan struct{})
	s.NotifyStartedFunc = func() { close(up) }
	go s.ActivateAndServe()
	<-up
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		s.ShutdownContext(ctx)
	})
}

// rawUDP hands each datagram to h, which sends back whatever it likes.
func rawUDP(t testing.TB, h func(req []byte, send func([]byte))) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	go func() {
		for {
			buf := make([]byte, 4096)
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			h(buf[:n], func(b []byte) { pc.WriteTo(b, from) })
		}
	}()
	return pc.LocalAddr().String()
}

// rawTCP hands each connection to h, numbered from 1.
func rawTCP(t testing.TB, h func(c net.Conn, i int)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); l.Close(); wg.Wait() })
	wg.Go(func() {
		for i := 1; ; i++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { c.Close() })
			wg.Go(func() { defer c.Close(); h(c, i) })
		}
	})
	return l.Addr().String()
}

// readMsg reads one message of a TCP connection; nil at its end.
func readMsg(c net.Conn) *dns.Msg {
	m, err := (&dns.Conn{Conn: c}).ReadMsg()
	if err != nil {
		return nil
	}
	return m
}

func writeMsg(c net.Conn, m *dns.Msg) { (&dns.Conn{Conn: c}).WriteMsg(m) }

// respond makes the reply to r with records; the owner "@" is the question's name as it came.
func respond(r *dns.Msg, records ...string) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(r)
	m.RecursionAvailable = true
	if opt := r.IsEdns0(); opt != nil {
		m.SetEdns0(1232, opt.Do())
	}
	for _, s := range records {
		m.Answer = append(m.Answer, rr(strings.Replace(s, "@", r.Question[0].Name, 1)))
	}
	return m
}

func rr(s string) dns.RR {
	r, err := dns.NewRR(s)
	if err != nil {
		panic(err)
	}
	return r
}

// good answers all questions for A with 192.0.2.1.
func good(w dns.ResponseWriter, r *dns.Msg) {
	if r.Question[0].Qtype != dns.TypeA {
		m := respond(r)
		m.Ns = append(m.Ns, rr(". 60 IN SOA a. b. 1 2 3 4 5"))
		w.WriteMsg(m)
		return
	}
	w.WriteMsg(respond(r, "@ 60 IN A 192.0.2.1"))
}

func rcode(code int, ede ...dns.EDNS0) handler {
	return func(w dns.ResponseWriter, r *dns.Msg) {
		m := respond(r)
		m.Rcode = code
		if opt := m.IsEdns0(); opt != nil {
			opt.Option = ede
		}
		w.WriteMsg(m)
	}
}

func query(name string) resolver.Query {
	return resolver.Query{Name: name, Type: dns.TypeA, Class: dns.ClassINET}
}

func forwarder(t testing.TB, cfg Config, upstreams ...Upstream) *Forwarder {
	t.Helper()
	cfg.Upstreams = upstreams
	f, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func udp(addr, name string) Upstream { return Upstream{Protocol: UDP, Addr: addr, Name: name} }

// expect asks for name A and wants 192.0.2.1.
func expect(t testing.TB, f *Forwarder, name string) *resolver.Answer {
	t.Helper()
	a, err := f.Resolve(t.Context(), query(name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(a.Answer) != 1 || a.Answer[0].(*dns.A).A.String() != "192.0.2.1" || a.Answer[0].Header().Name != name {
		t.Fatalf("%s: %v", name, a.Answer)
	}
	return a
}

// authority makes certificates for tests.
type certs struct {
	pool *x509.CertPool
	ca   *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCerts(t testing.TB) *certs {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	c := &certs{pool: x509.NewCertPool(), ca: ca, key: key}
	c.pool.AddCert(ca)
	return c
}

// config returns a server's configuration with a certificate for a host name or an IP address.
func (c *certs) config(t testing.TB, host string, until time.Time, protos ...string) *tls.Config {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		tmpl.IPAddresses = []net.IP{ip}
	} else {
		tmpl.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, c.ca, &c.key.PublicKey, c.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: c.key}}, NextProtos: protos}
}
