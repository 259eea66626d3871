package onchain_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/chain"
	"dens/names"
	"dens/resolver"
	"dens/resolver/onchain"
)

// system is a names.System of fixed content.
type system struct {
	records map[string]names.Records
	errs    map[string]error
	asked   []string
}

func (s *system) Lookup(_ context.Context, name string, rrtype uint16) (names.Records, error) {
	s.asked = append(s.asked, name+" "+dns.Type(rrtype).String())
	if err := s.errs[name]; err != nil {
		return names.Records{}, err
	}
	rec, ok := s.records[name]
	if !ok {
		rec = names.Records{Apex: "eth."}
	}
	if rec.Source.Head.Number == 0 {
		rec.Source = source()
	}
	return rec, nil
}

func source() names.Source {
	return names.Source{
		Chain: "ethereum", Trust: chain.Quorum, Resolver: "0x231b0Ee14048e9dCcD1d247744d114a4EB5E8E63",
		Head:     chain.Head{Number: 25000001, Hash: [32]byte{1, 2}, Time: time.Unix(1700000000, 0)},
		Backends: []string{"one", "two"},
	}
}

// wire packs records, given in zone file form, as EIP-1185 stores them.
func wire(t testing.TB, records ...string) []byte {
	t.Helper()
	var out []byte
	for _, s := range records {
		rr, err := dns.NewRR(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		buf := make([]byte, 1<<16)
		n, err := dns.PackRR(rr, buf, 0, nil, false)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		out = append(out, buf[:n]...)
	}
	return out
}

// set is an RRset whose owner and type are those of its first record.
func set(t testing.TB, records ...string) names.RRset {
	t.Helper()
	rr, err := dns.NewRR(records[0])
	if err != nil {
		t.Fatal(err)
	}
	return names.RRset{Owner: dns.CanonicalName(rr.Header().Name), Type: rr.Header().Rrtype, Wire: wire(t, records...)}
}

func config() onchain.Config {
	return onchain.Config{
		Zone: "eth", Aliases: []string{"eth.link", "eth.limo."},
		GatewayA:    []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		GatewayAAAA: []netip.Addr{netip.MustParseAddr("2001:db8::1")},
	}
}

func lines(rrs []dns.RR) []string {
	out := []string{}
	for _, rr := range rrs {
		out = append(out, strings.Join(strings.Fields(rr.String()), " "))
	}
	return out
}

const (
	ethSOA   = "eth. 60 IN SOA ns.dens.alt. hostmaster.dens.alt. 25000001 3600 600 604800 60"
	aliceSOA = "alice." + ethSOA
)

func content(rec names.Records) names.Records {
	rec.Exists, rec.Apex = true, "alice.eth."
	rec.ContentHash, rec.ContentPath = []byte{0xe3, 0x01, 0x02}, "/ipfs/bafyaa"
	rec.Addresses = []names.Address{
		{Currency: "ETH", Text: "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"},
		{Currency: "BTC", Text: `bc1"\q`},
		{Currency: "LONG", Text: strings.Repeat("x", 256)},
	}
	return rec
}

type question struct {
	name   string
	system names.Records // of "alice.eth.", unless at says otherwise
	at     string
	ask    string // name and type
	rcode  int
	answer []string
	ns     []string
	target string
}

func (tt question) run(t *testing.T) {
	at := tt.at
	if at == "" {
		at = "alice.eth."
	}
	r := onchain.New(&system{records: map[string]names.Records{at: tt.system}}, config())
	name, typ, _ := strings.Cut(tt.ask, " ")
	rrtype, ok := dns.StringToType[typ]
	if !ok {
		if _, err := fmt.Sscanf(typ, "TYPE%d", &rrtype); err != nil {
			t.Fatal(err)
		}
	}
	a, err := r.Resolve(t.Context(), resolver.Query{Name: name, Type: rrtype, Class: dns.ClassINET})
	if err != nil {
		t.Fatal(err)
	}
	if a.Rcode != tt.rcode || a.Target != tt.target {
		t.Errorf("rcode %s target %q, want %s %q", dns.RcodeToString[a.Rcode], a.Target, dns.RcodeToString[tt.rcode], tt.target)
	}
	if got := lines(a.Answer); !reflect.DeepEqual(got, append([]string{}, tt.answer...)) {
		t.Errorf("answer\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.answer, "\n"))
	}
	if got := lines(a.Ns); !reflect.DeepEqual(got, append([]string{}, tt.ns...)) {
		t.Errorf("authority\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.ns, "\n"))
	}
	if a.Zone != onchain.Kind || !a.Authoritative || a.AuthenticatedData {
		t.Errorf("zone %q, AA %v, AD %v", a.Zone, a.Authoritative, a.AuthenticatedData)
	}
}

func TestStored(t *testing.T) {
	alice := func(sets ...names.RRset) names.Records {
		return names.Records{Exists: true, Apex: "alice.eth.", RRsets: sets}
	}
	long := strings.Repeat("a", 60)
	tests := []question{
		{name: "an RRset", system: alice(set(t, "alice.eth. 60 IN A 192.0.2.7", "alice.eth. 60 IN A 192.0.2.8")),
			ask: "alice.eth. A", answer: []string{"alice.eth. 60 IN A 192.0.2.7", "alice.eth. 60 IN A 192.0.2.8"}},
		{name: "duplicates go, the lowest TTL stays", system: alice(set(t, "alice.eth. 60 IN A 192.0.2.7", "alice.eth. 9 IN A 192.0.2.7", "alice.eth. 70 IN A 192.0.2.8")),
			ask: "alice.eth. A", answer: []string{"alice.eth. 9 IN A 192.0.2.7", "alice.eth. 9 IN A 192.0.2.8"}},
		{name: "another case of letters", system: alice(names.RRset{Owner: "alice.eth.", Type: dns.TypeA, Wire: wire(t, "ALICE.eth. 60 IN A 192.0.2.7")}),
			ask: "alice.eth. A", answer: []string{"alice.eth. 60 IN A 192.0.2.7"}},
		{name: "TTL above 2^31-1", system: alice(set(t, "alice.eth. 4294967295 IN A 192.0.2.7")),
			ask: "alice.eth. A", answer: []string{"alice.eth. 0 IN A 192.0.2.7"}},
		{name: "TTL of years", system: alice(set(t, "alice.eth. 2147483647 IN A 192.0.2.7")),
			ask: "alice.eth. A", answer: []string{"alice.eth. 604800 IN A 192.0.2.7"}},
		{name: "an unknown type", system: alice(set(t, `alice.eth. 60 IN TYPE65300 \# 2 abcd`)),
			ask: "alice.eth. TYPE65300", answer: []string{`alice.eth. 60 CLASS1 TYPE65300 \# 2 abcd`}},
		{name: "NS and DS are data", system: alice(set(t, "alice.eth. 60 IN DS 1 13 2 00112233")),
			ask: "alice.eth. DS", answer: []string{"alice.eth. 60 IN DS 1 13 2 00112233"}},
		{name: "SOA of its own", system: alice(set(t, "alice.eth. 60 IN SOA a. b. 1 2 3 4 5")),
			ask: "alice.eth. SOA", answer: []string{"alice.eth. 60 IN SOA a. b. 1 2 3 4 5"}},
		{name: "empty data is none", system: alice(names.RRset{Owner: "alice.eth.", Type: dns.TypeA}),
			ask: "alice.eth. A", ns: []string{aliceSOA}},
		{name: "CNAME", system: alice(set(t, "alice.eth. 60 IN CNAME Www.Example.org.")),
			ask: "alice.eth. A", answer: []string{"alice.eth. 60 IN CNAME Www.Example.org."}, target: "www.example.org."},
		{name: "CNAME asked for", system: alice(set(t, "alice.eth. 60 IN CNAME example.org.")),
			ask: "alice.eth. CNAME", answer: []string{"alice.eth. 60 IN CNAME example.org."}},
		{name: "CNAME beside data", system: alice(set(t, "alice.eth. 60 IN A 192.0.2.7"), set(t, "alice.eth. 60 IN CNAME example.org.")),
			ask: "alice.eth. A", answer: []string{"alice.eth. 60 IN CNAME example.org."}, target: "example.org."},
		{name: "CNAME at an apex leaves the zone alone", system: alice(set(t, "alice.eth. 60 IN CNAME example.org.")),
			ask: "alice.eth. NS", answer: []string{"alice.eth. 300 IN NS ns.dens.alt."}},
		{name: "CNAME beats content", system: content(names.Records{RRsets: []names.RRset{set(t, "alice.eth. 60 IN CNAME example.org.")}}),
			ask: "alice.eth. TXT", answer: []string{"alice.eth. 60 IN CNAME example.org."}, target: "example.org."},
		{name: "wildcard", at: "a.b.alice.eth.", system: alice(set(t, "*.alice.eth. 60 IN A 192.0.2.7")),
			ask: "a.b.alice.eth. A", answer: []string{"a.b.alice.eth. 60 IN A 192.0.2.7"}},
		{name: "wildcard CNAME", at: "a.alice.eth.", system: alice(set(t, "*.alice.eth. 60 IN CNAME alice.eth.")),
			ask: "a.alice.eth. A", answer: []string{"a.alice.eth. 60 IN CNAME alice.eth."}, target: "alice.eth."},
		{name: "the wildcard itself", at: "*.alice.eth.", system: alice(set(t, "*.alice.eth. 60 IN A 192.0.2.7")),
			ask: "*.alice.eth. A", answer: []string{"*.alice.eth. 60 IN A 192.0.2.7"}},
		{name: "the name before its wildcard", at: "a.alice.eth.", system: alice(set(t, "*.alice.eth. 60 IN A 192.0.2.7"), set(t, "a.alice.eth. 60 IN A 192.0.2.8")),
			ask: "a.alice.eth. A", answer: []string{"a.alice.eth. 60 IN A 192.0.2.8"}},
		{name: "a DNAME hides what is below it", at: "a.b.alice.eth.", system: alice(set(t, "a.b.alice.eth. 60 IN A 192.0.2.8"), set(t, "b.alice.eth. 61 IN DNAME example.net."), set(t, "alice.eth. 61 IN DNAME example.org.")),
			ask: "a.b.alice.eth. A", answer: []string{"alice.eth. 61 IN DNAME example.org.", "a.b.alice.eth. 61 IN CNAME a.b.example.org."}, target: "a.b.example.org."},
		{name: "the nearest wildcard counts", at: "a.b.alice.eth.", system: alice(set(t, "*.alice.eth. 60 IN A 192.0.2.7"), set(t, "*.b.alice.eth. 60 IN A 192.0.2.8")),
			ask: "a.b.alice.eth. A", answer: []string{"a.b.alice.eth. 60 IN A 192.0.2.8"}},
		{name: "DNAME", at: "a.b.alice.eth.", system: alice(set(t, "alice.eth. 61 IN DNAME Example.org.")),
			ask: "a.b.alice.eth. A", answer: []string{"alice.eth. 61 IN DNAME Example.org.", "a.b.alice.eth. 61 IN CNAME a.b.example.org."}, target: "a.b.example.org."},
		{name: "DNAME and a CNAME asked for", at: "a.alice.eth.", system: alice(set(t, "alice.eth. 61 IN DNAME example.org.")),
			ask: "a.alice.eth. CNAME", answer: []string{"alice.eth. 61 IN DNAME example.org.", "a.alice.eth. 61 IN CNAME a.example.org."}},
		{name: "DNAME to the root", at: "a.alice.eth.", system: alice(set(t, "alice.eth. 61 IN DNAME .")),
			ask: "a.alice.eth. A", answer: []string{"alice.eth. 61 IN DNAME .", "a.alice.eth. 61 IN CNAME a."}, target: "a."},
		{name: "DNAME does not redirect its owner", system: alice(set(t, "alice.eth. 61 IN DNAME example.org.")),
			ask: "alice.eth. A", ns: []string{aliceSOA}},
		{name: "DNAME asked for", system: alice(set(t, "alice.eth. 61 IN DNAME example.org.")),
			ask: "alice.eth. DNAME", answer: []string{"alice.eth. 61 IN DNAME example.org."}},
		{name: "DNAME asked for below one", at: "a.alice.eth.", system: alice(set(t, "alice.eth. 61 IN DNAME example.org.")),
			ask: "a.alice.eth. DNAME", answer: []string{"alice.eth. 61 IN DNAME example.org.", "a.alice.eth. 61 IN CNAME a.example.org."}, target: "a.example.org."},
		{name: "DNAME too long", at: long + ".alice.eth.", system: alice(set(t, "alice.eth. 61 IN DNAME "+strings.Repeat(long+".", 3)+"bbbbbbbbbbbbb.")),
			ask: long + ".alice.eth. A", rcode: dns.RcodeYXDomain, answer: []string{"alice.eth. 61 IN DNAME " + strings.Repeat(long+".", 3) + "bbbbbbbbbbbbb."}},
		{name: "DNAME above the zone is nothing to it", at: "a.alice.eth.", system: alice(set(t, "eth. 61 IN DNAME example.org.")),
			ask: "a.alice.eth. A", ns: []string{aliceSOA}},
		{name: "below an alias", system: alice(set(t, "alice.eth. 60 IN A 192.0.2.7")),
			ask: "alice.eth.limo. A", answer: []string{"alice.eth.limo. 60 IN A 192.0.2.7"}},
		{name: "DNAME below an alias", at: "a.alice.eth.", system: alice(set(t, "alice.eth. 61 IN DNAME bob.eth.")),
			ask: "a.alice.eth.link. A", answer: []string{"alice.eth.link. 61 IN DNAME bob.eth.", "a.alice.eth.link. 61 IN CNAME a.bob.eth."}, target: "a.bob.eth."},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

func TestTexts(t *testing.T) {
	alice := func(texts ...names.Text) names.Records {
		return names.Records{Exists: true, Apex: "alice.eth.", Texts: texts}
	}
	tests := []question{
		{name: "addresses", system: alice(names.Text{Type: dns.TypeA, JSON: `["192.0.2.7", "192.0.2.8","192.0.2.7"]`, TTL: "90"}),
			ask: "alice.eth. A", answer: []string{"alice.eth. 90 IN A 192.0.2.7", "alice.eth. 90 IN A 192.0.2.8"}},
		{name: "TTL of the configuration", system: alice(names.Text{Type: dns.TypeMX, JSON: `["10 mx.example.org"]`}),
			ask: "alice.eth. MX", answer: []string{"alice.eth. 300 IN MX 10 mx.example.org."}},
		{name: "TTL that is none", system: alice(names.Text{Type: dns.TypeA, JSON: `["192.0.2.7"]`, TTL: "soon"}),
			ask: "alice.eth. A", answer: []string{"alice.eth. 300 IN A 192.0.2.7"}},
		{name: "TTL above 2^31-1", system: alice(names.Text{Type: dns.TypeA, JSON: `["192.0.2.7"]`, TTL: "2147483648"}),
			ask: "alice.eth. A", answer: []string{"alice.eth. 0 IN A 192.0.2.7"}},
		{name: "CNAME", system: alice(names.Text{Type: dns.TypeCNAME, JSON: `["example.org"]`}),
			ask: "alice.eth. A", answer: []string{"alice.eth. 300 IN CNAME example.org."}, target: "example.org."},
		{name: "TXT as it is", system: alice(names.Text{Type: dns.TypeTXT, JSON: `["v=DKIM1; k=rsa"]`}),
			ask: "alice.eth. TXT", answer: []string{`alice.eth. 300 IN TXT "v=DKIM1; k=rsa"`}},
		{name: "TXT in quotes", system: alice(names.Text{Type: dns.TypeTXT, JSON: `["\"a;b\" \"c\""]`}),
			ask: "alice.eth. TXT", answer: []string{`alice.eth. 300 IN TXT "a;b" "c"`}},
		{name: "WALLET", system: alice(names.Text{Type: 262, JSON: `["\"ETH\" \"0x1\""]`}),
			ask: "alice.eth. TYPE262", answer: []string{`alice.eth. 300 CLASS1 TYPE262 \# 8 0345544803307831`}},
		{name: "an unknown type", system: alice(names.Text{Type: 65300, JSON: `["\\# 2 abcd"]`}),
			ask: "alice.eth. TYPE65300", answer: []string{`alice.eth. 300 CLASS1 TYPE65300 \# 2 abcd`}},
		{name: "empty list", system: alice(names.Text{Type: dns.TypeA, JSON: `[]`}),
			ask: "alice.eth. A", ns: []string{aliceSOA}},
		{name: "RRset first", system: names.Records{Exists: true, Apex: "alice.eth.",
			RRsets: []names.RRset{set(t, "alice.eth. 60 IN A 192.0.2.1")}, Texts: []names.Text{{Type: dns.TypeA, JSON: `["192.0.2.2"]`}}},
			ask: "alice.eth. A", answer: []string{"alice.eth. 60 IN A 192.0.2.1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

func TestSynthesised(t *testing.T) {
	wallet := `alice.eth. 300 CLASS1 TYPE262 \# `
	tests := []question{
		{name: "A by gateway", system: content(names.Records{}), ask: "alice.eth. A", answer: []string{"alice.eth. 300 IN A 192.0.2.1"}},
		{name: "AAAA by gateway", system: content(names.Records{}), ask: "alice.eth.limo. AAAA", answer: []string{"alice.eth.limo. 300 IN AAAA 2001:db8::1"}},
		{name: "HTTPS by gateway", system: content(names.Records{}), ask: "alice.eth. HTTPS",
			answer: []string{`alice.eth. 300 IN HTTPS 1 . alpn="h2,http/1.1" ipv4hint="192.0.2.1" ipv6hint="2001:db8::1"`}},
		{name: "an RRset before the gateway", system: content(names.Records{RRsets: []names.RRset{set(t, "alice.eth. 60 IN A 192.0.2.7")}}),
			ask: "alice.eth. A", answer: []string{"alice.eth. 60 IN A 192.0.2.7"}},
		{name: "no content, no gateway", system: names.Records{Exists: true, Apex: "alice.eth."}, ask: "alice.eth. A", ns: []string{aliceSOA}},
		{name: "TXT", system: content(names.Records{RRsets: []names.RRset{set(t, `alice.eth. 60 IN TXT "hello"`)}}), ask: "alice.eth. TXT",
			answer: []string{`alice.eth. 60 IN TXT "hello"`, `alice.eth. 60 IN TXT "a=0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"`,
				`alice.eth. 60 IN TXT "contenthash=0xe30102"`, `alice.eth. 60 IN TXT "dnslink=/ipfs/bafyaa"`}},
		{name: "TXT stored that is also made", system: content(names.Records{RRsets: []names.RRset{set(t, `alice.eth. 60 IN TXT "dnslink=/ipfs/bafyaa"`)}}), ask: "alice.eth. TXT",
			answer: []string{`alice.eth. 60 IN TXT "dnslink=/ipfs/bafyaa"`, `alice.eth. 60 IN TXT "a=0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"`,
				`alice.eth. 60 IN TXT "contenthash=0xe30102"`}},
		{name: "_dnslink", at: "_dnslink.alice.eth.", system: names.Records{Apex: "alice.eth.", ContentHash: []byte{0xe3}, ContentPath: "/ipfs/" + strings.Repeat("b", 250)},
			ask:    "_dnslink.alice.eth. TXT",
			answer: []string{`_dnslink.alice.eth. 300 IN TXT "dnslink=/ipfs/` + strings.Repeat("b", 241) + `" "` + strings.Repeat("b", 9) + `"`}},
		{name: "_dnslink stored", at: "_dnslink.alice.eth.", system: content(names.Records{RRsets: []names.RRset{set(t, `_dnslink.alice.eth. 60 IN TXT "dnslink=/ipns/x"`)}}),
			ask: "_dnslink.alice.eth. TXT", answer: []string{`_dnslink.alice.eth. 60 IN TXT "dnslink=/ipns/x"`}},
		{name: "_dnslink has no address", at: "_dnslink.alice.eth.", system: names.Records{Apex: "alice.eth.", ContentHash: []byte{0xe3}, ContentPath: "/ipfs/b"},
			ask: "_dnslink.alice.eth. A", ns: []string{aliceSOA}},
		{name: "WALLET", system: content(names.Records{}), ask: "alice.eth. TYPE262",
			answer: []string{wallet + "47 034554482a307835423338446136613730316335363835343564436663423033466342383735663536626564644334",
				wallet + "11 034254430662633122" + "5c71"}},
		{name: "WALLET stored", system: content(names.Records{RRsets: []names.RRset{set(t, `alice.eth. 300 IN TYPE262 \# 2 0161`)}}), ask: "alice.eth. TYPE262",
			answer: []string{wallet + "2 0161"}},
		{name: "SOA", system: names.Records{Exists: true, Apex: "alice.eth."}, ask: "alice.eth. SOA", answer: []string{strings.Replace(aliceSOA, "60 IN", "300 IN", 1)}},
		{name: "SOA of the zone", at: "eth.", system: names.Records{Apex: "eth."}, ask: "eth. SOA", answer: []string{strings.Replace(ethSOA, "60 IN", "300 IN", 1)}},
		{name: "NS of the zone", at: "eth.", system: names.Records{Apex: "eth."}, ask: "eth. NS", answer: []string{"eth. 300 IN NS ns.dens.alt."}},
		{name: "SOA below the apex", at: "www.alice.eth.", system: names.Records{Exists: true, Apex: "alice.eth."}, ask: "www.alice.eth. SOA", ns: []string{aliceSOA}},
		{name: "NODATA of the zone", at: "eth.", system: names.Records{Apex: "eth."}, ask: "eth. DS", ns: []string{ethSOA}},
		{name: "NXDOMAIN", ask: "nobody.eth. A", rcode: dns.RcodeNameError, ns: []string{ethSOA}},
		{name: "NXDOMAIN below a name", at: "x.alice.eth.", system: names.Records{Apex: "alice.eth."}, ask: "x.alice.eth. A", rcode: dns.RcodeNameError, ns: []string{aliceSOA}},
		{name: "NXDOMAIN below an alias", ask: "nobody.eth.limo. A", rcode: dns.RcodeNameError, ns: []string{strings.Replace(ethSOA, "eth.", "eth.limo.", 1)}},
		{name: "RRSIG is no data", system: names.Records{Exists: true, Apex: "alice.eth."}, ask: "alice.eth. RRSIG", ns: []string{aliceSOA}},
		{name: "ANY", ask: "nobody.eth. ANY", answer: []string{`nobody.eth. 300 IN HINFO "RFC8482" ""`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.run)
	}
}

type parent struct{ asked []string }

func (p *parent) Resolve(_ context.Context, q resolver.Query) (*resolver.Answer, error) {
	p.asked = append(p.asked, q.Name)
	return &resolver.Answer{Zone: "forward"}, nil
}

func TestAliasItself(t *testing.T) {
	p := &parent{}
	cfg := config()
	cfg.Parent = p
	sys := &system{}
	for _, rrtype := range []uint16{dns.TypeA, dns.TypeNS, dns.TypeDS} {
		a, err := onchain.New(sys, cfg).Resolve(t.Context(), resolver.Query{Name: "eth.limo.", Type: rrtype})
		if err != nil || a.Zone != "forward" {
			t.Errorf("got %v, %v", a, err)
		}
	}
	if !reflect.DeepEqual(p.asked, []string{"eth.limo.", "eth.limo.", "eth.limo."}) || len(sys.asked) != 0 {
		t.Errorf("parent asked for %v, system for %v", p.asked, sys.asked)
	}
	refused(t, onchain.New(sys, config()), resolver.Query{Name: "eth.limo.", Type: dns.TypeA}, 20)
}

func refused(t *testing.T, r resolver.Resolver, q resolver.Query, code uint16) {
	t.Helper()
	_, err := r.Resolve(t.Context(), q)
	var e *resolver.Error
	if !errors.As(err, &e) || e.Rcode != dns.RcodeRefused || e.Code != code {
		t.Errorf("%v: got %v, want REFUSED with %d", q, err, code)
	}
}

func TestRefused(t *testing.T) {
	sys := &system{}
	r := onchain.New(sys, config())
	refused(t, r, resolver.Query{Name: "example.org.", Type: dns.TypeA}, 20)
	refused(t, r, resolver.Query{Name: `alice\.eth.`, Type: dns.TypeA}, 20)
	for _, rrtype := range []uint16{0, 41, 128, 249, 250, 251, 252, 253, 254, 65535} {
		refused(t, r, resolver.Query{Name: "alice.eth.", Type: rrtype}, 30)
	}
	if len(sys.asked) != 0 {
		t.Errorf("the chain was asked for %v", sys.asked)
	}
}

func TestTooLongBelowAlias(t *testing.T) {
	sys := &system{}
	r := onchain.New(sys, onchain.Config{Zone: strings.Repeat("z", 60) + ".", Aliases: []string{"a."}})
	long := strings.Repeat(strings.Repeat("b", 49)+".", 5) + "a."
	a, err := r.Resolve(t.Context(), resolver.Query{Name: long, Type: dns.TypeA})
	if err != nil || a.Rcode != dns.RcodeNameError || len(sys.asked) != 0 {
		t.Errorf("got %v, %v, asked %v", a, err, sys.asked)
	}
	if owner := a.Ns[0].Header().Name; owner != "a." {
		t.Errorf("SOA of %s", owner)
	}
}

func TestOrigin(t *testing.T) {
	rec := content(names.Records{Tags: []string{"zone:eth", "node:0x01"}, Source: source()})
	rec.Source.Gateways = []string{"gateway.example.org"}
	r := onchain.New(&system{records: map[string]names.Records{"alice.eth.": rec}}, config())
	a, err := r.Resolve(t.Context(), resolver.Query{Name: "alice.eth.limo.", Type: dns.TypeA, Class: dns.ClassINET})
	if err != nil {
		t.Fatal(err)
	}
	want := &resolver.Origin{
		Name: "alice.eth.", Chain: "ethereum", Block: 25000001,
		BlockHash: "0x0102" + strings.Repeat("0", 60), BlockTime: time.Unix(1700000000, 0).UTC(),
		Resolver: "0x231b0Ee14048e9dCcD1d247744d114a4EB5E8E63", ContentHash: "/ipfs/bafyaa", Trust: "quorum",
		Backends: []string{"one", "two"}, Gateways: []string{"gateway.example.org"},
	}
	if !reflect.DeepEqual(a.Origin, want) {
		t.Errorf("got %+v", a.Origin)
	}
	if !reflect.DeepEqual(a.Tags, []string{"zone:eth", "node:0x01"}) {
		t.Errorf("tags %v", a.Tags)
	}
}

// TestLongest goes to the limit of what a DNAME may make of a name, 255 octets, and one octet beyond.
func TestLongest(t *testing.T) {
	for _, tt := range []struct {
		label string
		rcode int
	}{{strings.Repeat("b", 62), dns.RcodeSuccess}, {strings.Repeat("b", 63), dns.RcodeYXDomain}} {
		target := strings.Repeat(strings.Repeat("c", 59)+".", 3) + strings.Repeat("d", 10) + "."
		sys := &system{records: map[string]names.Records{tt.label + ".alice.eth.": {
			Exists: true, Apex: "alice.eth.", RRsets: []names.RRset{set(t, "alice.eth. 61 IN DNAME "+target)},
		}}}
		q := resolver.Query{Name: tt.label + ".alice.eth.", Type: dns.TypeA, Class: dns.ClassINET}
		a, err := onchain.New(sys, config()).Resolve(t.Context(), q)
		if err != nil || a.Rcode != tt.rcode {
			t.Fatalf("a name of %d octets: got %v, %v", len(tt.label)+1+len(target)+1, a, err)
		}
		checkAnswer(t, q, "alice.eth.", a)
	}
}
