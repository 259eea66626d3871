package demo

import (
	"bytes"
	"context"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

func TestResolveErrors(t *testing.T) {
	w := reading(t)
	addr := func(name string) []byte { return w.pack(Resolver, "addr(bytes32)", Namehash(name)) }
	unknown := hexutil.MustDecode("0xc8690233" + strings.Repeat("00", 32)) // pubkey(bytes32)
	junk := bytes.Repeat([]byte{0xde, 0xad, 0xbe, 0xef}, 8)[:29]
	tests := []struct {
		story, name string
		call        []byte
		want        []byte
	}{
		{"not registered", "nobody.eth", addr("nobody.eth"), w.revert("ResolverNotFound", w.wire("nobody.eth"))},
		{"no resolver", "bare.eth", addr("bare.eth"), w.revert("ResolverNotFound", w.wire("bare.eth"))},
		{"the root", "", addr(""), w.revert("ResolverNotFound", []byte{0})},
		{"below a resolver without wildcards", "www.alice.eth", addr("www.alice.eth"), w.revert("ResolverNotFound", w.wire("www.alice.eth"))},
		{"resolver without code", "person.eth", addr("person.eth"), w.revert("ResolverNotContract", w.wire("person.eth"), account("nobody"))},
		{"wildcard without the profile", "x.wild.eth", unknown, w.revert("UnsupportedResolverProfile", [4]byte(unknown[:4]))},
		{"resolver without the profile", "alice.eth", unknown, w.revert("ResolverError", []byte{})},
		{"reverts with junk", "junk.eth", addr("junk.eth"), w.revert("ResolverError", junk)},
		{"gas burnt", "burn.eth", addr("burn.eth"), w.revert("ResolverError", []byte{})},
		{"1 MB", "huge.eth", addr("huge.eth"), w.revert("ResolverError", w.revert("ResponseTooLarge", big.NewInt(1000000)))},
		{"gateway says no", "offchain.eth", unknown, w.revert("HttpError", uint16(404), "refused")},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			begin := time.Now()
			result, _, reverted := w.resolve(tt.name, tt.call)
			if !bytes.Equal(reverted, tt.want) {
				t.Errorf("got %x and revert %x, want %x", result, reverted, tt.want)
			}
			t.Logf("%v", time.Since(begin))
		})
	}
}

func TestMalformedNames(t *testing.T) {
	w := reading(t)
	for _, name := range [][]byte{{}, {1}, {1, 'a'}, {0, 0}, {3, 'e', 't', 'h', 0, 1}, {255, 'x', 0}} {
		output, reverted, err := w.Call(t.Context(), w.UniversalResolver, w.pack(UniversalResolver, "findResolver(bytes)", name))
		if err != nil || !reverted || !bytes.Equal(output, w.revert("DNSDecodingFailed", name)) {
			t.Errorf("%x: reverted %v with %x, %v", name, reverted, output, err)
		}
	}
}

func TestFindResolver(t *testing.T) {
	w := reading(t)
	labelled := "[" + labelhash("alice").Hex()[2:] + "].eth"
	tests := []struct {
		name, node string
		resolver   common.Address
		offset     int64
	}{
		{"alice.eth", "alice.eth", w.Resolver, 0},
		{"a.www.alice.eth", "a.www.alice.eth", w.Resolver, 6},
		{"x.wild.eth", "x.wild.eth", w.WildcardResolver, 2},
		{"person.eth", "person.eth", account("nobody"), 0},
		{"nobody.eth", "nobody.eth", zero(), 0},
		{"", "", zero(), 0},
		{labelled, "alice.eth", w.Resolver, 0},
		{strings.Repeat("x", 255) + ".alice.eth", strings.Repeat("x", 255) + ".alice.eth", w.Resolver, 256},
		{strings.Repeat("a.", 100) + "alice.eth", strings.Repeat("a.", 100) + "alice.eth", w.Resolver, 200},
	}
	for _, tt := range tests {
		got := w.read(w.UniversalResolver, UniversalResolver, "findResolver(bytes)", w.wire(tt.name))
		node := common.Hash(got[1].([32]byte))
		if got[0] != tt.resolver || node != Namehash(tt.node) || got[2].(*big.Int).Int64() != tt.offset {
			t.Errorf("%.40s: %v", tt.name, got)
		}
	}
}

func TestRequireResolver(t *testing.T) {
	w := reading(t)
	type info struct {
		Name     []byte
		Offset   *big.Int
		Node     [32]byte
		Resolver common.Address
		Extended bool
	}
	for _, want := range []info{
		{w.wire("alice.eth"), big.NewInt(0), Namehash("alice.eth"), w.Resolver, false},
		{w.wire("a.b.wild.eth"), big.NewInt(4), Namehash("a.b.wild.eth"), w.WildcardResolver, true},
	} {
		output, reverted, err := w.Call(t.Context(), w.UniversalResolver, w.pack(UniversalResolver, "requireResolver(bytes)", want.Name))
		if err != nil || reverted {
			t.Fatalf("reverted %v, %v", reverted, err)
		}
		universal, err := ABI(UniversalResolver)
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Info info }
		if err := universal.UnpackIntoInterface(&got, "requireResolver", output); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Info.Name, want.Name) || got.Info.Offset.Cmp(want.Offset) != 0 || got.Info.Node != want.Node ||
			got.Info.Resolver != want.Resolver || got.Info.Extended != want.Extended {
			t.Errorf("got %+v, want %+v", got.Info, want)
		}
	}
}

func TestResolveOne(t *testing.T) {
	w := reading(t)
	tests := []struct {
		name, signature string
		args            []any
		resolver        common.Address
		want            any
		fetches         int
	}{
		{"alice.eth", "addr(bytes32)", nil, w.Resolver, account("alice"), 0},
		{"wallet.eth", "addr(bytes32,uint256)", []any{big.NewInt(0)}, w.Resolver, hexutil.MustDecode(bitcoinScript), 0},
		{"bob.eth", "contenthash(bytes32)", nil, w.Resolver, hexutil.MustDecode(ipfsHash), 0},
		{"alice.eth", "contenthash(bytes32)", nil, w.Resolver, []byte{}, 0},
		{"carol.eth", "text(bytes32,string)", []any{"dns.ttl"}, w.Resolver, "120", 0},
		{"hello.wild.eth", "addr(bytes32)", nil, w.WildcardResolver, wildAddr("hello"), 0},
		{"hello.wild.eth", "text(bytes32,string)", []any{"description"}, w.WildcardResolver, "made up for hello", 0},
		{"a.b.c.wild.eth", "text(bytes32,string)", []any{"description"}, w.WildcardResolver, "made up for a", 0},
		{"offchain.eth", "addr(bytes32)", nil, w.OffchainResolver, account("offchain"), 1},
		{"anna.offchain.eth", "contenthash(bytes32)", nil, w.OffchainResolver, hexutil.MustDecode(ipfsHash), 1},
		{"nobody.offchain.eth", "addr(bytes32)", nil, w.OffchainResolver, zero(), 1},
	}
	for _, tt := range tests {
		w.fetches = 0
		call := w.pack(Resolver, tt.signature, append([]any{Namehash(tt.name)}, tt.args...)...)
		result, resolver, reverted := w.resolve(tt.name, call)
		if reverted != nil {
			t.Errorf("%s %s reverted with %x", tt.name, tt.signature, reverted)
			continue
		}
		want, err := packOutput(tt.signature, tt.want)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(result, want) || resolver != tt.resolver || w.fetches != tt.fetches {
			t.Errorf("%s %s = %x of %v after %d fetches, want %x", tt.name, tt.signature, result, resolver, w.fetches, want)
		}
	}
}

// TestMulticall has one item that fails among others that do not, for each kind of resolver.
func TestMulticall(t *testing.T) {
	w := reading(t)
	unknown := hexutil.MustDecode("0xc8690233" + strings.Repeat("00", 32))
	tests := []struct {
		name   string
		addr   common.Address
		failed []byte
	}{
		{"alice.eth", account("alice"), nil},
		{"x.wild.eth", wildAddr("x"), w.revert("UnsupportedResolverProfile", [4]byte(unknown[:4]))},
		{"offchain.eth", account("offchain"), w.revert("HttpError", uint16(404), "refused")},
	}
	for _, tt := range tests {
		addr := w.pack(Resolver, "addr(bytes32)", Namehash(tt.name))
		w.fetches, w.lookups = 0, 0
		items := w.multicall(tt.name, addr, unknown, addr)
		want, err := packOutput("addr(bytes32)", tt.addr)
		if err != nil {
			t.Fatal(err)
		}
		if len(items) != 3 || !bytes.Equal(items[0], want) || !bytes.Equal(items[1], tt.failed) || !bytes.Equal(items[2], want) {
			t.Errorf("%s: %x", tt.name, items)
		}
		if tt.failed != nil && len(items[1])%32 != 4 {
			t.Errorf("%s: failed item has %d bytes", tt.name, len(items[1]))
		}
		if tt.name == "offchain.eth" && (w.lookups != 1 || w.fetches != 3) {
			t.Errorf("%d look-ups and %d fetches for a batch of 3", w.lookups, w.fetches)
		}
	}
	if items := w.multicall("alice.eth"); len(items) != 0 {
		t.Errorf("nothing asked for, %x returned", items)
	}
}

func TestHostileResolversFailTheirItemsOnly(t *testing.T) {
	w := reading(t)
	for _, name := range Hostile() {
		addr := w.pack(Resolver, "addr(bytes32)", Namehash(name))
		calls := slices.Repeat([][]byte{addr}, 6)
		data := w.resolveCall(name, w.pack(Resolver, "multicall(bytes[])", calls))
		begin := time.Now()
		output, reverted := w.follow(w.UniversalResolver, data, 4)
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("%s took %v", name, took)
		}
		if name == "loop.eth" {
			if _, again := w.lookup(output); !reverted || !again {
				t.Errorf("%s: the look-ups came to an end: %.80x", name, output)
			}
			continue
		}
		if reverted || len(output) > 64*1024 {
			t.Errorf("%s: reverted %v, %d bytes", name, reverted, len(output))
		}
	}
}

func TestForgedGatewayAnswers(t *testing.T) {
	w := reading(t)
	addr := w.pack(Resolver, "addr(bytes32)", Namehash("offchain.eth"))
	tests := []struct {
		story  string
		tamper func([]byte) []byte
	}{
		{"another address", func(b []byte) []byte { return swap(b, account("offchain"), account("thief")) }},
		{"signature broken", func(b []byte) []byte { b[len(b)-40] ^= 1; return b }},
		{"later expiry", func(b []byte) []byte { b[63] ^= 1; return b }},
		{"empty", func([]byte) []byte { return nil }},
		{"noise", func([]byte) []byte { return bytes.Repeat([]byte{0xff}, 100) }},
	}
	for _, tt := range tests {
		w.tamper = tt.tamper
		result, _, reverted := w.resolve("offchain.eth", addr)
		if !bytes.HasPrefix(reverted, w.revert("ResolverError", []byte{})[:4]) {
			t.Errorf("%s: accepted as %x, revert %x", tt.story, result, reverted)
		}
	}
}

func swap(b []byte, from, to common.Address) []byte {
	return bytes.ReplaceAll(b, from.Bytes(), to.Bytes())
}

// TestCallbackRefuses gives the callback what no honest client would.
func TestCallbackRefuses(t *testing.T) {
	w := reading(t)
	call := w.resolveCall("offchain.eth", w.pack(Resolver, "addr(bytes32)", Namehash("offchain.eth")))
	output, _, err := w.Call(t.Context(), w.UniversalResolver, call)
	if err != nil {
		t.Fatal(err)
	}
	l, ok := w.lookup(output)
	if !ok || l.urls[0] != "x-batch-gateway:true" || l.sender != w.UniversalResolver {
		t.Fatalf("look-up is %+v", l)
	}
	none := hexutil.MustDecode("0x" + strings.Repeat("0", 62) + "40" + strings.Repeat("0", 62) + "60" + strings.Repeat("0", 128))
	for _, response := range [][]byte{nil, {1, 2, 3}, none} {
		data := w.pack(UniversalResolver, "ccipReadCallback(bytes,bytes)", response, l.extra)
		if output, reverted, err := w.Call(t.Context(), w.UniversalResolver, data); err != nil || !reverted {
			t.Errorf("response %x: %x, %v", response, output, err)
		}
	}
}

func TestReverse(t *testing.T) {
	w := newWorld(t)
	reverse := func(a []byte, coin int64) []byte {
		return w.pack(UniversalResolver, "reverse(bytes,uint256)", a, big.NewInt(coin))
	}
	alice := account("alice").Bytes()
	output, reverted := w.follow(w.UniversalResolver, reverse(alice, 60), 4)
	values, err := Unpack(UniversalResolver, "reverse(bytes,uint256)", output)
	if reverted || err != nil || values[0] != "alice.eth" || values[1] != w.Resolver || values[2] != w.Resolver {
		t.Errorf("alice: reverted %v, %v, %v", reverted, values, err)
	}
	if err := w.SetAddr(t.Context(), "alice.eth", 60, account("carol").Bytes()); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		story string
		call  []byte
		want  []byte
	}{
		{"name points elsewhere", reverse(alice, 60), w.revert("ReverseAddressMismatch", "alice.eth", account("carol").Bytes())},
		{"no name", reverse([]byte{0xab}, 60), w.revert("ResolverNotFound", w.wire("ab.addr.reverse"))},
		{"any EVM chain", reverse([]byte{0xab}, 0x80000000), w.revert("ResolverNotFound", w.wire("ab.default.reverse"))},
		{"another coin", reverse([]byte{0xab}, 0x8000000a), w.revert("ResolverNotFound", w.wire("ab.8000000a.reverse"))},
		{"coin zero", reverse([]byte{0xab}, 0), w.revert("ResolverNotFound", w.wire("ab.0.reverse"))},
	}
	for _, tt := range tests {
		if output, reverted := w.follow(w.UniversalResolver, tt.call, 4); !reverted || !bytes.Equal(output, tt.want) {
			t.Errorf("%s: reverted %v with %x", tt.story, reverted, output)
		}
	}
	if output, reverted := w.follow(w.UniversalResolver, reverse(nil, 60), 4); !reverted || len(output) != 4 {
		t.Errorf("no address: reverted %v with %x", reverted, output)
	}
}

// TestReverseOffchain has the primary name and its address with a gateway: two look-ups in a row.
func TestReverseOffchain(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	reverseName := strings.ToLower(account("offchain").Hex()[2:]) + ".addr.reverse"
	if err := w.Register(ctx, reverseName, w.Resolver); err != nil {
		t.Fatal(err)
	}
	if err := w.setName(ctx, reverseName, "offchain.eth"); err != nil {
		t.Fatal(err)
	}
	call := w.pack(UniversalResolver, "reverse(bytes,uint256)", account("offchain").Bytes(), big.NewInt(60))
	output, reverted := w.follow(w.UniversalResolver, call, 4)
	values, err := Unpack(UniversalResolver, "reverse(bytes,uint256)", output)
	if reverted || err != nil || values[0] != "offchain.eth" || values[1] != w.OffchainResolver || w.lookups != 1 {
		t.Errorf("reverted %v with %x, %v after %d look-ups", reverted, output, err, w.lookups)
	}
	for _, bad := range []string{"x..eth", ".eth", "eth."} {
		if err := w.setName(ctx, reverseName, bad); err != nil {
			t.Fatal(err)
		}
		if output, reverted := w.follow(w.UniversalResolver, call, 4); !reverted || !bytes.Equal(output, w.revert("DNSEncodingFailed", bad)) {
			t.Errorf("primary name %q: reverted %v with %x", bad, reverted, output)
		}
	}
	if err := w.setName(ctx, reverseName, ""); err != nil {
		t.Fatal(err)
	}
	if output, reverted := w.follow(w.UniversalResolver, call, 4); reverted {
		t.Errorf("no primary name: reverted with %x", output)
	}
}

func (w *world) setName(ctx context.Context, name, primary string) error {
	return w.write(ctx, w.Resolver, Resolver, "setName(bytes32,string)", Namehash(name), primary)
}
