package onchain_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/miekg/dns"

	"dens/chain"
	"dens/names"
	"dens/resolver"
	"dens/resolver/onchain"
)

func TestMalformed(t *testing.T) {
	many := make([]string, 513)
	for i := range many {
		many[i] = fmt.Sprintf("alice.eth. 60 IN A 10.0.%d.%d", i/256, i%256)
	}
	good := wire(t, "alice.eth. 60 IN A 192.0.2.7")
	rrset := func(rrtype uint16, wire []byte) names.Records {
		return names.Records{Exists: true, Apex: "alice.eth.", RRsets: []names.RRset{{Owner: "alice.eth.", Type: rrtype, Wire: wire}}}
	}
	text := func(rrtype uint16, json string) names.Records {
		return names.Records{Exists: true, Apex: "alice.eth.", Texts: []names.Text{{Type: rrtype, JSON: json}}}
	}
	// A pointer in the data of an MX record to the owner at offset 0.
	pointer := append(wire(t, "alice.eth. 60 IN MX 1 a.")[:11], 0, 15, 0, 1, 0, 0, 0, 60, 0, 4, 0, 1, 0xc0, 0)
	tests := []struct {
		name   string
		rrtype uint16
		rec    names.Records
	}{
		{"garbage", dns.TypeA, rrset(dns.TypeA, []byte("<html>"))},
		{"cut short", dns.TypeA, rrset(dns.TypeA, good[:len(good)-1])},
		{"garbage behind", dns.TypeA, rrset(dns.TypeA, append(append([]byte{}, good...), 0))},
		{"another owner", dns.TypeA, rrset(dns.TypeA, wire(t, "www.example.org. 60 IN A 192.0.2.7"))},
		{"a child as owner", dns.TypeA, rrset(dns.TypeA, wire(t, "www.alice.eth. 60 IN A 192.0.2.7"))},
		{"the second of another owner", dns.TypeA, rrset(dns.TypeA, append(append([]byte{}, good...), wire(t, "bob.eth. 60 IN A 192.0.2.7")...))},
		{"another type", dns.TypeA, rrset(dns.TypeA, wire(t, "alice.eth. 60 IN NS a.example."))},
		{"another class", dns.TypeA, rrset(dns.TypeA, wire(t, "alice.eth. 60 CH A 192.0.2.7"))},
		{"OPT", dns.TypeA, rrset(dns.TypeA, []byte{0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0})},
		{"no data", dns.TypeA, rrset(dns.TypeA, append(append([]byte{}, good[:len(good)-6]...), 0, 0))},
		{"compressed owner", dns.TypeA, rrset(dns.TypeA, append(append([]byte{}, good...), 0xc0, 0, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4))},
		{"compressed data", dns.TypeMX, rrset(dns.TypeMX, pointer)},
		{"two CNAMEs", dns.TypeA, rrset(dns.TypeCNAME, wire(t, "alice.eth. 60 IN CNAME a.", "alice.eth. 60 IN CNAME b."))},
		{"too many", dns.TypeA, rrset(dns.TypeA, wire(t, many...))},
		{"too long", dns.TypeA, rrset(dns.TypeA, make([]byte, 64<<10+1))},
		{"no JSON", dns.TypeA, text(dns.TypeA, "192.0.2.7")},
		{"JSON of numbers", dns.TypeA, text(dns.TypeA, "[1]")},
		{"JSON with null", dns.TypeA, text(dns.TypeA, "[null]")},
		{"no address", dns.TypeA, text(dns.TypeA, `["example.org"]`)},
		{"empty item", dns.TypeA, text(dns.TypeA, `[" "]`)},
		{"only a comment", dns.TypeA, text(dns.TypeA, `["; A"]`)},
		{"with a comment", dns.TypeA, text(dns.TypeA, `["192.0.2.7 ;"]`)},
		{"more on the line", dns.TypeA, text(dns.TypeA, `["192.0.2.7 192.0.2.8"]`)},
		{"second line", dns.TypeA, text(dns.TypeA, `["192.0.2.7\nexample.org. A 192.0.2.8"]`)},
		{"include", dns.TypeA, text(dns.TypeA, `["192.0.2.7\n$INCLUDE /etc/passwd"]`)},
		{"open quote", dns.TypeTXT, text(dns.TypeTXT, `["\"abc"]`)},
		{"open parenthesis", dns.TypeA, text(dns.TypeA, `["( 192.0.2.7"]`)},
		{"one bad of two", dns.TypeA, text(dns.TypeA, `["192.0.2.7","x"]`)},
		{"two CNAMEs as text", dns.TypeA, text(dns.TypeCNAME, `["a.example","b.example"]`)},
		{"too many items", dns.TypeA, text(dns.TypeA, `["1.2.3.4"`+strings.Repeat(`,"1.2.3.4"`, 64)+`]`)},
		{"too long a text", dns.TypeTXT, text(dns.TypeTXT, `["`+strings.Repeat("a", 16<<10)+`"]`)},
		{"content hash without end", dns.TypeA, names.Records{Exists: true, Apex: "alice.eth.", ContentHash: make([]byte, 1<<20)}},
		{"zone elsewhere", dns.TypeA, names.Records{Exists: true, Apex: "bob.eth."}},
		{"zone above", dns.TypeA, names.Records{Exists: true, Apex: "."}},
		{"zone below", dns.TypeA, names.Records{Exists: true, Apex: "x.alice.eth."}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := onchain.New(&system{records: map[string]names.Records{"alice.eth.": tt.rec}}, config())
			a, err := r.Resolve(t.Context(), resolver.Query{Name: "alice.eth.", Type: tt.rrtype, Class: dns.ClassINET})
			var e *resolver.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, %v", a, err)
			}
			if e.Code != dns.ExtendedErrorCodeInvalidData || e.Rcode != dns.RcodeServerFailure || !errors.Is(err, names.ErrMalformed) {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// failed is what several backends said, as the Callers below join it.
func failed(class error, pairs ...any) error {
	err := class
	for i := 0; i < len(pairs); i += 2 {
		sep := map[bool]string{true: ": ", false: ", "}[i == 0]
		err = fmt.Errorf("%w%s%w", err, sep, &chain.BackendError{Backend: pairs[i].(string), Err: pairs[i+1].(error)})
	}
	return err
}

func TestErrors(t *testing.T) {
	key := errors.New(`Post "https://eth.example.org/v2/SECRET": refused`)
	tests := []struct {
		err  error
		code uint16
		text string
	}{
		{fmt.Errorf("%w: a says 1, b says 2", chain.ErrConflict), 24, "backends disagree: backends disagree: a says 1, b says 2"},
		{errors.Join(chain.ErrTimeout, chain.ErrConflict), 24, "backends disagree"},
		{chain.ErrBadProof, 24, "bad proof: proof does not hold"},
		{failed(chain.ErrUnavailable, "one", chain.ErrTimeout, "two", fmt.Errorf("%w: account 0x1", chain.ErrBadProof)), 24,
			"bad proof: no backend could be reached: one: backends did not answer in time, two: proof does not hold: account 0x1"},
		{failed(chain.ErrConflict, "one", chain.ErrBadProof), 24, "bad proof: "},
		{failed(chain.ErrUnavailable, "one", chain.ErrTimeout, "two", errors.New("refused")), 23, "chain timed out: no backend could be reached: one: "},
		{failed(chain.ErrUnavailable, "one", errors.New("refused")), 22, "chain unreachable: no backend could be reached: one: refused"},
		{failed(chain.ErrUnavailable, "one", fmt.Errorf("%w: answer too long", chain.ErrLimit)), 22, "chain unreachable: no backend could be reached: one: over the limit: answer too long"},
		{failed(chain.ErrUnavailable, "one", key, "two", key), 22, "chain unreachable: one, two"},
		{chain.ErrNotReady, 14, "chain not synced: no proven block yet"},
		{failed(chain.ErrNotReady, "beacon", chain.ErrTimeout), 14, "chain not synced: no proven block yet: beacon: "},
		{failed(chain.ErrNotReady, "beacon", chain.ErrUnavailable), 14, "chain not synced"},
		{failed(chain.ErrStaleHead, "one", chain.ErrLimit, "two", chain.ErrMalformed), 14, "chain not synced"},
		{failed(chain.ErrUnavailable, "one", chain.ErrBadProof, "two", chain.ErrStaleHead), 24, "bad proof"},
		{fmt.Errorf("%w: %w", chain.ErrGateway, chain.ErrNotReady), 23, "off-chain gateway"},
		{failed(chain.ErrUnavailable, "one", chain.ErrWrongChain), 24, "backend of another chain"},
		{fmt.Errorf("%w: %w", names.ErrMalformed, chain.ErrMalformed), 24, "malformed on-chain data"},
		{chain.ErrMalformed, 24, "malformed answer of a backend"},
		{chain.ErrWrongChain, 24, "backend of another chain"},
		{names.ErrTooDeep, 21, "not looked up"},
		{fmt.Errorf("%w: %w", chain.ErrGateway, chain.ErrTimeout), 23, "off-chain gateway"},
		{chain.ErrTimeout, 23, "chain timed out"},
		{context.DeadlineExceeded, 23, "chain timed out"},
		{chain.ErrUnavailable, 22, "chain unreachable"},
		{fmt.Errorf("%w: %w", chain.ErrUnavailable, key), 22, "chain unreachable"},
		{chain.ErrStaleHead, 14, "chain not synced"},
		{chain.ErrUnknownBlock, 14, "chain not synced"},
		{chain.ErrLimit, 0, "over a limit"},
		{key, 0, "on-chain look-up failed"},
		{fmt.Errorf("%w: a\x00\n\xff\u2028\u202eb", chain.ErrLimit), 0, "over a limit: over the limit: a?????b"},
		{fmt.Errorf("%w: %s\x00\n\xff\u2028\u202e", chain.ErrLimit, strings.Repeat("é", 200)), 0, "over a limit"},
	}
	for _, tt := range tests {
		r := onchain.New(&system{errs: map[string]error{"alice.eth.": tt.err}}, config())
		_, err := r.Resolve(t.Context(), resolver.Query{Name: "alice.eth.", Type: dns.TypeA, Class: dns.ClassINET})
		var e *resolver.Error
		if !errors.As(err, &e) || e.Code != tt.code || !strings.HasPrefix(e.Text, tt.text) || !errors.Is(err, tt.err) {
			t.Errorf("%v: got %+v, want %d %q", tt.err, err, tt.code, tt.text)
			continue
		}
		if strings.Contains(e.Text, "SECRET") || len(e.Text) > 200 || !utf8.ValidString(e.Text) || strings.ContainsAny(e.Text, "\x00\n\ufffd\u202e") {
			t.Errorf("%v: text %q", tt.err, e.Text)
		}
	}
	r := onchain.New(&system{errs: map[string]error{"alice.eth.": context.Canceled}}, config())
	if _, err := r.Resolve(t.Context(), resolver.Query{Name: "alice.eth.", Type: dns.TypeA}); err != context.Canceled {
		t.Errorf("cancelled: got %v", err)
	}
}

func TestNotNormal(t *testing.T) {
	sys := &system{
		records: map[string]names.Records{"alice.eth.": {Exists: true, Apex: "alice.eth."}},
		errs:    map[string]error{"a_b.eth.": fmt.Errorf("%w: invalid label \"a_b\u200e\": underscore allowed only at start", names.ErrNotNormal)},
	}
	r := onchain.New(sys, config())
	ask := func(name string) *resolver.Answer {
		t.Helper()
		a, err := r.Resolve(t.Context(), resolver.Query{Name: name, Type: dns.TypeA, Class: dns.ClassINET})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := ask("a_b.eth.")
	want := []resolver.EDE{{Code: 0, Text: `no such name: name is not normalised: invalid label "a_b": underscore allowed only at start`}}
	if a.Rcode != dns.RcodeNameError || !reflect.DeepEqual(a.EDE, want) {
		t.Errorf("got %d %v", a.Rcode, a.EDE)
	}
	if got := a.Ns[0].(*dns.SOA); got.Serial != 0 || got.Hdr.Name != "eth." {
		t.Errorf("before any block: %v", got)
	}
	ask("alice.eth.")
	if got := ask("a_b.eth.").Ns[0].(*dns.SOA).Serial; got != 25000001 {
		t.Errorf("serial %d is not the newest block", got)
	}
}
