package zone

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func ask(name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	return m
}

func TestReply(t *testing.T) {
	tests := []struct {
		name, of string
		qtype    uint16
		rcode    int
		answer   string // the data of the one record; "": none
		slow     bool
	}{
		{"a name", Name(258), dns.TypeA, dns.RcodeSuccess, "10.0.1.2", false},
		{"in other case", "N258.Bench.EXAMPLE.", dns.TypeA, dns.RcodeSuccess, "10.0.1.2", false},
		{"a slow name", SlowName(65536), dns.TypeA, dns.RcodeSuccess, "10.1.0.0", true},
		{"the last name", Name(Limit - 1), dns.TypeA, dns.RcodeSuccess, "10.255.255.255", false},
		{"beyond the last", Name(Limit), dns.TypeA, dns.RcodeNameError, "", false},
		{"a number in another form", "n007." + Apex, dns.TypeA, dns.RcodeNameError, "", false},
		{"a random name", RandomName(rand.New(rand.NewPCG(1, 1))), dns.TypeA, dns.RcodeNameError, "", false},
		{"another type", Name(1), dns.TypeAAAA, dns.RcodeSuccess, "", false},
		{"the zone of slow names", "slow." + Apex, dns.TypeA, dns.RcodeSuccess, "", false},
		{"the apex", Apex, dns.TypeNS, dns.RcodeSuccess, Name(0), false},
		{"outside", "example.", dns.TypeA, dns.RcodeSuccess, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, slow := Reply(ask(tt.of, tt.qtype))
			if m.Rcode != tt.rcode || slow != tt.slow || !m.Authoritative || m.Question[0].Name != tt.of {
				t.Errorf("%s, slow %v, %v", dns.RcodeToString[m.Rcode], slow, m)
			}
			var data string
			for _, rr := range m.Answer {
				data += strings.TrimPrefix(rr.String(), rr.Header().String())
			}
			if data != tt.answer {
				t.Errorf("answer %q, want %q", data, tt.answer)
			}
			if len(m.Answer) == 0 && len(m.Ns) != 1 {
				t.Errorf("no SOA in a negative answer: %v", m)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name   string
		spoil  func(*dns.Msg)
		reason string // "": it is right
	}{
		{"right", func(*dns.Msg) {}, ""},
		{"aged as long as it may", func(m *dns.Msg) { m.Answer[0].Header().Ttl = TTL - 60 }, ""},
		{"aged longer", func(m *dns.Msg) { m.Answer[0].Header().Ttl = TTL - 61 }, "TTL"},
		{"grown", func(m *dns.Msg) { m.Answer[0].Header().Ttl = TTL + 1 }, "TTL"},
		{"another address", func(m *dns.Msg) { m.Answer[0].(*dns.A).A[3]++ }, "address"},
		{"another owner", func(m *dns.Msg) { m.Answer[0].Header().Name = Name(8) }, "another record"},
		{"another question", func(m *dns.Msg) { m.Question[0].Name = Name(8) }, "another question"},
		{"no record", func(m *dns.Msg) { m.Answer = nil }, "0 records"},
		{"two records", func(m *dns.Msg) { m.Answer = append(m.Answer, m.Answer[0]) }, "2 records"},
		{"a failure", func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }, "SERVFAIL"},
		{"truncated", func(m *dns.Msg) { m.Truncated = true }, "truncated"},
		{"a question", func(m *dns.Msg) { m.Response = false }, "not a whole"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, _ := Reply(ask(Name(7), dns.TypeA))
			tt.spoil(m)
			err := Check(m, 7, 60)
			if (err == nil) != (tt.reason == "") || err != nil && !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("got %v, want %q", err, tt.reason)
			}
		})
	}
}

func TestServe(t *testing.T) {
	const delay = 50 * time.Millisecond
	s, err := Serve(netip.MustParseAddrPort("127.0.0.1:0"), delay)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, network := range []string{"udp", "tcp"} {
		client := &dns.Client{Net: network, Timeout: 30 * time.Second}
		m, _, err := client.Exchange(ask(Name(3), dns.TypeA), s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(m, 3, 0); err != nil {
			t.Errorf("%s: %v", network, err)
		}
		began := time.Now()
		if _, _, err := client.Exchange(ask(SlowName(3), dns.TypeA), s.Addr().String()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < delay {
			t.Errorf("%s: a slow name took %v", network, took)
		}
	}
	if n := s.Queries(); n != 4 {
		t.Errorf("%d questions were counted, want 4", n)
	}
}
