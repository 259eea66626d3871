package denial

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// epoch is when tests begin.
var epoch = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// model is the content of a zone, written down and read independently of the code under test.
type model struct {
	origin string
	data   map[string][]uint16 // by owner, in presentation form; names beneath cuts and DNAMEs left out
	owners []string            // in canonical order
	hashed bool                // the chain is of NSEC3
	sign   func(rr dns.RR) []*dns.RRSIG
}

func newModel(origin string, data map[string][]uint16) *model {
	m := &model{origin: origin, data: map[string][]uint16{}, sign: pretend(origin)}
	for owner, types := range data {
		if !m.isCutOff(owner, data) {
			m.data[owner] = types
			m.owners = append(m.owners, owner)
		}
	}
	slices.SortFunc(m.owners, canonicalOrder)
	return m
}

// isCutOff says whether owner is beneath a delegation or a DNAME.
func (m *model) isCutOff(owner string, data map[string][]uint16) bool {
	for up := owner; up != m.origin; {
		up = above(up)
		if up != m.origin && slices.Contains(data[up], dns.TypeNS) || slices.Contains(data[up], dns.TypeDNAME) {
			return true
		}
	}
	return false
}

func above(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[i:]
}

// canonicalOrder is RFC 4034 section 6.1 in the words of the RFC: labels from the right, as octets.
func canonicalOrder(a, b string) int {
	as, bs := labelsOf(a), labelsOf(b)
	for i := 1; i <= len(as) && i <= len(bs); i++ {
		if c := bytes.Compare(as[len(as)-i], bs[len(bs)-i]); c != 0 {
			return c
		}
	}
	return len(as) - len(bs)
}

func labelsOf(name string) [][]byte {
	wire := make([]byte, 255)
	n, err := dns.PackDomainName(name, wire, 0, nil, false)
	if err != nil {
		panic(err)
	}
	var out [][]byte
	for wire = wire[:n]; wire[0] != 0; wire = wire[1+wire[0]:] {
		out = append(out, bytes.ToLower(wire[1:1+wire[0]]))
	}
	return out
}

func (m *model) exists(name string) bool {
	return slices.ContainsFunc(m.owners, func(o string) bool { return dns.IsSubDomain(name, o) })
}

type truth string

const (
	nameError truth = "name error"
	noData    truth = "no data"
	other     truth = "not to be denied"
)

// truth is what the zone's servers would say (RFC 1034 section 4.3.2, RFC 4592, RFC 4035 section 3.1.4).
func (m *model) truth(name string, rrtype uint16) truth {
	if !dns.IsSubDomain(m.origin, name) || name == m.origin && rrtype == dns.TypeDS && m.origin != "." {
		return other
	}
	if m.isCutOff(name, m.data) {
		return other
	}
	at := name
	if !m.exists(name) {
		encloser := above(name)
		for !m.exists(encloser) {
			encloser = above(encloser)
		}
		at = "*." + encloser
		if encloser == "." {
			at = "*."
		}
		if !m.exists(at) {
			return nameError
		}
	}
	types := m.data[at]
	switch {
	case slices.Contains(types, rrtype), slices.Contains(types, dns.TypeCNAME):
		return other
	case slices.Contains(types, dns.TypeNS) && at != m.origin && rrtype != dns.TypeDS:
		return other
	case len(types) > 0 && (rrtype == dns.TypeANY || rrtype == dns.TypeRRSIG || rrtype == dns.TypeNSEC && !m.hashed):
		return other
	}
	return noData
}

// chainKind is a way of denial.
type chainKind struct {
	name       string
	hashed     bool
	iterations uint16
	salt       string
	optOut     bool
}

var kinds = []chainKind{
	{name: "nsec"},
	{name: "nsec3", hashed: true},
	{name: "nsec3 salted", hashed: true, iterations: 3, salt: "\xaa\xbb"},
	{name: "nsec3 opt-out", hashed: true, optOut: true},
}

// chain makes the zone's whole chain, signed.
func (m *model) chain(k chainKind) []dnssec.RRset {
	m.hashed = k.hashed
	if !k.hashed {
		return m.nsec()
	}
	return m.nsec3(k)
}

func (m *model) set(rr dns.RR) dnssec.RRset {
	return dnssec.RRset{RRs: []dns.RR{rr}, Sigs: m.sign(rr)}
}

func (m *model) nsec() []dnssec.RRset {
	var out []dnssec.RRset
	for i, owner := range m.owners {
		types := append(slices.Clone(m.data[owner]), dns.TypeRRSIG, dns.TypeNSEC)
		slices.Sort(types)
		out = append(out, m.set(&dns.NSEC{
			Hdr:        dns.RR_Header{Name: owner, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 300},
			NextDomain: m.owners[(i+1)%len(m.owners)], TypeBitMap: types,
		}))
	}
	return out
}

// nsec3 is RFC 5155 section 7.1: with opt-out, insecure delegations and what exists only for them are left
// out.
func (m *model) nsec3(k chainKind) []dnssec.RRset {
	names := map[string]string{}
	var hashes []string
	for _, owner := range m.owners {
		types := m.data[owner]
		if k.optOut && owner != m.origin && slices.Contains(types, dns.TypeNS) && !slices.Contains(types, dns.TypeDS) {
			continue
		}
		for up := owner; ; up = above(up) {
			h := k.hash(up)
			if _, ok := names[h]; !ok {
				hashes = append(hashes, h)
				names[h] = up
			}
			if up == m.origin {
				break
			}
		}
	}
	slices.Sort(hashes)
	var out []dnssec.RRset
	for i, h := range hashes {
		types := slices.Clone(m.data[names[h]])
		if len(types) > 0 && (!slices.Equal(types, []uint16{dns.TypeNS}) || names[h] == m.origin) {
			types = append(types, dns.TypeRRSIG)
		}
		slices.Sort(types)
		rr := &dns.NSEC3{
			Hdr:  dns.RR_Header{Name: under(h, m.origin), Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: 300},
			Hash: 1, Iterations: k.iterations, Salt: hex.EncodeToString([]byte(k.salt)), SaltLength: uint8(len(k.salt)),
			HashLength: 20, NextDomain: strings.ToUpper(hashes[(i+1)%len(hashes)]), TypeBitMap: types,
		}
		if k.optOut {
			rr.Flags = 1
		}
		out = append(out, m.set(rr))
	}
	return out
}

func (k chainKind) hash(name string) string {
	h, ok := dnssec.HashName(name, k.iterations, []byte(k.salt))
	if !ok {
		panic(name)
	}
	return h
}

func under(label, zone string) string {
	if zone == "." {
		return label + "."
	}
	return label + "." + zone
}

func (m *model) soa() dnssec.RRset {
	return m.set(&dns.SOA{
		Hdr: dns.RR_Header{Name: m.origin, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 3600},
		Ns:  under("ns", m.origin), Mbox: under("host", m.origin), Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 600,
	})
}

// pretend signs without a key: a Cache is given what was validated.
func pretend(zone string) func(rr dns.RR) []*dns.RRSIG {
	return func(rr dns.RR) []*dns.RRSIG {
		h := rr.Header()
		labels := dns.CountLabel(h.Name)
		if strings.HasPrefix(h.Name, "*.") {
			labels--
		}
		return []*dns.RRSIG{{
			Hdr:         dns.RR_Header{Name: h.Name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: h.Ttl},
			TypeCovered: h.Rrtype, Algorithm: dns.ED25519, Labels: uint8(labels), OrigTtl: h.Ttl,
			Inception: uint32(epoch.Add(-time.Hour).Unix()), Expiration: uint32(epoch.Add(240 * time.Hour).Unix()),
			KeyTag: 1, SignerName: zone, Signature: "AAAA",
		}}
	}
}

// response is what the zone's servers prove in a negative response to a question that is to be denied.
func (m *model) response(k chainKind, chain []dnssec.RRset, name string) []dnssec.RRset {
	out := []dnssec.RRset{m.soa()}
	add := func(sets ...dnssec.RRset) {
		for _, s := range sets {
			if !slices.ContainsFunc(out, func(o dnssec.RRset) bool { return o.RRs[0] == s.RRs[0] }) {
				out = append(out, s)
			}
		}
	}
	closer, encloser := name, name
	for !m.exists(encloser) {
		closer, encloser = encloser, above(encloser)
	}
	names := []string{name}
	if encloser != name {
		names = append(names, under("*", encloser))
		if k.hashed {
			names = append(names, encloser, closer)
		}
	}
	for _, n := range names {
		add(k.about(chain, n))
	}
	return out
}

// about returns the record at the name or over it: the last whose owner is not after it, or else the last
// of all.
func (k chainKind) about(chain []dnssec.RRset, name string) dnssec.RRset {
	found := chain[len(chain)-1]
	for _, set := range chain {
		owner := set.RRs[0].Header().Name
		if !k.hashed && canonicalOrder(owner, name) > 0 || k.hashed && strings.SplitN(owner, ".", 2)[0] > k.hash(name) {
			break
		}
		found = set
	}
	return found
}

// alphabet are the labels of random zones, in no order; some sort oddly, some need escapes.
var alphabet = []string{"a", "b", "c", "*", "w-", `\000`, `\001`, "a-b", `x\.y`, `\255`}

func randomName(r *rand.Rand, origin string, depth int) string {
	name := origin
	for range 1 + r.IntN(depth) {
		name = under(alphabet[r.IntN(len(alphabet))], name)
	}
	return name
}

// randomZone has data, aliases, delegations with and without DS, DNAMEs, wildcards and empty non-terminals.
// Wildcards delegate nothing and have no DNAME: what that means is not defined (RFC 4592 sections 4.2, 4.4).
func randomZone(r *rand.Rand, origin string) *model {
	data := map[string][]uint16{origin: {dns.TypeNS, dns.TypeSOA, dns.TypeDNSKEY}}
	for range 1 + r.IntN(20) {
		name := randomName(r, origin, 4)
		if wild := strings.HasPrefix(name, "*."); wild || r.IntN(3) > 0 {
			data[name] = [][]uint16{{dns.TypeA}, {dns.TypeTXT}, {dns.TypeA, dns.TypeMX}, {dns.TypeCNAME}}[r.IntN(4)]
		} else {
			data[name] = [][]uint16{{dns.TypeNS}, {dns.TypeNS, dns.TypeDS}, {dns.TypeDNAME}, {dns.TypeA, dns.TypeDNAME}}[r.IntN(4)]
		}
	}
	return newModel(origin, data)
}

// questions are the names asked for in a random zone: what is there, above and beneath it, and others.
func (m *model) questions(r *rand.Rand) []string {
	seen := map[string]bool{m.origin: true}
	for _, owner := range m.owners {
		for up := owner; up != m.origin; up = above(up) {
			seen[up] = true
			for range 2 {
				seen[under(alphabet[r.IntN(len(alphabet))], up)] = true
			}
		}
	}
	for range 60 {
		seen[randomName(r, m.origin, 5)] = true
	}
	seen["elsewhere."] = true
	var out []string
	for name := range seen {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

var questionTypes = []uint16{
	dns.TypeA, dns.TypeTXT, dns.TypeDS, dns.TypeNS, dns.TypeSOA, dns.TypeCNAME, dns.TypeANY, dns.TypeRRSIG, dns.TypeNSEC, dns.TypeDNAME,
}

func newCache(t testing.TB, cfg Config) *Cache {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return epoch }
	}
	return New(cfg)
}
