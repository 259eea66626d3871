package dnssec

import (
	"testing"

	"github.com/miekg/dns"
)

func TestCanonicalRR(t *testing.T) {
	const upper = "WWW.Example. 300 IN RRSIG A 8 2 300 20181028142623 20181007205525 47155 Example. AAAA"
	const lower = "www.example. 300 IN RRSIG A 8 2 300 20181028142623 20181007205525 47155 example. AAAA"
	for _, tt := range []struct {
		rr, canonical string
	}{
		{upper, lower},
		{"A.Example. 5 IN MX 10 Mail.Example.", "a.example. 5 IN MX 10 mail.example."},
		{"A.example. 5 IN TXT \"Kept\"", "a.example. 5 IN TXT \"Kept\""},
		{"a.example. 5 IN NSEC B.example. A", "a.example. 5 IN NSEC B.example. A"},
	} {
		got, want := rrs(t, tt.rr)[0], rrs(t, tt.canonical)[0]
		before := got.String()
		wire, data, err := CanonicalRR(got)
		if err != nil {
			t.Fatal(err)
		}
		back, n, err := dns.UnpackRR(wire, 0)
		if err != nil || n != len(wire) || back.String() != want.String() {
			t.Errorf("%s became %v, %v", tt.rr, back, err)
		}
		if len(wire)-data != int(back.Header().Rdlength) {
			t.Errorf("%s: data at %d of %d", tt.rr, data, len(wire))
		}
		if got.String() != before {
			t.Errorf("%s was changed to %s", before, got)
		}
	}
	if _, _, err := CanonicalRR(&dns.A{Hdr: dns.RR_Header{Name: "relative", Rrtype: dns.TypeA}}); err == nil {
		t.Error("a relative name has a canonical form")
	}
}
