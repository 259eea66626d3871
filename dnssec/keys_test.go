package dnssec

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Both root keys as IANA publishes them.
const rootKeys = `
. IN DNSKEY 257 3 8 AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwNR1AkUTV74bU= ; keytag 20326
. IN DNSKEY 257 3 8 AwEAAa96jeuknZlaeSrvyAJj6ZHv28hhOKkx3rLGXVaC6rXTsDc449/cidltpkyGwCJNnOAlFNKF2jBosZBU5eeHspaQWOmOElZsjICMQMC3aeHbGiShvZsx4wMYSjH8e7Vrhbu6irwCzVBApESjbUdpWWmEnhathWu1jo+siFUiRAAxm9qyJNg/wOZqqzL/dL/q8PkcRU5oUKEpUge71M3ej2/7CPqpdVwuMoTvoB+ZOT4YeGyxMvHmbrxlFzGOHOijtzN+u1TQNatX2XBuzZNQ1K+s2CXkPIZo7s6JgZyvaBevYtxPvYLw4z9mR7K2vaF18UYH9Z9GNUUeayffKC73PYc= ; keytag 38696
`

func TestRootAnchors(t *testing.T) {
	zone, builtin, ok := RootAnchors().For("www.example.")
	if !ok || zone != "." || len(builtin.DS) != 2 {
		t.Fatalf("%q %+v", zone, builtin)
	}
	for i, rr := range rrs(t, rootKeys) {
		k, _ := newKey(rr.(*dns.DNSKEY))
		if k.tag != builtin.DS[i].KeyTag || !matchesDS(mustName(t, "."), k, builtin.DS[i]) {
			t.Errorf("key %d does not match the built-in DS %v", k.tag, builtin.DS[i])
		}
		if !strings.EqualFold(NewDS(rr.(*dns.DNSKEY), dns.SHA256).Digest, builtin.DS[i].Digest) {
			t.Errorf("NewDS of %d", k.tag)
		}
	}
}

func TestParseAnchors(t *testing.T) {
	a, err := ParseAnchors(strings.NewReader("; anchors\n" + rootKeys + "Corp.example. 3600 IN DS 1 8 2 " + strings.Repeat("ab", 32) + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(a.Zones(), " "); got != ". corp.example." {
		t.Errorf("zones %s", got)
	}
	if zone, trust, _ := a.For("a.CORP.example."); zone != "corp.example." || len(trust.DS) != 1 {
		t.Errorf("%s %+v", zone, trust)
	}
	if zone, trust, _ := a.For("xcorp.example."); zone != "." || len(trust.Keys) != 2 {
		t.Errorf("%s %+v", zone, trust)
	}
	less := a.With(".", Trust{})
	if _, _, ok := less.For("example."); ok {
		t.Error("an anchor taken away is still there")
	}
	if _, _, ok := a.For("example."); !ok {
		t.Error("With changed the original")
	}
	bad := []struct{ name, text, says string }{
		{"empty", "; nothing\n", "no DS"},
		{"another type", "example. IN A 192.0.2.1\n", "type is A"},
		{"class", "example. CH DS 1 8 2 " + strings.Repeat("ab", 32), "class"},
		{"short digest", "example. IN DS 1 8 2 abcd\n", "digest"},
		{"revoked", "example. IN DNSKEY 385 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=\n", "revoked"},
		{"no zone key", "example. IN DNSKEY 1 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=\n", "no zone key"},
		{"protocol", "example. IN DNSKEY 257 2 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=\n", "protocol"},
		{"garbage", "this is no zone file", "trust anchors"},
		{"an include", "$INCLUDE /etc/passwd\n", "trust anchors"},
		{"too many", strings.Repeat(". IN DS 1 8 2 "+strings.Repeat("ab", 32)+"\n", 1001), "more than 1000"},
		{"too long", strings.Repeat("; \n", 400_000), "bytes"},
	}
	for _, tt := range bad {
		if _, err := ParseAnchors(strings.NewReader(tt.text)); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if _, err := ParseAnchors(strings.NewReader("")); !errors.Is(err, ErrNoAnchors) {
		t.Error(err)
	}
}

func TestValidateKeys(t *testing.T) {
	const zone = "example."
	ksk := signerFor(t, zone, dns.ED25519, dns.ZONE|dns.SEP)
	zsk := signerFor(t, zone, dns.ECDSAP256SHA256, dns.ZONE)
	other := signerFor(t, zone, dns.ED25519, dns.ZONE|dns.SEP)
	revoked := signerFor(t, zone, dns.ED25519, dns.ZONE|dns.SEP|dns.REVOKE)
	noZone := signerFor(t, zone, dns.ED25519, dns.SEP)
	sha1Key := signerFor(t, zone, dns.RSASHA1, dns.ZONE|dns.SEP)
	set := ksk.signSet(t, ksk.Key, zsk.Key)
	ds := func(digest uint8, change func(*dns.DS), of ...*Signer) Trust {
		var out Trust
		for _, s := range of {
			d := NewDS(s.Key, digest)
			if change != nil {
				change(d)
			}
			out.DS = append(out.DS, d)
		}
		return out
	}
	both := func(a, b Trust) Trust { return Trust{DS: append(a.DS, b.DS...)} }
	wrong := func(d *dns.DS) { d.Digest = strings.Repeat("00", len(d.Digest)/2) }
	unknownDigest := func(d *dns.DS) { d.DigestType = 3 }
	unknownAlg := func(d *dns.DS) { d.Algorithm = 12 }
	strict := Config{RefuseSHA1Signatures: true, RefuseSHA1Digests: true}
	tests := []struct {
		name   string
		cfg    Config
		set    RRset
		trust  Trust
		status Status
		code   uint16
	}{
		{"SHA-256", Config{}, set, ds(dns.SHA256, nil, ksk), Secure, 0},
		{"SHA-384", Config{}, set, ds(dns.SHA384, nil, ksk), Secure, 0},
		{"SHA-1 alone", Config{}, set, ds(dns.SHA1, nil, ksk), Secure, 0},
		{"SHA-1 alone, refused", strict, set, ds(dns.SHA1, nil, ksk), Insecure, dns.ExtendedErrorCodeUnsupportedDSDigestType},
		{"SHA-1 beside a wrong SHA-256", Config{}, set, both(ds(dns.SHA1, nil, ksk), ds(dns.SHA256, wrong, ksk)), Bogus, dns.ExtendedErrorCodeDNSKEYMissing},
		{"SHA-1 beside an unknown digest", Config{}, set, both(ds(dns.SHA1, nil, ksk), ds(dns.SHA256, unknownDigest, ksk)), Secure, 0},
		{"unknown digest alone", Config{}, set, ds(dns.SHA256, unknownDigest, ksk), Insecure, dns.ExtendedErrorCodeUnsupportedDSDigestType},
		{"unknown algorithm alone", Config{}, set, ds(dns.SHA256, unknownAlg, ksk), Insecure, dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm},
		{"unknown algorithm beside a good one", Config{}, set, both(ds(dns.SHA256, unknownAlg, ksk), ds(dns.SHA256, nil, ksk)), Secure, 0},
		{"RSASHA1", Config{}, sha1Key.signSet(t, sha1Key.Key), ds(dns.SHA256, nil, sha1Key), Secure, 0},
		{"RSASHA1, refused", strict, sha1Key.signSet(t, sha1Key.Key), ds(dns.SHA256, nil, sha1Key), Insecure, dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm},
		{"wrong digest", Config{}, set, ds(dns.SHA256, wrong, ksk), Bogus, dns.ExtendedErrorCodeDNSKEYMissing},
		{"digest cut short", Config{}, set, ds(dns.SHA256, func(d *dns.DS) { d.Digest = d.Digest[:40] }, ksk), Bogus, dns.ExtendedErrorCodeDNSKEYMissing},
		{"key not in the set", Config{}, set, ds(dns.SHA256, nil, other), Bogus, dns.ExtendedErrorCodeDNSKEYMissing},
		{"one of two keys in the set", Config{}, set, ds(dns.SHA256, nil, other, ksk), Secure, 0},
		{"not signed by the DS's key", Config{}, zsk.signSet(t, ksk.Key, zsk.Key), ds(dns.SHA256, nil, ksk), Bogus, dns.ExtendedErrorCodeRRSIGsMissing},
		{"no signature", Config{}, RRset{RRs: set.RRs}, ds(dns.SHA256, nil, ksk), Bogus, dns.ExtendedErrorCodeRRSIGsMissing},
		{"no keys", Config{}, RRset{}, ds(dns.SHA256, nil, ksk), Bogus, dns.ExtendedErrorCodeDNSKEYMissing},
		{"another type", Config{}, ksk.signSet(t, rrs(t, "example. 1 IN A 192.0.2.1")...), ds(dns.SHA256, nil, ksk), Bogus, dns.ExtendedErrorCodeDNSKEYMissing},
		{"expired", Config{}, ksk.signSpan(t, set.RRs, now.Add(-2*time.Hour), now.Add(-time.Hour)), ds(dns.SHA256, nil, ksk), Bogus, dns.ExtendedErrorCodeSignatureExpired},
		{"a key more than was signed", Config{}, RRset{RRs: append(append([]dns.RR(nil), set.RRs...), other.Key), Sigs: set.Sigs}, ds(dns.SHA256, nil, ksk), Bogus, dns.ExtendedErrorCodeDNSBogus},
		{"revoked", Config{}, revoked.signSet(t, revoked.Key), ds(dns.SHA256, nil, revoked), Bogus, dns.ExtendedErrorCodeNoZoneKeyBitSet},
		{"no zone key", Config{}, noZone.signSet(t, noZone.Key), ds(dns.SHA256, nil, noZone), Bogus, dns.ExtendedErrorCodeNoZoneKeyBitSet},
		{"anchor key", Config{}, set, Trust{Keys: []*dns.DNSKEY{ksk.Key}}, Secure, 0},
		{"wrong anchor key", Config{}, set, Trust{Keys: []*dns.DNSKEY{other.Key}}, Bogus, dns.ExtendedErrorCodeDNSKEYMissing},
		{"no trust", Config{}, set, Trust{}, Indeterminate, dns.ExtendedErrorCodeDNSSECIndeterminate},
		{"another zone's DS", Config{}, set, ds(dns.SHA256, func(d *dns.DS) { d.Hdr.Name = "other." }, ksk), Bogus, dns.ExtendedErrorCodeDNSKEYMissing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keys := New(tt.cfg).ValidateKeys(zone, tt.set, tt.trust, now, NewBudget(Limits{}))
			if keys.Status != tt.status || keys.Code != tt.code {
				t.Fatalf("%v (code %d), want %v, %d", keys.Verdict, keys.Code, tt.status, tt.code)
			}
			if tt.status == Secure && (keys.Entry == nil || keys.Sig == nil || keys.TTL == 0 || keys.Zone() != zone) {
				t.Errorf("%+v", keys)
			}
		})
	}
	keys := New(Config{}).ValidateKeys("EXAMPLE.", set, ds(dns.SHA256, nil, ksk), now, NewBudget(Limits{}))
	if res := New(Config{}).ValidateRRset(zsk.signSet(t, rrs(t, "a.example. 1 IN A 192.0.2.1")...), keys, now, NewBudget(Limits{})); res.Status != Secure {
		t.Errorf("data signed by the zone signing key: %v", res.Verdict)
	}
}

// The new root key alone signs; then the old one is revoked (RFC 5011) and still in the set.
func TestRollOver(t *testing.T) {
	v := New(Config{})
	oldKey, newKey := signerFor(t, ".", dns.RSASHA256, dns.ZONE|dns.SEP), signerFor(t, ".", dns.RSASHA256, dns.ZONE|dns.SEP)
	trust := Trust{DS: []*dns.DS{NewDS(oldKey.Key, dns.SHA256), NewDS(newKey.Key, dns.SHA256)}}
	if keys := v.ValidateKeys(".", newKey.signSet(t, oldKey.Key, newKey.Key), trust, now, NewBudget(Limits{})); keys.Status != Secure {
		t.Errorf("only the new key signs: %v", keys.Verdict)
	}
	oldKey.Key.Flags |= dns.REVOKE
	set := newKey.signSet(t, oldKey.Key, newKey.Key)
	set.Sigs = append(oldKey.signSet(t, set.RRs...).Sigs, set.Sigs...)
	if keys := v.ValidateKeys(".", set, trust, now, NewBudget(Limits{})); keys.Status != Secure {
		t.Errorf("the old key revoked: %v", keys.Verdict)
	}
	only := Trust{Keys: []*dns.DNSKEY{oldKey.Key}}
	if keys := v.ValidateKeys(".", set, only, now, NewBudget(Limits{})); keys.Status != Bogus {
		t.Errorf("an anchor that is revoked: %v", keys.Verdict)
	}
}
