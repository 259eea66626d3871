package denial

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

var origins = []string{"example.", ".", "b.a."}

// Whatever part of a zone's proofs was seen, no answer is wrong, and each proves itself.
func TestNeverWrong(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			answers := map[truth]int{}
			for seed := range uint64(15) {
				r := mrand.New(mrand.NewPCG(seed, 1))
				m := randomZone(r, origins[seed%3])
				chain := m.chain(k)
				names := m.questions(r)
				c := newCache(t, Config{})
				for range 1 + r.IntN(12) {
					if seed%2 == 0 { // what servers say
						name := names[r.IntN(len(names))]
						if m.truth(name, dns.TypeNone) != other {
							c.Add(m.origin, m.response(k, chain, name))
						}
						continue
					}
					c.Add(m.origin, []dnssec.RRset{m.soa(), chain[r.IntN(len(chain))], chain[r.IntN(len(chain))]})
				}
				count(t, c, m, names, answers)
			}
			if answers[noData] < 100 || !k.optOut && answers[nameError] < 100 {
				t.Errorf("too few answers to show anything: %v", answers)
			}
			if k.optOut && answers[nameError] > 0 {
				t.Errorf("name errors by opt-out spans: %v", answers)
			}
		})
	}
}

// count asks everything and checks the answers.
func count(t *testing.T, c *Cache, m *model, names []string, answers map[truth]int) {
	t.Helper()
	v := dnssec.New(dnssec.Config{})
	for _, name := range names {
		for _, rrtype := range questionTypes {
			a, ok := c.Lookup(name, rrtype)
			if !ok {
				continue
			}
			is := m.truth(name, rrtype)
			if err := check(v, a, m.origin, name, rrtype, is); err != nil {
				t.Fatalf("%s %s: %v\n%v\nzone %v", name, dns.Type(rrtype), err, a, m.data)
			}
			answers[is]++
		}
	}
}

func check(v *dnssec.Validator, a Answer, zone, name string, rrtype uint16, is truth) error {
	want := map[truth]int{nameError: dns.RcodeNameError, noData: dns.RcodeSuccess}
	if rcode, ok := want[is]; !ok || a.Rcode != rcode {
		return fmt.Errorf("%s, the truth is %q", dns.RcodeToString[a.Rcode], is)
	}
	sets := dnssec.Group(a.Ns)
	e := v.Proven(zone, sets)
	p := e.NoData(name, rrtype, dnssec.NewBudget(dnssec.Limits{}))
	if a.Rcode == dns.RcodeNameError {
		p = e.NameError(name, dnssec.NewBudget(dnssec.Limits{}))
	}
	switch {
	case p.Status != dnssec.Secure || p.OptOut:
		return fmt.Errorf("its records show %v", p)
	case a.Zone != zone || a.TTL != 300*time.Second:
		return fmt.Errorf("zone %s, TTL %v", a.Zone, a.TTL)
	case len(sets) > 4 || sets[0].Type() != dns.TypeSOA:
		return fmt.Errorf("%d sets, first %v", len(sets), sets[0].RRs)
	}
	for _, set := range sets {
		if len(set.RRs) != 1 || len(set.Sigs) != 1 || set.RRs[0].Header().Ttl != 300 || set.Sigs[0].Hdr.Ttl != 300 {
			return fmt.Errorf("set %v", set)
		}
	}
	return nil
}

// With all proofs at hand each true denial is found, but for what opt-out leaves open.
func TestComplete(t *testing.T) {
	for _, k := range kinds[:3] {
		t.Run(k.name, func(t *testing.T) {
			for seed := range uint64(6) {
				r := mrand.New(mrand.NewPCG(seed, 2))
				m := randomZone(r, origins[seed%3])
				c := newCache(t, Config{})
				for _, set := range m.chain(k) {
					c.Add(m.origin, []dnssec.RRset{m.soa(), set})
				}
				if got := c.Stats().Records; got != len(m.chain(k)) {
					t.Fatalf("%d records of %d", got, len(m.chain(k)))
				}
				for _, name := range m.questions(r) {
					for _, rrtype := range questionTypes {
						is := m.truth(name, rrtype)
						if _, ok := c.Lookup(name, rrtype); ok != (is != other) {
							t.Fatalf("%s %s: answered %v, the truth is %q; zone %v", name, dns.Type(rrtype), ok, is, m.data)
						}
					}
				}
			}
		})
	}
}

// One response is enough to give it again, and the like for what is beneath a name that does not exist.
func TestResponseIsEnough(t *testing.T) {
	for _, k := range kinds[:3] {
		for seed := range uint64(6) {
			r := mrand.New(mrand.NewPCG(seed, 6))
			m := randomZone(r, origins[seed%3])
			chain := m.chain(k)
			for _, name := range m.questions(r) {
				is := m.truth(name, dns.TypeAAAA)
				if is == other {
					continue
				}
				c := newCache(t, Config{})
				c.Add(m.origin, m.response(k, chain, name))
				if _, ok := c.Lookup(name, dns.TypeAAAA); !ok {
					t.Fatalf("%s: %s is not answered; zone %v", k.name, name, m.data)
				}
				if _, ok := c.Lookup("x.y."+strings.TrimPrefix(name, "."), dns.TypeAAAA); !ok && is == nameError {
					t.Fatalf("%s: nothing follows beneath %s; zone %v", k.name, name, m.data)
				}
			}
		}
	}
}

// A zone and its child, known in part: neither denies what is the other's (RFC 6840 section 4.1).
func TestNeverWrongAcrossCuts(t *testing.T) {
	for _, k := range kinds {
		for seed := range uint64(6) {
			r := mrand.New(mrand.NewPCG(seed, 3))
			up := randomZone(r, "example.")
			up.data["sub.example."] = [][]uint16{{dns.TypeNS}, {dns.TypeNS, dns.TypeDS}}[seed%2]
			up = newModel("example.", up.data)
			down := randomZone(r, "sub.example.")
			c := newCache(t, Config{})
			upper, lower := up.chain(k), down.chain(k)
			for range 10 {
				c.Add("example.", []dnssec.RRset{up.soa(), upper[r.IntN(len(upper))]})
				if seed%2 == 1 {
					c.Add("sub.example.", []dnssec.RRset{down.soa(), lower[r.IntN(len(lower))]})
				}
			}
			for _, name := range append(up.questions(r), down.questions(r)...) {
				for _, rrtype := range questionTypes {
					m := up
					if dns.IsSubDomain("sub.example.", name) && (name != "sub.example." || rrtype != dns.TypeDS) {
						m = down
					}
					a, ok := c.Lookup(name, rrtype)
					if is := m.truth(name, rrtype); ok && (a.Zone != m.origin || (a.Rcode == dns.RcodeNameError) != (is == nameError) || is == other) {
						t.Fatalf("%s: %s %s: %s, the truth in %s is %q", k.name, name, dns.Type(rrtype), a.Zone, m.origin, is)
					}
				}
			}
		}
	}
}

// A zone that changes under the cache: old and new proofs together never deny what the new ones show to be
// there, and contradicted ones go.
func TestChangingZone(t *testing.T) {
	for _, k := range kinds[:2] {
		for seed := range uint64(6) {
			r := mrand.New(mrand.NewPCG(seed, 4))
			old, young := randomZone(r, "example."), randomZone(r, "example.")
			c := newCache(t, Config{})
			for _, set := range old.chain(k) {
				c.Add("example.", []dnssec.RRset{old.soa(), set})
			}
			for _, i := range r.Perm(len(young.chain(k))) {
				c.Add("example.", []dnssec.RRset{young.soa(), young.chain(k)[i]})
			}
			if got, want := c.Stats().Records, len(young.chain(k)); got != want {
				t.Errorf("%s: %d records, the new zone has %d", k.name, got, want)
			}
			count(t, c, young, young.questions(r), map[truth]int{})
		}
	}
}

// An answer's records, their TTLs counted down, still validate for those who ask with DO.
func TestAnswersValidate(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := dnssec.NewKey("example.", 3600, dns.ZONE|dns.SEP, dns.ED25519, public)
	if err != nil {
		t.Fatal(err)
	}
	s := &dnssec.Signer{Key: key, Private: private}
	sign := func(rr dns.RR) []*dns.RRSIG {
		sig, err := s.Sign([]dns.RR{rr}, epoch.Add(-time.Hour), epoch.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return []*dns.RRSIG{sig}
	}
	v := dnssec.New(dnssec.Config{})
	b := dnssec.NewBudget(dnssec.Limits{Checks: 1 << 20, Hashes: 1 << 20})
	keys := v.ValidateKeys("example.", dnssec.RRset{RRs: []dns.RR{key}, Sigs: sign(key)}, dnssec.Trust{Keys: []*dns.DNSKEY{key}}, epoch, b)
	for _, k := range kinds {
		m := randomZone(mrand.New(mrand.NewPCG(7, 7)), "example.")
		m.sign = sign
		now := epoch
		c := newCache(t, Config{Now: func() time.Time { return now }})
		c.Add("example.", slices.Concat([]dnssec.RRset{m.soa()}, m.chain(k)))
		now = now.Add(100 * time.Second)
		found := 0
		for _, name := range append([]string{"nothing.example."}, m.owners...) {
			a, ok := c.Lookup(name, dns.TypeAAAA)
			if !ok {
				continue
			}
			found++
			sets := dnssec.Group(a.Ns)
			if res := v.ValidateRRset(sets[0], keys, now, b); res.Status != dnssec.Secure || res.TTL != 200 {
				t.Errorf("SOA: %+v", res)
			}
			e := v.Evidence(sets, keys, now, b)
			p := e.NoData(name, dns.TypeAAAA, b)
			if a.Rcode == dns.RcodeNameError {
				p = e.NameError(name, b)
			}
			if p.Status != dnssec.Secure || p.TTL != 200 {
				t.Errorf("%s: %s: %+v", k.name, name, p)
			}
		}
		if found < 2 {
			t.Errorf("%s: %d answers", k.name, found)
		}
	}
}

// The order of keys is the canonical order of names, and "below" is "starts with".
func TestKeys(t *testing.T) {
	r := mrand.New(mrand.NewPCG(1, 5))
	long := strings.Repeat(strings.Repeat(`\000`, 62)+".", 4)
	names := []string{".", "a.", long, `A\.b.example.`}
	for range 200 {
		names = append(names, randomName(r, ".", 5))
	}
	for _, a := range names {
		for _, b := range names {
			ka, ok1 := keyOf(a)
			kb, ok2 := keyOf(b)
			if !ok1 || !ok2 || len(ka) > maxKey-2 {
				t.Fatalf("%s (%v, %d octets), %s (%v)", a, ok1, len(ka), b, ok2)
			}
			if got, want := strings.Compare(ka, kb), canonicalOrder(a, b); got > 0 != (want > 0) || got < 0 != (want < 0) {
				t.Errorf("%s and %s: %d, want %d", a, b, got, want)
			}
			if got, want := hasPrefix(ka, []byte(kb)), dns.IsSubDomain(b, a); got != want {
				t.Errorf("%s below %s: %v", a, b, got)
			}
		}
	}
}
