package onchain_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/miekg/dns"

	"dens/chain"
	"dens/names"
	"dens/resolver"
	"dens/resolver/onchain"
)

func proven(gateways ...string) names.Source {
	src := source()
	src.Trust, src.Gateways = chain.Proven, gateways
	src.Proof = &chain.Proof{
		Anchor: chain.Anchor{Head: src.Head, Source: chain.AnchorBeacon, Vouchers: []string{"beacon one"}, Beacon: &chain.BeaconEvidence{
			Network: "mainnet", Fork: "fulu", Checkpoint: common.Hash{1}, CheckpointSlot: 64, Period: 3, Slot: 25000, Root: common.Hash{2},
			SignatureSlot: 25001, Signers: 400, Committee: 512, Finalized: true,
		}},
		StateRoot: common.Hash{3}, Accounts: []chain.ProvenAccount{{Address: common.Address{19: 1}, Slots: 2}, {Address: common.Address{19: 2}}},
		Trips: 2, Bytes: 4321,
	}
	return src
}

// TestAuthentic: what is proven is authentic, be it there or not; what else a reply says is not.
func TestAuthentic(t *testing.T) {
	signed := proven("gateway.example.org")
	signed.Signature = true
	alice := func(src names.Source, sets ...names.RRset) names.Records {
		return names.Records{Exists: true, Apex: "alice.eth.", Source: src, RRsets: sets}
	}
	a := set(t, "alice.eth. 60 IN A 192.0.2.7")
	wallet := content(names.Records{Source: proven()})
	tests := []struct {
		what string
		rec  names.Records // of the name asked for
		ask  string
		want bool
	}{
		{"a record", alice(proven(), a), "alice.eth. A", true},
		{"a record of a quorum", alice(source(), a), "alice.eth. A", false},
		{"a record by a gateway", alice(proven("g.example"), a), "alice.eth. A", false},
		{"a record by a gateway that signs", alice(signed, a), "alice.eth. A", false},
		{"a record that comes as text", names.Records{Exists: true, Apex: "alice.eth.", Source: proven(), Texts: []names.Text{{Type: dns.TypeA, JSON: `["192.0.2.7"]`}}}, "alice.eth. A", true},
		{"an alias", alice(proven(), set(t, "alice.eth. 60 IN CNAME example.org.")), "alice.eth. A", true},
		{"an alias of a quorum", alice(source(), set(t, "alice.eth. 60 IN CNAME example.org.")), "alice.eth. A", false},
		{"below a DNAME", alice(proven(), set(t, "alice.eth. 60 IN DNAME example.org.")), "www.alice.eth. A", true},
		{"below a wildcard", alice(proven(), set(t, "*.alice.eth. 60 IN A 192.0.2.7")), "www.alice.eth. A", true},
		{"no such type", alice(proven(), a), "alice.eth. MX", true},
		{"no such type, says a quorum", alice(source(), a), "alice.eth. MX", false},
		{"no such type, by a gateway", alice(proven("g.example"), a), "alice.eth. MX", false},
		{"no such name", names.Records{Apex: "eth.", Source: proven()}, "nobody.eth. A", true},
		{"no such name, says a quorum", names.Records{Apex: "eth.", Source: source()}, "nobody.eth. A", false},
		{"no such name, by a gateway", names.Records{Apex: "alice.eth.", Source: proven("g.example")}, "nobody.alice.eth. A", false},
		{"text made of what the chain holds", wallet, "alice.eth. TXT", true},
		{"wallets likewise", wallet, "alice.eth. TYPE262", true},
		{"a DNSLink likewise", names.Records{Apex: "alice.eth.", ContentHash: []byte{0xe3}, ContentPath: "/ipfs/b", Source: proven()}, "_dnslink.alice.eth. TXT", true},
		{"a stored SOA", alice(proven(), set(t, "alice.eth. 60 IN SOA a. b. 1 2 3 4 5")), "alice.eth. SOA", true},
		{"the SOA made here", alice(proven()), "alice.eth. SOA", false},
		{"the NS made here", alice(proven()), "alice.eth. NS", false},
		{"the web gateway's address", wallet, "alice.eth. A", false},
		{"the web gateway's other address", wallet, "alice.eth. AAAA", false},
		{"the web gateway's service", wallet, "alice.eth. HTTPS", false},
		{"a name below an alias", alice(proven(), a), "alice.eth.limo. A", false},
		{"its absence", alice(proven(), a), "alice.eth.limo. MX", false},
		{"its alias", alice(proven(), set(t, "alice.eth. 60 IN CNAME example.org.")), "alice.eth.limo. A", false},
		{"ANY", alice(proven(), a), "alice.eth. ANY", false},
	}
	for _, tt := range tests {
		name, typ, _ := strings.Cut(tt.ask, " ")
		rrtype, ok := dns.StringToType[typ]
		if !ok {
			if _, err := fmt.Sscanf(typ, "TYPE%d", &rrtype); err != nil {
				t.Fatal(err)
			}
		}
		r := onchain.New(&system{records: map[string]names.Records{strings.TrimSuffix(name, "limo."): tt.rec}}, config())
		for _, do := range []bool{false, true} { // the bit is cleared elsewhere for who did not ask for it
			q := resolver.Query{Name: name, Type: rrtype, Class: dns.ClassINET, DO: do}
			if a, err := r.Resolve(t.Context(), q); err != nil || a.AuthenticatedData != tt.want {
				t.Errorf("%s: got %+v, %v, want AD %v", tt.what, a, err, tt.want)
			}
			// Who checks by itself gets no verdict, as it is with DNSSEC.
			q.CD = true
			if a, err := r.Resolve(t.Context(), q); err != nil || a.AuthenticatedData {
				t.Errorf("%s, with CD: got %+v, %v", tt.what, a, err)
			}
		}
	}
	sys := &system{errs: map[string]error{"a_b.eth.": names.ErrNotNormal}}
	if a, err := onchain.New(sys, config()).Resolve(t.Context(), query("a_b.eth.", dns.TypeA)); err != nil || a.Rcode != dns.RcodeNameError || a.AuthenticatedData {
		t.Errorf("a name that is not normal: got %+v, %v", a, err)
	}
}

// TestAuthenticDelegation: signatures below a delegation are as good as the delegation.
func TestAuthenticDelegation(t *testing.T) {
	secure := func(on bool) *iterator {
		return &iterator{say: func(_ *resolver.Delegation, q resolver.Query) (*resolver.Answer, error) {
			return &resolver.Answer{Rcode: dns.RcodeNameError, AuthenticatedData: on && !q.CD}, nil
		}}
	}
	glueBy := func(src names.Source) func(*delegator) {
		return func(sys *delegator) {
			rec := sys.records["ns1.alice.eth. A"]
			rec.Source = src
			sys.records["ns1.alice.eth. A"] = rec
		}
	}
	cutBy := func(src names.Source) func(*delegator) {
		return func(sys *delegator) {
			for _, name := range []string{"alice.eth.", "www.alice.eth."} {
				rec := sys.records[name]
				rec.Source = src
				sys.records[name] = rec
			}
		}
	}
	signed := proven("g.example")
	signed.Signature = true
	for _, tt := range []struct {
		what       string
		change     func(*delegator)
		secure     bool
		zone, ds   bool // AD of an answer of the zone's servers, and of the DS
		trust      string
		proof, sig bool
	}{
		{"all is proven", func(*delegator) {}, true, true, true, "proven", true, false},
		{"the zone is not secure", func(*delegator) {}, false, false, true, "proven", true, false},
		{"a quorum delegates", cutBy(source()), true, false, false, "quorum", false, false},
		{"a gateway delegates", cutBy(proven("g.example")), true, false, false, "proven", true, false},
		{"a gateway that signs delegates", cutBy(signed), true, false, false, "proven", true, true},
		{"a quorum knows the addresses", glueBy(source()), true, true, true, "quorum", false, false},
		{"a gateway that signs knows the addresses", glueBy(signed), true, true, true, "proven", true, true},
	} {
		sys := delegated(t)
		sys.trust = chain.Proven
		for key, rec := range sys.records {
			rec.Source = proven()
			sys.records[key] = rec
		}
		tt.change(sys)
		r := delegating(sys, secure(tt.secure))
		a, err := r.Resolve(t.Context(), query("www.alice.eth.", dns.TypeA))
		if err != nil || a.AuthenticatedData != tt.zone || a.Origin.Trust != tt.trust || (a.Origin.Proof != nil) != tt.proof || a.Origin.Signature != tt.sig {
			t.Errorf("%s: got %+v from %+v, %v", tt.what, a, a.Origin, err)
		}
		if a, err = r.Resolve(t.Context(), query("alice.eth.", dns.TypeDS)); err != nil || a.AuthenticatedData != tt.ds || len(a.Answer) != 1 {
			t.Errorf("%s: DS: got %+v, %v", tt.what, a, err)
		}
		if a, err = r.Resolve(t.Context(), query("www.alice.eth.limo.", dns.TypeA)); err != nil || a.AuthenticatedData || a.Target != "www.alice.eth." {
			t.Errorf("%s: below an alias: got %+v, %v", tt.what, a, err)
		}
		for _, q := range []resolver.Query{query("www.alice.eth.", dns.TypeA), query("alice.eth.", dns.TypeDS)} {
			q.CD = true
			if a, err = r.Resolve(t.Context(), q); err != nil || a.AuthenticatedData {
				t.Errorf("%s: %v: got %+v, %v", tt.what, q, a, err)
			}
		}
	}
	// That there are no DS is proven like anything else.
	sys := delegated(t)
	sys.trust = chain.Proven
	if a, err := delegating(sys, secure(true)).Resolve(t.Context(), query("sub.carol.eth.", dns.TypeDS)); err != nil || !a.AuthenticatedData || len(a.Ns) != 1 {
		t.Errorf("no DS: got %+v, %v", a, err)
	}
}

// TestProofIsPassedOn has all the evidence of a proven answer, as JSON too.
func TestProofIsPassedOn(t *testing.T) {
	hash := func(first string) string { return "0x" + first + strings.Repeat("0", 62) }
	want := &resolver.Proof{
		Anchor: "beacon", Vouchers: []string{"beacon one"}, StateRoot: hash("03"), Trips: 2, Bytes: 4321,
		Accounts: []resolver.ProofAccount{
			{Address: "0x0000000000000000000000000000000000000001", Slots: 2}, {Address: "0x0000000000000000000000000000000000000002"},
		},
		Beacon: &resolver.BeaconProof{
			Network: "mainnet", Fork: "fulu", Checkpoint: hash("01"), CheckpointSlot: 64, Period: 3, Slot: 25000, Root: hash("02"),
			SignatureSlot: 25001, Signers: 400, Committee: 512, Finalized: true,
		},
	}
	resolve := func(src names.Source) *resolver.Origin {
		t.Helper()
		rec := names.Records{Exists: true, Apex: "alice.eth.", Source: src}
		a, err := onchain.New(&system{records: map[string]names.Records{"alice.eth.": rec}}, config()).Resolve(t.Context(), query("alice.eth.", dns.TypeA))
		if err != nil {
			t.Fatal(err)
		}
		return a.Origin
	}
	if got := resolve(proven()); !reflect.DeepEqual(got.Proof, want) || got.Trust != "proven" || got.Signature {
		t.Errorf("got %+v", got.Proof)
	}
	plain := proven("g.example")
	plain.Signature, plain.Proof.Anchor.Beacon, plain.Proof.Anchor.Source = true, nil, chain.AnchorQuorum
	if got := resolve(plain); got.Proof.Anchor != "quorum" || got.Proof.Beacon != nil || !got.Signature {
		t.Errorf("got %+v", got)
	}
	// What is not proven has no proof, nor a signature that anybody has seen.
	weak := proven("g.example")
	weak.Trust, weak.Signature = chain.Quorum, true
	if got := resolve(weak); got.Proof != nil || got.Signature {
		t.Errorf("got %+v", got)
	}
}

// TestManyAccounts: a contract can have any number of others read; the evidence stays short and says so.
func TestManyAccounts(t *testing.T) {
	src := proven()
	src.Proof.Accounts = slices.Repeat([]chain.ProvenAccount{{Address: common.Address{0xff}, Slots: 1 << 30}}, 5000)
	rec := names.Records{Exists: true, Apex: "alice.eth.", Source: src}
	a, err := onchain.New(&system{records: map[string]names.Records{"alice.eth.": rec}}, config()).Resolve(t.Context(), query("alice.eth.", dns.TypeA))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(a.Origin)
	if p := a.Origin.Proof; err != nil || len(p.Accounts) != 64 || p.LeftOut != 5000-64 || len(text) > 8<<10 {
		t.Errorf("%d accounts, %d left out, %d octets, %v", len(p.Accounts), p.LeftOut, len(text), err)
	}
}
