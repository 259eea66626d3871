package onchain_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/chain"
	"dens/names"
	"dens/resolver"
)

func TestBadDelegations(t *testing.T) {
	ns := []string{"alice.eth. 60 IN NS ns.example.org."}
	long := strings.Repeat("ab", 32)
	raw := func(rrtype uint16, wire []byte) names.RRset {
		return names.RRset{Owner: "alice.eth.", Type: rrtype, Wire: wire}
	}
	with := func(c names.Cut, sets ...names.RRset) names.Cut {
		c.RRsets = append(c.RRsets, sets...)
		return c
	}
	var many []string
	for i := range 17 {
		many = append(many, fmt.Sprintf("alice.eth. 60 IN DS %d 13 2 %s", i, long))
	}
	tests := []struct {
		what string
		cut  names.Cut
		code uint16
		text string
	}{
		{"DS with a short digest", cutAt(t, "alice.eth.", ns, []string{"alice.eth. 60 IN DS 1 13 2 abab"}), 24, "wrong length"},
		{"DS with a long digest", cutAt(t, "alice.eth.", ns, []string{"alice.eth. 60 IN DS 1 13 1 " + long}), 24, "wrong length"},
		{"DS with half a digest of SHA-384", cutAt(t, "alice.eth.", ns, []string{"alice.eth. 60 IN DS 1 13 4 " + long}), 24, "wrong length"},
		{"one bad DS of two", cutAt(t, "alice.eth.", ns, []string{"alice.eth. 60 IN DS 1 13 2 " + long, "alice.eth. 60 IN DS 1 13 2 ab"}), 24, "wrong length"},
		{"DS without a digest", with(cutAt(t, "alice.eth.", ns), raw(dns.TypeDS, wire(t, `alice.eth. 60 IN TYPE43 \# 4 00010d02`))), 24, ""},
		{"DS cut short", with(cutAt(t, "alice.eth.", ns), raw(dns.TypeDS, wire(t, `alice.eth. 60 IN TYPE43 \# 3 00010d`))), 24, ""},
		{"DS of another name", with(cutAt(t, "alice.eth.", ns), raw(dns.TypeDS, wire(t, "bob.eth. 60 IN DS 1 13 2 "+long))), 24, "another owner"},
		{"too many DS", cutAt(t, "alice.eth.", ns, many), 24, "17 DS records"},
		{"DS as text that is none", names.Cut{Owner: "alice.eth.", RRsets: cutAt(t, "alice.eth.", ns).RRsets,
			Texts: []names.Text{{Type: dns.TypeDS, JSON: "1 13 2 ab"}}}, 24, "JSON"},
		{"DS as text with a short digest", names.Cut{Owner: "alice.eth.", RRsets: cutAt(t, "alice.eth.", ns).RRsets,
			Texts: []names.Text{{Type: dns.TypeDS, JSON: `["1 13 2 ab"]`}}}, 24, "wrong length"},
		{"NS that does not parse", with(names.Cut{Owner: "alice.eth."}, raw(dns.TypeNS, []byte{1, 2, 3})), 24, "does not parse"},
		{"cut of another name", cutAt(t, "bob.eth.", []string{"bob.eth. 60 IN NS ns.example.org."}), 24, "not above"},
		{"cut at the system's zone", cutAt(t, "eth.", []string{"eth. 60 IN NS ns.example.org."}), 24, "not above"},
		{"cut below the name", cutAt(t, "www.alice.eth.", []string{"www.alice.eth. 60 IN NS ns.example.org."}), 24, "not above"},
		{"no NS is a host name", cutAt(t, "alice.eth.", []string{"alice.eth. 60 IN NS .", `alice.eth. 60 IN NS a\.b.example.`, "alice.eth. 60 IN NS -a.example."}), 22, "alice.eth."},
		{"all NS are below it, without addresses", cutAt(t, "alice.eth.", []string{"alice.eth. 60 IN NS ns.alice.eth."}), 22, "alice.eth."},
		{"all NS are below it, one with a bad address", cutAt(t, "alice.eth.", []string{"alice.eth. 60 IN NS bad.alice.eth.", "alice.eth. 60 IN NS ns.alice.eth."}), 24, "addresses of the name servers of alice.eth."},
		{"all NS are below it, and the chain is away", cutAt(t, "alice.eth.", []string{"alice.eth. 60 IN NS lost.alice.eth."}), 22, "chain unreachable"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			sys := delegated(t)
			sys.records["alice.eth."] = inAlice(tt.cut)
			sys.records["bad.alice.eth. A"] = names.Records{Exists: true, Apex: "alice.eth.", RRsets: []names.RRset{{Owner: "bad.alice.eth.", Type: dns.TypeA, Wire: []byte{1}}}}
			sys.errs = map[string]error{"lost.alice.eth.": chain.ErrUnavailable}
			it := &iterator{}
			r := delegating(sys, it)
			a, err := r.Resolve(t.Context(), query("alice.eth.", dns.TypeA))
			var e *resolver.Error
			if !errors.As(err, &e) || e.Code != tt.code || e.Rcode != dns.RcodeServerFailure || !strings.Contains(e.Text, tt.text) || len(it.at) > 0 {
				t.Errorf("got %+v, %+v", a, err)
			}
			if tt.code != 24 || strings.Contains(tt.text, "addresses") {
				return
			}
			if a, err := r.Resolve(t.Context(), query("alice.eth.", dns.TypeDS)); err == nil {
				t.Errorf("DS: got %+v", a)
			}
		})
	}
}

func TestOddDelegations(t *testing.T) {
	t.Run("more servers than are asked", func(t *testing.T) {
		var ns []string
		for i := range 40 {
			ns = append(ns, fmt.Sprintf("alice.eth. 60 IN NS ns%02d.alice.eth.", i))
		}
		sys, it := delegated(t), &iterator{}
		sys.records["alice.eth."] = inAlice(cutAt(t, "alice.eth.", ns))
		sys.records["ns00.alice.eth. A"] = names.Records{Apex: "alice.eth.", RRsets: []names.RRset{set(t, "ns00.alice.eth. 60 IN A 192.0.2.1")}}
		if _, err := delegating(sys, it).Resolve(t.Context(), query("alice.eth.", dns.TypeA)); err != nil {
			t.Fatal(err)
		}
		if len(it.at[0].NS) != 13 || len(sys.reset()) != 1+2*6 {
			t.Errorf("servers are %v", it.at[0].NS)
		}
	})
	t.Run("the same server twice", func(t *testing.T) {
		sys, it := delegated(t), &iterator{}
		sys.records["alice.eth."] = inAlice(cutAt(t, "alice.eth.", []string{"alice.eth. 60 IN NS ns.example.org.", "alice.eth. 60 IN NS NS.example.org."}))
		if _, err := delegating(sys, it).Resolve(t.Context(), query("alice.eth.", dns.TypeA)); err != nil || len(it.at[0].NS) != 1 {
			t.Errorf("servers are %v, %v", it.at, err)
		}
	})
	t.Run("TTL of a week", func(t *testing.T) {
		sys, it := delegated(t), &iterator{}
		sys.records["alice.eth."] = inAlice(cutAt(t, "alice.eth.", []string{"alice.eth. 604800 IN NS ns.example.org."}))
		if _, err := delegating(sys, it).Resolve(t.Context(), query("alice.eth.", dns.TypeA)); err != nil || it.at[0].TTL != time.Hour {
			t.Errorf("TTL is %v, %v", it.at, err)
		}
	})
	t.Run("dens among the servers answers itself", func(t *testing.T) {
		sys, it := delegated(t), &iterator{}
		sys.records["alice.eth."] = inAlice(cutAt(t, "alice.eth.", []string{"alice.eth. 60 IN NS ns.example.org.", "alice.eth. 60 IN NS NS.dens.alt."}))
		if a, err := delegating(sys, it).Resolve(t.Context(), query("alice.eth.", dns.TypeA)); err != nil || len(it.at) > 0 || !a.Authoritative {
			t.Errorf("got %+v, %v", a, err)
		}
	})
	t.Run("below a DNAME", func(t *testing.T) {
		sys, it := delegated(t), &iterator{}
		rec := inAlice(cutAt(t, "b.a.alice.eth.", []string{"b.a.alice.eth. 60 IN NS ns.example.org."}))
		rec.RRsets = []names.RRset{set(t, "a.alice.eth. 60 IN DNAME example.org.")}
		sys.records["x.b.a.alice.eth."] = rec
		if a, err := delegating(sys, it).Resolve(t.Context(), query("x.b.a.alice.eth.", dns.TypeA)); err != nil || a.Target != "x.b.example.org." {
			t.Errorf("got %+v, %v", a, err)
		}
		// One at the cut is for the zone below to say.
		rec.Cuts = []names.Cut{cutAt(t, "a.alice.eth.", []string{"a.alice.eth. 60 IN NS ns.example.org."})}
		sys.records["x.b.a.alice.eth."] = rec
		if _, err := delegating(sys, it).Resolve(t.Context(), query("x.b.a.alice.eth.", dns.TypeA)); err != nil || len(it.at) != 1 {
			t.Errorf("iterator was asked at %v, %v", it.at, err)
		}
	})
	t.Run("names that the system cannot hold", func(t *testing.T) {
		sys, it := delegated(t), &iterator{}
		sys.errs = map[string]error{
			"a_b.alice.eth.": names.ErrNotNormal, `x.a\.b.alice.eth.`: names.ErrNotNormal, `a\.b.alice.eth.`: names.ErrNotNormal,
			"x.www.alice.eth.": names.ErrTooDeep, "a_b.eth.": names.ErrNotNormal, "a_b.nobody.eth.": names.ErrNotNormal,
			"deep.nobody.eth.": names.ErrTooDeep, "a_b.lost.eth.": names.ErrNotNormal, "lost.eth.": chain.ErrUnavailable,
		}
		r := delegating(sys, it)
		for _, name := range []string{"a_b.alice.eth.", `x.a\.b.alice.eth.`, "x.www.alice.eth."} {
			it.at = nil
			if a, err := r.Resolve(t.Context(), query(name, dns.TypeDS)); err != nil || len(it.at) != 1 || it.at[0].Zone != "alice.eth." || a.Origin.Name != name {
				t.Errorf("%s: got %+v, %v", name, a, err)
			}
		}
		it.at = nil
		sys.reset()
		for name, rcode := range map[string]int{"a_b.eth.": 3, "a_b.nobody.eth.": 3} {
			if a, err := r.Resolve(t.Context(), query(name, dns.TypeA)); err != nil || a.Rcode != rcode || len(a.EDE) != 1 {
				t.Errorf("%s: got %+v, %v", name, a, err)
			}
		}
		if asked := sys.reset(); len(asked) != 3 {
			t.Errorf("asked %q", asked)
		}
		for name, code := range map[string]uint16{"deep.nobody.eth.": 21, "a_b.lost.eth.": 22} {
			var e *resolver.Error
			if a, err := r.Resolve(t.Context(), query(name, dns.TypeA)); !errors.As(err, &e) || e.Code != code {
				t.Errorf("%s: got %+v, %v", name, a, err)
			}
		}
		if len(it.at) > 0 {
			t.Errorf("iterator was asked at %v", it.at)
		}
	})
}
