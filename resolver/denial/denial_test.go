package denial

import (
	"fmt"
	"strings"
	"testing"

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

// New records push out those that they contradict, on either side.
func TestContradiction(t *testing.T) {
	for _, tt := range []struct {
		name, old, young string
		records          int
		questions        []asked
	}{
		{"a new name", "example. 60 NSEC x.example. NS SOA", "c.example. 60 NSEC x.example. A", 1,
			[]asked{{"b.example.", dns.TypeA, ""}, {"example.", dns.TypeMX, ""}, {"c.example.", dns.TypeMX, "NOERROR"}}},
		{"a name that is gone", "c.example. 60 NSEC d.example. A\nd.example. 60 NSEC e.example. A\nx.example. 60 NSEC example. A", "example. 60 NSEC x.example. NS SOA", 2,
			[]asked{{"c.example.", dns.TypeMX, "NXDOMAIN"}, {"d.example.", dns.TypeMX, "NXDOMAIN"}, {"xx.example.", dns.TypeA, "NXDOMAIN"}}},
		{"the last name", "b.example. 60 NSEC example. A\nc.example. 60 NSEC d.example. A", "example. 60 NSEC example. NS SOA", 1,
			[]asked{{"c.example.", dns.TypeMX, "NXDOMAIN"}}},
		{"a new last name", "example. 60 NSEC b.example. NS SOA\nb.example. 60 NSEC example. A", "d.example. 60 NSEC example. A", 2,
			[]asked{{"c.example.", dns.TypeMX, ""}, {"e.example.", dns.TypeMX, "NXDOMAIN"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCache(t, Config{})
			for _, text := range []string{tt.old, tt.young} {
				c.Add("example.", sets(t, "example.", soaText("example.")+text))
			}
			if got := c.Stats().Records; got != tt.records {
				t.Errorf("%d records, want %d", got, tt.records)
			}
			ask(t, c, tt.questions)
		})
	}
}

// A zone that opts out here and there: neither the name's span nor the wildcard's may.
func TestOptOutInPart(t *testing.T) {
	m := newModel("example.", map[string][]uint16{"example.": {dns.TypeNS, dns.TypeSOA}, "a.example.": {dns.TypeA}})
	k := kinds[1]
	for flags := range uint8(4) {
		chain := m.chain(k)
		star := k.about(chain, "*.example.").RRs[0].(*dns.NSEC3)
		x, name := star, ""
		for i := 0; x == star; i++ { // two spans are half of all each, more or less
			name = fmt.Sprintf("%d.example.", i)
			x = k.about(chain, name).RRs[0].(*dns.NSEC3)
		}
		x.Flags, star.Flags = flags&1, flags>>1
		c := newCache(t, Config{})
		c.Add("example.", append(chain, m.soa()))
		want := ""
		if flags == 0 {
			want = "NXDOMAIN"
		}
		ask(t, c, []asked{{name, dns.TypeA, want}, {"a.example.", dns.TypeMX, "NOERROR"}})
	}
}
