package authority

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
	"dens/resolver/forward"
)

// Nothing of this package may run when all is over.
func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "8") // most of them wait most of the time
	code := m.Run()
	var stacks string
	for range 500 {
		buf := make([]byte, 1<<20)
		stacks = ""
		for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "dens/resolver/authority.") && !strings.Contains(g, "authority.TestMain") {
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

// fake is a name server on loopback.
type fake struct {
	addr netip.AddrPort
	mu   sync.Mutex
	seen []seen
}

// seen is one request as it came.
type seen struct {
	net string
	msg *dns.Msg
}

func (s seen) edns() bool { return s.msg.IsEdns0() != nil }

func (f *fake) requests() []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]seen(nil), f.seen...)
}

func (f *fake) count() int { return len(f.requests()) }

// story tells what came, such as "udp+edns tcp udp".
func (f *fake) story() string {
	var words []string
	for _, s := range f.requests() {
		if s.edns() {
			s.net += "+edns"
		}
		words = append(words, s.net)
	}
	return strings.Join(words, " ")
}

func (f *fake) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = nil
}

type handler func(w dns.ResponseWriter, r *dns.Msg)

// serve starts a fake; nets says which of "udp", "tcp" it has.
func serve(t testing.TB, nets string, h handler) *fake {
	t.Helper()
	for range 20 { // the port may be taken on one of the two
		f, err := listen(t, "127.0.0.1:0", nets, h)
		if err == nil {
			return f
		}
	}
	t.Fatal("no port")
	return nil
}

func listen(t testing.TB, addr, nets string, h handler) (*fake, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	f := &fake{addr: netip.MustParseAddrPort(l.Addr().String())}
	noting := func(network string) dns.Handler {
		return dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
			f.mu.Lock()
			f.seen = append(f.seen, seen{network, r})
			f.mu.Unlock()
			h(w, r)
		})
	}
	if strings.Contains(nets, "tcp") {
		start(t, &dns.Server{Listener: l, Handler: noting("tcp")})
	} else {
		l.Close()
	}
	if strings.Contains(nets, "udp") {
		pc, err := net.ListenPacket("udp", f.addr.String())
		if err != nil {
			return nil, err
		}
		start(t, &dns.Server{PacketConn: pc, Handler: noting("udp")})
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
func rawUDP(t testing.TB, h func(req []byte, send func([]byte))) netip.AddrPort {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hand(t, pc, h)
	return netip.MustParseAddrPort(pc.LocalAddr().String())
}

func hand(t testing.TB, pc net.PacketConn, h func(req []byte, send func([]byte))) {
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
}

// respond makes the reply to r with records; the owner "@" is the question's name as it came.
func respond(r *dns.Msg, records ...string) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(r)
	m.Authoritative = true
	if opt := r.IsEdns0(); opt != nil {
		m.SetEdns0(1232, opt.Do())
	}
	for _, s := range records {
		rr, err := dns.NewRR(strings.Replace(s, "@", r.Question[0].Name, 1))
		if err != nil {
			panic(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	return m
}

const record = "@ 60 IN A 192.0.2.1"

func good(w dns.ResponseWriter, r *dns.Msg) { w.WriteMsg(respond(r, record)) }

func dead(dns.ResponseWriter, *dns.Msg) {}

func rcode(code int) handler {
	return func(w dns.ResponseWriter, r *dns.Msg) {
		m := respond(r)
		if m.Rcode = code; code > 15 && r.IsEdns0() == nil { // it takes EDNS to say so
			m.Rcode = dns.RcodeRefused
		}
		w.WriteMsg(m)
	}
}

// lame answers without authority and without an answer.
func lame(w dns.ResponseWriter, r *dns.Msg) {
	m := respond(r)
	m.Authoritative = false
	w.WriteMsg(m)
}

// slow is h after a while.
func slow(by time.Duration, h handler) handler {
	return func(w dns.ResponseWriter, r *dns.Msg) {
		time.Sleep(by)
		h(w, r)
	}
}

// lowering answers with the question in lower case.
func lowering(w dns.ResponseWriter, r *dns.Msg) {
	m := respond(r, record)
	m.Question[0].Name = strings.ToLower(m.Question[0].Name)
	w.WriteMsg(m)
}

// network tells by which transport a request came.
func network(w dns.ResponseWriter) string { return w.RemoteAddr().Network() }

// clock is the time, moved on at will.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

const testTimeout = 700 * time.Millisecond

// servers makes a Servers on real sockets.
func servers(t testing.TB, cfg Config) *Servers {
	t.Helper()
	if cfg.UDP == nil {
		cfg.UDP = forward.NewDatagram(nil, nil)
	}
	if cfg.TCP == nil {
		stream := forward.NewStream(forward.StreamConfig{ConnectTimeout: time.Second})
		t.Cleanup(func() { stream.Close() })
		cfg.TCP = stream
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = testTimeout
	}
	return New(cfg)
}

// accept takes what has authority.
func accept(m *dns.Msg) error {
	if !m.Authoritative {
		return fmt.Errorf("%w: no authority", ErrLame)
	}
	return nil
}

func question(name string) Question {
	return Question{Zone: "example.org.", Name: name, Type: dns.TypeA, Accept: accept}
}

// expect asks for www.example.org and wants 192.0.2.1.
func expect(t testing.TB, s *Servers, at ...netip.AddrPort) *Reply {
	t.Helper()
	return expectName(t, s, "www.example.org.", at...)
}

func expectName(t testing.TB, s *Servers, name string, at ...netip.AddrPort) *Reply {
	t.Helper()
	reply, err := s.Ask(t.Context(), at, question(name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(reply.Msg.Answer) != 1 || reply.Msg.Answer[0].(*dns.A).A.String() != "192.0.2.1" ||
		dns.CanonicalName(reply.Msg.Answer[0].Header().Name) != name || reply.Msg.Question[0].Name != name {
		t.Fatalf("%s: %v", name, reply.Msg)
	}
	return reply
}

// expectError asks and wants an *Error.
func expectError(t testing.TB, s *Servers, name string, at ...netip.AddrPort) *Error {
	t.Helper()
	reply, err := s.Ask(t.Context(), at, question(name))
	if reply != nil || err == nil {
		t.Fatalf("%s: %v", name, reply)
	}
	e, ok := err.(*Error)
	if !ok {
		t.Fatalf("%s: %T: %v", name, err, err)
	}
	return e
}

// exchanger is a network of functions.
type exchanger func(ctx context.Context, to netip.AddrPort, req []byte) ([]byte, error)

func (e exchanger) Exchange(ctx context.Context, to netip.AddrPort, req, _ []byte) ([]byte, error) {
	return e(ctx, to, req)
}

var _ resolver.Exchanger = exchanger(nil)

// answerTo is a good server's reply.
func answerTo(req []byte, records ...string) []byte {
	var m dns.Msg
	if err := m.Unpack(req); err != nil {
		panic(err)
	}
	raw, err := respond(&m, records...).Pack()
	if err != nil {
		panic(err)
	}
	return raw
}

func source(seed uint64) rand.Source { return rand.NewPCG(seed, 4711) }

// long is a name that random case leaves in lower case but once in 2^50 times.
const long = "a-name-that-is-never-in-lower-case-by-chance.example.org."

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
