package reply_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/reply"
	"dens/resolver"
)

func provenOrigin() *resolver.Origin {
	return &resolver.Origin{
		Name: "alice.eth.", Chain: "ethereum", Block: 7, BlockHash: "0x01", BlockTime: now.UTC(), Trust: "proven", Backends: []string{"a"},
		Gateways: []string{"g.example"}, Signature: true,
		Proof: &resolver.Proof{
			Anchor: "beacon", Vouchers: []string{"b"}, StateRoot: "0x02", Trips: 2, Bytes: 3000, LeftOut: 1,
			Accounts: []resolver.ProofAccount{{Address: "0x03", Slots: 4}}, Beacon: &resolver.BeaconProof{Network: "mainnet", Signers: 500, Committee: 512},
		},
	}
}

// TestProofTravels: what a server puts into the option is what the client reads out of it.
func TestProofTravels(t *testing.T) {
	a := &resolver.Answer{Zone: "onchain", Answer: rrs(t, "alice.eth. 60 IN A 192.0.2.1"), Origin: provenOrigin()}
	e, _ := get(t, source(&answers{answer: a}), request(t, "alice.eth.", dns.TypeA, nil))
	if got, err := reply.ParseOrigin(e.Origin); err != nil || !reflect.DeepEqual(got, a.Origin) {
		t.Errorf("got %+v, %v", got, err)
	}
	// What would not fit is left out; the answer stays.
	for what, change := range map[string]func(*resolver.Origin){
		"gateways without end": func(o *resolver.Origin) {
			o.Gateways = strings.Split(strings.Repeat("gateway.example.org ", 4000), " ")
		},
		"a time without JSON": func(o *resolver.Origin) { o.BlockTime = time.Unix(1<<48, 0) },
	} {
		b := *a
		b.Origin = provenOrigin()
		change(b.Origin)
		if e, m := get(t, source(&answers{answer: &b}), request(t, "alice.eth.", dns.TypeA, nil)); e.Origin != nil || len(m.Answer) != 1 {
			t.Errorf("%s: %d octets, %v", what, len(e.Origin), m)
		}
	}
}

func TestParseOrigin(t *testing.T) {
	long := `["` + strings.Repeat(`","`, 1024) + `"]`
	for text, want := range map[string]string{
		``:                          "",
		`{}`:                        "",
		`{"trust":"proven"}`:        "",
		`null`:                      "",
		`{"surprise":[[[1]]]}`:      "",
		`{`:                         "unexpected end",
		`[]`:                        "cannot unmarshal",
		`{"block":-1}`:              "cannot unmarshal",
		`{"block_time":"now"}`:      "parsing time",
		`{"backends":` + long + `}`: "list is too long",
		`{"ds":` + long + `}`:       "list is too long",
		`{"trust":"proven","proof":{"vouchers":` + long + `}}`:                            "list is too long",
		`{"trust":"proven","proof":{"accounts":[` + strings.Repeat(`{},`, 1024) + `{}]}}`: "list is too long",
		`{"trust":"single","proof":{}}`:                                                   "not said to be proven",
		`{"proof":{}}`:                                                                    "not said to be proven",
		`{"trust":"proven","proof":{"trips":-1}}`:                                         "below zero",
		`{"trust":"proven","proof":{"left_out":-1}}`:                                      "below zero",
		`{"trust":"proven","proof":{"accounts":[{"slots":-1}]}}`:                          "below zero",
		`{"trust":"proven","proof":{"beacon":{"signers":-1}}}`:                            "below zero",
		`{"name":"` + strings.Repeat("x", 32<<10) + `"}`:                                  "octets where 32768",
		strings.Repeat("[", 20000):                                                        "exceeded max depth",
	} {
		o, err := reply.ParseOrigin([]byte(text))
		if want == "" {
			if err != nil || (o == nil) != (text == "") {
				t.Errorf("%.60s: got %+v, %v", text, o, err)
			}
			continue
		}
		if o != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %+v, %v, want %q", text, o, err, want)
		}
	}
}

// FuzzOrigin: what is read is bounded, consistent, and can be sent again as it is.
func FuzzOrigin(f *testing.F) {
	whole, err := json.Marshal(provenOrigin())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"trust":"quorum","backends":["a","b"],"gateways":["\u001b[2J"],"block":18446744073709551615}`))
	f.Add([]byte(`{"trust":"proven","proof":{"accounts":[{"address":"0x1","slots":9223372036854775807},{}],"beacon":null}}`))
	f.Add([]byte(`{"block_time":"9999-12-31T23:59:59+23:59","ns":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := reply.ParseOrigin(data)
		if err != nil || o == nil {
			if o != nil || err == nil && len(data) > 0 {
				t.Fatalf("got %+v, %v", o, err)
			}
			return
		}
		if max(len(o.Backends), len(o.Gateways), len(o.NS), len(o.DS)) > 1024 {
			t.Error("a long list")
		}
		if p := o.Proof; p != nil && (o.Trust != "proven" || len(p.Accounts) > 1024 || len(p.Vouchers) > 1024 || min(p.Trips, p.Bytes, p.LeftOut) < 0) {
			t.Errorf("proof %+v of trust %q", p, o.Trust)
		}
		text, err := json.Marshal(o)
		if err != nil {
			return // a time zone of a day and more can be read, but not written
		}
		if len(text) > 32<<10 {
			return // escapes made it longer
		}
		again, err := reply.ParseOrigin(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if second, err := json.Marshal(again); err != nil || string(second) != string(text) {
			t.Errorf("%s became %s, %v", text, second, err)
		}
	})
}
