package wire_test

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dens/internal/wire"
)

func opt(version uint8, options ...dns.EDNS0) func(*dns.Msg) {
	return func(m *dns.Msg) {
		m.SetEdns0(4096, true)
		m.IsEdns0().SetVersion(version)
		m.IsEdns0().Option = options
	}
}

// with returns a copy of a message with bytes appended and a 16-bit field of its header increased.
func with(msg []byte, field int, extra ...byte) []byte {
	msg = append(bytes.Clone(msg), extra...)
	binary.BigEndian.PutUint16(msg[field:], binary.BigEndian.Uint16(msg[field:])+1)
	return msg
}

var rawOPT = []byte{0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0}

func TestPeekKind(t *testing.T) {
	plain := query(t, "Alice.eth.", dns.TypeA, nil)
	long := []byte{}
	for range 4 {
		long = append(append(long, 63), bytes.Repeat([]byte{'a'}, 63)...)
	}
	raw := func(name ...byte) []byte {
		m := append([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, name...)
		return append(m, 0, 1, 0, 1)
	}
	tests := []struct {
		story string
		req   []byte
		kind  wire.Kind
		rcode uint16
	}{
		{"an ordinary question", plain, wire.Plain, 0},
		{"the root", query(t, ".", dns.TypeNS, nil), wire.Plain, 0},
		{"ANY", query(t, "a.", dns.TypeANY, nil), wire.Plain, 0},
		{"WALLET", query(t, "a.", 262, nil), wire.Plain, 0},
		{"EDNS with padding, a cookie and the origin", query(t, "a.", dns.TypeA, opt(0,
			&dns.EDNS0_PADDING{Padding: make([]byte, 100)}, &dns.EDNS0_COOKIE{Code: 10, Cookie: "0011223344556677"},
			&dns.EDNS0_LOCAL{Code: wire.OptionOrigin})), wire.Plain, 0},
		{"a name of 255 octets", raw(append(long[:192:192], append(append([]byte{61}, bytes.Repeat([]byte{'a'}, 61)...), 0)...)...), wire.Plain, 0},

		{"empty", nil, wire.Silent, 0},
		{"shorter than a header", plain[:11], wire.Silent, 0},
		{"a reply", query(t, "a.", dns.TypeA, func(m *dns.Msg) { m.Response = true }), wire.Silent, 0},

		{"a header alone", make([]byte, 12), wire.Broken, wire.RcodeFormatError},
		{"two questions", with(plain, 4, plain[12:]...), wire.Broken, wire.RcodeFormatError},
		{"trailing garbage", append(bytes.Clone(plain), 0), wire.Broken, wire.RcodeFormatError},
		{"a question cut short", plain[:len(plain)-1], wire.Broken, wire.RcodeFormatError},
		{"a compression pointer in the question", raw(0xc0, 12), wire.Broken, wire.RcodeFormatError},
		{"a label of a reserved kind", raw(0x41, 1, 0), wire.Broken, wire.RcodeFormatError},
		{"a name of 257 octets", raw(append(long[:256:256], 0)...), wire.Broken, wire.RcodeFormatError},
		{"a name of 256 octets", raw(append(long[:192:192], append(append([]byte{62}, bytes.Repeat([]byte{'a'}, 62)...), 0)...)...), wire.Broken, wire.RcodeFormatError},
		{"two OPT records", with(with(plain, 10, rawOPT...), 10, rawOPT...), wire.Broken, wire.RcodeFormatError},
		{"an OPT record among the answers", with(plain, 6, rawOPT...), wire.Broken, wire.RcodeFormatError},
		{"an OPT record with an owner", with(plain, 10, append([]byte{1, 'a'}, rawOPT...)...), wire.Broken, wire.RcodeFormatError},
		{"an OPT record cut short", with(plain, 10, rawOPT[:8]...), wire.Broken, wire.RcodeFormatError},
		{"an option longer than its record", with(plain, 10, append(append([]byte{}, rawOPT[:9]...), 0, 4, 0, 10, 0, 1)...), wire.Broken, wire.RcodeFormatError},
		{"an option cut short", with(plain, 10, append(append([]byte{}, rawOPT[:9]...), 0, 2, 0, 10)...), wire.Broken, wire.RcodeFormatError},
		{"a COOKIE option without octets", withOption(plain, 10, 0), wire.Broken, wire.RcodeFormatError},
		{"of 7 octets", withOption(plain, 10, 7), wire.Broken, wire.RcodeFormatError},
		{"of 9 octets", withOption(plain, 10, 9), wire.Broken, wire.RcodeFormatError},
		{"of 15 octets", withOption(plain, 10, 15), wire.Broken, wire.RcodeFormatError},
		{"of 41 octets", withOption(plain, 10, 41), wire.Broken, wire.RcodeFormatError},
		{"of 16 octets", withOption(plain, 10, 16), wire.Plain, 0},
		{"of 40 octets", withOption(plain, 10, 40), wire.Plain, 0},
		{"a bad COOKIE option behind a good one", withOption(plain, 10, 8, 7), wire.Plain, 0},
		{"a good COOKIE option behind a bad one", withOption(plain, 10, 7, 8), wire.Broken, wire.RcodeFormatError},
		{"no question but a cookie", withOption(make([]byte, 12), 10, 8), wire.Probe, 0},
		{"no question but a bad cookie", withOption(make([]byte, 12), 10, 9), wire.Broken, wire.RcodeFormatError},
		{"no question but another option", withOption(make([]byte, 12), 11, 8), wire.Broken, wire.RcodeFormatError},
		{"two questions and a cookie", withOption(with(plain, 4, plain[12:]...), 10, 8), wire.Broken, wire.RcodeFormatError},
		{"no question, a cookie and garbage", append(withOption(make([]byte, 12), 10, 8), 0), wire.Broken, wire.RcodeFormatError},

		{"a keepalive without octets", withOption(plain, 11, 0), wire.Plain, 0},
		{"a keepalive with octets, by a transport that is not known", withOption(plain, 11, 2), wire.Plain, 0},

		{"an additional record that is not there", with(plain, 10), wire.Broken, wire.RcodeFormatError},

		{"NOTIFY", query(t, "a.", dns.TypeSOA, func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), wire.Broken, wire.RcodeNotImplemented},
		{"STATUS without a question", []byte{0, 1, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0}, wire.Broken, wire.RcodeNotImplemented},
		{"EDNS version 1 with what is no cookie here", withVersion1(withOption(plain, 10, 9)), wire.Broken, wire.RcodeBadVersion},
		{"EDNS version 1", query(t, "a.", dns.TypeA, opt(1)), wire.Broken, wire.RcodeBadVersion},

		{"AXFR", query(t, "a.", dns.TypeAXFR, nil), wire.Other, 0},
		{"type 0", query(t, "a.", 0, nil), wire.Other, 0},
		{"a question for OPT", query(t, "a.", dns.TypeOPT, nil), wire.Other, 0},
		{"TSIG as a question", query(t, "a.", dns.TypeTSIG, nil), wire.Other, 0},
		{"class CH", query(t, "version.bind.", dns.TypeTXT, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), wire.Other, 0},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			r := wire.Peek(tt.req)
			if r.Kind != tt.kind || r.Rcode != tt.rcode {
				t.Errorf("kind %d rcode %d, want %d %d", r.Kind, r.Rcode, tt.kind, tt.rcode)
			}
		})
	}
}

// withOption returns a copy of a message with an OPT record that has an option of each length.
func withOption(msg []byte, code uint16, lengths ...int) []byte {
	var data []byte
	for _, n := range lengths {
		data = binary.BigEndian.AppendUint16(data, code)
		data = binary.BigEndian.AppendUint16(data, uint16(n))
		data = append(data, bytes.Repeat([]byte{byte(n)}, n)...)
	}
	record := binary.BigEndian.AppendUint16(bytes.Clone(rawOPT[:9]), uint16(len(data)))
	return with(msg, 10, append(record, data...)...)
}

// withVersion1 sets the version of the OPT record that ends a message whose header has no other 41.
func withVersion1(msg []byte) []byte {
	msg[bytes.Index(msg, rawOPT[:9])+6] = 1
	return msg
}

// TestPeekCookie: the first option counts (RFC 7873 section 5.2), and that of another version not at all.
func TestPeekCookie(t *testing.T) {
	plain := query(t, "a.", dns.TypeA, nil)
	for _, tt := range []struct {
		story string
		req   []byte
		want  []byte
	}{
		{"nothing", nil, nil},
		{"no OPT record", plain, nil},
		{"another option", withOption(plain, 12, 8), nil},
		{"the first of two", withOption(plain, 10, 24, 8), bytes.Repeat([]byte{24}, 24)},
		{"a bad one", withOption(plain, 10, 9), nil},
		{"EDNS version 1", withVersion1(withOption(plain, 10, 8)), nil},
		{"trailing garbage", append(withOption(plain, 10, 8), 0), bytes.Repeat([]byte{8}, 8)},
	} {
		r := wire.Peek(tt.req)
		if got := r.Cookie(tt.req); !bytes.Equal(got, tt.want) {
			t.Errorf("%s: %x, want %x", tt.story, got, tt.want)
		}
	}
}

func TestPeekFields(t *testing.T) {
	req := query(t, "Alice.eth.", dns.TypeAAAA, func(m *dns.Msg) {
		opt(0, &dns.EDNS0_LOCAL{Code: wire.OptionOrigin})(m)
		m.CheckingDisabled, m.AuthenticatedData = true, true
	})
	r := wire.Peek(req)
	if !r.EDNS || !r.DO || !r.Origin || r.UDPSize != 4096 || !r.RD() || !r.CD() || !r.AD() ||
		r.ID != 0x1234 || r.Type != dns.TypeAAAA || r.Class != dns.ClassINET {
		t.Errorf("%+v", r)
	}
	if got := string(r.Name(req)); got != "\x05Alice\x03eth\x00" {
		t.Errorf("name %q", got)
	}
	small := query(t, "a.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(100, false) })
	if r := wire.Peek(small); r.UDPSize != 512 || r.DO || r.Origin {
		t.Errorf("%+v", r)
	}
}

func TestKey(t *testing.T) {
	key := func(name string, qtype uint16, change func(*dns.Msg)) string {
		req := query(t, name, qtype, change)
		r := wire.Peek(req)
		return string(r.AppendKey(nil, req))
	}
	do := func(m *dns.Msg) { m.SetEdns0(1232, true) }
	base := key("alice.eth.", dns.TypeA, nil)
	same := map[string]string{
		"spelling":    key("ALICE.eTH.", dns.TypeA, nil),
		"ID and RD":   key("alice.eth.", dns.TypeA, func(m *dns.Msg) { m.Id, m.RecursionDesired = 7, false }),
		"EDNS and AD": key("alice.eth.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(4096, false); m.AuthenticatedData = true }),
	}
	for what, k := range same {
		if k != base {
			t.Errorf("%s makes another key", what)
		}
	}
	other := map[string]string{
		"name": key("alicf.eth.", dns.TypeA, nil),
		"type": key("alice.eth.", dns.TypeAAAA, nil),
		"DO":   key("alice.eth.", dns.TypeA, do),
		"CD":   key("alice.eth.", dns.TypeA, func(m *dns.Msg) { m.CheckingDisabled = true }),
		"a byte that only looks like another letter": key("\\065lice\\.eth.", dns.TypeA, nil),
	}
	for what, k := range other {
		if k == base {
			t.Errorf("%s makes the same key", what)
		}
	}
}

func TestAppendRequest(t *testing.T) {
	req := query(t, "aLiCe.eth.", dns.TypeA, func(m *dns.Msg) {
		opt(0, &dns.EDNS0_COOKIE{Code: 10, Cookie: "0011223344556677"})(m)
		m.CheckingDisabled = true
	})
	r := wire.Peek(req)
	key := r.AppendKey(nil, req)
	var m dns.Msg
	if err := m.Unpack(wire.AppendRequest(nil, key)); err != nil {
		t.Fatal(err)
	}
	o := m.IsEdns0()
	if m.Id != 0 || !m.RecursionDesired || !m.CheckingDisabled || m.Response || m.Question[0].Name != "alice.eth." ||
		o == nil || !o.Do() || len(o.Option) != 0 {
		t.Errorf("%v", &m)
	}
	if err := m.Unpack(wire.AppendFailure(nil, key, wire.RcodeServerFailure)); err != nil {
		t.Fatal(err)
	}
	if !m.Response || m.Rcode != dns.RcodeServerFailure || m.Question[0].Name != "alice.eth." {
		t.Errorf("%v", &m)
	}
}

func TestEqualFold(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"\x05alice\x00", "\x05ALICE\x00", true},
		{"\x05alice\x00", "\x05alic\x00", false},
		{"\x01[\x00", "\x01{\x00", false}, // 0x20 apart, but no letters
		{"\x01@\x00", "\x01`\x00", false},
	}
	for _, tt := range tests {
		if got := wire.EqualFold([]byte(tt.a), []byte(tt.b)); got != tt.want {
			t.Errorf("EqualFold(%q, %q) = %v", tt.a, tt.b, got)
		}
	}
}

// FuzzPeek holds Peek against the DNS library: what Peek takes as well-formed the library reads alike,
// and what comes out of it for others to read is well-formed.
func FuzzPeek(f *testing.F) {
	f.Add(query(f, "Alice.eth.", dns.TypeA, nil))
	f.Add(query(f, strings.Repeat("a.", 127), dns.TypeTXT, opt(0, &dns.EDNS0_LOCAL{Code: wire.OptionOrigin})))
	f.Add(query(f, "a.", dns.TypeA, opt(1)))
	f.Add(withOption(query(f, "a.", dns.TypeA, nil), 10, 24, 3))
	f.Add(withOption(make([]byte, 12), 10, 8))
	f.Add(withOption(query(f, longName, dns.TypeA, nil), 12, 100))
	f.Add(withOption(query(f, "a.", dns.TypeA, nil), 11, 0, 2))
	f.Add(with(query(f, "a.", dns.TypeA, nil), 10, rawOPT...))
	f.Add([]byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1})
	seed := maphash.MakeSeed()
	f.Fuzz(func(t *testing.T, req []byte) {
		before := bytes.Clone(req)
		r := wire.Peek(req)
		status := appendStatus(nil, req, wire.Status{Rcode: 23, HasEDE: true, EDECode: 18, EDEText: "no", Cookie: make([]byte, wire.CookieLen)})
		if !bytes.Equal(before, req) {
			t.Fatal("the request was changed")
		}
		if (r.Kind == wire.Silent) != (len(status) == 0) {
			t.Fatalf("kind %d, status %x", r.Kind, status)
		}
		if len(status) != 0 {
			var m dns.Msg
			if err := m.Unpack(status); err != nil || !m.Response || m.Id != r.ID || len(status) > 512 {
				t.Fatalf("status %x: %v", status, err)
			}
		}
		checkTransport(t, req, &r)
		if n := len(r.Cookie(req)); n != 0 && n != 8 && (n < 16 || n > 40) || n != 0 && !r.EDNS || n == 0 && r.Kind == wire.Probe {
			t.Fatalf("a cookie of %d octets", n)
		}
		if r.Kind != wire.Plain && r.Kind != wire.Other {
			return
		}
		agree(t, &r, req)
		key := r.AppendKey(nil, req)
		again := wire.AppendRequest(nil, key)
		r2 := wire.Peek(again)
		if r2.Kind != r.Kind || !bytes.Equal(r2.AppendKey(nil, again), key) || len(key) > 255+5 {
			t.Fatalf("key %x does not make its own request %x", key, again)
		}
		if maphash.Bytes(seed, key) != maphash.Bytes(seed, r2.AppendKey(nil, again)) {
			t.Fatal("hashes differ")
		}
	})
}

// checkTransport reads a request as each transport does, and holds the replies without records to what padding
// and keepalive are to do to them.
func checkTransport(t *testing.T, req []byte, r *wire.Request) {
	t.Helper()
	for p := range wire.Protocol(wire.Protocols) {
		q := wire.Query{Msg: req, From: wire.Peer{Protocol: p}, Limit: 1000, Keepalive: 100}
		q.Peek()
		connection := p == wire.TCP || p == wire.DoT
		if broken := r.BadKeepalive && connection && r.Kind != wire.Silent && r.Kind != wire.Broken; broken != (q.Kind != r.Kind) ||
			broken && q.Rcode != wire.RcodeFormatError {
			t.Fatalf("%s: kind %d, without the transport %d", p, q.Kind, r.Kind)
		}
		status := q.AppendStatus(nil, req, wire.Status{Rcode: q.Rcode})
		plain := appendStatus(nil, req, wire.Status{Rcode: q.Rcode})
		want := len(plain)
		if r.KeepaliveAsked && want > 0 {
			want += 6
		}
		if r.Padding && p.Encrypted() && want > 0 {
			want = (want + 4 + 467) / 468 * 468
		}
		if len(status) != want {
			t.Fatalf("%s: %d octets, want %d: %x", p, len(status), want, status)
		}
		var m dns.Msg
		if err := m.Unpack(status); want > 0 && err != nil {
			t.Fatalf("status %x: %v", status, err)
		}
	}
}

// agree compares a well-formed request with what the DNS library reads. The library also looks into
// records' data, and may refuse what stands there.
func agree(t *testing.T, r *wire.Request, req []byte) {
	t.Helper()
	var m dns.Msg
	if err := m.Unpack(req); err != nil {
		return
	}
	q := m.Question[0]
	if len(m.Question) != 1 || q.Qtype != r.Type || q.Qclass != r.Class || m.Id != r.ID ||
		m.RecursionDesired != r.RD() || m.CheckingDisabled != r.CD() || m.AuthenticatedData != r.AD() {
		t.Fatalf("Peek %+v, library %v", r, &m)
	}
	name := make([]byte, 300)
	n, err := dns.PackDomainName(q.Name, name, 0, nil, false)
	if err != nil || !bytes.Equal(name[:n], r.Name(req)) {
		t.Fatalf("name %q, library %q (%v)", r.Name(req), name[:n], err)
	}
	o := m.IsEdns0()
	if (o != nil) != r.EDNS || o != nil && (o.Do() != r.DO || o.Version() != r.Version || max(int(o.UDPSize()), 512) != r.UDPSize) {
		t.Fatalf("Peek %+v, library %v", r, o)
	}
}
