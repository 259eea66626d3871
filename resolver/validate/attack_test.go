package validate

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
)

// battlefield is a world in which evil.com. and evil.org. are signed zones of the attacker's and
// plain.evil.org. and plain.com. unsigned ones, beside zones of all kinds that are none of his.
func battlefield(t testing.TB) *world {
	const text = `
@ A 192.0.2.1
www A 192.0.2.2
alias CNAME www
away CNAME www.victim.com.
toplain CNAME www.plain.com.
*.w A 192.0.2.5
other.w TXT other
*.wc CNAME www
a.b.ent A 192.0.2.4
dn DNAME target
a.target A 192.0.2.6
mxonly MX 10 www
`
	return newWorld(t,
		spec{name: "."},
		spec{name: "com.", chain: "optout", iterations: 1, text: "www A 192.0.2.1\n*.wild TXT w\n"},
		spec{name: "org.", text: "www A 192.0.2.1\n*.wild A 192.0.2.1\n"},
		spec{name: "victim.com.", text: text},
		spec{name: "victim.org.", chain: "nsec3", iterations: 2, text: text},
		spec{name: "sub.victim.com.", chain: "nsec3", text: text},
		spec{name: "plain.victim.com.", plain: true, text: text},
		spec{name: "sub.victim.org.", text: text},
		spec{name: "plain.victim.org.", plain: true, text: text},
		spec{name: "signed.plain.victim.org.", text: text},
		spec{name: "evil.com.", text: text},
		spec{name: "evil.org.", chain: "nsec3", text: text},
		spec{name: "plain.com.", plain: true, text: text},
		spec{name: "plain.evil.org.", plain: true, text: text},
	)
}

// attacker is on the path to all servers, has seen all that they say, and owns some zones.
type attacker struct {
	*world
	t       *testing.T
	chance  *rand.Rand
	loot    [][]dns.RR // genuine RRsets with their signatures
	names   []string
	odd     []string // names that are worth an attack
	signers []*dnssec.Signer
	active  bool
}

func newAttacker(t *testing.T, w *world, seed uint64) *attacker {
	a := &attacker{world: w, t: t, chance: rand.New(rand.NewPCG(seed, 7))}
	for _, name := range slices.Sorted(mapKeys(w.zones)) {
		z := w.zones[name]
		for _, owner := range slices.Sorted(mapKeys(z.sets)) {
			a.names = append(a.names, owner)
			for _, rrtype := range slices.Sorted(mapKeys(z.sets[owner])) {
				a.loot = append(a.loot, z.sets[owner][rrtype])
			}
		}
		for _, s := range z.spans {
			a.loot = append(a.loot, s.records)
		}
	}
	a.odd = append(a.odd, "x.victim.com.", "y.x.victim.org.", "x.sub.victim.com.", "k.www.victim.com.", "x.w.victim.org.",
		"a.dn.victim.com.", "b.dn.victim.org.", "x.com.", "x.org.", "x.wc.victim.com.", "p.wild.org.", `\000.victim.com.`, "a.b.c.w.victim.com.",
		"q.other.w.victim.com.", "q.other.w.victim.org.", "ent.victim.com.", "b.ent.victim.org.", "ent.sub.victim.com.", "wild.org.", "other.w.victim.com.", "other.w.victim.org.")
	a.names = append(a.names, a.odd...)
	for _, own := range []string{"evil.com.", "evil.org."} {
		a.signers = append(a.signers, w.zones[own].signer)
	}
	for _, zone := range []string{"victim.com.", "victim.org.", "sub.victim.com.", "com.", "org.", "."} {
		a.signers = append(a.signers, seededSigner(t, zone, "forged", dns.ZONE|dns.SEP))
	}
	return a
}

func mapKeys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func pick[T any](a *attacker, of []T) T { return of[a.chance.IntN(len(of))] }

func (a *attacker) target() string {
	if a.chance.IntN(2) == 0 {
		return pick(a, a.odd)
	}
	return pick(a, a.names)
}

// forge signs records with a key of the attacker's, in whoever's name.
func (a *attacker) forge(rrs []dns.RR, signer string) []dns.RR {
	by := pick(a, a.signers)
	key := *by.Key
	if a.chance.IntN(3) > 0 && dns.IsSubDomain(signer, rrs[0].Header().Name) {
		key.Hdr.Name = signer // the tag stays the same: it does not depend on the owner
	}
	sig, err := (&dnssec.Signer{Key: &key, Private: by.Private}).Sign(rrs, now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil {
		return rrs
	}
	if a.chance.IntN(4) == 0 {
		sig.SignerName = signer
	}
	if a.chance.IntN(4) == 0 {
		sig.KeyTag = pick(a, pick(a, a.loot)).Header().Rrtype // of no key
	}
	return append(slices.Clone(rrs), sig)
}

// lie makes records about name out of nothing.
func (a *attacker) lie(name string, rrtype uint16) []dns.RR {
	up, under := parent(name), strings.TrimPrefix(name, ".")
	kind := pick(a, []string{
		name + " 300 A 192.0.2.66", name + " 300 CNAME www.plain.com.", name + " 300 CNAME www.evil.com.", up + " 300 DNAME evil.com.",
		name + ` 300 NSEC \000.` + under + " RRSIG NSEC", name + ` 300 NSEC \000.` + under + " RRSIG NSEC TYPE128", up + " 300 NSEC " + up + " NS SOA RRSIG NSEC",
		name + " 300 NSEC zz." + under + " NS RRSIG NSEC", up + " 300 SOA ns. host. 1 2 3 4 300", name + " 300 NS ns.evil.com.",
		"e.com. 300 NSEC3 1 1 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NS", name + ` 300 TXT "` + dns.Type(rrtype).String() + `"`,
	})
	rrs := parse(a.t, ".", kind)
	if a.chance.IntN(5) == 0 {
		ds := dnssec.NewDS(pick(a, a.signers).Key, dns.SHA256)
		ds.Hdr.Name = name
		rrs = []dns.RR{ds}
	}
	if a.chance.IntN(5) == 0 {
		k := *pick(a, a.signers).Key
		k.Hdr.Name = name
		rrs = []dns.RR{&k}
	}
	if a.chance.IntN(3) == 0 {
		return rrs
	}
	return a.forge(rrs, pick(a, []string{name, up, parent(up), "evil.com.", "evil.org.", "."}))
}

// twist changes a signature, or a record that denies.
func (a *attacker) twist(rr dns.RR) dns.RR {
	rr = dns.Copy(rr)
	switch x := rr.(type) {
	case *dns.RRSIG:
		switch a.chance.IntN(9) {
		case 0:
			x.Labels = uint8(a.chance.IntN(6))
		case 1:
			x.SignerName = pick(a, []string{".", "com.", "org.", "evil.com.", "victim.com.", "sub.victim.com.", "victim.org.", x.Hdr.Name, parent(x.SignerName)})
		case 2:
			x.Algorithm = pick(a, []uint8{0, 1, 3, 5, 8, 12, 13, 15, 16, 17, 253, 255})
		case 3:
			x.KeyTag++
		case 4:
			x.Expiration += 1 << a.chance.IntN(32)
		case 5:
			x.OrigTtl = 1 << a.chance.IntN(32)
		case 6:
			x.TypeCovered = pick(a, pick(a, a.loot)).Header().Rrtype
		case 7:
			x.Signature = ""
		case 8:
			x.Hdr.Ttl = 1 << a.chance.IntN(32)
		}
	case *dns.NSEC:
		if a.chance.IntN(2) == 0 {
			x.NextDomain = pick(a, a.names)
		} else {
			x.TypeBitMap = pick(a, [][]uint16{{2, 46, 47}, {46, 47}, {46, 47, 128}, {}, {2, 6}})
		}
	case *dns.NSEC3:
		switch a.chance.IntN(5) {
		case 0:
			x.Flags ^= 1
		case 1:
			x.Iterations = uint16(1 << a.chance.IntN(16))
		case 2:
			x.TypeBitMap = []uint16{2}
		case 3:
			x.NextDomain = strings.Repeat("V", 32)
		case 4:
			x.Salt, x.SaltLength = "aa", 1
		}
	default:
		var odd dns.RFC3597
		if a.chance.IntN(2) == 0 && odd.ToRFC3597(rr) == nil {
			return &odd
		}
		rr.Header().Ttl = 1 << a.chance.IntN(32)
	}
	return rr
}

// replay answers with the denial of some signed zone above the name or at it, all of it, and maybe with a
// wildcard of that zone in the place of data.
func (a *attacker) replay(r *Response) {
	var zones []*zone
	for _, name := range slices.Sorted(mapKeys(a.zones)) {
		if within(r.Name, name) && !a.zones[name].plain {
			zones = append(zones, a.zones[name])
		}
	}
	z := pick(a, zones)
	r.Answer, r.Rcode = nil, pick(a, []int{0, 3})
	r.Ns = slices.Clone(z.sets[z.name][dns.TypeSOA])
	all := a.chance.IntN(2) == 0
	for _, i := range a.chance.Perm(len(z.spans)) {
		if all || a.chance.IntN(2) == 0 {
			r.Ns = append(r.Ns, z.spans[i].records...)
		}
	}
	for _, star := range slices.Sorted(mapKeys(z.sets)) {
		if star[0] != '*' || !within(r.Name, parent(star)) {
			continue
		}
		if set := z.sets[star][r.Type]; set != nil && a.chance.IntN(2) == 0 {
			r.Answer, r.Rcode = renamed(set, r.Name), 0
		}
		if set := z.sets[star][dns.TypeNSEC]; set != nil && a.chance.IntN(2) == 0 {
			r.Ns = append(r.Ns, renamed(set, r.Name)...)
		}
	}
}

// attack changes a response.
func (a *attacker) attack(r *Response) {
	if a.chance.IntN(3) == 0 {
		if a.replay(r); a.chance.IntN(2) == 0 {
			return
		}
	}
	for range 1 + a.chance.IntN(5) {
		section := &r.Answer
		if a.chance.IntN(2) == 0 {
			section = &r.Ns
		}
		at := -1
		if len(*section) > 0 {
			at = a.chance.IntN(len(*section))
		}
		*section = slices.Clone(*section)
		switch a.chance.IntN(12) {
		case 0:
			*section = nil
		case 1:
			if at >= 0 {
				*section = slices.Delete(*section, at, at+1)
			}
		case 2, 3:
			*section = append(*section, pick(a, a.loot)...)
		case 4:
			*section = append(*section, renamed(pick(a, a.loot), pick(a, []string{r.Name, parent(r.Name), pick(a, a.names)}))...)
		case 5:
			r.Rcode = pick(a, []int{0, 3, 3, 2})
		case 6:
			*section = append(a.lie(r.Name, r.Type), *section...)
		case 7:
			*section = append(*section, a.lie(pick(a, []string{r.Name, parent(r.Name), pick(a, a.names)}), r.Type)...)
		case 8, 9:
			if at >= 0 {
				(*section)[at] = a.twist((*section)[at])
			}
		case 10:
			other := a.ask(pick(a, a.names), r.Type)
			r.Answer, r.Ns, r.Rcode = renamed(other.Answer, r.Name), other.Ns, other.Rcode
		case 11:
			a.chance.Shuffle(len(*section), func(i, j int) { (*section)[i], (*section)[j] = (*section)[j], (*section)[i] })
			if at >= 0 {
				(*section)[at] = dns.Copy((*section)[at])
				(*section)[at].Header().Name = strings.ToUpper((*section)[at].Header().Name)
			}
		}
	}
}

// Fetch implements Source: the attacker is on the path.
func (a *attacker) Fetch(ctx context.Context, name string, rrtype uint16, avoid []netip.AddrPort) (*Response, error) {
	r, err := a.world.Fetch(ctx, name, rrtype, avoid)
	if err == nil && a.active && a.chance.IntN(3) == 0 {
		a.attack(r)
	}
	return r, err
}

// NextCut implements Source.
func (a *attacker) NextCut(ctx context.Context, zone, name string) (string, []dns.RR) {
	cut, referral := a.world.NextCut(ctx, zone, name)
	if !a.active || a.chance.IntN(3) > 0 {
		return cut, referral
	}
	if a.chance.IntN(2) == 0 {
		for cut = name; cut != zone && a.chance.IntN(2) == 0; {
			cut = parent(cut)
		}
	}
	r := &Response{Name: name, Type: dns.TypeDS, Ns: referral}
	a.attack(r)
	return cut, slices.Concat(r.Answer, r.Ns)
}

// baseline is what an untouched world says: the response of the zone, the whole alias chain, and what they are worth.
func baseline(t *testing.T, w *world, name string, rrtype uint16) (r, whole *Response, j Judgement) {
	r = w.ask(name, rrtype)
	a, err := w.Resolve(context.Background(), resolver.Query{Name: name, Type: rrtype, Class: dns.ClassINET})
	if err != nil {
		t.Fatal(err)
	}
	whole = &Response{Name: name, Type: rrtype, Rcode: a.Rcode, Answer: a.Answer, Ns: a.Ns}
	return r, whole, w.judge(t, chainOver(w, Config{}), r)
}

// part says whether all that a judged response holds is in the truth.
func part(truth *Response, j Judgement) bool {
	want := contents(truth.Answer)
	return !slices.ContainsFunc(contents(j.Answer), func(rr string) bool { return !slices.Contains(want, rr) })
}

// An attacker without the keys never gets a lie taken for Secure, nor what is Secure for Insecure, and nothing
// of what he said is remembered.
func TestAttacker(t *testing.T) {
	w := battlefield(t)
	w.knows = true
	const rounds = 800
	types := []uint16{dns.TypeA, dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypeDS, dns.TypeNS, dns.TypeNSEC, dns.TypeCNAME, dns.TypeDNSKEY, dns.TypeTXT, dns.TypeTXT, dns.TypeSOA}
	clock := now
	a := newAttacker(t, w, 1)
	chain := New(Config{Source: a, Now: func() time.Time { return clock }})
	caught := map[dnssec.Status]int{}
	for round := range rounds {
		name, rrtype := a.target(), pick(a, types)
		r0, truth, want := baseline(t, w, name, rrtype)
		r := *r0
		a.active = true
		if a.chance.IntN(4) > 0 {
			a.attack(&r)
		}
		b := dnssec.NewBudget(dnssec.Limits{})
		j, err := chain.Validate(context.Background(), &r, w.anchors(), b)
		a.active = false
		if s := b.Spent(); s.Checks > 256 || s.Failures > 16 || s.Hashes > 150 {
			t.Errorf("round %d: %+v", round, s)
		}
		if err == nil {
			caught[j.Status]++
			// Of his own zones he may say what he likes; and a cut has an NSEC on either side.
			own := within(name, "evil.com.") || within(name, "evil.org.") || rrtype == dns.TypeNSEC && w.zones[name] != nil
			lied := j.Status == dnssec.Secure && (!part(truth, j) || j.Open == "" && altered(truth, j))
			if !own && (lied || j.Status == dnssec.Insecure && want.Status == dnssec.Secure) {
				t.Fatalf("round %d: %s %s: %v, rcode %d\n%v\n%v\nbut was %v\n%v\n%v", round, name, dns.Type(rrtype), j.Verdict, j.Rcode, j.Answer, r.Ns, want.Verdict, truth.Answer, truth.Ns)
			}
		}
		clock = clock.Add(maxFailure / 4)
		if round%20 == 0 {
			clock = now // signatures last a day; time is no part of this
			chain.memory = newMemory(100)
		}
		if round%5 == 4 {
			clock = clock.Add(maxFailure)
			name, rrtype := pick(a, a.names), pick(a, types)
			r, _, want := baseline(t, w, name, rrtype)
			if j := w.judge(t, chain, r); j.Status != want.Status || j.Rcode != want.Rcode {
				t.Fatalf("round %d: afterwards %s %s is %v, but was %v", round, name, dns.Type(rrtype), j.Verdict, want.Verdict)
			}
		}
	}
	if len(caught) < 3 {
		t.Errorf("the attacks came to %v", caught)
	}
}
