package dnssec

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The keys of the examples' zones: the zone signing keys of RFC 4035 appendix A and RFC 5155 appendix A.
const (
	rfc4035Key = "example. 3600 IN DNSKEY 256 3 5 AQOy1bZVvpPqhg4j7EJoM9rI3ZmyEx2OzDBVrZy/lvI5CQePxXHZS4i8dANH4DX3tbHol61ek8EFMcsGXxKciJFHyhl94C+NwILQdzsUlSFovBZsyl/NX6yEbtw/xN9ZNcrbYvgjjZ/UVPZIySFNsgEYvh0z2542lzMKR4Dh8uZffQ=="
	rfc5155Key = "example. 3600 IN DNSKEY 256 3 7 AwEAAaetidLzsKWUt4swWR8yu0wPHPiUi8LUsAD0QPWU+wzt89epO6tHzkMBVDkC7qphQO2hTY4hHn9npWFRw5BYubE="
)

// The RRsets of RFC 4035 appendix B with their signatures.
var rfc4035 = map[string]string{
	"mx": `x.w.example. 3600 IN MX 1 xx.example.
x.w.example. 3600 IN RRSIG MX 5 3 3600 20040509183619 20040409183619 38519 example. Il2WTZ+Bkv+OytBx4LItNW5mjB4RCwhOO8y1XzPHZmZUTVYL7LaA63f6T9ysVBzJRI3KRjAPH3U1qaYnDoN1DrWqmi9RJe4FoObkbcdm7P3Ikx70ePCoFgRz1Yq+bVVXCvGuAU4xALv3W/Y1jNSlwZ2mSWKHfxFQxPtLj8s32+k=`,
	"ns": `example. 3600 IN NS ns1.example.
example. 3600 IN NS ns2.example.
example. 3600 IN RRSIG NS 5 1 3600 20040509183619 20040409183619 38519 example. gl13F00f2U0R+SWiXXLHwsMY+qStYy5k6zfdEuivWc+wd1fmbNCyql0Tk7lHTX6UOxc8AgNf4ISFve8XqF4q+o9qlnqIzmppU3LiNeKT4FZ8RO5urFOvoMRTbQxW3U0hXWuggE4g3ZpsHv480HjMeRaZB/FRPGfJPajngcq6Kwg=`,
	"a": `xx.example. 3600 IN A 192.0.2.10
xx.example. 3600 IN RRSIG A 5 2 3600 20040509183619 20040409183619 38519 example. kBF4YxMGWF0D8r0cztL+2fWWOvN1U/GYSpYP7SoKoNQ4fZKyk+weWGlKLIUM+uE1zjVTPXoa0Z6WG0oZp46rkl1EzMcdMgoaeUzzAJ2BMq+YVdxG9IK1yZkYGY9AgbTOGPoAgbJyO9EPULsxkbIDV6GPPSZVusnZU6OMgdgzHV4=`,
	"aaaa": `xx.example. 3600 IN AAAA 2001:db8::f00:baaa
xx.example. 3600 IN RRSIG AAAA 5 2 3600 20040509183619 20040409183619 38519 example. Zzj0yodDxcBLnnOIwDsuKo5WqiaK24DlKg9CaGaxDFiKgKobUj2jilYQHpGFn2poFRetZd4zulyQkssz2QHrVrPuTMS22knudCiwP4LWpVTrU4zfeA+rDz9stmSBP/4PekH/x2IoAYnwctd/xS9cL2QgW7FChw16mzlkH6/vsfs=`,
	"soa": `example. 3600 IN SOA ns1.example. bugs.x.w.example. 1081539377 3600 300 3600000 3600
example. 3600 IN RRSIG SOA 5 1 3600 20040509183619 20040409183619 38519 example. ONx0k36rcjaxYtcNgq6iQnpNV5+drqYAsC9h7TSJaHCqbhE67Sr6aH2xDUGcqQWu/n0UVzrFvkgO9ebarZ0GWDKcuwlM6eNB5SiX2K74l5LWDA7S/Un/IbtDq4Ay8NMNLQI7Dw7n4p8/rjkBjV7j86HyQgM5e7+miRAz8V01b0I=`,
	"apex": `example. 3600 IN NSEC a.example. NS SOA MX RRSIG NSEC DNSKEY
example. 3600 IN RRSIG NSEC 5 1 3600 20040509183619 20040409183619 38519 example. O0k558jHhyrC97ISHnislm4kLMW48C7U7cBmFTfhke5iVqNRVTB1STLMpgpbDIC9hcryoO0VZ9ME5xPzUEhbvGnHd5sfzgFVeGxr5Nyyq4tWSDBgIBiLQUv1ivy29vhXy7WgR62dPrZ0PWvmjfFJ5arXf4nPxp/kEowGgBRzY/U=`,
	"b": `b.example. 3600 IN NSEC ns1.example. NS RRSIG NSEC
b.example. 3600 IN RRSIG NSEC 5 2 3600 20040509183619 20040409183619 38519 example. GNuxHn844wfmUhPzGWKJCPY5ttEX/RfjDoOx9ueK1PtYkOWKOOdiJ/PJKCYB3hYX+858dDWSxb2qnV/LSTCNVBnkm6owOpysY97MVj5VQEWs0lm9tFoqjcptQkmQKYPrwUnCSNwvvclSF1xZvhRXgWT7OuFXldoCG6TfVFMs9xE=`,
	"ns1": `ns1.example. 3600 IN NSEC ns2.example. A RRSIG NSEC
ns1.example. 3600 IN RRSIG NSEC 5 2 3600 20040509183619 20040409183619 38519 example. I4hj+Kt6+8rCcHcUdolks2S+Wzri9h3fHas81rGN/eILdJHN7JpV6lLGPIh/8fIBkfvdyWnBjjf1q3O7JgYO1UdI7FvBNWqaaEPJK3UkddBqZIaLi8Qr2XHkjq38BeQsbp8X0+6h4ETWSGT8IZaIGBLryQWGLw6Y6X8dqhlnxJM=`,
	"ds": `a.example. 3600 IN DS 57855 5 1 B6DCD485719ADCA18E5F3D48A2331627FDD3636B
a.example. 3600 IN RRSIG DS 5 2 3600 20040509183619 20040409183619 38519 example. oXIKit/QtdG64J/CB+Gi8dOvnwRvqrto1AdQoRkAN15FP3iZ7suB7gvTBmXzCjL7XUgQVcoHkdhyCuzp8W9qJHgRUSwKKkczSyuL64nhgjuDEML8l9wlWVsl7PR2VnZduM9bLyBhaaPmRKX/Fm+v6ccF2EGNLRiY08kdkz+XHHo=`,
	"wild": `a.z.w.example. 3600 IN MX 1 ai.example.
a.z.w.example. 3600 IN RRSIG MX 5 2 3600 20040509183619 20040409183619 38519 example. OMK8rAZlepfzLWW75Dxd63jy2wswESzxDKG2f9AMN1CytCd10cYISAxfAdvXSZ7xujKAtPbctvOQ2ofO7AZJ+d01EeeQTVBPq4/6KCWhqe2XTjnkVLNvvhnc0u28aoSsG0+4InvkkOHknKxw4kX18MMR34i8lC36SR5xBni8vHI=`,
	"xyw": `x.y.w.example. 3600 IN NSEC xx.example. MX RRSIG NSEC
x.y.w.example. 3600 IN RRSIG NSEC 5 4 3600 20040509183619 20040409183619 38519 example. OvE6WUzN2ziieJcvKPWbCAyXyP6ef8cr6CspArVSTzKSquNwbezZmkU7E34o5lmb6CWSSSpgxw098kNUFnHcQf/LzY2zqRomubrNQhJTiDTXa0ArunJQCzPjOYq5t0SLjm6qp6McJI1AP5VrQoKqJDCLnoAlcPOPKAm/jJkn3jk=`,
	"star": `*.w.example. 3600 IN NSEC x.w.example. MX RRSIG NSEC
*.w.example. 3600 IN RRSIG NSEC 5 2 3600 20040509183619 20040409183619 38519 example. r/mZnRC3I/VIcrelgIcteSxDhtsdlTDt8ng9HSBlABOlzLxQtfgTnn8f+aOwJIAFe1Ee5RvU5cVhQJNP5XpXMJHfyps8tVvfxSAXfahpYqtx91gsmcV/1V9/bZAG55CefP9cM4Z9Y9NT9XQ8s1InQ2UoIv6tJEaaKkP701j8OLA=`,
}

// The RRsets of RFC 5155 appendix B with their signatures. As in the zone of appendix A all NSEC3 opt out.
var rfc5155 = map[string]string{
	"soa": `example. 3600 IN SOA ns1.example. bugs.x.w.example. 1 3600 300 3600000 3600
example. 3600 IN RRSIG SOA 7 1 3600 20150420235959 20051021000000 40430 example. Hu25UIyNPmvPIVBrldN+9Mlp9Zql39qaUd8iq4ZLlYWfUUbbAS41pG+68z81q1xhkYAcEyHdVI2LmKusbZsT0Q==`,
	"wild": `a.z.w.example. 3600 IN MX 1 ai.example.
a.z.w.example. 3600 IN RRSIG MX 7 2 3600 20150420235959 20051021000000 40430 example. CikebjQwGQPwijVcxgcZcSJKtfynugtlBiKb9FcBTrmOoyQ4InoWVudhCWsh/URX3lc4WRUMivEBP6+4KS3ldA==`,
	"ai": `ai.example. 3600 IN AAAA 2001:db8::f00:baa9
ai.example. 3600 IN RRSIG AAAA 7 2 3600 20150420235959 20051021000000 40430 example. LcdxKaCB5bGZwPDg+3JJ4O02zoMBrjxqlf6WuaHQZZfTUpb9Nf2nxFGe2XRPfR5tpJT6GdRGcHueLuXkMjBArQ==`,
	"apex": `0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. 3600 IN NSEC3 1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr NS SOA MX RRSIG DNSKEY NSEC3PARAM
0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. 3600 IN RRSIG NSEC3 7 2 3600 20150420235959 20051021000000 40430 example. OSgWSm26B+cS+dDL8b5QrWr/dEWhtCsKlwKLIBHYH6blRxK9rC0bMJPwQ4mLIuw85H2EY762BOCXJZMnpuwhpA==`,
	"xw": `b4um86eghhds6nea196smvmlo4ors995.example. 3600 IN NSEC3 1 1 12 aabbccdd gjeqe526plbf1g8mklp59enfd789njgi MX RRSIG
b4um86eghhds6nea196smvmlo4ors995.example. 3600 IN RRSIG NSEC3 7 2 3600 20150420235959 20051021000000 40430 example. ZkPG3M32lmoHM6pa3D6gZFGB/rhL//Bs3Omh5u4m/CUiwtblEVOaAKKZd7S959OeiX43aLX3pOv0TSTyiTxIZg==`,
	"a": `35mthgpgcu1qg68fab165klnsnk3dpvl.example. 3600 IN NSEC3 1 1 12 aabbccdd b4um86eghhds6nea196smvmlo4ors995 NS DS RRSIG
35mthgpgcu1qg68fab165klnsnk3dpvl.example. 3600 IN RRSIG NSEC3 7 2 3600 20150420235959 20051021000000 40430 example. g6jPUUpduAJKRljUsN8gB4UagAX0NxY9shwQAynzo8EUWH+z6hEIBlUTPGj15eZll6VhQqgZXtAIR3chwgW+SA==`,
	"ns1": `2t7b4g4vsa5smi47k61mv5bv1a22bojr.example. 3600 IN NSEC3 1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A RRSIG
2t7b4g4vsa5smi47k61mv5bv1a22bojr.example. 3600 IN RRSIG NSEC3 7 2 3600 20150420235959 20051021000000 40430 example. OmBvJ1Vgg1hCKMXHFiNeIYHK9XVW0iLDLwJN4TFoNxZuP03gAXEI634YwOc4YBNITrj413iqNI6mRk/r1dOSUw==`,
	"yw": `ji6neoaepv8b5o6k4ev33abha8ht9fgc.example. 3600 IN NSEC3 1 1 12 aabbccdd k8udemvp1j2f7eg6jebps17vp3n8i58h
ji6neoaepv8b5o6k4ev33abha8ht9fgc.example. 3600 IN RRSIG NSEC3 7 2 3600 20150420235959 20051021000000 40430 example. gPkFp1s2QDQ6wQzcg1uSebZ61W33rUBDcTj72F3kQ490fEdp7k1BUIfbcZtPbX3YCpE+sIt0MpzVSKfTwx4uYA==`,
	"ns2": `q04jkcevqvmu85r014c7dkba38o0ji5r.example. 3600 IN NSEC3 1 1 12 aabbccdd r53bq7cc2uvmubfu5ocmm6pers9tk9en A RRSIG
q04jkcevqvmu85r014c7dkba38o0ji5r.example. 3600 IN RRSIG NSEC3 7 2 3600 20150420235959 20051021000000 40430 example. hV5I89b+4FHJDATp09g4bbN0R1F845CaXpL3ZxlMKimoPAyqletMlEWwLfFia7sdpSzn+ZlNNlkxWcLsIlMmUg==`,
	"w": `k8udemvp1j2f7eg6jebps17vp3n8i58h.example. 3600 IN NSEC3 1 1 12 aabbccdd kohar7mbb8dc2ce8a9qvl8hon4k53uhi
k8udemvp1j2f7eg6jebps17vp3n8i58h.example. 3600 IN RRSIG NSEC3 7 2 3600 20150420235959 20051021000000 40430 example. FtXGbvF0+wf8iWkyo73enAuVx03klN+pILBKS6qCcftVtfH4yVzsEZquJ27NHR7ruxJWDNMtOtx7w9WfcIg62A==`,
	"star": `r53bq7cc2uvmubfu5ocmm6pers9tk9en.example. 3600 IN NSEC3 1 1 12 aabbccdd t644ebqk9bibcna874givr6joj62mlhv MX RRSIG
r53bq7cc2uvmubfu5ocmm6pers9tk9en.example. 3600 IN RRSIG NSEC3 7 2 3600 20150420235959 20051021000000 40430 example. aupviViruXs4bDg9rCbezzBMf9h1ZlDvbW/CZFKulIGXXLj8B/fsDJarXVDA9bnUoRhEbKp+HF1FWKW7RIJdtQ==`,
}

// example is one of the two zones: its keys, its RRsets, and a time at which its signatures hold.
type example struct {
	keys *Keys
	sets map[string]string
	at   time.Time
}

func newExample(t *testing.T, text string, tag uint16, sets map[string]string, at time.Time) example {
	t.Helper()
	k, ok := newKey(rrs(t, text)[0].(*dns.DNSKEY))
	if !ok || k.tag != tag {
		t.Fatalf("the key has the tag %d, not %d", k.tag, tag)
	}
	keys := &Keys{Verdict: Verdict{Status: Secure}, zone: mustName(t, "example.")}
	keys.sort(New(Config{}), []*key{k})
	return example{keys, sets, at}
}

// response returns the named RRsets as a section has them.
func (x example) response(t *testing.T, names string) []RRset {
	t.Helper()
	var section []dns.RR
	for _, n := range strings.Fields(names) {
		if x.sets[n] == "" {
			t.Fatalf("no RRset %q", n)
		}
		section = append(section, rrs(t, x.sets[n])...)
	}
	return Group(section)
}

// The responses of RFC 4035 appendix B and RFC 5155 appendix B, signatures and all.
func TestRFCResponses(t *testing.T) {
	old := newExample(t, rfc4035Key, 38519, rfc4035, time.Date(2004, 5, 1, 12, 0, 0, 0, time.UTC))
	hashed := newExample(t, rfc5155Key, 40430, rfc5155, time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC))
	v := New(Config{})
	for _, x := range []example{old, hashed} {
		for what, text := range x.sets {
			set := Group(rrs(t, text))[0]
			res := v.ValidateRRset(set, x.keys, x.at, NewBudget(Limits{}))
			if res.Status != Secure || res.Expanded != (what == "wild") || res.Expanded && res.Labels != 2 {
				t.Errorf("%s of %d: %+v", what, x.keys.Status, res)
			}
			if late := v.ValidateRRset(set, x.keys, now, NewBudget(Limits{})); late.Code != dns.ExtendedErrorCodeSignatureExpired {
				t.Errorf("%s today: %v", what, late.Verdict)
			}
		}
	}
	tests := []struct {
		name    string
		zone    example
		records string
		ask     func(*Evidence, *Budget) Proof
		kind    Kind
		optOut  bool
	}{
		{"RFC 4035 B.2", old, "soa b apex", nameError("ml.example."), KindNameError, false},
		{"RFC 4035 B.2 without the wildcard's", old, "soa b", nameError("ml.example."), KindNone, false},
		{"RFC 4035 B.3", old, "soa ns1", noData("ns1.example.", dns.TypeMX), KindNoData, false},
		{"RFC 4035 B.6", old, "ns xyw", expansion("a.z.w.example.", 2), KindExpansion, false},
		{"RFC 4035 B.7", old, "soa xyw star", noData("a.z.w.example.", dns.TypeAAAA), KindWildcardNoData, false},
		{"RFC 4035 B.7 without the wildcard's", old, "soa xyw", noData("a.z.w.example.", dns.TypeAAAA), KindNone, false},
		{"RFC 4035 B.8 by the child", old, "soa apex", noData("example.", dns.TypeDS), KindNone, false},
		{"RFC 5155 B.1", hashed, "soa apex xw a", nameError("a.c.x.w.example."), KindNameError, true},
		{"RFC 5155 B.2", hashed, "soa ns1", noData("ns1.example.", dns.TypeMX), KindNoData, false},
		{"RFC 5155 B.2.1", hashed, "soa yw", noData("y.w.example.", dns.TypeA), KindNoData, false},
		{"RFC 5155 B.4", hashed, "ns2", expansion("a.z.w.example.", 2), KindExpansion, true},
		{"RFC 5155 B.5", hashed, "soa w ns2 star", noData("a.z.w.example.", dns.TypeAAAA), KindWildcardNoData, true},
		{"RFC 5155 B.6 by the child", hashed, "soa apex", noData("example.", dns.TypeDS), KindNone, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := NewBudget(Limits{})
			p := tt.ask(v.Evidence(tt.zone.response(t, tt.records), tt.zone.keys, tt.zone.at, b), b)
			if p.Kind != tt.kind || p.OptOut != tt.optOut || (p.Kind == KindNone) != p.Failed() {
				t.Errorf("%+v", p)
			}
		})
	}
	delegations := []struct {
		name, child string
		zone        example
		records     string
		status      Status
		ds          int
	}{
		{"RFC 4035 B.4", "a.example.", old, "ds", Secure, 1},
		{"RFC 4035 B.5", "b.example.", old, "b", Insecure, 0},
		{"RFC 4035 B.4 with B.5's records", "a.example.", old, "b", Bogus, 0},
		{"RFC 5155 B.3", "c.example.", hashed, "a apex", Insecure, 0},
		{"RFC 5155 B.3 without the encloser", "c.example.", hashed, "a", Bogus, 0},
	}
	for _, tt := range delegations {
		cut := v.Delegation(tt.child, tt.zone.response(t, tt.records), tt.zone.keys, tt.zone.at, NewBudget(Limits{}))
		if cut.Status != tt.status || len(cut.DS) != tt.ds {
			t.Errorf("%s: %+v", tt.name, cut)
		}
	}
}
