package localroot

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// brief writes a section as name/type pairs; signatures as the type they cover with a *.
func brief(section []dns.RR) string {
	var out []string
	for _, rr := range section {
		text := rr.Header().Name + "/" + dns.Type(rr.Header().Rrtype).String()
		if sig, ok := rr.(*dns.RRSIG); ok {
			text = rr.Header().Name + "/" + dns.Type(sig.TypeCovered).String() + "*"
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

func TestAnswer(t *testing.T) {
	r := newRoot(t)
	z := r.ready(start, r.zone(1))
	for _, tt := range []struct {
		name    string
		rrtype  uint16
		rcode   int
		aa      bool
		an, ns  string
		extra   string
		network bool
	}{
		{name: "com.", rrtype: dns.TypeNS, ns: "com./NS com./DS com./DS*", extra: "a.gtld-servers.net./A"},
		{name: "www.example.com.", rrtype: dns.TypeDS, ns: "com./NS com./DS com./DS*", extra: "a.gtld-servers.net./A"},
		{name: "a.gtld-servers.net.", rrtype: dns.TypeA, ns: "net./NS net./DS net./DS*", extra: "a.gtld-servers.net./A"},
		{name: "a.root-servers.net.", rrtype: dns.TypeA, ns: "net./NS net./DS net./DS*", extra: "a.gtld-servers.net./A"},
		{name: "x.eu.", rrtype: dns.TypeTXT, ns: "eu./NS eu./NSEC eu./NSEC*", extra: "ns.eu./A ns.eu./AAAA"},
		{name: "unsigned.", rrtype: dns.TypeA, ns: "unsigned./NS unsigned./NSEC unsigned./NSEC*"},
		{name: "a.deep.ent.", rrtype: dns.TypeA, ns: "deep.ent./NS deep.ent./NSEC deep.ent./NSEC*", extra: "ns.eu./A ns.eu./AAAA"},
		{name: "com.", rrtype: dns.TypeDS, aa: true, an: "com./DS com./DS*"},
		{name: "eu.", rrtype: dns.TypeDS, aa: true, ns: "./SOA ./SOA* eu./NSEC eu./NSEC*"},
		{name: ".", rrtype: dns.TypeNS, aa: true, an: "./NS ./NS ./NS*", extra: "a.root-servers.net./A a.root-servers.net./AAAA b.root-servers.net./A"},
		{name: ".", rrtype: dns.TypeSOA, aa: true, an: "./SOA ./SOA*"},
		{name: ".", rrtype: dns.TypeDNSKEY, aa: true, an: "./DNSKEY ./DNSKEY ./DNSKEY*"},
		{name: ".", rrtype: dns.TypeZONEMD, aa: true, an: "./ZONEMD ./ZONEMD*"},
		{name: ".", rrtype: dns.TypeNSEC, aa: true, an: "./NSEC ./NSEC*"},
		{name: ".", rrtype: dns.TypeA, aa: true, ns: "./SOA ./SOA* ./NSEC ./NSEC*"},
		{name: ".", rrtype: dns.TypeDS, aa: true, ns: "./SOA ./SOA* ./NSEC ./NSEC*"},
		{name: "txt.", rrtype: dns.TypeTXT, aa: true, an: "txt./TXT txt./TXT*"},
		{name: "txt.", rrtype: dns.TypeA, aa: true, ns: "./SOA ./SOA* txt./NSEC txt./NSEC*"},
		{name: "ent.", rrtype: dns.TypeA, aa: true, ns: "./SOA ./SOA* com./NSEC com./NSEC*"},
		{name: "below.txt.", rrtype: dns.TypeA, rcode: dns.RcodeNameError, aa: true, ns: "./SOA ./SOA* txt./NSEC txt./NSEC*"},
		{name: "other.ent.", rrtype: dns.TypeA, rcode: dns.RcodeNameError, aa: true, ns: "./SOA ./SOA* deep.ent./NSEC deep.ent./NSEC* com./NSEC com./NSEC*"},
		{name: "eth.", rrtype: dns.TypeA, rcode: dns.RcodeNameError, aa: true, ns: "./SOA ./SOA* deep.ent./NSEC deep.ent./NSEC* ./NSEC ./NSEC*"},
		{name: "a.b.c.zzz.", rrtype: dns.TypeDS, rcode: dns.RcodeNameError, aa: true, ns: "./SOA ./SOA* zw./NSEC zw./NSEC* ./NSEC ./NSEC*"},
		{name: "aaa.", rrtype: dns.TypeA, rcode: dns.RcodeNameError, aa: true, ns: "./SOA ./SOA* ./NSEC ./NSEC*"},
		{name: "com.", rrtype: dns.TypeANY, network: true},
		{name: ".", rrtype: dns.TypeRRSIG, network: true},
		{name: ".", rrtype: dns.TypeAXFR, network: true},
		{name: ".", rrtype: dns.TypeOPT, network: true},
		{name: ".", rrtype: dns.TypeNone, network: true},
	} {
		t.Run(tt.name+dns.Type(tt.rrtype).String(), func(t *testing.T) {
			m, ok := z.Answer(tt.name, tt.rrtype)
			if tt.network {
				if ok || m != nil {
					t.Errorf("answered: %v", m)
				}
				return
			}
			if !ok {
				t.Fatal("not answered")
			}
			if m.Rcode != tt.rcode || m.Authoritative != tt.aa || !m.Response {
				t.Errorf("header %+v", m.MsgHdr)
			}
			if got := brief(m.Answer); got != tt.an {
				t.Errorf("answer %q, want %q", got, tt.an)
			}
			if got := brief(m.Ns); got != tt.ns {
				t.Errorf("authority %q, want %q", got, tt.ns)
			}
			if got := brief(m.Extra); got != tt.extra {
				t.Errorf("additional %q, want %q", got, tt.extra)
			}
			if m.Question[0].Name != tt.name || m.Question[0].Qtype != tt.rrtype {
				t.Errorf("question %v", m.Question)
			}
		})
	}
}

// TestAnswersValidate asks for names at random and lets dnssec judge: whatever is said is proven.
func TestAnswersValidate(t *testing.T) {
	r := newRoot(t)
	z := r.ready(start, r.zone(1))
	v := dnssec.New(dnssec.Config{})
	keys := v.ValidateKeys(apex, r.keySet(), r.trust(), start, dnssec.NewBudget(dnssec.Limits{}))
	labels := []string{"com", "eu", "net", "unsigned", "deep", "ent", "txt", "zw", "a", "zz", "0", "root-servers", "*", `\000`, `\255`, "-"}
	types := []uint16{dns.TypeA, dns.TypeNS, dns.TypeDS, dns.TypeTXT, dns.TypeSOA, dns.TypeNSEC, dns.TypeCNAME}
	rng := rand.New(rand.NewPCG(1, 2))
	seen := make(map[string]int)
	for range 1000 {
		name := "."
		for range rng.IntN(4) {
			name = labels[rng.IntN(len(labels))] + "." + strings.TrimPrefix(name, ".")
		}
		rrtype := types[rng.IntN(len(types))]
		m, ok := z.Answer(name, rrtype)
		if !ok {
			t.Fatalf("%s %s: not answered", name, dns.Type(rrtype))
		}
		kind, err := judge(v, keys, m, name, rrtype)
		if err != nil {
			t.Fatalf("%s %s: %v in\n%v", name, dns.Type(rrtype), err, m)
		}
		seen[kind]++
	}
	for _, kind := range []string{"answer", "referral", "insecure referral", "no name", "no data"} {
		if seen[kind] == 0 {
			t.Errorf("no %s among %v", kind, seen)
		}
	}
}

func (r *root) keySet() dnssec.RRset {
	return contentOf(r.t, apex, r.zone(1)).set(dns.TypeDNSKEY)
}

// judge says what a message is, and whether it is proven.
func judge(v *dnssec.Validator, keys *dnssec.Keys, m *dns.Msg, name string, rrtype uint16) (string, error) {
	b := dnssec.NewBudget(dnssec.Limits{})
	sets := dnssec.Group(m.Ns)
	evidence := v.Evidence(sets, keys, start, b)
	check := func(kind string, p dnssec.Proof) (string, error) {
		if p.Status != dnssec.Secure {
			return kind, fmt.Errorf("%s: %v", kind, p.Verdict)
		}
		return kind, nil
	}
	switch {
	case m.Rcode == dns.RcodeNameError:
		return check("no name", evidence.NameError(name, b))
	case len(m.Answer) > 0:
		for _, set := range dnssec.Group(m.Answer) {
			if got := v.ValidateRRset(set, keys, start, b); got.Status != dnssec.Secure {
				return "answer", fmt.Errorf("answer: %v", got.Verdict)
			}
		}
		return "answer", nil
	case m.Authoritative:
		return check("no data", evidence.NoData(name, rrtype, b))
	}
	child := m.Ns[0].Header().Name
	cut := v.Delegation(child, sets, keys, start, b)
	switch {
	case !dns.IsSubDomain(child, name):
		return "", fmt.Errorf("a referral to %s", child)
	case cut.Status == dnssec.Secure && len(cut.DS) > 0:
		return "referral", nil
	case cut.Status == dnssec.Insecure:
		return "insecure referral", nil
	}
	return "", fmt.Errorf("referral: %+v", cut)
}

// TestAnswerIsTheCallers: records may be added to a message without another one having them.
func TestAnswerIsTheCallers(t *testing.T) {
	r := newRoot(t)
	z := r.ready(start, r.zone(1))
	for _, q := range []struct {
		name   string
		rrtype uint16
	}{{"com.", dns.TypeA}, {"com.", dns.TypeDS}, {"nope.", dns.TypeA}, {"txt.", dns.TypeA}, {".", dns.TypeNS}} {
		m, _ := z.Answer(q.name, q.rrtype)
		want := m.String()
		junk := zoneOf(t, "junk. 5 IN A 192.0.2.9")[0]
		m.Answer, m.Ns, m.Extra = append(m.Answer, junk), append(m.Ns, junk), append(m.Extra, junk)
		if again, _ := z.Answer(q.name, q.rrtype); again.String() != want {
			t.Errorf("%s: %v", q.name, again)
		}
	}
}

// TestAskTheNetwork: what the copy does not know how to say is left to the root servers.
func TestAskTheNetwork(t *testing.T) {
	r := newRoot(t)
	z := r.ready(start, r.zone(1, `*.wild. 60 IN TXT "x"`, "alias. 60 IN DNAME com.", "cname. 60 IN CNAME txt."))
	for _, name := range []string{"a.wild.", "a.b.wild.", "x.alias."} {
		if m, ok := z.Answer(name, dns.TypeTXT); ok {
			t.Errorf("%s: %v", name, m)
		}
	}
	if m, ok := z.Answer("cname.", dns.TypeA); !ok || brief(m.Answer) != "cname./CNAME cname./CNAME*" {
		t.Errorf("cname.: %v", m)
	}
	if _, ok := z.Answer(strings.Repeat("a.", 130), dns.TypeA); ok {
		t.Error("a name that is none was answered")
	}
	// A root that is signed with NSEC3 has no proofs that are looked for here.
	bare := contentOf(t, apex, without(r.zone(1), ofType(dns.TypeNSEC)))
	bare.index()
	for _, q := range []string{"nope.", "txt.", "eu.", "ent."} {
		if bare.answer(new(dns.Msg), q, dns.TypeA) {
			t.Errorf("%s: answered without a proof", q)
		}
	}
	if !bare.answer(new(dns.Msg), "com.", dns.TypeA) {
		t.Error("com.: not answered")
	}
	if _, ok := new(Zone).answerBefore(); ok {
		t.Error("answered without a copy")
	}
}

func (z *Zone) answerBefore() (*dns.Msg, bool) {
	z.cfg = z.cfg.withDefaults()
	return z.Answer("com.", dns.TypeNS)
}

func BenchmarkReferral(b *testing.B) { benchmark(b, "www.example.com.") }

func BenchmarkNameError(b *testing.B) { benchmark(b, "www.example.nope.") }

func benchmark(b *testing.B, name string) {
	r := newRoot(b)
	var more []string
	for i := range 1500 {
		more = append(more, fmt.Sprintf("t%d. 172800 IN NS ns.eu.", i))
	}
	z := r.ready(start, r.zone(1, more...))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := z.Answer(name, dns.TypeA); !ok {
			b.Fatal("not answered")
		}
	}
}
