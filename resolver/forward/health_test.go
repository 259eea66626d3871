package forward

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// An upstream that comes back is used again by itself, and long before 5 seconds.
func TestReturn(t *testing.T) {
	for _, p := range []Protocol{UDP, TCP} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			addr := nobody(t)
			f := forwarder(t, Config{ProbeMin: 50 * time.Millisecond, ProbeMax: 100 * time.Millisecond},
				Upstream{Protocol: p, Addr: addr, Name: "one"})
			for range 4 {
				failure(t, f, query("www.example.org."))
			}
			for end := time.Now().Add(30 * time.Second); f.Status()[0].State != Down; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%+v", f.Status())
				}
			}
			if s := f.Status()[0]; s.LastError != "connection refused" || f.Ready() {
				t.Fatalf("%+v", s)
			}
			s := serveAt(t, addr, "udp,tcp", good)
			for end := time.Now().Add(30 * time.Second); !f.Ready(); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%+v", f.Status())
				}
			}
			probes := len(s.requests())
			time.Sleep(300 * time.Millisecond)
			if n := len(s.requests()); n > probes+1 {
				t.Errorf("probing goes on: %d, %d", probes, n)
			}
			expect(t, f, "www.example.org.")
		})
	}
}

// Even while all are taken to be down, questions go out.
func TestLastResort(t *testing.T) {
	addr := nobody(t)
	f := forwarder(t, Config{ProbeMin: time.Hour, ProbeMax: time.Hour}, udp(addr, "one"), udp(nobody(t), "two"))
	for range 4 {
		failure(t, f, query("www.example.org."))
	}
	serveAt(t, addr, "udp", good)
	expect(t, f, "www.example.org.")
	if s := f.Status()[0]; s.State != Up {
		t.Errorf("%+v", s)
	}
}

// Names that nobody can resolve do not take an upstream down.
func TestBadNamesAreNotTheUpstreamsFault(t *testing.T) {
	t.Parallel()
	s := serve(t, "udp", func(w dns.ResponseWriter, r *dns.Msg) {
		switch name := strings.ToLower(r.Question[0].Name); {
		case strings.HasPrefix(name, "lame"):
			rcode(dns.RcodeServerFailure)(w, r)
		case strings.HasPrefix(name, "slow"):
		default:
			good(w, r)
		}
	})
	f := forwarder(t, Config{Timeout: 500 * time.Millisecond}, udp(s.addr, "one"))
	expect(t, f, "www.example.org.")
	for _, name := range []string{"lame.example.", "slow.example."} {
		for range 10 {
			failure(t, f, query(name))
			if !f.Ready() {
				t.Fatalf("%+v", f.Status())
			}
		}
	}
	expect(t, f, "www.example.org.")
}

// A server that refuses the probe is up as long as questions are answered, and down when they are not.
func TestProbeIsRefused(t *testing.T) {
	var shut atomic.Bool
	s := serve(t, "udp", func(w dns.ResponseWriter, r *dns.Msg) {
		if shut.Load() || r.Question[0].Qtype == dns.TypeSOA {
			rcode(dns.RcodeRefused)(w, r)
			return
		}
		good(w, r)
	})
	f := forwarder(t, Config{ProbeMin: 10 * time.Millisecond, ProbeMax: 10 * time.Millisecond}, udp(s.addr, "one"))
	await := func(ready bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); f.Ready() != ready; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%+v", f.Status())
			}
		}
	}
	await(true)
	expect(t, f, "www.example.org.")
	shut.Store(true)
	failure(t, f, query("www.example.org."))
	failure(t, f, query("www.example.org."))
	await(false)
	shut.Store(false)
	expect(t, f, "www.example.org.")
	await(true)
}

func TestReadyProbesByItself(t *testing.T) {
	s := serve(t, "udp", good)
	f := forwarder(t, Config{Zone: "corp.example"}, udp(s.addr, "one"))
	if before := f.Status(); before[0].State != Unknown || f.Ready() { // which has it probed
		t.Fatalf("%+v", before)
	}
	for end := time.Now().Add(30 * time.Second); !f.Ready(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v", f.Status())
		}
	}
	r := s.requests()
	if len(r) != 1 || strings.ToLower(r[0].name) != "corp.example." || r[0].msg.Question[0].Qtype != dns.TypeSOA {
		t.Errorf("%+v", r)
	}
}

func TestProbe(t *testing.T) {
	s := serve(t, "udp", delayed(10*time.Millisecond, good))
	refused := serve(t, "udp", rcode(dns.RcodeRefused))
	mute := serve(t, "udp", silent)
	f := forwarder(t, Config{ProbeTimeout: 2 * time.Second}, udp(s.addr, "a"), udp(refused.addr, "b"), udp(mute.addr, "c"))
	if took, err := f.Probe(t.Context(), 0); err != nil || took < 10*time.Millisecond {
		t.Errorf("%v, %v", took, err)
	}
	for i, want := range map[int]string{1: "REFUSED", 2: "timeout", 3: "no such upstream", -1: "no such upstream"} {
		if _, err := f.Probe(t.Context(), i); err == nil || err.Error() != want {
			t.Errorf("%d: %v, want %s", i, err, want)
		}
	}
}

// A connection that carries nothing any more, without a word from TCP, is noticed and replaced.
func TestConnectionGoesDead(t *testing.T) {
	c := newCerts(t)
	soon := time.Now().Add(time.Hour)
	backends := map[Protocol]string{
		TCP:   serve(t, "tcp", good).addr,
		TLS:   dot(t, c.config(t, "dns.example", soon, "dot"), 1000, func(tls.ConnectionState) {}),
		HTTPS: doh(t, c.config(t, "dns.example", soon), func(w http.ResponseWriter, r *http.Request) { answerHTTP(w, r, nil) }),
	}
	for p, backend := range backends {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			var dead atomic.Bool
			addr := rawTCP(t, func(c net.Conn, i int) {
				b, err := net.Dial("tcp", backend)
				if err != nil {
					t.Error(err)
					return
				}
				defer b.Close()
				go func() {
					defer c.Close()
					io.Copy(deaf{c, i, &dead}, b)
				}()
				io.Copy(deaf{b, i, &dead}, c)
			})
			f := forwarder(t, Config{RootCAs: c.pool}, Upstream{Protocol: p, Addr: addr, ServerName: "dns.example"})
			expect(t, f, "www.example.org.")
			dead.Store(true)
			start := time.Now()
			for {
				if _, err := f.Resolve(t.Context(), query("www.example.org.")); err == nil {
					break
				}
				if time.Since(start) > 20*time.Second { // it takes a second or two
					t.Fatalf("%+v", f.Status())
				}
			}
		})
	}
}

// deaf swallows what is written to the first connection once that is dead.
type deaf struct {
	io.Writer
	i    int
	dead *atomic.Bool
}

func (d deaf) Write(b []byte) (int, error) {
	if d.i == 1 && d.dead.Load() {
		return len(b), nil
	}
	return d.Writer.Write(b)
}
