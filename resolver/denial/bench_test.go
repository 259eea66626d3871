package denial

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// bigZone is a zone of 2000 names, all of it known.
func bigZone(b *testing.B, k chainKind) *Cache {
	data := map[string][]uint16{"example.": {dns.TypeNS, dns.TypeSOA}}
	for i := range 1000 {
		data[fmt.Sprintf("host-%04d.example.", i)] = []uint16{dns.TypeA}
		data[fmt.Sprintf("www.host-%04d.example.", i)] = []uint16{dns.TypeA}
	}
	m := newModel("example.", data)
	c := newCache(b, Config{})
	for _, set := range m.chain(k) {
		c.Add("example.", []dnssec.RRset{m.soa(), set})
	}
	return c
}

func BenchmarkLookup(b *testing.B) {
	rfc9276, costly := chainKind{hashed: true}, chainKind{hashed: true, iterations: 150, salt: "12345678"}
	known := map[string]*Cache{"NSEC": bigZone(b, chainKind{}), "NSEC3": bigZone(b, rfc9276), "NSEC3 150 iterations": bigZone(b, costly)}
	for _, bench := range []struct {
		name, cache, question string
		rrtype                uint16
		want                  bool
	}{
		{"unknown zone", "NSEC", "www.elsewhere.com.", dns.TypeA, false},
		{"NSEC exists", "NSEC", "www.host-0500.example.", dns.TypeA, false},
		{"NSEC name error", "NSEC", "a.b.host-0500.example.", dns.TypeA, true},
		{"NSEC no data", "NSEC", "www.host-0500.example.", dns.TypeMX, true},
		{"NSEC3 exists", "NSEC3", "www.host-0500.example.", dns.TypeA, false},
		{"NSEC3 closest encloser", "NSEC3", "a.b.host-0500.example.", dns.TypeA, true},
		{"NSEC3 no data", "NSEC3", "www.host-0500.example.", dns.TypeMX, true},
		{"NSEC3 150 closest encloser", "NSEC3 150 iterations", "a.b.host-0500.example.", dns.TypeA, true},
	} {
		b.Run(bench.name, func(b *testing.B) {
			c := known[bench.cache]
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := c.Lookup(bench.question, bench.rrtype); ok != bench.want {
					b.Fatal(ok)
				}
			}
		})
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, k := range kinds[:2] {
		b.Run(k.name, func(b *testing.B) {
			m := newModel("example.", map[string][]uint16{"example.": {dns.TypeNS, dns.TypeSOA}, "a.example.": {dns.TypeA}, "z.example.": {dns.TypeA}})
			response := m.response(k, m.chain(k), "m.example.")
			c := newCache(b, Config{})
			b.ReportAllocs()
			for b.Loop() {
				c.Add("example.", response)
			}
		})
	}
}
