package reply_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/adraffy/go-ens-normalize/ensip15"
	"github.com/miekg/dns"
	"golang.org/x/net/idna"

	"dens/reply"
	"dens/server"
)

var _ server.JSONCodec = reply.JSON{}

func TestJSONRequest(t *testing.T) {
	tests := []struct {
		query  string
		name   string
		rrtype uint16
		do, cd bool
	}{
		{"name=example.org", "example.org.", dns.TypeA, false, false},
		{"name=Example.org.&type=aaaa&do=1&cd=true", "Example.org.", dns.TypeAAAA, true, true},
		{"name=example.org&type=28&do=false&cd=0", "example.org.", dns.TypeAAAA, false, false},
		{"name=example.org&type=TYPE65", "example.org.", dns.TypeHTTPS, false, false},
		{"name=alice.eth&type=wallet&random_padding=xx", "alice.eth.", 262, false, false},
		{"name=" + strings.Repeat("a.", 127), strings.Repeat("a.", 127), dns.TypeA, false, false},
		{"name=.&type=NS", ".", dns.TypeNS, false, false},
		{"name=_dnslink.%F0%9F%A6%84.eth&type=TXT", "_dnslink.xn--3s9h.eth.", dns.TypeTXT, false, false},
		{"name=M%C3%BCnchen%E3%80%82de", "xn--mnchen-3ya.de.", dns.TypeA, false, false},
		{"name=xn--3s9h.eth&type=ANY", "xn--3s9h.eth.", dns.TypeANY, false, false},
	}
	for _, tt := range tests {
		values, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		packed, err := reply.JSON{}.Request(values)
		if err != nil {
			t.Errorf("%s: %v", tt.query, err)
			continue
		}
		var m dns.Msg
		if err := m.Unpack(packed); err != nil {
			t.Fatal(err)
		}
		q := dns.Question{Name: tt.name, Qtype: tt.rrtype, Qclass: dns.ClassINET}
		if m.Question[0] != q || m.IsEdns0().Do() != tt.do || m.CheckingDisabled != tt.cd || !m.RecursionDesired || !m.AuthenticatedData || m.Id != 0 || m.Response {
			t.Errorf("%s: got %v", tt.query, &m)
		}
	}
}

func TestJSONRequestRefused(t *testing.T) {
	for _, query := range []string{
		"", "name=", "name=a..b", "name=" + strings.Repeat("a", 64), "name=" + strings.Repeat("a.", 128), "name=bb." + strings.Repeat("a.", 126),
		"name=" + strings.Repeat("a.", 126) + "bb", "name=a%5C", "name=" + strings.Repeat("a", 5000),
		"name=%ff.eth", "name=%C3%A4%5C.eth", "name=a%EF%BC%BC.eth", "name=" + strings.Repeat("%C3%A4", 300),
		"name=a&type=0", "name=a&type=65536", "name=a&type=-1", "name=a&type=x", "name=a&type=TYPE", "name=a&do=yes", "name=a&cd=2",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if packed, err := (reply.JSON{}).Request(values); err == nil {
			t.Errorf("%s: got %x", query, packed)
		} else if len(err.Error()) > 100 {
			t.Errorf("%s: the error repeats what it was given", query)
		}
	}
}

func TestTypes(t *testing.T) {
	for name, rrtype := range map[string]uint16{"A": 1, "WALLET": 262, "HTTPS": 65, "TYPE65300": 65300} {
		for _, text := range []string{name, strings.ToLower(name), fmt.Sprint(rrtype)} {
			if got, err := reply.ParseType(text); err != nil || got != rrtype {
				t.Errorf("%s: got %d, %v", text, got, err)
			}
		}
		if got := reply.TypeName(rrtype); got != name {
			t.Errorf("%d: got %s, want %s", rrtype, got, name)
		}
	}
	if got, err := reply.ParseType(""); err == nil {
		t.Errorf("no type is %d", got)
	}
}

// TestJSONRequestNames compares the A-labels of names as people type them with what ENSIP-15 makes of the
// same names.
func TestJSONRequestNames(t *testing.T) {
	for _, name := range []string{"🦄.eth", "Alice🦄.eth", "👨‍👩‍👧.eth", "❤️.eth", "1️⃣.eth", "🏴‍☠️.eth", "🇩🇪.eth", "straße.eth", "Ä.eth", "a\u0308.eth", "日本.eth"} {
		want, err := ensip15.Shared().Normalize(name)
		if err != nil {
			t.Fatal(err)
		}
		packed, err := reply.JSON{}.Request(url.Values{"name": {name}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var m dns.Msg
		if err := m.Unpack(packed); err != nil {
			t.Fatal(err)
		}
		got, err := idna.Punycode.ToUnicode(strings.TrimSuffix(m.Question[0].Name, "."))
		if err != nil || got != want {
			t.Errorf("%s: %q became %q, %v, want %q", name, m.Question[0].Name, got, err, want)
		}
	}
}

func TestJSONReply(t *testing.T) {
	m := new(dns.Msg)
	m.SetQuestion("alice.eth.", 262)
	m.Response, m.RecursionAvailable, m.AuthenticatedData = true, true, true
	m.Answer = rrs(t, "alice.eth. 60 IN TXT \"<a>\" \"b\\\"\"", `alice.eth. 60 IN TYPE262 \# 8 0345544803307831`,
		`alice.eth. 60 IN TYPE262 \# 2 ffff`, `alice.eth. 60 IN TYPE65300 \# 2 abcd`, "alice.eth. 60 IN CNAME www.example.org.")
	m.Ns = rrs(t, "eth. 60 IN SOA a. b. 1 2 3 4 5")
	m.SetEdns0(1232, false)
	m.Extra[0].(*dns.OPT).Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: 3, ExtraText: "stale"}}
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	out, err := reply.JSON{}.Reply(packed)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"Status":0,"TC":false,"RD":true,"RA":true,"AD":true,"CD":false,` +
		`"Question":[{"name":"alice.eth.","type":262}],` +
		`"Answer":[{"name":"alice.eth.","type":16,"TTL":60,"data":"\"<a>\" \"b\\\"\""},` +
		`{"name":"alice.eth.","type":262,"TTL":60,"data":"\"ETH\" \"0x1\""},` +
		`{"name":"alice.eth.","type":262,"TTL":60,"data":"\\# 2 ffff"},` +
		`{"name":"alice.eth.","type":65300,"TTL":60,"data":"\\# 2 abcd"},` +
		`{"name":"alice.eth.","type":5,"TTL":60,"data":"www.example.org."}],` +
		`"Authority":[{"name":"eth.","type":6,"TTL":60,"data":"a. b. 1 2 3 4 5"}],` +
		`"extended_dns_errors":[{"info_code":3,"extra_text":"stale"}]}`
	if got := strings.TrimSpace(string(out)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if out, err := (reply.JSON{}).Reply(packed[:20]); err == nil {
		t.Errorf("half a reply became %s", out)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte("\x00\x00\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01\xc0\x0c\x01\x06\x00\x01\x00\x00\x00\x3c\x00\x02\x01\xff"), "🦄.eth", "WALLET")
	f.Add([]byte{}, "a\\.b", "28")
	f.Fuzz(func(t *testing.T, packed []byte, name, rrtype string) {
		if out, err := (reply.JSON{}).Reply(packed); err == nil {
			var v map[string]any
			if err := json.Unmarshal(out, &v); err != nil {
				t.Fatalf("%s: %v", out, err)
			}
			for _, key := range []string{"Status", "TC", "RD", "RA", "AD", "CD", "Question"} {
				if v[key] == nil {
					t.Errorf("no %s in %s", key, out)
				}
			}
		}
		req, err := reply.JSON{}.Request(url.Values{"name": {name}, "type": {rrtype}})
		if err != nil {
			return
		}
		r := &answers{err: errors.New("nothing")}
		e, m := get(t, source(r), req)
		if m.Rcode == dns.RcodeFormatError && !e.HasEDE {
			t.Errorf("the request for %q %q is malformed", name, rrtype)
		}
	})
}
