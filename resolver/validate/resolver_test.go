package validate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
)

func query(name string, rrtype uint16) resolver.Query {
	return resolver.Query{Name: name, Type: rrtype, Class: dns.ClassINET, DO: true}
}

// server is an upstream whose answers a test changes.
type server struct {
	w      *world
	mu     sync.Mutex
	asked  []resolver.Query
	change func(q resolver.Query, a *resolver.Answer) error
	delay  time.Duration
}

func (s *server) Resolve(ctx context.Context, q resolver.Query) (*resolver.Answer, error) {
	s.mu.Lock()
	s.asked = append(s.asked, q)
	s.mu.Unlock()
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	a, err := s.w.Resolve(ctx, q)
	if err != nil {
		return nil, err
	}
	a.AuthenticatedData = true // which nobody should believe
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.change != nil {
		err = s.change(q, a)
	}
	return a, err
}

func (s *server) count(name string, rrtype uint16) int {
	n := 0
	for _, q := range s.asked {
		if q.Name == name && q.Type == rrtype {
			n++
		}
	}
	return n
}

func forwardTo(s *server) *Resolver {
	return NewResolver(ResolverConfig{Upstream: s, Anchors: s.w.anchors, Now: func() time.Time { return now }})
}

// All that TestValidate asks of zones' servers, asked of an upstream.
func TestResolver(t *testing.T) {
	w := internet(t)
	s := &server{w: w}
	r := forwardTo(s)
	for _, q := range questions {
		a, err := r.Resolve(context.Background(), query(q.name, q.rrtype))
		if q.status == dnssec.Bogus {
			var told *resolver.Error
			if !errors.As(err, &told) || told.Code != q.code || told.Text == "" || told.Rcode != dns.RcodeServerFailure {
				t.Errorf("%s: %v", q.name, err)
			}
			continue
		}
		if err != nil || a.Rcode != q.rcode || a.AuthenticatedData != (q.status == dnssec.Secure) || a.Zone != "forward" {
			t.Errorf("%s %s: %+v, %v", q.name, dns.Type(q.rrtype), a, err)
			continue
		}
		if q.code != 0 && (len(a.EDE) != 1 || a.EDE[0].Code != q.code) || q.code == 0 && len(a.EDE) != 0 {
			t.Errorf("%s %s: %v", q.name, dns.Type(q.rrtype), a.EDE)
		}
	}
	for _, q := range s.asked {
		if !q.DO || !q.CD {
			t.Errorf("asked for %+v", q)
		}
	}
}

// Without DO no DNSSEC records; with CD what there is, and no AD.
func TestResolverFlags(t *testing.T) {
	w := internet(t)
	r := forwardTo(&server{w: w})
	plain := func(name string, rrtype uint16) *resolver.Answer {
		q := query(name, rrtype)
		q.DO = false
		a, err := r.Resolve(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	isDNSSEC := func(rr dns.RR) bool {
		h := rr.Header().Rrtype
		return h == dns.TypeRRSIG || h == dns.TypeNSEC || h == dns.TypeNSEC3
	}
	for _, name := range []string{"www.good.org.", "x.n3.org.", "any.w.good.org."} {
		a := plain(name, dns.TypeA)
		if !a.AuthenticatedData || slices.ContainsFunc(append(a.Answer, a.Ns...), isDNSSEC) {
			t.Errorf("%+v", a)
		}
	}
	if a := plain("www.good.org.", dns.TypeNSEC); !a.AuthenticatedData || len(a.Answer) != 1 {
		t.Errorf("%+v", a)
	}
	if a := plain("www.good.org.", dns.TypeRRSIG); a.AuthenticatedData {
		t.Errorf("%+v", a)
	}
	if a := plain("x.good.org.", dns.TypeA); len(a.Ns) != 1 {
		t.Errorf("%+v", a)
	}
	for _, name := range []string{"www.expired.org.", "www.good.org."} {
		q := query(name, dns.TypeA)
		q.CD = true
		if a, err := r.Resolve(context.Background(), q); err != nil || a.AuthenticatedData || len(a.Answer) < 2 {
			t.Errorf("%s with CD: %+v, %v", name, a, err)
		}
	}
}

// Bad copies in an upstream's cache, or one bad upstream of several, are not the end.
func TestResolverRetry(t *testing.T) {
	for _, bad := range []int{0, 1, 2, 3} {
		for _, name := range []string{"www.good.org.", "nothing.good.org."} {
			s := &server{w: internet(t)}
			left := bad
			s.change = func(q resolver.Query, a *resolver.Answer) error {
				if q.Name == name && q.Type == dns.TypeA && left > 0 {
					left--
					a.Answer, a.Ns = nil, nil
				}
				return nil
			}
			a, err := forwardTo(s).Resolve(context.Background(), query(name, dns.TypeA))
			if (err == nil) != (bad < 3) || err == nil && !a.AuthenticatedData || s.count(name, dns.TypeA) != min(bad+1, 3) {
				t.Errorf("%s, %d bad: %v", name, bad, err)
			}
		}
	}
	for _, rrtype := range []uint16{dns.TypeDS, dns.TypeDNSKEY} {
		s := &server{w: internet(t)}
		left := 2
		s.change = func(q resolver.Query, a *resolver.Answer) error {
			if q.Type == rrtype && q.Name == "good.org." && left > 0 {
				left--
				a.Answer = a.Answer[:1]
			}
			return nil
		}
		if a, err := forwardTo(s).Resolve(context.Background(), query("www.good.org.", dns.TypeA)); err != nil || !a.AuthenticatedData {
			t.Errorf("%s: %v", dns.Type(rrtype), err)
		}
	}
}

// Failures of the upstream keep their causes.
func TestResolverErrors(t *testing.T) {
	down := resolver.Errorf(dns.ExtendedErrorCodeNetworkError, nil, "upstream is down")
	tests := []struct {
		what   string
		change func(q resolver.Query, a *resolver.Answer) error
		code   uint16
		text   string
	}{
		{"down", func(resolver.Query, *resolver.Answer) error { return down }, dns.ExtendedErrorCodeNetworkError, "down"},
		{"no keys", func(q resolver.Query, _ *resolver.Answer) error {
			if q.Type == dns.TypeDNSKEY {
				return down
			}
			return nil
		}, dns.ExtendedErrorCodeNetworkError, "down"},
		{"down after a bogus answer", func() func(resolver.Query, *resolver.Answer) error {
			n := 0
			return func(q resolver.Query, a *resolver.Answer) error {
				if q.Type == dns.TypeA {
					if n++; n > 1 {
						return down
					}
					a.Answer = a.Answer[:1]
				}
				return nil
			}
		}(), dns.ExtendedErrorCodeRRSIGsMissing, "no signature"},
		{"strips DNSSEC", func(_ resolver.Query, a *resolver.Answer) error {
			a.Answer = slices.DeleteFunc(a.Answer, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG })
			return nil
		}, dns.ExtendedErrorCodeRRSIGsMissing, "upstream strips DNSSEC"},
	}
	for _, tt := range tests {
		s := &server{w: internet(t), change: tt.change}
		r := forwardTo(s)
		_, err := r.Resolve(context.Background(), query("www.good.org.", dns.TypeA))
		var told *resolver.Error
		if !errors.As(err, &told) || told.Code != tt.code || !strings.Contains(told.Text, tt.text) {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
	s := &server{w: internet(t), change: tests[3].change}
	if v := forwardTo(s).Probe(context.Background()); v.Status != dnssec.Indeterminate || !strings.Contains(v.Text, "strips") {
		t.Errorf("probe: %v", v)
	}
	if v := forwardTo(&server{w: internet(t)}).Probe(context.Background()); v.Status != dnssec.Secure {
		t.Errorf("probe: %v", v)
	}
	builtIn := NewResolver(ResolverConfig{Upstream: s.w})
	if v := builtIn.Probe(context.Background()); v.Status != dnssec.Bogus || !strings.Contains(v.Text, "20326") {
		t.Errorf("probe with the built-in anchors: %v", v)
	}
	if got := builtIn.Chain().Stats(); got.DNSKEY == 0 || got.DS != 0 {
		t.Errorf("%+v", got)
	}
}

// An upstream that stops at an alias: the Router goes on at Target.
func TestResolverTarget(t *testing.T) {
	s := &server{w: internet(t)}
	s.change = func(q resolver.Query, a *resolver.Answer) error {
		if q.Name == "away.good.org." {
			a.Answer, a.Ns, a.Target = a.Answer[:2], nil, "www.signed.com."
		}
		return nil
	}
	r := forwardTo(s)
	a, err := r.Resolve(context.Background(), query("away.good.org.", dns.TypeA))
	if err != nil || a.Target != "www.signed.com." || !a.AuthenticatedData {
		t.Fatalf("%+v, %v", a, err)
	}
	router, err := resolver.NewRouter([]resolver.Route{{Zone: ".", Kind: "forward", Resolver: r}})
	if err != nil {
		t.Fatal(err)
	}
	a, err = router.Resolve(context.Background(), query("away.good.org.", dns.TypeA))
	if err != nil || !a.AuthenticatedData || len(a.Answer) != 4 {
		t.Errorf("%+v, %v", a, err)
	}
}

// Many questions at once share the keys' flights, and one that gives up takes nobody with it.
func TestResolverFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{w: internet(t), delay: 50 * time.Millisecond}
		r := forwardTo(s)
		short, cancel := context.WithTimeout(context.Background(), 70*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := r.Resolve(short, query("www.good.org.", dns.TypeA)); err == nil {
				t.Error("answered in no time")
			}
		})
		for range 50 {
			wg.Go(func() {
				if a, err := r.Resolve(context.Background(), query("www.good.org.", dns.TypeA)); err != nil || !a.AuthenticatedData {
					t.Errorf("%+v, %v", a, err)
				}
			})
		}
		wg.Wait()
		for _, zone := range []string{".", "org.", "good.org."} {
			if n := s.count(zone, dns.TypeDNSKEY); n != 1 {
				t.Errorf("keys of %s: %d queries", zone, n)
			}
		}
	})
}

// What a question cost is told, also when it failed.
func TestResolverObserve(t *testing.T) {
	w := internet(t)
	var got []dnssec.Spent
	r := NewResolver(ResolverConfig{
		Upstream: w, Anchors: w.anchors, Now: func() time.Time { return now },
		Observe: func(s dnssec.Spent) { got = append(got, s) },
	})
	for _, name := range []string{"nothing.n3.org.", "www.expired.org."} {
		_, _ = r.Resolve(context.Background(), query(name, dns.TypeA))
	}
	if len(got) != 2 || got[0].Hashes == 0 || got[0].Checks == 0 || got[1].Checks == 0 {
		t.Errorf("%+v", got)
	}
}
