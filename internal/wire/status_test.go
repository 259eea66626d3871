package wire_test

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dens/internal/wire"
)

// query packs a question; change may be nil.
func query(t testing.TB, name string, qtype uint16, change func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.Id = 0x1234
	if change != nil {
		change(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// longName has 255 octets, as many as a name can have.
var longName = strings.Repeat("abcdefg.", 31) + "abcde."

func TestAppendStatus(t *testing.T) {
	edns := func(m *dns.Msg) { m.SetEdns0(4096, true) }
	tests := []struct {
		story  string
		req    []byte
		s      wire.Status
		rcode  int
		opt    bool
		silent bool
	}{
		{story: "refused by the ACL, with EDNS", req: query(t, "Alice.ETH.", dns.TypeA, edns),
			s: wire.Status{Rcode: wire.RcodeRefused, HasEDE: true, EDECode: 18, EDEText: "not allowed"}, rcode: dns.RcodeRefused, opt: true},
		{story: "refused, without EDNS", req: query(t, "alice.eth.", dns.TypeA, nil),
			s: wire.Status{Rcode: wire.RcodeRefused, HasEDE: true, EDECode: 18}, rcode: dns.RcodeRefused},
		{story: "slip", req: query(t, "alice.eth.", dns.TypeA, nil), s: wire.Status{TC: true}},
		{story: "BADVERS goes into the OPT record", req: query(t, "alice.eth.", dns.TypeA, edns),
			s: wire.Status{Rcode: wire.RcodeBadVersion}, rcode: dns.RcodeBadVers, opt: true},
		{story: "an extended rcode without OPT", req: query(t, "alice.eth.", dns.TypeA, nil),
			s: wire.Status{Rcode: wire.RcodeBadVersion}, rcode: dns.RcodeServerFailure},
		{story: "a long text is clipped", req: query(t, strings.Repeat("abcdefg.", 31), dns.TypeA, edns),
			s: wire.Status{HasEDE: true, EDEText: strings.Repeat("é", 5000)}, opt: true},
		{story: "BADCOOKIE with all that a reply may have", req: query(t, longName, dns.TypeA, edns),
			s: wire.Status{Rcode: wire.RcodeBadCookie, HasEDE: true, EDEText: strings.Repeat("é", 5000), Cookie: make([]byte, wire.CookieLen)}, rcode: dns.RcodeBadCookie, opt: true},
		{story: "a cookie without OPT", req: query(t, "alice.eth.", dns.TypeA, nil), s: wire.Status{TC: true, Cookie: make([]byte, wire.CookieLen)}},
		{story: "short", req: make([]byte, 11), silent: true},
		{story: "empty", silent: true},
		{story: "a reply", req: query(t, "a.", dns.TypeA, func(m *dns.Msg) { m.Response = true }), silent: true},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			got := appendStatus([]byte("head"), tt.req, tt.s)
			if string(got[:4]) != "head" {
				t.Fatalf("dst was overwritten: %q", got)
			}
			got = got[4:]
			if tt.silent {
				if len(got) != 0 {
					t.Fatalf("want silence, got %x", got)
				}
				return
			}
			if len(got) > 512 {
				t.Errorf("%d octets", len(got))
			}
			var m, q dns.Msg
			if err := m.Unpack(got); err != nil {
				t.Fatal(err)
			}
			if err := q.Unpack(tt.req); err != nil {
				t.Fatal(err)
			}
			if m.Id != q.Id || !m.Response || !m.RecursionAvailable || !m.RecursionDesired || m.Truncated != tt.s.TC {
				t.Errorf("header %+v", m.MsgHdr)
			}
			if m.Rcode != tt.rcode {
				t.Errorf("rcode %d, want %d", m.Rcode, tt.rcode)
			}
			if len(m.Question) != 1 || m.Question[0] != q.Question[0] {
				t.Errorf("question %v, want %v", m.Question, q.Question)
			}
			checkStatusOPT(t, m.IsEdns0(), tt.opt, tt.s)
		})
	}
}

func checkStatusOPT(t *testing.T, o *dns.OPT, want bool, s wire.Status) {
	t.Helper()
	if (o != nil) != want {
		t.Fatalf("OPT %v, want one: %v", o, want)
	}
	if o == nil {
		return
	}
	if o.UDPSize() != wire.UDPSize || !o.Do() || o.Version() != 0 {
		t.Errorf("OPT %v", o)
	}
	if s.Cookie != nil {
		last := len(o.Option) - 1
		if c, ok := o.Option[last].(*dns.EDNS0_COOKIE); !ok || len(c.Cookie) != 2*len(s.Cookie) {
			t.Fatalf("options %v", o.Option)
		}
		o.Option = o.Option[:last]
	}
	if (len(o.Option) == 1) != s.HasEDE {
		t.Fatalf("options %v", o.Option)
	}
	if s.HasEDE {
		e, ok := o.Option[0].(*dns.EDNS0_EDE)
		if !ok || e.InfoCode != s.EDECode || !strings.HasPrefix(s.EDEText, e.ExtraText) || s.EDEText != "" && e.ExtraText == "" {
			t.Errorf("EDE %v, want %d %q", o.Option[0], s.EDECode, s.EDEText)
		}
	}
}

// appendStatus appends the status of a request that nobody has peeked at yet.
func appendStatus(dst, req []byte, s wire.Status) []byte {
	r := wire.Peek(req)
	return r.AppendStatus(dst, req, s)
}
