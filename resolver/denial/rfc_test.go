package denial

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// The negative responses of RFC 4035 appendix B, and what follows from each.
func TestRFC4035Responses(t *testing.T) {
	const (
		apex = "example. 3600 IN NSEC a.example. NS SOA MX RRSIG NSEC DNSKEY\n"
		b    = "b.example. 3600 IN NSEC ns1.example. NS RRSIG NSEC\n"
		ns1  = "ns1.example. 3600 IN NSEC ns2.example. A RRSIG NSEC\n"
		xyw  = "x.y.w.example. 3600 IN NSEC xx.example. MX RRSIG NSEC\n"
		star = "*.w.example. 3600 IN NSEC x.w.example. MX RRSIG NSEC\n"
	)
	tests := []struct {
		name, records string
		questions     []asked
	}{
		{"B.2 name error", b + apex, []asked{
			{"ml.example.", dns.TypeA, "NXDOMAIN"}, {"ml.example.", dns.TypeDS, "NXDOMAIN"}, {"c.example.", dns.TypeA, "NXDOMAIN"},
			{"a.b.c.d.example.", dns.TypeTXT, "NXDOMAIN"}, {"ML.Example.", dns.TypeA, "NXDOMAIN"}, {"b.example.", dns.TypeA, ""},
			{"ns1.b.example.", dns.TypeA, ""}, {"b.example.", dns.TypeDS, "NOERROR"}, {"b.example.", dns.TypeNS, ""},
			{"ns1.example.", dns.TypeA, ""}, {"xy.example.", dns.TypeA, ""}, {"a.example.", dns.TypeA, ""},
			{"*.example.", dns.TypeA, "NXDOMAIN"}, {"example.", dns.TypeTXT, "NOERROR"}, {"example.", dns.TypeMX, ""},
			{"example.", dns.TypeDS, ""}, {"example.", dns.TypeANY, ""}, {"other.", dns.TypeA, ""}, {".", dns.TypeA, ""},
		}},
		{"B.3 no data", ns1, []asked{
			{"ns1.example.", dns.TypeMX, "NOERROR"}, {"ns1.example.", dns.TypeAAAA, "NOERROR"}, {"ns1.example.", dns.TypeDS, "NOERROR"},
			{"ns1.example.", dns.TypeA, ""}, {"ns15.example.", dns.TypeA, ""}, // no word about the wildcard
		}},
		{"B.7 wildcard no data", xyw + star, []asked{
			{"a.z.w.example.", dns.TypeAAAA, "NOERROR"}, {"b.z.w.example.", dns.TypeTXT, "NOERROR"}, {"z.w.example.", dns.TypeDS, "NOERROR"},
			{"a.z.w.example.", dns.TypeMX, ""}, {"z.w.example.", dns.TypeMX, ""}, {"a.w.example.", dns.TypeA, "NOERROR"},
			{"y.w.example.", dns.TypeA, ""}, {"w.example.", dns.TypeA, ""}, {"*.w.example.", dns.TypeA, "NOERROR"},
			{"xb.example.", dns.TypeA, ""},
		}},
		{"an empty non-terminal", "ns2.example. 3600 IN NSEC *.w.example. A RRSIG NSEC\n" + star, []asked{
			{"w.example.", dns.TypeA, "NOERROR"}, {"w.example.", dns.TypeANY, "NOERROR"}, {"v.example.", dns.TypeA, ""},
		}},
		{"B.8 DS at the child's apex", apex, []asked{{"example.", dns.TypeDS, ""}, {"example.", dns.TypeA, "NOERROR"}}},
		{"a compact denial (RFC 9824)", `n.example. 300 IN NSEC \000.n.example. RRSIG NSEC TYPE128` + "\n" + apex, []asked{
			{"n.example.", dns.TypeA, "NOERROR"}, {"n.example.", dns.TypeANY, "NOERROR"}, {"a.n.example.", dns.TypeA, ""},
			{`\000.n.example.`, dns.TypeA, ""}, {"o.example.", dns.TypeA, ""}, {"m.example.", dns.TypeA, ""},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCache(t, Config{})
			c.Add("example.", sets(t, "example.", soaText("example.")+tt.records))
			ask(t, c, tt.questions)
		})
	}
}

// The records of RFC 5155 appendix B. The zone there opts out, so its spans deny nothing for sure; the same
// chain without opt-out does.
func TestRFC5155Responses(t *testing.T) {
	const (
		soa  = "example. 3600 IN SOA ns1.example. bugs.x.w.example. 1 3600 300 3600000 3600\n"
		apex = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. 3600 NSEC3 1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr NS SOA MX RRSIG DNSKEY NSEC3PARAM\n"
		ns1  = "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example. 3600 NSEC3 1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG\n"
		a    = "35mthgpgcu1qg68fab165klnsnk3dpvl.example. 3600 NSEC3 1 1 12 aabbccdd b4um86eghhds6nea196smvmlo4ors995 NS DS RRSIG\n"
		xw   = "b4um86eghhds6nea196smvmlo4ors995.example. 3600 NSEC3 1 1 12 aabbccdd gjeqe526plbf1g8mklp59enfd789njgi MX RRSIG\n"
		yw   = "ji6neoaepv8b5o6k4ev33abha8ht9fgc.example. 3600 NSEC3 1 1 12 aabbccdd k8udemvp1j2f7eg6jebps17vp3n8i58h\n"
		w    = "k8udemvp1j2f7eg6jebps17vp3n8i58h.example. 3600 NSEC3 1 1 12 aabbccdd kohar7mbb8dc2ce8a9qvl8hon4k53uhi\n"
		ns2  = "q04jkcevqvmu85r014c7dkba38o0ji5r.example. 3600 NSEC3 1 1 12 aabbccdd r53bq7cc2uvmubfu5ocmm6pers9tk9en A RRSIG\n"
		star = "r53bq7cc2uvmubfu5ocmm6pers9tk9en.example. 3600 NSEC3 1 1 12 aabbccdd t644ebqk9bibcna874givr6joj62mlhv MX RRSIG\n"
	)
	tests := []struct {
		name, records string
		questions     []asked // NXDOMAIN and the no data of the wildcard only without opt-out
		spans         int     // how many of questions need a span
	}{
		{"B.1 name error", apex + xw + a, []asked{
			{"a.c.x.w.example.", dns.TypeA, "NXDOMAIN"}, {"b.a.c.x.w.example.", dns.TypeA, "NXDOMAIN"}, {"c.x.w.example.", dns.TypeMX, "NXDOMAIN"},
			{"c.example.", dns.TypeDS, ""}, {"x.w.example.", dns.TypeA, "NOERROR"}, {"x.w.example.", dns.TypeMX, ""},
			{"a.example.", dns.TypeDS, ""}, {"a.example.", dns.TypeA, ""}, {"b.a.example.", dns.TypeA, ""}, {"example.", dns.TypeDS, ""},
		}, 3},
		{"B.2 no data", ns1, []asked{{"ns1.example.", dns.TypeMX, "NOERROR"}, {"ns1.example.", dns.TypeTXT, "NOERROR"}, {"ns1.example.", dns.TypeA, ""}}, 0},
		{"B.2.1 empty non-terminal", yw, []asked{{"y.w.example.", dns.TypeA, "NOERROR"}, {"z.y.w.example.", dns.TypeA, ""}}, 0},
		{"B.5 wildcard no data", apex + w + ns2 + star, []asked{
			{"a.z.w.example.", dns.TypeAAAA, "NOERROR"}, {"b.z.w.example.", dns.TypeTXT, "NOERROR"}, {"a.z.w.example.", dns.TypeMX, ""},
		}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCache(t, Config{})
			c.Add("example.", sets(t, "example.", soa+strings.ReplaceAll(tt.records, " 1 1 12 ", " 1 0 12 ")))
			ask(t, c, tt.questions)
			c = newCache(t, Config{})
			c.Add("example.", sets(t, "example.", soa+tt.records))
			for i := range tt.spans {
				tt.questions[i].want = ""
			}
			ask(t, c, tt.questions)
		})
	}
}
