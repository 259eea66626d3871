package denial

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// sets reads records, one an RRset, and signs them as zone does.
func sets(t testing.TB, zone, text string) []dnssec.RRset {
	t.Helper()
	m := &model{origin: zone, sign: pretend(zone)}
	var out []dnssec.RRset
	zp := dns.NewZoneParser(strings.NewReader(text), ".", "")
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		out = append(out, m.set(rr))
	}
	if err := zp.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// soaText is the SOA of a zone.
func soaText(zone string) string {
	return zone + " 3600 IN SOA ns." + strings.TrimPrefix(zone, ".") + " host. 1 3600 600 86400 600\n"
}

type asked struct {
	name   string
	rrtype uint16
	want   string // NXDOMAIN, NOERROR, or "" for no answer
}

func ask(t *testing.T, c *Cache, questions []asked) {
	t.Helper()
	for _, q := range questions {
		a, ok := c.Lookup(q.name, q.rrtype)
		got := ""
		if ok {
			got = dns.RcodeToString[a.Rcode]
		}
		if got != q.want {
			t.Errorf("%s %s: %q, want %q", q.name, dns.Type(q.rrtype), got, q.want)
		}
	}
}

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

// Zones in one another: each question is for the deepest zone that is known, DS for the one above.
func TestZonesInZones(t *testing.T) {
	c := newCache(t, Config{})
	c.Add(".", sets(t, ".", soaText(".")+". 3600 NSEC com. NS SOA RRSIG NSEC DNSKEY\ncom. 3600 NSEC net. NS RRSIG NSEC"))
	ask(t, c, []asked{
		{"coma.", dns.TypeA, "NXDOMAIN"}, {"x.coma.", dns.TypeA, "NXDOMAIN"}, {"com.", dns.TypeDS, "NOERROR"}, {"com.", dns.TypeA, ""},
		{"a.com.", dns.TypeA, ""}, {"a.com.", dns.TypeDS, ""}, {".", dns.TypeDS, "NOERROR"}, {".", dns.TypeMX, "NOERROR"}, {"org.", dns.TypeA, ""},
	})
	c.Add("com.", sets(t, "com.", soaText("com.")+"com. 3600 NSEC m.com. NS SOA RRSIG NSEC DNSKEY"))
	ask(t, c, []asked{
		{"com.", dns.TypeDS, "NOERROR"}, {"com.", dns.TypeA, "NOERROR"}, {"com.", dns.TypeNS, ""}, {"a.com.", dns.TypeA, "NXDOMAIN"},
		{"a.com.", dns.TypeDS, "NXDOMAIN"}, {"coma.", dns.TypeA, "NXDOMAIN"}, {"x.com.", dns.TypeA, ""},
	})
	if a, ok := c.Lookup("com.", dns.TypeDS); !ok || a.Zone != "." {
		t.Errorf("DS of com. from %q", a.Zone)
	}
	c.Flush("a.com.")
	ask(t, c, []asked{{"a.com.", dns.TypeA, ""}, {"com.", dns.TypeA, ""}, {"coma.", dns.TypeA, "NXDOMAIN"}})
	c.Flush(".")
	ask(t, c, []asked{{"coma.", dns.TypeA, ""}})
	if got := c.Stats(); got.Zones != 0 || got.Records != 0 || got.NameErrors != 6 || got.NoData != 6 {
		t.Errorf("%+v", got)
	}
}

// What is not to be taken in.
func TestRefused(t *testing.T) {
	good := soaText("example.") + "example. 300 NSEC m.example. NS SOA RRSIG NSEC"
	tests := []struct {
		name   string
		change func(all []dnssec.RRset)
		text   string
		want   string
	}{
		{name: "as it should be", want: "NXDOMAIN"},
		{name: "no SOA", text: "example. 300 NSEC m.example. NS SOA RRSIG NSEC"},
		{name: "another zone's SOA", text: soaText("a.example.") + "example. 300 NSEC m.example. NS SOA RRSIG NSEC"},
		{name: "no denial", text: soaText("example.")},
		{name: "class", change: func(s []dnssec.RRset) { s[1].RRs[0].Header().Class = dns.ClassCHAOS }},
		{name: "unsigned denial", change: func(s []dnssec.RRset) { s[1].Sigs = nil }},
		{name: "unsigned SOA", change: func(s []dnssec.RRset) { s[0].Sigs = nil }},
		{name: "another signer", change: func(s []dnssec.RRset) { s[1].Sigs[0].SignerName = "a.example." }},
		{name: "signature of another type", change: func(s []dnssec.RRset) { s[1].Sigs[0].TypeCovered = dns.TypeA }},
		{name: "expired", change: func(s []dnssec.RRset) { s[1].Sigs[0].Expiration = uint32(epoch.Unix()) }},
		{name: "not yet valid", change: func(s []dnssec.RRset) { s[1].Sigs[0].Inception = uint32(epoch.Unix()) + 1 }},
		{name: "made from a wildcard", change: func(s []dnssec.RRset) { s[1].Sigs[0].Labels = 0 }},
		{name: "TTL 0", change: func(s []dnssec.RRset) { s[1].RRs[0].Header().Ttl = 0 }},
		{name: "TTL above 2^31", change: func(s []dnssec.RRset) { s[1].RRs[0].Header().Ttl = 1 << 31 }},
		{name: "minimum 0", change: func(s []dnssec.RRset) { s[0].RRs[0].(*dns.SOA).Minttl = 0 }},
		{name: "two records", change: func(s []dnssec.RRset) { s[1].RRs = append(s[1].RRs, dns.Copy(s[1].RRs[0])) }},
		{name: "great", change: func(s []dnssec.RRset) { s[1].Sigs[0].Signature = strings.Repeat("AAAA", 700) }},
		{name: "next name outside", change: func(s []dnssec.RRset) { s[1].RRs[0].(*dns.NSEC).NextDomain = "m.other." }},
		{name: "no next name", change: func(s []dnssec.RRset) { s[1].RRs[0].(*dns.NSEC).NextDomain = "" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := tt.text
			if text == "" {
				text = good
			}
			all := sets(t, "example.", text)
			if tt.change != nil {
				tt.change(all)
			}
			c := newCache(t, Config{})
			c.Add("example.", all)
			ask(t, c, []asked{{"a.example.", dns.TypeA, tt.want}})
			if got := c.Stats(); tt.want == "" && got.Records > 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// NSEC3 that says what is not known, or costs too much.
func TestRefusedNSEC3(t *testing.T) {
	m := newModel("example.", map[string][]uint16{"example.": {dns.TypeNS, dns.TypeSOA}})
	tests := []struct {
		name   string
		kind   chainKind
		change func(x *dns.NSEC3)
		want   string
	}{
		{"as it should be", chainKind{hashed: true, iterations: 5}, func(*dns.NSEC3) {}, "NXDOMAIN"},
		{"iterations", chainKind{hashed: true, iterations: 6}, func(*dns.NSEC3) {}, ""},
		{"hash algorithm", chainKind{hashed: true}, func(x *dns.NSEC3) { x.Hash = 2 }, ""},
		{"flags", chainKind{hashed: true}, func(x *dns.NSEC3) { x.Flags = 2 }, ""},
		{"salt", chainKind{hashed: true}, func(x *dns.NSEC3) { x.Salt = "zz" }, ""},
		{"next", chainKind{hashed: true}, func(x *dns.NSEC3) { x.NextDomain = "AA" }, ""},
		{"owner", chainKind{hashed: true}, func(x *dns.NSEC3) { x.Hdr.Name = "a.example." }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			chain := m.chain(tt.kind)
			tt.change(chain[0].RRs[0].(*dns.NSEC3))
			c := newCache(t, Config{MaxIterations: 5})
			c.Add("example.", append(chain, m.soa()))
			ask(t, c, []asked{{"a.example.", dns.TypeA, tt.want}})
		})
	}
}

// The least of all times counts, and counts down (RFC 8198 section 5.4, RFC 9077, RFC 4035 section 5.3.3).
func TestTTL(t *testing.T) {
	tests := []struct {
		name   string
		change func(s []dnssec.RRset)
		want   int
	}{
		{"NSEC", func(s []dnssec.RRset) { s[2].RRs[0].Header().Ttl = 100 }, 100},
		{"SOA", func(s []dnssec.RRset) { s[0].RRs[0].Header().Ttl = 101 }, 101},
		{"minimum", func(s []dnssec.RRset) { s[0].RRs[0].(*dns.SOA).Minttl = 102 }, 102},
		{"original TTL", func(s []dnssec.RRset) { s[1].Sigs[0].OrigTtl = 103 }, 103},
		{"signature's TTL", func(s []dnssec.RRset) { s[0].Sigs[0].Hdr.Ttl = 104 }, 104},
		{"expiration", func(s []dnssec.RRset) { s[1].Sigs[0].Expiration = uint32(epoch.Unix()) + 105 }, 105},
		{"limit", func([]dnssec.RRset) {}, 1000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := sets(t, "example.", "example. 86400 SOA ns. host. 1 2 3 4 86400\n"+
				"m.example. 86400 NSEC z.example. A\nexample. 86400 NSEC m.example. NS SOA")
			tt.change(all)
			now := epoch
			c := newCache(t, Config{MaxTTL: 1000 * time.Second, Now: func() time.Time { return now }})
			c.Add("example.", all)
			for _, passed := range []int{0, 99} {
				now = epoch.Add(time.Duration(passed) * time.Second)
				a, ok := c.Lookup("n.example.", dns.TypeA)
				want := time.Duration(tt.want-passed) * time.Second
				if !ok || a.TTL != want {
					t.Fatalf("after %d s: %v, %v, want %v", passed, ok, a.TTL, want)
				}
				for _, rr := range a.Ns {
					if rr.Header().Ttl != uint32(want/time.Second) {
						t.Errorf("after %d s: %v", passed, rr)
					}
				}
			}
			now = epoch.Add(time.Duration(tt.want)*time.Second - time.Second/2)
			ask(t, c, []asked{{"n.example.", dns.TypeA, ""}})
		})
	}
}

// What comes without an SOA, as in a referral, is bound by the SOA that is known, while that is.
func TestWithoutSOA(t *testing.T) {
	now := epoch
	c := newCache(t, Config{Now: func() time.Time { return now }})
	c.Add("example.", sets(t, "example.", soaText("example.")+"example. 3600 NSEC c.example. NS SOA"))
	now = now.Add(400 * time.Second)
	c.Add("example.", sets(t, "example.", "c.example. 3600 NSEC f.example. NS"))
	ask(t, c, []asked{{"c.example.", dns.TypeDS, "NOERROR"}})
	if a, _ := c.Lookup("d.example.", dns.TypeA); a.TTL != 200*time.Second {
		t.Errorf("TTL %v", a.TTL)
	}
	now = now.Add(200 * time.Second)
	ask(t, c, []asked{{"c.example.", dns.TypeDS, ""}})
	c.Add("example.", sets(t, "example.", "c.example. 3600 NSEC f.example. NS"))
	c.Add("example.", sets(t, "example.", soaText("example.")))
	ask(t, c, []asked{{"c.example.", dns.TypeDS, ""}})
	c.Add("example.", sets(t, "example.", soaText("example.")+"m.example. 3600 NSEC p.example. A"))
	ask(t, c, []asked{{"c.example.", dns.TypeDS, "NOERROR"}, {"m.example.", dns.TypeTXT, "NOERROR"}})
}

// An expired zone does not stand before the one above it, and goes in time.
func TestExpiry(t *testing.T) {
	now := epoch
	c := newCache(t, Config{Now: func() time.Time { return now }})
	c.Add("a.example.", sets(t, "a.example.", soaText("a.example.")+"a.example. 60 NSEC z.a.example. NS SOA"))
	c.Add("b.example.", sets(t, "b.example.", soaText("b.example.")+"b.example. 60 NSEC z.b.example. NS SOA\nz.b.example. 600 NSEC b.example. A"))
	now = now.Add(599 * time.Second)
	c.Add("example.", sets(t, "example.", soaText("example.")+"example. 600 NSEC 0.example. NS SOA\n0.example. 600 NSEC example. A"))
	if got := c.Stats(); got.Zones != 3 || got.Records != 3 {
		t.Errorf("after a sweep %+v", got)
	}
	now = now.Add(2 * time.Second)
	ask(t, c, []asked{{"y.a.example.", dns.TypeA, "NXDOMAIN"}, {"y.example.", dns.TypeA, "NXDOMAIN"}})
	now = now.Add(sweepEvery)
	c.Add("example.", sets(t, "example.", soaText("example.")+"example. 600 NSEC 0.example. NS SOA"))
	if got := c.Stats(); got.Zones != 1 || got.Records != 2 {
		t.Errorf("after the next %+v", got)
	}
}

// A zone keeps one chain: new NSEC3 parameters, or another kind of denial, put an end to the old one.
func TestOneChain(t *testing.T) {
	m := newModel("example.", map[string][]uint16{
		"example.": {dns.TypeNS, dns.TypeSOA}, "a.example.": {dns.TypeA}, "b.example.": {dns.TypeA}, "c.example.": {dns.TypeA},
	})
	c := newCache(t, Config{})
	for _, k := range []chainKind{
		{name: "nsec"}, {name: "plain", hashed: true}, {name: "salt", hashed: true, salt: "1"},
		{name: "iterations", hashed: true, salt: "1", iterations: 1}, {name: "nsec again"},
	} {
		chain := m.chain(k)
		c.Add("example.", []dnssec.RRset{m.soa(), chain[0]})
		if got := c.Stats().Records; got != 1 {
			t.Errorf("%s: %d records with the first", k.name, got)
		}
		c.Add("example.", append(chain, m.soa()))
		if got := c.Stats().Records; got != len(chain) {
			t.Errorf("%s: %d records, want %d", k.name, got, len(chain))
		}
		ask(t, c, []asked{{"d.example.", dns.TypeA, "NXDOMAIN"}, {"a.example.", dns.TypeMX, "NOERROR"}})
	}
	mixed := append(append([]dnssec.RRset{m.soa()}, m.chain(kinds[1])...), m.chain(kinds[0])...)
	c.Add("example.", mixed)
	if got := c.Stats().Records; got != 4 {
		t.Errorf("mixed: %d records", got)
	}
}

// Records and zones are bounded; what is of use stays.
func TestBounds(t *testing.T) {
	tick := epoch
	c := newCache(t, Config{Zones: 4, Records: 40, ZoneRecords: 20, Now: func() time.Time {
		tick = tick.Add(time.Millisecond)
		return tick
	}})
	c.Add("big.", sets(t, "big.", soaText("big.")+"big. 600 NSEC 000.big. NS SOA\nz.big. 600 NSEC big. A"))
	for i := range 200 {
		c.Add("big.", sets(t, "big.", soaText("big.")+fmt.Sprintf("%03d.big. 600 NSEC %03d.big. A", i, i+1)))
		ask(t, c, []asked{{"zz.big.", dns.TypeA, "NXDOMAIN"}})
	}
	if got := c.Stats(); got.Records != 20 || got.Evicted != 182 {
		t.Errorf("one zone: %+v", got)
	}
	for i := range 50 {
		zone := fmt.Sprintf("%02d.", i)
		c.Add(zone, sets(t, zone, soaText(zone)+fmt.Sprintf("%[1]s 600 NSEC a.%[1]s NS SOA\na.%[1]s 600 NSEC b.%[1]s A", zone)))
		ask(t, c, []asked{{"zz.big.", dns.TypeA, "NXDOMAIN"}})
	}
	if got := c.Stats(); got.Zones != 4 || got.Records != 26 {
		t.Errorf("many zones: %+v", got)
	}
	for _, zone := range []string{"x.", "y."} {
		for i := range 30 {
			c.Add(zone, sets(t, zone, soaText(zone)+fmt.Sprintf("%03d.%s 600 NSEC %03d.%s A", i, zone, i+1, zone)))
		}
	}
	if got := c.Stats(); got.Records > 40 || got.Records < 20 {
		t.Errorf("three great zones: %+v", got)
	}
	ask(t, c, []asked{{"001.y.", dns.TypeA, ""}, {"029.y.", dns.TypeMX, "NOERROR"}})
}

// A Lookup hashes no more than it may: names with many labels are left to the servers, unless the label next
// to the closest encloser settles it.
func TestHashBound(t *testing.T) {
	deep := "z." + strings.Repeat("y.", 10) + "example."
	m := newModel("example.", map[string][]uint16{"example.": {dns.TypeNS, dns.TypeSOA}, deep: {dns.TypeA}})
	for _, tt := range []struct {
		hashes   int
		question asked
	}{
		{3, asked{strings.Repeat("x.", 100) + "example.", dns.TypeA, "NXDOMAIN"}},
		{2, asked{strings.Repeat("x.", 100) + "example.", dns.TypeA, ""}},
		{3, asked{"x.example.", dns.TypeA, "NXDOMAIN"}},
		{1, asked{deep, dns.TypeMX, "NOERROR"}},
		{13, asked{"a.b." + deep, dns.TypeA, ""}},
		{14, asked{"a.b." + deep, dns.TypeA, "NXDOMAIN"}},
	} {
		c := newCache(t, Config{Hashes: tt.hashes})
		c.Add("example.", append(m.chain(kinds[1]), m.soa()))
		ask(t, c, []asked{tt.question})
	}
}

func TestOddQuestions(t *testing.T) {
	c := newCache(t, Config{})
	c.Add("example", sets(t, "example.", soaText("example.")+"example. 600 NSEC example. NS SOA"))
	c.Add(strings.Repeat("a.", 200), nil)
	ask(t, c, []asked{{"a.example.", dns.TypeA, ""}})
	c.Add("example.", sets(t, "example.", soaText("example.")+"example. 600 NSEC example. NS SOA"))
	long := strings.Repeat(strings.Repeat("a", 61)+".", 4)
	ask(t, c, []asked{
		{"a.example.", dns.TypeA, "NXDOMAIN"}, {"a.example", dns.TypeA, ""}, {"", dns.TypeA, ""}, {"a..example.", dns.TypeA, ""},
		{long + "example.", dns.TypeA, ""}, {strings.Repeat(`\000.`, 120) + "example.", dns.TypeA, "NXDOMAIN"},
		{"a.example.", dns.TypeNone, ""}, {"a.example.", dns.TypeOPT, ""}, {"a.example.", dns.TypeAXFR, ""},
		{"a.example.", dns.TypeANY, "NXDOMAIN"}, {"a.example.", 65535, "NXDOMAIN"},
	})
	c.Flush("example")
	c.Flush("other.")
	ask(t, c, []asked{{"a.example.", dns.TypeA, "NXDOMAIN"}})
}

// Everything at once, for the race detector; the count of records stays right.
func TestConcurrent(t *testing.T) {
	c := newCache(t, Config{Zones: 4, Records: 40, ZoneRecords: 10})
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 300 {
				zone := fmt.Sprintf("%d.", (i+worker)%6)
				c.Add(zone, sets(t, zone, soaText(zone)+fmt.Sprintf("%[1]s 600 NSEC %02[2]d.%[1]s NS SOA\n%02[2]d.%[1]s 600 NSEC %[1]s A", zone, i%50)))
				if a, ok := c.Lookup("zz."+zone, dns.TypeA); ok && (a.Rcode != dns.RcodeNameError || a.Zone != zone) {
					t.Errorf("%+v", a)
				}
				if i%50 == 0 {
					c.Flush(zone)
				}
				c.Stats()
			}
		})
	}
	wg.Wait()
	held := 0
	for _, z := range c.zones {
		held += len(z.chain.records)
	}
	if got := c.Stats(); got.Records != held || got.Records > 40 || got.Zones > 4 {
		t.Errorf("%d records held, %+v", held, got)
	}
}
