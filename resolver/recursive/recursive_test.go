package recursive_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
	"dens/resolver/recursive"
)

func ask(t *testing.T, r resolver.Resolver, name, rrtype string) (*resolver.Answer, error) {
	t.Helper()
	return r.Resolve(t.Context(), resolver.Query{Name: name, Type: dns.StringToType[rrtype], Class: dns.ClassINET, DO: true})
}

func mustAsk(t *testing.T, r resolver.Resolver, name, rrtype string) *resolver.Answer {
	t.Helper()
	a, err := ask(t, r, name, rrtype)
	if err != nil {
		t.Fatalf("%s %s: %v", name, rrtype, err)
	}
	return a
}

// data is the data of an answer section without signatures.
func data(a *resolver.Answer) string {
	var out []string
	for _, rr := range a.Answer {
		if rr.Header().Rrtype != dns.TypeRRSIG {
			out = append(out, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// code is the extended error of a failure, or 999.
func code(err error) uint16 {
	var e *resolver.Error
	if !errors.As(err, &e) {
		return 999
	}
	return e.Code
}

// small is a signed tree: root, org., and below it good and bad zones.
func small(t *testing.T) *internet {
	in := newInternet(t)
	good := in.add("good.org.", "127.9.2.1", true, `
@ NS ns
ns A 127.9.2.1
www A 192.0.2.1
a.b.c A 192.0.2.2
alias CNAME www
away CNAME www.plain.org.
dead CNAME missing
loop CNAME loop2
loop2 CNAME loop
`)
	in.add("plain.org.", "127.9.2.2", false, "@ NS ns\nns A 127.9.2.2\nwww A 192.0.2.3\nback CNAME www.good.org.\n")
	bad := in.add("bad.org.", "127.9.2.3", true, "@ NS ns\nns A 127.9.2.3\nwww A 192.0.2.4\n")
	other := in.zone("bad.org.", true, "")
	org := in.add("org.", "127.9.1.1", true, `
@ NS ns
ns A 127.9.1.1
good NS ns.good
ns.good A 127.9.2.1
plain NS ns.plain
ns.plain A 127.9.2.2
bad NS ns.bad
ns.bad A 127.9.2.3
glueless NS ns.plain
`+good.ds()+other.ds())
	in.zones["bad.org."] = bad
	in.add(".", "127.9.0.1", true, "@ NS ns.root.\nns.root. A 127.9.0.1\norg. NS ns.org.\nns.org. A 127.9.1.1\n"+org.ds())
	return in
}

func TestResolves(t *testing.T) {
	in := small(t)
	r := in.resolver(nil)
	tests := []struct {
		name, rrtype string
		want         string
		rcode        int
		secure       bool
		target       string
	}{
		{"www.good.org.", "A", "192.0.2.1", 0, true, ""},
		{"a.b.c.good.org.", "A", "192.0.2.2", 0, true, ""},
		{"b.c.good.org.", "A", "", 0, true, ""},
		{"www.good.org.", "AAAA", "", 0, true, ""},
		{"no.good.org.", "A", "", dns.RcodeNameError, true, ""},
		{"alias.good.org.", "A", "192.0.2.1 www.good.org.", 0, true, ""},
		{"dead.good.org.", "A", "missing.good.org.", dns.RcodeNameError, true, ""},
		{"away.good.org.", "A", "www.plain.org.", 0, true, "www.plain.org."},
		{"www.plain.org.", "A", "192.0.2.3", 0, false, ""},
		{"no.plain.org.", "A", "", dns.RcodeNameError, false, ""},
		{"back.plain.org.", "A", "www.good.org.", 0, false, "www.good.org."},
		{"plain.org.", "DS", "", 0, true, ""},
		{"org.", "NS", "ns.org.", 0, true, ""},
		{".", "NS", "ns.root.", 0, true, ""},
		{".", "DS", "", 0, true, ""},
		{"nothing.", "A", "", dns.RcodeNameError, true, ""},
		{"www.nothing.", "MX", "", dns.RcodeNameError, true, ""},
	}
	for _, tt := range tests {
		a, err := ask(t, r, tt.name, tt.rrtype)
		if err != nil {
			t.Errorf("%s %s: %v", tt.name, tt.rrtype, err)
			continue
		}
		if data(a) != tt.want || a.Rcode != tt.rcode || a.AuthenticatedData != tt.secure || a.Target != tt.target || a.Zone != recursive.Kind {
			t.Errorf("%s %s: %q rcode %d, secure %v, target %q, want %+v", tt.name, tt.rrtype, data(a), a.Rcode, a.AuthenticatedData, a.Target, tt)
		}
	}
	if _, err := ask(t, r, "loop.good.org.", "A"); code(err) != dns.ExtendedErrorCodeOther {
		t.Errorf("loop: %v", err)
	}
}

func TestBogusIsRefusedUnlessCD(t *testing.T) {
	in := small(t)
	r := in.resolver(nil)
	if _, err := ask(t, r, "www.bad.org.", "A"); code(err) != dns.ExtendedErrorCodeDNSKEYMissing && code(err) != dns.ExtendedErrorCodeDNSBogus {
		t.Errorf("got %v", err)
	}
	a, err := r.Resolve(t.Context(), resolver.Query{Name: "www.bad.org.", Type: dns.TypeA, Class: dns.ClassINET, CD: true})
	if err != nil || data(a) != "192.0.2.4" || a.AuthenticatedData {
		t.Errorf("with CD: %v, %v", a, err)
	}
	a, err = r.Resolve(t.Context(), resolver.Query{Name: "www.good.org.", Type: dns.TypeA, Class: dns.ClassINET, CD: true})
	if err != nil || data(a) != "192.0.2.1" || !a.AuthenticatedData {
		t.Errorf("good, with CD: %v, %v", a, err)
	}
}

// TestMinimises: no server but the last sees more than the label that it is to know.
func TestMinimises(t *testing.T) {
	in := small(t)
	r := in.resolver(nil)
	mustAsk(t, r, "a.b.c.good.org.", "A")
	for _, q := range in.queries("127.9.0.1") {
		if q.name != "." && q.name != "org." {
			t.Errorf("the root was asked for %s", q.name)
		}
	}
	for _, q := range in.queries("127.9.1.1") {
		if q.name != "org." && q.name != "good.org." {
			t.Errorf("org. was asked for %s", q.name)
		}
	}
}

// TestSilentTopKeepsNames: servers of the root that do not answer are not told more for that.
func TestSilentTopKeepsNames(t *testing.T) {
	in := small(t)
	in.spoil(in.zones["."], func(dns.ResponseWriter, *dns.Msg) bool { return true })
	r := in.resolver(nil)
	if _, err := ask(t, r, "secret.good.org.", "A"); err == nil {
		t.Error("an answer out of silence")
	}
	for _, q := range in.queries("") {
		if q.name != "org." {
			t.Errorf("the root was asked for %s", q.name)
		}
	}
}

// TestSecondName: what is known of a zone serves the next name, at one query.
func TestSecondName(t *testing.T) {
	in := small(t)
	r := in.resolver(nil)
	mustAsk(t, r, "www.good.org.", "A")
	in.forget()
	mustAsk(t, r, "alias.good.org.", "A")
	if got := in.queries(""); len(got) != 1 {
		t.Errorf("%d queries for the second name: %v", len(got), got)
	}
}

// TestSecondMiss: a denial that covers the next name too saves the query (RFC 8198).
func TestSecondMiss(t *testing.T) {
	in := small(t)
	r := in.resolver(nil)
	mustAsk(t, r, "no1.good.org.", "A")
	in.forget()
	a := mustAsk(t, r, "no2.good.org.", "AAAA")
	if got := in.queries(""); len(got) != 0 || a.Rcode != dns.RcodeNameError || !a.AuthenticatedData {
		t.Errorf("%+v after %v", a, got)
	}
	a = mustAsk(t, r, "x.y.no1.good.org.", "A")
	if got := in.queries(""); len(got) != 0 || a.Rcode != dns.RcodeNameError {
		t.Errorf("%+v after %v", a, got)
	}
}

// TestOneFlight: a hundred who ask the same, and who ask for other types of it, cost one walk down.
func TestOneFlight(t *testing.T) {
	in := small(t)
	r := in.resolver(nil)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			rrtype := []string{"A", "AAAA"}[i%2]
			if _, err := ask(t, r, "www.good.org.", rrtype); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	seen := make(map[query]int)
	for _, q := range in.queries("") {
		if seen[q]++; seen[q] > 1 {
			t.Errorf("%v was asked %d times", q, seen[q])
		}
	}
}

func TestGlueless(t *testing.T) {
	in := small(t)
	in.host(in.zones["plain.org."], "glueless.org.", "@ NS ns.plain.org.\nwww A 192.0.2.9\n")
	r := in.resolver(nil)
	if a := mustAsk(t, r, "www.glueless.org.", "A"); data(a) != "192.0.2.9" {
		t.Errorf("got %q", data(a))
	}
}

// unsigned is a root that has the given records, and servers of zones below it.
func unsigned(t *testing.T, records string) *internet {
	in := newInternet(t)
	in.add(".", "127.9.0.1", false, "@ NS ns.root.\nns.root. A 127.9.0.1\n"+records)
	return in
}

// TestCircles: zones whose servers' names are in each other (TsuNAME) end soon, and others go on.
func TestCircles(t *testing.T) {
	in := unsigned(t, "a. NS ns.b.\nb. NS ns.a.\nc. NS ns.c.\nd. NS ns.a.\nd. NS ns.e.\ne. NS ns.e.\nns.e. A 127.9.3.1\n")
	e := in.add("e.", "127.9.3.1", false, "@ NS ns\nns A 127.9.3.1\n")
	in.host(e, "d.", "@ NS ns.e.\nwww A 192.0.2.7\n")
	r := in.resolver(nil)
	var wg sync.WaitGroup
	for _, name := range []string{"www.a.", "www.b.", "x.a.", "x.b.", "www.c."} {
		wg.Go(func() {
			_, err := ask(t, r, name, "A")
			if c := code(err); c != dns.ExtendedErrorCodeNoReachableAuthority && c != dns.ExtendedErrorCodeOther {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
	if n := len(in.queries("")); n > 40 {
		t.Errorf("%d queries", n)
	}
	if a := mustAsk(t, r, "www.d.", "A"); data(a) != "192.0.2.7" {
		t.Errorf("got %q", data(a))
	}
}

// TestNXNS: a referral to many servers without addresses does not become as many questions to a victim.
func TestNXNS(t *testing.T) {
	var referral strings.Builder
	for i := range 80 {
		fmt.Fprintf(&referral, "attack. NS n%d.victim.\n", i)
	}
	in := unsigned(t, referral.String()+"victim. NS ns.victim.\nns.victim. A 127.9.3.2\n")
	in.add("victim.", "127.9.3.2", false, "@ NS ns\nns A 127.9.3.2\n")
	r := in.resolver(nil)
	if _, err := ask(t, r, "www.attack.", "A"); err == nil {
		t.Error("an answer out of nothing")
	}
	if n := len(in.queries("127.9.3.2")); n > 4 {
		t.Errorf("%d queries to the victim", n)
	}
}

// TestQueryBudget: a chain of zones without glue, each on servers in the next, ends by a limit, with a
// text that names it.
func TestQueryBudget(t *testing.T) {
	var records strings.Builder
	for i := range 40 {
		fmt.Fprintf(&records, "z%d. NS ns.z%d.\n", i, i+1)
	}
	in := unsigned(t, records.String())
	r := in.resolver(nil)
	_, err := ask(t, r, "www.z0.", "A")
	if err == nil || !strings.Contains(err.Error(), "deep") {
		t.Errorf("got %v", err)
	}
	if r.Stats().Limits["depth"] == 0 {
		t.Errorf("not counted: %v", r.Stats().Limits)
	}
	if n := len(in.queries("")); n > 20 {
		t.Errorf("%d queries", n)
	}
}

// TestAliasesShareTheBudget: a chain of aliases over many zones costs no more than one question may.
func TestAliasesShareTheBudget(t *testing.T) {
	var top strings.Builder
	for i := range 10 {
		fmt.Fprintf(&top, "z%d. NS ns.z%d.\nns.z%d. A 127.9.5.1\n", i, i, i)
	}
	in := unsigned(t, top.String())
	first := in.add("z0.", "127.9.5.1", false, "@ NS ns\nwww CNAME www.z1.\n")
	for i := 1; i < 10; i++ {
		in.host(first, fmt.Sprintf("z%d.", i), fmt.Sprintf("@ NS ns\nwww CNAME www.z%d.\n", i+1))
	}
	r := in.resolver(func(c *recursive.Config) { c.Limits.Queries = 8 })
	router, err := resolver.NewRouter([]resolver.Route{{Zone: ".", Kind: recursive.Kind, Resolver: r}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, router, "www.z0.", "A"); err == nil || !strings.Contains(err.Error(), "more than 8 queries") {
		t.Errorf("got %v", err)
	}
	if n := len(in.queries("")); n > 8 {
		t.Errorf("%d queries", n)
	}
}

// TestPoison: what a server says about other zones changes nothing.
func TestPoison(t *testing.T) {
	in := unsigned(t, "bank. NS ns.bank.\nns.bank. A 127.9.3.4\nevil. NS ns.evil.\nns.evil. A 127.9.3.3\n")
	in.add("bank.", "127.9.3.4", false, "@ NS ns\nns A 127.9.3.4\nwww A 192.0.2.10\n")
	evil := in.add("evil.", "127.9.3.3", false, "@ NS ns\nns A 127.9.3.3\nwww A 192.0.2.66\nto CNAME www.bank.\nsub NS ns.bank.\n")
	in.spoil(evil, func(w dns.ResponseWriter, req *dns.Msg) bool {
		m := evil.reply(req)
		for _, line := range []string{"www.bank. 3600 IN A 6.6.6.6", "ns.bank. 3600 IN A 6.6.6.6", "bank. 3600 IN NS ns.evil."} {
			rr, _ := dns.NewRR(line)
			m.Answer, m.Ns, m.Extra = append(m.Answer, rr), append(m.Ns, rr), append(m.Extra, rr)
		}
		w.WriteMsg(m)
		return true
	})
	r := in.resolver(nil)
	if a := mustAsk(t, r, "www.evil.", "A"); data(a) != "192.0.2.66" || len(a.Ns) != 0 {
		t.Errorf("%q, %v", data(a), a.Ns)
	}
	if a := mustAsk(t, r, "to.evil.", "A"); data(a) != "www.bank." || a.Target != "www.bank." {
		t.Errorf("%q, target %q", data(a), a.Target)
	}
	ask(t, r, "x.sub.evil.", "A")
	for _, name := range []string{"www.bank.", "ns.bank."} {
		if a := mustAsk(t, r, name, "A"); strings.Contains(data(a), "6.6.6.6") {
			t.Errorf("%s: %q", name, data(a))
		}
	}
}

// TestEmptyNonTerminals: servers that deny or refuse the names on the way are got past.
func TestEmptyNonTerminals(t *testing.T) {
	for _, rcode := range []int{dns.RcodeNameError, dns.RcodeRefused, dns.RcodeServerFailure, dns.RcodeNotImplemented} {
		in := unsigned(t, "odd. NS ns.odd.\nns.odd. A 127.9.3.5\n")
		odd := in.add("odd.", "127.9.3.5", false, "@ NS ns\nns A 127.9.3.5\nx.y.z A 192.0.2.11\n")
		in.spoil(odd, func(w dns.ResponseWriter, req *dns.Msg) bool {
			if name := dns.CanonicalName(req.Question[0].Name); name != "z.odd." && name != "y.z.odd." {
				return false
			}
			w.WriteMsg(new(dns.Msg).SetRcode(req, rcode))
			return true
		})
		if a := mustAsk(t, in.resolver(nil), "x.y.z.odd.", "A"); data(a) != "192.0.2.11" {
			t.Errorf("%s: %q", dns.RcodeToString[rcode], data(a))
		}
	}
}

// TestLongName: a name of many labels takes few steps.
func TestLongName(t *testing.T) {
	name := strings.Repeat("a.", 60) + "long."
	in := unsigned(t, "long. NS ns.long.\nns.long. A 127.9.3.6\n")
	in.add("long.", "127.9.3.6", false, "@ NS ns\nns A 127.9.3.6\n"+name+" A 192.0.2.12\n")
	if a := mustAsk(t, in.resolver(nil), name, "A"); data(a) != "192.0.2.12" {
		t.Errorf("%q", data(a))
	}
	if n := len(in.queries("127.9.3.6")); n > 12 {
		t.Errorf("%d queries", n)
	}
}

// TestLame: of a zone's servers the one that serves it is found.
func TestLame(t *testing.T) {
	lame := map[string]func(m *dns.Msg){
		"refused":  func(m *dns.Msg) { m.Rcode = dns.RcodeRefused },
		"servfail": func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure },
		"upward": func(m *dns.Msg) {
			rr, _ := dns.NewRR(". 3600 IN NS ns.root.")
			m.Ns = []dns.RR{rr}
		},
		"not authoritative": func(m *dns.Msg) {
			rr, _ := dns.NewRR("www.lame. 3600 IN A 6.6.6.6")
			m.Answer = []dns.RR{rr}
		},
		"empty": func(*dns.Msg) {},
	}
	for name, spoil := range lame {
		in := unsigned(t, "lame. NS ns1.lame.\nlame. NS ns2.lame.\nns1.lame. A 127.9.3.7\nns2.lame. A 127.9.3.8\n")
		in.add("lame.", "127.9.3.7", false, "www A 192.0.2.13\n")
		bad := in.zone("lame.", false, "")
		bad.addr = "127.9.3.8"
		in.spoil(bad, func(w dns.ResponseWriter, req *dns.Msg) bool {
			m := new(dns.Msg).SetReply(req)
			spoil(m)
			w.WriteMsg(m)
			return true
		})
		in.serve(bad)
		r := in.resolver(nil)
		for range 4 {
			if a := mustAsk(t, r, "www.lame.", "A"); data(a) != "192.0.2.13" {
				t.Errorf("%s: %q", name, data(a))
			}
		}
	}
}

// TestDoubtfulAnswers: an answer without AA is taken where there is no better one.
func TestDoubtfulAnswers(t *testing.T) {
	in := unsigned(t, "odd. NS ns.odd.\nns.odd. A 127.9.3.9\n")
	odd := in.add("odd.", "127.9.3.9", false, "@ NS ns\nns A 127.9.3.9\nwww A 192.0.2.14\n")
	in.spoil(odd, func(w dns.ResponseWriter, req *dns.Msg) bool {
		m := odd.reply(req)
		m.Authoritative, m.RecursionAvailable = false, true
		w.WriteMsg(m)
		return true
	})
	r := in.resolver(nil)
	if a := mustAsk(t, r, "www.odd.", "A"); data(a) != "192.0.2.14" {
		t.Errorf("%q", data(a))
	}
	if a := mustAsk(t, r, "no.odd.", "A"); a.Rcode != dns.RcodeNameError {
		t.Errorf("%+v", a)
	}
}

func TestDelegationFromElsewhere(t *testing.T) {
	in := small(t)
	alice := in.add("alice.eth.", "127.9.4.1", true, "@ NS ns\nns A 127.9.4.1\nwww A 192.0.2.20\naway CNAME www.good.org.\nsub NS ns.sub\nns.sub A 127.9.4.2\n")
	in.add("sub.alice.eth.", "127.9.4.2", false, "@ NS ns\nns A 127.9.4.2\nwww A 192.0.2.21\n")
	r := in.resolver(nil)
	good := dnssec.NewDS(alice.signer.Key, dns.SHA256)
	wrong := *good
	wrong.Digest = strings.Repeat("0", 64)
	at := func(ds []*dns.DS, name string) (*resolver.Answer, error) {
		d := &resolver.Delegation{
			Zone: "alice.eth.", NS: []string{"ns.alice.eth."}, DS: ds,
			Glue: map[string][]netip.Addr{"ns.alice.eth.": {netip.MustParseAddr("127.9.4.1")}},
		}
		return r.ResolveAt(t.Context(), d, resolver.Query{Name: name, Type: dns.TypeA, Class: dns.ClassINET, DO: true})
	}
	for range 2 { // the second time from memory
		if a, err := at([]*dns.DS{good}, "www.alice.eth."); err != nil || data(a) != "192.0.2.20" || !a.AuthenticatedData {
			t.Errorf("right DS: %+v, %v", a, err)
		}
		if a, err := at(nil, "www.alice.eth."); err != nil || data(a) != "192.0.2.20" || a.AuthenticatedData {
			t.Errorf("no DS: %+v, %v", a, err)
		}
		if a, err := at([]*dns.DS{&wrong}, "www.alice.eth."); code(err) < 6 || code(err) > 12 {
			t.Errorf("wrong DS: %+v, %v", a, err)
		}
		if a, err := at([]*dns.DS{good}, "no.alice.eth."); err != nil || a.Rcode != dns.RcodeNameError || !a.AuthenticatedData {
			t.Errorf("denied: %+v, %v", a, err)
		}
		if a, err := at([]*dns.DS{good}, "www.sub.alice.eth."); err != nil || data(a) != "192.0.2.21" || a.AuthenticatedData {
			t.Errorf("insecure below: %+v, %v", a, err)
		}
		if a, err := at([]*dns.DS{good}, "away.alice.eth."); err != nil || a.Target != "www.good.org." {
			t.Errorf("away: %+v, %v", a, err)
		}
	}
	short := &resolver.Delegation{
		Zone: "alice.eth.", NS: []string{"ns.alice.eth."}, TTL: time.Minute,
		Glue: map[string][]netip.Addr{"ns.alice.eth.": {netip.MustParseAddr("127.9.4.1")}},
	}
	a, err := r.ResolveAt(t.Context(), short, resolver.Query{Name: "www.alice.eth.", Type: dns.TypeA, Class: dns.ClassINET})
	if err != nil || a.Answer[0].Header().Ttl != 60 {
		t.Errorf("kept for longer than the delegation: %+v, %v", a, err)
	}
	if _, err := at(nil, "www.good.org."); err == nil {
		t.Error("a name outside of the zone was asked of its servers")
	}
	// The root denies eth.; that says nothing below the Delegation.
	mustAsk(t, r, "www.eth.", "A")
	if a, err := at([]*dns.DS{good}, "www.alice.eth."); err != nil || data(a) != "192.0.2.20" {
		t.Errorf("after the root's denial: %+v, %v", a, err)
	}
}

func TestHealth(t *testing.T) {
	in := small(t)
	if h := in.resolver(nil).Check(t.Context()); !h.Primed || h.Problem != "" || h.Blocked || h.Trust.Status != dnssec.Secure {
		t.Errorf("good: %+v", h)
	}
	r := in.resolver(func(c *recursive.Config) { c.Anchors = dnssec.RootAnchors })
	if h := r.Check(t.Context()); !h.Primed || h.Blocked || !strings.Contains(h.Problem, "anchor") {
		t.Errorf("other anchor: %+v", h)
	}
	if _, err := ask(t, r, "www.good.org.", "A"); err == nil {
		t.Error("an answer without an anchor that fits")
	}
	root := in.zones["."]
	in.spoil(root, func(w dns.ResponseWriter, req *dns.Msg) bool {
		if req.Question[0].Qtype != dns.TypeDNSKEY {
			return false
		}
		w.WriteMsg(new(dns.Msg).SetRcode(req, dns.RcodeServerFailure))
		return true
	})
	if h := in.resolver(nil).Check(t.Context()); !h.Primed || h.Blocked || !strings.Contains(h.Problem, "the keys of . could not be had") {
		t.Errorf("no keys: %+v", h)
	}
	in.spoil(root, func(w dns.ResponseWriter, req *dns.Msg) bool {
		m := root.reply(req)
		m.Authoritative, m.RecursionAvailable = false, true
		w.WriteMsg(m)
		return true
	})
	if h := in.resolver(nil).Check(t.Context()); h.Primed || !h.Blocked || !strings.Contains(h.Problem, "rewrites") {
		t.Errorf("intercepted: %+v", h)
	}
	nobody := in.resolver(func(c *recursive.Config) { c.Port = 1 })
	if h := nobody.Check(t.Context()); h.Primed || !h.Blocked || !strings.Contains(h.Problem, "blocks") {
		t.Errorf("blocked: %+v", h)
	}
}

// TestLocalRoot: with a copy of the root zone its servers are asked nothing.
func TestLocalRoot(t *testing.T) {
	in := small(t)
	r := in.resolver(func(c *recursive.Config) {
		c.Local = func(name string, rrtype uint16) (*dns.Msg, bool) {
			return in.zones["."].reply(new(dns.Msg).SetQuestion(name, rrtype)), true
		}
	})
	if a := mustAsk(t, r, "www.good.org.", "A"); data(a) != "192.0.2.1" || !a.AuthenticatedData {
		t.Errorf("%+v", a)
	}
	if a := mustAsk(t, r, "no.such.", "A"); a.Rcode != dns.RcodeNameError || !a.AuthenticatedData {
		t.Errorf("%+v", a)
	}
	if got := in.queries("127.9.0.1"); len(got) != 0 {
		t.Errorf("the root server was asked %v", got)
	}
}

func TestTrace(t *testing.T) {
	in := small(t)
	r := in.resolver(nil)
	ctx, trace := resolver.WithTrace(t.Context())
	if _, err := r.Resolve(ctx, resolver.Query{Name: "www.good.org.", Type: dns.TypeA, Class: dns.ClassINET}); err != nil {
		t.Fatal(err)
	}
	var outcomes []string
	for _, s := range trace.Steps() {
		if s.Kind == resolver.StepQuery {
			outcomes = append(outcomes, s.Name+" "+s.Outcome)
		}
	}
	for _, want := range []string{"org. referral to org.", "good.org. referral to good.org.", "www.good.org. answer"} {
		if !slices.Contains(outcomes, want) {
			t.Errorf("no step %q in %q", want, outcomes)
		}
	}
	if len(trace.Trust()) < 3 {
		t.Errorf("chain of trust: %+v", trace.Trust())
	}
}

// TestGoneClient: who goes away does not spoil the exchange for those who wait for the same.
func TestGoneClient(t *testing.T) {
	in := small(t)
	held := make(chan struct{})
	good := in.zones["good.org."]
	in.spoil(good, func(dns.ResponseWriter, *dns.Msg) bool { <-held; return false })
	r := in.resolver(nil)
	gone, leave := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := r.Resolve(gone, resolver.Query{Name: "www.good.org.", Type: dns.TypeA, Class: dns.ClassINET})
		first <- err
	}()
	for len(in.queries("127.9.2.1")) == 0 {
	}
	leave()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	close(held)
	if a := mustAsk(t, r, "www.good.org.", "A"); data(a) != "192.0.2.1" {
		t.Errorf("got %q", data(a))
	}
}

// TestWhatIsOldIsAskedAgain: answers live as long as their TTL, and the TTL that is left is given.
func TestWhatIsOldIsAskedAgain(t *testing.T) {
	in := small(t)
	now := time.Now()
	var mu sync.Mutex
	pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	r := in.resolver(func(c *recursive.Config) {
		c.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	mustAsk(t, r, "www.good.org.", "A")
	in.forget()
	pass(600 * time.Second)
	a := mustAsk(t, r, "www.good.org.", "A")
	if ttl := a.Answer[0].Header().Ttl; ttl < 2900 || ttl > 3000 || len(in.queries("")) != 0 {
		t.Errorf("TTL %d after 600 s of 3600, queries %v", ttl, in.queries(""))
	}
	pass(time.Hour)
	mustAsk(t, r, "www.good.org.", "A")
	if len(in.queries("127.9.2.1")) == 0 {
		t.Error("an expired answer was given")
	}
}

// fixed answers all questions with one address.
type fixed string

func (f fixed) Resolve(_ context.Context, q resolver.Query) (*resolver.Answer, error) {
	rr, err := dns.NewRR(q.Name + " 60 IN A " + string(f))
	return &resolver.Answer{Answer: []dns.RR{rr}, Zone: "forward"}, err
}

func TestFallback(t *testing.T) {
	in := small(t)
	r := in.resolver(nil)
	with := r.WithFallback(fixed("192.0.2.99"))
	r.Check(t.Context())
	if a := mustAsk(t, with, "www.good.org.", "A"); data(a) != "192.0.2.1" {
		t.Errorf("while the root answers: %q", data(a))
	}
	blocked := in.resolver(func(c *recursive.Config) { c.Port = 1 })
	blocked.Check(t.Context())
	if a := mustAsk(t, blocked.WithFallback(fixed("192.0.2.99")), "www.good.org.", "A"); data(a) != "192.0.2.99" {
		t.Errorf("while it does not: %q", data(a))
	}
}

// TestServersElsewhere: hosts outside of a Delegation's zone are looked up where names are routed.
func TestServersElsewhere(t *testing.T) {
	in := small(t)
	in.add("bob.eth.", "127.9.4.3", false, "@ NS ns.carol.eth.\nwww A 192.0.2.30\n")
	r := in.resolver(func(c *recursive.Config) { c.Hosts = fixed("127.9.4.3") })
	d := &resolver.Delegation{Zone: "bob.eth.", NS: []string{"ns.carol.eth."}}
	a, err := r.ResolveAt(t.Context(), d, resolver.Query{Name: "www.bob.eth.", Type: dns.TypeA, Class: dns.ClassINET})
	if err != nil || data(a) != "192.0.2.30" {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestStub: a zone whose servers the configuration names is validated by the anchors that it is given.
func TestStub(t *testing.T) {
	in := small(t)
	corp := in.add("corp.", "127.9.4.4", true, "@ NS ns\nns A 127.9.4.4\nwww A 192.0.2.40\n")
	at := netip.AddrPortFrom(netip.MustParseAddr("127.9.4.4"), in.port)
	root := in.zones["."].signer.Key
	for _, tt := range []struct {
		trust    resolver.DelegationTrust
		anchored bool
		secure   bool
		failed   bool
	}{
		{trust: resolver.ByDS},
		{trust: resolver.ByOwnAnchors},
		{trust: resolver.ByOwnAnchors, anchored: true, secure: true},
		{trust: resolver.ByAnchors, anchored: true, secure: true},
		{trust: resolver.ByAnchors, failed: true}, // the root proves that there is no corp.
	} {
		r := in.resolver(func(c *recursive.Config) {
			anchors := new(dnssec.Anchors).With(".", dnssec.Trust{Keys: []*dns.DNSKEY{root}})
			if tt.anchored {
				anchors = anchors.With("corp.", dnssec.Trust{DS: []*dns.DS{dnssec.NewDS(corp.signer.Key, dns.SHA256)}})
			}
			c.Anchors = func() *dnssec.Anchors { return anchors }
		})
		d := &resolver.Delegation{Zone: "corp.", Servers: []netip.AddrPort{at}, Trust: tt.trust}
		a, err := r.ResolveAt(t.Context(), d, resolver.Query{Name: "www.corp.", Type: dns.TypeA, Class: dns.ClassINET})
		switch {
		case tt.failed && err == nil:
			t.Errorf("%+v: %+v", tt, a)
		case !tt.failed && (err != nil || data(a) != "192.0.2.40" || a.AuthenticatedData != tt.secure):
			t.Errorf("%+v: %+v, %v", tt, a, err)
		}
	}
}
