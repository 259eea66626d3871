package demo

import (
	"bytes"
	"strings"
	"testing"

	"github.com/adraffy/go-ens-normalize/ensip15"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ipfs/go-cid"
	"github.com/miekg/dns"
	"golang.org/x/net/idna"
)

func TestSamplesAreWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Samples() {
		key := s.Name + " " + s.Type
		if _, ok := dns.IsDomainName(s.Name); !ok || strings.HasSuffix(s.Name, ".") || seen[key] {
			t.Errorf("%s is no name, or is there twice", key)
		}
		seen[key] = true
		if _, ok := dns.StringToType[s.Type]; !ok && s.Type != typeWALLET {
			t.Errorf("%s: no such type", key)
		}
		if s.Shows == "" || len(s.Shows) > 45 {
			t.Errorf("%s: what it shows is %q", key, s.Shows)
		}
		for _, want := range s.Want {
			rr, err := dns.NewRR(s.Name + ". 60 " + want)
			if err != nil || recordText(rr) != want {
				t.Errorf("%s: %q is not the library's spelling: %v, %v", key, want, rr, err)
			}
		}
	}
	if len(Hostile()) != int(Foreign)+1 {
		t.Errorf("%d hostile names", len(Hostile()))
	}
}

// TestSamplesAreOnTheChain looks for the wanted RRsets where dens will.
func TestSamplesAreOnTheChain(t *testing.T) {
	w := reading(t)
	found := 0
	for _, s := range zoneSamples() {
		zone := strings.Join(tail(strings.Split(s.Name, "."), 2), ".")
		if len(s.Want) != 1 || zone != "alice.eth" && zone != "dave.eth" || strings.HasPrefix(s.Name, "anything") {
			continue
		}
		got := w.rrset(zone, s.Name, dns.StringToType[s.Type])
		if len(got) != 1 || !strings.HasSuffix(strings.ReplaceAll(got[0], "\t", " "), s.Want[0]) {
			t.Errorf("%s %s: chain has %q, want %q", s.Name, s.Type, got, s.Want)
		}
		found++
	}
	if found < 6 {
		t.Errorf("only %d samples were compared", found)
	}
	owner, err := ownerHash("hello.wild.eth")
	if err != nil {
		t.Fatal(err)
	}
	call := w.pack(Resolver, "dnsRecord(bytes32,bytes32,uint16)", Namehash("wild.eth"), owner, dns.TypeA)
	result, _, reverted := w.resolve("hello.wild.eth", call)
	if !bytes.Contains(result, []byte("\x05hello\x04wild\x03eth\x00\x00\x01\x00\x01")) {
		t.Fatalf("hello.wild.eth: %x, %x", result, reverted)
	}
	values, err := Unpack(Resolver, "dnsRecord(bytes32,bytes32,uint16)", result)
	if err != nil {
		t.Fatal(err)
	}
	rr, _, err := dns.UnpackRR(values[0].([]byte), 0)
	if err != nil || recordText(rr) != "A "+wildA("hello") {
		t.Errorf("hello.wild.eth: %v, %v; want %s", rr, err, wildA("hello"))
	}
}

func tail(labels []string, n int) []string { return labels[max(0, len(labels)-n):] }

func TestSampleNames(t *testing.T) {
	norm := ensip15.Shared()
	if n, err := norm.Normalize(emojiName); err != nil || n != emojiName {
		t.Errorf("%s normalises to %q, %v", emojiName, n, err)
	}
	if a, err := idna.Punycode.ToASCII(emojiName); err != nil || a != emojiALabel {
		t.Errorf("%s is %q in DNS, %v", emojiName, a, err)
	}
	abnormal, err := idna.Punycode.ToUnicode(abnormalName)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := norm.Normalize(abnormal); err == nil {
		t.Errorf("%s normalises to %q", abnormal, n)
	}
	c, err := cid.Decode(strings.TrimPrefix(ipfsPath, "/ipfs/"))
	if err != nil || hexutil.Encode(append([]byte{0xe3, 1}, c.Bytes()...)) != ipfsHash {
		t.Errorf("%s is not %s: %v", ipfsPath, ipfsHash, err)
	}
	if _, err := cid.Cast(hexutil.MustDecode(ipnsHash)[2:]); err != nil {
		t.Errorf("IPNS: %v", err)
	}
	if onion := hexutil.MustDecode(onionHash)[2:]; len(onion) != 56 || strings.Trim(string(onion), "abcdefghijklmnopqrstuvwxyz234567") != "" {
		t.Errorf("onion is %q", onion)
	}
}

func TestSampleCheck(t *testing.T) {
	reply := func(rcode int, ede bool, records ...string) *dns.Msg {
		m := new(dns.Msg)
		m.Rcode = rcode
		for _, text := range records {
			rr, err := dns.NewRR(text)
			if err != nil {
				t.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		m.SetEdns0(1232, false)
		if ede {
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: 22})
		}
		return m
	}
	two := Sample{Name: "x", Type: "A", Want: []string{"A 192.0.2.1", "CNAME y."}}
	tests := []struct {
		story  string
		sample Sample
		reply  *dns.Msg
		ok     bool
	}{
		{"as wanted", two, reply(0, false, "x. 1 CNAME y.", "y. 2 A 192.0.2.1"), true},
		{"one is missing", two, reply(0, false, "y. 2 A 192.0.2.1"), false},
		{"one too many", two, reply(0, false, "x. 1 CNAME y.", "y. 2 A 192.0.2.1", "y. 2 A 192.0.2.2"), false},
		{"more allowed", Sample{Want: two.Want, More: true}, reply(0, false, "x. 1 CNAME y.", "y. 2 A 192.0.2.1", "y. 2 A 192.0.2.2"), true},
		{"other rcode", two, reply(3, false), false},
		{"NODATA", Sample{}, reply(0, false), true},
		{"no NODATA", Sample{}, reply(0, false, "x. 1 A 192.0.2.1"), false},
		{"EDE", Sample{Rcode: 2, EDE: true}, reply(2, true), true},
		{"no EDE", Sample{Rcode: 2, EDE: true}, reply(2, false), false},
		{"no EDNS", Sample{Rcode: 2, EDE: true}, &dns.Msg{MsgHdr: dns.MsgHdr{Rcode: 2}}, false},
	}
	for _, tt := range tests {
		if err := tt.sample.Check(tt.reply); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.story, err)
		}
	}
}
