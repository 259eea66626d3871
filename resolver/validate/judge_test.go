package validate

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// internet is a world with a zone of each kind.
func internet(t testing.TB) *world {
	return newWorld(t,
		spec{name: "."},
		spec{name: "com.", chain: "optout", text: "www A 192.0.2.1\n*.wild TXT w\n"},
		spec{name: "signed.com.", text: "@ A 192.0.2.1\nwww A 192.0.2.2\n"},
		spec{name: "insecure.com.", plain: true, text: "@ A 192.0.2.1\nwww A 192.0.2.2\nalias CNAME www.signed.com.\n"},
		spec{name: "org."},
		spec{name: "good.org.", text: `
@ A 192.0.2.1
www A 192.0.2.2
www A 192.0.2.3
@ MX 10 www
alias CNAME www
away CNAME www.signed.com.
toinsecure CNAME www.insecure.com.
todead CNAME nothing
tonodata CNAME mxonly
tobogus CNAME www.expired.org.
mxonly MX 10 www
x.ent A 192.0.2.4
*.w A 192.0.2.5
*.wc CNAME www
dn DNAME target
a.target A 192.0.2.6
far DNAME signed.com.
*.wfar CNAME any.wc.n3.org.
*.deep.w TXT deep
`},
		spec{name: "sub.good.org.", text: "www A 192.0.2.1\n"},
		spec{name: "plain.good.org.", plain: true, text: "www A 192.0.2.1\n"},
		spec{name: "signed.plain.good.org.", text: "www A 192.0.2.1\n"},
		spec{name: "a.long.way.good.org.", text: "www A 192.0.2.1\n"},
		spec{name: "plain.org.", plain: true, text: "@ A 192.0.2.1\nwww A 192.0.2.2\n"},
		spec{name: "island.org.", island: true, text: "www A 192.0.2.1\nalias CNAME www.good.org."},
		spec{name: "n3.org.", chain: "nsec3", iterations: 5, text: "www A 192.0.2.1\n*.w A 192.0.2.5\nx.ent A 192.0.2.4\n*.wc CNAME www"},
		spec{name: "sub.n3.org.", plain: true, text: "www A 192.0.2.1"},
		spec{name: "costly.org.", chain: "nsec3", iterations: 151, text: "www A 192.0.2.1\n*.w A 192.0.2.5"},
		spec{name: "expired.org.", from: -48 * time.Hour, to: -time.Hour, text: "www A 192.0.2.1"},
		spec{name: "future.org.", from: time.Hour, text: "www A 192.0.2.1"},
		spec{name: "badds.org.", ds: func(d *dns.DS) { d.Digest = d.Digest[2:] + "00" }, text: "www A 192.0.2.1"},
		spec{name: "wrongtag.org.", ds: func(d *dns.DS) { d.KeyTag++ }, text: "www A 192.0.2.1"},
		spec{name: "oddalg.org.", ds: func(d *dns.DS) { d.Algorithm = dns.DSA }, text: "www A 192.0.2.1"},
		spec{name: "odddigest.org.", ds: func(d *dns.DS) { d.DigestType = dns.GOST94 }, text: "www A 192.0.2.1"},
		spec{name: "revoked.org.", flags: dns.ZONE | dns.SEP | dns.REVOKE, text: "www A 192.0.2.1"},
		spec{name: "nozone.org.", flags: dns.SEP, text: "www A 192.0.2.1"},
		spec{name: "proto.org.", text: "www A 192.0.2.1", keys: func(k []dns.RR) []dns.RR {
			k[0].(*dns.DNSKEY).Protocol = 2
			return k
		}},
	)
}

type question struct {
	name   string
	rrtype uint16
	status dnssec.Status
	code   uint16 // of a failure, or where it matters
	rcode  int
}

// questions are about all kinds of zones, with what RFC 4035 makes of them.
var questions = []question{
	{".", dns.TypeSOA, dnssec.Secure, 0, 0},
	{".", dns.TypeDS, dnssec.Secure, 0, 0},
	{"good.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"good.org.", dns.TypeDNSKEY, dnssec.Secure, 0, 0},
	{"good.org.", dns.TypeDS, dnssec.Secure, 0, 0},
	{"www.good.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"www.good.org.", dns.TypeAAAA, dnssec.Secure, 0, 0},
	{"www.good.org.", dns.TypeDS, dnssec.Secure, 0, 0},
	{"www.good.org.", dns.TypeNSEC, dnssec.Secure, 0, 0},
	{"www.good.org.", dns.TypeRRSIG, dnssec.Insecure, 0, 0},
	{"good.org.", dns.TypeANY, dnssec.Secure, 0, 0},
	{"alias.good.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"alias.good.org.", dns.TypeCNAME, dnssec.Secure, 0, 0},
	{"todead.good.org.", dns.TypeA, dnssec.Secure, 0, dns.RcodeNameError},
	{"tonodata.good.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"nothing.good.org.", dns.TypeA, dnssec.Secure, 0, dns.RcodeNameError},
	{"a.b.nothing.good.org.", dns.TypeA, dnssec.Secure, 0, dns.RcodeNameError},
	{"ent.good.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"any.w.good.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"a.b.w.good.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"any.w.good.org.", dns.TypeTXT, dnssec.Secure, 0, 0},
	{"*.w.good.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"any.wc.good.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"a.dn.good.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"a.dn.good.org.", dns.TypeCNAME, dnssec.Secure, 0, 0},
	{"b.dn.good.org.", dns.TypeA, dnssec.Secure, 0, dns.RcodeNameError},
	{"dn.good.org.", dns.TypeDNAME, dnssec.Secure, 0, 0},
	{"www.sub.good.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"www.a.long.way.good.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"www.plain.good.org.", dns.TypeA, dnssec.Insecure, 0, 0},
	{"nothing.plain.good.org.", dns.TypeA, dnssec.Insecure, 0, dns.RcodeNameError},
	{"www.signed.plain.good.org.", dns.TypeA, dnssec.Insecure, 0, 0}, // below an insecure zone
	{"plain.good.org.", dns.TypeDS, dnssec.Secure, 0, 0},             // the parent's proof
	{"www.signed.com.", dns.TypeA, dnssec.Secure, 0, 0},
	{"signed.com.", dns.TypeDS, dnssec.Secure, 0, 0},
	{"nothing.com.", dns.TypeA, dnssec.Insecure, 0, dns.RcodeNameError}, // opt-out
	{"www.com.", dns.TypeAAAA, dnssec.Secure, 0, 0},
	{"a.wild.com.", dns.TypeTXT, dnssec.Insecure, 0, 0}, // opt-out
	{"insecure.com.", dns.TypeDS, dnssec.Insecure, 0, 0},
	{"www.insecure.com.", dns.TypeA, dnssec.Insecure, 0, 0},
	{"www.insecure.com.", dns.TypeAAAA, dnssec.Insecure, 0, 0},
	{"www.plain.org.", dns.TypeA, dnssec.Insecure, 0, 0},
	{"nothing.plain.org.", dns.TypeA, dnssec.Insecure, 0, dns.RcodeNameError},
	{"www.island.org.", dns.TypeA, dnssec.Insecure, 0, 0},
	{"nothing.island.org.", dns.TypeA, dnssec.Insecure, 0, dns.RcodeNameError},
	{"www.n3.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"www.n3.org.", dns.TypeAAAA, dnssec.Secure, 0, 0},
	{"ent.n3.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"nothing.n3.org.", dns.TypeA, dnssec.Secure, 0, dns.RcodeNameError},
	{"any.w.n3.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"any.w.n3.org.", dns.TypeTXT, dnssec.Secure, 0, 0},
	{"any.wc.n3.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"www.sub.n3.org.", dns.TypeA, dnssec.Insecure, 0, 0},
	{"sub.n3.org.", dns.TypeDS, dnssec.Secure, 0, 0},
	{"www.costly.org.", dns.TypeA, dnssec.Secure, 0, 0},
	{"www.costly.org.", dns.TypeAAAA, dnssec.Insecure, dns.ExtendedErrorCodeUnsupportedNSEC3IterValue, 0},
	{"nothing.costly.org.", dns.TypeA, dnssec.Insecure, dns.ExtendedErrorCodeUnsupportedNSEC3IterValue, dns.RcodeNameError},
	{"any.w.costly.org.", dns.TypeA, dnssec.Insecure, dns.ExtendedErrorCodeUnsupportedNSEC3IterValue, 0},
	{"www.expired.org.", dns.TypeA, dnssec.Bogus, dns.ExtendedErrorCodeSignatureExpired, 0},
	{"www.future.org.", dns.TypeA, dnssec.Bogus, dns.ExtendedErrorCodeSignatureNotYetValid, 0},
	{"www.badds.org.", dns.TypeA, dnssec.Bogus, dns.ExtendedErrorCodeDNSKEYMissing, 0},
	{"nothing.badds.org.", dns.TypeA, dnssec.Bogus, dns.ExtendedErrorCodeDNSKEYMissing, dns.RcodeNameError},
	{"www.wrongtag.org.", dns.TypeA, dnssec.Bogus, dns.ExtendedErrorCodeDNSKEYMissing, 0},
	{"www.revoked.org.", dns.TypeA, dnssec.Bogus, dns.ExtendedErrorCodeNoZoneKeyBitSet, 0},
	{"www.nozone.org.", dns.TypeA, dnssec.Bogus, dns.ExtendedErrorCodeNoZoneKeyBitSet, 0},
	{"www.proto.org.", dns.TypeA, dnssec.Bogus, dns.ExtendedErrorCodeNoZoneKeyBitSet, 0},
	{"www.oddalg.org.", dns.TypeA, dnssec.Insecure, dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm, 0},
	{"nothing.oddalg.org.", dns.TypeA, dnssec.Insecure, dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm, dns.RcodeNameError},
	{"www.odddigest.org.", dns.TypeA, dnssec.Insecure, dns.ExtendedErrorCodeUnsupportedDSDigestType, 0},
	{"nothing.", dns.TypeA, dnssec.Secure, 0, dns.RcodeNameError},
}

func chainOver(w *world, cfg Config) *Chain {
	cfg.Source = w
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return now }
	}
	return New(cfg)
}

func (w *world) judge(t testing.TB, c *Chain, r *Response) Judgement {
	t.Helper()
	j, err := c.Validate(context.Background(), r, w.anchors(), dnssec.NewBudget(dnssec.Limits{}))
	if err != nil {
		t.Fatalf("%s %s: %v", r.Name, dns.Type(r.Type), err)
	}
	return j
}

// sources are the ways in which a Source may know of zone cuts.
var sources = []struct {
	name        string
	knows, mute bool
}{
	{"referrals", true, false}, {"cuts without DS records", true, true}, {"nothing known", false, false},
}

func TestValidate(t *testing.T) {
	w := internet(t)
	for _, src := range sources {
		t.Run(src.name, func(t *testing.T) {
			w.knows, w.mute = src.knows, src.mute
			shared := chainOver(w, Config{})
			for round, c := range []*Chain{nil, shared, shared} { // cold, warming, warm
				for _, q := range questions {
					if c == nil || round == 0 {
						c = chainOver(w, Config{})
					}
					r := w.ask(q.name, q.rrtype)
					j := w.judge(t, c, r)
					if j.Status != q.status || q.code != 0 && j.Code != q.code || j.Rcode != q.rcode || j.Failed() && j.Text == "" {
						t.Errorf("%s %s: %v (%d), rcode %d; want %v (%d)", q.name, dns.Type(q.rrtype), j.Verdict, j.Code, j.Rcode, q.status, q.code)
					}
					checkRecords(t, q, r, j)
				}
			}
		})
	}
}

// checkRecords: a secure answer is passed on whole, with what proves it.
func checkRecords(t *testing.T, q question, r *Response, j Judgement) {
	t.Helper()
	if len(j.Answer) != len(r.Answer) {
		t.Errorf("%s: %d records of %d", q.name, len(j.Answer), len(r.Answer))
	}
	if len(r.Ns) != len(j.Ns) {
		t.Errorf("%s %s: authority section %v of %v", q.name, dns.Type(q.rrtype), j.Ns, r.Ns)
	}
	if negative := len(r.Ns) > 0 && r.Ns[0].Header().Rrtype == dns.TypeSOA; negative && j.Status == dnssec.Secure {
		if j.DenialZone != r.Ns[0].Header().Name || len(j.Denial) < 2 || j.TTL > 300*time.Second {
			t.Errorf("%s: denial of %q %v, %v", q.name, j.DenialZone, j.Denial, j.TTL)
		}
	} else if !negative && j.Denial != nil {
		t.Errorf("%s: denial %v", q.name, j.Denial)
	}
}

// A chain that leaves the zone of who answers is judged as far as it goes.
func TestValidateOpen(t *testing.T) {
	w := internet(t)
	tests := []struct {
		name, open string
	}{
		{"away.good.org.", "www.signed.com."},
		{"toinsecure.good.org.", "www.insecure.com."},
		{"www.far.good.org.", "www.signed.com."},
		{"alias.good.org.", ""},
	}
	for _, tt := range tests {
		j := w.judge(t, chainOver(w, Config{}), w.ask(tt.name, dns.TypeA))
		if j.Status != dnssec.Secure || j.Open != tt.open {
			t.Errorf("%s: %v, open at %q", tt.name, j.Verdict, j.Open)
		}
	}
}

// What a server or someone on the way does to a response, and what comes of it.
func TestValidateTampered(t *testing.T) {
	w := internet(t)
	strip := func(rrs []dns.RR, rrtype uint16) []dns.RR {
		return slices.DeleteFunc(slices.Clone(rrs), func(rr dns.RR) bool { return rr.Header().Rrtype == rrtype })
	}
	noSigs := func(r *Response) { r.Answer, r.Ns = strip(r.Answer, dns.TypeRRSIG), strip(r.Ns, dns.TypeRRSIG) }
	tests := []struct {
		what   string
		name   string
		rrtype uint16
		change func(*Response)
		status dnssec.Status
		code   uint16
		rcode  int
	}{
		{"signatures stripped", "www.good.org.", dns.TypeA, noSigs, dnssec.Bogus, dns.ExtendedErrorCodeRRSIGsMissing, 0},
		{"signatures stripped", "nothing.good.org.", dns.TypeA, noSigs, dnssec.Bogus, dns.ExtendedErrorCodeRRSIGsMissing, 3},
		{"signatures stripped", "good.org.", dns.TypeDS, noSigs, dnssec.Bogus, dns.ExtendedErrorCodeRRSIGsMissing, 0},
		{"data stripped", "www.good.org.", dns.TypeA, func(r *Response) { r.Answer = strip(r.Answer, dns.TypeA) }, dnssec.Bogus, dns.ExtendedErrorCodeRRSIGsMissing, 0},
		{"all stripped", "www.good.org.", dns.TypeA, func(r *Response) { r.Answer = nil }, dnssec.Bogus, dns.ExtendedErrorCodeRRSIGsMissing, 0},
		{"all stripped below an insecure cut", "www.plain.good.org.", dns.TypeA, func(r *Response) { r.Answer = nil }, dnssec.Insecure, 0, 0},
		{"denial stripped", "nothing.good.org.", dns.TypeA, func(r *Response) { r.Ns = r.Ns[:2] }, dnssec.Bogus, dns.ExtendedErrorCodeNSECMissing, 3},
		{"half a denial", "nothing.good.org.", dns.TypeA, func(r *Response) { r.Ns = r.Ns[:4] }, dnssec.Bogus, dns.ExtendedErrorCodeNSECMissing, 3},
		{"half a denial", "nothing.n3.org.", dns.TypeA, func(r *Response) { r.Ns = r.Ns[:6] }, dnssec.Bogus, dns.ExtendedErrorCodeNSECMissing, 3},
		{"denial of another name", "www.good.org.", dns.TypeA, func(r *Response) {
			*r = *w.ask("nothing.good.org.", dns.TypeA)
			r.Name = "www.good.org."
		}, dnssec.Bogus, dns.ExtendedErrorCodeNSECMissing, 3},
		{"parent's denial for the child", "www.sub.good.org.", dns.TypeA, func(r *Response) {
			*r = Response{Name: r.Name, Type: r.Type, Zone: "good.org.", Ns: append(slices.Clone(w.zones["good.org."].sets["good.org."][dns.TypeSOA]),
				w.zones["good.org."].match("sub.good.org.")...)}
		}, dnssec.Bogus, dns.ExtendedErrorCodeNSECMissing, 0},
		{"parent's denial at the cut", "sub.good.org.", dns.TypeA, func(r *Response) {
			r.Ns = append(slices.Clone(w.zones["good.org."].sets["good.org."][dns.TypeSOA]), w.zones["good.org."].match("sub.good.org.")...)
		}, dnssec.Bogus, dns.ExtendedErrorCodeNSECMissing, 0},
		{"child's denial of its DS", "sub.good.org.", dns.TypeDS, func(r *Response) {
			r.Answer, r.Ns = nil, append(slices.Clone(w.zones["sub.good.org."].sets["sub.good.org."][dns.TypeSOA]), w.zones["sub.good.org."].match("sub.good.org.")...)
		}, dnssec.Bogus, dns.ExtendedErrorCodeRRSIGsMissing, 0},
		{"NXDOMAIN of an empty non-terminal", "ent.good.org.", dns.TypeA, func(r *Response) { r.Rcode = dns.RcodeNameError }, dnssec.Secure, 0, 0},
		{"NXDOMAIN of an empty non-terminal", "ent.n3.org.", dns.TypeA, func(r *Response) { r.Rcode = dns.RcodeNameError }, dnssec.Secure, 0, 0},
		{"NOERROR of no name", "nothing.good.org.", dns.TypeA, func(r *Response) { r.Rcode = 0 }, dnssec.Bogus, dns.ExtendedErrorCodeNSECMissing, 0},
		{"NOERROR of no name, behind an alias", "todead.good.org.", dns.TypeA, func(r *Response) { r.Rcode = 0 }, dnssec.Secure, 0, 3},
		{"NXDOMAIN with data", "www.good.org.", dns.TypeA, func(r *Response) { r.Rcode = 3 }, dnssec.Secure, 0, 0},
		{"no SOA", "nothing.good.org.", dns.TypeA, func(r *Response) { r.Ns = strip(r.Ns, dns.TypeSOA)[1:] }, dnssec.Secure, 0, 3},
		{"SOA of a stranger", "nothing.good.org.", dns.TypeA, func(r *Response) {
			r.Ns = append(slices.Clone(w.zones["signed.com."].sets["signed.com."][dns.TypeSOA]), r.Ns[2:]...)
		}, dnssec.Secure, 0, 3},
		{"unsigned SOA", "nothing.good.org.", dns.TypeA, func(r *Response) { r.Ns = slices.Delete(slices.Clone(r.Ns), 1, 2) }, dnssec.Bogus, dns.ExtendedErrorCodeRRSIGsMissing, 3},
		{"wildcard without proof", "any.w.good.org.", dns.TypeA, func(r *Response) { r.Ns = nil }, dnssec.Bogus, dns.ExtendedErrorCodeNSECMissing, 0},
		{"wildcard without proof", "any.w.n3.org.", dns.TypeA, func(r *Response) { r.Ns = nil }, dnssec.Bogus, dns.ExtendedErrorCodeNSECMissing, 0},
		{"wildcard alias without proof", "any.wc.good.org.", dns.TypeA, func(r *Response) { r.Ns = nil }, dnssec.Bogus, dns.ExtendedErrorCodeNSECMissing, 0},
		{"wildcard replayed for a name that exists", "www.good.org.", dns.TypeA, func(r *Response) {
			wild := w.ask("any.w.good.org.", dns.TypeA)
			r.Answer, r.Ns = renamed(wild.Answer, "www.good.org."), wild.Ns
		}, dnssec.Bogus, 0, 0},
		{"wildcard replayed below a closer one", "x.deep.w.good.org.", dns.TypeA, func(r *Response) {
			wild := w.ask("any.w.good.org.", dns.TypeA)
			r.Rcode, r.Answer, r.Ns = 0, renamed(wild.Answer, "x.deep.w.good.org."), w.zones["good.org."].cover("x.deep.w.good.org.")
		}, dnssec.Bogus, dns.ExtendedErrorCodeNSECMissing, 0},
		{"unsigned alias", "alias.good.org.", dns.TypeA, func(r *Response) { r.Answer = append(r.Answer[:1:1], r.Answer[2:]...) }, dnssec.Bogus, dns.ExtendedErrorCodeRRSIGsMissing, 0},
		{"alias to elsewhere", "alias.good.org.", dns.TypeA, func(r *Response) {
			r.Answer = slices.Clone(r.Answer)
			r.Answer[0] = dns.Copy(r.Answer[0])
			r.Answer[0].(*dns.CNAME).Target = "evil.example."
		}, dnssec.Bogus, dns.ExtendedErrorCodeDNSBogus, 0},
		{"unsigned DNAME", "a.dn.good.org.", dns.TypeA, func(r *Response) { r.Answer = strip(r.Answer, dns.TypeRRSIG) }, dnssec.Bogus, dns.ExtendedErrorCodeRRSIGsMissing, 0},
		{"CNAME that does not follow from its DNAME", "a.dn.good.org.", dns.TypeCNAME, func(r *Response) {
			r.Answer[2].(*dns.CNAME).Target = "evil.example."
		}, dnssec.Bogus, dns.ExtendedErrorCodeRRSIGsMissing, 0},
		{"DNAME out of nowhere", "www.good.org.", dns.TypeA, func(r *Response) {
			r.Answer = append(parse(t, ".", "good.org. DNAME evil.org.\nwww.evil.org. A 192.0.2.66"), r.Answer...)
		}, dnssec.Bogus, dns.ExtendedErrorCodeRRSIGsMissing, 0},
		// A zone above can say what it likes by another DS, so peers do not look for a cut here either.
		{"signed by the parent", "www.sub.good.org.", dns.TypeA, func(r *Response) {
			z := w.zones["good.org."]
			r.Answer = []dns.RR{r.Answer[0], z.rrsig(t, r.Answer[:1])}
		}, dnssec.Secure, 0, 0},
		{"signed by a stranger", "www.good.org.", dns.TypeA, func(r *Response) {
			r.Answer[2] = dns.Copy(r.Answer[2])
			r.Answer[2].(*dns.RRSIG).SignerName = "signed.com."
		}, dnssec.Bogus, dns.ExtendedErrorCodeRRSIGsMissing, 0},
		{"signed by no zone", "www.good.org.", dns.TypeA, func(r *Response) {
			r.Answer[2] = dns.Copy(r.Answer[2])
			r.Answer[2].(*dns.RRSIG).SignerName = "www.good.org."
		}, dnssec.Bogus, dns.ExtendedErrorCodeDNSBogus, 0},
		{"server fails", "www.good.org.", dns.TypeA, func(r *Response) { r.Answer, r.Rcode = nil, dns.RcodeRefused }, dnssec.Bogus, dns.ExtendedErrorCodeRRSIGsMissing, dns.RcodeRefused},
	}
	for _, tt := range tests {
		t.Run(tt.what+" "+tt.name, func(t *testing.T) {
			for _, src := range sources {
				w.knows, w.mute = src.knows, src.mute
				r := w.ask(tt.name, tt.rrtype)
				r.Answer, r.Ns = copied(r.Answer), copied(r.Ns)
				tt.change(r)
				j := w.judge(t, chainOver(w, Config{}), r)
				if j.Status != tt.status || tt.code != 0 && j.Code != tt.code || j.Rcode != tt.rcode {
					t.Errorf("%s: %v (%d), rcode %d", src.name, j.Verdict, j.Code, j.Rcode)
				}
			}
		})
	}
}

func copied(rrs []dns.RR) []dns.RR {
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		out[i] = dns.Copy(rr)
	}
	return out
}

// An upstream server answers for all zones at once: a link that is insecure or bogus decides for all.
func TestValidateMixed(t *testing.T) {
	w := internet(t)
	tests := []struct {
		name   string
		status dnssec.Status
	}{
		{"away.good.org.", dnssec.Secure},
		{"toinsecure.good.org.", dnssec.Insecure},
		{"alias.insecure.com.", dnssec.Insecure},
		{"alias.island.org.", dnssec.Insecure},
		{"www.far.good.org.", dnssec.Secure},
		{"nothing.far.good.org.", dnssec.Secure},
		{"any.wfar.good.org.", dnssec.Secure}, // wildcards of two zones, with the proofs of both
		{"tobogus.good.org.", dnssec.Bogus},
	}
	for _, tt := range tests {
		r := NewResolver(ResolverConfig{Upstream: w, Anchors: w.anchors, Now: func() time.Time { return now }})
		a, err := r.Resolve(context.Background(), query(tt.name, dns.TypeA))
		if (err != nil) != (tt.status == dnssec.Bogus) {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if err == nil && (a.AuthenticatedData != (tt.status == dnssec.Secure) || a.Target != "") {
			t.Errorf("%s: %+v", tt.name, a)
		}
	}
}
