package dnssec

import (
	"testing"
	"time"

	"github.com/miekg/dns"
)

// RFC 8080 section 6 (label counts as its errata correct them) and RFC 6605 section 6.
var signedVectors = []struct {
	name, key, ds, set, sig string
}{
	{
		"RFC 8080 Ed25519",
		"example.com. 3600 IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
		"example.com. 3600 IN DS 3613 15 2 3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b",
		"example.com. 3600 IN MX 10 mail.example.com.",
		"example.com. 3600 IN RRSIG MX 15 2 3600 1440021600 1438207200 3613 example.com. oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
	},
	{
		"RFC 8080 Ed448",
		"example.com. 3600 IN DNSKEY 257 3 16 3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJKm1MDpJtIA",
		"example.com. 3600 IN DS 9713 16 2 6ccf18d5bc5d7fc2fceb1d59d17321402f2aa8d368048db93dd811f5cb2b19c7",
		"example.com. 3600 IN MX 10 mail.example.com.",
		"example.com. 3600 IN RRSIG MX 16 2 3600 1440021600 1438207200 9713 example.com. 3cPAHkmlnxcDHMyg7vFC34l0blBhuG1qpwLmjInI8w1CMB29FkEAIJUA0amxWndkmnBZ6SKiwZSAxGILn/NBtOXft0+Gj7FSvOKxE/07+4RQvE581N3Aj/JtIyaiYVdnYtyMWbSNyGEY2213WKsJlwEA",
	},
	{
		"RFC 6605 P-256",
		"example.net. 3600 IN DNSKEY 257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
		"example.net. 3600 IN DS 55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17",
		"www.example.net. 3600 IN A 192.0.2.1",
		"www.example.net. 3600 IN RRSIG A 13 3 3600 20100909100439 20100812100439 55648 example.net. qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
	},
	{
		"RFC 6605 P-384",
		"example.net. 3600 IN DNSKEY 257 3 14 xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40",
		"example.net. 3600 IN DS 10771 14 4 72d7b62976ce06438e9c0bf319013cf801f09ecc84b8d7e9495f27e305c6a9b0563a9b5f4d288405c3008a946df983d6",
		"www.example.net. 3600 IN A 192.0.2.1",
		"www.example.net. 3600 IN RRSIG A 14 3 3600 20100909102025 20100812102025 10771 example.net. /L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGCeZOvzFaxsT8Glr74hbavRKayJNuydCuzWTSSPdz7wnqXL5bdcJzusdnI0RSMROxxwGipWcJm",
	},
}

func TestSignedVectors(t *testing.T) {
	for _, tt := range signedVectors {
		t.Run(tt.name, func(t *testing.T) {
			k := rrs(t, tt.key)[0].(*dns.DNSKEY)
			ds := rrs(t, tt.ds)[0].(*dns.DS)
			sig := rrs(t, tt.sig)[0].(*dns.RRSIG)
			one, ok := newKey(k)
			if !ok || one.tag != ds.KeyTag {
				t.Fatalf("tag %d, want %d", one.tag, ds.KeyTag)
			}
			if !matchesDS(mustName(t, k.Hdr.Name), one, ds) {
				t.Error("DS does not match")
			}
			keys := &Keys{Verdict: Verdict{Status: Secure}, zone: mustName(t, k.Hdr.Name)}
			keys.sort(New(Config{}), []*key{one})
			at := time.Unix(int64(sig.Inception)+60, 0)
			set := RRset{RRs: rrs(t, tt.set), Sigs: []*dns.RRSIG{sig}}
			if res := New(Config{}).ValidateRRset(set, keys, at, NewBudget(Limits{})); res.Status != Secure {
				t.Error(res.Verdict)
			}
		})
	}
}

// RFC 4034 section 5.4 and RFC 4509 section 2.3.
func TestDigestVectors(t *testing.T) {
	k := rrs(t, `dskey.example.com. 86400 IN DNSKEY 256 3 5 ( AQOeiiR0GOMYkDshWoSKz9Xz fwJr1AYtsmx3TGkJaNXVbfi/
		2pHm822aJ5iI9BMzNXxeYCmZ DRD99WYwYqUSdjMmmAphXdvx egXd/M5+X7OrzKBaMbCVdFLU Uh6DhweJBjEVv5f2wwjM9Xzc
		nOf+EPbtG9DMBmADjFDc2w/r ljwvFw== )`)[0].(*dns.DNSKEY)
	for digestType, want := range map[uint8]string{
		dns.SHA1:   "2BB183AF5F22588179A53B0A98631FAD1A292118",
		dns.SHA256: "D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A",
	} {
		if ds := NewDS(k, digestType); ds.Digest != want || ds.KeyTag != 60485 {
			t.Errorf("%d: %v", digestType, ds)
		}
	}
	if ds := NewDS(k, dns.GOST94); ds != nil {
		t.Errorf("GOST: %v", ds)
	}
}

// RFC 5155 appendix A.
func TestHashVectors(t *testing.T) {
	for owner, want := range map[string]string{
		"example.":       "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom",
		"a.example.":     "35mthgpgcu1qg68fab165klnsnk3dpvl",
		"ai.example.":    "gjeqe526plbf1g8mklp59enfd789njgi",
		"ns1.example.":   "2t7b4g4vsa5smi47k61mv5bv1a22bojr",
		"ns2.example.":   "q04jkcevqvmu85r014c7dkba38o0ji5r",
		"W.Example.":     "k8udemvp1j2f7eg6jebps17vp3n8i58h",
		"*.w.example.":   "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
		"x.w.example.":   "b4um86eghhds6nea196smvmlo4ors995",
		"y.w.example.":   "ji6neoaepv8b5o6k4ev33abha8ht9fgc",
		"x.y.w.example.": "2vptu5timamqttgl4luu9kg21e0aor3s",
		"xx.example.":    "t644ebqk9bibcna874givr6joj62mlhv",
		"2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.": "kohar7mbb8dc2ce8a9qvl8hon4k53uhi",
	} {
		if got, ok := HashName(owner, 12, []byte{0xaa, 0xbb, 0xcc, 0xdd}); !ok || got != want {
			t.Errorf("%s: %s, want %s", owner, got, want)
		}
	}
	if _, ok := HashName("relative", 0, nil); ok {
		t.Error("a relative name was hashed")
	}
}

// The responses of RFC 5155 appendix B, by their NSEC3 records.
func TestNSEC3Responses(t *testing.T) {
	const (
		apex = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. 3600 NSEC3 1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS SOA NSEC3PARAM RRSIG\n"
		ns1  = "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example. 3600 NSEC3 1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG\n"
		a    = "35mthgpgcu1qg68fab165klnsnk3dpvl.example. 3600 NSEC3 1 1 12 aabbccdd b4um86eghhds6nea196smvmlo4ors995 NS DS RRSIG\n"
		xw   = "b4um86eghhds6nea196smvmlo4ors995.example. 3600 NSEC3 1 1 12 aabbccdd gjeqe526plbf1g8mklp59enfd789njgi MX RRSIG\n"
		yw   = "ji6neoaepv8b5o6k4ev33abha8ht9fgc.example. 3600 NSEC3 1 1 12 aabbccdd k8udemvp1j2f7eg6jebps17vp3n8i58h\n"
		w    = "k8udemvp1j2f7eg6jebps17vp3n8i58h.example. 3600 NSEC3 1 1 12 aabbccdd kohar7mbb8dc2ce8a9qvl8hon4k53uhi\n"
		ns2  = "q04jkcevqvmu85r014c7dkba38o0ji5r.example. 3600 NSEC3 1 1 12 aabbccdd r53bq7cc2uvmubfu5ocmm6pers9tk9en A RRSIG\n"
		star = "r53bq7cc2uvmubfu5ocmm6pers9tk9en.example. 3600 NSEC3 1 1 12 aabbccdd t644ebqk9bibcna874givr6joj62mlhv MX RRSIG\n"
	)
	tests := []struct {
		name, records string
		ask           func(*Evidence, *Budget) Proof
		kind          Kind
		optOut        bool
	}{
		{"B.1 name error", apex + xw + a, nameError("a.c.x.w.example."), KindNameError, true},
		{"B.2 no data", ns1, noData("ns1.example.", dns.TypeMX), KindNoData, false},
		{"B.2.1 empty non-terminal", yw, noData("y.w.example.", dns.TypeA), KindNoData, false},
		{"B.3 opt-out delegation", apex + a, noData("c.example.", dns.TypeDS), KindOptOut, true},
		{"B.4 wildcard expansion", ns2, expansion("a.z.w.example.", 2), KindExpansion, true},
		{"B.5 wildcard no data", w + ns2 + star, noData("a.z.w.example.", dns.TypeAAAA), KindWildcardNoData, true},
		{"B.6 DS at the child's apex", apex, noData("example.", dns.TypeDS), KindNone, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := evidenceOf(&model{origin: mustName(t, "example.")}, rrs(t, tt.records), 150)
			p := tt.ask(e, NewBudget(Limits{}))
			want := Secure
			switch {
			case tt.optOut:
				want = Insecure
			case tt.kind == KindNone:
				want = Bogus
			}
			if p.Kind != tt.kind || p.OptOut != tt.optOut || p.Status != want {
				t.Errorf("%+v", p)
			}
		})
	}
}
