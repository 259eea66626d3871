package internet

import (
	"slices"
	"time"

	"github.com/miekg/dns"
)

const day = 24 * time.Hour

// broken is a change of a signed zone that ends in an error when there is nothing to change.
type broken = func(*signed) error

// bogus is a zone with something wrong.
func bogus(name string, sign Signing, change broken) Zone {
	return Zone{Name: name, Group: "bogus", Sign: &sign, Break: change, Servers: on("nsd", "knot")}
}

// resigned signs one RRset for another time.
func resigned(name string, t uint16, from, during time.Duration) broken {
	return func(s *signed) error { return s.signSet(name, t, from, during) }
}

// withSigs changes the signatures of one RRset.
func withSigs(name string, t uint16, change func(*dns.RRSIG)) broken {
	return func(s *signed) error {
		for _, sig := range s.sigs(name, t) {
			change(sig)
		}
		return nil
	}
}

func spoil(sig *dns.RRSIG) { sig.Signature = corrupt(sig.Signature) }

// bogusZones are signed, and something is wrong with signatures, data or keys.
func bogusZones() []Zone { return slices.Concat(badSignatureZones(), badKeyZones()) }

func badSignatureZones() []Zone {
	return []Zone{
		bogus("expired.net", Signing{From: -30 * day, For: 20 * day}, nil),
		bogus("expired.com", Signing{Alg: dns.RSASHA256, From: -30 * day, For: 20 * day, NSEC3: &NSEC3{}}, nil),
		bogus("future.net", Signing{From: 10 * day}, nil),
		bogus("future3.org", Signing{From: 10 * day, NSEC3: &NSEC3{}}, nil),
		bogus("expiredwww.net", Signing{}, resigned("www", dns.TypeA, -30*day, 20*day)),
		bogus("futurewww.org", Signing{}, resigned("www", dns.TypeA, 10*day, 20*day)),
		bogus("expiredsoa.net", Signing{}, resigned("@", dns.TypeSOA, -30*day, 20*day)),
		bogus("expiredkeys.net", Signing{Split: true}, resigned("@", dns.TypeDNSKEY, -30*day, 20*day)),
		bogus("justexpired.net", Signing{From: -2 * day, For: 47 * time.Hour}, nil),
		bogus("backwards.net", Signing{From: 5 * day, For: -10 * day}, nil),
		bogus("stripped.net", Signing{}, func(s *signed) error { s.dropSigs("www", dns.TypeA); return nil }),
		bogus("strippedall.net", Signing{}, dropAllSigs(0)),
		bogus("strippedall.com", Signing{}, dropAllSigs(0)),
		bogus("strippeddata.net", Signing{}, dropAllSigs(dns.TypeDNSKEY)),
		bogus("badsig.net", Signing{}, withSigs("www", dns.TypeA, spoil)),
		bogus("badsig8.org", Signing{Alg: dns.RSASHA256}, withSigs("www", dns.TypeA, spoil)),
		bogus("badsig15.net", Signing{Alg: dns.ED25519}, withSigs("www", dns.TypeA, spoil)),
		bogus("badsig16.net", Signing{Alg: dns.ED448}, withSigs("www", dns.TypeA, spoil)),
		bogus("badkeysig.net", Signing{}, withSigs("@", dns.TypeDNSKEY, spoil)),
		bogus("badsoasig.net", Signing{}, withSigs("@", dns.TypeSOA, spoil)),
		bogus("badaliassig.net", Signing{}, withSigs("alias", dns.TypeCNAME, spoil)),
		bogus("badwildsig.net", Signing{}, withSigs("*.wild", dns.TypeA, spoil)),
		bogus("wrongsigner.net", Signing{}, withSigs("www", dns.TypeA, func(sig *dns.RRSIG) { sig.SignerName = "net." })),
		bogus("othersigner.net", Signing{}, withSigs("www", dns.TypeA, func(sig *dns.RRSIG) { sig.SignerName = "alg13.net." })),
		bogus("wrongtag.net", Signing{}, withSigs("www", dns.TypeA, func(sig *dns.RRSIG) { sig.KeyTag++ })),
		bogus("wrongalg.net", Signing{}, withSigs("www", dns.TypeA, func(sig *dns.RRSIG) { sig.Algorithm = dns.ED25519 })),
		bogus("unknownsigalg.net", Signing{}, withSigs("www", dns.TypeA, func(sig *dns.RRSIG) { sig.Algorithm = unknownAlgorithm })),
		bogus("morelabels.net", Signing{}, withSigs("www", dns.TypeA, func(sig *dns.RRSIG) { sig.Labels++ })),
		bogus("fewerlabels.net", Signing{}, withSigs("www", dns.TypeA, func(sig *dns.RRSIG) { sig.Labels-- })),
		bogus("wrongttl.net", Signing{}, withSigs("www", dns.TypeA, func(sig *dns.RRSIG) { sig.OrigTtl += 100 })),
		bogus("lowerttl.net", Signing{}, func(s *signed) error { lowerTTL(s); return nil }),
		bogus("changed.net", Signing{}, func(s *signed) error { s.set("www", dns.TypeA, mustRR("www.changed.net. 3600 A "+forged)); return nil }),
		bogus("added.net", Signing{}, func(s *signed) error { s.add(mustRR("www.added.net. 3600 A " + forged)); return nil }),
	}
}

func badKeyZones() []Zone {
	return []Zone{
		// At NSD alone: Knot DNS sends no signatures of a zone without keys.
		{Name: "nokeys.net", Group: "bogus", Sign: &Signing{}, Servers: on("nsd"), Break: func(s *signed) error {
			s.set("@", dns.TypeDNSKEY)
			s.dropSigs("@", dns.TypeDNSKEY)
			return nil
		}},
		bogus("nozsk.net", Signing{Split: true}, dropZSK),
		bogus("unsignedkeys.net", Signing{}, func(s *signed) error { s.dropSigs("@", dns.TypeDNSKEY); return nil }),
		bogus("keysbyzsk.net", Signing{Split: true}, keysByZSK),
		bogus("revoked.net", Signing{Flags: kskFlags | dns.REVOKE}, nil),
		bogus("nonzone.net", Signing{Flags: dns.SEP}, nil),
		bogus("zskonly.net", Signing{Flags: zskFlags}, nil),
		bogus("protocol.net", Signing{Protocol: 4}, nil),
		bogus("bad1good1.net", Signing{}, func(s *signed) error { return addBadSig(s, "www", dns.TypeA) }),
		bogus("secondbad.net", Signing{Second: dns.RSASHA256}, func(s *signed) error {
			for _, sig := range s.sigs("www", dns.TypeA) {
				if sig.Algorithm == dns.RSASHA256 {
					spoil(sig)
				}
			}
			return nil
		}),
		bogus("secondmissing.net", Signing{Second: dns.RSASHA256}, func(s *signed) error {
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
