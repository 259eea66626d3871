package dnssec

import (
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Only what validates is offered, with the time that its signature leaves it.
func TestEvidenceSets(t *testing.T) {
	v := New(Config{})
	s := signerFor(t, "example.", dns.ED25519, dns.ZONE)
	keys := keysOf(t, v, s)
	good := s.signSpan(t, rrs(t, "a.example. 300 IN NSEC c.example. A"), now.Add(-time.Hour), now.Add(100*time.Second))
	changed := s.signSet(t, rrs(t, "c.example. 300 IN NSEC e.example. A")...)
	changed.RRs[0].(*dns.NSEC).NextDomain = "f.example."
	data := s.signSet(t, rrs(t, "a.example. 300 IN A 192.0.2.1")...)
	unsigned := RRset{RRs: rrs(t, "e.example. 300 IN NSEC example. A")}
	got := v.Evidence([]RRset{data, changed, good, unsigned}, keys, now, NewBudget(Limits{})).Sets()
	if len(got) != 1 || got[0].Name() != "a.example." || got[0].TTL != 100 {
		t.Errorf("%+v", got)
	}
	if got := v.Evidence([]RRset{good}, InsecureKeys("example.", Verdict{}), now, NewBudget(Limits{})).Sets(); got != nil {
		t.Errorf("of an insecure zone: %+v", got)
	}
}
