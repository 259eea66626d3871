package ens

import (
	"bytes"
	"context"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"dens/chain"
	"dens/names"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// TestSelectors holds what is packed against the published selectors, and against the fake's own ABI.
func TestSelectors(t *testing.T) {
	c := newContracts()
	n, o := common.Hash{1}, common.Hash{2}
	tests := []struct {
		what, selector string
		got            []byte
		want           string
	}{
		{"owner", "02571be3", c.owner(n), packCall("owner", n)},
		{"resolver", "0178b8bf", c.resolverOf(n), packCall("resolver", n)},
		{"supportsInterface", "01ffc9a7", c.supports(interfaceExtended), packCall("supportsInterface", interfaceExtended)},
		{"dnsRecord", "a8fa5682", c.dnsRecord(n, o, 28), packCall("dnsRecord", n, o, uint16(28))},
		{"hasDNSRecords", "4cbf6ba4", c.hasDNSRecords(n, o), packCall("hasDNSRecords", n, o)},
		{"contenthash", "bc1c58d1", c.contenthash(n), packCall("contenthash", n)},
		{"text", "59d1d43c", c.text(n, "dns.A"), packCall("text", n, "dns.A")},
		{"addr", "3b3b57de", c.addr(n), packCall("addr", n)},
		{"coin addr", "f1cb7e06", c.coinAddr(n, evm(10)), packCall("addr0", n, big.NewInt(2147483658))},
		{"findResolver", "a1cbcbaf", c.findResolver([]byte{0}), packCall("findResolver", []byte{0})},
		{"resolve", "9061b923", c.resolve([]byte{0}, []byte{1}), packCall("resolve", []byte{0}, []byte{1})},
		{"multicall", "ac9650d8", c.multicall([][]byte{{1}, {2}}), packCall("multicall", [][]byte{{1}, {2}})},
	}
	for _, tt := range tests {
		if !bytes.HasPrefix(tt.got, common.FromHex(tt.selector)) {
			t.Errorf("%s: selector is %x, want %s", tt.what, tt.got[:4], tt.selector)
		}
		if string(tt.got) != tt.want {
			t.Errorf("%s: call is %x, want %x", tt.what, tt.got, tt.want)
		}
	}
	errs := map[string][4]byte{
		"ResolverNotFound(bytes)": errorResolverNotFound, "ResolverWildcardNotSupported()": errorNoWildcard,
		"ResolverNotContract(bytes,address)": errorResolverNotContract, "UnsupportedResolverProfile(bytes4)": errorUnsupported,
		"ResolverError(bytes)": errorResolver, "HttpError(uint16,string)": errorHTTP,
		"ResponseTooLarge(uint256)": errorTooLarge, "MalformedResponse()": errorMalformed,
		"OffchainLookup(address,string[],bytes,bytes4,bytes)": errorOffchainLookup,
	}
	for signature, got := range errs {
		if want := crypto.Keccak256([]byte(signature))[:4]; !bytes.Equal(got[:], want) {
			t.Errorf("%s is %x, want %x", signature, got, want)
		}
	}
}

func word(v uint64) []byte { return common.BigToHash(new(big.Int).SetUint64(v)).Bytes() }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestDecodeBounds(t *testing.T) {
	huge := bytes.Repeat([]byte{0xff}, 32)
	bad := map[string][]byte{
		"nothing":              {},
		"half a word":          make([]byte, 31),
		"offset only":          word(32),
		"offset over 64 bits":  huge,
		"offset near 2^64":     join(word(1<<64-1), word(0)),
		"offset at the end":    join(word(64), word(0)),
		"length over the data": join(word(32), word(33), make([]byte, 32)),
		"length near 2^64":     join(word(32), word(1<<64-1), make([]byte, 32)),
		"length over 64 bits":  join(word(32), huge, make([]byte, 32)),
		"length over limit":    join(word(32), word(65), make([]byte, 96)),
	}
	for what, data := range bad {
		if b, err := bytesAt(data, 0, 0, 64); !errors.Is(err, names.ErrMalformed) {
			t.Errorf("%s: bytes are %x, %v", what, b, err)
		}
	}
	badLists := map[string][]byte{
		"nothing":              {},
		"too few":              join(word(32), word(1), word(32), word(0)),
		"too many":             join(word(32), word(3)),
		"2^64-1":               join(word(32), word(1<<64-1)),
		"no elements":          join(word(32), word(2)),
		"element is outside":   join(word(32), word(2), word(64), word(4096), word(0)),
		"element near 2^64":    join(word(32), word(2), word(64), word(1<<64-8), word(0)),
		"element is cut short": join(word(32), word(2), word(64), word(64), word(1)),
		"offset over the end":  join(word(999), word(2)),
		"offset over 64 bits":  huge,
	}
	for what, data := range badLists {
		if list, err := bytesArrayAt(data, 0, 2); !errors.Is(err, names.ErrMalformed) {
			t.Errorf("%s: list is %x, %v", what, list, err)
		}
	}
	if _, err := addressAt(huge, 0); !errors.Is(err, names.ErrMalformed) {
		t.Errorf("address of 256 bits: %v", err)
	}
	if _, err := boolAt(word(2), 0); !errors.Is(err, names.ErrMalformed) {
		t.Errorf("bool of 2: %v", err)
	}
}

// FuzzABI holds the decoder against go-ethereum's.
func FuzzABI(f *testing.F) {
	f.Add(join(word(32), word(3), make([]byte, 32)))
	f.Add(join(word(32), word(2), word(64), word(96), word(0), word(0)))
	f.Add(returns("multicall", [][]byte{{1}, {2, 3}, bytesOf(40)}).data)
	f.Add(returns("resolve", []byte{1, 2}, common.Address{1}).data)
	f.Add(returns("findResolver", common.Address{1}, common.Hash{2}, big.NewInt(6)).data)
	f.Fuzz(func(t *testing.T, data []byte) { checkDecoder(t, data) })
}

// FuzzLookup lets the data be what every contract says to a look-up: no panic, no foreign error, nothing
// over the bounds, no owner name outside of the zone.
func FuzzLookup(f *testing.F) {
	f.Add(uint8(0), false, join(word(32), word(3), make([]byte, 32)), uint16(1))
	f.Add(uint8(1), false, join(word(32), word(2), word(64), word(96), word(0), word(0)), uint16(16))
	f.Add(uint8(2), true, reverts("ResolverError", reverts("HttpError", uint16(1), "x").data).data, uint16(28))
	f.Add(uint8(3), false, returns("dnsRecord", []byte{1, 2, 3}).data, uint16(262))
	f.Add(uint8(19), false, word(1), uint16(262))
	f.Add(uint8(4), true, reverts("ResolverNotContract", []byte{0}, common.Address{}).data, uint16(1))
	w := sample(f)
	systems := w.systems()
	f.Fuzz(func(t *testing.T, how uint8, reverted bool, data []byte, rrtype uint16) {
		if len(data) > 1<<12 {
			return
		}
		checkDecoder(t, data)
		w.override = hostile(how, reply{data: data, reverted: reverted, gateways: []string{"gateway.example"}[:how>>4&1]})
		system := systems["universal"]
		if how&1 == 1 {
			system = systems["registry"]
		}
		for _, name := range []string{"alice.eth.", "www.alice.eth.", "_dnslink.alice.eth.", "x.wild.eth."} {
			w.reset()
			r, err := system.LookupCuts(context.Background(), name, rrtype)
			if err != nil {
				if !errors.Is(err, names.ErrMalformed) && !errors.Is(err, chain.ErrGateway) {
					t.Fatalf("error is %v", err)
				}
				continue
			}
			checkBounds(t, name, r)
		}
	})
}

// hostile lets resolvers, or the UniversalResolver, say one and the same in answer to everything. Where
// how has the right bits they are believed to be extended, and what they say is one of the results of a
// multicall, or the UniversalResolver's findResolver is hostile too.
func hostile(how uint8, raw reply) func(chain.Msg) *reply {
	return func(m chain.Msg) *reply {
		method, err := wired.MethodById(m.Data)
		switch {
		case err != nil, m.To == fakeRegistry, method.Name == "findResolver" && how&4 == 0:
			return nil
		case method.Name == "supportsInterface" && how&2 != 0:
			r := returns("supportsInterface", [4]byte(m.Data[4:8]) == interfaceExtended)
			return &r
		case method.Name != "resolve" || how&2 == 0 || raw.reverted:
			return &raw
		case m.To != fakeUniversal:
			r := returns("contenthash", raw.data)
			r.gateways = raw.gateways
			return &r
		}
		args, err := method.Inputs.Unpack(m.Data[4:])
		if err != nil {
			return &raw
		}
		calls, err := wired.Methods["multicall"].Inputs.Unpack(args[1].([]byte)[4:])
		if err != nil {
			return &raw
		}
		results := make([][]byte, len(calls[0].([][]byte)))
		for i := range results {
			results[i] = raw.data
		}
		r := returns("resolve", returns("multicall", results).data, common.Address{})
		r.gateways = raw.gateways
		return &r
	}
}

func checkDecoder(t *testing.T, data []byte) {
	single, list := wired.Methods["contenthash"].Outputs, wired.Methods["multicall"].Outputs
	if b, err := bytesAt(data, 0, 0, uint64(len(data))); err == nil {
		if want, err := single.Unpack(data); err != nil || !bytes.Equal(want[0].([]byte), b) {
			t.Fatalf("bytes are %x, go-ethereum has %x, %v", b, want, err)
		}
	}
	for n := 1; n < 4; n++ {
		got, err := bytesArrayAt(data, 0, n)
		if err != nil {
			continue
		}
		want, err := list.Unpack(data)
		if err != nil || !slices.EqualFunc(want[0].([][]byte), got, bytes.Equal) {
			t.Fatalf("list is %x, go-ethereum has %x, %v", got, want, err)
		}
	}
	if a, err := addressAt(data, 0); err == nil {
		if want, err := wired.Methods["addr"].Outputs.Unpack(data); err != nil || want[0] != a {
			t.Fatalf("address is %v, go-ethereum has %v, %v", a, want, err)
		}
	}
	if v, err := boolAt(data, 0); err == nil {
		if want, err := wired.Methods["hasDNSRecords"].Outputs.Unpack(data); err != nil || want[0] != v {
			t.Fatalf("bool is %v, go-ethereum has %v, %v", v, want, err)
		}
	}
}

func checkBounds(t *testing.T, name string, r names.Records) {
	sets, texts := r.RRsets, r.Texts
	for _, cut := range r.Cuts {
		if cut.Owner == "eth." || !strings.HasSuffix(cut.Owner, r.Apex) {
			t.Fatalf("%s: cut at %s in %s", name, cut.Owner, r.Apex)
		}
		sets, texts = append(sets, cut.RRsets...), append(texts, cut.Texts...)
	}
	if len(r.Cuts) > 2 {
		t.Fatalf("%s: %d cuts", name, len(r.Cuts))
	}
	for _, set := range sets {
		if len(set.Wire) == 0 || len(set.Wire) > maxRRset {
			t.Fatalf("%s: RRset of %d bytes", name, len(set.Wire))
		}
		owner := strings.TrimPrefix(set.Owner, "*.")
		if owner != name && !strings.HasSuffix(name, "."+owner) || !strings.HasSuffix(owner, "eth.") {
			t.Fatalf("%s: RRset at %s", name, set.Owner)
		}
	}
	for _, text := range texts {
		if len(text.JSON) > maxText || len(text.TTL) > maxText {
			t.Fatalf("%s: text of %d bytes", name, len(text.JSON))
		}
	}
	if len(r.ContentHash) > maxContentHash {
		t.Fatalf("%s: content hash of %d bytes", name, len(r.ContentHash))
	}
	if !strings.HasSuffix(name, r.Apex) {
		t.Fatalf("%s: apex is %s", name, r.Apex)
	}
}
