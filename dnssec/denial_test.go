package dnssec

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"
)

// askedNames are the names that the exhaustive tests ask for.
var askedNames = []string{
	"example.", "ns.example.", "host.example.", "HOST.example.", "alias.example.", "a.alias.example.",
	"unsigned.example.", "ns.unsigned.example.", "no.unsigned.example.", "signed.example.", "x.signed.example.",
	"ent.example.", "x.ent.example.", "y.ent.example.", "a.x.ent.example.", "hidden.example.", "only.hidden.example.",
	"other.hidden.example.", "w.example.", "*.w.example.", "a.w.example.", "a.b.w.example.", "y.w.example.",
	"a.y.w.example.", "sw.example.", "*.sw.example.", "q.sw.example.", "a.*.sw.example.", "b.*.sw.example.",
	"dn.example.", "a.dn.example.", "zz.example.", "zzz.example.", "0.example.", "*.example.", "a.b.c.d.example.",
	"other.", ".", "aexample.", "mm.example.", `\000.host.example.`, `\255.example.`,
}

var askedTypes = []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX, dns.TypeNS, dns.TypeSOA, dns.TypeDS, dns.TypeCNAME, dns.TypeDNAME}

type chainKind struct {
	name    string
	records func(m *model) []dns.RR
	optOut  bool
}

var chains = []chainKind{
	{"nsec", (*model).nsecs, false},
	{"nsec3", func(m *model) []dns.RR { return m.nsec3s(0, "", false) }, false},
	{"nsec3 salted", func(m *model) []dns.RR { return m.nsec3s(12, "\xaa\xbb\xcc\xdd", false) }, false},
	{"nsec3 opt-out", func(m *model) []dns.RR { return m.nsec3s(1, "s", true) }, true},
}

// With the whole chain at hand each true denial must be proven, and none that is false.
func TestDenialAgainstTheZone(t *testing.T) {
	m := newModel(t, "example.", rrs(t, zoneText))
	for _, chain := range chains {
		t.Run(chain.name, func(t *testing.T) {
			e := evidenceOf(m, chain.records(m), 150)
			for _, owner := range askedNames {
				for _, rrtype := range askedTypes {
					if err := checkProofs(m, e, owner, rrtype); err != nil {
						t.Error(err)
					}
					if err := checkComplete(m, e, owner, rrtype, chain.optOut); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

// checkProofs: whatever is proven must be true.
func checkProofs(m *model, e *Evidence, owner string, rrtype uint16) error {
	n, ok := parseName(owner)
	if !ok {
		return nil
	}
	is := m.truth(n, rrtype)
	p := e.NoData(owner, rrtype, NewBudget(Limits{}))
	switch {
	case p.Status == Secure && is != lacksType && is != wildLacksType:
		return fmt.Errorf("%s %s: NoData is %v by %v, truth %d", owner, dns.Type(rrtype), p.Verdict, p.Kind, is)
	case p.Kind == KindWildcardNoData && is != wildLacksType:
		return fmt.Errorf("%s %s: wildcard no data, truth %d", owner, dns.Type(rrtype), is)
	case !p.Failed() && (is == hasType || is == wildHasType && !p.OptOut): // what opt-out leaves open, wildcards cannot close
		return fmt.Errorf("%s %s: NoData is %v, but there is data", owner, dns.Type(rrtype), p)
	}
	p = e.NameError(owner, NewBudget(Limits{}))
	if p.Status == Secure && is != noName || !p.Failed() && (is == hasType || is == wildHasType) {
		return fmt.Errorf("%s: NameError is %v, truth %d", owner, p.Verdict, is)
	}
	for labels := range n.labels() {
		p := e.Expansion(owner, uint8(labels), NewBudget(Limits{}))
		if closer := n.last(labels + 1); p.Status == Secure && m.exists(closer) {
			return fmt.Errorf("%s from %d labels: %s exists", owner, labels, closer)
		}
	}
	return nil
}

// checkComplete: whatever is true must be proven, or insecure by opt-out.
func checkComplete(m *model, e *Evidence, owner string, rrtype uint16, optOut bool) error {
	n, ok := parseName(owner)
	if !ok {
		return nil
	}
	good := func(p Proof) bool { return p.Status == Secure || optOut && p.OptOut }
	switch m.truth(n, rrtype) {
	case lacksType, wildLacksType:
		if p := e.NoData(owner, rrtype, NewBudget(Limits{})); !good(p) {
			return fmt.Errorf("%s %s: NoData %v", owner, dns.Type(rrtype), p.Verdict)
		}
	case noName:
		if p := e.NameError(owner, NewBudget(Limits{})); !good(p) {
			return fmt.Errorf("%s: NameError %v", owner, p.Verdict)
		}
	case wildHasType:
		if p := e.Expansion(owner, uint8(m.encloser(n).labels()), NewBudget(Limits{})); !good(p) {
			return fmt.Errorf("%s: Expansion %v", owner, p.Verdict)
		}
	}
	return nil
}

// Leaving any one record out may lose proofs but must not make false ones; nor may the name's own be missed.
func TestDenialWithRecordsMissing(t *testing.T) {
	m := newModel(t, "example.", rrs(t, zoneText))
	for _, chain := range chains {
		all := chain.records(m)
		for i := range all {
			rest := append(append([]dns.RR(nil), all[:i]...), all[i+1:]...)
			for _, e := range []*Evidence{evidenceOf(m, rest, 150), evidenceOf(m, all[i:i+1], 150)} {
				for _, owner := range askedNames {
					if err := checkProofs(m, e, owner, dns.TypeA); err != nil {
						t.Errorf("%s, record %d: %v", chain.name, i, err)
					}
				}
			}
		}
	}
}

// The rows of RFC 6840 section 4 and RFC 4035 section 5.4, each with the records that an attacker would replay.
func TestDenialRows(t *testing.T) {
	nsec := func(text string) []dns.RR { return rrs(t, text) }
	tests := []struct {
		name    string
		records []dns.RR
		ask     func(*Evidence, *Budget) Proof
		status  Status
		kind    Kind
	}{
		{"parent's NSEC, child's data", nsec("sub.example. 1 NSEC z.example. NS RRSIG NSEC"), noData("sub.example.", dns.TypeA), Bogus, KindNone},
		{"parent's NSEC, DS", nsec("sub.example. 1 NSEC z.example. NS RRSIG NSEC"), noData("sub.example.", dns.TypeDS), Secure, KindNoData},
		{"parent's NSEC, below", nsec("sub.example. 1 NSEC z.example. NS RRSIG NSEC\nexample. 1 NSEC sub.example. SOA NS"), nameError("a.sub.example."), Bogus, KindNone},
		{"DNAME's NSEC, below", nsec("sub.example. 1 NSEC z.example. DNAME RRSIG NSEC\nexample. 1 NSEC sub.example. SOA NS"), nameError("a.sub.example."), Bogus, KindNone},
		{"DNAME's NSEC, beside", nsec("sub.example. 1 NSEC z.example. DNAME RRSIG NSEC\nexample. 1 NSEC sub.example. SOA NS"), nameError("t.example."), Secure, KindNameError},
		{"apex NSEC, DS", nsec("example. 1 NSEC a.example. NS SOA RRSIG NSEC DNSKEY"), noData("example.", dns.TypeDS), Bogus, KindNone},
		{"CNAME bit", nsec("a.example. 1 NSEC b.example. CNAME RRSIG NSEC"), noData("a.example.", dns.TypeA), Bogus, KindNone},
		{"type bit", nsec("a.example. 1 NSEC b.example. A RRSIG NSEC"), noData("a.example.", dns.TypeA), Bogus, KindNone},
		{"ANY with data", nsec("a.example. 1 NSEC b.example. A RRSIG NSEC"), noData("a.example.", dns.TypeANY), Bogus, KindNone},
		{"ANY of a compact denial", nsec(`a.example. 1 NSEC \000.a.example. RRSIG NSEC TYPE128`), noData("a.example.", dns.TypeANY), Secure, KindNoData},
		{"wildcard not denied", nsec("b.example. 1 NSEC d.example. A RRSIG NSEC"), nameError("c.example."), Bogus, KindNone},
		{"an empty non-terminal is a name", nsec("a.example. 1 NSEC x.c.example. A RRSIG NSEC\nexample. 1 NSEC a.example. SOA NS"), nameError("c.example."), Bogus, KindNone},
		{"an empty non-terminal has no data", nsec("a.example. 1 NSEC x.c.example. A RRSIG NSEC"), noData("c.example.", dns.TypeA), Secure, KindNoData},
		{"the last NSEC", nsec("z.example. 1 NSEC example. A RRSIG NSEC\nexample. 1 NSEC z.example. SOA NS"), nameError("zz.example."), Secure, KindNameError},
		{"an NSEC that runs backwards", nsec("z.example. 1 NSEC b.example. A RRSIG NSEC\nexample. 1 NSEC b.example. SOA NS"), nameError("zz.example."), Bogus, KindNone},
		{"next name outside", nsec("b.example. 1 NSEC z.other. A RRSIG NSEC\nexample. 1 NSEC b.example. SOA NS"), nameError("c.example."), Bogus, KindNone},
		{"outside", nsec("b.example. 1 NSEC example. A"), nameError("c.other."), Bogus, KindNone},
		{"closer name than the wildcard's", nsec("x.b.example. 1 NSEC z.b.example. A"), expansion("y.b.example.", 1), Bogus, KindNone},
		{"wildcard's closest encloser", nsec("x.b.example. 1 NSEC z.b.example. A"), expansion("y.b.example.", 2), Secure, KindExpansion},
		{"more labels than the name", nsec("x.b.example. 1 NSEC z.b.example. A"), expansion("y.b.example.", 3), Bogus, KindNone},
		{"nothing", nil, nameError("c.example."), Bogus, KindNone},
	}
	zone := mustName(t, "example.")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := evidenceOf(&model{origin: zone}, tt.records, 150)
			p := tt.ask(e, NewBudget(Limits{}))
			if p.Status != tt.status || p.Kind != tt.kind {
				t.Errorf("%v, %v", p.Verdict, p.Kind)
			}
			if p.Status == Bogus && tt.name != "outside" && p.Code != dns.ExtendedErrorCodeNSECMissing {
				t.Errorf("code %d", p.Code)
			}
		})
	}
}

func noData(owner string, rrtype uint16) func(*Evidence, *Budget) Proof {
	return func(e *Evidence, b *Budget) Proof { return e.NoData(owner, rrtype, b) }
}

func nameError(owner string) func(*Evidence, *Budget) Proof {
	return func(e *Evidence, b *Budget) Proof { return e.NameError(owner, b) }
}

func expansion(owner string, labels uint8) func(*Evidence, *Budget) Proof {
	return func(e *Evidence, b *Budget) Proof { return e.Expansion(owner, labels, b) }
}

func TestRootHasNoDS(t *testing.T) {
	e := evidenceOf(&model{origin: mustName(t, ".")}, rrs(t, ". 1 NSEC aaa. NS SOA RRSIG NSEC DNSKEY"), 150)
	if p := e.NoData(".", dns.TypeDS, NewBudget(Limits{})); p.Status != Secure {
		t.Error(p.Verdict)
	}
}

// What is signed counts, what is not does not: the way through Evidence with real signatures.
func TestEvidence(t *testing.T) {
	v := New(Config{})
	s := signerFor(t, "example.", dns.ED25519, dns.ZONE)
	keys := keysOf(t, v, s)
	m := newModel(t, "example.", rrs(t, zoneText))
	signedChain := func(records []dns.RR) []RRset {
		var out []RRset
		for _, rr := range records {
			out = append(out, s.signSet(t, rr))
		}
		return out
	}
	b := NewBudget(Limits{})
	whole := v.Evidence(signedChain(m.nsecs()), keys, now, b)
	if p := whole.NameError("mm.example.", b); p.Status != Secure || p.TTL != 300 {
		t.Errorf("signed: %+v", p)
	}
	bare := signedChain(m.nsecs())
	for i := range bare {
		bare[i].Sigs = nil
	}
	if p := v.Evidence(bare, keys, now, b).NameError("mm.example.", b); p.Status != Bogus || p.Code != dns.ExtendedErrorCodeRRSIGsMissing {
		t.Errorf("unsigned: %v", p.Verdict)
	}
	wild := s.signSet(t, rrs(t, "*.example. 300 NSEC z.example. TXT")...)
	wild.RRs[0].Header().Name, wild.Sigs[0].Hdr.Name = "m.example.", "m.example."
	if p := v.Evidence([]RRset{wild}, keys, now, b).NoData("m.example.", dns.TypeA, b); p.Status != Bogus {
		t.Errorf("an NSEC made from a wildcard: %v", p.Verdict)
	}
	for _, keys := range []*Keys{{}, InsecureKeys("example.", Verdict{Text: "x"}), {Verdict: bogus(9, "x"), zone: m.origin}} {
		if p := v.Evidence(nil, keys, now, b).NameError("mm.example.", b); p.Verdict != keys.Verdict {
			t.Errorf("%v, want %v", p.Verdict, keys.Verdict)
		}
	}
}
