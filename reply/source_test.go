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
	if len(a.asked) < 16 {
		a.asked = append(a.asked, q)
	}
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

var _ cache.Source = (*reply.Source)(nil)

// BenchmarkReply is what a miss costs beside the resolver.
func BenchmarkReply(b *testing.B) {
	s := source(&answers{answer: &resolver.Answer{Answer: rrs(b, "alice.eth. 60 IN A 192.0.2.1"), Zone: "onchain"}})
	req := request(b, "alice.eth.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, false) })
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Reply(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}

// TestFailuresTellTheirZone: the metrics tell a chain that fails from an upstream that does.
func TestFailuresTellTheirZone(t *testing.T) {
	failing := &answers{err: &resolver.ZoneError{Zone: "onchain", Err: resolver.Errorf(22, nil, "chain unreachable")}}
	req, err := new(dns.Msg).SetQuestion("alice.eth.", dns.TypeA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	e, err := source(failing).Reply(t.Context(), req)
	if err != nil || e.Zone != "onchain" || e.EDECode != 22 || !e.Failure {
		t.Errorf("%+v, %v", e, err)
	}
}
