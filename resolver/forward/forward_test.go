package forward

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/looptest"
	"dens/resolver"
)

func delayed(d time.Duration, h handler) handler {
	return func(w dns.ResponseWriter, r *dns.Msg) {
		time.Sleep(d)
		h(w, r)
	}
}

func silent(dns.ResponseWriter, *dns.Msg) {}

// failure asks and wants an error.
func failure(t testing.TB, f *Forwarder, q resolver.Query) *resolver.Error {
	t.Helper()
	a, err := f.Resolve(t.Context(), q)
	var e *resolver.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v, error %v", a, err)
	}
	return e
}

func TestFastestFirst(t *testing.T) {
	slow := serve(t, "udp", delayed(200*time.Millisecond, good))
	fast := serve(t, "udp", delayed(5*time.Millisecond, good))
	f := forwarder(t, Config{}, udp(slow.addr, "slow"), udp(fast.addr, "fast"))
	for i := range 20 {
		expect(t, f, fmt.Sprintf("n%d.example.org.", i))
	}
	if s, q := slow.count("udp"), fast.count("udp"); q < 15 || s < 1 || s > q {
		t.Errorf("the slow one was asked %d times, the fast one %d times", s, q)
	}
	for end := time.Now().Add(30 * time.Second); f.Status()[0].RTT == 0 && time.Now().Before(end); { // the slow one may have been overtaken
		expect(t, f, "www.example.org.")
	}
	if s := f.Status(); s[0].RTT <= s[1].RTT || s[1].State != Up || s[1].Name != "fast" || s[1].Protocol != UDP || s[1].Queries < 15 {
		t.Errorf("%+v", s)
	}
}

// The far one is asked now and then, and takes the lead when it has become the near one.
func TestExploration(t *testing.T) {
	var lag atomic.Int64
	lag.Store(int64(250 * time.Millisecond))
	a := serve(t, "udp", func(w dns.ResponseWriter, r *dns.Msg) { time.Sleep(time.Duration(lag.Load())); good(w, r) })
	b := serve(t, "udp", delayed(120*time.Millisecond, good))
	f := forwarder(t, Config{Explore: 30 * time.Millisecond}, udp(a.addr, "a"), udp(b.addr, "b"))
	for range 5 {
		expect(t, f, "www.example.org.")
	}
	lag.Store(0)
	near := func(s []Status) bool { return s[0].RTT > 0 && s[0].RTT < s[1].RTT }
	for end := time.Now().Add(30 * time.Second); !near(f.Status()); expect(t, f, "www.example.org.") {
		if time.Now().After(end) {
			t.Fatalf("%+v", f.Status())
		}
	}
}

func TestFailover(t *testing.T) {
	bad := map[string]handler{
		"SERVFAIL":      rcode(dns.RcodeServerFailure),
		"REFUSED":       rcode(dns.RcodeRefused),
		"NOTIMP":        rcode(dns.RcodeNotImplemented),
		"NOTAUTH":       rcode(dns.RcodeNotAuth),
		"silent":        silent,
		"wrong answers": func(w dns.ResponseWriter, r *dns.Msg) { r.Question[0].Name = "evil.example."; good(w, r) },
		"referral": func(w dns.ResponseWriter, r *dns.Msg) {
			m := respond(r)
			m.Ns = append(m.Ns, rr("org. 60 IN NS ns.org."))
			w.WriteMsg(m)
		},
		"no message": func(w dns.ResponseWriter, r *dns.Msg) {
			b, _ := respond(r, "@ 60 IN A 192.0.2.1").Pack()
			w.Write(b[:len(b)-20])
		},
	}
	for name, h := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, two := serve(t, "udp,tcp", h), serve(t, "udp,tcp", good)
			f := forwarder(t, Config{}, udp(one.addr, "one"), udp(two.addr, "two"))
			for i := range 12 {
				expect(t, f, fmt.Sprintf("n%d.example.org.", i))
			}
			if s := f.Status(); s[1].State != Up || s[1].Errors != 0 {
				t.Errorf("%+v", s)
			}
			if n := one.count("udp") + one.count("tcp"); n > 40 {
				t.Errorf("the bad one was asked %d times", n)
			}
		})
	}
}

func TestHedging(t *testing.T) {
	t.Parallel()
	var stuck atomic.Bool
	one := serve(t, "udp", func(w dns.ResponseWriter, r *dns.Msg) {
		if !stuck.Load() {
			good(w, r)
		}
	})
	two := serve(t, "udp", delayed(30*time.Millisecond, good))
	f := forwarder(t, Config{Timeout: time.Minute}, udp(one.addr, "one"), udp(two.addr, "two"))
	for range 10 {
		expect(t, f, "www.example.org.")
	}
	stuck.Store(true)
	start := time.Now()
	expect(t, f, "www.example.org.")
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	for range 12 {
		expect(t, f, "www.example.org.")
	}
	if s := f.Status(); s[0].Errors == 0 {
		t.Errorf("%+v", s)
	}
}

func TestAllSayServfail(t *testing.T) {
	plain := serve(t, "udp", rcode(dns.RcodeServerFailure))
	bogus := serve(t, "udp", rcode(dns.RcodeServerFailure,
		&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeSignatureExpired, ExtraText: "signature\x00 expired\xff"}))
	refused := serve(t, "udp", rcode(dns.RcodeRefused))

	e := failure(t, forwarder(t, Config{}, udp(plain.addr, "plain"), udp(bogus.addr, "bogus")), query("www.example.org."))
	if e.Rcode != dns.RcodeServerFailure || e.Code != dns.ExtendedErrorCodeSignatureExpired || e.Text != "bogus: signature expired" {
		t.Errorf("%+v", e)
	}
	e = failure(t, forwarder(t, Config{}, udp(plain.addr, "plain"), udp(refused.addr, "refused")), query("www.example.org."))
	if e.Rcode != dns.RcodeServerFailure || e.Code != dns.ExtendedErrorCodeOther || e.Text != "plain: SERVFAIL; refused: REFUSED" && e.Text != "refused: REFUSED; plain: SERVFAIL" {
		t.Errorf("%+v", e)
	}
	if n := plain.count("udp"); n > 3 {
		t.Errorf("one SERVFAIL was asked for %d times by 2 questions", n)
	}
}

// nobody returns an address where nobody listens.
func nobody(t testing.TB) string { return looptest.Free(t).String() }

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	mute := serve(t, "udp", silent)
	f := forwarder(t, Config{Timeout: 700 * time.Millisecond}, udp(mute.addr, "mute"))
	start := time.Now()
	e := failure(t, f, query("www.example.org."))
	if e.Code != dns.ExtendedErrorCodeNoReachableAuthority || e.Text != "mute: timeout" || time.Since(start) > 20*time.Second {
		t.Errorf("%+v after %v", e, time.Since(start))
	}
	for _, p := range []Protocol{UDP, TCP, TLS, HTTPS} {
		f = forwarder(t, Config{Timeout: time.Minute}, Upstream{Protocol: p, Addr: nobody(t), Name: "none"})
		start = time.Now()
		e = failure(t, f, query("www.example.org."))
		if e.Code != dns.ExtendedErrorCodeNetworkError || e.Text != "none: connection refused" || time.Since(start) > 20*time.Second {
			t.Errorf("%s: %+v after %v", p, e, time.Since(start))
		}
	}
	f = forwarder(t, Config{}, Upstream{Protocol: TCP, Addr: "dns.example:53"})
	if e = failure(t, f, query("www.example.org.")); !strings.Contains(e.Error(), "no way to resolve") {
		t.Errorf("%+v", e)
	}
}

func TestShedding(t *testing.T) {
	t.Parallel()
	mute := serve(t, "udp", silent)
	f := forwarder(t, Config{MaxOutstanding: 2, Timeout: time.Minute}, udp(mute.addr, "mute"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 10)
	for range 10 {
		go func() {
			_, err := f.Resolve(ctx, query("www.example.org."))
			ended <- err
		}()
	}
	isShed := func(err error) bool {
		e, ok := errors.AsType[*resolver.Error](err)
		return ok && e.Code == dns.ExtendedErrorCodeOther && strings.Contains(e.Text, "too many questions")
	}
	for range 8 {
		if err := <-ended; !isShed(err) {
			t.Errorf("it was not shed: %v", err)
		}
	}
	cancel()
	for range 2 {
		if err := <-ended; isShed(err) {
			t.Error("more than 8 of 10 were shed")
		}
	}
}

func TestQuestionsThatAreNotForwarded(t *testing.T) {
	s := serve(t, "udp", good)
	f := forwarder(t, Config{}, udp(s.addr, "one"))
	for _, q := range []resolver.Query{
		{Name: "a.", Type: dns.TypeAXFR, Class: dns.ClassINET}, {Name: "a.", Type: dns.TypeOPT, Class: dns.ClassINET},
		{Name: "a.", Type: 0, Class: dns.ClassINET}, {Name: "a.", Type: dns.TypeTKEY, Class: dns.ClassINET},
		{Name: "version.bind.", Type: dns.TypeTXT, Class: dns.ClassCHAOS},
	} {
		if e := failure(t, f, q); e.Rcode != dns.RcodeRefused {
			t.Errorf("%v: %+v", q, e)
		}
	}
	if e := failure(t, f, query(strings.Repeat("abcdefg.", 40))); e.Rcode != dns.RcodeFormatError {
		t.Errorf("%+v", e)
	}
	if len(s.requests()) != 0 {
		t.Error("something was sent")
	}
}

func TestCanceledQuestion(t *testing.T) {
	mute := serve(t, "udp", silent)
	f := forwarder(t, Config{Timeout: time.Minute}, udp(mute.addr, "mute"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := f.Resolve(ctx, query("www.example.org.")); err == nil || time.Since(start) > 20*time.Second {
		t.Error(err, time.Since(start))
	}
}

func TestClosed(t *testing.T) {
	mute := serve(t, "udp", silent)
	f := forwarder(t, Config{}, udp(mute.addr, "mute"), udp(mute.addr, "two"))
	result := make(chan error, 1)
	go func() {
		_, err := f.Resolve(context.Background(), query("www.example.org."))
		result <- err
	}()
	for len(mute.requests()) == 0 {
		time.Sleep(time.Millisecond)
	}
	f.Close()
	var e *resolver.Error
	if err := <-result; !errors.As(err, &e) || e.Code != dns.ExtendedErrorCodeNotReady {
		t.Error(err)
	}
	if _, err := f.Resolve(t.Context(), query("www.example.org.")); err == nil {
		t.Error("answered when closed")
	}
	f.Ready()
	f.Close()
}

func TestNewRefuses(t *testing.T) {
	ok := Upstream{Protocol: UDP, Addr: "127.0.0.1:53"}
	tests := map[string]Config{
		"nobody":      {},
		"no port":     {Upstreams: []Upstream{{Protocol: UDP, Addr: "127.0.0.1"}}},
		"no host":     {Upstreams: []Upstream{{Protocol: UDP, Addr: ":53"}}},
		"protocol":    {Upstreams: []Upstream{ok, {Protocol: "quic", Addr: "127.0.0.1:53"}}},
		"no slash":    {Upstreams: []Upstream{{Protocol: HTTPS, Addr: "127.0.0.1:443", Path: "s3cr3t"}}},
		"other host":  {Upstreams: []Upstream{{Protocol: HTTPS, Addr: "127.0.0.1:443", Path: "//s3cr3t/x"}}},
		"no URL path": {Upstreams: []Upstream{{Protocol: HTTPS, Addr: "127.0.0.1:443", Path: "/s3cr3t%zz"}}},
		"bad zone":    {Upstreams: []Upstream{ok}, Zone: "a..b"},
	}
	for name, cfg := range tests {
		f, err := New(cfg)
		if err == nil {
			f.Close()
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: the secret shows: %v", name, err)
		}
	}
}

// Through a Router, an upstream has no say about names that are another's.
func TestBehindRouter(t *testing.T) {
	s := serve(t, "udp", func(w dns.ResponseWriter, r *dns.Msg) {
		m := respond(r, "@ 60 IN CNAME alice.eth.", "alice.eth. 60 IN A 6.6.6.6")
		m.Rcode = dns.RcodeNameError
		if !strings.EqualFold(r.Question[0].Name, "nx.example.org.") {
			m.Rcode = dns.RcodeSuccess
		} else {
			m.Answer = m.Answer[:1]
		}
		w.WriteMsg(m)
	})
	f := forwarder(t, Config{}, udp(s.addr, "one"))
	router, err := resolver.NewRouter([]resolver.Route{{Zone: ".", Resolver: f}, {Zone: "eth", Resolver: alice{}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"www.example.org.", "nx.example.org."} {
		a, err := router.Resolve(t.Context(), query(name))
		if err != nil {
			t.Fatal(err)
		}
		if a.Rcode != dns.RcodeSuccess || len(a.Answer) != 2 || a.Answer[1].(*dns.A).A.String() != "192.0.2.7" {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

type alice struct{}

func (alice) Resolve(_ context.Context, q resolver.Query) (*resolver.Answer, error) {
	return &resolver.Answer{Answer: []dns.RR{rr(q.Name + " 60 IN A 192.0.2.7")}}, nil
}

func BenchmarkResolve(b *testing.B) {
	s := serve(b, "udp,tcp", good)
	for _, p := range []Protocol{UDP, TCP} {
		b.Run(string(p), func(b *testing.B) {
			f := forwarder(b, Config{}, Upstream{Protocol: p, Addr: s.addr})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Resolve(b.Context(), query("www.example.org.")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
