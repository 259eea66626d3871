package reply_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/cache"
	"dens/reply"
	"dens/resolver"
)

// answers is a Resolver that gives the same answer to everything.
type answers struct {
	answer *resolver.Answer
	err    error
	asked  []resolver.Query
}

func (a *answers) Resolve(_ context.Context, q resolver.Query) (*resolver.Answer, error) {
	a.asked = append(a.asked, q)
	return a.answer, a.err
}

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func source(r resolver.Resolver) *reply.Source {
	return reply.New(r, reply.Config{
		Version: `dens "1.0\x`, Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

func rrs(t testing.TB, lines ...string) []dns.RR {
	t.Helper()
	var list []dns.RR
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, rr)
	}
	return list
}

func lines(rrs []dns.RR) []string {
	out := []string{}
	for _, rr := range rrs {
		out = append(out, strings.Join(strings.Fields(rr.String()), " "))
	}
	return out
}

func request(t testing.TB, name string, rrtype uint16, change func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.Id, m.RecursionDesired = 0x1234, true
	m.Question = []dns.Question{{Name: name, Qtype: rrtype, Qclass: dns.ClassINET}}
	if change != nil {
		change(m)
	}
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func get(t testing.TB, s *reply.Source, req []byte) (cache.Entry, *dns.Msg) {
	t.Helper()
	before := bytes.Clone(req)
	e, err := s.Reply(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, req) {
		t.Error("the request was changed")
	}
	m := new(dns.Msg)
	if err := m.Unpack(e.Wire); err != nil {
		t.Fatalf("reply does not unpack: %v", err)
	}
	if m.Id != 0 || !m.Response || !m.RecursionAvailable || m.IsEdns0() != nil || !e.Stored.Equal(now) {
		t.Errorf("id %d, QR %v, RA %v, OPT %v, stored %v", m.Id, m.Response, m.RecursionAvailable, m.IsEdns0(), e.Stored)
	}
	return e, m
}

// TestBadInput is the table of what bad input gets.
func TestBadInput(t *testing.T) {
	good := request(t, "Alice.eth.", dns.TypeA, nil)
	with := func(change func(b []byte) []byte) []byte { return change(bytes.Clone(good)) }
	set := func(i int, v ...byte) []byte {
		return with(func(b []byte) []byte { copy(b[i:], v); return b })
	}
	opt := []byte{0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0}
	typed := func(rrtype uint16) []byte { return request(t, "alice.eth.", rrtype, nil) }
	class := func(name string, class uint16) []byte {
		return request(t, name, dns.TypeTXT, func(m *dns.Msg) { m.Question[0].Qclass = class })
	}
	tests := []struct {
		name  string
		req   []byte
		rcode int
		ede   int // -1 is none
	}{
		{"QDCOUNT 0", with(func(b []byte) []byte { return append(b[:4], 0, 0, 0, 0, 0, 0, 0, 0) }), dns.RcodeFormatError, -1},
		{"QDCOUNT 2", with(func(b []byte) []byte { b[5] = 2; return append(b, good[12:]...) }), dns.RcodeFormatError, -1},
		{"question missing", good[:12], dns.RcodeFormatError, -1},
		{"trailing garbage", append(bytes.Clone(good), 0), dns.RcodeFormatError, -1},
		{"a label of 64", set(12, 64), dns.RcodeFormatError, -1},
		{"a pointer for a name", set(12, 0xc0, 12), dns.RcodeFormatError, -1},
		{"two OPT", with(func(b []byte) []byte { b[11] = 2; return append(append(b, opt...), opt...) }), dns.RcodeFormatError, -1},
		{"OPT as an answer", with(func(b []byte) []byte { b[7] = 1; return append(b, opt...) }), dns.RcodeFormatError, -1},
		{"OPT with an owner", with(func(b []byte) []byte { b[11] = 1; return append(append(b, 1, 'a'), opt...) }), dns.RcodeFormatError, -1},
		{"OPT with half an option", with(func(b []byte) []byte { b[11] = 1; return append(append(b, opt[:10]...), 3, 0, 10, 0) }), dns.RcodeFormatError, -1},
		{"opcode NOTIFY", set(2, 4<<3), dns.RcodeNotImplemented, -1},
		{"opcode UPDATE", set(2, 5<<3), dns.RcodeNotImplemented, -1},
		{"EDNS 1", request(t, "alice.eth.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, false); m.Extra[0].(*dns.OPT).SetVersion(1) }), dns.RcodeBadVers, -1},
		{"AXFR", typed(dns.TypeAXFR), dns.RcodeRefused, 21},
		{"IXFR", typed(dns.TypeIXFR), dns.RcodeRefused, 21},
		{"MAILA", typed(dns.TypeMAILA), dns.RcodeNotImplemented, 30},
		{"MAILB", typed(dns.TypeMAILB), dns.RcodeNotImplemented, 30},
		{"an unassigned meta type", typed(200), dns.RcodeNotImplemented, 30},
		{"type 0", typed(0), dns.RcodeFormatError, 30},
		{"type OPT", typed(dns.TypeOPT), dns.RcodeFormatError, 30},
		{"type TSIG", typed(dns.TypeTSIG), dns.RcodeFormatError, 30},
		{"type TKEY", typed(dns.TypeTKEY), dns.RcodeFormatError, 30},
		{"type NXNAME", typed(dns.TypeNXNAME), dns.RcodeFormatError, 30},
		{"type 65535", typed(dns.TypeReserved), dns.RcodeFormatError, 30},
		{"class HS", class("alice.eth.", dns.ClassHESIOD), dns.RcodeRefused, 21},
		{"class ANY", class("alice.eth.", dns.ClassANY), dns.RcodeRefused, 21},
		{"class NONE", class("alice.eth.", dns.ClassNONE), dns.RcodeRefused, 21},
		{"class 0", class("alice.eth.", 0), dns.RcodeRefused, 21},
		{"class CH, a name of no meaning", class("alice.eth.", dns.ClassCHAOS), dns.RcodeRefused, -1},
		{"class CH, not configured", class("hostname.bind.", dns.ClassCHAOS), dns.RcodeRefused, -1},
		{"class CH, another type", request(t, "version.bind.", dns.TypeA, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), dns.RcodeRefused, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &answers{answer: &resolver.Answer{}}
			e, m := get(t, source(r), tt.req)
			ede := -1
			if e.HasEDE {
				ede = int(e.EDECode)
			}
			if int(e.Rcode) != tt.rcode || m.Rcode != tt.rcode&0xf || ede != tt.ede || e.TTL != 0 || e.Failure {
				t.Errorf("rcode %d (header %d), EDE %d, TTL %v, failure %v", e.Rcode, m.Rcode, ede, e.TTL, e.Failure)
			}
			if len(m.Answer)+len(m.Ns)+len(m.Extra) != 0 || len(r.asked) != 0 {
				t.Errorf("got records %v, or the resolver was asked: %v", m, r.asked)
			}
			if m.Opcode != int(tt.req[2]>>3&0xf) {
				t.Errorf("opcode %d", m.Opcode)
			}
		})
	}
}

func TestSilence(t *testing.T) {
	query := request(t, "alice.eth.", dns.TypeA, nil)
	response := bytes.Clone(query)
	response[2] |= 0x80
	for _, req := range [][]byte{nil, {1}, query[:11], response} {
		if e, err := source(&answers{}).Reply(t.Context(), req); !errors.Is(err, reply.ErrSilent) || e.Wire != nil {
			t.Errorf("%x: got %v, %v", req, e, err)
		}
	}
}

func TestQuestion(t *testing.T) {
	r := &answers{answer: &resolver.Answer{Answer: rrs(t, "alice.eth. 60 IN A 192.0.2.1"), Authoritative: true, AuthenticatedData: true, Zone: "onchain"}}
	s := source(r)
	req := request(t, "ALICE.Eth.", dns.TypeA, func(m *dns.Msg) {
		m.SetEdns0(4096, true)
		m.CheckingDisabled, m.RecursionDesired = true, false
	})
	e, m := get(t, s, req)
	want := resolver.Query{Name: "alice.eth.", Type: dns.TypeA, Class: dns.ClassINET, DO: true, CD: true}
	if !reflect.DeepEqual(r.asked, []resolver.Query{want}) {
		t.Errorf("asked %+v", r.asked)
	}
	if m.Question[0].Name != "alice.eth." || !m.Authoritative || !m.AuthenticatedData || !m.CheckingDisabled || m.RecursionDesired {
		t.Errorf("got %v", m)
	}
	if e.TTL != time.Minute || e.Zone != "onchain" || e.Failure || e.HasEDE || len(m.Answer) != 1 {
		t.Errorf("got %+v", e)
	}
	plain := len("alice.eth.")*2 + 2 + 12 + 4 + 10 + 4
	if len(e.Wire) >= plain {
		t.Errorf("%d octets: names are not compressed", len(e.Wire))
	}
}

func TestLocal(t *testing.T) {
	r := &answers{}
	s := source(r)
	chaos := func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }
	for _, name := range []string{"version.bind.", "VERSION.server."} {
		e, m := get(t, s, request(t, name, dns.TypeTXT, chaos))
		if len(m.Answer) != 1 || m.Answer[0].String() != strings.ToLower(name)+"\t0\tCH\tTXT\t"+`"dens \"1.0\\x"` || e.TTL != 0 {
			t.Errorf("%s: got %v", name, m.Answer)
		}
	}
	long := reply.New(r, reply.Config{Hostname: strings.Repeat("h", 300)})
	for _, name := range []string{"hostname.bind.", "id.server."} {
		e, err := long.Reply(t.Context(), request(t, name, dns.TypeANY, chaos))
		if err != nil || e.Rcode != dns.RcodeSuccess || !bytes.Contains(e.Wire, bytes.Repeat([]byte("h"), 255)) {
			t.Errorf("%s: got %v, %v", name, e, err)
		}
	}
	e, m := get(t, s, request(t, "www.example.org.", dns.TypeANY, nil))
	if got := lines(m.Answer); !reflect.DeepEqual(got, []string{`www.example.org. 3600 IN HINFO "RFC8482" ""`}) || e.TTL != time.Hour {
		t.Errorf("ANY: got %v for %v", got, e.TTL)
	}
	if len(r.asked) != 0 {
		t.Errorf("the resolver was asked %v", r.asked)
	}
}

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

func TestErrors(t *testing.T) {
	tests := []struct {
		err   error
		rcode int
		ede   int
		text  string
		ttl   time.Duration
	}{
		{resolver.Errorf(24, errors.New("detail"), "backends disagree"), dns.RcodeServerFailure, 24, "backends disagree", 5 * time.Second},
		{fmt.Errorf("deeper: %w", &resolver.Error{Rcode: dns.RcodeRefused, Code: 20, Text: "not here"}), dns.RcodeRefused, 20, "not here", 5 * time.Second},
		{&resolver.Error{Rcode: dns.RcodeBadVers, Code: 22}, dns.RcodeServerFailure, 22, "", 5 * time.Second},
		{resolver.Errorf(22, context.DeadlineExceeded, "upstreams are down"), dns.RcodeServerFailure, 22, "upstreams are down", 5 * time.Second},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), dns.RcodeServerFailure, 23, "timed out", 5 * time.Second},
		{context.Canceled, dns.RcodeServerFailure, -1, "", time.Second},
		{errors.New("https://host.example/SECRET"), dns.RcodeServerFailure, 0, "internal error", 5 * time.Second},
		{nil, dns.RcodeServerFailure, 0, "internal error", 5 * time.Second},
	}
	for _, tt := range tests {
		e, m := get(t, source(&answers{err: tt.err}), request(t, "alice.eth.", dns.TypeA, nil))
		ede := -1
		if e.HasEDE {
			ede = int(e.EDECode)
		}
		if m.Rcode != tt.rcode || int(e.Rcode) != tt.rcode || ede != tt.ede || e.EDEText != tt.text || e.TTL != tt.ttl || !e.Failure {
			t.Errorf("%v: got rcode %d, %+v", tt.err, m.Rcode, e)
		}
		if len(m.Question) != 1 || m.Authoritative {
			t.Errorf("%v: got %v", tt.err, m)
		}
	}
}

func TestEvidence(t *testing.T) {
	origin := &resolver.Origin{Name: "alice.eth.", Chain: "ethereum", Block: 7, BlockTime: now, Trust: "quorum", Backends: []string{"a", "b"}}
	a := &resolver.Answer{
		Rcode: dns.RcodeNameError, Zone: "onchain", Tags: []string{"zone:eth"}, Origin: origin,
		EDE: []resolver.EDE{{Code: 0, Text: "no such name: not normal"}, {Code: 3}},
	}
	e, _ := get(t, source(&answers{answer: a}), request(t, "alice.eth.", dns.TypeA, nil))
	var got resolver.Origin
	if err := json.Unmarshal(e.Origin, &got); err != nil || !reflect.DeepEqual(&got, origin) {
		t.Errorf("origin %s, %v", e.Origin, err)
	}
	if !e.HasEDE || e.EDECode != 0 || e.EDEText != "no such name: not normal" || !reflect.DeepEqual(e.Tags, a.Tags) || e.Zone != "onchain" {
		t.Errorf("got %+v", e)
	}
	a.Origin = nil
	if e, _ = get(t, source(&answers{answer: a}), request(t, "alice.eth.", dns.TypeA, nil)); e.Origin != nil {
		t.Errorf("origin of nothing: %s", e.Origin)
	}
}

func TestTooLong(t *testing.T) {
	var many []dns.RR
	for i := range 250 {
		many = append(many, &dns.TXT{
			Hdr: dns.RR_Header{Name: "a.", Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 60},
			Txt: []string{fmt.Sprint(i), strings.Repeat("x", 250)},
		})
	}
	req := request(t, "a.", dns.TypeTXT, nil)
	e, m := get(t, source(&answers{answer: &resolver.Answer{Answer: many}}), req)
	if m.Rcode != dns.RcodeServerFailure || len(m.Answer) != 0 || !e.Failure || !e.HasEDE || e.EDEText == "" {
		t.Errorf("got rcode %d with %d records, %+v", m.Rcode, len(m.Answer), e)
	}
	e, m = get(t, source(&answers{answer: &resolver.Answer{Answer: many[:1], Extra: many}}), req)
	if m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 || len(m.Extra) != 0 || e.Failure {
		t.Errorf("the additional section was not given up: %d, %d, %d", m.Rcode, len(m.Answer), len(m.Extra))
	}
	bad := &dns.TXT{Hdr: dns.RR_Header{Name: "a.", Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{strings.Repeat("x", 256)}}
	if e, m = get(t, source(&answers{answer: &resolver.Answer{Answer: []dns.RR{bad}}}), req); m.Rcode != dns.RcodeServerFailure || !e.Failure {
		t.Errorf("a record that does not pack: %v", m)
	}
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	clock := now
	s := reply.New(&answers{err: resolver.Errorf(22, errors.New("the detail"), "chain unreachable")}, reply.Config{
		Log: slog.New(slog.NewTextHandler(&out, nil)), Now: func() time.Time { return clock },
	})
	ask := func() {
		if _, err := s.Reply(t.Context(), request(t, "alice.eth.", dns.TypeA, nil)); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		ask()
	}
	first := out.String()
	if n := strings.Count(first, "\n"); n < 1 || n > 20 {
		t.Errorf("%d lines for 100 failures at once", n)
	}
	for _, want := range []string{"alice.eth.", "type=A", "SERVFAIL", "ede=22", "the detail", "level=WARN"} {
		if !strings.Contains(first, want) {
			t.Errorf("no %q in %s", want, first)
		}
	}
	out.Reset()
	clock = clock.Add(time.Minute)
	ask()
	if got := out.String(); !strings.Contains(got, "not_logged=90") {
		t.Errorf("what was left out is not told: %s", got)
	}
}

func TestPolicyIsNoWarning(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	for _, err := range []error{&resolver.Error{Rcode: dns.RcodeRefused}, context.Canceled} {
		if _, err := reply.New(&answers{err: err}, reply.Config{Log: log}).Reply(t.Context(), request(t, "a.", dns.TypeA, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if out.Len() != 0 {
		t.Errorf("logged %s", out.String())
	}
}

var _ cache.Source = (*reply.Source)(nil)
