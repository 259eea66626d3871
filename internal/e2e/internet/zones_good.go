package internet

import (
	"fmt"

	"github.com/miekg/dns"
)

// goodZones have nothing wrong with them: signed with each algorithm and each kind of denial, or not.
func goodZones() []Zone {
	zones := []Zone{
		{Name: "plain.com", Group: "unsigned"},
		{Name: "plain.net", Group: "unsigned", Servers: on("bind", "nsd")},
		{Name: "plain.org", Group: "unsigned", Servers: on("bind", "knot")},
		{Name: "plain.de", Group: "unsigned"},
		{Name: "plain.co.uk", Group: "unsigned"},
		{Name: "plain.xyz", Group: "unsigned"},
		{Name: "victim.com", Group: "unsigned"},
		{Name: "signed.xyz", Group: "island", Sign: &Signing{}},
		{Name: "shop.co.uk", Group: "signed", Sign: &Signing{Split: true}, Servers: on("bind", "knot")},
		{Name: "alg13.com", Group: "signed", Sign: &Signing{}, Servers: on("bind", "knot")},
		{Name: "alg13.org", Group: "signed", Sign: &Signing{Split: true}, Servers: on("bind", "nsd")},
		{Name: "alg13.de", Group: "signed", Sign: &Signing{NSEC3: &NSEC3{}}, Servers: on("bind", "nsd")},
		{Name: "split8.net", Group: "signed", Sign: &Signing{Alg: dns.RSASHA256, Split: true}},
		{Name: "two.net", Group: "two algorithms", Sign: &Signing{Second: dns.RSASHA256}},
		{Name: "twounknown.net", Group: "two algorithms", Sign: &Signing{Second: unknownAlgorithm}},
		{Name: "island.com", Group: "island", Sign: &Signing{DS: []uint8{}}},
		{Name: "island.net", Group: "island", Sign: &Signing{DS: []uint8{}, NSEC3: &NSEC3{}}},
		{Name: "deep.island.net", Group: "island", Sign: &Signing{}, Servers: on("nsd-sub", "knot-sub")},
		{Name: "sub.alg13.org", Group: "signed below signed", Sign: &Signing{Alg: dns.ED25519}, Servers: on("nsd-sub", "knot-sub")},
		{Name: "low.sub.alg13.org", Group: "signed below signed", Sign: &Signing{NSEC3: &NSEC3{}}, Servers: on("nsd-low", "knot-low")},
		{Name: "plain.alg13.org", Group: "unsigned below signed", Servers: on("nsd-sub", "knot-sub")},
		{Name: "ent.cut.alg13.org", Group: "unsigned below signed", Servers: on("nsd-sub")},
		{Name: "ent.cut.alg13.de", Group: "unsigned below signed", Servers: on("nsd-sub")},
		{Name: "sub.plain.net", Group: "unsigned below unsigned", Servers: on("nsd-sub", "knot-sub")},
		{Name: "signed.plain.net", Group: "signed below unsigned", Sign: &Signing{}, Servers: on("nsd-sub", "knot-sub")},
		{Name: "optout.org", Group: "opt-out", Sign: &Signing{NSEC3: &NSEC3{OptOut: true, Iterations: 1}}, Ask: []string{"ins DS", "sec DS", "e.d.c DS", "d.c A", "other DS"}},
		{Name: "ins.optout.org", Group: "opt-out", Servers: on("nsd-sub", "knot-sub")},
		{Name: "sec.optout.org", Group: "opt-out", Sign: &Signing{}, Servers: on("nsd-sub", "knot-sub")},
		{Name: "e.d.c.optout.org", Group: "opt-out", Servers: on("nsd-sub")},
	}
	for i, alg := range []uint8{3, 5, 6, 7, 8, 10, 12, 13, 14, 15, 16, unknownAlgorithm} {
		servers := [][]Server{on("nsd", "knot"), on("nsd"), on("knot")}[i%3]
		zones = append(zones,
			Zone{Name: fmt.Sprintf("alg%d.net", alg), Group: "algorithms", Sign: &Signing{Alg: alg}, Servers: servers},
			Zone{Name: fmt.Sprintf("n3alg%d.net", alg), Group: "algorithms", Sign: &Signing{Alg: alg, NSEC3: &NSEC3{Iterations: 1, Salt: "C0FFEE"}}})
	}
	for _, n := range []uint16{1, 10, 50, 51, 100, 101, 150, 151, 500, 2500} {
		zones = append(zones, Zone{Name: fmt.Sprintf("it%d.org", n), Group: "NSEC3 iterations",
			Sign: &Signing{NSEC3: &NSEC3{Iterations: n, Salt: "5A17"}}, Servers: on("nsd")})
	}
	return append(append(zones, digestZones()...), sameServerZones()...)
}

// digestZones have DS records of all kinds.
func digestZones() []Zone {
	const unknown = 99
	zone := func(name string, change func([]dns.RR) []dns.RR, digests ...uint8) Zone {
		return Zone{Name: name, Group: "DS", Sign: &Signing{DS: digests}, BreakDS: change}
	}
	wrong := func(which ...uint8) func([]dns.RR) []dns.RR {
		return func(rrs []dns.RR) []dns.RR {
			for _, rr := range rrs {
				if ds := rr.(*dns.DS); len(which) == 0 || ds.DigestType == which[0] {
					ds.Digest = "00" + ds.Digest[2:]
				}
			}
			return rrs
		}
	}
	more := func(text string) func([]dns.RR) []dns.RR {
		return func(rrs []dns.RR) []dns.RR { return append(rrs, mustRR("x. 3600 DS "+text)) }
	}
	const sum = "e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d"
	return []Zone{
		zone("dssha1.net", nil, dns.SHA1),
		zone("dssha384.net", nil, dns.SHA384),
		zone("dssha1and2.net", nil, dns.SHA1, dns.SHA256),
		zone("dsunknown.net", nil, unknown),
		zone("dsgost.net", nil, dns.GOST94),
		zone("dsmixed.net", nil, unknown, dns.SHA256),
		zone("dsall.org", nil, dns.SHA1, dns.SHA256, dns.SHA384, unknown),
		zone("ds2bad1good.net", wrong(dns.SHA256), dns.SHA1, dns.SHA256),
		zone("ds1bad2good.net", wrong(dns.SHA1), dns.SHA1, dns.SHA256),
		zone("ds4bad2good.net", wrong(dns.SHA384), dns.SHA256, dns.SHA384),
		zone("dsbad.net", wrong(), dns.SHA256),
		zone("dsbad.com", wrong(), dns.SHA256),
		zone("dsbad384.org", wrong(), dns.SHA384),
		zone("dsextra.net", more("12345 13 2 "+sum), dns.SHA256),
		zone("dsextra8.net", more("12345 8 2 "+sum), dns.SHA256),
		zone("dsextraunknown.net", more("12345 200 2 "+sum), dns.SHA256),
		zone("dsonlyother.net", func([]dns.RR) []dns.RR { return []dns.RR{mustRR("x. 3600 DS 12345 13 2 " + sum)} }),
		zone("dsonlyunknown.net", func([]dns.RR) []dns.RR { return []dns.RR{mustRR("x. 3600 DS 12345 200 2 " + sum)} }),
		{Name: "dsunsigned.net", Group: "DS", BreakDS: func([]dns.RR) []dns.RR { return []dns.RR{mustRR("x. 3600 DS 12345 13 2 " + sum)} }},
		{Name: "dsunsigned.com", Group: "DS", BreakDS: func([]dns.RR) []dns.RR { return []dns.RR{mustRR("x. 3600 DS 12345 13 2 " + sum)} }},
		{Name: "dsunsigned200.net", Group: "DS", BreakDS: func([]dns.RR) []dns.RR { return []dns.RR{mustRR("x. 3600 DS 12345 200 2 " + sum)} }},
	}
}

// sameServerZones are parents and children on one server.
func sameServerZones() []Zone {
	const group = "same server"
	return []Zone{
		{Name: "both.net", Group: group, Sign: &Signing{}},
		{Name: "signed.both.net", Group: group, Sign: &Signing{}},
		{Name: "plain.both.net", Group: group},
		{Name: "island.both.net", Group: group, Sign: &Signing{DS: []uint8{}}},
		{Name: "low.signed.both.net", Group: group, Sign: &Signing{NSEC3: &NSEC3{}}},
		{Name: "low.plain.both.net", Group: group, Sign: &Signing{}},
		{Name: "both3.org", Group: group, Sign: &Signing{NSEC3: &NSEC3{OptOut: true}}, Servers: on("bind", "nsd")},
		{Name: "signed.both3.org", Group: group, Sign: &Signing{}, Servers: on("bind", "nsd")},
		{Name: "plain.both3.org", Group: group, Servers: on("bind", "nsd")},
		{Name: "open.net", Group: group},
		{Name: "signed.open.net", Group: group, Sign: &Signing{}},
		{Name: "plain.open.net", Group: group},
		{Name: "open.com", Group: group, Servers: on("bind", "knot")},
		{Name: "signed.open.com", Group: group, Sign: &Signing{}, Servers: on("bind", "knot")},
	}
}
