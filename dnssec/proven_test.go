package dnssec

import (
	"testing"

	"github.com/miekg/dns"
)

// What was validated once proves the same without its keys; what Evidence leaves out proves nothing here.
func TestProven(t *testing.T) {
	v := New(Config{MaxIterations: 10})
	s := signerFor(t, "example.", dns.ED25519, dns.ZONE)
	sets := func(text string) []RRset {
		var out []RRset
		for _, rr := range rrs(t, text) {
			out = append(out, s.signSet(t, rr))
		}
		return out
	}
	wild := sets("*.example. 300 NSEC z.example. TXT")
	wild[0].RRs[0].Header().Name = "m.example."
	tests := []struct {
		name   string
		zone   string
		sets   []RRset
		status Status
		empty  bool
	}{
		{"enough", "example.", sets("b.example. 300 NSEC d.example. A\nexample. 200 NSEC b.example. SOA NS"), Secure, false},
		{"not enough", "example.", sets("b.example. 300 NSEC d.example. A"), Bogus, false},
		{"owner outside", "sub.example.", sets("b.example. 300 NSEC x.sub.example. A"), Bogus, true},
		{"made from a wildcard", "example.", wild, Bogus, true},
		{"too many iterations", "example.", sets("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. 1 NSEC3 1 0 11 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr A"), Insecure, true},
		{"other types", "example.", sets("c.example. 300 A 192.0.2.1"), Bogus, true},
		{"no zone", "example", sets("b.example. 300 NSEC d.example. A"), Bogus, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := v.Proven(tt.zone, tt.sets)
			if p := e.NameError("c."+tt.zone, NewBudget(Limits{})); p.Status != tt.status || p.Status == Secure && p.TTL != 200 {
				t.Errorf("%+v", p)
			}
			if e.Empty() != tt.empty {
				t.Errorf("empty: %v", e.Empty())
			}
		})
	}
}

// Evidence put together proves what the records prove in one response, and does not mix zones or chains.
func TestEvidenceWith(t *testing.T) {
	v := New(Config{})
	m := newModel(t, "example.", rrs(t, zoneText))
	part := func(zone string, records []dns.RR) *Evidence {
		return v.Proven(zone, Group(records))
	}
	for _, chain := range chains[:3] {
		all := chain.records(m)
		e := part("example.", all[:1]).With(part("example.", all[1:7]), part("example.", all[7:]))
		for _, owner := range askedNames {
			for _, rrtype := range askedTypes {
				if err := checkProofs(m, e, owner, rrtype); err != nil {
					t.Errorf("%s: %v", chain.name, err)
				}
				if err := checkComplete(m, e, owner, rrtype, false); err != nil {
					t.Errorf("%s: %v", chain.name, err)
				}
			}
		}
	}
	one, two := m.nsec3s(0, "", false), m.nsec3s(1, "", false)
	if got := part("example.", one).With(part("example.", two)); len(got.nsec3) != len(one) || got.params.iterations != 0 {
		t.Errorf("%d of %d records, %d iterations", len(got.nsec3), len(one), got.params.iterations)
	}
	if got := part("example.", nil).With(part("example.", two)); len(got.nsec3) != len(two) {
		t.Errorf("%d of %d records after nothing", len(got.nsec3), len(two))
	}
	if got := part("other.", nil).With(part("example.", one)); !got.Empty() {
		t.Error("another zone's records were taken")
	}
}

func TestHashWire(t *testing.T) {
	wire := []byte("\x01x\x01y\x01w\x07example\x00")
	if got := encodeHash(HashWire(wire, 12, "\xaa\xbb\xcc\xdd")); got != "2vptu5timamqttgl4luu9kg21e0aor3s" { // RFC 5155 appendix A
		t.Error(got)
	}
	if n := testing.AllocsPerRun(10, func() { HashWire(wire, 12, "salt") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
