package dnssec

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

var allAlgorithms = []uint8{dns.RSASHA1, dns.RSASHA1NSEC3SHA1, dns.RSASHA256, dns.RSASHA512,
	dns.ECDSAP256SHA256, dns.ECDSAP384SHA384, dns.ED25519, dns.ED448}

func TestEveryAlgorithm(t *testing.T) {
	v := New(Config{})
	for _, alg := range allAlgorithms {
		t.Run(dns.AlgorithmToString[alg], func(t *testing.T) {
			s := signerFor(t, "Example.", alg, dns.ZONE|dns.SEP)
			keys := keysOf(t, v, s)
			set := s.signSet(t, rrs(t, "Host.Example. 300 IN MX 10 A.Example.\nHost.Example. 300 IN MX 5 b.example.")...)
			res := v.ValidateRRset(set, keys, now, NewBudget(Limits{}))
			if res.Status != Secure || res.TTL != 300 || res.Expanded {
				t.Fatalf("%+v", res)
			}
			if alg != dns.ED448 { // the library agrees with what was signed
				if err := set.Sigs[0].Verify(s.Key, set.RRs); err != nil {
					t.Errorf("library: %v", err)
				}
			}
			set.RRs[0].(*dns.MX).Preference++
			if res := v.ValidateRRset(set, keys, now, NewBudget(Limits{})); res.Status != Bogus || res.Code != dns.ExtendedErrorCodeDNSBogus {
				t.Errorf("changed data: %v", res.Verdict)
			}
		})
	}
}

func TestPolicyOfAlgorithms(t *testing.T) {
	lax, strict := New(Config{}), New(Config{RefuseSHA1Signatures: true, RefuseSHA1Digests: true})
	for alg := range uint8(255) {
		want := false
		switch alg {
		case 5, 7, 8, 10, 13, 14, 15, 16:
			want = true
		}
		if lax.Algorithm(alg) != want || strict.Algorithm(alg) != (want && alg != 5 && alg != 7) {
			t.Errorf("algorithm %d", alg)
		}
	}
	for d := range uint8(255) {
		if lax.Digest(d) != (d == 1 || d == 2 || d == 4) || strict.Digest(d) != (d == 2 || d == 4) {
			t.Errorf("digest %d", d)
		}
	}
}

// Each case breaks one thing in a good RRset.
func TestBrokenSignatures(t *testing.T) {
	v := New(Config{})
	s := signerFor(t, "example.", dns.ED25519, dns.ZONE|dns.SEP)
	plain := signerFor(t, "example.", dns.ED25519, 0)
	revoked := signerFor(t, "example.", dns.ED25519, dns.ZONE|dns.REVOKE)
	proto := signerFor(t, "example.", dns.ED25519, dns.ZONE)
	proto.Key.Protocol = 2
	stranger := signerFor(t, "example.", dns.ED25519, dns.ZONE)
	parent := signerFor(t, ".", dns.ED25519, dns.ZONE)
	keys := keysOf(t, v, s, plain.Key, revoked.Key, proto.Key)
	a := func() []dns.RR { return rrs(t, "www.example. 300 IN A 192.0.2.1") }
	resign := func(change func(*dns.RRSIG)) RRset { // a signature that the key made over the odd fields
		set := s.signSet(t, a()...)
		sig := set.Sigs[0]
		change(sig)
		c, err := canonicalize(set.RRs)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := c.signedData(sig, mustName(t, "example."))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := signRaw(s.Private, sig.Algorithm, msg)
		if err != nil {
			t.Fatal(err)
		}
		sig.Signature = base64.StdEncoding.EncodeToString(raw)
		return set
	}
	span := func(from, to time.Duration) RRset { return s.signSpan(t, a(), now.Add(from), now.Add(to)) }
	tests := []struct {
		name string
		set  RRset
		code uint16
	}{
		{"no signature", RRset{RRs: a()}, dns.ExtendedErrorCodeRRSIGsMissing},
		{"no records", RRset{}, dns.ExtendedErrorCodeDNSBogus},
		{"expired", span(-2*time.Hour, -time.Second), dns.ExtendedErrorCodeSignatureExpired},
		{"future", span(time.Second, time.Hour), dns.ExtendedErrorCodeSignatureNotYetValid},
		{"backwards", span(time.Hour, -time.Hour), dns.ExtendedErrorCodeSignatureExpiredBeforeValid},
		{"stranger's key", stranger.signSet(t, a()...), dns.ExtendedErrorCodeDNSKEYMissing},
		{"no zone key", plain.signSet(t, a()...), dns.ExtendedErrorCodeNoZoneKeyBitSet},
		{"revoked key", revoked.signSet(t, a()...), dns.ExtendedErrorCodeNoZoneKeyBitSet},
		{"other protocol", proto.signSet(t, a()...), dns.ExtendedErrorCodeNoZoneKeyBitSet},
		{"other zone's signature", parent.signSet(t, a()...), dns.ExtendedErrorCodeDNSBogus},
		{"unsupported algorithm", resign(func(r *dns.RRSIG) { r.Algorithm = 12 }), dns.ExtendedErrorCodeRRSIGsMissing},
		{"type covered", resign(func(r *dns.RRSIG) { r.TypeCovered = dns.TypeAAAA }), dns.ExtendedErrorCodeDNSBogus},
		{"class", resign(func(r *dns.RRSIG) { r.Hdr.Class = dns.ClassCHAOS }), dns.ExtendedErrorCodeDNSBogus},
		{"owner", resign(func(r *dns.RRSIG) { r.Hdr.Name = "w.example." }), dns.ExtendedErrorCodeDNSBogus},
		{"too many labels", resign(func(r *dns.RRSIG) { r.Labels = 3 }), dns.ExtendedErrorCodeDNSBogus},
		{"wildcard above the zone", resign(func(r *dns.RRSIG) { r.Labels = 0 }), dns.ExtendedErrorCodeDNSBogus},
		{"signature cut", func() RRset { x := span(-1, time.Hour); x.Sigs[0].Signature = "AAAA"; return x }(), dns.ExtendedErrorCodeDNSBogus},
		{"signature not base64", func() RRset { x := span(-1, time.Hour); x.Sigs[0].Signature = "*"; return x }(), dns.ExtendedErrorCodeDNSBogus},
		{"original TTL", func() RRset { x := span(-1, time.Hour); x.Sigs[0].OrigTtl++; return x }(), dns.ExtendedErrorCodeDNSBogus},
		{"outside the zone", parent.signSet(t, rrs(t, "www.other. 300 IN A 192.0.2.1")...), dns.ExtendedErrorCodeDNSBogus},
		{"DS by the child", s.signSet(t, NewDS(s.Key, dns.SHA256)), dns.ExtendedErrorCodeDNSBogus},
		{"mixed types", RRset{RRs: rrs(t, "a.example. 1 IN A 192.0.2.1\na.example. 1 IN TXT x")}, dns.ExtendedErrorCodeDNSBogus},
		{"mixed names", RRset{RRs: rrs(t, "a.example. 1 IN A 192.0.2.1\nb.example. 1 IN A 192.0.2.1")}, dns.ExtendedErrorCodeDNSBogus},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := v.ValidateRRset(tt.set, keys, now, NewBudget(Limits{}))
			if res.Status != Bogus || res.Code != tt.code || res.Text == "" {
				t.Errorf("%v (code %d), want code %d", res.Verdict, res.Code, tt.code)
			}
		})
	}
	good := s.signSet(t, a()...)
	for _, other := range []RRset{span(-2*time.Hour, -time.Hour), plain.signSet(t, a()...), stranger.signSet(t, a()...)} {
		set := RRset{RRs: good.RRs, Sigs: append(other.Sigs, good.Sigs...)}
		if res := v.ValidateRRset(set, keys, now, NewBudget(Limits{})); res.Status != Secure {
			t.Errorf("one good signature beside a bad one: %v", res.Verdict)
		}
	}
}

func TestTimesAreSerial(t *testing.T) {
	tests := []struct {
		name     string
		from, to uint32
		at       int64
		code     uint16
	}{
		{"edges: inception", 1000, 2000, 1000, 0},
		{"edges: expiration", 1000, 2000, 2000, 0},
		{"before", 1000, 2000, 999, dns.ExtendedErrorCodeSignatureNotYetValid},
		{"after", 1000, 2000, 2001, dns.ExtendedErrorCodeSignatureExpired},
		{"across 2106", 1<<32 - 100, 100, 1<<32 + 50, 0},
		{"across 2106, before the wrap", 1<<32 - 100, 100, 1<<32 - 50, 0},
		{"after 2106", 5000, 6000, 1<<32 + 5500, 0},
		{"after 2106, expired", 5000, 6000, 1<<32 + 6001, dns.ExtendedErrorCodeSignatureExpired},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fault, ok := inTime(&dns.RRSIG{Inception: tt.from, Expiration: tt.to}, time.Unix(tt.at, 0))
			if ok != (tt.code == 0) || fault.Code != tt.code {
				t.Errorf("%v %v", ok, fault)
			}
		})
	}
}

func TestTTLIsCapped(t *testing.T) {
	v := New(Config{})
	s := signerFor(t, "example.", dns.ED25519, dns.ZONE)
	keys := keysOf(t, v, s)
	tests := []struct {
		name              string
		rr, rr2, sig, ttl uint32
		left              time.Duration
		want              uint32
	}{
		{"the RRset's", 100, 100, 300, 300, time.Hour, 100},
		{"the least of the records'", 300, 50, 300, 300, time.Hour, 50},
		{"the signature's", 300, 300, 200, 300, time.Hour, 200},
		{"the original", 9000, 9000, 9000, 300, time.Hour, 300},
		{"until expiration", 300, 300, 300, 300, 20 * time.Second, 20},
		{"top bit set", 1 << 31, 300, 300, 300, time.Hour, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := s.signSpan(t, rrs(t, "a.example. 300 IN A 192.0.2.1\na.example. 300 IN A 192.0.2.2"), now, now.Add(tt.left))
			set.RRs[0].Header().Ttl, set.RRs[1].Header().Ttl, set.Sigs[0].Hdr.Ttl = tt.rr, tt.rr2, tt.sig
			res := v.ValidateRRset(set, keys, now, NewBudget(Limits{}))
			if res.Status != Secure || res.TTL != tt.want {
				t.Errorf("%v, TTL %d, want %d", res.Verdict, res.TTL, tt.want)
			}
		})
	}
}

func TestWildcardsAndReplays(t *testing.T) {
	v := New(Config{})
	s := signerFor(t, "example.", dns.ED25519, dns.ZONE)
	keys := keysOf(t, v, s)
	wild := s.signSet(t, rrs(t, `*.w.example. 300 IN TXT "x"`)...)
	as := func(owner string) RRset {
		rr, sig := dns.Copy(wild.RRs[0]), dns.Copy(wild.Sigs[0]).(*dns.RRSIG)
		rr.Header().Name, sig.Hdr.Name = owner, owner
		return RRset{RRs: []dns.RR{rr}, Sigs: []*dns.RRSIG{sig}}
	}
	tests := []struct {
		owner    string
		status   Status
		expanded bool
	}{
		{"*.w.example.", Secure, false},
		{"a.w.example.", Secure, true},
		{"a.b.c.w.example.", Secure, true},
		{"*.b.w.example.", Secure, true},
		{"A.W.EXAMPLE.", Secure, true},
		{"w.example.", Bogus, false},
		{"a.v.example.", Bogus, false},
		{"example.", Bogus, false},
	}
	for _, tt := range tests {
		res := v.ValidateRRset(as(tt.owner), keys, now, NewBudget(Limits{}))
		if res.Status != tt.status || res.Expanded != tt.expanded || tt.status == Secure && res.Labels != 2 {
			t.Errorf("%s: %+v", tt.owner, res)
		}
	}
	plain := s.signSet(t, rrs(t, `a.w.example. 300 IN TXT "x"`)...)
	plain.RRs[0].Header().Name, plain.Sigs[0].Hdr.Name = "b.w.example.", "b.w.example."
	if res := v.ValidateRRset(plain, keys, now, NewBudget(Limits{})); res.Status != Bogus {
		t.Errorf("a replay under another name: %v", res.Verdict)
	}
}

func TestVerdictOfKeysPassesOn(t *testing.T) {
	v := New(Config{})
	set := RRset{RRs: rrs(t, "a.example. 1 IN A 192.0.2.1")}
	for _, keys := range []*Keys{{}, InsecureKeys("example.", Verdict{Text: "negative anchor"}), {Verdict: bogus(9, "x")}} {
		if res := v.ValidateRRset(set, keys, now, NewBudget(Limits{})); res.Verdict != keys.Verdict {
			t.Errorf("%v, want %v", res.Verdict, keys.Verdict)
		}
	}
}

func TestGroup(t *testing.T) {
	s := signerFor(t, "example.", dns.ED25519, dns.ZONE)
	all := rrs(t, "B.example. 1 IN A 192.0.2.1\na.example. 1 IN A 192.0.2.2\nb.example. 1 IN A 192.0.2.3\na.example. 1 IN TXT x")
	b := s.signSet(t, all[0], all[2])
	stray := s.signSet(t, rrs(t, "c.example. 1 IN A 192.0.2.4")...)
	section := append([]dns.RR{b.Sigs[0], stray.Sigs[0], &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}}, all...)
	sets := Group(section)
	var got []string
	for _, set := range sets {
		got = append(got, set.Name()+dns.Type(set.Type()).String())
	}
	if strings.Join(got, " ") != "b.example.A a.example.A a.example.TXT" || len(sets[0].RRs) != 2 || len(sets[0].Sigs) != 1 || len(sets[1].Sigs) != 0 {
		t.Errorf("%v %+v", got, sets)
	}
}

// Few RRsets and many are sorted alike.
func TestGroupMany(t *testing.T) {
	for _, count := range []int{1, fewSets - 1, fewSets, fewSets + 1, 3 * fewSets} {
		var records, sigs strings.Builder
		for i := range count {
			fmt.Fprintf(&records, "n%d.example. 300 IN A 192.0.2.1\n", i)
			fmt.Fprintf(&sigs, "N%d.example. 300 IN RRSIG A 15 2 300 20261122120000 20261121110000 %d example. AAAA\n", i, i)
		}
		again := strings.ReplaceAll(records.String(), "192.0.2.1", "192.0.2.2")
		none := "none.example. 300 IN RRSIG A 15 2 300 20261122120000 20261121110000 1 example. AAAA\n"
		sets := Group(rrs(t, sigs.String()+records.String()+none+again))
		if len(sets) != count {
			t.Fatalf("%d RRsets of %d", len(sets), count)
		}
		for i, set := range sets {
			if set.Name() != fmt.Sprintf("n%d.example.", i) || len(set.RRs) != 2 || len(set.Sigs) != 1 || int(set.Sigs[0].KeyTag) != i {
				t.Errorf("%d of %d: %+v", i, count, set)
			}
		}
	}
}
