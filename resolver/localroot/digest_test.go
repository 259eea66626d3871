package localroot

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// zoneOf reads a zone's text.
func zoneOf(t testing.TB, text string) []dns.RR {
	t.Helper()
	rrs, err := parseZone(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return rrs
}

func contentOf(t testing.TB, apex string, rrs []dns.RR) *content {
	t.Helper()
	c, err := newContent(apex, rrs)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestDigestVectors: the zones of RFC 8976 appendix A verify, also in any other order of their records.
func TestDigestVectors(t *testing.T) {
	for file, apex := range map[string]string{
		"a1-simple": "example.", "a2-complex": "example.", "a3-multiple": "example.",
		"a4-signed": "uri.arpa.", "a5-root-servers": "root-servers.net.",
	} {
		t.Run(file, func(t *testing.T) {
			text, err := os.ReadFile("testdata/" + file + ".zone")
			if err != nil {
				t.Fatal(err)
			}
			rrs := zoneOf(t, string(text))
			if err := contentOf(t, apex, rrs).verifyDigest(); err != nil {
				t.Error(err)
			}
			slices.Reverse(rrs)
			if err := contentOf(t, apex, rrs).verifyDigest(); err != nil {
				t.Errorf("reversed: %v", err)
			}
			for i, rr := range rrs {
				if rr.Header().Rrtype == dns.TypeSOA || rr.Header().Rrtype == dns.TypeZONEMD && rr.Header().Name == apex ||
					strings.HasPrefix(rr.Header().Name, "foo.test.") || strings.HasPrefix(rr.Header().Name, "duplicate.") {
					continue
				}
				less := slices.Delete(slices.Clone(rrs), i, i+1)
				if err := contentOf(t, apex, less).verifyDigest(); err == nil {
					t.Errorf("verifies without %s", rr)
				}
			}
		})
	}
}

// TestEachHash: in the zone with several digests each of the two that are known is enough by itself.
func TestEachHash(t *testing.T) {
	text, err := os.ReadFile("testdata/a3-multiple.zone")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ drop, want string }{
		{" 1 2 08cf", "SHA-384"}, {" 1 1 62e6", "SHA-512"},
	} {
		var kept []string
		for _, line := range strings.Split(string(text), "\n") {
			if !strings.Contains(line, tt.drop) {
				kept = append(kept, line)
			}
		}
		c := contentOf(t, "example.", zoneOf(t, strings.Join(kept, "\n")))
		if err := c.verifyDigest(); err != nil || c.digest != tt.want {
			t.Errorf("%q: %v, %v", tt.want, c.digest, err)
		}
	}
}

// TestDigestRules are what RFC 8976 section 4 refuses.
func TestDigestRules(t *testing.T) {
	const good = "c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c"
	for _, tt := range []struct {
		name, zonemd, want string
	}{
		{"another serial", "2018031901 1 1 " + good, "it is of serial 2018031901, the zone has 2018031900"},
		{"unknown scheme", "2018031900 2 1 " + good, "scheme 2 is unknown"},
		{"unknown hash", "2018031900 1 3 " + good, "hash algorithm 3 is unknown"},
		{"too short", "2018031900 1 1 " + good[:40], "not 48 bytes long"},
		{"cut to 512's", "2018031900 1 2 " + good, "not 64 bytes long"},
		{"another digest", "2018031900 1 1 d" + good[1:], "does not fit"},
		{"twice the same hash", "2018031900 1 1 " + good + "\nexample. 86400 IN ZONEMD 2018031900 1 1 d" + good[1:], "is there twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := contentOf(t, "example.", zoneOf(t, fmt.Sprintf(`
example.      86400  IN  SOA     ns1.example. admin.example. 2018031900 1800 900 604800 86400
example.      86400  IN  NS      ns1.example.
example.      86400  IN  NS      ns2.example.
example.      86400  IN  ZONEMD  %s
ns1.example.  3600   IN  A       203.0.113.63
ns2.example.  3600   IN  AAAA    2001:db8::63
`, tt.zonemd)))
			if err := c.verifyDigest(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestContentRefuses(t *testing.T) {
	const soa = ". 86400 IN SOA a. b. 1 1800 900 604800 86400\n"
	for _, tt := range []struct{ name, zone, want string }{
		{"no SOA", ". 5 IN NS a.\n", "no SOA record of ."},
		{"another's SOA", "x. 5 IN SOA a. b. 1 2 3 4 5\n", "no SOA record of ."},
		{"two SOAs", soa + strings.Replace(soa, " 1 ", " 2 ", 1), "more than one SOA"},
		{"another class", soa + "x. 5 CH TXT \"x\"\n", "class CH"},
	} {
		if _, err := newContent(apex, zoneOf(t, tt.zone)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v", tt.name, err)
		}
	}
}

// TestOrderKey: keys order as RFC 4034 section 6.1 orders names.
func TestOrderKey(t *testing.T) {
	names := []string{
		".", "example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.", "z.example.",
		`\000.z.example.`, `\000\000.z.example.`, `\001.z.example.`, `\002.z.example.`, "*.z.example.", `\200.z.example.`, "zz.",
	}
	var keys []string
	for _, n := range names {
		k, ok := keyOf(n)
		if !ok {
			t.Fatal(n)
		}
		keys = append(keys, k)
	}
	for i := 1; i < len(keys); i++ {
		if keys[i-1] >= keys[i] {
			t.Errorf("%s does not come before %s", names[i-1], names[i])
		}
	}
	if _, ok := keyOf(strings.Repeat("a.", 128)); ok {
		t.Error("a name of 256 octets has a key")
	}
}
