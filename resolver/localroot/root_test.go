package localroot

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

var start = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

// rootText is a small root: signed, unsigned and in-bailiwick delegations, glue below another delegation,
// an empty non-terminal, and data of its own.
const rootText = `
.                    86400  IN SOA a.root-servers.net. nstld.verisign-grs.com. %d 1800 900 604800 86400
.                    518400 IN NS a.root-servers.net.
.                    518400 IN NS b.root-servers.net.
a.root-servers.net.  518400 IN A 198.41.0.4
a.root-servers.net.  518400 IN AAAA 2001:503:ba3e::2:30
b.root-servers.net.  518400 IN A 170.247.170.2
com.                 172800 IN NS a.gtld-servers.net.
com.                 86400  IN DS 19718 13 2 8acbb0cd28f41250a80a491389424d341522d946b0da0c0291f2d3d771d7805a
a.gtld-servers.net.  172800 IN A 192.5.6.30
net.                 172800 IN NS a.gtld-servers.net.
net.                 86400  IN DS 37331 13 2 2f0bec2d6f79dfbd1d08fd21a3af92d0e39a4b9ef1e3f4111fff282490da453b
eu.                  172800 IN NS ns.eu.
ns.eu.               172800 IN A 192.0.2.1
ns.eu.               172800 IN AAAA 2001:db8::1
unsigned.            172800 IN NS ns.elsewhere.com.
deep.ent.            172800 IN NS ns.eu.
txt.                 3600   IN TXT "the root's own"
zw.                  172800 IN NS ns.eu.
%s`

// root makes signed root zones.
type root struct {
	t        testing.TB
	ksk, zsk *dnssec.Signer
	from, to time.Time // of the signatures
	hash     uint8
	noZONEMD bool
}

func newRoot(t testing.TB) *root {
	return &root{t: t, ksk: newSigner(t, dns.ZONE|dns.SEP), zsk: newSigner(t, dns.ZONE),
		from: start.Add(-time.Hour), to: start.Add(13 * 24 * time.Hour), hash: dns.ZoneMDHashAlgSHA384}
}

func newSigner(t testing.TB, flags uint16) *dnssec.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := dnssec.NewKey(apex, 172800, flags, dns.ED25519, private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &dnssec.Signer{Key: k, Private: private}
}

func (r *root) trust() dnssec.Trust {
	return dnssec.Trust{DS: []*dns.DS{dnssec.NewDS(r.ksk.Key, dns.SHA256)}}
}

func (r *root) anchors() *dnssec.Anchors { return dnssec.RootAnchors().With(apex, r.trust()) }

// zone returns the signed zone with a serial and more records.
func (r *root) zone(serial uint32, more ...string) []dns.RR {
	r.t.Helper()
	rrs := zoneOf(r.t, fmt.Sprintf(rootText, serial, strings.Join(more, "\n")+"\n"))
	rrs = append(rrs, r.ksk.Key, r.zsk.Key)
	digest := &dns.ZONEMD{
		Hdr:    dns.RR_Header{Name: apex, Rrtype: dns.TypeZONEMD, Class: dns.ClassINET, Ttl: 86400},
		Serial: serial, Scheme: dns.ZoneMDSchemeSimple, Hash: r.hash,
	}
	if !r.noZONEMD {
		rrs = append(rrs, digest)
	}
	rrs = append(rrs, nsecs(r.t, rrs)...)
	for _, set := range dnssec.Group(rrs) {
		if set.Type() != dns.TypeZONEMD && isAuthoritative(rrs, set) {
			rrs = append(rrs, r.sign(set.RRs))
		}
	}
	if r.noZONEMD {
		return rrs
	}
	hash, ok := hashOf(r.hash)
	if !ok {
		r.t.Fatal("no such hash")
	}
	digest.Digest = hex.EncodeToString(contentOf(r.t, apex, rrs).sum(hash))
	return append(rrs, r.sign([]dns.RR{digest}))
}

func (r *root) sign(rrs []dns.RR) *dns.RRSIG {
	r.t.Helper()
	s := r.zsk
	if rrs[0].Header().Rrtype == dns.TypeDNSKEY {
		s = r.ksk
	}
	sig, err := s.Sign(rrs, r.from, r.to)
	if err != nil {
		r.t.Fatal(err)
	}
	return sig
}

// cutAbove returns the delegation that a name is at or below.
func cutAbove(rrs []dns.RR, name string) string {
	for up := name; up != "" && up != apex; up = parent(up) {
		if slices.ContainsFunc(rrs, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeNS && rr.Header().Name == up }) {
			return up
		}
	}
	return ""
}

func isAuthoritative(rrs []dns.RR, set dnssec.RRset) bool {
	cut := cutAbove(rrs, set.Name())
	return cut == "" || cut == set.Name() && (set.Type() == dns.TypeDS || set.Type() == dns.TypeNSEC)
}

// nsecs makes the NSEC chain (RFC 4035 section 2.3).
func nsecs(t testing.TB, rrs []dns.RR) []dns.RR {
	t.Helper()
	types := make(map[string][]uint16)
	for _, set := range dnssec.Group(rrs) {
		name := set.Name()
		if cut := cutAbove(rrs, name); cut == "" || cut == name && (set.Type() == dns.TypeNS || set.Type() == dns.TypeDS) {
			types[name] = append(types[name], set.Type())
		}
	}
	var names []string
	for n := range types {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		ka, _ := keyOf(a)
		kb, _ := keyOf(b)
		return strings.Compare(ka, kb)
	})
	var out []dns.RR
	for i, n := range names {
		bits := append(types[n], dns.TypeRRSIG, dns.TypeNSEC)
		slices.Sort(bits)
		out = append(out, &dns.NSEC{
			Hdr:        dns.RR_Header{Name: n, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 86400},
			NextDomain: names[(i+1)%len(names)], TypeBitMap: bits,
		})
	}
	return out
}

// ready returns a Zone with a copy in use, without disk or network.
func (r *root) ready(now time.Time, rrs []dns.RR) *Zone {
	r.t.Helper()
	z := &Zone{cfg: Config{Anchors: r.anchors, Now: func() time.Time { return now }}.withDefaults()}
	if err := z.install(rrs, now); err != nil {
		r.t.Fatal(err)
	}
	return z
}

// without returns the records of which drop is not true.
func without(rrs []dns.RR, drop func(dns.RR) bool) []dns.RR {
	return slices.DeleteFunc(slices.Clone(rrs), drop)
}

func ofType(rrtype uint16) func(dns.RR) bool {
	return func(rr dns.RR) bool {
		sig, ok := rr.(*dns.RRSIG)
		return rr.Header().Rrtype == rrtype || ok && sig.TypeCovered == rrtype
	}
}
