package forward

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"dens/resolver"
)

// message packs a reply to q: "answer | authority | additional", records apart by ";".
func message(t testing.TB, q resolver.Query, code int, sections string) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(q.Name, q.Type)
	m.Response, m.Rcode, m.AuthenticatedData = true, code, true
	for i, section := range strings.Split(sections, "|") {
		for line := range strings.SplitSeq(section, ";") {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			r := rr(line)
			switch i {
			case 0:
				m.Answer = append(m.Answer, r)
			case 1:
				m.Ns = append(m.Ns, r)
			case 2:
				m.Extra = append(m.Extra, r)
			}
		}
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func short(rrs []dns.RR) string {
	var out []string
	for _, r := range rrs {
		f := strings.Fields(r.String())
		if s, ok := r.(*dns.RRSIG); ok {
			f = []string{f[0], f[1], f[2], "RRSIG", dns.TypeToString[s.TypeCovered]}
		}
		out = append(out, f[0]+" "+f[1]+" "+strings.Join(f[3:], " "))
	}
	return strings.Join(out, "; ")
}

func TestReadReply(t *testing.T) {
	const (
		soa  = "example.org. 60 IN SOA a. b. 1 2 3 4 5"
		sigA = "www.example.org. 60 IN RRSIG A 13 3 60 20300101000000 20250101000000 1 example.org. AAAA"
		nsec = "a.example.org. 60 IN NSEC z.example.org. A"
		sigN = "a.example.org. 60 IN RRSIG NSEC 13 3 60 20300101000000 20250101000000 1 example.org. AAAA"
		sigS = "example.org. 60 IN RRSIG SOA 13 2 60 20300101000000 20250101000000 1 example.org. AAAA"
	)
	nx, ok := dns.RcodeNameError, dns.RcodeSuccess
	tests := []struct {
		name       string
		do         bool
		rcode      int
		sections   string
		answer, ns string
		target     string
		err        error
	}{
		{"plain", false, ok, "www.example.org. 60 IN A 192.0.2.1", "www.example.org. 60 A 192.0.2.1", "", "", nil},
		{"mixed case", false, ok, "WWW.example.ORG. 60 IN A 192.0.2.1", "www.example.org. 60 A 192.0.2.1", "", "", nil},
		{"poison everywhere", false, ok, "www.example.org. 60 IN A 192.0.2.1; bank.example. 60 IN A 6.6.6.6; www.example.org. 60 IN TXT x" +
			"| bank.example. 60 IN NS evil.; bank.example. 60 IN SOA a. b. 1 2 3 4 5; com. 60 IN NSEC net. NS | bank.example. 60 IN A 6.6.6.6",
			"www.example.org. 60 A 192.0.2.1", "", "", nil},
		{"another class", false, ok, "www.example.org. 60 CH A 6.6.6.6; www.example.org. 60 IN A 192.0.2.1", "www.example.org. 60 A 192.0.2.1", "", "", nil},
		{"great TTL", false, ok, "www.example.org. 2147483648 IN A 192.0.2.1; www.example.org. 2147483647 IN A 192.0.2.2",
			"www.example.org. 0 A 192.0.2.1; www.example.org. 2147483647 A 192.0.2.2", "", "", nil},
		{"chain", false, ok, "www.example.org. 60 IN CNAME a.; a. 60 IN A 192.0.2.1", "www.example.org. 60 CNAME a.; a. 60 A 192.0.2.1", "", "", nil},
		{"chain that ends in nothing", false, ok, "www.example.org. 60 IN CNAME a.org. | org. 60 IN SOA a. b. 1 2 3 4 5",
			"www.example.org. 60 CNAME a.org.", "org. 60 SOA a. b. 1 2 3 4 5", "", nil},
		{"chain that breaks off", false, ok, "www.example.org. 60 IN CNAME a.org.", "www.example.org. 60 CNAME a.org.", "", "a.org.", nil},
		{"chain that ends in a referral", false, ok, "www.example.org. 60 IN CNAME a.org. | org. 60 IN NS ns.", "www.example.org. 60 CNAME a.org.", "", "a.org.", nil},
		{"chain to nowhere", false, nx, "www.example.org. 60 IN CNAME a.org. | org. 60 IN SOA a. b. 1 2 3 4 5",
			"www.example.org. 60 CNAME a.org.", "org. 60 SOA a. b. 1 2 3 4 5", "", nil},
		{"NXDOMAIN", false, nx, "|" + soa, "", "example.org. 60 SOA a. b. 1 2 3 4 5", "", nil},
		{"NODATA", false, ok, "|" + soa, "", "example.org. 60 SOA a. b. 1 2 3 4 5", "", nil},
		{"NODATA without SOA", false, ok, "", "", "", "", nil},
		{"SOA of another zone", false, nx, "| evil. 60 IN SOA a. b. 1 2 3 4 5", "", "", "", nil},
		{"two SOAs", false, nx, "|" + soa + "; org. 60 IN SOA a. b. 1 2 3 4 5", "", "example.org. 60 SOA a. b. 1 2 3 4 5", "", nil},
		{"signatures unasked", false, ok, "www.example.org. 60 IN A 192.0.2.1;" + sigA + "|" + nsec + ";" + sigN, "www.example.org. 60 A 192.0.2.1", "", "", nil},
		{"signatures", true, ok, "www.example.org. 60 IN A 192.0.2.1;" + sigA + "|" + nsec + ";" + sigN,
			"www.example.org. 60 A 192.0.2.1; www.example.org. 60 RRSIG A", "a.example.org. 60 NSEC z.example.org. A; a.example.org. 60 RRSIG NSEC", "", nil},
		{"signed denial", true, nx, "|" + soa + ";" + sigS + ";" + nsec + ";" + sigN + "; org. 60 IN NS evil.", "",
			"example.org. 60 SOA a. b. 1 2 3 4 5; example.org. 60 RRSIG SOA; a.example.org. 60 NSEC z.example.org. A; a.example.org. 60 RRSIG NSEC", "", nil},
		{"referral", false, ok, "| org. 60 IN NS ns.org.", "", "", "", errLame},
		{"NXDOMAIN with data", false, nx, "www.example.org. 60 IN A 192.0.2.1", "", "", "", errSenses},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := query("www.example.org.")
			q.DO = tt.do
			r, err := readReply(q, ".", message(t, q, tt.rcode, tt.sections), false)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if tt.err != nil {
				return
			}
			a := r.answer
			if short(a.Answer) != tt.answer || short(a.Ns) != tt.ns || a.Target != tt.target || a.Rcode != tt.rcode {
				t.Errorf("got\n%s | %s | %q", short(a.Answer), short(a.Ns), a.Target)
			}
			if a.AuthenticatedData || a.Authoritative || a.Extra != nil || a.Zone != Kind {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestReadReplyRefuses(t *testing.T) {
	q := query("www.example.org.")
	good := message(t, q, 0, "www.example.org. 60 IN A 192.0.2.1")
	many := new(dns.Msg)
	many.SetQuestion(q.Name, q.Type)
	many.Response = true
	for range 4097 {
		many.Answer = append(many.Answer, &dns.NULL{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNULL, Class: 1}})
	}
	flood, err := many.Pack()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		wire []byte
		want error
	}{
		{"nothing", nil, errShape},
		{"header", good[:12], errShape},
		{"cut", good[:len(good)-3], errShape},
		{"no reply", forge(good, func(b []byte) { b[2] &= 0x7f }), errShape},
		{"opcode", forge(good, func(b []byte) { b[2] |= 0x10 }), errShape},
		{"truncated", forge(good, func(b []byte) { b[2] |= 2 }), errCut},
		{"counts lie", forge(good, func(b []byte) { b[9] = 3 }), errShape},
		{"two questions", forge(good, func(b []byte) { b[5] = 2 }), errShape},
		{"too many records", flood, errRecords},
		{"another name", message(t, query("evil.org."), 0, "evil.org. 60 IN A 192.0.2.1"), errQuestion},
		{"another type", forge(good, func(b []byte) { b[12+17+1] = 28 }), errQuestion},
		{"another class", forge(good, func(b []byte) { b[12+17+3] = 3 }), errQuestion},
	}
	for _, tt := range tests {
		if r, err := readReply(q, ".", tt.wire, true); !errors.Is(err, tt.want) || r.answer != nil {
			t.Errorf("%s: %v, error %v, want %v", tt.name, r.answer, err, tt.want)
		}
	}
	var verdict *resolver.Error
	loop := message(t, q, 0, "www.example.org. 60 IN CNAME a.; a. 60 IN CNAME www.example.org.")
	if _, err := readReply(q, ".", loop, true); !errors.As(err, &verdict) || !strings.Contains(verdict.Text, "loop") {
		t.Errorf("loop: %v", err)
	}
	if r, err := readReply(q, ".", good, true); err != nil || !r.answer.AuthenticatedData {
		t.Errorf("%v %v", r.answer, err)
	}
}

func TestYXDomain(t *testing.T) {
	long := strings.Repeat("abcdefg.", 29)
	q := query(long + "old.")
	for _, code := range []int{dns.RcodeYXDomain, dns.RcodeSuccess} {
		r, err := readReply(q, ".", message(t, q, code, "old. 60 IN DNAME "+long), false)
		if err != nil || r.answer.Rcode != dns.RcodeYXDomain || len(r.answer.Answer) != 1 {
			t.Errorf("%+v %v", r.answer, err)
		}
	}
}

// Whatever an upstream sends: an accepted answer is an alias chain from the question's name on, with
// nothing in it but the chain, the records asked for at its end, and signatures over these.
func FuzzReply(f *testing.F) {
	q := query("www.example.org.")
	f.Add(message(f, q, 0, "www.example.org. 60 IN A 192.0.2.1"), uint16(dns.TypeA), true)
	f.Add(message(f, q, 0, "www.example.org. 60 IN CNAME a.; a. 60 IN A 192.0.2.1; alice.eth. 60 IN A 6.6.6.6"), uint16(dns.TypeA), false)
	f.Add(message(f, q, 0, "example.org. 60 IN DNAME eth.; www.example.org. 60 IN CNAME www.eth.; www.eth. 60 IN A 6.6.6.6"), uint16(dns.TypeA), true)
	f.Add(message(f, q, 0, "org. 60 IN DNAME .; www.example. 60 IN A 192.0.2.1"), uint16(dns.TypeA), true)
	f.Add(message(f, q, 3, "| example.org. 60 IN SOA a. b. 1 2 3 4 5; evil. 60 IN SOA a. b. 1 2 3 4 5"), uint16(dns.TypeA), true)
	q.Type = dns.TypeCNAME
	f.Add(message(f, q, 0, "www.example.org. 60 IN CNAME a.; a. 60 IN A 192.0.2.1"), uint16(dns.TypeCNAME), true)
	q.Type = dns.TypeANY
	f.Add(message(f, q, 0, "www.example.org. 60 IN A 192.0.2.1; www.example.org. 60 IN TXT x"), uint16(dns.TypeANY), true)
	f.Fuzz(func(t *testing.T, wire []byte, rrtype uint16, do bool) {
		q := resolver.Query{Name: "www.example.org.", Type: rrtype, Class: dns.ClassINET, DO: do}
		r, err := readReply(q, ".", wire, false)
		if err != nil || r.answer == nil {
			return
		}
		checkAnswer(t, q, r.answer)
		m := dns.Msg{Answer: r.answer.Answer, Ns: r.answer.Ns}
		if _, err := m.Pack(); err != nil && len(wire) < 4096 {
			t.Errorf("the answer cannot be packed: %v", err)
		}
	})
}

func checkAnswer(t *testing.T, q resolver.Query, a *resolver.Answer) {
	t.Helper()
	names := map[string]bool{q.Name: true}
	end := q.Name
	for _, rr := range a.Answer {
		h := rr.Header()
		if h.Class != dns.ClassINET || h.Ttl > 1<<31-1 || h.Name != dns.CanonicalName(h.Name) {
			t.Fatalf("header %v", h)
		}
		switch v := rr.(type) {
		case *dns.CNAME:
			if h.Name != end {
				t.Fatalf("%v does not go on from %s", rr, end)
			}
			if q.Type != dns.TypeCNAME && q.Type != dns.TypeANY {
				end = dns.CanonicalName(v.Target)
				names[end] = true
			}
		case *dns.DNAME:
			if !dns.IsSubDomain(h.Name, end) {
				t.Fatalf("%v is not above %s", rr, end)
			}
			names[h.Name] = true
		case *dns.RRSIG:
			if !names[h.Name] {
				t.Fatalf("%v is not on the chain", rr)
			}
		default:
			if h.Name != end || q.Type != h.Rrtype && q.Type != dns.TypeANY {
				t.Fatalf("%v is no answer at %s", rr, end)
			}
		}
	}
	if len(names) > 2*resolver.MaxAliases+1 {
		t.Fatalf("%d names", len(names))
	}
	if a.Target != "" && a.Target != end {
		t.Fatalf("goes on at %s behind %s", a.Target, end)
	}
	soas := 0
	for _, rr := range a.Ns {
		switch v := rr.(type) {
		case *dns.SOA:
			if soas++; soas > 1 || !dns.IsSubDomain(v.Hdr.Name, end) {
				t.Fatalf("%v is no zone of %s", rr, end)
			}
		case *dns.NSEC, *dns.NSEC3, *dns.RRSIG:
			if !q.DO {
				t.Fatalf("%v without DO", rr)
			}
		default:
			t.Fatalf("%v in the authority section", rr)
		}
	}
	if a.Extra != nil || a.AuthenticatedData || a.Authoritative {
		t.Fatalf("%+v", a)
	}
}

// A reply is taken for one to a question only with its id and its question, or as an error without one.
func FuzzMatch(f *testing.F) {
	req, err := request(query("www.example.org."), true)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(req, forge(req, func(b []byte) { b[2] |= 0x80 }))
	f.Add(req, forge(req, func(b []byte) { b[2] |= 0x80; b[14] ^= 0x20 }))
	f.Add(req, forge(req, func(b []byte) { b[2], b[3], b[5] = 0x80, 1, 0 })[:12])
	f.Fuzz(func(t *testing.T, req, reply []byte) {
		question, ok := questionOf(req)
		if !ok {
			return
		}
		id := uint16(req[0])<<8 | uint16(req[1])
		how := match(reply, id, question)
		if how == foreign {
			return
		}
		if reply[0] != req[0] || reply[1] != req[1] || reply[2]&0x80 == 0 {
			t.Fatalf("%x is taken for a reply to %x", reply, req)
		}
		got, ok := questionOf(reply)
		if (how == bare) == ok || ok && !bytes.Equal(bytes.ToLower(got[:len(got)-4]), bytes.ToLower(question[:len(question)-4])) {
			t.Fatalf("%x is taken for a reply to %x", reply, req)
		}
		if restore(reply, req, question); how != bare && match(reply, id, question) != exact {
			t.Fatalf("%x is no reply to %x", reply, req)
		}
	})
}

// What is read out of a reply does not lie in its buffer, which the next reply is read into.
func TestReadingCopies(t *testing.T) {
	m := new(dns.Msg)
	m.SetQuestion("www.example.org.", dns.TypeANY)
	m.Response = true
	for _, s := range []string{
		"A 192.0.2.1", "AAAA 2001:db8::1", `TXT "a" "b"`, "MX 1 a.b.", "SOA a. b. 1 2 3 4 5", "DNSKEY 257 3 13 AAAA", "CAA 0 issue \"a\"",
		"SVCB 1 a. alpn=h2,h3 port=1 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1 ech=AAAA mandatory=alpn key65000=abc", "TYPE65400 \\# 3 010203",
		"NSEC3 1 0 1 AB 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM A", "APL 1:192.0.2.0/24", "LOC 1 N 1 E 1m", "IPSECKEY 1 1 2 192.0.2.1 AAAA",
	} {
		m.Answer = append(m.Answer, rr("www.example.org. 60 IN "+s))
	}
	m.SetEdns0(1232, true)
	opt := m.IsEdns0()
	opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: 1, ExtraText: "text"}, &dns.EDNS0_LOCAL{Code: 65001, Data: []byte("data")},
		&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}, &dns.EDNS0_PADDING{Padding: make([]byte, 8)})
	wire, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	got, err := unpack(wire)
	if err != nil {
		t.Fatal(err)
	}
	before := got.String()
	for i := range wire {
		wire[i] ^= 0x5a
	}
	if after := got.String(); after != before || len(got.Answer) != len(m.Answer) {
		t.Errorf("%s\nbecame\n%s", before, after)
	}
}
