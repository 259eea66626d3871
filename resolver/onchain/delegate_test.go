package onchain_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"dens/chain"
	"dens/names"
	"dens/resolver"
	"dens/resolver/onchain"
)

// delegator is a names.Delegator of fixed content: records by name and type, or by name for all types.
type delegator struct {
	records map[string]names.Records
	errs    map[string]error // by name, or by name and type
	trust   chain.Trust      // of records that have no source; default chain.Quorum

	mu    sync.Mutex
	asked []string // guarded by mu
}

func (s *delegator) find(name string, rrtype uint16, how string) (names.Records, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := name + " " + dns.Type(rrtype).String()
	s.asked = append(s.asked, how+key)
	for _, k := range []string{key, name} {
		if err := s.errs[k]; err != nil {
			return names.Records{}, err
		}
	}
	rec, ok := s.records[key]
	if !ok {
		rec, ok = s.records[name]
	}
	if !ok {
		rec = names.Records{Apex: "eth."}
	}
	if rec.Source.Head.Number == 0 {
		rec.Source = source()
		rec.Source.Trust = max(rec.Source.Trust, s.trust)
	}
	return rec, nil
}

func (s *delegator) Lookup(_ context.Context, name string, rrtype uint16) (names.Records, error) {
	rec, err := s.find(name, rrtype, "")
	rec.Cuts = nil
	return rec, err
}

func (s *delegator) LookupCuts(_ context.Context, name string, rrtype uint16) (names.Records, error) {
	return s.find(name, rrtype, "cuts ")
}

func (s *delegator) reset() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	slices.Sort(asked)
	return asked
}

// iterator answers with what say returns, and keeps what it was asked.
type iterator struct {
	say   func(d *resolver.Delegation, q resolver.Query) (*resolver.Answer, error)
	at    []*resolver.Delegation
	asked []resolver.Query
}

func (i *iterator) ResolveAt(_ context.Context, d *resolver.Delegation, q resolver.Query) (*resolver.Answer, error) {
	i.at, i.asked = append(i.at, d), append(i.asked, q)
	if i.say != nil {
		return i.say(d, q)
	}
	return &resolver.Answer{Zone: "recursive", AuthenticatedData: len(d.DS) > 0, Answer: []dns.RR{&dns.A{
		Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: []byte{192, 0, 2, 99},
	}}}, nil
}

const digest = "ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB"

// cutAt is a zone cut with RRsets in presentation form.
func cutAt(t testing.TB, owner string, sets ...[]string) names.Cut {
	c := names.Cut{Owner: owner}
	for _, records := range sets {
		c.RRsets = append(c.RRsets, set(t, records...))
	}
	return c
}

func inAlice(cuts ...names.Cut) names.Records {
	return names.Records{Exists: true, Apex: "alice.eth.", Cuts: cuts, Tags: []string{"zone:eth", "node:alice"}}
}

// delegated is a system with names below and at zone cuts.
func delegated(t testing.TB) *delegator {
	apex := cutAt(t, "alice.eth.",
		[]string{"alice.eth. 60 IN NS NS1.alice.eth.", "alice.eth. 60 IN NS ns2.alice.eth.", "alice.eth. 60 IN NS ns.example.org."},
		[]string{"alice.eth. 30 IN DS 1 13 2 " + digest})
	glue := func(sets ...names.RRset) names.Records {
		rec := inAlice(apex)
		rec.RRsets, rec.Tags = sets, append(rec.Tags, "node:glue")
		return rec
	}
	texts := names.Cut{Owner: "bob.eth.", Texts: []names.Text{
		{Type: dns.TypeNS, JSON: `["ns.example.org"]`}, {Type: dns.TypeDS, JSON: `["1 13 2 ` + digest + `"]`},
	}}
	carol := cutAt(t, "sub.carol.eth.", []string{"sub.carol.eth. 60 IN NS ns.carol.eth."})
	own := cutAt(t, "dora.eth.", []string{"dora.eth. 60 IN NS ns.dens.alt."})
	return &delegator{
		records: map[string]names.Records{
			"alice.eth.":          inAlice(apex),
			"www.alice.eth.":      inAlice(apex),
			"ns1.alice.eth. A":    glue(set(t, "ns1.alice.eth. 60 IN A 192.0.2.1", "ns1.alice.eth. 60 IN A 192.0.2.2")),
			"ns1.alice.eth. AAAA": glue(set(t, "ns1.alice.eth. 60 IN AAAA 2001:db8::1")),
			"ns2.alice.eth. A":    glue(set(t, "ns2.alice.eth. 60 IN CNAME ns1.alice.eth.")),
			"bob.eth.":            {Exists: true, Apex: "bob.eth.", Cuts: []names.Cut{texts}},
			"sub.carol.eth.":      {Exists: true, Apex: "carol.eth.", Cuts: []names.Cut{carol}},
			"x.sub.carol.eth.":    {Exists: true, Apex: "carol.eth.", Cuts: []names.Cut{carol}},
			"ns.carol.eth. A": {Exists: true, Apex: "carol.eth.", Source: names.Source{Head: chain.Head{Number: 1}, Trust: chain.Single, Gateways: []string{"g.example"}},
				Texts: []names.Text{{Type: dns.TypeA, JSON: `["192.0.2.7"]`}}},
			"dora.eth.": {Exists: true, Apex: "dora.eth.", Cuts: []names.Cut{own},
				RRsets: []names.RRset{set(t, "dora.eth. 60 IN A 192.0.2.9")}},
			"x.sub.dora.eth.": {Exists: true, Apex: "dora.eth.", Cuts: []names.Cut{own,
				cutAt(t, "sub.dora.eth.", []string{"sub.dora.eth. 60 IN NS ns.example.org."})}},
		},
	}
}

func delegating(sys names.System, it resolver.Iterator) resolver.Resolver {
	cfg := config()
	cfg.Iterator = it
	return onchain.New(sys, cfg)
}

func query(name string, rrtype uint16) resolver.Query {
	return resolver.Query{Name: name, Type: rrtype, Class: dns.ClassINET, DO: true}
}

func describe(d *resolver.Delegation) string {
	var glue []string
	for _, host := range slices.Sorted(slices.Values(d.NS)) {
		if len(d.Glue[host]) > 0 {
			glue = append(glue, fmt.Sprintf("%s=%v", host, d.Glue[host]))
		}
	}
	var ds []uint16
	for _, rr := range d.DS {
		ds = append(ds, rr.KeyTag)
	}
	return fmt.Sprintf("%s %v %v %v %v", d.Zone, d.NS, glue, ds, d.TTL)
}

func TestDelegations(t *testing.T) {
	alice := "alice.eth. [ns1.alice.eth. ns2.alice.eth. ns.example.org.] [ns1.alice.eth.=[192.0.2.1 192.0.2.2 2001:db8::1]] [1] 30s"
	tests := []struct {
		name   string
		rrtype uint16
		want   string // the Delegation
	}{
		{"alice.eth.", dns.TypeA, alice},
		{"alice.eth.", dns.TypeNS, alice},
		{"alice.eth.", dns.TypeSOA, alice},
		{"alice.eth.", dns.TypeTXT, alice},
		{"www.alice.eth.", dns.TypeA, alice},
		{"www.alice.eth.", dns.TypeDS, alice},
		{"bob.eth.", dns.TypeA, "bob.eth. [ns.example.org.] [] [1] 5m0s"},
		{"x.sub.carol.eth.", dns.TypeA, "sub.carol.eth. [ns.carol.eth.] [ns.carol.eth.=[192.0.2.7]] [] 1m0s"},
		{"x.sub.dora.eth.", dns.TypeA, "sub.dora.eth. [ns.example.org.] [] [] 1m0s"},
	}
	for i, tt := range append(tests, tests...) {
		it, sys := &iterator{}, delegated(t)
		if i < len(tests) {
			sys.trust = chain.Proven
		}
		q := query(tt.name, tt.rrtype)
		a, err := delegating(sys, it).Resolve(t.Context(), q)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if len(it.at) != 1 || describe(it.at[0]) != tt.want || it.asked[0] != q {
			t.Errorf("%s: iterator is asked %v at\n%s, want\n%s", tt.name, it.asked, describe(it.at[0]), tt.want)
			continue
		}
		// Secure by a DS that nobody has proven is not authentic.
		secure := len(it.at[0].DS) > 0 && sys.trust == chain.Proven
		if a.Authoritative || a.AuthenticatedData != secure || a.Zone != onchain.Kind || len(a.Answer) != 1 {
			t.Errorf("%s: got %+v", tt.name, a)
		}
		if a.Origin == nil || a.Origin.Delegation != it.at[0].Zone || !slices.Equal(a.Origin.NS, it.at[0].NS) || len(a.Origin.DS) != len(it.at[0].DS) {
			t.Errorf("%s: origin is %+v", tt.name, a.Origin)
		}
	}
}

// TestDelegationEvidence: the answer depends on the cut and on the addresses, and says so.
func TestDelegationEvidence(t *testing.T) {
	ctx, trace := resolver.WithTrace(t.Context())
	it := &iterator{}
	r := delegating(delegated(t), it)
	a, err := r.Resolve(ctx, query("www.alice.eth.", dns.TypeA))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"zone:eth", "node:alice", "node:glue"}; !slices.Equal(a.Tags, want) {
		t.Errorf("tags are %q, want %q", a.Tags, want)
	}
	if want := []string{"1 13 2 " + digest}; !slices.Equal(a.Origin.DS, want) || a.Origin.Trust != "quorum" || a.Origin.Name != "www.alice.eth." {
		t.Errorf("origin is %+v", a.Origin)
	}
	step := resolver.TrustStep{Zone: "alice.eth.", By: "chain", DS: []string{"1 13 2 " + digest}, Status: "secure",
		Text: "ethereum block 25000001, resolver 0x231b0Ee14048e9dCcD1d247744d114a4EB5E8E63, quorum of one, two"}
	if got := trace.Trust(); len(got) != 1 || !reflect.DeepEqual(got[0], step) {
		t.Errorf("trust steps are %+v, want %+v", got, step)
	}
	if steps := trace.Steps(); len(steps) != 1 || steps[0].Zone != "alice.eth." || !strings.Contains(steps[0].Outcome, "ns1.alice.eth.") {
		t.Errorf("steps are %+v", steps)
	}

	ctx, trace = resolver.WithTrace(t.Context())
	if a, err = r.Resolve(ctx, query("x.sub.carol.eth.", dns.TypeA)); err != nil {
		t.Fatal(err)
	}
	// An address that one backend says makes the whole as weak, and a gateway's stays a gateway's.
	if a.Origin.Trust != "single" || !slices.Equal(a.Origin.Gateways, []string{"g.example"}) || a.Origin.DS != nil {
		t.Errorf("origin is %+v", a.Origin)
	}
	if got := trace.Trust(); len(got) != 1 || got[0].Status != "insecure" || !strings.HasPrefix(got[0].Text, "no DS on chain; ") || !strings.HasSuffix(got[0].Text, "off-chain data by g.example") {
		t.Errorf("trust steps are %+v", got)
	}
}

// TestParentSide: what the chain answers itself although there is a cut.
func TestParentSide(t *testing.T) {
	ds := "alice.eth. 30 IN DS 1 13 2 " + digest
	tests := []struct {
		name         string
		rrtype       uint16
		answer       []string
		soa          string
		target       string
		authenticity bool
	}{
		{"alice.eth.", dns.TypeDS, []string{ds}, "", "", true},
		{"sub.carol.eth.", dns.TypeDS, []string{}, "carol.eth.", "", true},
		{"dora.eth.", dns.TypeA, []string{"dora.eth. 60 IN A 192.0.2.9"}, "", "", true},
		{"dora.eth.", dns.TypeMX, []string{}, "dora.eth.", "", true},
		{"nobody.eth.", dns.TypeMX, []string{}, "eth.", "", true},
		{"alice.eth.", dns.TypeANY, []string{`alice.eth. 300 IN HINFO "RFC8482" ""`}, "", "", true},
		{"alice.eth.limo.", dns.TypeA, []string{"alice.eth.limo. 30 IN CNAME alice.eth."}, "", "alice.eth.", true},
		{"alice.eth.limo.", dns.TypeDS, []string{"alice.eth.limo. 30 IN CNAME alice.eth."}, "", "alice.eth.", true},
		{"www.alice.eth.link.", dns.TypeA, []string{"www.alice.eth.link. 30 IN CNAME www.alice.eth."}, "", "www.alice.eth.", true},
		{"www.alice.eth.link.", dns.TypeCNAME, []string{"www.alice.eth.link. 30 IN CNAME www.alice.eth."}, "", "", true},
	}
	for _, tt := range tests {
		it := &iterator{}
		a, err := delegating(delegated(t), it).Resolve(t.Context(), query(tt.name, tt.rrtype))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if got := lines(a.Answer); !slices.Equal(got, tt.answer) || a.Target != tt.target || a.Authoritative != tt.authenticity || a.AuthenticatedData {
			t.Errorf("%s %s: got %q to %q, %+v", tt.name, dns.Type(tt.rrtype), got, a.Target, a)
		}
		if tt.soa != "" && (len(a.Ns) != 1 || a.Ns[0].Header().Name != tt.soa) {
			t.Errorf("%s %s: authority %v", tt.name, dns.Type(tt.rrtype), a.Ns)
		}
		if len(it.at) > 0 {
			t.Errorf("%s %s: the iterator was asked", tt.name, dns.Type(tt.rrtype))
		}
	}
	// The parent of a zone that is delegated at its apex is the system's zone.
	sys := delegated(t)
	sys.records["bob.eth."] = names.Records{Exists: true, Apex: "bob.eth.", Cuts: []names.Cut{
		cutAt(t, "bob.eth.", []string{"bob.eth. 60 IN NS ns.example.org."})}}
	a, err := delegating(sys, &iterator{}).Resolve(t.Context(), query("bob.eth.", dns.TypeDS))
	if err != nil || a.Rcode != 0 || len(a.Ns) != 1 || a.Ns[0].Header().Name != "eth." {
		t.Errorf("no DS at an apex: %+v, %v", a, err)
	}
}

// TestNoIterator: without one nothing is delegated, and cuts are not even asked for.
func TestNoIterator(t *testing.T) {
	sys := delegated(t)
	rec := sys.records["alice.eth."]
	rec.RRsets = rec.Cuts[0].RRsets
	sys.records["alice.eth."] = rec
	r := onchain.New(sys, config())
	a, err := r.Resolve(t.Context(), query("alice.eth.", dns.TypeNS))
	if err != nil || len(a.Answer) != 3 || !a.Authoritative || a.Origin.Delegation != "" {
		t.Errorf("got %+v, %v", a, err)
	}
	if asked := sys.reset(); !slices.Equal(asked, []string{"alice.eth. NS"}) {
		t.Errorf("asked %q", asked)
	}
	// Nor with an Iterator over a system that knows of no delegation.
	it := &iterator{}
	plain := &system{records: sys.records}
	if a, err = delegating(plain, it).Resolve(t.Context(), query("alice.eth.", dns.TypeNS)); err != nil || len(a.Answer) != 3 || len(it.at) > 0 {
		t.Errorf("got %+v, %v", a, err)
	}
}

// TestIteratorErrors come out as they are.
func TestIteratorErrors(t *testing.T) {
	bogus := resolver.Errorf(dns.ExtendedErrorCodeDNSBogus, nil, "bogus")
	it := &iterator{say: func(*resolver.Delegation, resolver.Query) (*resolver.Answer, error) { return nil, bogus }}
	if _, err := delegating(delegated(t), it).Resolve(t.Context(), query("alice.eth.", dns.TypeA)); err != bogus {
		t.Errorf("got %v", err)
	}
}

// TestForeignRecords: what the servers of a zone say about other names of the chain is not believed.
func TestForeignRecords(t *testing.T) {
	tests := []struct {
		what   string
		says   []string
		target string
		want   []string
		ns     int
	}{
		{"alias within the zone", []string{"www.alice.eth. 60 IN CNAME a.alice.eth.", "a.alice.eth. 60 IN A 192.0.2.1"}, "",
			[]string{"www.alice.eth. 60 IN CNAME a.alice.eth.", "a.alice.eth. 60 IN A 192.0.2.1"}, 1},
		{"alias to another zone", []string{"www.alice.eth. 60 IN CNAME bob.eth.", "bob.eth. 60 IN A 192.0.2.66"}, "bob.eth.",
			[]string{"www.alice.eth. 60 IN CNAME bob.eth."}, 0},
		{"alias to an alias of the zone", []string{"www.alice.eth. 60 IN CNAME bob.eth.limo.", "bob.eth.limo. 60 IN A 192.0.2.66"}, "bob.eth.limo.",
			[]string{"www.alice.eth. 60 IN CNAME bob.eth.limo."}, 0},
		{"alias to nowhere in another zone", []string{"www.alice.eth. 60 IN CNAME bob.eth."}, "bob.eth.",
			[]string{"www.alice.eth. 60 IN CNAME bob.eth."}, 0},
		{"DNAME to another zone", []string{"alice.eth. 60 IN DNAME bob.eth.", "www.bob.eth. 60 IN A 192.0.2.66"}, "www.bob.eth.",
			[]string{"alice.eth. 60 IN DNAME bob.eth.", "www.alice.eth. 60 IN CNAME www.bob.eth."}, 0},
		{"alias out of the chain is for the Router", []string{"www.alice.eth. 60 IN CNAME example.org.", "example.org. 60 IN A 192.0.2.66"}, "",
			[]string{"www.alice.eth. 60 IN CNAME example.org.", "example.org. 60 IN A 192.0.2.66"}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			it := &iterator{say: func(_ *resolver.Delegation, q resolver.Query) (*resolver.Answer, error) {
				a := &resolver.Answer{Rcode: 0, Ns: []dns.RR{&dns.SOA{}}}
				for _, s := range tt.says {
					rr, err := dns.NewRR(s)
					if err != nil {
						t.Fatal(err)
					}
					a.Answer = append(a.Answer, rr)
				}
				return a, nil
			}}
			a, err := delegating(delegated(t), it).Resolve(t.Context(), query("www.alice.eth.", dns.TypeA))
			if err != nil || !slices.Equal(lines(a.Answer), tt.want) || a.Target != tt.target || len(a.Ns) != tt.ns {
				t.Errorf("got %q to %q with %v, %v", lines(a.Answer), a.Target, a.Ns, err)
			}
		})
	}
	// An answer that ends where it has to keeps what belongs to it.
	it := &iterator{say: func(_ *resolver.Delegation, q resolver.Query) (*resolver.Answer, error) {
		rr, err := dns.NewRR("www.alice.eth. 60 IN CNAME bob.eth.")
		return &resolver.Answer{Answer: []dns.RR{rr}, Target: "bob.eth.", Ns: []dns.RR{&dns.NSEC{}}}, err
	}}
	if a, err := delegating(delegated(t), it).Resolve(t.Context(), query("www.alice.eth.", dns.TypeA)); err != nil || len(a.Ns) != 1 || a.Target != "bob.eth." {
		t.Errorf("got %+v, %v", a, err)
	}
}
