package resolver

import (
	"bytes"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// A request is what the library makes of the same question.
func TestAppendRequest(t *testing.T) {
	long := strings.Repeat(strings.Repeat("a", 49)+".", 5) + "abc." // 255 octets in wire form
	for _, name := range []string{".", "eth.", "www.example.org.", `a\.b.\000\255.example.`, long} {
		for _, size := range []uint16{0, 1232} {
			for _, do := range []bool{false, true} {
				m := dns.Msg{
					MsgHdr:   dns.MsgHdr{RecursionDesired: true, AuthenticatedData: true, CheckingDisabled: true},
					Question: []dns.Question{{Name: name, Qtype: dns.TypeTXT, Qclass: dns.ClassINET}},
				}
				if size > 0 {
					m.SetEdns0(size, do)
				}
				want, err := m.Pack()
				if err != nil {
					t.Fatal(err)
				}
				q := Query{Name: name, Type: dns.TypeTXT, Class: dns.ClassINET, DO: do}
				got, err := AppendRequest([]byte("before"), q, FlagRD|FlagAD|FlagCD, size)
				if err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
					t.Errorf("%q size %d DO %v: %x, error %v, want %x", name, size, do, got, err, want)
				}
			}
		}
	}
	for _, name := range []string{long + "com.", "a..b.", strings.Repeat("a", 64) + ".", "a" + long} {
		if got, err := AppendRequest(nil, Query{Name: name, Type: 1, Class: 1}, 0, 0); err == nil {
			t.Errorf("%q: %x", name, got)
		}
	}
}
