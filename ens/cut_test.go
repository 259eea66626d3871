package ens

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"dens/chain"
	"dens/names"

	"github.com/ethereum/go-ethereum/common"
	"github.com/miekg/dns"
)

// delegated is a world with zone cuts of every kind.
func delegated(t testing.TB) *world {
	w := newWorld(t)
	w.owners[testNode("eth")] = common.HexToAddress("0xbeef")
	public := w.newContract()

	w.register("apex.eth", public)
	public.zone("apex.eth",
		"apex.eth. 60 IN NS ns1.apex.eth.", "apex.eth. 60 IN NS ns.example.org.",
		"apex.eth. 60 IN DS 1 13 2 "+strings.Repeat("ab", 32),
		"ns1.apex.eth. 60 IN A 192.0.2.1",
		"sub.apex.eth. 60 IN NS ns.example.net.")
	w.register("alice.eth", public)
	public.zone("alice.eth",
		"alice.eth. 60 IN A 192.0.2.1",
		"cut.alice.eth. 60 IN NS ns.example.org.",
		"cut.alice.eth. 60 IN DS 1 13 2 "+strings.Repeat("ab", 32),
		"www.cut.alice.eth. 60 IN A 192.0.2.2",
		"below.cut.alice.eth. 60 IN NS ns.example.net.",
		"plain.alice.eth. 60 IN NS ns.example.org.",
		"c.b.a.alice.eth. 60 IN NS ns.example.org.",
		"c.b.a.alice.eth. 60 IN DS 7 13 2 "+strings.Repeat("cd", 32),
		"*.wild.alice.eth. 60 IN NS ns.example.org.",
		"ds.alice.eth. 60 IN DS 1 13 2 "+strings.Repeat("ab", 32))
	w.register("own.cut.alice.eth", public) // has a resolver of its own, so it is a zone of the chain's
	w.register("texts.eth", public)
	public.text("texts.eth", "dns.NS", `["ns.example.org."]`)
	public.text("texts.eth", "dns.DS", `["1 13 2 00"]`)
	w.register("bare.eth", nil)

	wild := w.newWildcard()
	w.register("wild.eth", wild)
	wild.zone("sub.wild.eth", "sub.wild.eth. 60 IN NS ns.example.org.", "sub.wild.eth. 60 IN DS 1 13 2 00")
	wild.text("text.wild.eth", "dns.NS", `["ns.example.org."]`)
	wild.text("text.wild.eth", "dns.DS", `["1 13 2 00"]`)

	strict := w.newWildcard() // refuses what it does not know, and keeps a zone besides
	w.register("strict.eth", strict)
	strict.says = func(name string, call []byte) reply {
		if strings.HasSuffix("known.strict.eth", name) {
			return strict.plain(call)
		}
		return reverts("Error", "no such name")
	}
	strict.zone("known.strict.eth", "known.strict.eth. 60 IN NS ns.example.org.")
	strict.zone("strict.eth", "zoned.strict.eth. 60 IN NS ns.example.net.", "zoned.strict.eth. 60 IN DS 1 13 2 00")

	all := w.newWildcard() // delegated as a whole, although it answers for the names below
	w.register("all.eth", all)
	all.zone("all.eth", "all.eth. 60 IN NS ns.example.org.")
	return w
}

func describeCuts(r names.Records) string {
	var parts []string
	for _, cut := range r.Cuts {
		s := cut.Owner
		for _, set := range cut.RRsets {
			s += fmt.Sprintf(" %s:%d", dns.TypeToString[set.Type], countRRs(set.Wire))
			if set.Owner != cut.Owner {
				s += "(of " + set.Owner + ")"
			}
		}
		for _, text := range cut.Texts {
			s += fmt.Sprintf(" %s=%s", dns.TypeToString[text.Type], text.JSON)
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

func TestLookupCuts(t *testing.T) {
	deep := "e.d.c.b.a.alice.eth."
	tests := []struct {
		name                string
		kind                uint16
		want                string
		universal, registry int // Calls
	}{
		{"apex.eth.", dns.TypeA, "apex.eth. NS:2 DS:1", 1, 2},
		{"apex.eth.", dns.TypeNS, "apex.eth. NS:2 DS:1", 1, 2},
		{"apex.eth.", dns.TypeDS, "apex.eth. NS:2 DS:1", 1, 2},
		{"www.apex.eth.", dns.TypeA, "apex.eth. NS:2 DS:1", 1, 2},
		{"ns1.apex.eth.", dns.TypeA, "apex.eth. NS:2 DS:1", 1, 2},
		{"x.sub.apex.eth.", dns.TypeA, "apex.eth. NS:2 DS:1, sub.apex.eth. NS:1", 1, 2},
		{"alice.eth.", dns.TypeNS, "", 1, 2},
		{"www.alice.eth.", dns.TypeA, "", 1, 2},
		{"cut.alice.eth.", dns.TypeA, "cut.alice.eth. NS:1 DS:1", 1, 2},
		{"cut.alice.eth.", dns.TypeNS, "cut.alice.eth. NS:1 DS:1", 1, 2},
		{"cut.alice.eth.", dns.TypeDS, "cut.alice.eth. NS:1 DS:1", 1, 2},
		{"www.cut.alice.eth.", dns.TypeDS, "cut.alice.eth. NS:1 DS:1", 1, 2},
		{"x.below.cut.alice.eth.", dns.TypeA, "cut.alice.eth. NS:1 DS:1", 1, 2},
		{"own.cut.alice.eth.", dns.TypeA, "", 1, 2},
		{"*.cut.alice.eth.", dns.TypeA, "cut.alice.eth. NS:1 DS:1", 1, 2},
		{"plain.alice.eth.", dns.TypeA, "plain.alice.eth. NS:1", 1, 2},
		{"ds.alice.eth.", dns.TypeDS, "", 1, 2},
		{"any.wild.alice.eth.", dns.TypeNS, "", 1, 2}, // a wildcard is no cut
		{"*.wild.alice.eth.", dns.TypeNS, "", 1, 2},
		{"c.b.a.alice.eth.", dns.TypeA, "c.b.a.alice.eth. NS:1 DS:1", 1, 2},
		{deep, dns.TypeA, "c.b.a.alice.eth. NS:1 DS:1", 2, 4}, // too deep for all the DS at once
		{"x.y.z." + deep, dns.TypeA, "", 0, 0},
		{"z." + deep, dns.TypeA, "c.b.a.alice.eth. NS:1 DS:1", 2, 4},
		{"h.g.f.e.d.c.b.apex.eth.", dns.TypeA, "apex.eth. NS:2 DS:1", 2, 4},
		{"g.f.e.d.c.b.apex.eth.", dns.TypeDS, "apex.eth. NS:2 DS:1", 2, 4},
		{"texts.eth.", dns.TypeA, `texts.eth. NS=["ns.example.org."] DS=["1 13 2 00"]`, 1, 2},
		{"texts.eth.", dns.TypeNS, `texts.eth. NS=["ns.example.org."] DS=["1 13 2 00"]`, 1, 2},
		{"texts.eth.", dns.TypeDS, `texts.eth. NS=["ns.example.org."] DS=["1 13 2 00"]`, 1, 2},
		{"x.texts.eth.", dns.TypeA, `texts.eth. NS=["ns.example.org."] DS=["1 13 2 00"]`, 1, 2},
		{"a.b.c.d.texts.eth.", dns.TypeA, `texts.eth. NS=["ns.example.org."] DS=["1 13 2 00"]`, 2, 4},
		{"bare.eth.", dns.TypeA, "", 1, 1},
		{"nobody.eth.", dns.TypeA, "", 1, 1},
		{"eth.", dns.TypeNS, "", 1, 1},
		{"sub.wild.eth.", dns.TypeA, "sub.wild.eth. NS:1 DS:1", 1, 2},
		{"x.y.sub.wild.eth.", dns.TypeA, "sub.wild.eth. NS:1 DS:1", 1, 4},
		{"text.wild.eth.", dns.TypeA, `text.wild.eth. NS=["ns.example.org."] DS=["1 13 2 00"]`, 1, 2},
		{"x.text.wild.eth.", dns.TypeNS, `text.wild.eth. NS=["ns.example.org."] DS=["1 13 2 00"]`, 1, 4},
		{"other.wild.eth.", dns.TypeA, "", 1, 2},
		{"wild.eth.", dns.TypeA, "", 1, 2},
		{"known.strict.eth.", dns.TypeA, "known.strict.eth. NS:1", 1, 2},
		{"zoned.strict.eth.", dns.TypeA, "zoned.strict.eth. NS:1 DS:1", 2, 3},
		{"x.all.eth.", dns.TypeA, "all.eth. NS:1", 1, 4},
		{"all.eth.", dns.TypeDS, "all.eth. NS:1", 1, 2},
	}
	w := delegated(t)
	for how, system := range w.systems() {
		for _, tt := range tests {
			t.Run(how+"/"+tt.name+"/"+typeName(tt.kind), func(t *testing.T) {
				w.reset()
				r, err := system.LookupCuts(context.Background(), tt.name, tt.kind)
				if tt.universal == 0 {
					if !errors.Is(err, names.ErrTooDeep) {
						t.Errorf("error is %v", err)
					}
				} else if err != nil || describeCuts(r) != tt.want {
					t.Errorf("got  %s, %v\nwant %s", describeCuts(r), err, tt.want)
				}
				want := tt.universal
				if how == "registry" {
					want = tt.registry
				}
				calls := w.reset()
				if len(calls) != want {
					t.Errorf("%d calls, want %d", len(calls), want)
				}
				for i, c := range calls {
					if (c.At != nil) != (i > 0) {
						t.Errorf("call %d is made at %v", i, c.At)
					}
				}
			})
		}
	}
}

// TestCutsChangeNothing: a name that is not delegated is answered as ever, for as many Calls.
func TestCutsChangeNothing(t *testing.T) {
	w := sample(t)
	for how, system := range w.systems() {
		for _, name := range []string{
			"alice.eth.", "www.alice.eth.", "x.y.old.alice.eth.", "any.wild.alice.eth.", "*.wild.alice.eth.", "none.alice.eth.",
			"_dnslink.alice.eth.", "own.alice.eth.", "x.own.alice.eth.", "b.c.d.e.f.g.h.alice.eth.", "a.b.c.d.e.alice.eth.",
			"texts.eth.", "nodns.eth.", "x.nodns.eth.", "empty.eth.", "bare.eth.", "person.eth.", "x.person.eth.", "nobody.eth.", "eth.",
			"sub.wild.eth.", "known.strict.eth.", "unknown.strict.eth.", "*.strict.eth.", "name.addronly.eth.", "not_normal.eth.",
		} {
			for _, rrtype := range []uint16{dns.TypeA, dns.TypeNS, dns.TypeDS, dns.TypeTXT, dns.TypeDNAME} {
				w.reset()
				want, wantErr := system.Lookup(context.Background(), name, rrtype)
				calls := len(w.reset())
				got, err := system.LookupCuts(context.Background(), name, rrtype)
				if (err == nil) != (wantErr == nil) || !reflect.DeepEqual(got, want) {
					t.Errorf("%s: %s %s:\ngot  %+v, %v\nwant %+v, %v", how, name, typeName(rrtype), got, err, want, wantErr)
				}
				if n := len(w.reset()); n != calls {
					t.Errorf("%s: %s %s: %d calls with cuts, %d without", how, name, typeName(rrtype), n, calls)
				}
			}
		}
	}
}

// TestCutsThatAreNotKnown: NS or DS that could not be had are not the absence of a cut.
func TestCutsThatAreNotKnown(t *testing.T) {
	rrtypeOf := func(call []byte) uint16 { return uint16(call[98])<<8 | uint16(call[99]) }
	onRRset := func(rrtype uint16, r reply) func([]byte) *reply {
		return func(call []byte) *reply {
			if isMethod(call, "dnsRecord") && rrtypeOf(call) == rrtype {
				return &r
			}
			return nil
		}
	}
	garbage := reply{data: []byte(strings.Repeat("\xff", 96))}
	httpError := reverts("HttpError", uint16(502), "bad gateway")
	tests := []struct {
		what, name string
		spoil      func(alice, wild *contract)
		err        error
		want       string
	}{
		{"NS is garbage", "www.cut.alice.eth.", func(c, _ *contract) { c.all = onRRset(dns.TypeNS, garbage) }, names.ErrMalformed, ""},
		{"NS could not be had", "www.cut.alice.eth.", func(c, _ *contract) { c.all = onRRset(dns.TypeNS, reply{err: chain.ErrLimit}) }, chain.ErrLimit, ""},
		{"DS is garbage", "www.cut.alice.eth.", func(c, _ *contract) { c.all = onRRset(dns.TypeDS, garbage) }, names.ErrMalformed, ""},
		{"DS is garbage, and there is no cut", "www.alice.eth.", func(c, _ *contract) { c.all = onRRset(dns.TypeDS, garbage) }, nil, ""},
		{"DS is garbage far above", "e.d.c.b.a.alice.eth.", func(c, _ *contract) { c.all = onRRset(dns.TypeDS, garbage) }, names.ErrMalformed, ""},
		{"NS of 64 KiB and more", "www.cut.alice.eth.", func(c, _ *contract) {
			c.all = onRRset(dns.TypeNS, returns("dnsRecord", bytesOf(maxRRset+1)))
		}, names.ErrMalformed, ""},
		{"resolver without DNS profile", "www.cut.alice.eth.", func(c, _ *contract) {
			c.supports = map[string]bool{"addr": true, "text": true}
		}, nil, ""},
		{"gateway fails for the parent's NS", "x.sub.wild.eth.", func(_, c *contract) {
			c.says = func(name string, call []byte) reply {
				if name == "sub.wild.eth" && isMethod(call, "dnsRecord") {
					return httpError
				}
				return c.plain(call)
			}
		}, chain.ErrGateway, ""},
		{"gateway's data refused for the parent's NS", "x.sub.wild.eth.", func(_, c *contract) {
			c.gateways = []string{"gateway.example"}
			c.says = func(name string, call []byte) reply {
				if name == "sub.wild.eth" && isMethod(call, "dnsRecord") {
					return reverts("Error", "signature")
				}
				return c.plain(call)
			}
		}, chain.ErrGateway, ""},
		{"gateway's data refused for the NS itself", "sub.wild.eth.", func(_, c *contract) { c.forged("dnsRecord", reverts("Error", "signature")) }, chain.ErrGateway, ""},
		{"gateway that is lost for all RRsets", "x.sub.wild.eth.", func(_, c *contract) { c.lost = "dnsRecord" }, chain.ErrGateway, ""},
		{"wildcard resolver without DNS profile", "x.sub.wild.eth.", func(_, c *contract) {
			c.says = func(_ string, call []byte) reply {
				if isMethod(call, "dnsRecord") {
					return reverts("Error", "not supported")
				}
				return c.plain(call)
			}
		}, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			w := delegated(t)
			tt.spoil(w.code[w.resolvers[testNode("alice.eth")]], w.code[w.resolvers[testNode("wild.eth")]])
			for how, system := range w.systems() {
				r, err := system.LookupCuts(context.Background(), tt.name, dns.TypeMX)
				if !errors.Is(err, tt.err) || err != nil && tt.err == nil {
					t.Errorf("%s: got %s, error is %v, want %v", how, describeCuts(r), err, tt.err)
				} else if err == nil && describeCuts(r) != tt.want {
					t.Errorf("%s: got %s, want %s", how, describeCuts(r), tt.want)
				}
			}
		})
	}
}

// TestCutsOffChain: cuts come from a gateway like all else, which the source says. Once the parent is known
// to be off the chain, a name without a cut costs its gateway two requests more than without looking for
// cuts at the name, and two at the parent; what vouches for a cut is asked for when there is one.
func TestCutsOffChain(t *testing.T) {
	for how, counts := range map[string][4]int{"universal": {13 + 15, 11 + 2, 9, 11 + 2 + 8}, "registry": {13 + 2, 11 + 2, 9, 11 + 2 + 8}} {
		w := newWorld(t)
		c := w.newWildcard()
		c.gateways = []string{"gateway.example"}
		c.zone("x.base.eth", "x.base.eth. 60 IN NS ns.example.org.", "x.base.eth. 60 IN DS 1 13 2 00")
		w.register("base.eth", c)
		system := w.systems()[how]
		asked := 0
		c.all = func(call []byte) *reply {
			if isMethod(call, "resolve") {
				asked++
			}
			return nil
		}
		for i, step := range []struct {
			name string
			look func(context.Context, string, uint16) (names.Records, error)
			want string
		}{
			{"y.base.eth.", system.LookupCuts, ""}, {"y.base.eth.", system.LookupCuts, ""}, {"y.base.eth.", system.Lookup, ""},
			{"x.base.eth.", system.LookupCuts, "x.base.eth. NS:1 DS:1"},
		} {
			asked = 0
			r, err := step.look(context.Background(), step.name, dns.TypeA)
			if err != nil || describeCuts(r) != step.want {
				t.Fatalf("%s: got %s, %v", how, describeCuts(r), err)
			}
			if len(r.Source.Gateways) != 1 || r.Source.Trust != chain.Quorum {
				t.Errorf("%s: source is %+v", how, r.Source)
			}
			if asked != counts[i] {
				t.Errorf("%s: look-up %d asked the gateway for %d items, want %d", how, i, asked, counts[i])
			}
		}
		if r, err := system.LookupCuts(context.Background(), "www.x.base.eth.", dns.TypeA); err != nil || describeCuts(r) != "x.base.eth. NS:1 DS:1" {
			t.Errorf("%s: below the cut: got %s, %v", how, describeCuts(r), err)
		}
	}
}

// TestTrustInLateDS: what a further Call brings counts for the trust in all.
func TestTrustInLateDS(t *testing.T) {
	w := delegated(t)
	w.trust = chain.Proven
	r, err := New(weakening{w}, w.systems()["universal"].Deployment()).LookupCuts(context.Background(), "e.d.c.b.a.alice.eth.", dns.TypeA)
	if err != nil || describeCuts(r) != "c.b.a.alice.eth. NS:1 DS:1" || r.Source.Trust != chain.Single {
		t.Errorf("got %s with trust %v, %v", describeCuts(r), r.Source.Trust, err)
	}
}
