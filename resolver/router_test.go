package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dens/resolver"
)

// script answers from a table: question -> answer.
type script struct {
	answers map[string]*resolver.Answer
	asked   []string
	err     error
}

func (s *script) Resolve(_ context.Context, q resolver.Query) (*resolver.Answer, error) {
	s.asked = append(s.asked, q.Name+" "+dns.TypeToString[q.Type])
	if s.err != nil {
		return nil, s.err
	}
	a, ok := s.answers[q.Name]
	if !ok {
		return &resolver.Answer{Rcode: dns.RcodeNameError, Ns: rrs("fallback. 60 IN SOA a. b. 1 2 3 4 5")}, nil
	}
	c := *a
	return &c, nil
}

func rrs(lines ...string) []dns.RR {
	var out []dns.RR
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		if err != nil {
			panic(err)
		}
		out = append(out, rr)
	}
	return out
}

func answer(lines ...string) *resolver.Answer { return &resolver.Answer{Answer: rrs(lines...)} }

func text(list []dns.RR) string {
	var b strings.Builder
	for _, rr := range list {
		f := strings.Fields(rr.String())
		fmt.Fprintf(&b, "%s %s", f[0], strings.Join(f[3:], " "))
		b.WriteString("; ")
	}
	return strings.TrimSuffix(b.String(), "; ")
}

func mustRouter(t *testing.T, routes ...resolver.Route) *resolver.Router {
	t.Helper()
	r, err := resolver.NewRouter(routes)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ask(name string, rrtype uint16) resolver.Query {
	return resolver.Query{Name: name, Type: rrtype, Class: dns.ClassINET}
}

func TestLongestZoneWins(t *testing.T) {
	byZone := make(map[string]*script)
	var routes []resolver.Route
	for _, z := range []string{".", "example.org.", "B.Example.Org", "eth.", `a\.b.eth.`} {
		s := &script{}
		byZone[z] = s
		routes = append(routes, resolver.Route{Zone: z, Resolver: s})
	}
	r := mustRouter(t, routes...)
	tests := []struct{ name, zone string }{
		{".", "."}, {"org.", "."}, {"xexample.org.", "."}, {"example.org.", "example.org."},
		{"a.example.org.", "example.org."}, {"b.example.org.", "B.Example.Org"},
		{"x.y.b.example.org.", "B.Example.Org"}, {"xb.example.org.", "example.org."},
		{"eth.", "eth."}, {"alice.eth.", "eth."}, {"eth.org.", "."},
		{`a\.b.eth.`, `a\.b.eth.`}, {`x.a\.b.eth.`, `a\.b.eth.`}, {"a.b.eth.", "eth."}, {`x\.eth.`, "."},
	}
	for _, tt := range tests {
		for _, s := range byZone {
			s.asked = nil
		}
		if _, err := r.Resolve(t.Context(), ask(tt.name, dns.TypeA)); err != nil {
			t.Fatal(tt.name, err)
		}
		for z, s := range byZone {
			if want := z == tt.zone; (len(s.asked) == 1) != want || len(s.asked) > 1 {
				t.Errorf("%s: zone %s was asked %v", tt.name, z, s.asked)
			}
		}
	}
}

func TestNewRouterRefuses(t *testing.T) {
	s := &script{}
	tests := map[string][]resolver.Route{
		"twice":       {{Zone: "a.", Resolver: s}, {Zone: "A", Resolver: s}},
		"no resolver": {{Zone: "a."}},
		"empty label": {{Zone: "a..b.", Resolver: s}},
		"long label":  {{Zone: strings.Repeat("x", 64) + ".", Resolver: s}},
		"long name":   {{Zone: strings.Repeat("abcdefg.", 40), Resolver: s}},
	}
	for name, routes := range tests {
		if _, err := resolver.NewRouter(routes); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// world has three routes: "." is a forwarder, eth. and corp.example. are others.
type world struct{ forward, eth, corp map[string]*resolver.Answer }

func (w world) resolve(t *testing.T, q resolver.Query) (*resolver.Answer, [3][]string, error) {
	f, e, c := &script{answers: w.forward}, &script{answers: w.eth}, &script{answers: w.corp}
	r := mustRouter(t, resolver.Route{Zone: ".", Resolver: f}, resolver.Route{Zone: "eth.", Resolver: e},
		resolver.Route{Zone: "corp.example.", Resolver: c})
	a, err := r.Resolve(t.Context(), q)
	return a, [3][]string{f.asked, e.asked, c.asked}, err
}

type m = map[string]*resolver.Answer

func TestAliases(t *testing.T) {
	nx := func(a *resolver.Answer) *resolver.Answer {
		a.Rcode = dns.RcodeNameError
		a.Ns = rrs(". 60 IN SOA a. b. 1 2 3 4 5", "alice.eth. 60 IN A 6.6.6.6")
		a.EDE = []resolver.EDE{{Code: 9, Text: "about the end"}}
		return a
	}
	to := func(target string, lines ...string) *resolver.Answer {
		a := answer(lines...)
		a.Target = target
		return a
	}
	long := strings.Repeat("abcdefg.", 29)
	tests := []struct {
		name  string
		world world
		q     resolver.Query
		want  string // answer section
		rcode int
		ns    string
	}{
		{"plain", world{forward: m{"www.a.": answer("www.a. 60 IN A 1.1.1.1")}}, ask("www.a.", dns.TypeA),
			"www.a. A 1.1.1.1", 0, ""},
		{"chain inside one route", world{forward: m{"www.a.": answer("www.a. 60 IN CNAME b.", "b. 60 IN A 1.1.1.1")}},
			ask("www.a.", dns.TypeA), "www.a. CNAME b.; b. A 1.1.1.1", 0, ""},
		{"chain in disorder", world{forward: m{"www.a.": answer("c. 60 IN A 1.1.1.1", "B. 60 IN CNAME C.", "WWW.a. 60 IN CNAME b.")}},
			ask("www.a.", dns.TypeA), "WWW.a. CNAME b.; B. CNAME C.; c. A 1.1.1.1", 0, ""},
		{"records off the chain are dropped", world{forward: m{"www.a.": answer("www.a. 60 IN A 1.1.1.1",
			"bank.example. 60 IN A 6.6.6.6", "alice.eth. 60 IN A 6.6.6.6", "www.a. 60 IN TXT x")}},
			ask("www.a.", dns.TypeA), "www.a. A 1.1.1.1", 0, ""},
		{"a forwarder is not believed about eth", world{
			forward: m{"www.a.": answer("www.a. 60 IN CNAME alice.eth.", "alice.eth. 60 IN A 6.6.6.6")},
			eth:     m{"alice.eth.": answer("alice.eth. 60 IN A 1.1.1.1")},
		}, ask("www.a.", dns.TypeA), "www.a. CNAME alice.eth.; alice.eth. A 1.1.1.1", 0, ""},
		{"nor is its NXDOMAIN", world{
			forward: m{"www.a.": nx(answer("www.a. 60 IN CNAME alice.eth."))},
			eth:     m{"alice.eth.": answer("alice.eth. 60 IN A 1.1.1.1")},
		}, ask("www.a.", dns.TypeA), "www.a. CNAME alice.eth.; alice.eth. A 1.1.1.1", 0, ""},
		{"the last link decides", world{forward: m{"www.a.": answer("www.a. 60 IN CNAME none.eth.")}},
			ask("www.a.", dns.TypeA), "www.a. CNAME none.eth.", dns.RcodeNameError, "fallback. SOA a. b. 1 2 3 4 5"},
		{"there and back", world{
			forward: m{"www.a.": answer("www.a. 60 IN CNAME alice.eth.", "alice.eth. 60 IN CNAME b.", "b. 60 IN A 6.6.6.6"),
				"c.": answer("c. 60 IN A 1.1.1.1")},
			eth: m{"alice.eth.": to("c.", "alice.eth. 60 IN CNAME c.")},
		}, ask("www.a.", dns.TypeA), "www.a. CNAME alice.eth.; alice.eth. CNAME c.; c. A 1.1.1.1", 0, ""},
		{"links inside one zone, one at a time", world{eth: m{
			"a.eth.": to("b.eth.", "a.eth. 60 IN CNAME b.eth."),
			"b.eth.": to("c.eth.", "b.eth. 60 IN CNAME c.eth."),
			"c.eth.": answer("c.eth. 60 IN A 1.1.1.1"),
		}}, ask("a.eth.", dns.TypeA), "a.eth. CNAME b.eth.; b.eth. CNAME c.eth.; c.eth. A 1.1.1.1", 0, ""},
		{"a longer zone is another route", world{
			forward: m{"www.example.": answer("www.example. 60 IN CNAME db.corp.example.", "db.corp.example. 60 IN A 6.6.6.6")},
			corp:    m{"db.corp.example.": answer("db.corp.example. 60 IN A 10.0.0.1")},
		}, ask("www.example.", dns.TypeA), "www.example. CNAME db.corp.example.; db.corp.example. A 10.0.0.1", 0, ""},
		{"DNAME across", world{
			forward: m{"x.old.": answer("old. 60 IN DNAME eth.", "x.old. 60 IN CNAME x.eth.", "x.eth. 60 IN A 6.6.6.6")},
			eth:     m{"x.eth.": answer("x.eth. 60 IN A 1.1.1.1")},
		}, ask("x.old.", dns.TypeA), "old. DNAME eth.; x.old. CNAME x.eth.; x.eth. A 1.1.1.1", 0, ""},
		{"the CNAME of a DNAME is made where missing", world{
			eth: m{"x.alice.eth.": to("x.b.", "alice.eth. 60 IN DNAME b.")}, forward: m{"x.b.": answer("x.b. 60 IN A 1.1.1.1")},
		}, ask("x.alice.eth.", dns.TypeA), "alice.eth. DNAME b.; x.alice.eth. CNAME x.b.; x.b. A 1.1.1.1", 0, ""},
		{"and replaced where it lies", world{
			forward: m{"x.old.": answer("old. 60 IN DNAME new.", "x.old. 60 IN CNAME evil.", "evil. 60 IN A 6.6.6.6", "x.new. 60 IN A 1.1.1.1")},
		}, ask("x.old.", dns.TypeA), "old. DNAME new.; x.old. CNAME x.new.; x.new. A 1.1.1.1", 0, ""},
		{"DNAME to the root", world{
			forward: m{"x.y.old.": answer("old. 60 IN DNAME .", "x.y. 60 IN A 1.1.1.1")},
		}, ask("x.y.old.", dns.TypeA), "old. DNAME .; x.y.old. CNAME x.y.; x.y. A 1.1.1.1", 0, ""},
		{"a DNAME above the zone has no say", world{
			corp: m{"x.corp.example.": answer("example. 60 IN DNAME evil.", "x.corp.example. 60 IN A 10.0.0.1")},
		}, ask("x.corp.example.", dns.TypeA), "x.corp.example. A 10.0.0.1", 0, ""},
		{"a DNAME at the name itself is no alias", world{
			forward: m{"old.": answer("old. 60 IN DNAME new.", "old. 60 IN A 1.1.1.1")},
		}, ask("old.", dns.TypeA), "old. A 1.1.1.1", 0, ""},
		{"DNAME result too long", world{
			forward: m{long + "old.": answer("old. 60 IN DNAME " + long)},
		}, ask(long+"old.", dns.TypeA), "old. DNAME " + long, dns.RcodeYXDomain, ""},
		{"question for the CNAME", world{
			forward: m{"www.a.": answer("www.a. 60 IN CNAME alice.eth.", "alice.eth. 60 IN A 6.6.6.6")},
		}, ask("www.a.", dns.TypeCNAME), "www.a. CNAME alice.eth.", 0, ""},
		{"question for any type", world{
			eth: m{"a.eth.": to("b.", "a.eth. 60 IN CNAME b.", "b. 60 IN A 6.6.6.6")},
		}, ask("a.eth.", dns.TypeANY), "a.eth. CNAME b.", 0, ""},
		{"question for the DNAME", world{forward: m{"old.": answer("old. 60 IN DNAME new.")}},
			ask("old.", dns.TypeDNAME), "old. DNAME new.", 0, ""},
		{"question for the CNAME below a DNAME", world{
			forward: m{"x.old.": answer("old. 60 IN DNAME eth.", "x.old. 60 IN CNAME x.eth.")},
		}, ask("x.old.", dns.TypeCNAME), "old. DNAME eth.; x.old. CNAME x.eth.", 0, ""},
		{"of two CNAMEs one counts", world{
			forward: m{"a.": answer("a. 60 IN CNAME b.", "a. 60 IN CNAME alice.eth.", "b. 60 IN A 1.1.1.1")},
		}, ask("a.", dns.TypeA), "a. CNAME b.; b. A 1.1.1.1", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, _, err := tt.world.resolve(t, tt.q)
			if err != nil {
				t.Fatal(err)
			}
			if got := text(a.Answer); got != tt.want {
				t.Errorf("answer\n got %s\nwant %s", got, tt.want)
			}
			if a.Rcode != tt.rcode || text(a.Ns) != tt.ns {
				t.Errorf("%s with %q, want %s with %q", dns.RcodeToString[a.Rcode], text(a.Ns), dns.RcodeToString[tt.rcode], tt.ns)
			}
			if a.Target != "" || len(a.EDE) != 0 {
				t.Errorf("target %q, EDE %v", a.Target, a.EDE)
			}
		})
	}
}

func TestSignaturesOfTheChainStay(t *testing.T) {
	sig := func(owner, covered, labels, signer string) string {
		return owner + " 60 IN RRSIG " + covered + " 13 " + labels + " 60 20300101000000 20250101000000 1 " + signer + " AAAA"
	}
	first := answer("www.a. 60 IN CNAME alice.eth.", sig("www.a.", "CNAME", "1", "a."), sig("www.a.", "A", "2", "a."),
		sig("alice.eth.", "A", "2", "eth."))
	first.Ns = rrs("v.a. 60 IN NSEC x.a. A", sig("v.a.", "NSEC", "2", "a."),
		"et. 60 IN NSEC eu. NS", sig("et.", "NSEC", "1", "."), "v.a. 60 IN NS evil.")
	w := world{forward: m{"www.a.": first}, eth: m{"alice.eth.": answer("alice.eth. 60 IN A 1.1.1.1", sig("alice.eth.", "A", "2", "eth."))}}
	a, _, err := w.resolve(t, ask("www.a.", dns.TypeA))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(a.Answer); got != 4 {
		t.Errorf("answer %s", text(a.Answer))
	}
	// The wildcard's proof is there, the root's denial of eth is not.
	if len(a.Ns) != 2 || a.Ns[0].Header().Rrtype != dns.TypeNSEC || a.Ns[0].Header().Name != "v.a." {
		t.Errorf("authority %s", text(a.Ns))
	}
}

func TestChainBounds(t *testing.T) {
	chain := func(zone string, n int) m {
		out := m{}
		for i := range n {
			a := answer(fmt.Sprintf("n%d.%s 60 IN CNAME n%d.%s", i, zone, i+1, zone))
			a.Target = fmt.Sprintf("n%d.%s", i+1, zone)
			out[fmt.Sprintf("n%d.%s", i, zone)] = a
		}
		out[fmt.Sprintf("n%d.%s", n, zone)] = answer(fmt.Sprintf("n%d.%s 60 IN A 1.1.1.1", n, zone))
		return out
	}
	whole := func(n int) m {
		var lines []string
		for i := range n {
			lines = append(lines, fmt.Sprintf("n%d. 60 IN CNAME n%d.", i, i+1))
		}
		return m{"n0.": answer(append(lines, fmt.Sprintf("n%d. 60 IN A 1.1.1.1", n))...)}
	}
	loop := m{"a.eth.": answer("a.eth. 60 IN CNAME b.eth."), "b.eth.": answer("b.eth. 60 IN CNAME a.eth.")}
	loop["a.eth."].Target, loop["b.eth."].Target = "b.eth.", "a.eth."
	self := m{"a.eth.": {Target: "a.eth."}}
	tests := []struct {
		name  string
		world world
		q     string
		want  string // error text, "" is an answer with want links
		links int
	}{
		{"11 one at a time", world{eth: chain("eth.", 11)}, "n0.eth.", "", 11},
		{"12 one at a time", world{eth: chain("eth.", 12)}, "n0.eth.", "alias chain too long", 0},
		{"11 in one answer", world{forward: whole(11)}, "n0.", "", 11},
		{"12 in one answer", world{forward: whole(12)}, "n0.", "alias chain too long", 0},
		{"4000 in one answer", world{forward: whole(4000)}, "n0.", "alias chain too long", 0},
		{"loop over two answers", world{eth: loop}, "a.eth.", "alias loop", 0},
		{"loop onto itself", world{eth: self}, "a.eth.", "alias loop", 0},
		{"loop in one answer", world{forward: m{"a.": answer("a. 60 IN CNAME b.", "b. 60 IN CNAME c.", "c. 60 IN CNAME b.")}}, "a.", "alias loop", 0},
		{"loop over two routes", world{
			forward: m{"a.": answer("a. 60 IN CNAME a.eth.")}, eth: m{"a.eth.": answer("a.eth. 60 IN CNAME a.")},
		}, "a.", "alias loop", 0},
		{"DNAME onto itself grows", world{forward: m{"x.a.": answer("a. 60 IN DNAME b.a.")}}, "x.a.", "alias chain too long", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, asked, err := tt.world.resolve(t, ask(tt.q, dns.TypeA))
			if tt.want == "" {
				if err != nil || len(a.Answer) != tt.links+1 {
					t.Fatal(a, err)
				}
				return
			}
			var e *resolver.Error
			if !errors.As(err, &e) || !strings.Contains(e.Text, tt.want) || e.Rcode != dns.RcodeServerFailure {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			if n := len(asked[0]) + len(asked[1]); n > resolver.MaxAliases+1 {
				t.Errorf("%d questions were asked", n)
			}
		})
	}
}

func TestJoinedAnswer(t *testing.T) {
	one := answer("a.eth. 60 IN CNAME b.eth.")
	one.Target, one.Authoritative, one.Zone, one.Tags = "b.eth.", true, "onchain", []string{"zone:eth", "node:1"}
	one.Origin, one.AuthenticatedData = &resolver.Origin{Name: "a.eth"}, true
	two := answer("b.eth. 60 IN CNAME c.")
	two.Target, two.Tags, two.EDE = "c.", []string{"zone:eth", "node:2"}, []resolver.EDE{{Code: 3}}
	two.Origin, two.AuthenticatedData = &resolver.Origin{Name: "b.eth"}, true
	three := answer("c. 60 IN A 1.1.1.1")
	three.Zone, three.EDE, three.Uncacheable = "forward", []resolver.EDE{{Code: 3}, {Code: 0, Text: "x"}}, true
	three.Extra = rrs("c. 60 IN TXT x")
	for _, ad := range []bool{true, false} {
		three.AuthenticatedData = ad
		a, _, err := world{eth: m{"a.eth.": one, "b.eth.": two}, forward: m{"c.": three}}.resolve(t, ask("a.eth.", dns.TypeA))
		if err != nil {
			t.Fatal(err)
		}
		if !a.Authoritative || a.AuthenticatedData != ad || a.Zone != "onchain" || !a.Uncacheable || a.Origin.Name != "a.eth" {
			t.Errorf("%+v", a)
		}
		if !slices.Equal(a.Tags, []string{"zone:eth", "node:1", "node:2"}) || len(a.EDE) != 2 || len(a.Extra) != 1 {
			t.Errorf("tags %v EDE %v extra %v", a.Tags, a.EDE, a.Extra)
		}
	}
	if len(one.Tags) != 2 || len(one.Answer) != 1 {
		t.Error("a resolver's own answer was changed")
	}
}

func TestNoRoute(t *testing.T) {
	eth := &script{answers: m{"a.eth.": answer("a.eth. 60 IN CNAME www.example.")}}
	r := mustRouter(t, resolver.Route{Zone: "eth", Resolver: eth})
	_, err := r.Resolve(t.Context(), ask("www.example.", dns.TypeA))
	var e *resolver.Error
	if !errors.As(err, &e) || e.Rcode != dns.RcodeRefused || e.Code != dns.ExtendedErrorCodeNotAuthoritative {
		t.Errorf("error %v", err)
	}
	a, err := r.Resolve(t.Context(), ask("a.eth.", dns.TypeA))
	if err != nil || text(a.Answer) != "a.eth. CNAME www.example." || a.Rcode != dns.RcodeSuccess {
		t.Errorf("%v %v", a, err)
	}
}

func TestErrorsAndContextEnd(t *testing.T) {
	boom := resolver.Errorf(22, errors.New("inner"), "nobody there")
	eth := &script{err: boom}
	fwd := &script{answers: m{"a.": answer("a. 60 IN CNAME a.eth.")}}
	r := mustRouter(t, resolver.Route{Zone: "eth", Resolver: eth}, resolver.Route{Zone: ".", Resolver: fwd})
	if _, err := r.Resolve(t.Context(), ask("a.", dns.TypeA)); !errors.Is(err, boom) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Resolve(ctx, ask("a.", dns.TypeA)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestCheckName(t *testing.T) {
	tests := []struct{ in, want string }{
		{"Example.ORG", "example.org."}, {".", "."}, {`\065b.c`, "ab.c."}, {`a\.b.c.`, `a\.b.c.`},
		{"", "."}, {"a..b", ""}, {strings.Repeat("a", 64), ""}, {strings.Repeat("abcdefg.", 31) + "abcdef", ""},
		{strings.Repeat("abcdefg.", 31) + "abcde", strings.Repeat("abcdefg.", 31) + "abcde."},
	}
	for _, tt := range tests {
		got, err := resolver.CheckName(tt.in)
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("CheckName(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

// TestOverlongIsCounted: a chain of too many links is a limit that was met, a loop is not.
func TestOverlongIsCounted(t *testing.T) {
	chain := m{}
	for i := range 20 {
		chain[fmt.Sprintf("n%d.", i)] = &resolver.Answer{
			Answer: rrs(fmt.Sprintf("n%d. 60 IN CNAME n%d.", i, i+1)), Target: fmt.Sprintf("n%d.", i+1),
		}
	}
	chain["a."] = &resolver.Answer{Answer: rrs("a. 60 IN CNAME b."), Target: "b."}
	chain["b."] = &resolver.Answer{Answer: rrs("b. 60 IN CNAME a."), Target: "a."}
	r := mustRouter(t, resolver.Route{Zone: ".", Resolver: &script{answers: chain}})
	for _, name := range []string{"n0.", "a."} {
		if _, err := r.Resolve(t.Context(), ask(name, dns.TypeA)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if n := r.Overlong(); n != 1 {
		t.Errorf("%d counted", n)
	}
}
