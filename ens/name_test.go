package ens

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"dens/names"

	"github.com/adraffy/go-ens-normalize/ensip15"
	"github.com/ethereum/go-ethereum/common"
	"github.com/miekg/dns"
)

// vector is one of ENSIP-15's validation tests: norm is nil for what is not a name.
type vector struct {
	name string
	norm *string
}

func vectors(t testing.TB) []vector {
	f, err := os.Open("testdata/ensip15.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line []*string
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		v := vector{*line[0], line[0]}
		if len(line) == 2 {
			v.norm = line[1]
		}
		list = append(list, v)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// aLabels writes each label of a name as DNS would carry it, however wrong the name is.
func aLabels(name string) string {
	labels := strings.Split(name, ".")
	for i, label := range labels {
		if !isASCII(label) {
			labels[i] = acePrefix + encodePunycode(label)
		}
	}
	return strings.Join(labels, ".") + "."
}

// TestENSIP15 takes all of the reference's vectors twice: as they are, and on the way that a DNS query
// takes, as A-labels below a zone.
func TestENSIP15(t *testing.T) {
	t.Parallel()
	all := vectors(t)
	if len(all) != 38613 {
		t.Fatalf("there are %d vectors", len(all))
	}
	accepted, refused, long := 0, 0, 0
	for _, v := range all {
		norm, err := ensip15.Shared().Normalize(v.name)
		if (err != nil) != (v.norm == nil) || err == nil && norm != *v.norm {
			t.Errorf("%q: normalised to %q, %v", v.name, norm, err)
		}
		if v.name == "" || v.name == "*" || strings.Contains(v.name, acePrefix) {
			continue // these mean something else in DNS
		}
		n, err := parseName(aLabels(v.name)+"eth.", "eth.")
		normal := v.norm != nil && *v.norm == v.name
		switch {
		case err == nil && !normal:
			t.Errorf("%q was accepted", v.name)
		case err == nil:
			accepted++
			if got := strings.Join(n.plain, "."); got != v.name+".eth" {
				t.Errorf("%q was read as %q", v.name, got)
			}
		case normal && !errors.Is(err, names.ErrTooDeep) && !strings.Contains(err.Error(), "longer than"):
			t.Errorf("%q was refused: %v", v.name, err)
		case normal:
			long++
		default:
			refused++
			if !errors.Is(err, names.ErrNotNormal) && !errors.Is(err, names.ErrTooDeep) {
				t.Errorf("%q: error is %v", v.name, err)
			}
		}
		checkDNSName(t, v)
	}
	t.Logf("%d accepted, %d refused, %d do not fit DNS", accepted, refused, long)
	if accepted < 8900 || refused < 29500 || long > 5 {
		t.Errorf("%d accepted, %d refused, %d do not fit DNS", accepted, refused, long)
	}
}

// checkDNSName: what people write leads to the normal form or to an error.
func checkDNSName(t *testing.T, v vector) {
	if isASCII(v.name) {
		return // left as it is, but for capitals
	}
	got, err := DNSName(v.name)
	switch {
	case err == nil && v.norm == nil:
		t.Errorf("DNSName(%q) = %q", v.name, got)
	case err == nil && got != aLabels(*v.norm):
		t.Errorf("DNSName(%q) = %q, want %q", v.name, got, aLabels(*v.norm))
	case err != nil && v.norm != nil && !strings.Contains(err.Error(), "longer than"):
		t.Errorf("DNSName(%q): %v", v.name, err)
	case err != nil && !errors.Is(err, names.ErrNotNormal):
		t.Errorf("DNSName(%q): error is %v", v.name, err)
	}
}

func TestDNSName(t *testing.T) {
	tests := []struct{ in, want string }{
		{"Alice.ETH", "alice.eth."},
		{"alice.eth.", "alice.eth."},
		{"*.Alice.eth", "*.alice.eth."},
		{"*.🦄.eth", "*.xn--3s9h.eth."},
		{"_sip._tcp.alice.eth", "_sip._tcp.alice.eth."},
		{"RaFFY🚴‍♂️.eTh", "xn--raffy-1t3b967bw605g.eth."},
		{"Bücher.eth", "xn--bcher-kva.eth."},
		{"xn--bcher-kva.eth", "xn--bcher-kva.eth."},
	}
	for _, tt := range tests {
		got, err := DNSName(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("DNSName(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
			continue
		}
		if _, err := parseName(got, "eth."); err != nil {
			t.Errorf("DNSName(%q) = %q is refused: %v", tt.in, got, err)
		}
	}
}

// TestPunycode has the samples of RFC 3492 section 7.1 that are in lower case as they stand.
func TestPunycode(t *testing.T) {
	tests := []struct{ plain, code string }{
		{"ليهمابتكلموشعربي؟", "egbpdaj6bu4bxfgehfvwxn"},
		{"他们为什么不说中文", "ihqwcrb4cv8a8dqg056pqjye"},
		{"他們爲什麽不說中文", "ihqwctvzc91f659drss3x8bo0yb"},
		{"למההםפשוטלאמדבריםעברית", "4dbcagdahymbxekheh6e0a7fei0b"},
		{"なぜみんな日本語を話してくれないのか", "n8jok5ay5dzabd5bym9f0cm5685rrjetr6pdxa"},
		{"почемужеонинеговорятпорусски", "b1abfaaepdrnnbgefbadotcwatmq2g4l"},
		{"3年b組金八先生", "3b-ww4c5e180e575a65lsy2b"},
		{"-> $1.00 <-", "-> $1.00 <--"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := encodePunycode(tt.plain); got != tt.code {
			t.Errorf("encodePunycode(%q) = %q, want %q", tt.plain, got, tt.code)
		}
		if got, err := decodePunycode(tt.code); err != nil || got != tt.plain {
			t.Errorf("decodePunycode(%q) = %q, %v, want %q", tt.code, got, err, tt.plain)
		}
	}
	for _, bad := range []string{"-a", "zzzzzzzzzzzzzzzzzzzz", "é", "a-é", "99999999", "EGBPDAJ"} {
		if got, err := decodePunycode(bad); err == nil {
			t.Errorf("decodePunycode(%q) = %q", bad, got)
		}
	}
}

// TestNamehash has the examples of EIP-137.
func TestNamehash(t *testing.T) {
	tests := []struct {
		labels []string
		want   string
	}{
		{nil, "0x0000000000000000000000000000000000000000000000000000000000000000"},
		{[]string{"eth"}, "0x93cdeb708b7545dc668eb9280176169d1c33cfd8ed6f04690a0bcc88a93fc4ae"},
		{[]string{"foo", "eth"}, "0xde9b09fd7c5f901e23a3f19fecc54828e9c848539801e86591bd9801b019f84f"},
	}
	for _, tt := range tests {
		if got := namehash(tt.labels); got != common.HexToHash(tt.want) {
			t.Errorf("namehash(%q) = %v, want %v", tt.labels, got, tt.want)
		}
	}
}

func TestHashesOfNames(t *testing.T) {
	n, err := parseName("www.xn--bcher-kva.alice.eth.", "eth.")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"www.bücher.alice.eth", "bücher.alice.eth", "alice.eth", "eth"} {
		if n.node(i) != testNode(want) {
			t.Errorf("node(%d) is not that of %s", i, want)
		}
	}
	for i, want := range []string{"www.xn--bcher-kva.alice.eth.", "xn--bcher-kva.alice.eth.", "alice.eth.", "eth."} {
		if n.owner(i) != want || n.ownerHash(i) != testOwner(want) || n.wildcardHash(i) != testOwner("*."+want) {
			t.Errorf("owner(%d) = %s, want %s", i, n.owner(i), want)
		}
	}
	if got, want := string(n.ensName(1)), "\x07bücher\x05alice\x03eth\x00"; got != want {
		t.Errorf("ensName(1) = %q, want %q", got, want)
	}
	at := map[uint64]int{0: 0, 4: 1, 12: 2, 18: 3}
	for offset := range uint64(30) {
		i, ok := n.index(0, offset)
		if want, is := at[offset]; ok != is || ok && i != want {
			t.Errorf("index(%d) = %d, %v", offset, i, ok)
		}
	}
}

// FuzzName: what is accepted is in normal form, is carried by DNS in no other spelling, and is hashed as
// DNS and ENS would have it.
func FuzzName(f *testing.F) {
	for _, seed := range []string{"alice.eth.", "*.wild.alice.eth.", "_dnslink.xn--3s9h.eth.", "xn--bcher-kva.eth.", "xn--mgb0d.eth.",
		"a..eth.", `a\.b.eth.`, "eth.", "xn--raffy-1t3b967bw605g.eth.", "xn--\xff.eth.", "xn--99zzzzzz.eth."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseName(s, "eth.")
		if err != nil {
			if !errors.Is(err, names.ErrNotNormal) && !errors.Is(err, names.ErrTooDeep) {
				t.Fatalf("error of %q is %v", s, err)
			}
			return
		}
		if n.depth < 0 || n.depth > MaxDepth || n.owner(0) != s || len(n.plain) != len(n.labels) {
			t.Fatalf("%q: %+v", s, n)
		}
		if _, ok := dns.IsDomainName(s); !ok {
			t.Fatalf("%q is no domain name", s)
		}
		if n.ownerHash(0) != testOwner(s) {
			t.Fatalf("%q: owner hash is not that of the wire form", s)
		}
		plain := strings.Join(n.plain[n.first():], ".")
		if !utf8.ValidString(plain) {
			t.Fatalf("%q: %q is not UTF-8", s, plain)
		}
		if norm, err := ensip15.Shared().Normalize(plain); err != nil || norm != plain {
			t.Fatalf("%q: %q is not normal: %q, %v", s, plain, norm, err)
		}
		if got, err := DNSName(plain); err != nil || got != n.owner(n.first()) {
			t.Fatalf("%q: %q is written %q in DNS, %v", s, plain, got, err)
		}
	})
}
