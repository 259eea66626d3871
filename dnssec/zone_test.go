package dnssec

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/circl/sign/ed448"
	"github.com/miekg/dns"
)

// now is when all tests take place.
var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const zoneText = `
example.              3600 IN SOA ns.example. host.example. 1 3600 600 86400 300
example.              3600 IN NS ns.example.
ns.example.           3600 IN A 192.0.2.1
Host.example.         3600 IN A 192.0.2.2
host.example.         3600 IN AAAA 2001:db8::2
alias.example.        3600 IN CNAME host.example.
unsigned.example.     3600 IN NS ns.unsigned.example.
ns.unsigned.example.  3600 IN A 192.0.2.3
signed.example.       3600 IN NS ns.example.
signed.example.       3600 IN DS 1 8 2 00000000000000000000000000000000000000000000000000000000000000ff
x.ent.example.        3600 IN A 192.0.2.4
only.hidden.example.  3600 IN NS ns.example.
*.w.example.          3600 IN TXT "wild"
y.w.example.          3600 IN A 192.0.2.5
a.*.sw.example.       3600 IN A 192.0.2.6
dn.example.           3600 IN DNAME elsewhere.example.
zz.example.           3600 IN MX 10 host.example.
`

// signerFor makes a key of an algorithm.
func signerFor(t testing.TB, zone string, alg uint8, flags uint16) *Signer {
	t.Helper()
	var private crypto.Signer
	var err error
	switch alg {
	case dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512:
		private, err = rsa.GenerateKey(rand.Reader, 1024)
	case dns.ECDSAP256SHA256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case dns.ECDSAP384SHA384:
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case dns.ED25519:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case dns.ED448:
		_, private, err = ed448.GenerateKey(rand.Reader)
	default:
		t.Fatalf("algorithm %d", alg)
	}
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewKey(zone, 3600, flags, alg, private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &Signer{Key: k, Private: private}
}

func rrs(t testing.TB, text string) []dns.RR {
	t.Helper()
	var out []dns.RR
	zp := dns.NewZoneParser(strings.NewReader(text), ".", "")
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		out = append(out, rr)
	}
	if err := zp.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// signSet signs an RRset from an hour ago until tomorrow.
func (s *Signer) signSet(t testing.TB, set ...dns.RR) RRset {
	t.Helper()
	return s.signSpan(t, set, now.Add(-time.Hour), now.Add(24*time.Hour))
}

func (s *Signer) signSpan(t testing.TB, set []dns.RR, from, to time.Time) RRset {
	t.Helper()
	sig, err := s.Sign(set, from, to)
	if err != nil {
		t.Fatal(err)
	}
	return RRset{RRs: set, Sigs: []*dns.RRSIG{sig}}
}

// keysOf validates a zone's keys, of which the first signs, by its DS.
func keysOf(t testing.TB, v *Validator, ksk *Signer, more ...*dns.DNSKEY) *Keys {
	t.Helper()
	set := []dns.RR{ksk.Key}
	for _, k := range more {
		set = append(set, k)
	}
	zone := ksk.Key.Hdr.Name
	keys := v.ValidateKeys(zone, ksk.signSet(t, set...), Trust{DS: []*dns.DS{NewDS(ksk.Key, dns.SHA256)}}, now, NewBudget(Limits{}))
	if keys.Status != Secure {
		t.Fatalf("keys of %s: %v", zone, keys.Verdict)
	}
	return keys
}

// model is a zone's content, and what is true about names in it.
type model struct {
	origin name
	data   map[string][]uint16 // types by name, without what is below cuts
	names  []name              // those of data, in canonical order
}

func newModel(t testing.TB, origin string, zone []dns.RR) *model {
	m := &model{origin: mustName(t, origin), data: map[string][]uint16{}}
	var cuts []name
	for _, rr := range zone {
		if n := mustName(t, rr.Header().Name); rr.Header().Rrtype == dns.TypeNS && !n.equal(m.origin) {
			cuts = append(cuts, n)
		}
	}
	for _, rr := range zone {
		n := mustName(t, rr.Header().Name)
		if slices.ContainsFunc(cuts, func(c name) bool { return n.below(c) }) {
			continue
		}
		if m.data[string(n)] == nil {
			m.names = append(m.names, n)
		}
		if !slices.Contains(m.data[string(n)], rr.Header().Rrtype) {
			m.data[string(n)] = append(m.data[string(n)], rr.Header().Rrtype)
		}
	}
	slices.SortFunc(m.names, compare)
	return m
}

func mustName(t testing.TB, s string) name {
	t.Helper()
	n, ok := parseName(s)
	if !ok {
		t.Fatalf("name %q", s)
	}
	return n
}

// exists: by data or as an empty non-terminal.
func (m *model) exists(n name) bool {
	return slices.ContainsFunc(m.names, func(o name) bool { return o.within(n) })
}

type truth uint8

const (
	hasType truth = iota
	lacksType
	wildHasType
	wildLacksType
	noName
	elsewhere // below a cut or DNAME, or at a cut and not the parent's to say
)

// truth answers a question from the content (RFC 1034 section 4.3.2, RFC 4592).
func (m *model) truth(n name, rrtype uint16) truth {
	if !n.within(m.origin) {
		return elsewhere
	}
	for up := n; up.below(m.origin); up = up.parent() {
		ts := types(m.data[string(up)])
		if ts.has(dns.TypeDNAME) && !up.equal(n) || ts.has(dns.TypeNS) && (!up.equal(n) || rrtype != dns.TypeDS) {
			return elsewhere
		}
	}
	if m.exists(n) {
		ts := types(m.data[string(n)])
		if n.equal(m.origin) && rrtype == dns.TypeDS {
			return elsewhere
		}
		if ts.has(rrtype) || ts.has(dns.TypeCNAME) {
			return hasType
		}
		return lacksType
	}
	star, ok := m.encloser(n).wildcard()
	switch {
	case !ok || !m.exists(star):
		return noName
	case types(m.data[string(star)]).has(rrtype):
		return wildHasType
	}
	return wildLacksType
}

func (m *model) encloser(n name) name {
	for !m.exists(n) {
		n = n.parent()
	}
	return n
}

// nsecs makes the zone's NSEC chain.
func (m *model) nsecs() []dns.RR {
	var out []dns.RR
	for i, n := range m.names {
		next := m.names[(i+1)%len(m.names)]
		bits := append(slices.Clone(m.data[string(n)]), dns.TypeRRSIG, dns.TypeNSEC)
		slices.Sort(bits)
		out = append(out, &dns.NSEC{
			Hdr:        dns.RR_Header{Name: n.String(), Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 300},
			NextDomain: next.String(), TypeBitMap: bits,
		})
	}
	return out
}

// nsec3s makes the zone's NSEC3 chain. With optOut, insecure delegations and what exists only for them are
// left out (RFC 5155 section 7.1).
func (m *model) nsec3s(iterations uint16, salt string, optOut bool) []dns.RR {
	hashed := map[[20]byte]name{}
	var order [][20]byte
	for _, n := range m.names {
		ts := types(m.data[string(n)])
		if optOut && ts.delegates() && !ts.has(dns.TypeDS) {
			continue
		}
		for ; n.within(m.origin); n = n.parent() {
			h := hashName(n, nsec3Params{iterations, salt})
			if _, ok := hashed[h]; !ok {
				order = append(order, h)
				hashed[h] = n
			}
			if n.equal(m.origin) {
				break
			}
		}
	}
	slices.SortFunc(order, func(a, b [20]byte) int { return strings.Compare(string(a[:]), string(b[:])) })
	var out []dns.RR
	for i, h := range order {
		rec := &dns.NSEC3{
			Hdr:  dns.RR_Header{Name: encodeHash(h) + "." + m.origin.String(), Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: 300},
			Hash: 1, Iterations: iterations, Salt: hexOf(salt), SaltLength: uint8(len(salt)), HashLength: 20,
			NextDomain: strings.ToUpper(encodeHash(order[(i+1)%len(order)])),
		}
		if optOut {
			rec.Flags = 1
		}
		rec.TypeBitMap = slices.Clone(m.data[string(hashed[h])])
		if ts := types(rec.TypeBitMap); len(ts) > 0 && (!ts.delegates() || ts.has(dns.TypeDS)) {
			rec.TypeBitMap = append(rec.TypeBitMap, dns.TypeRRSIG)
		}
		slices.Sort(rec.TypeBitMap)
		out = append(out, rec)
	}
	return out
}

func hexOf(s string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(digits[s[i]>>4])
		b.WriteByte(digits[s[i]&15])
	}
	return b.String()
}

// evidenceOf reads records as if their signatures had been checked.
func evidenceOf(m *model, records []dns.RR, maxIterations uint16) *Evidence {
	e := &Evidence{zone: m.origin, ttl: 300}
	for _, rr := range records {
		e.read(rr, maxIterations)
	}
	return e
}
