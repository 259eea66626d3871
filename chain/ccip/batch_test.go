package ccip

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dens/chain"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
)

func batchStep(urls []string, elements ...element) func() ([]string, []byte) {
	return func() ([]string, []byte) { return urls, query(elements...) }
}

func TestBatch(t *testing.T) {
	g := newGateway(t, answers)
	sender := common.Address{9}
	plain := Config{AllowHTTP: true, AllowPrivate: true}
	out := ask(t, plain, batchStep([]string{batchGateway, g.get("unused")},
		element{sender, []string{g.get("ok")}, []byte("a")},
		element{sender, []string{g.get("404"), g.get("unused")}, []byte("b")},
		element{sender, []string{g.get("500"), g.post("ok")}, []byte("c")},
		element{sender, []string{"file:///KEY"}, []byte("d")},
		element{sender, []string{batchGateway}, query(element{sender, []string{g.get("ok")}, []byte("e")})},
		element{sender, []string{g.get("garbage"), g.get("503")}, nil},
	))
	if out.Err != nil {
		t.Fatal(out.Err)
	}
	failures, responses := unpackBatch(t, out.Data)
	if want := []bool{false, true, false, true, false, true}; !slices.Equal(failures, want) {
		t.Fatalf("failures %v", failures)
	}
	if string(responses[0]) != "re:a" || string(responses[2]) != "re:c" {
		t.Errorf("responses %q", responses)
	}
	wantHTTPError(t, responses[1], 404, "no such name, see (URL)")
	wantHTTPError(t, responses[5], 500, "Internal Server Error")
	reason, err := abi.UnpackRevert(responses[3])
	if err != nil || !strings.Contains(reason, "not https") || strings.Contains(reason, "KEY") {
		t.Errorf("Error(%q), %v", reason, err)
	}
	if f, inner := unpackBatch(t, responses[4]); len(f) != 1 || f[0] || string(inner[0]) != "re:e" {
		t.Errorf("the inner batch: %v %q", f, inner)
	}
	if strings.Contains(fmt.Sprint(g.log()), "unused") {
		t.Errorf("the gateway saw %q", g.log())
	}
	if !slices.Equal(out.Gateways, []string{"127.0.0.1", nobody}) { // nobody could be asked for "d"
		t.Errorf("gateways %v", out.Gateways)
	}
}

func wantHTTPError(t *testing.T, data []byte, status uint16, message string) {
	t.Helper()
	if len(data) < 4 || [4]byte(data) != selectorHTTPError {
		t.Fatalf("no HttpError: %x", data)
	}
	values, err := abi.Arguments{typ("uint16"), typ("string")}.Unpack(data[4:])
	if err != nil || values[0] != status || values[1] != message {
		t.Errorf("HttpError%v, %v", values, err)
	}
}

func TestEmptyBatch(t *testing.T) {
	out := ask(t, Config{}, batchStep([]string{batchGateway}))
	if out.Err != nil {
		t.Fatal(out.Err)
	}
	if f, r := unpackBatch(t, out.Data); len(f) != 0 || len(r) != 0 || len(out.Gateways) != 0 {
		t.Errorf("%v %v %v", f, r, out.Gateways)
	}
}

func TestGatewayAfterTheBatchIsAFallback(t *testing.T) {
	g := newGateway(t, answers)
	if out := ask(t, Config{AllowHTTP: true, AllowPrivate: true}, step("no query", batchGateway, g.post("ok"))); string(out.Data) != "re:no query" {
		t.Errorf("%q, %v", out.Data, out.Err)
	}
	if out := ask(t, Config{AllowHTTP: true, AllowPrivate: true}, step("no query", batchGateway)); !errors.Is(out.Err, chain.ErrMalformed) {
		t.Errorf("%q, %v", out.Data, out.Err)
	}
}

func TestBatchBounds(t *testing.T) {
	g := newGateway(t, answers)
	one := element{Urls: []string{g.get("ok")}, Data: []byte("x")}
	if out := ask(t, Config{AllowHTTP: true, AllowPrivate: true}, batchStep([]string{batchGateway}, slices.Repeat([]element{one}, maxBatch)...)); out.Err != nil {
		t.Errorf("a full batch: %v", out.Err)
	}
	if out := ask(t, Config{AllowHTTP: true, AllowPrivate: true}, batchStep([]string{batchGateway}, slices.Repeat([]element{one}, maxBatch+1)...)); !errors.Is(out.Err, chain.ErrLimit) {
		t.Errorf("a batch over the bound: %v", out.Err)
	}
	// Batches within batches, three deep and one more.
	nested := query(one)
	for depth := 1; depth <= 4; depth++ {
		out := ask(t, Config{AllowHTTP: true, AllowPrivate: true}, step(string(nested), batchGateway))
		for data, d := out.Data, 1; out.Err == nil && d <= depth; d++ {
			f, r := unpackBatch(t, data)
			if f[0] != (d == 3 && depth == 4) {
				t.Fatalf("%d batches, at %d: %v %q", depth, d, f, r)
			}
			if f[0] {
				if reason, err := abi.UnpackRevert(r[0]); err != nil || !strings.Contains(reason, "nested deeper") {
					t.Errorf("%q, %v", reason, err)
				}
				break
			}
			data = r[0]
		}
		nested = query(element{Urls: []string{batchGateway}, Data: nested})
	}
}

// TestAmplification has contracts that ask for as much as their bounds let them, all in one Call.
func TestAmplification(t *testing.T) {
	g := newGateway(t, answers)
	self := common.Address{1}
	bad := slices.Repeat([]string{g.get("500")}, maxURLs)
	elements := slices.Repeat([]element{{Urls: bad, Data: []byte("x")}}, maxBatch)
	inner := &fakeChain{contracts: map[common.Address]contract{self: asks(t, self, batchStep([]string{batchGateway}, elements...))}}
	msgs := slices.Repeat([]chain.Msg{{To: self, Data: []byte("call")}}, chain.MaxMsgs)
	result, err := newCaller(t, inner, Config{AllowHTTP: true, AllowPrivate: true}).Call(t.Context(), chain.Call{Msgs: msgs})
	if err != nil {
		t.Fatal(err)
	}
	limited := 0
	for _, out := range result.Outputs {
		if errors.Is(out.Err, chain.ErrLimit) {
			limited++
		}
	}
	if n := len(g.log()); n > maxRequests || limited < chain.MaxMsgs/2 {
		t.Errorf("%d requests, %d outputs met the bound", n, limited)
	}
}

func TestMalformedLookups(t *testing.T) {
	g := newGateway(t, answers)
	self := common.HexToAddress("0xC0")
	whole := offchain(self, []string{g.get("ok")}, []byte("x"), "back", []byte{0}).Data
	change := func(at int, b byte) []byte {
		c := slices.Clone(whole)
		c[at] = b
		return c
	}
	tests := map[string][]byte{
		"selector alone":      whole[:4],
		"cut in half":         whole[:len(whole)/2],
		"cut by a word":       whole[:len(whole)-word],
		"sender too large":    change(4, 1),
		"URLs far away":       change(4+word, 1),
		"URLs at the end":     change(4+2*word-2, 0xff),
		"extra far away":      change(4+4*word, 0xff),
		"too many URLs":       offchain(self, slices.Repeat([]string{"https://gw.example/"}, maxURLs+1), nil, "back", nil).Data,
		"a URL too long":      offchain(self, []string{"https://gw.example/" + strings.Repeat("a", maxURL)}, nil, "back", nil).Data,
		"too much call data":  offchain(self, []string{g.get("ok")}, make([]byte, maxCallData+1), "back", nil).Data,
		"filled URL too long": offchain(self, []string{g.URL + "/" + strings.Repeat("{data}", 3)}, make([]byte, maxCallData), "back", nil).Data,
	}
	for name, data := range tests {
		inner := &fakeChain{contracts: map[common.Address]contract{self: func([]byte) chain.Output { return chain.Output{Data: data, Reverted: true} }}}
		result, err := newCaller(t, inner, Config{AllowHTTP: true, AllowPrivate: true}).Call(t.Context(), chain.Call{Msgs: []chain.Msg{{To: self, Data: []byte("call")}}})
		if err != nil {
			t.Fatal(err)
		}
		out := result.Outputs[0]
		if !errors.Is(out.Err, chain.ErrGateway) || !errors.Is(out.Err, chain.ErrMalformed) && !errors.Is(out.Err, chain.ErrLimit) || out.Reverted || out.Data != nil {
			t.Errorf("%s: %+v", name, out)
		}
	}
	if n := len(g.log()); n != 0 {
		t.Errorf("the gateway was asked %d times", n)
	}
}

func TestExtraDataIsCounted(t *testing.T) {
	g := newGateway(t, answers)
	self := common.Address{1}
	inner := &fakeChain{contracts: map[common.Address]contract{self: func(data []byte) chain.Output {
		if string(data[:4]) == "back" {
			return chain.Output{Data: []byte("ok")}
		}
		return offchain(self, []string{g.get("ok")}, nil, "back", make([]byte, maxData/4-1000))
	}}}
	msgs := slices.Repeat([]chain.Msg{{To: self, Data: []byte("call")}}, 8)
	result, err := newCaller(t, inner, Config{AllowHTTP: true, AllowPrivate: true}).Call(t.Context(), chain.Call{Msgs: msgs})
	if err != nil {
		t.Fatal(err)
	}
	limited := 0
	for _, out := range result.Outputs {
		if errors.Is(out.Err, chain.ErrLimit) {
			limited++
		}
	}
	if limited != 4 {
		t.Errorf("%d of 8 met the bound", limited)
	}
}
