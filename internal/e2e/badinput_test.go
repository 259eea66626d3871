package e2e

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/e2e/bed"
)

// Bytes of hand-made messages: the header's flags and counts, and a question.
const (
	flagsQuery = 0x0100 // RD
	exampleA   = "\x03www\x07example\x03org\x00\x00\x01\x00\x01"
	emptyOPT   = "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
)

// message is a DNS message of whatever sections.
func message(id, flags, qd, an, ns, ar uint16, sections string) []byte {
	var m []byte
	for _, v := range []uint16{id, flags, qd, an, ns, ar} {
		m = binary.BigEndian.AppendUint16(m, v)
	}
	return append(m, sections...)
}

// label is one label of a name on the wire.
func label(text string) string { return string(rune(len(text))) + text }

// silentMessages are those that nobody may answer.
func silentMessages() map[string][]byte {
	return map[string][]byte{
		"empty":          {},
		"one octet":      {0},
		"eleven octets":  message(1, flagsQuery, 1, 0, 0, 0, "")[:11],
		"a reply":        message(2, 0x8180, 1, 0, 0, 0, exampleA),
		"a bad reply":    message(3, 0x8180, 7, 7, 7, 7, "\xff\xff"),
		"a reply's head": message(4, 0x8000, 0, 0, 0, 0, ""),
	}
}

// badMessage is a request that is answered by an rcode and nothing else.
type badMessage struct {
	name  string
	bytes []byte
	rcode int
}

func badMessages() []badMessage {
	q := func(sections string) []byte { return message(7, flagsQuery, 1, 0, 0, 0, sections) }
	opt := func(ar uint16, sections string) []byte { return message(7, flagsQuery, 1, 0, 0, ar, exampleA+sections) }
	long := strings.Repeat(label(strings.Repeat("a", 63)), 4)
	const tail = "\x00\x00\x01\x00\x01"
	list := []badMessage{
		{"no question (RFC 9619)", message(7, flagsQuery, 0, 0, 0, 0, ""), dns.RcodeFormatError},
		{"two questions", message(7, flagsQuery, 2, 0, 0, 0, exampleA+exampleA), dns.RcodeFormatError},
		{"a question promised", q(""), dns.RcodeFormatError},
		{"half a question", q(exampleA[:14]), dns.RcodeFormatError},
		{"no class", q(exampleA[:len(exampleA)-2]), dns.RcodeFormatError},
		{"trailing garbage", q(exampleA + "\x00"), dns.RcodeFormatError},
		{"much trailing garbage", q(exampleA + strings.Repeat("garbage", 100)), dns.RcodeFormatError},
		{"a pointer to itself", q("\xc0\x0c\x00\x01\x00\x01"), dns.RcodeFormatError},
		{"a pointer forward", q("\xc0\xff\x00\x01\x00\x01"), dns.RcodeFormatError},
		{"a pointer behind a label", q("\x03www\xc0\x0c\x00\x01\x00\x01"), dns.RcodeFormatError},
		{"a label of 64", q(label(strings.Repeat("a", 64)) + tail), dns.RcodeFormatError},
		{"an extended label (RFC 2671)", q("\x41\x08\xff" + tail), dns.RcodeFormatError},
		{"a name of 257", q(long + tail), dns.RcodeFormatError},
		{"a name without end", q(long[:100]), dns.RcodeFormatError},
		{"an answer promised", message(7, flagsQuery, 1, 1, 0, 0, exampleA), dns.RcodeFormatError},
		{"all counts at their most", message(7, flagsQuery, 65535, 65535, 65535, 65535, exampleA), dns.RcodeFormatError},
		{"two OPTs", opt(2, emptyOPT+emptyOPT), dns.RcodeFormatError},
		{"OPT with an owner", opt(1, "\x01a\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"), dns.RcodeFormatError},
		{"OPT by a pointer", opt(1, "\xc0\x0c\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"), dns.RcodeFormatError},
		{"OPT as an answer", message(7, flagsQuery, 1, 1, 0, 0, exampleA+emptyOPT), dns.RcodeFormatError},
		{"OPT as an authority", message(7, flagsQuery, 1, 0, 1, 0, exampleA+emptyOPT), dns.RcodeFormatError},
		{"OPT cut off", opt(1, emptyOPT[:9]), dns.RcodeFormatError},
		{"OPT longer than the message", opt(1, emptyOPT[:9]+"\x00\x20"), dns.RcodeFormatError},
		{"an option longer than OPT", opt(1, emptyOPT[:9]+"\x00\x04\x00\x03\x00\x09"), dns.RcodeFormatError},
		{"half an option", opt(1, emptyOPT[:9]+"\x00\x02\x00\x03"), dns.RcodeFormatError},
		{"EDNS version 1", opt(1, "\x00\x00\x29\x04\xd0\x00\x01\x00\x00\x00\x00"), dns.RcodeBadVers},
		{"EDNS version 255", opt(1, "\x00\x00\x29\x04\xd0\x00\xff\x00\x00\x00\x00"), dns.RcodeBadVers},
		{"type OPT", q("\x03www\x07example\x03org\x00\x00\x29\x00\x01"), dns.RcodeFormatError},
		{"type 0", q("\x03www\x07example\x03org\x00\x00\x00\x00\x01"), dns.RcodeFormatError},
		{"type MAILA", q("\x03www\x07example\x03org\x00\x00\xfe\x00\x01"), dns.RcodeNotImplemented},
		{"AXFR", q("\x07example\x03org\x00\x00\xfc\x00\x01"), dns.RcodeRefused},
		{"IXFR", q("\x07example\x03org\x00\x00\xfb\x00\x01"), dns.RcodeRefused},
		{"class CH", q("\x07version\x04bind\x00\x00\x10\x00\x03"), dns.RcodeRefused},
		{"class HS", q("\x03www\x07example\x03org\x00\x00\x01\x00\x04"), dns.RcodeRefused},
		{"class ANY", q("\x03www\x07example\x03org\x00\x00\x01\x00\xff"), dns.RcodeRefused},
		{"class 0", q("\x03www\x07example\x03org\x00\x00\x01\x00\x00"), dns.RcodeRefused},
	}
	for opcode := uint16(1); opcode < 16; opcode++ {
		list = append(list, badMessage{fmt.Sprint("opcode ", opcode), message(7, flagsQuery|opcode<<11, 1, 0, 0, 0, exampleA), dns.RcodeNotImplemented})
	}
	return append(list, badMessage{"an update without anything", message(7, 5<<11, 0, 0, 0, 0, ""), dns.RcodeNotImplemented})
}

// TestBadMessages sends what no client should, on raw sockets.
func TestBadMessages(t *testing.T) {
	t.Parallel()
	up := startStub(t, addressOf("198.51.100.80"))
	s := bed.Serve(t, worldConfig(world(t), worldOptions{forward: up.addr}))
	checkSilence(t, s)
	for _, network := range []string{"udp", "tcp"} {
		for _, bad := range badMessages() {
			checkBad(t, s.DNS, network, bad)
		}
	}
	checkNoise(t, s)
	if n := up.count("www.example.org."); n != 1 {
		t.Errorf("upstream was asked %d times for www.example.org, want once, for the good questions", n)
	}
	if panics := metric(t, s, "dens_panics_total"); panics != 0 {
		t.Errorf("%v panics", panics)
	}
}

// checkSilence sends what must not be answered, then a good question: its reply is all that may come.
func checkSilence(t *testing.T, s *bed.Server) {
	t.Helper()
	conn := dialDNS(t, "udp", s.DNS, "")
	before := metric(t, s, "dens_malformed_total") + metric(t, s, "dens_silent_total")
	silent := silentMessages()
	for name, m := range silent {
		if _, err := conn.Write(m); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	time.Sleep(100 * time.Millisecond)
	if _, err := conn.Write(message(99, flagsQuery, 1, 0, 0, 0, exampleA)); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(30 * time.Second)) //nolint:errcheck // the read says so
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			break
		}
		if id := binary.BigEndian.Uint16(buf); id != 99 {
			t.Errorf("%x was answered with %x", id, buf[:n])
			continue
		}
		conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond)) //nolint:errcheck // as above
	}
	bed.Wait(t, 5*time.Second, "the messages are counted as malformed or silent, each once", func() bool {
		return metric(t, s, "dens_malformed_total")+metric(t, s, "dens_silent_total")-before == float64(len(silent))
	})
	for name, m := range silent {
		conn := dialDNS(t, "tcp", s.DNS, "")
		if _, err := conn.Write(framed(m)); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(30 * time.Second)) //nolint:errcheck // as above
		if n, err := conn.Read(buf); n > 0 || isTimeout(err) {
			t.Errorf("%s by TCP: got %x (%v), want the connection closed", name, buf[:n], err)
		}
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

// checkBad sends one bad request and looks at the whole reply.
func checkBad(t *testing.T, server, network string, bad badMessage) {
	t.Helper()
	raw := exchangeRaw(t, network, server, bad.bytes)
	reply := new(dns.Msg)
	if err := reply.Unpack(raw); err != nil {
		t.Errorf("%s by %s: %v: %x", bad.name, network, err, raw)
		return
	}
	rcode := reply.Rcode
	opcode := int(binary.BigEndian.Uint16(bad.bytes[2:]) >> 11 & 0xf)
	switch {
	case rcode != bad.rcode:
		t.Errorf("%s by %s: %s, want %s", bad.name, network, dns.RcodeToString[rcode], dns.RcodeToString[bad.rcode])
	case !reply.Response || reply.Id != 7 || reply.Opcode != opcode || reply.Truncated || reply.AuthenticatedData || reply.Zero:
		t.Errorf("%s by %s: bad header: %v", bad.name, network, reply.MsgHdr)
	case len(reply.Answer)+len(reply.Ns) > 0:
		t.Errorf("%s by %s: records in %v", bad.name, network, reply)
	case bad.rcode == dns.RcodeBadVers && (reply.IsEdns0() == nil || reply.IsEdns0().Version() != 0):
		t.Errorf("%s by %s: the reply does not offer EDNS version 0: %v", bad.name, network, reply)
	}
}

// checkNoise sends random bytes with a header that is a query's. Whatever comes back must be a reply
// without records, and the server must be as well as before.
func checkNoise(t *testing.T, s *bed.Server) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	conn := dialDNS(t, "udp", s.DNS, "")
	buf := make([]byte, 4096)
	for range 500 {
		m := message(8, uint16(random.Uint32())&0x7fff, uint16(random.IntN(3)), uint16(random.IntN(2)), uint16(random.IntN(2)), uint16(random.IntN(3)), "")
		for range random.IntN(200) {
			m = append(m, byte(random.Uint32()))
		}
		if _, err := conn.Write(m); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(30 * time.Second)) //nolint:errcheck // the read says so
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("no reply to %x: %v", m, err)
		}
		if rcode := buf[3] & 0xf; n < 12 || rcode != dns.RcodeFormatError && rcode != dns.RcodeNotImplemented && rcode != dns.RcodeSuccess || binary.BigEndian.Uint16(buf[6:]) != 0 {
			t.Errorf("%x got %x", m, buf[:n])
		}
	}
	row{"www.example.org", dns.TypeA, 0, []string{"198.51.100.80"}, ""}.check(t, s.DNS)
}

// TestQuestionsApart asks well-formed questions that are not answered like others.
func TestQuestionsApart(t *testing.T) {
	t.Parallel()
	s := bed.Serve(t, worldConfig(world(t), worldOptions{rest: "chaos: { version: \"dens of a test\", hostname: \"host7\" }\n"}))
	t.Run("a name that does not normalise", func(t *testing.T) {
		for _, name := range []string{"xn--lice-43d.eth", "not_normal.eth", "a--b.xn--lice-43d.eth", `a\.b.eth`, `\000.eth`, "xn--0.eth", `caf\195\169.eth`} {
			reply := bed.Ask(t, s.DNS, name, dns.TypeA)
			if ede := bed.EDE(reply); reply.Rcode != dns.RcodeNameError || ede == nil || ede.ExtraText == "" || !strings.Contains(soaOwner(reply), "eth.") {
				t.Errorf("%s: %v, want NXDOMAIN with the text of an extended error and the SOA of eth", name, reply)
			}
		}
	})
	t.Run("ANY", func(t *testing.T) {
		for _, name := range []string{"alice.eth", "www.example.org", "localhost"} {
			reply := bed.Ask(t, s.DNS, name, dns.TypeANY)
			if len(reply.Answer) != 1 || reply.Answer[0].Header().Rrtype != dns.TypeHINFO || bed.Data(reply)[0] != `"RFC8482" ""` {
				t.Errorf("%s ANY: %v, want the HINFO of RFC 8482", name, reply)
			}
		}
	})
	t.Run("CH", func(t *testing.T) {
		for name, want := range map[string]string{"version.bind": "dens of a test", "VERSION.SERVER": "dens of a test", "hostname.bind": "host7", "id.server": "host7", "authors.bind": ""} {
			query := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeTXT)
			query.Question[0].Qclass = dns.ClassCHAOS
			reply := exchange(t, "udp", s.DNS, query)
			if want == "" && reply.Rcode == dns.RcodeRefused {
				continue
			}
			if len(reply.Answer) != 1 || bed.Data(reply)[0] != `"`+want+`"` || reply.Answer[0].Header().Class != dns.ClassCHAOS {
				t.Errorf("%s CH TXT: %v, want %q", name, reply, want)
			}
		}
	})
	t.Run("EDNS", func(t *testing.T) { checkEDNS(t, s) })
	t.Run("spelling", func(t *testing.T) {
		for range 2 { // the second is from the cache
			query := new(dns.Msg).SetQuestion("aLiCe.EtH.", dns.TypeA)
			reply := exchange(t, "udp", s.DNS, query)
			if len(reply.Answer) != 1 || reply.Question[0].Name != "aLiCe.EtH." {
				t.Errorf("question comes back as %v", reply)
			}
		}
	})
}

func soaOwner(reply *dns.Msg) string {
	for _, rr := range reply.Ns {
		if rr.Header().Rrtype == dns.TypeSOA {
			return rr.Header().Name
		}
	}
	return ""
}

// checkEDNS looks at what does and does not come back in OPT.
func checkEDNS(t *testing.T, s *bed.Server) {
	t.Helper()
	if reply := exchange(t, "udp", s.DNS, new(dns.Msg).SetQuestion("alice.eth.", dns.TypeA)); reply.IsEdns0() != nil {
		t.Errorf("OPT in the reply to a request without: %v", reply)
	}
	query := new(dns.Msg).SetQuestion("alice.eth.", dns.TypeA)
	query.SetEdns0(1232, true)
	query.IsEdns0().Option = []dns.EDNS0{
		&dns.EDNS0_NSID{Code: dns.EDNS0NSID},
		&dns.EDNS0_LOCAL{Code: 65001, Data: []byte("unknown")},
		&dns.EDNS0_PADDING{Padding: make([]byte, 100)},
		&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"},
	}
	reply := exchange(t, "udp", s.DNS, query)
	opt := reply.IsEdns0()
	if len(reply.Answer) != 1 || opt == nil || !opt.Do() || opt.Version() != 0 {
		t.Fatalf("options that dens does not know: %v", reply)
	}
	if len(opt.Option) != 1 || opt.Option[0].Option() != dns.EDNS0COOKIE {
		t.Errorf("options come back: %v, want the cookie alone (NSID is off)", opt)
	}
	if opt.UDPSize() != 1232 {
		t.Errorf("dens offers to take %d octets, want 1232", opt.UDPSize())
	}
}

// TestSpecialNames asks names that must not leave the machine.
func TestSpecialNames(t *testing.T) {
	t.Parallel()
	up := startStub(t, addressOf("203.0.113.1"))
	s := bed.Serve(t, worldConfig(world(t), worldOptions{forward: up.addr}))
	rows := []row{
		{"localhost", dns.TypeA, 0, []string{"127.0.0.1"}, ""},
		{"LOCALHOST", dns.TypeAAAA, 0, []string{"::1"}, ""},
		{"deep.down.localhost", dns.TypeA, 0, []string{"127.0.0.1"}, ""},
		{"localhost", dns.TypeMX, 0, nil, "localhost."},
		{"invalid", dns.TypeA, 0, nil, "invalid."},
		{"x.invalid", dns.TypeA, dns.RcodeNameError, nil, "invalid."},
		{"x.test", dns.TypeAAAA, dns.RcodeNameError, nil, "test."},
		{"printer.local", dns.TypeA, dns.RcodeNameError, nil, "local."},
		{"duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion", dns.TypeA, dns.RcodeNameError, nil, "onion."},
		{"x.alt", dns.TypeA, dns.RcodeNameError, nil, "alt."},
		{"alice.eth.alt", dns.TypeA, dns.RcodeNameError, nil, "alt."},
		{"box.home.arpa", dns.TypeA, dns.RcodeNameError, nil, "home.arpa."},
		{"_dns.resolver.arpa", dns.TypeSVCB, 0, nil, "resolver.arpa."}, // RFC 9462 section 4
		{"1.0.0.10.in-addr.arpa", dns.TypePTR, dns.RcodeNameError, nil, "10.in-addr.arpa."},
		{"1.1.16.172.in-addr.arpa", dns.TypePTR, dns.RcodeNameError, nil, "16.172.in-addr.arpa."},
		{"9.9.31.172.in-addr.arpa", dns.TypePTR, dns.RcodeNameError, nil, "31.172.in-addr.arpa."},
		{"1.2.168.192.in-addr.arpa", dns.TypePTR, dns.RcodeNameError, nil, "168.192.in-addr.arpa."},
		{"1.2.254.169.in-addr.arpa", dns.TypePTR, dns.RcodeNameError, nil, "254.169.in-addr.arpa."},
		{"1.2.64.100.in-addr.arpa", dns.TypePTR, dns.RcodeNameError, nil, "64.100.in-addr.arpa."},
		{"1.0.0.127.in-addr.arpa", dns.TypePTR, 0, []string{"localhost."}, ""},
		{strings.Repeat("0.", 30) + "d.f.ip6.arpa", dns.TypePTR, dns.RcodeNameError, nil, "d.f.ip6.arpa."},
	}
	for _, r := range rows {
		r.check(t, s.DNS)
	}
	row{"www.example.org", dns.TypeA, 0, []string{"203.0.113.1"}, ""}.check(t, s.DNS)
	row{"8.8.8.8.in-addr.arpa", dns.TypeA, 0, []string{"203.0.113.1"}, ""}.check(t, s.DNS)
	for _, r := range rows {
		if name := strings.ToLower(dns.Fqdn(r.name)); slices.Contains(up.names(), name) {
			t.Errorf("upstream was asked for %s", name)
		}
	}
	for _, name := range up.names() {
		if strings.HasSuffix(name, ".eth.") {
			t.Errorf("upstream was asked for %s", name)
		}
	}
}
