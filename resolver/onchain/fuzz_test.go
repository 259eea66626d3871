package onchain_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/chain"
	"dens/names"
	"dens/resolver"
	"dens/resolver/onchain"
)

// checkAnswer holds an answer against what no contract may bring about: a record of a name that is
// neither the one asked for nor a DNAME's owner above it in its zone, another class, a type that was not
// asked for, or a message that does not unpack again.
func checkAnswer(t *testing.T, q resolver.Query, apex string, a *resolver.Answer) {
	t.Helper()
	for _, rr := range a.Answer {
		h := rr.Header()
		if h.Class != dns.ClassINET {
			t.Errorf("class of %v", rr)
		}
		switch {
		case h.Rrtype == dns.TypeDNAME && h.Name != q.Name:
			if !dns.IsSubDomain(apex, h.Name) || !dns.IsSubDomain(h.Name, q.Name) {
				t.Errorf("owner of %v", rr)
			}
		case h.Name != q.Name:
			t.Errorf("owner of %v", rr)
		case h.Rrtype != q.Type && h.Rrtype != dns.TypeCNAME:
			t.Errorf("type of %v", rr)
		}
		if h.Ttl > 1<<31-1 {
			t.Errorf("TTL of %v", rr)
		}
	}
	m := &dns.Msg{Compress: true, Question: []dns.Question{{Name: q.Name, Qtype: q.Type, Qclass: q.Class}}, Answer: a.Answer, Ns: a.Ns}
	packed, err := m.Pack()
	if err != nil {
		t.Fatalf("does not pack: %v", err)
	}
	if len(packed) > 0xffff {
		return // reply turns it into a failure
	}
	var again dns.Msg
	if err := again.Unpack(packed); err != nil {
		t.Fatalf("does not unpack: %v", err)
	}
	if len(again.Answer) != len(a.Answer) {
		t.Errorf("%d records went in, %d came out", len(a.Answer), len(again.Answer))
	}
}

func resolve(t *testing.T, q resolver.Query, rec names.Records) {
	t.Helper()
	r := onchain.New(&system{records: map[string]names.Records{"www.alice.eth.": rec}}, config())
	a, err := r.Resolve(t.Context(), q)
	var e *resolver.Error
	switch {
	case err == nil:
		apex := "alice.eth."
		if q.Name == "www.alice.eth.limo." {
			apex = "alice.eth.limo."
		}
		checkAnswer(t, q, apex, a)
	case !errors.As(err, &e):
		t.Fatalf("an error without a cause: %v", err)
	}
}

func FuzzRRset(f *testing.F) {
	seeds := []string{
		"www.alice.eth. 60 IN A 192.0.2.7", "www.alice.eth. 60 IN CNAME example.org.", "alice.eth. 60 IN DNAME example.org.",
		"*.alice.eth. 60 IN TXT \"a\" \"b\"", "www.alice.eth. 60 IN HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1",
		"www.alice.eth. 60 IN NAPTR 100 50 \"s\" \"http\" \"\" _x.example.", "www.alice.eth. 60 IN LOC 51 30 12.748 N 00 07 39.611 W 0.00m 0.00m 0.00m 0.00m",
		"www.alice.eth. 60 IN NSEC b. A RRSIG", "www.alice.eth. 60 IN CAA 0 issue \"ca.example\"", "www.alice.eth. 60 IN APL 1:192.0.2.0/24",
		"www.alice.eth. 60 IN TYPE262 \\# 2 0161",
	}
	for _, s := range seeds {
		rr, err := dns.NewRR(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(rr.Header().Rrtype, rr.Header().Rrtype, rr.Header().Name, wire(f, s), false)
	}
	f.Add(dns.TypeA, dns.TypeA, "www.alice.eth.", bytes.Repeat([]byte{0xc0, 0}, 40), true)
	f.Fuzz(func(t *testing.T, asked, stored uint16, owner string, data []byte, alias bool) {
		if asked == dns.TypeANY {
			return // is answered without the data
		}
		q := resolver.Query{Name: "www.alice.eth.", Type: asked, Class: dns.ClassINET}
		if alias {
			q.Name = "www.alice.eth.limo."
		}
		rec := names.Records{Exists: true, Apex: "alice.eth.", RRsets: []names.RRset{{Owner: owner, Type: stored, Wire: data}}}
		resolve(t, q, rec)
	})
}

func FuzzText(f *testing.F) {
	f.Add(dns.TypeA, dns.TypeA, `["192.0.2.7"]`, "60", []byte{0xe3, 1}, "/ipfs/a", "0x1")
	f.Add(dns.TypeTXT, dns.TypeTXT, `["\"a\" \"b\""]`, "", []byte{0xe3, 1}, `/ipns/\a"`, `\`)
	f.Add(dns.TypeA, dns.TypeCNAME, `["example.org"]`, "4294967296", []byte{}, "", "")
	f.Add(dns.TypeMX, dns.TypeMX, `["10 mx"]`, "-1", []byte{}, "", "")
	f.Add(dns.TypeHTTPS, dns.TypeHTTPS, `["1 . alpn=h2"]`, "x", []byte{}, "", "")
	f.Add(uint16(262), uint16(262), `["ETH 0x1", "\\# 2 0161"]`, "x", []byte{}, "", "\xff")
	f.Add(dns.TypeA, dns.TypeA, `["1.2.3.4\n$GENERATE 1-65535 $ A 1.2.3.4"]`, "1", []byte{}, "", "")
	f.Fuzz(func(t *testing.T, asked, stored uint16, json, ttl string, hash []byte, path, address string) {
		if asked == dns.TypeANY {
			return
		}
		q := resolver.Query{Name: "www.alice.eth.", Type: asked, Class: dns.ClassINET}
		resolve(t, q, names.Records{
			Exists: true, Apex: "alice.eth.", Texts: []names.Text{{Type: stored, JSON: json, TTL: ttl}},
			ContentHash: hash, ContentPath: path, Addresses: []names.Address{{Currency: "ETH", Text: address}},
		})
	})
}

// FuzzCut lets a contract say anything about a zone cut: it is an error with a cause, or no cut, or a
// Delegation within its bounds, and never an insecure one where DS are stored.
func FuzzCut(f *testing.F) {
	ns, ds := wire(f, "alice.eth. 60 IN NS ns.example.org."), wire(f, "alice.eth. 60 IN DS 1 13 2 "+digest)
	f.Add(ns, ds, "", "", false)
	f.Add(ns, []byte{}, "", `["1 13 2 `+digest+`"]`, true)
	f.Add([]byte{}, []byte{}, `["ns.example.org","ns1.alice.eth."]`, `["1 13 4 `+digest+`"]`, false)
	f.Add(wire(f, "alice.eth. 60 IN NS .", `alice.eth. 60 IN NS a\.b.`), ds[:len(ds)-1], `["."]`, `[]`, true)
	f.Add(append(ns, wire(f, "alice.eth. 4294967295 IN NS ns1.alice.eth.")...), append(ds, ds...), "", " ", false)
	f.Fuzz(func(t *testing.T, ns, ds []byte, nsText, dsText string, below bool) {
		cut := names.Cut{
			Owner:  "alice.eth.",
			RRsets: []names.RRset{{Owner: "alice.eth.", Type: dns.TypeNS, Wire: ns}, {Owner: "alice.eth.", Type: dns.TypeDS, Wire: ds}},
			Texts:  []names.Text{{Type: dns.TypeNS, JSON: nsText}, {Type: dns.TypeDS, JSON: dsText}},
		}
		name := "alice.eth."
		if below {
			name = "www.alice.eth."
		}
		it, sys := &iterator{}, &delegator{trust: chain.Proven, records: map[string]names.Records{
			name: {Exists: true, Apex: "alice.eth.", Cuts: []names.Cut{cut}},
		}}
		a, err := delegating(sys, it).Resolve(t.Context(), query(name, dns.TypeA))
		var e *resolver.Error
		switch {
		case err != nil && !errors.As(err, &e):
			t.Fatalf("an error without a cause: %v", err)
		case err != nil || len(it.at) == 0:
			if len(it.at) > 0 || a != nil && a.Origin.Delegation != "" {
				t.Fatalf("asked at %v, got %+v", it.at, a)
			}
			return
		}
		sys.trust = chain.Quorum
		if a, err := delegating(sys, &iterator{}).Resolve(t.Context(), query(name, dns.TypeA)); err != nil || a.AuthenticatedData {
			t.Errorf("not proven, but got %+v, %v", a, err)
		}
		d := it.at[0]
		if d.Zone != "alice.eth." || len(d.NS) == 0 || len(d.NS) > 13 || len(d.DS) > 16 || d.TTL < 0 || d.TTL > time.Hour {
			t.Errorf("delegation %+v", d)
		}
		if stored := len(ds) > 0; stored && len(d.DS) == 0 || a.AuthenticatedData != (len(d.DS) > 0) {
			t.Errorf("%d DS of %x, AD %v", len(d.DS), ds, a.AuthenticatedData)
		}
		for _, host := range d.NS {
			if host != dns.CanonicalName(host) || host == "." || strings.ContainsAny(host, `\ *`) {
				t.Errorf("server %q", host)
			}
		}
		for _, rr := range d.DS {
			if lengths := map[uint8]int{1: 40, 2: 64, 4: 96}; lengths[rr.DigestType] != 0 && len(rr.Digest) != lengths[rr.DigestType] {
				t.Errorf("DS %v", rr)
			}
		}
	})
}
