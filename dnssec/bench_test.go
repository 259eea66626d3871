package dnssec

import (
	"testing"

	"github.com/miekg/dns"
)

// An answer validated with warm keys.
func BenchmarkValidateRRset(b *testing.B) {
	for _, alg := range []uint8{dns.RSASHA256, dns.ECDSAP256SHA256, dns.ED25519, dns.ED448} {
		b.Run(dns.AlgorithmToString[alg], func(b *testing.B) {
			v := New(Config{})
			s := signerFor(b, "example.", alg, dns.ZONE)
			keys := keysOf(b, v, s)
			set := s.signSet(b, rrs(b, "a.example. 300 IN A 192.0.2.1\na.example. 300 IN A 192.0.2.2")...)
			b.ReportAllocs()
			for b.Loop() {
				if res := v.ValidateRRset(set, keys, now, NewBudget(Limits{})); res.Status != Secure {
					b.Fatal(res.Verdict)
				}
			}
		})
	}
}

// A name error by NSEC3: closest encloser, next closer, wildcard.
func BenchmarkNameErrorNSEC3(b *testing.B) {
	m := newModel(b, "example.", rrs(b, zoneText))
	e := evidenceOf(m, m.nsec3s(0, "", false), 150)
	b.ReportAllocs()
	for b.Loop() {
		if p := e.NameError("a.b.c.example.", NewBudget(Limits{})); p.Status != Secure {
			b.Fatal(p.Verdict)
		}
	}
}
