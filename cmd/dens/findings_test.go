package main

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dens/resolver"
)

// TestFindingsOutcome: the exit code and what a person reads, by what was answered.
func TestFindingsOutcome(t *testing.T) {
	const alias = "www.alice.eth. 300 IN CNAME alice.eth."
	tests := []struct {
		story   string
		rrtype  uint16
		rcode   int
		records []string
		code    int
		says    string
	}{
		{"an address", dns.TypeA, dns.RcodeSuccess, []string{"www.alice.eth. 300 IN A 192.0.2.1"}, exitOK, "192.0.2.1"},
		{"an alias that leads to one", dns.TypeA, dns.RcodeSuccess, []string{alias, "alice.eth. 300 IN A 192.0.2.1"}, exitOK, "192.0.2.1"},
		{"an alias that leads to nothing", dns.TypeA, dns.RcodeSuccess, []string{alias}, exitNoData, "no such record (NODATA)"},
		{"an alias to no name", dns.TypeA, dns.RcodeNameError, []string{alias}, exitNXDomain, "does not exist"},
		{"the alias itself", dns.TypeCNAME, dns.RcodeSuccess, []string{alias}, exitOK, "alice.eth."},
		{"any", dns.TypeANY, dns.RcodeSuccess, []string{`www.alice.eth. 3600 IN HINFO "RFC8482" ""`}, exitOK, "RFC8482"},
		{"nothing", dns.TypeA, dns.RcodeSuccess, nil, exitNoData, "no such record (NODATA)"},
		{"a failure", dns.TypeA, dns.RcodeServerFailure, nil, exitServFail, "SERVFAIL"},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			m := new(dns.Msg)
			m.Rcode = tt.rcode
			for _, s := range tt.records {
				rr, err := dns.NewRR(s)
				if err != nil {
					t.Fatal(err)
				}
				m.Answer = append(m.Answer, rr)
			}
			f := &findings{Name: "www.alice.eth."}
			f.add(tt.rrtype, asked{msg: m}, 0)
			if got := f.exitCode(); got != tt.code {
				t.Errorf("exit code %d, want %d", got, tt.code)
			}
			var out strings.Builder
			if err := f.print(&out); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), tt.says) {
				t.Errorf("%q is not in\n%s", tt.says, out.String())
			}
		})
	}
}

// TestFindingsText: what a server says reaches no terminal as control characters.
func TestFindingsText(t *testing.T) {
	f := &findings{Name: "alice.eth."}
	f.add(dns.TypeA, asked{msg: new(dns.Msg), ede: []resolver.EDE{{Code: 0, Text: "a\x1b[2J\u202eb\nc"}}}, 0)
	var out strings.Builder
	if err := f.print(&out); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\u202e") || !strings.Contains(out.String(), "a[2Jbc") {
		t.Errorf("%q", out.String())
	}
}

// TestFindingsOnce: an alias that is in the answer of each type is shown once, though its TTL went down.
func TestFindingsOnce(t *testing.T) {
	f := &findings{Name: "www.alice.eth."}
	for rrtype, alias := range map[uint16]string{dns.TypeA: "www.alice.eth. 300 IN CNAME alice.eth.", dns.TypeAAAA: "www.alice.eth. 299 IN CNAME alice.eth."} {
		rr, err := dns.NewRR(alias)
		if err != nil {
			t.Fatal(err)
		}
		f.add(rrtype, asked{msg: &dns.Msg{Answer: []dns.RR{rr}}}, 0)
	}
	var out strings.Builder
	if err := f.print(&out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "CNAME"); n != 1 {
		t.Errorf("the alias is shown %d times in\n%s", n, out.String())
	}
}
