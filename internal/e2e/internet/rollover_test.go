package internet

import (
	"testing"

	"github.com/miekg/dns"
)

// rolledRoot is the root with a second key for keys; first and second say what becomes of the two.
func rolledRoot(change func(s *signed, old, young *zoneKey) error) []Zone {
	zones := topZones()
	for i := range zones {
		if zones[i].fqdn() != "." {
			continue
		}
		zones[i].Break = func(s *signed) error {
			old := s.keys[0]
			young, err := newKeyring().key(".", dns.RSASHA256, kskFlags, goodProto)
			if err != nil {
				return err
			}
			return change(s, &old, &young)
		}
	}
	return zones
}

// signKeys publishes keys of the root, beside the one for the zone, and signs them with some.
func signKeys(s *signed, published, signers []zoneKey) error {
	s.set("@", dns.TypeDNSKEY, s.keys[1].DNSKEY)
	for _, k := range published {
		s.add(k.DNSKEY)
	}
	s.dropSigs("@", dns.TypeDNSKEY)
	for _, k := range signers {
		sig, err := k.sign(s.get("@", dns.TypeDNSKEY), s.now.Add(s.how.From), s.now.Add(s.how.For))
		if err != nil {
			return err
		}
		s.add(sig)
	}
	return nil
}

// The root's keys at the stations of a roll-over, for a resolver that trusts both: as it is since the second
// key signs, and since the first is revoked (RFC 5011 section 2.1).
func TestRollover(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(s *signed, old, young *zoneKey) error
		anchor func(old, young *zoneKey) []dns.RR
		want   string
	}{
		{"both sign", func(s *signed, old, young *zoneKey) error {
			return signKeys(s, []zoneKey{*old, *young}, []zoneKey{*old, *young})
		}, both, "NOERROR AD"},
		{"only the new key signs", func(s *signed, old, young *zoneKey) error {
			return signKeys(s, []zoneKey{*old, *young}, []zoneKey{*young})
		}, both, "NOERROR AD"},
		{"the old key is revoked", func(s *signed, old, young *zoneKey) error {
			revoked := *old
			key := *old.DNSKEY
			key.Flags |= dns.REVOKE
			revoked.DNSKEY = &key
			return signKeys(s, []zoneKey{revoked, *young}, []zoneKey{revoked, *young})
		}, both, "NOERROR AD"},
		{"only the old key is trusted, and does not sign", func(s *signed, old, young *zoneKey) error {
			return signKeys(s, []zoneKey{*old, *young}, []zoneKey{*young})
		}, func(old, _ *zoneKey) []dns.RR { return []dns.RR{old.ToDS(dns.SHA256)} }, "SERVFAIL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var anchor string
			n := Start(t, rolledRoot(func(s *signed, old, young *zoneKey) error {
				for _, rr := range tt.anchor(old, young) {
					anchor += rr.String() + "\n"
				}
				return tt.change(s, old, young)
			}), []Zone{{Name: "plain.org", Group: "unsigned"}, {Name: "alg13.net", Group: "signed", Sign: &Signing{}}})
			n.Anchor = writeFile(t, t.TempDir(), "root.ds", anchor)
			for _, r := range []*Resolver{n.startDensUnready(t, n.Hints), n.StartUnbound(t)} {
				r.must(t, "www.alg13.net", dns.TypeA, tt.want)
			}
		})
	}
}

func both(old, young *zoneKey) []dns.RR {
	return []dns.RR{old.ToDS(dns.SHA256), young.ToDS(dns.SHA256)}
}
