package internet

import (
	"time"

	"github.com/miekg/dns"
)

const day = 24 * time.Hour

// broken is a change of a signed zone that ends in an error when there is nothing to change.
type broken = func(*signed) error

// bogusZones are signed, and something is wrong with keys, signatures or data.
func bogusZones() []Zone {
	zone := func(name string, sign Signing, change broken) Zone {
		return Zone{Name: name, Group: "bogus", Sign: &sign, Break: change, Servers: on("nsd", "knot")}
	}
	resign := func(name string, t uint16, from, during time.Duration) broken {
		return func(s *signed) error { return s.signSet(name, t, from, during) }
	}
	sigs := func(name string, t uint16, change func(*dns.RRSIG)) broken {
		return func(s *signed) error {
			for _, sig := range s.sigs(name, t) {
				change(sig)
			}
			return nil
		}
	}
	spoil := func(sig *dns.RRSIG) { sig.Signature = corrupt(sig.Signature) }
	return []Zone{
		zone("expired.net", Signing{From: -30 * day, For: 20 * day}, nil),
		zone("expired.com", Signing{Alg: dns.RSASHA256, From: -30 * day, For: 20 * day, NSEC3: &NSEC3{}}, nil),
		zone("future.net", Signing{From: 10 * day}, nil),
		zone("future3.org", Signing{From: 10 * day, NSEC3: &NSEC3{}}, nil),
		zone("expiredwww.net", Signing{}, resign("www", dns.TypeA, -30*day, 20*day)),
		zone("futurewww.org", Signing{}, resign("www", dns.TypeA, 10*day, 20*day)),
		zone("expiredsoa.net", Signing{}, resign("@", dns.TypeSOA, -30*day, 20*day)),
		zone("expiredkeys.net", Signing{Split: true}, resign("@", dns.TypeDNSKEY, -30*day, 20*day)),
		zone("justexpired.net", Signing{From: -2 * day, For: 47 * time.Hour}, nil),
		zone("backwards.net", Signing{From: 5 * day, For: -10 * day}, nil),
		zone("stripped.net", Signing{}, func(s *signed) error { s.dropSigs("www", dns.TypeA); return nil }),
		zone("strippedall.net", Signing{}, dropAllSigs(0)),
		zone("strippedall.com", Signing{}, dropAllSigs(0)),
		zone("strippeddata.net", Signing{}, dropAllSigs(dns.TypeDNSKEY)),
		zone("badsig.net", Signing{}, sigs("www", dns.TypeA, spoil)),
		zone("badsig8.org", Signing{Alg: dns.RSASHA256}, sigs("www", dns.TypeA, spoil)),
		zone("badsig15.net", Signing{Alg: dns.ED25519}, sigs("www", dns.TypeA, spoil)),
		zone("badsig16.net", Signing{Alg: dns.ED448}, sigs("www", dns.TypeA, spoil)),
		zone("badkeysig.net", Signing{}, sigs("@", dns.TypeDNSKEY, spoil)),
		zone("badsoasig.net", Signing{}, sigs("@", dns.TypeSOA, spoil)),
		zone("badaliassig.net", Signing{}, sigs("alias", dns.TypeCNAME, spoil)),
		zone("badwildsig.net", Signing{}, sigs("*.wild", dns.TypeA, spoil)),
		zone("wrongsigner.net", Signing{}, sigs("www", dns.TypeA, func(sig *dns.RRSIG) { sig.SignerName = "net." })),
		zone("othersigner.net", Signing{}, sigs("www", dns.TypeA, func(sig *dns.RRSIG) { sig.SignerName = "alg13.net." })),
		zone("wrongtag.net", Signing{}, sigs("www", dns.TypeA, func(sig *dns.RRSIG) { sig.KeyTag++ })),
		zone("wrongalg.net", Signing{}, sigs("www", dns.TypeA, func(sig *dns.RRSIG) { sig.Algorithm = dns.ED25519 })),
		zone("unknownsigalg.net", Signing{}, sigs("www", dns.TypeA, func(sig *dns.RRSIG) { sig.Algorithm = unknownAlgorithm })),
		zone("morelabels.net", Signing{}, sigs("www", dns.TypeA, func(sig *dns.RRSIG) { sig.Labels++ })),
		zone("fewerlabels.net", Signing{}, sigs("www", dns.TypeA, func(sig *dns.RRSIG) { sig.Labels-- })),
		zone("wrongttl.net", Signing{}, sigs("www", dns.TypeA, func(sig *dns.RRSIG) { sig.OrigTtl += 100 })),
		zone("lowerttl.net", Signing{}, func(s *signed) error { lowerTTL(s); return nil }),
		zone("changed.net", Signing{}, func(s *signed) error { s.set("www", dns.TypeA, mustRR("www.changed.net. 3600 A "+forged)); return nil }),
		zone("added.net", Signing{}, func(s *signed) error { s.add(mustRR("www.added.net. 3600 A " + forged)); return nil }),
		// At NSD alone: Knot DNS sends no signatures of a zone without keys.
		{Name: "nokeys.net", Group: "bogus", Sign: &Signing{}, Servers: on("nsd"), Break: func(s *signed) error {
			s.set("@", dns.TypeDNSKEY)
			s.dropSigs("@", dns.TypeDNSKEY)
			return nil
		}},
		zone("nozsk.net", Signing{Split: true}, dropZSK),
		zone("unsignedkeys.net", Signing{}, func(s *signed) error { s.dropSigs("@", dns.TypeDNSKEY); return nil }),
		zone("keysbyzsk.net", Signing{Split: true}, keysByZSK),
		zone("revoked.net", Signing{Flags: kskFlags | dns.REVOKE}, nil),
		zone("nonzone.net", Signing{Flags: dns.SEP}, nil),
		zone("zskonly.net", Signing{Flags: zskFlags}, nil),
		zone("protocol.net", Signing{Protocol: 4}, nil),
		zone("bad1good1.net", Signing{}, func(s *signed) error { return addBadSig(s, "www", dns.TypeA) }),
		zone("secondbad.net", Signing{Second: dns.RSASHA256}, func(s *signed) error {
			for _, sig := range s.sigs("www", dns.TypeA) {
				if sig.Algorithm == dns.RSASHA256 {
					spoil(sig)
				}
			}
			return nil
		}),
		zone("secondmissing.net", Signing{Second: dns.RSASHA256}, func(s *signed) error {
			keep := s.sigs("www", dns.TypeA)[0]
			s.dropSigs("www", dns.TypeA)
			s.add(keep)
			return nil
		}),
		{Name: "below.dsbad.net", Group: "below bogus", Servers: on("nsd-sub")},
		{Name: "below.expired.net", Group: "below bogus", Servers: on("nsd-sub"), Sign: &Signing{}},
	}
}

func dropAllSigs(except uint16) broken {
	return func(s *signed) error {
		for _, name := range s.names() {
			for t := range s.sets[name] {
				if t != except {
					s.dropSigs(name, t)
				}
			}
		}
		return nil
	}
}

func lowerTTL(s *signed) {
	for _, rr := range s.get("www", dns.TypeA) {
		rr.Header().Ttl = 60
	}
}

// dropZSK takes the key out that signed the data.
func dropZSK(s *signed) error {
	s.set("@", dns.TypeDNSKEY, s.keys[0].DNSKEY)
	return s.signSet("@", dns.TypeDNSKEY, s.how.From, s.how.For)
}

// keysByZSK signs the keys with a key that no DS vouches for.
func keysByZSK(s *signed) error {
	sig, err := s.keys[1].sign(s.get("@", dns.TypeDNSKEY), s.now.Add(s.how.From), s.now.Add(s.how.For))
	if err != nil {
		return err
	}
	s.dropSigs("@", dns.TypeDNSKEY)
	s.add(sig)
	return nil
}

// addBadSig puts a broken signature beside the good one.
func addBadSig(s *signed, name string, t uint16) error {
	for _, sig := range s.sigs(name, t) {
		bad := *sig
		bad.Signature = corrupt(sig.Signature)
		s.add(&bad)
	}
	return nil
}
