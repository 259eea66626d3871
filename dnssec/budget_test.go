package dnssec

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// sameTag makes n Ed25519 keys with the tag of k: pairs of octets at even distance trade places without
// changing the sum.
func sameTag(t testing.TB, k *dns.DNSKEY, n int) []*dns.DNSKEY {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(k.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	var out []*dns.DNSKEY
	for i := range n {
		pub := append([]byte(nil), raw...)
		a := binary.BigEndian.Uint16(pub[0:])
		b := binary.BigEndian.Uint16(pub[2:])
		shift := uint16(i + 1)
		if uint32(a)+uint32(shift) > 0xffff || b < shift { // keep the sum: go the other way
			a, b = a-shift, b+shift
		} else {
			a, b = a+shift, b-shift
		}
		binary.BigEndian.PutUint16(pub[0:], a)
		binary.BigEndian.PutUint16(pub[2:], b)
		other := *k
		other.PublicKey = base64.StdEncoding.EncodeToString(pub)
		out = append(out, &other)
	}
	return out
}

// KeyTrap (CVE-2023-50387): many keys of one tag, many signatures that name it. The work is counted.
func TestKeyTrap(t *testing.T) {
	v := New(Config{})
	ksk := signerFor(t, "example.", dns.ECDSAP256SHA256, dns.ZONE|dns.SEP)
	zsk := signerFor(t, "example.", dns.ED25519, dns.ZONE)
	trap := sameTag(t, zsk.Key, 500)
	for _, k := range trap {
		if one, _ := newKey(k); one.tag != keyOf(t, zsk).tag {
			t.Fatal("tags differ")
		}
	}
	good := zsk.signSet(t, rrs(t, "a.example. 1 IN A 192.0.2.1")...)
	bad := RRset{RRs: good.RRs}
	for i := range 500 {
		sig := *good.Sigs[0]
		sig.Signature = base64.StdEncoding.EncodeToString(append(make([]byte, 62), byte(i>>8), byte(i)))
		bad.Sigs = append(bad.Sigs, &sig)
	}
	tests := []struct {
		name    string
		keys    *Keys
		limits  Limits
		says    string
		atMost  int
		exactly Spent
	}{
		{"keys times signatures", keysOf(t, v, ksk, trap...), Limits{}, "keys of one tag", 8, Spent{8, 8, 0}},
		{"signatures", keysOf(t, v, ksk, zsk.Key), Limits{}, "16 failed signatures", 16, Spent{16, 16, 0}},
		{"checks", keysOf(t, v, ksk, zsk.Key), Limits{Checks: 5, Failures: 100}, "5 signature checks", 5, Spent{5, 5, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBudget(tt.limits)
			res := v.ValidateRRset(bad, tt.keys, now, b)
			if res.Status != Exhausted || !strings.Contains(res.Text, tt.says) || !res.Failed() {
				t.Errorf("%v", res.Verdict)
			}
			if got := b.Spent(); got != tt.exactly {
				t.Errorf("spent %+v, want %+v", got, tt.exactly)
			}
		})
	}
	t.Run("DS of many keys", func(t *testing.T) {
		ds := NewDS(zsk.Key, dns.SHA256) // of none of them
		var set []dns.RR
		for _, k := range trap {
			set = append(set, k)
		}
		b := NewBudget(Limits{})
		keys := v.ValidateKeys("example.", RRset{RRs: set, Sigs: bad.Sigs}, Trust{DS: []*dns.DS{ds}}, now, b)
		if keys.Status != Exhausted || b.Spent().Checks != 0 {
			t.Errorf("%v %+v", keys.Verdict, b.Spent())
		}
	})
	t.Run("the budget is the question's", func(t *testing.T) {
		b := NewBudget(Limits{})
		keys := keysOf(t, v, ksk, zsk.Key)
		v.ValidateRRset(bad, keys, now, b)
		if res := v.ValidateRRset(good, keys, now, b); res.Status != Exhausted {
			t.Errorf("after it was spent: %v", res.Verdict)
		}
		if res := v.ValidateRRset(good, keys, now, NewBudget(Limits{})); res.Status != Secure {
			t.Errorf("another question: %v", res.Verdict)
		}
	})
}

func keyOf(t testing.TB, s *Signer) *key {
	t.Helper()
	k, ok := newKey(s.Key)
	if !ok {
		t.Fatal("key")
	}
	return k
}

// CVE-2023-50868: names of many labels cost a hash each. And RFC 9276: iterations.
func TestHashesAreBounded(t *testing.T) {
	m := newModel(t, "example.", rrs(t, zoneText))
	deep := strings.Repeat("a.", 120) + "example."
	e := evidenceOf(m, m.nsec3s(150, "", false), 150)
	b := NewBudget(Limits{})
	if p := e.NameError(deep, b); p.Status != Secure || b.Spent().Hashes != 122 { // 120 names, the apex, the wildcard
		t.Errorf("%v, %+v", p.Verdict, b.Spent())
	}
	p := e.NameError(strings.Repeat("b.", 120)+"example.", b)
	if p.Status != Exhausted || b.Spent().Hashes != 150 || !strings.Contains(p.Text, "150 NSEC3 hashes") {
		t.Errorf("%v, %+v", p.Verdict, b.Spent())
	}
	b = NewBudget(Limits{})
	p = evidenceOf(m, m.nsec3s(151, "", false), 150).NameError("mm.example.", b)
	if p.Status != Insecure || p.Code != dns.ExtendedErrorCodeUnsupportedNSEC3IterValue || b.Spent().Hashes != 0 {
		t.Errorf("151 iterations: %v, %+v", p.Verdict, b.Spent())
	}
}

// Records that must be ignored leave nothing to prove with (RFC 5155 sections 8.1 and 8.2).
func TestUnknownNSEC3(t *testing.T) {
	m := newModel(t, "example.", rrs(t, zoneText))
	tests := []struct {
		name   string
		change func(*dns.NSEC3)
	}{
		{"hash algorithm", func(r *dns.NSEC3) { r.Hash = 2 }},
		{"flags", func(r *dns.NSEC3) { r.Flags = 2 }},
		{"owner not just below the zone", func(r *dns.NSEC3) { r.Hdr.Name = strings.Replace(r.Hdr.Name, ".", ".x.", 1) }},
		{"owner no hash", func(r *dns.NSEC3) { r.Hdr.Name = "short.example." }},
		{"next no hash", func(r *dns.NSEC3) { r.NextDomain = "WWWW" }},
		{"salt", func(r *dns.NSEC3) { r.Salt = "zz" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			records := m.nsec3s(0, "", false)
			for _, rr := range records {
				tt.change(rr.(*dns.NSEC3))
			}
			p := evidenceOf(m, records, 150).NameError("mm.example.", NewBudget(Limits{}))
			if p.Status != Bogus || p.Code != dns.ExtendedErrorCodeNSECMissing {
				t.Error(p.Verdict)
			}
		})
	}
	one, two := m.nsec3s(0, "", false), m.nsec3s(0, "other", false)
	e := evidenceOf(m, append(one[:len(one):len(one)], two...), 150)
	if len(e.nsec3) != len(one) {
		t.Errorf("%d records of two chains in one proof", len(e.nsec3))
	}
}

func TestBudgetIsSafe(t *testing.T) {
	b := NewBudget(Limits{Checks: 100})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				b.takeCheck()
			}
		})
	}
	wg.Wait()
	if got := b.Spent().Checks; got != 100 {
		t.Errorf("%d checks", got)
	}
}
