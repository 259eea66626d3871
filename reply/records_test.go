package reply_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

func TestTTL(t *testing.T) {
	const (
		a     = "www.example.org. 300 IN A 192.0.2.1"
		cname = "www.example.org. 200 IN CNAME a.example.org."
		soa   = "example.org. 900 IN SOA a. b. 1 2 3 4 120"
	)
	tests := []struct {
		name   string
		rcode  int
		answer []string
		ns     []string
		ttl    time.Duration
		fails  bool
		shown  []uint32 // TTLs of answer, then authority
	}{
		{"the lowest of the answer", 0, []string{cname, "a.example.org. 100 IN A 192.0.2.1"}, nil, 100 * time.Second, false, []uint32{200, 100}},
		{"the lowest of the authority", 0, []string{a}, []string{"example.org. 50 IN NS a.example.org."}, 50 * time.Second, false, []uint32{300, 50}},
		{"a day at most", 0, []string{"www.example.org. 864000 IN A 192.0.2.1"}, nil, 24 * time.Hour, false, []uint32{86400}},
		{"above 2^31-1 is zero", 0, []string{"www.example.org. 2147483648 IN A 192.0.2.1"}, nil, 0, false, []uint32{0}},
		{"zero", 0, []string{"www.example.org. 0 IN A 192.0.2.1"}, nil, 0, false, []uint32{0}},
		{"NXDOMAIN by the minimum", dns.RcodeNameError, nil, []string{soa}, 120 * time.Second, false, []uint32{120}},
		{"NXDOMAIN by the SOA's TTL", dns.RcodeNameError, nil, []string{"example.org. 60 IN SOA a. b. 1 2 3 4 120"}, time.Minute, false, []uint32{60}},
		{"NXDOMAIN, capped", dns.RcodeNameError, nil, []string{"example.org. 9000 IN SOA a. b. 1 2 3 4 9000"}, 15 * time.Minute, false, []uint32{900}},
		{"NXDOMAIN without SOA", dns.RcodeNameError, nil, nil, 5 * time.Second, false, nil},
		{"NODATA", 0, nil, []string{soa}, 120 * time.Second, false, []uint32{120}},
		{"NODATA behind an alias", 0, []string{"www.example.org. 110 IN CNAME a.example.org."}, []string{soa}, 110 * time.Second, false, []uint32{110, 120}},
		{"NODATA without SOA", 0, []string{cname}, nil, 5 * time.Second, false, []uint32{200}},
		{"YXDOMAIN", dns.RcodeYXDomain, []string{"example.org. 70 IN DNAME example.net."}, nil, 70 * time.Second, false, []uint32{70}},
		{"SERVFAIL", dns.RcodeServerFailure, nil, nil, 5 * time.Second, true, nil},
		{"REFUSED by another server", dns.RcodeRefused, nil, []string{soa}, 5 * time.Second, true, nil},
		{"an extended rcode", dns.RcodeBadVers, nil, nil, 5 * time.Second, true, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			answer := &resolver.Answer{Rcode: tt.rcode, Answer: rrs(t, tt.answer...), Ns: rrs(t, tt.ns...)}
			shared := append(append([]dns.RR{}, answer.Answer...), answer.Ns...)
			before := lines(shared)
			e, m := get(t, source(&answers{answer: answer}), request(t, "www.example.org.", dns.TypeA, nil))
			if e.TTL != tt.ttl || e.Failure != tt.fails {
				t.Errorf("TTL %v, failure %v, want %v, %v", e.TTL, e.Failure, tt.ttl, tt.fails)
			}
			if int(e.Rcode) != m.Rcode || tt.rcode <= 15 && m.Rcode != tt.rcode {
				t.Errorf("rcode %d, %d in the header", e.Rcode, m.Rcode)
			}
			var shown []uint32
			for _, rr := range append(m.Answer, m.Ns...) {
				shown = append(shown, rr.Header().Ttl)
			}
			if !reflect.DeepEqual(shown, tt.shown) {
				t.Errorf("TTLs %v, want %v", shown, tt.shown)
			}
			if after := lines(shared); !reflect.DeepEqual(before, after) {
				t.Errorf("shared records were changed: %v", after)
			}
		})
	}
}

func TestUncacheable(t *testing.T) {
	a := &resolver.Answer{Answer: rrs(t, "a. 60 IN A 192.0.2.1"), Uncacheable: true}
	if e, _ := get(t, source(&answers{answer: a}), request(t, "a.", dns.TypeA, nil)); e.TTL != 0 || e.Failure {
		t.Errorf("got %+v", e)
	}
}

func TestDNSSECRecords(t *testing.T) {
	const sig = "13 2 60 20300101000000 20200101000000 1 example.org. AAAA"
	answer := &resolver.Answer{
		Answer: rrs(t, "www.example.org. 60 IN A 192.0.2.1", "www.example.org. 60 IN RRSIG A "+sig),
		Ns:     rrs(t, "www.example.org. 60 IN NSEC z.example.org. A", "example.org. 60 IN DS 1 13 2 00", "x.example.org. 60 IN NSEC3 1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A"),
		Extra:  append(rrs(t, "a.example.org. 60 IN A 192.0.2.2", "a.example.org. 60 IN RRSIG A "+sig), &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}),
	}
	tests := []struct {
		rrtype uint16
		do     bool
		want   [3]int
	}{
		{dns.TypeA, true, [3]int{2, 3, 2}},
		{dns.TypeA, false, [3]int{1, 1, 1}},
		{dns.TypeRRSIG, false, [3]int{2, 1, 2}},
		{dns.TypeNSEC, false, [3]int{1, 2, 1}},
	}
	for _, tt := range tests {
		_, m := get(t, source(&answers{answer: answer}), request(t, "www.example.org.", tt.rrtype, func(m *dns.Msg) {
			if tt.do {
				m.SetEdns0(1232, true)
			}
		}))
		if got := [3]int{len(m.Answer), len(m.Ns), len(m.Extra)}; got != tt.want {
			t.Errorf("%s, DO %v: got %v, want %v", dns.Type(tt.rrtype), tt.do, got, tt.want)
		}
	}
	if len(answer.Answer) != 2 || answer.Answer[1] == nil {
		t.Error("the answer's slice was changed")
	}
}
