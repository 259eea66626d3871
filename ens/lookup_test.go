package ens

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"dens/chain"
	"dens/names"

	"github.com/ethereum/go-ethereum/common"
	"github.com/miekg/dns"
)

var (
	ipfsHash  = common.FromHex("e3010170122029f2d17be6139079dc48696d1f582a8530eb9805b561eda517e22a892c7e3f1f")
	ipfsPath  = "/ipfs/bafybeibj6lixxzqtsb45ysdjnupvqkufgdvzqbnvmhw2kf7cfkesy7r7d4"
	wholeText = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed" // EIP-55's own example
)

// sample is a world with a name of every kind.
func sample(t testing.TB) *world {
	w := newWorld(t)
	w.owners[testNode("eth")] = common.HexToAddress("0xbeef")

	public := w.newContract()
	w.register("alice.eth", public)
	public.zone("alice.eth",
		"alice.eth. 300 IN A 192.0.2.1", "alice.eth. 300 IN A 192.0.2.2",
		"alice.eth. 300 IN TXT \"stored\"",
		"www.alice.eth. 60 IN A 192.0.2.3",
		"alias.alice.eth. 60 IN CNAME www.example.org.",
		"old.alice.eth. 60 IN DNAME new.example.org.",
		"*.wild.alice.eth. 60 IN A 192.0.2.4",
		"exact.wild.alice.eth. 60 IN TXT \"here\"",
		"a.b.c.alice.eth. 60 IN AAAA 2001:db8::1",
		"_sip._tcp.alice.eth. 60 IN SRV 0 0 5060 www.alice.eth.",
		"xn--bcher-kva.alice.eth. 60 IN A 192.0.2.5")
	public.contenthash("alice.eth", ipfsHash)
	public.addr60("alice.eth", wholeText)
	public.coin("alice.eth", 0, common.FromHex("76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac"))
	public.coin("alice.eth", evm(8453), common.FromHex(wholeText))
	public.coin("alice.eth", 501, []byte("not a key"))
	w.register("registered.alice.eth", nil)
	w.register("held.wild.alice.eth", nil)

	w.register("texts.eth", public)
	public.text("texts.eth", "dns.A", `["192.0.2.9"]`)
	public.text("texts.eth", "dns.A.ttl", "77")
	public.text("texts.eth", "dns.ttl", "120")
	public.text("texts.eth", "dns.MX", `["10 mail.example.org."]`)
	public.text("texts.eth", "dns.CNAME", `["www.example.org."]`)

	w.register("empty.eth", public)
	w.register("bare.eth", nil)
	w.register("person.eth", &contract{addr: common.HexToAddress("0xea51")}) // an account, no contract
	w.register("own.alice.eth", public)
	public.zone("own.alice.eth", "own.alice.eth. 60 IN A 192.0.2.6")
	w.register("🦄.eth", public)
	public.contenthash("🦄.eth", ipfsHash)

	nodns := w.newContract()
	nodns.supports = map[string]bool{"addr": true, "addr0": true, "text": true, "contenthash": true}
	w.register("nodns.eth", nodns)
	nodns.contenthash("nodns.eth", ipfsHash)
	nodns.text("nodns.eth", "dns.AAAA", `["2001:db8::9"]`)

	wild := w.newWildcard()
	w.register("wild.eth", wild)
	wild.contenthash("sub.wild.eth", ipfsHash)
	wild.zone("sub.wild.eth", "sub.wild.eth. 60 IN A 192.0.2.7")

	strict := w.newWildcard() // refuses what it does not know, and keeps a zone besides
	w.register("strict.eth", strict)
	strict.says = func(name string, call []byte) reply {
		if name == "known.strict.eth" || name == "strict.eth" {
			return strict.plain(call)
		}
		return reverts("Error", "no such name")
	}
	strict.contenthash("known.strict.eth", ipfsHash)
	strict.zone("strict.eth", "zoned.strict.eth. 60 IN A 192.0.2.8")

	addrOnly := w.newWildcard() // knows one profile and says so
	w.register("addronly.eth", addrOnly)
	addrOnly.says = func(_ string, call []byte) reply {
		if string(call[:4]) == string(wired.Methods["addr"].ID) {
			return returns("addr", common.HexToAddress(wholeText))
		}
		return reverts("UnsupportedResolverProfile", [4]byte(call[:4]))
	}
	return w
}

// describe writes Records in one line: existence, apex, and the data.
func describe(r names.Records) string {
	parts := []string{"nothing"}
	if r.Exists {
		parts[0] = "exists"
	}
	parts = append(parts, "in "+r.Apex)
	for _, set := range r.RRsets {
		parts = append(parts, fmt.Sprintf("%s/%s:%d", set.Owner, dns.TypeToString[set.Type], countRRs(set.Wire)))
	}
	for _, text := range r.Texts {
		parts = append(parts, fmt.Sprintf("%s=%s(%s)", dns.TypeToString[text.Type], text.JSON, text.TTL))
	}
	if len(r.ContentHash) > 0 {
		parts = append(parts, r.ContentPath)
	}
	for _, a := range r.Addresses {
		parts = append(parts, a.Currency+":"+a.Text)
	}
	return strings.Join(parts, " ")
}

func countRRs(wire []byte) int {
	n := 0
	for off := 0; off < len(wire); n++ {
		_, next, err := dns.UnpackRR(wire, off)
		if err != nil {
			return -1
		}
		off = next
	}
	return n
}

func TestLookup(t *testing.T) {
	tests := []struct {
		name string
		kind uint16
		want string
	}{
		{"alice.eth.", dns.TypeA, "exists in alice.eth. alice.eth./A:2 " + ipfsPath},
		{"alice.eth.", dns.TypeAAAA, "exists in alice.eth. " + ipfsPath},
		{"alice.eth.", dns.TypeHTTPS, "exists in alice.eth. " + ipfsPath},
		{"alice.eth.", dns.TypeTXT, "exists in alice.eth. alice.eth./TXT:1 " + ipfsPath + " ETH:" + wholeText},
		{"alice.eth.", dns.TypeMX, "exists in alice.eth."},
		{"alice.eth.", dns.TypeSOA, "exists in alice.eth."},
		{"alice.eth.", dns.TypeNS, "exists in alice.eth."},
		{"alice.eth.", typeWallet, "exists in alice.eth. ETH:" + wholeText + " BTC:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa BASE:" + wholeText},
		{"www.alice.eth.", dns.TypeA, "exists in alice.eth. www.alice.eth./A:1"},
		{"www.alice.eth.", dns.TypeAAAA, "exists in alice.eth."},
		{"www.alice.eth.", dns.TypeTXT, "exists in alice.eth."},
		{"alias.alice.eth.", dns.TypeA, "exists in alice.eth. alias.alice.eth./CNAME:1"},
		{"alias.alice.eth.", dns.TypeCNAME, "exists in alice.eth. alias.alice.eth./CNAME:1"},
		{"x.y.old.alice.eth.", dns.TypeA, "exists in alice.eth. old.alice.eth./DNAME:1"},
		{"old.alice.eth.", dns.TypeA, "exists in alice.eth."},
		{"old.alice.eth.", dns.TypeDNAME, "exists in alice.eth. old.alice.eth./DNAME:1"},
		{"none.alice.eth.", dns.TypeA, "nothing in alice.eth."},
		{"registered.alice.eth.", dns.TypeA, "exists in alice.eth."},
		{"below.registered.alice.eth.", dns.TypeA, "nothing in alice.eth."},

		// Wildcards of RFC 4592.
		{"any.wild.alice.eth.", dns.TypeA, "exists in alice.eth. *.wild.alice.eth./A:1"},
		{"any.wild.alice.eth.", dns.TypeMX, "exists in alice.eth."},
		{"deep.any.wild.alice.eth.", dns.TypeA, "exists in alice.eth. *.wild.alice.eth./A:1"},
		{"wild.alice.eth.", dns.TypeA, "exists in alice.eth."}, // an empty non-terminal
		{"exact.wild.alice.eth.", dns.TypeA, "exists in alice.eth."},
		{"below.exact.wild.alice.eth.", dns.TypeA, "nothing in alice.eth."},
		{"held.wild.alice.eth.", dns.TypeA, "exists in alice.eth."},
		{"*.wild.alice.eth.", dns.TypeA, "exists in alice.eth. *.wild.alice.eth./A:1"},
		{"*.wild.alice.eth.", dns.TypeTXT, "exists in alice.eth."},
		{"*.alice.eth.", dns.TypeA, "nothing in alice.eth."},
		{"*.eth.", dns.TypeA, "nothing in eth."},

		{"a.b.c.alice.eth.", dns.TypeAAAA, "exists in alice.eth. a.b.c.alice.eth./AAAA:1"},
		{"_sip._tcp.alice.eth.", dns.TypeSRV, "exists in alice.eth. _sip._tcp.alice.eth./SRV:1"},
		{"xn--bcher-kva.alice.eth.", dns.TypeA, "exists in alice.eth. xn--bcher-kva.alice.eth./A:1"},
		{"own.alice.eth.", dns.TypeA, "exists in own.alice.eth. own.alice.eth./A:1"},
		{"x.own.alice.eth.", dns.TypeA, "nothing in own.alice.eth."},

		{"_dnslink.alice.eth.", dns.TypeTXT, "exists in alice.eth. " + ipfsPath},
		{"_dnslink.alice.eth.", dns.TypeA, "exists in alice.eth. " + ipfsPath},
		{"_dnslink.texts.eth.", dns.TypeTXT, "nothing in texts.eth."},
		{"_dnslink.bare.eth.", dns.TypeTXT, "nothing in eth."},
		{"_dnslink.eth.", dns.TypeTXT, "nothing in eth."},
		{"_dnslink.xn--3s9h.eth.", dns.TypeTXT, "exists in xn--3s9h.eth. " + ipfsPath},
		{"_dnslink.nodns.eth.", dns.TypeTXT, "exists in nodns.eth. " + ipfsPath},
		{"_dnslink.sub.wild.eth.", dns.TypeTXT, "exists in wild.eth. " + ipfsPath},

		{"texts.eth.", dns.TypeA, `exists in texts.eth. A=["192.0.2.9"](77) CNAME=["www.example.org."](120)`},
		{"texts.eth.", dns.TypeMX, `exists in texts.eth. MX=["10 mail.example.org."](120) CNAME=["www.example.org."](120)`},
		{"texts.eth.", dns.TypeCNAME, `exists in texts.eth. CNAME=["www.example.org."](120)`},
		{"nodns.eth.", dns.TypeAAAA, `exists in nodns.eth. AAAA=["2001:db8::9"]() ` + ipfsPath},
		{"sub.nodns.eth.", dns.TypeA, "nothing in nodns.eth."},

		{"empty.eth.", dns.TypeA, "exists in empty.eth."},
		{"bare.eth.", dns.TypeA, "exists in eth."},
		{"person.eth.", dns.TypeA, "exists in person.eth."},
		{"sub.person.eth.", dns.TypeA, "nothing in person.eth."},
		{"nobody.eth.", dns.TypeA, "nothing in eth."},
		{"www.nobody.eth.", dns.TypeA, "nothing in eth."},
		{"eth.", dns.TypeSOA, "exists in eth."},
		{"eth.", dns.TypeA, "exists in eth."},
		{"xn--3s9h.eth.", dns.TypeA, "exists in xn--3s9h.eth. " + ipfsPath},

		// Wildcards of ENSIP-10.
		{"sub.wild.eth.", dns.TypeA, "exists in wild.eth. sub.wild.eth./A:1 " + ipfsPath},
		{"other.wild.eth.", dns.TypeA, "exists in wild.eth."},
		{"deep.other.wild.eth.", dns.TypeA, "exists in wild.eth."},
		{"wild.eth.", dns.TypeA, "exists in wild.eth."},
		{"known.strict.eth.", dns.TypeAAAA, "exists in strict.eth. " + ipfsPath},
		{"unknown.strict.eth.", dns.TypeAAAA, "nothing in strict.eth."},
		{"zoned.strict.eth.", dns.TypeA, "exists in strict.eth. zoned.strict.eth./A:1"},
		{"*.strict.eth.", dns.TypeA, "nothing in strict.eth."},
		{"name.addronly.eth.", dns.TypeA, "exists in addronly.eth."},
		{"name.addronly.eth.", typeWallet, "exists in addronly.eth. ETH:" + wholeText},
	}
	w := sample(t)
	for how, system := range w.systems() {
		for _, tt := range tests {
			t.Run(how+"/"+tt.name+"/"+typeName(tt.kind), func(t *testing.T) {
				r, err := system.Lookup(context.Background(), tt.name, tt.kind)
				if err != nil {
					t.Fatal(err)
				}
				if got := describe(r); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			})
		}
	}
}

// TestSameAnswers asks for much more than the table, and wants both ways to agree in every field.
func TestSameAnswers(t *testing.T) {
	t.Parallel()
	w := sample(t)
	systems := w.systems()
	for _, parent := range []string{"", "alice.", "texts.", "empty.", "bare.", "person.", "nobody.", "nodns.", "wild.", "strict.", "addronly.", "own.alice.", "wild.alice.", "xn--3s9h."} {
		for _, below := range []string{"", "www.", "*.", "_dnslink.", "known.", "old.", "a.b.c.", "x.old.", "_sip._tcp."} {
			for _, rrtype := range []uint16{1, 5, 6, 16, 39, 262, 999} {
				name := below + parent + "eth."
				u, uerr := systems["universal"].Lookup(context.Background(), name, rrtype)
				r, rerr := systems["registry"].Lookup(context.Background(), name, rrtype)
				if uerr != nil || rerr != nil {
					t.Fatalf("%s %d: %v, %v", name, rrtype, uerr, rerr)
				}
				if !reflect.DeepEqual(u, r) {
					t.Errorf("%s %d:\nuniversal %+v\nregistry  %+v", name, rrtype, u, r)
				}
			}
		}
	}
}

func TestSource(t *testing.T) {
	w := sample(t)
	want := names.Source{
		Chain: "testnet", Head: fakeHead, Trust: chain.Quorum,
		Resolver: w.resolvers[testNode("alice.eth")].Hex(), Backends: []string{"one", "two"},
	}
	for how, system := range w.systems() {
		r, err := system.Lookup(context.Background(), "www.alice.eth.", dns.TypeA)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(r.Source, want) {
			t.Errorf("%s: source is %+v, want %+v", how, r.Source, want)
		}
		tags := []string{"zone:eth", "chain:testnet", "node:" + testNode("www.alice.eth").Hex(), "node:" + testNode("alice.eth").Hex()}
		if !reflect.DeepEqual(r.Tags, tags) {
			t.Errorf("%s: tags are %q, want %q", how, r.Tags, tags)
		}
	}
}

// TestCallsOfColdLookups counts: with a UniversalResolver each look-up is one Call.
func TestCallsOfColdLookups(t *testing.T) {
	w := sample(t)
	systems := w.systems()
	tests := []struct {
		name                string
		kind                uint16
		universal, registry int
	}{
		{"alice.eth.", dns.TypeA, 1, 2},
		{"alice.eth.", dns.TypeTXT, 1, 2},
		{"alice.eth.", typeWallet, 1, 2},
		{"www.alice.eth.", dns.TypeA, 1, 2},
		{"_dnslink.alice.eth.", dns.TypeTXT, 1, 2},
		{"*.wild.alice.eth.", dns.TypeA, 1, 2},
		{"a.b.c.d.e.f.g.h.alice.eth.", dns.TypeA, 0, 0}, // too deep
		{"b.c.d.e.f.g.h.alice.eth.", dns.TypeA, 1, 2},
		{"sub.wild.eth.", dns.TypeA, 1, 2},
		{"zoned.strict.eth.", dns.TypeA, 2, 3}, // to tell a revert from a gateway's failure
		{"bare.eth.", dns.TypeA, 1, 1},
		{"nobody.eth.", dns.TypeA, 1, 1},
		{"eth.", dns.TypeSOA, 1, 1},
		{"not_normal.eth.", dns.TypeA, 0, 0},
	}
	for _, tt := range tests {
		for how, want := range map[string]int{"universal": tt.universal, "registry": tt.registry} {
			w.reset()
			_, err := systems[how].Lookup(context.Background(), tt.name, tt.kind)
			calls := w.reset()
			if len(calls) != want {
				t.Errorf("%s: %s %s made %d calls, want %d (%v)", how, tt.name, typeName(tt.kind), len(calls), want, err)
			}
			for i, c := range calls {
				if (c.At != nil) != (i > 0) || i > 0 && *c.At != fakeHead {
					t.Errorf("%s: %s: call %d is made at %v", how, tt.name, i, c.At)
				}
			}
		}
	}
}

// TestConcurrentLookups is for the race detector.
func TestConcurrentLookups(t *testing.T) {
	w := sample(t)
	systems := w.systems()
	var wg sync.WaitGroup
	for i := range 16 {
		for _, system := range systems {
			wg.Go(func() {
				for _, name := range []string{"www.alice.eth.", "sub.wild.eth.", "xn--3s9h.eth.", "_dnslink.alice.eth."} {
					r, err := system.Lookup(context.Background(), name, uint16(1+i%2*15))
					if err != nil || !r.Exists {
						t.Errorf("%s: %+v, %v", name, r, err)
					}
				}
			})
		}
	}
	wg.Wait()
}

func TestNamesThatCannotExist(t *testing.T) {
	tests := []struct {
		name string
		want error
	}{
		{"Alice.eth.", names.ErrNotNormal},
		{`al\.ice.eth.`, names.ErrNotNormal},
		{`al\240ice.eth.`, names.ErrNotNormal},
		{"🦄.eth.", names.ErrNotNormal}, // in DNS it is an A-label
		{"a..eth.", names.ErrNotNormal},
		{".eth.", names.ErrNotNormal},
		{"eth", names.ErrNotNormal},
		{"aliceeth.", names.ErrNotNormal},
		{"alice.org.", names.ErrNotNormal},
		{"www.*.alice.eth.", names.ErrNotNormal},
		{"*a.alice.eth.", names.ErrNotNormal},
		{"a_b.eth.", names.ErrNotNormal},
		{"ab--c.eth.", names.ErrNotNormal},
		{"xn--.eth.", names.ErrNotNormal},
		{"xn--abc-.eth.", names.ErrNotNormal},       // no Unicode in it
		{"xn--bcher-kvA.eth.", names.ErrNotNormal},  // capital digit
		{"xn--bcher-kva8.eth.", names.ErrNotNormal}, // more digits than there is a number
		{"xn--99999999.eth.", names.ErrNotNormal},   // beyond Unicode
		{"xn--ss-7ka.eth.", names.ErrNotNormal},     // a soft hyphen, which normalisation drops
		{"xn--dca.eth.", names.ErrNotNormal},        // É is to be written é
		{strings.Repeat("a", 64) + ".eth.", names.ErrNotNormal},
		{strings.Repeat("a.", 126) + "eth.", names.ErrNotNormal},
		{strings.Repeat("a.", MaxDepth+1) + "eth.", names.ErrTooDeep},
	}
	w := newWorld(t)
	for how, system := range w.systems() {
		for _, tt := range tests {
			_, err := system.Lookup(context.Background(), tt.name, dns.TypeA)
			if !errors.Is(err, tt.want) {
				t.Errorf("%s: %s: error is %v, want %v", how, tt.name, err, tt.want)
			}
		}
	}
	if calls := w.reset(); len(calls) > 0 {
		t.Errorf("%d calls were made for names that cannot exist", len(calls))
	}
}
