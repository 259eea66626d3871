package wire_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/miekg/dns"

	"dens/internal/wire"
)

// reply packs a reply to a question from records in presentation form, by section.
func reply(t testing.TB, name string, qtype uint16, compress bool, sections ...[]string) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.Id, m.Response, m.RecursionDesired, m.AuthenticatedData, m.Compress = 0, true, false, true, compress
	for i, to := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra}[:len(sections)] {
		for _, s := range sections[i] {
			rr, err := dns.NewRR(s)
			if err != nil {
				t.Fatal(err)
			}
			*to = append(*to, rr)
		}
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func many(n int, format string) []string {
	var rrs []string
	for i := range n {
		rrs = append(rrs, fmt.Sprintf(format, i%250))
	}
	return rrs
}

const (
	soa   = "eth. 900 IN SOA ns.eth. root.eth. 1 2 3 4 300"
	rrsig = "alice.eth. 300 IN RRSIG A 13 2 300 20300101000000 20200101000000 1 eth. AAAA"
)

func TestParseReply(t *testing.T) {
	a := reply(t, "alice.eth.", dns.TypeA, true, []string{"alice.eth. 300 IN A 192.0.2.1"})
	tests := []struct {
		story    string
		msg      []byte
		ok       bool
		ttls     int
		negative bool
	}{
		{"an answer", a, true, 1, false},
		{"NODATA", reply(t, "alice.eth.", dns.TypeA, true, nil, []string{soa}), true, 1, true},
		{"an answer that is an SOA record", reply(t, "eth.", dns.TypeSOA, true, []string{soa}), true, 1, false},
		{"all sections", reply(t, "alice.eth.", dns.TypeA, true, []string{"alice.eth. 1 IN A 192.0.2.1"},
			[]string{"eth. 1 IN NS ns.eth."}, []string{"ns.eth. 1 IN A 192.0.2.2"}), true, 3, false},
		{"no question", []byte{0, 0, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0}, true, 0, false},
		{"a request", query(t, "a.", dns.TypeA, nil), false, 0, false},
		{"an OPT record", with(a, 10, rawOPT...), false, 0, false},
		{"a record that is not there", with(a, 6), false, 0, false},
		{"trailing garbage", append(bytes.Clone(a), 1), false, 0, false},
		{"two questions", with(a, 4), false, 0, false},
		{"empty", nil, false, 0, false},
		{"too long", append(bytes.Clone(a), make([]byte, 65536)...), false, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			l, ok := wire.ParseReply(tt.msg)
			if ok != tt.ok {
				t.Fatalf("ok %v, want %v", ok, tt.ok)
			}
			if ok && (l.Records != tt.ttls || l.Negative != tt.negative) {
				t.Errorf("%+v", l)
			}
		})
	}
}

func TestReaddress(t *testing.T) {
	set := func(change func(*dns.Msg)) []byte {
		return query(t, "aLICE.eth.", dns.TypeA, change)
	}
	tests := []struct {
		story      string
		req        []byte
		ad, rd, cd bool
	}{
		{"a client that knows nothing of DNSSEC", set(nil), false, true, false},
		{"a client that asks by AD", set(func(m *dns.Msg) { m.AuthenticatedData = true }), true, true, false},
		{"a client that asks by DO", set(opt(0)), true, true, false},
		{"CD, and no RD", set(func(m *dns.Msg) { m.CheckingDisabled, m.RecursionDesired = true, false }), false, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			msg := reply(t, "alice.eth.", dns.TypeA, true, []string{"alice.eth. 300 IN A 192.0.2.1"})
			r := wire.Peek(tt.req)
			r.Readdress(msg, tt.req, 0)
			var m dns.Msg
			if err := m.Unpack(msg); err != nil {
				t.Fatal(err)
			}
			if m.Id != 0x1234 || m.AuthenticatedData != tt.ad || m.RecursionDesired != tt.rd || m.CheckingDisabled != tt.cd || !m.RecursionAvailable || !m.Response {
				t.Errorf("%+v", m.MsgHdr)
			}
			if m.Question[0].Name != "aLICE.eth." || m.Answer[0].Header().Name != "aLICE.eth." {
				t.Errorf("%v", &m)
			}
		})
	}
}

func TestAge(t *testing.T) {
	tests := []struct{ ttl, age, limit, want uint32 }{
		{300, 0, 86400, 300},
		{300, 100, 86400, 200},
		{300, 300, 86400, 0},
		{300, 4000, 86400, 0},
		{1000000, 100, 86400, 86300},
		{1<<31 - 1, 0, 1<<31 - 1, 1<<31 - 1},
		{1 << 31, 0, 86400, 0},
		{1<<32 - 1, 0, 86400, 0},
	}
	for _, tt := range tests {
		msg := reply(t, "alice.eth.", dns.TypeA, true, []string{"alice.eth. 5 IN A 192.0.2.1", "alice.eth. 5 IN A 192.0.2.2"})
		l, ok := wire.ParseReply(msg)
		if !ok {
			t.Fatal("no layout")
		}
		for _, off := range ttls(msg, &l) {
			binary.BigEndian.PutUint32(msg[off:], tt.ttl)
		}
		wire.CapTTLs(msg, l.QuestionEnd, tt.limit)
		wire.Age(msg, l.QuestionEnd, tt.age)
		for _, off := range ttls(msg, &l) {
			if got := binary.BigEndian.Uint32(msg[off:]); got != tt.want {
				t.Errorf("TTL %d after %d s, limit %d: %d, want %d", tt.ttl, tt.age, tt.limit, got, tt.want)
			}
		}
		wire.SetTTLs(msg, l.QuestionEnd, 30)
		for _, off := range ttls(msg, &l) {
			if got := binary.BigEndian.Uint32(msg[off:]); got != 30 {
				t.Errorf("TTL %d, want 30", got)
			}
		}
	}
}

func TestTruncate(t *testing.T) {
	a40 := many(40, "alice.eth. 300 IN A 192.0.2.%d")
	cname := []string{"alice.eth. 300 IN CNAME bob.eth."}
	b40 := many(40, "bob.eth. 300 IN A 192.0.2.%d")
	glue := many(40, "ns%d.eth. 300 IN A 192.0.2.1")
	ns := many(40, "eth. 300 IN NS ns%d.eth.")
	one := []string{"alice.eth. 300 IN A 192.0.2.1", rrsig}
	tests := []struct {
		story    string
		sections [][]string
		size     int
		an, au   int
		tc       bool
		spelled  bool // names are not compressed
	}{
		{"all fits", [][]string{a40}, 1232, 40, 0, false, false},
		{"an RRset is whole or not there", [][]string{a40}, 512, 0, 0, true, false},
		{"the RRset before the cut stays", [][]string{append(cname[:1:1], b40...)}, 512, 1, 0, true, false},
		{"an RRset and its signature go together", [][]string{append(one[:2:2], b40...)}, 100, 2, 0, true, false},
		{"a signature that does not fit takes its RRset along", [][]string{one}, 60, 0, 0, true, false},
		{"signatures among the records", [][]string{{a40[0], rrsig, a40[1], rrsig}}, 120, 0, 0, true, false},
		{"glue is dropped first", [][]string{one, ns[:2], glue}, 512, 2, 2, false, false},
		{"then NS records", [][]string{one, ns, glue}, 512, 2, 0, false, false},
		{"a referral without its NS records is no referral", [][]string{nil, ns, glue}, 512, 0, 0, true, false},
		{"the SOA record of a denial is needed", [][]string{cname, append(many(40, "a%d.eth. 300 IN NSEC b.eth. A"), soa)}, 512, 1, 0, true, false},
		{"names in full", [][]string{append(cname[:1:1], b40...)}, 512, 1, 0, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			whole := reply(t, "alice.eth.", dns.TypeA, !tt.spelled, tt.sections...)
			got := wire.Truncate(whole, tt.size)
			var m dns.Msg
			if err := m.Unpack(got); err != nil {
				t.Fatal(err)
			}
			if len(got) > tt.size || len(m.Answer) != tt.an || len(m.Ns) != tt.au || m.Truncated != tt.tc || len(m.Extra) != 0 {
				t.Errorf("%d octets, %d + %d + %d records, TC %v; want %d + %d, TC %v",
					len(got), len(m.Answer), len(m.Ns), len(m.Extra), m.Truncated, tt.an, tt.au, tt.tc)
			}
		})
	}
}

// FuzzPatch takes any reply that the layout accepts, and patches it for a client.
func FuzzPatch(f *testing.F) {
	a := []string{"alice.eth. 300 IN A 192.0.2.1", rrsig}
	f.Add(reply(f, "alice.eth.", dns.TypeA, true, a, []string{soa}, []string{"ns.eth. 1 IN A 192.0.2.2"}), uint32(7), uint16(40))
	f.Add(reply(f, "alice.eth.", dns.TypeA, false, many(60, "alice.eth. 4294967295 IN A 192.0.2.%d")), uint32(1<<31), uint16(512))
	f.Add([]byte{0, 0, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0}, uint32(0), uint16(0))
	f.Fuzz(func(t *testing.T, msg []byte, age uint32, room uint16) {
		patch(t, msg, age, int(room), false)
		// A stranger's pointers may lead into a TTL field; a packer's do not.
		var m dns.Msg
		if m.Unpack(msg) != nil {
			return
		}
		m.Compress = true
		if packed, err := m.Pack(); err == nil && m.Unpack(packed) == nil {
			patch(t, packed, age, int(room), true)
		}
	})
}

func patch(t *testing.T, msg []byte, age uint32, room int, readable bool) {
	t.Helper()
	l, ok := wire.ParseReply(msg)
	if !ok || l.NameEnd == 0 {
		return
	}
	question := bytes.Clone(msg[12:l.QuestionEnd])
	for i, c := range question[:l.NameEnd-12] {
		if 'a' <= c && c <= 'z' {
			question[i] = c - 'a' + 'A'
		}
	}
	req := append([]byte{0xab, 0xcd, 1, 0x10, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	r := wire.Peek(req)
	got := bytes.Clone(msg)
	r.Readdress(got, req, 0)
	wire.CapTTLs(got, l.QuestionEnd, 86400)
	wire.Age(got, l.QuestionEnd, age)
	checkPatch(t, msg, got, &l, age)
	var m dns.Msg
	if err := m.Unpack(got); readable && err != nil {
		t.Fatalf("the patch broke the reply: %v", err)
	}
	checkCut(t, got, &l, room, readable)
}

// ttls finds the TTL fields of a reply that has a layout.
func ttls(msg []byte, l *wire.Layout) []int {
	var offs []int
	off := l.QuestionEnd
	for range l.Records {
		for msg[off] != 0 && msg[off] < 0xc0 {
			off += 1 + int(msg[off])
		}
		if msg[off] != 0 {
			off++
		}
		offs = append(offs, off+5)
		off += 11 + int(binary.BigEndian.Uint16(msg[off+9:]))
	}
	return offs
}

// checkPatch holds a patched reply against the original: only ID, flags, name and TTLs may differ.
func checkPatch(t *testing.T, msg, got []byte, l *wire.Layout, age uint32) {
	t.Helper()
	if len(got) != len(msg) {
		t.Fatalf("%d octets became %d", len(msg), len(got))
	}
	if !bytes.Equal(got[:2], []byte{0xab, 0xcd}) || wire.Rcode(got) != wire.Rcode(msg) || got[2]&0x80 == 0 {
		t.Fatalf("header %x", got[:12])
	}
	mask := make([]bool, len(msg))
	for i := range l.NameEnd {
		mask[i] = i < 4 || i >= 12
	}
	for _, off := range ttls(msg, l) {
		for i := range 4 {
			mask[int(off)+i] = true
		}
		was, is := binary.BigEndian.Uint32(msg[off:]), binary.BigEndian.Uint32(got[off:])
		if is > was || is > 86400 || is != 0 && was-is < age && was <= 86400 {
			t.Fatalf("TTL %d became %d after %d s", was, is, age)
		}
	}
	for i := range msg {
		if !mask[i] && msg[i] != got[i] {
			t.Fatalf("octet %d changed", i)
		}
	}
	if !wire.EqualFold(msg[12:l.NameEnd], got[12:l.NameEnd]) {
		t.Fatal("another name")
	}
}

// checkCut holds a truncated reply to its bounds.
func checkCut(t *testing.T, msg []byte, l *wire.Layout, room int, readable bool) {
	t.Helper()
	room = max(room, l.QuestionEnd)
	cut := wire.Truncate(bytes.Clone(msg), room)
	if len(cut) > room {
		t.Fatalf("%d octets in a room of %d", len(cut), room)
	}
	l2, ok := wire.ParseReply(cut)
	if !ok || l2.QuestionEnd != l.QuestionEnd || l2.Records > l.Records {
		t.Fatalf("cut to %x", cut)
	}
	if !bytes.Equal(cut[12:], msg[12:len(cut)]) {
		t.Fatal("what stayed was changed")
	}
	var m dns.Msg
	if err := m.Unpack(cut); readable && err != nil {
		t.Fatalf("cut to what cannot be read: %v", err)
	}
}
