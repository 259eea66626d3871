package dnssec

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Every type whose data holds names that are lower-cased, and some whose data must keep its case: the library
// verifies what is signed here, so both have one canonical form; and a change of case decides as the RFC says.
func TestCanonicalForm(t *testing.T) {
	tests := []struct {
		data  string
		lower bool // the names in it lose their case
	}{
		{"NS Ns.Example.", true}, {"MD Ns.Example.", true}, {"MF Ns.Example.", true}, {"CNAME Ns.Example.", true},
		{"SOA Ns.Example. Host.Example. 1 2 3 4 5", true}, {"MB Ns.Example.", true}, {"MG Ns.Example.", true},
		{"MR Ns.Example.", true}, {"PTR Ns.Example.", true}, {"MINFO A.Example. B.Example.", true},
		{"MX 10 Ns.Example.", true}, {"RP A.Example. B.Example.", true}, {"AFSDB 1 Ns.Example.", true},
		{"RT 1 Ns.Example.", true}, {"PX 1 A.Example. B.Example.", true}, {`NAPTR 1 1 "" "" "" Ns.Example.`, true},
		{"KX 1 Ns.Example.", true}, {"SRV 1 2 3 Ns.Example.", true}, {"DNAME Ns.Example.", true},
		{`HINFO "Abc" "Def"`, false}, {`TXT "Abc"`, false}, {"NSEC Ns.Example. A", false},
		{`SVCB 1 Ns.Example. alpn="h2"`, false}, {"HTTPS 1 Ns.Example.", false},
	}
	v := New(Config{})
	s := signerFor(t, "example.", dns.ED25519, dns.ZONE)
	keys := keysOf(t, v, s)
	for _, tt := range tests {
		t.Run(strings.Fields(tt.data)[0], func(t *testing.T) {
			rr := rrs(t, "WWW.Example. 300 IN "+tt.data)[0]
			before := rr.String()
			set := s.signSet(t, rr)
			if rr.String() != before {
				t.Errorf("signing changed the record to %s", rr)
			}
			if err := set.Sigs[0].Verify(s.Key, set.RRs); err != nil {
				t.Errorf("library: %v", err)
			}
			set.RRs = rrs(t, "www.example. 300 IN "+strings.NewReplacer("Ns.Example", "nS.eXAMPLE", "A.Example", "a.eXample",
				"B.Example", "b.eXample", "Host.Example", "host.examplE", "Abc", "aBC").Replace(tt.data))
			want := Bogus
			if tt.lower {
				want = Secure
			}
			if res := v.ValidateRRset(set, keys, now, NewBudget(Limits{})); res.Status != want {
				t.Errorf("other case: %v", res.Verdict)
			}
		})
	}
}

// Order and repetition of records do not count (RFC 4034 section 6.3).
func TestCanonicalOrder(t *testing.T) {
	v := New(Config{})
	s := signerFor(t, "example.", dns.ED25519, dns.ZONE)
	keys := keysOf(t, v, s)
	set := s.signSet(t, rrs(t, "a.example. 1 IN TXT b\na.example. 1 IN TXT aa\na.example. 1 IN TXT \"\"")...)
	set.RRs = []dns.RR{set.RRs[2], set.RRs[0], set.RRs[1], set.RRs[0]}
	if res := v.ValidateRRset(set, keys, now, NewBudget(Limits{})); res.Status != Secure {
		t.Error(res.Verdict)
	}
	set.RRs = set.RRs[:2]
	if res := v.ValidateRRset(set, keys, now, NewBudget(Limits{})); res.Status != Bogus {
		t.Errorf("a record less: %v", res.Verdict)
	}
}

// RFC 4034 section 6.1's example of canonical order.
func TestNameOrder(t *testing.T) {
	order := []string{"example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.", "z.example.",
		`\001.z.example.`, "*.z.example.", `\200.z.example.`}
	for i := range order {
		for j := range order {
			c := compare(mustName(t, order[i]), mustName(t, order[j]))
			if c < 0 != (i < j) || c > 0 != (i > j) {
				t.Errorf("%s, %s: %d", order[i], order[j], c)
			}
		}
	}
	for _, bad := range []string{"", "relative", "a..b.", strings.Repeat("a", 64) + ".", strings.Repeat("a.", 128)} {
		if _, ok := parseName(bad); ok {
			t.Errorf("%q was read", bad)
		}
	}
	long := mustName(t, strings.Repeat("a.", 127))
	if _, ok := long.wildcard(); ok || long.labels() != 127 {
		t.Error("a wildcard below the longest name")
	}
}

func TestVerdictsRead(t *testing.T) {
	for want, got := range map[string]string{
		"secure":        Verdict{Status: Secure}.String(),
		"bogus: why":    bogus(0, "why").String(),
		"insecure":      Insecure.String(),
		"exhausted":     Exhausted.String(),
		"indeterminate": Status(0).String(),
		"status 99":     Status(99).String(),
		"name error":    KindNameError.String(),
		"opt-out":       KindOptOut.String(),
		"nothing":       KindNone.String(),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	s := signerFor(t, "example.", dns.ED25519, dns.ZONE)
	for _, text := range []string{"a.other. 1 IN A 192.0.2.1", "a.example. 1 IN A 192.0.2.1\nb.example. 1 IN A 192.0.2.1"} {
		if sig, err := s.Sign(rrs(t, text), now, now); err == nil {
			t.Errorf("signed %v", sig)
		}
	}
	if _, err := s.Sign(nil, now, now); err == nil {
		t.Error("signed nothing")
	}
	if _, err := NewKey("example.", 1, dns.ZONE, dns.ED448, s.Private.Public()); err == nil {
		t.Error("an Ed25519 key became one of Ed448")
	}
}
