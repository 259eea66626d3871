package dnssec

import (
	"testing"

	"github.com/miekg/dns"
)

func TestRevoked(t *testing.T) {
	v := New(Config{})
	old, next := signerFor(t, ".", dns.ED25519, dns.ZONE|dns.SEP|dns.REVOKE), signerFor(t, ".", dns.ED25519, dns.ZONE|dns.SEP)
	claimed := next.signSet(t, old.Key, next.Key)
	if got := v.Revoked(".", claimed, now, NewBudget(Limits{})); len(got) != 0 {
		t.Errorf("another key's word revoked %v", got)
	}
	both := RRset{RRs: claimed.RRs, Sigs: append(old.signSet(t, claimed.RRs...).Sigs, claimed.Sigs...)}
	if got := v.Revoked(".", both, now, NewBudget(Limits{})); len(got) != 1 || got[0] != old.Key {
		t.Errorf("revoked: %v", got)
	}
	both.Sigs[0].Signature = both.Sigs[1].Signature
	b := NewBudget(Limits{})
	if got := v.Revoked(".", both, now, b); len(got) != 0 || b.Spent().Failures != 1 {
		t.Errorf("a wrong signature revoked %v, %+v", got, b.Spent())
	}
	if got := v.Revoked("other.", both, now, b); len(got) != 0 {
		t.Errorf("another zone's: %v", got)
	}
}
