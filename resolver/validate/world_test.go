package validate

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
)

// now is when all tests begin.
var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// spec is a zone of a world.
type spec struct {
	name, text string
	plain      bool                    // not signed
	island     bool                    // signed, without DS above
	chain      string                  // "" NSEC, "nsec3", "optout"
	iterations uint16                  //
	from, to   time.Duration           // of signatures, from now; an hour ago and a day ahead
	ds         func(*dns.DS)           // spoils the DS
	keys       func([]dns.RR) []dns.RR // changes the DNSKEY RRset before it is signed
	flags      uint16                  // of the key; zone key and SEP
	seed       string                  // another one, another key
}

// zone is a spec come to life.
type zone struct {
	spec
	signer *dnssec.Signer
	keyset []dns.RR
	sets   map[string]map[uint16][]dns.RR // by owner and type, with signatures
	cuts   []string                       // delegations
	spans  []span                         // NSEC or NSEC3 in order
}

// span is one NSEC or NSEC3: owner is a name, or a hash.
type span struct {
	owner, next string
	records     []dns.RR
}

// world is a tree of zones in memory that answers as their servers would. It is a Source.
type world struct {
	zones  map[string]*zone
	knows  bool // NextCut tells of cuts, with the records of referrals
	mute   bool // ... without these records
	mu     sync.Mutex
	asked  []string
	tamper func(*Response) // changes what Fetch returns
	fail   func(name string, rrtype uint16) error
	server func(try int) netip.AddrPort
}

func newSigner(t testing.TB, zone string, flags uint16) *dnssec.Signer {
	t.Helper()
	return seededSigner(t, zone, "", flags)
}

func seededSigner(t testing.TB, zone, more string, flags uint16) *dnssec.Signer {
	t.Helper()
	// Keys follow from names, so that failures can be looked at again.
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, "key of "+zone+more)
	private := ed25519.NewKeyFromSeed(seed)
	k, err := dnssec.NewKey(zone, 3600, flags, dns.ED25519, private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &dnssec.Signer{Key: k, Private: private}
}

func parse(t testing.TB, origin, text string) []dns.RR {
	t.Helper()
	var out []dns.RR
	zp := dns.NewZoneParser(strings.NewReader(text), origin, "")
	zp.SetDefaultTTL(3600)
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		out = append(out, rr)
	}
	if err := zp.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// newWorld makes the zones and signs them.
func newWorld(t testing.TB, specs ...spec) *world {
	t.Helper()
	w := &world{zones: map[string]*zone{}}
	for _, s := range specs {
		if s.from == 0 {
			s.from = -time.Hour
		}
		if s.to == 0 {
			s.to = 24 * time.Hour
		}
		if s.flags == 0 {
			s.flags = dns.ZONE | dns.SEP
		}
		z := &zone{spec: s, sets: map[string]map[uint16][]dns.RR{}, signer: seededSigner(t, s.name, s.seed, s.flags)}
		if z.keyset = []dns.RR{z.signer.Key}; s.keys != nil {
			z.keyset = s.keys(z.keyset)
		}
		w.zones[s.name] = z
	}
	for _, z := range w.zones {
		w.fill(t, z)
	}
	for _, z := range w.zones {
		z.sign(t)
	}
	return w
}

func (z *zone) put(rr dns.RR) {
	owner := dns.CanonicalName(rr.Header().Name)
	if z.sets[owner] == nil {
		z.sets[owner] = map[uint16][]dns.RR{}
	}
	z.sets[owner][rr.Header().Rrtype] = append(z.sets[owner][rr.Header().Rrtype], rr)
}

func (w *world) fill(t testing.TB, z *zone) {
	origin := z.name
	for _, rr := range parse(t, origin, "@ IN SOA ns.nic. host.nic. 1 3600 600 86400 300\n@ IN NS ns.nic.\n"+z.text) {
		z.put(rr)
	}
	for _, child := range w.zones {
		if child == z || w.above(child.name) != z.name {
			continue
		}
		z.cuts = append(z.cuts, child.name)
		z.put(parse(t, child.name, "@ IN NS ns.nic.")[0])
		if !child.plain && !child.island {
			ds := dnssec.NewDS(child.signer.Key, dns.SHA256)
			if child.ds != nil {
				child.ds(ds)
			}
			z.put(ds)
		}
	}
	if z.plain {
		return
	}
	for _, k := range z.keyset {
		z.put(k)
	}
}

// above is the zone that name is delegated from.
func (w *world) above(name string) string {
	for name != "." {
		name = parent(name)
		if w.zones[name] != nil {
			return name
		}
	}
	return ""
}

// holder is the zone whose servers answer a question.
func (w *world) holder(name string, rrtype uint16) *zone {
	if name = home(name, rrtype); w.zones[name] == nil {
		name = w.above(name)
	}
	return w.zones[name]
}

func (z *zone) cut(name string) bool { return slices.Contains(z.cuts, name) }

func (z *zone) sign(t testing.TB) {
	t.Helper()
	if z.plain {
		return
	}
	z.deny(t)
	for owner, types := range z.sets {
		for rrtype, set := range types {
			if rrtype == dns.TypeNS && z.cut(owner) {
				continue
			}
			types[rrtype] = append(set, z.rrsig(t, set))
		}
	}
	for i := range z.spans {
		z.spans[i].records = append(z.spans[i].records, z.rrsig(t, z.spans[i].records))
		if z.chain == "" {
			z.sets[z.spans[i].owner][dns.TypeNSEC] = z.spans[i].records
		}
	}
}

func (z *zone) rrsig(t testing.TB, set []dns.RR) *dns.RRSIG {
	t.Helper()
	sig, err := z.signer.Sign(set, now.Add(z.from), now.Add(z.to))
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func (z *zone) negative(r *Response, kind, name string) {
	if kind == "nxdomain" {
		r.Rcode = dns.RcodeNameError
	}
	r.Ns = append(append(r.Ns, z.sets[z.name][dns.TypeSOA]...), z.denial(kind, name)...)
}

// answer is what the zone's servers say, along aliases as far as they have them.
func (z *zone) answer(name string, rrtype uint16) *Response {
	r := &Response{Name: name, Type: rrtype, Zone: z.name}
	for hops := 0; hops < 8 && within(name, z.name); hops++ {
		if hops > 0 && slices.ContainsFunc(z.cuts, func(c string) bool { return within(name, c) }) {
			return r
		}
		next := z.hop(r, name, rrtype)
		if next == "" {
			return r
		}
		name = next
	}
	return r
}

// hop answers for one name, and returns where an alias leads.
func (z *zone) hop(r *Response, name string, rrtype uint16) string {
	for owner, types := range z.sets {
		if d := types[dns.TypeDNAME]; d != nil && below(name, owner) {
			target := strings.TrimSuffix(name, owner) + d[0].(*dns.DNAME).Target
			h := dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 3600}
			r.Answer = append(append(r.Answer, d...), &dns.CNAME{Hdr: h, Target: target})
			if rrtype == dns.TypeCNAME {
				return ""
			}
			return target
		}
	}
	types, owner := z.sets[name], name
	if !z.exists(name) {
		encloser, _ := z.encloser(name)
		owner = "*." + strings.TrimPrefix(encloser, ".")
		if types = z.sets[owner]; types == nil {
			z.negative(r, "nxdomain", name)
			return ""
		}
	}
	if rrtype == dns.TypeANY {
		for _, set := range types {
			r.Answer = append(r.Answer, set...)
		}
		return ""
	}
	set := types[rrtype]
	cname := set == nil && types[dns.TypeCNAME] != nil
	if cname {
		set = types[dns.TypeCNAME]
	}
	switch {
	case set == nil && owner == name:
		z.negative(r, "nodata", name)
	case set == nil:
		z.negative(r, "wildnodata", name)
	case owner != name:
		r.Answer = append(r.Answer, renamed(set, name)...)
		r.Ns = append(r.Ns, z.denial("wildcard", name)...)
	default:
		r.Answer = append(r.Answer, set...)
	}
	if cname {
		return set[0].(*dns.CNAME).Target
	}
	return ""
}

func renamed(set []dns.RR, name string) []dns.RR {
	out := make([]dns.RR, len(set))
	for i, rr := range set {
		out[i] = dns.Copy(rr)
		out[i].Header().Name = name
	}
	return out
}

// ask is what the servers of the right zone say.
func (w *world) ask(name string, rrtype uint16) *Response {
	return w.holder(name, rrtype).answer(name, rrtype)
}

// Fetch implements Source.
func (w *world) Fetch(_ context.Context, name string, rrtype uint16, avoid []netip.AddrPort) (*Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, dns.Type(rrtype).String()+" "+name)
	if w.fail != nil {
		if err := w.fail(name, rrtype); err != nil {
			return nil, err
		}
	}
	r := w.ask(name, rrtype)
	if w.server != nil {
		r.Server = w.server(len(avoid))
		if slices.Contains(avoid, r.Server) {
			return nil, errors.New("no server left")
		}
	}
	if w.tamper != nil {
		w.tamper(r)
	}
	return r, nil
}

// NextCut implements Source.
func (w *world) NextCut(_ context.Context, zone, name string) (string, []dns.RR) {
	if !w.knows {
		return "", nil
	}
	cut := ""
	for n := name; n != zone && n != "."; n = parent(n) {
		if w.zones[n] != nil && below(n, zone) {
			cut = n
		}
	}
	if cut == "" || w.mute {
		return cut, nil
	}
	z := w.zones[w.above(cut)]
	if ds := z.sets[cut][dns.TypeDS]; ds != nil {
		return cut, ds
	}
	return cut, z.denial("nodata", cut)
}

// count returns how often something was fetched, and forgets it.
func (w *world) count(prefix string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, a := range w.asked {
		if strings.HasPrefix(a, prefix) {
			n++
		}
	}
	w.asked = nil
	return n
}

// anchors are the root's key.
func (w *world) anchors() *dnssec.Anchors {
	ds := dnssec.NewDS(w.zones["."].signer.Key, dns.SHA256)
	return new(dnssec.Anchors).With(".", dnssec.Trust{DS: []*dns.DS{ds}})
}

// Resolve implements resolver.Resolver as a recursive server does that follows aliases and does not validate.
func (w *world) Resolve(_ context.Context, q resolver.Query) (*resolver.Answer, error) {
	a := &resolver.Answer{Zone: "forward"}
	name := q.Name
	for range 12 {
		r := w.ask(name, q.Type)
		if w.tamper != nil {
			w.tamper(r)
		}
		a.Rcode, a.Answer, a.Ns = r.Rcode, append(a.Answer, r.Answer...), append(a.Ns, r.Ns...)
		chain, err := resolver.Follow(q, ".", a.Answer)
		if err != nil {
			return nil, err
		}
		if chain.End == name || len(chain.Records) > 0 || len(r.Ns) > 0 && r.Ns[0].Header().Rrtype == dns.TypeSOA {
			return a, nil
		}
		name = chain.End
	}
	return nil, fmt.Errorf("%s: too many aliases", q.Name)
}
