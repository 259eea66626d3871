package resolver_test

import (
	"testing"

	"dens/resolver"
)

func TestTrustByTheChainIsOneLink(t *testing.T) {
	_, trace := resolver.WithTrace(t.Context())
	trace.AddTrust(resolver.TrustStep{Zone: "alice.eth.", By: "chain", DS: []string{"1 13 2 AA"}, Status: "secure", Text: "block 7"})
	trace.AddTrust(resolver.TrustStep{Zone: "alice.eth.", By: "anchor", DS: []string{"1 13 2 AA"}, Key: "1", Sig: "DNSKEY by alice.eth.", Status: "secure"})
	trace.AddTrust(resolver.TrustStep{Zone: "sub.alice.eth.", By: "DS", Status: "secure"})
	trace.AddTrust(resolver.TrustStep{Zone: "sub.alice.eth.", By: "DS", Status: "secure"})
	got := trace.Trust()
	if len(got) != 2 || got[0].By != "chain" || got[0].Key != "1" || got[0].Text != "block 7" || got[1].Zone != "sub.alice.eth." {
		t.Errorf("%+v", got)
	}
	trace.AddTrust(resolver.TrustStep{Zone: "alice.eth.", By: "anchor", Status: "bogus", Text: "no key matches"})
	if got := trace.Trust()[0]; got.Status != "bogus" || got.Text != "no key matches" {
		t.Errorf("%+v", got)
	}
}
