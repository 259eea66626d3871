package denial

import (
	"math/rand/v2"
	"testing"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// FuzzLookup asks anything of any part of a random zone's proofs: no answer is wrong.
func FuzzLookup(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 40 {
		f.Add(uint64(i), ^uint64(0)<<i, uint8(i), randomName(r, origins[i%3], 5), uint16(dns.TypeA))
	}
	f.Add(uint64(1), ^uint64(0), uint8(0), `\042.\065.example.`, uint16(dns.TypeDS))
	v := dnssec.New(dnssec.Config{})
	f.Fuzz(func(t *testing.T, seed, mask uint64, which uint8, name string, rrtype uint16) {
		k := kinds[int(which)%len(kinds)]
		m := randomZone(rand.New(rand.NewPCG(seed, 0)), origins[seed%3])
		c := newCache(t, Config{})
		for i, set := range m.chain(k) {
			if mask>>(i%64)&1 == 1 {
				c.Add(m.origin, []dnssec.RRset{m.soa(), set})
			}
		}
		a, ok := c.Lookup(name, rrtype)
		if !ok {
			return
		}
		wire := make([]byte, 255) // the model takes names in one spelling only
		size, err := dns.PackDomainName(name, wire, 0, nil, false)
		if err != nil {
			t.Fatalf("%q was answered: %v", name, err)
		}
		name, _, err = dns.UnpackDomainName(wire[:size], 0)
		if err != nil {
			t.Fatal(err)
		}
		name = dns.CanonicalName(name)
		if err := check(v, a, m.origin, name, rrtype, m.truth(name, rrtype)); err != nil {
			t.Fatalf("%s %s: %v; %v, zone %v", name, dns.Type(rrtype), err, a, m.data)
		}
	})
}

// FuzzAdd takes in whatever calls itself a response: the bounds hold, the order is kept, and what is answered
// is proven by its own records.
func FuzzAdd(f *testing.F) {
	pack := func(sets []dnssec.RRset) []byte {
		msg := new(dns.Msg)
		for _, set := range sets {
			msg.Ns = append(msg.Ns, set.RRs...)
			for _, sig := range set.Sigs {
				msg.Ns = append(msg.Ns, sig)
			}
		}
		wire, err := msg.Pack()
		if err != nil {
			f.Fatal(err)
		}
		return wire
	}
	for i, k := range kinds {
		m := randomZone(rand.New(rand.NewPCG(uint64(i), 9)), "example.")
		chain := m.chain(k)
		f.Add(pack(append(chain, m.soa())), pack(m.response(k, chain, "example.")), "a.b.example.", uint16(dns.TypeA))
	}
	v := dnssec.New(dnssec.Config{})
	f.Fuzz(func(t *testing.T, one, two []byte, name string, rrtype uint16) {
		c := newCache(t, Config{Records: 12, ZoneRecords: 8})
		for _, wire := range [][]byte{one, two, one} {
			msg := new(dns.Msg)
			if msg.Unpack(wire) != nil {
				continue
			}
			all := append(msg.Ns, msg.Answer...)
			for _, rr := range all { // what is given to Add is validated
				if sig, ok := rr.(*dns.RRSIG); ok {
					sig.SignerName, sig.Hdr.Ttl, sig.OrigTtl = "example.", 300, 300
					sig.Inception, sig.Expiration = uint32(epoch.Unix())-1, uint32(epoch.Unix())+3600
				}
			}
			c.Add("example.", dnssec.Group(all))
		}
		held := 0
		for _, z := range c.zones {
			held += len(z.chain.records)
			for i, r := range z.chain.records {
				if i > 0 && z.chain.records[i-1].key >= r.key {
					t.Fatalf("record %d is out of order", i)
				}
			}
		}
		if s := c.Stats(); s.Records != held || held > 8 || s.Zones > 1 {
			t.Fatalf("%+v, %d held", s, held)
		}
		a, ok := c.Lookup(name, rrtype)
		if !ok {
			return
		}
		e := v.Proven("example.", dnssec.Group(a.Ns))
		p := e.NoData(name, rrtype, dnssec.NewBudget(dnssec.Limits{}))
		if a.Rcode == dns.RcodeNameError {
			p = e.NameError(name, dnssec.NewBudget(dnssec.Limits{}))
		}
		if p.Status != dnssec.Secure || p.OptOut || a.TTL <= 0 {
			t.Fatalf("%s: %v shows %v", name, a, p)
		}
	})
}
