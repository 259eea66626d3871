package validate

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// TestMemoryIsBoundedInOctets: a set of keys or DS that no honest zone has is judged, and not kept.
func TestMemoryIsBoundedInOctets(t *testing.T) {
	m, now := newMemory(10), time.Now()
	secure := dnssec.Verdict{Status: dnssec.Secure}
	small, large := entryID{zone: "small."}, entryID{zone: "large."}
	m.putEntry(place{zone: "small.", verdict: secure, octets: 800, origin: origin{id: small}}, 3600, now)
	m.putEntry(place{zone: "large.", verdict: secure, octets: maxKeyOctets + 1, origin: origin{id: large}}, 3600, now)
	if _, ok := m.entry(small, now); !ok {
		t.Error("keys of usual size were not kept")
	}
	if _, ok := m.entry(large, now); ok {
		t.Error("keys of any size are kept")
	}
	ds := &dns.DS{Hdr: dns.RR_Header{Name: "a.", Rrtype: dns.TypeDS, Class: dns.ClassINET}, Digest: string(make([]byte, 64))}
	few, many := &finding{name: "few."}, &finding{name: "many."}
	few.DS, few.TTL = []*dns.DS{ds}, 3600
	for range 100 {
		many.DS = append(many.DS, ds)
	}
	many.TTL = 3600
	for _, f := range []*finding{few, many} {
		f.Status = dnssec.Secure
		m.putCut(cutID{name: f.name}, f, now)
	}
	if _, ok := m.cut(cutID{name: "few."}, now); !ok {
		t.Error("DS of usual number were not kept")
	}
	if _, ok := m.cut(cutID{name: "many."}, now); ok {
		t.Error("DS of any number are kept")
	}
}
