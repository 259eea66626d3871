package dnssec

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// FuzzDenial asks any name of any part of a chain: nothing false is proven, and no question costs more
// than its budget.
func FuzzDenial(f *testing.F) {
	m := newModel(f, "example.", rrs(f, zoneText))
	for i, owner := range askedNames {
		f.Add(owner, uint16(dns.TypeA), uint64(1)<<i|0xffff, uint8(i))
	}
	f.Fuzz(func(t *testing.T, owner string, rrtype uint16, mask uint64, which uint8) {
		if rrtype == dns.TypeANY || rrtype == dns.TypeRRSIG || rrtype == dns.TypeNSEC || rrtype == dns.TypeNSEC3 {
			return // no data of the zone's content
		}
		var some []dns.RR
		for i, rr := range chains[int(which)%len(chains)].records(m) {
			if mask>>(i%64)&1 == 1 {
				some = append(some, rr)
			}
		}
		e := evidenceOf(m, some, 150)
		if err := checkProofs(m, e, owner, rrtype); err != nil {
			t.Error(err)
		}
		b := NewBudget(Limits{Hashes: 3})
		e.NameError(owner, b)
		if b.Spent().Hashes > 3 {
			t.Errorf("%+v", b.Spent())
		}
	})
}

// FuzzValidate gives hostile records beside signed ones: only what was signed, in the signed form, is ever
// secure, for records in any order, case or number.
func FuzzValidate(f *testing.F) {
	v := New(Config{})
	s := signerFor(f, "example.", dns.ED25519, dns.ZONE|dns.SEP)
	keys := keysOf(f, v, s)
	set := s.signSet(f, rrs(f, "a.w.example. 300 IN MX 10 b.example.\na.w.example. 300 IN MX 20 c.example.")...)
	wild := s.signSet(f, rrs(f, "*.w.example. 300 IN MX 30 d.example.")...)
	nsec := s.signSet(f, rrs(f, "a.example. 300 IN NSEC c.example. A NSEC RRSIG")...)
	trust := Trust{DS: []*dns.DS{NewDS(s.Key, dns.SHA256)}}
	pack := func(sets ...RRset) []byte {
		m := new(dns.Msg)
		for _, set := range sets {
			m.Answer = append(m.Answer, set.RRs...)
			for _, sig := range set.Sigs {
				m.Answer = append(m.Answer, sig)
			}
		}
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		return wire
	}
	f.Add(pack(set, wild, nsec))
	f.Add(pack(s.signSet(f, s.Key)))
	f.Add(pack(RRset{RRs: nsec.RRs, Sigs: set.Sigs}))
	honest := map[string]bool{}
	for _, one := range []RRset{set, wild, nsec} {
		honest[contents(one)] = true
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := new(dns.Msg)
		if m.Unpack(wire) != nil {
			return
		}
		b := NewBudget(Limits{})
		sets := Group(append(append(m.Answer, m.Ns...), m.Extra...))
		for _, one := range sets {
			res := v.ValidateRRset(one, keys, now, b)
			if res.Status == Insecure || res.Status == Indeterminate {
				t.Fatalf("%v under secure keys", res.Verdict)
			}
			if res.Status != Secure {
				continue
			}
			if one.Type() != dns.TypeDNSKEY && !honest[contents(one)] {
				t.Fatalf("secure, but never signed: %v", one.RRs)
			}
			if res.Expanded != (contents(one) == contents(wild) && one.Name() != "*.w.example.") {
				t.Fatalf("%s: expanded %v", one.Name(), res.Expanded)
			}
		}
		e := v.Evidence(sets, keys, now, b)
		for _, p := range []Proof{e.NameError("a.example.", b), e.NoData("a.example.", dns.TypeA, b), e.NameError("b.example.", b)} {
			if !p.Failed() { // the one NSEC proves neither: a.example has A, and *.example is not denied
				t.Fatalf("%v by %v", p, sets)
			}
		}
		for _, one := range sets {
			if k := v.ValidateKeys("example.", one, trust, now, b); k.Status == Secure && len(k.byID) != 1 {
				t.Fatalf("%d keys, one was signed", len(k.byID))
			}
		}
		v.Delegation("sub.example.", sets, keys, now, b)
		if got := b.Spent(); got.Failures > 16 || got.Checks > 256 || got.Hashes > 150 {
			t.Fatalf("%+v", got)
		}
	})
}

// contents are a set's data in canonical form, without owner and TTL.
func contents(set RRset) string {
	c, err := canonicalize(set.RRs)
	if err != nil {
		return err.Error()
	}
	var out []string
	for i := range c.rdatas {
		out = append(out, string(c.rdatas[i]))
	}
	return typeName(c.rrtype) + strings.Join(out, "|")
}

// FuzzNames: names are read as the library reads them, and ordered.
func FuzzNames(f *testing.F) {
	for _, a := range askedNames {
		f.Add(a, `\200.*.z.example.`)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		n, ok := parseName(a)
		m, ok2 := parseName(b)
		if !ok || !ok2 {
			return
		}
		again, ok := parseName(n.String())
		if !ok || !again.equal(n) {
			t.Fatalf("%q became %q", a, n)
		}
		if compare(n, m) != -compare(m, n) && (compare(n, m) > 0) == (compare(m, n) > 0) {
			t.Fatalf("%s and %s have no order", n, m)
		}
		if (compare(n, m) == 0) != n.equal(m) {
			t.Fatalf("%s and %s are equal only in order", n, m)
		}
		if n.below(m) && compare(n, m) <= 0 {
			t.Fatalf("%s is below %s and before it", n, m)
		}
		c := common(n, m)
		if !n.within(c) || !m.within(c) || n.labels() != dns.CountLabel(n.String()) {
			t.Fatalf("%s, %s: common %s", n, m, c)
		}
	})
}
