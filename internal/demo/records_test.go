package demo

import (
	"encoding/binary"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/miekg/dns"
)

// rrset reads an RRset from the Resolver.
func (w *world) rrset(zone, owner string, rrtype uint16) []string {
	w.t.Helper()
	hash, err := ownerHash(owner)
	if err != nil {
		w.t.Fatal(err)
	}
	wire := w.read(w.Resolver, Resolver, "dnsRecord(bytes32,bytes32,uint16)", Namehash(zone), hash, rrtype)[0].([]byte)
	var texts []string
	for off := 0; off < len(wire); {
		rr, next, err := dns.UnpackRR(wire, off)
		if err != nil {
			w.t.Fatalf("%x: %v", wire, err)
		}
		texts = append(texts, rr.String())
		off = next
	}
	return texts
}

func (w *world) hasRecords(zone, owner string) bool {
	w.t.Helper()
	hash, err := ownerHash(owner)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.read(w.Resolver, Resolver, "hasDNSRecords(bytes32,bytes32)", Namehash(zone), hash)[0].(bool)
}

func TestDNSRecords(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if err := w.Register(ctx, "deep.down.zone.eth", w.Resolver); err != nil {
		t.Fatal(err)
	}
	zone := "deep.down.zone.eth"
	// The two A records stand apart, and the owner's case varies.
	err := w.SetDNSRecords(ctx, zone,
		"A.deep.down.zone.eth. 60 A 192.0.2.1",
		"a.deep.down.zone.eth. 60 TXT \"x\"",
		"a.Deep.down.zone.eth. 60 A 192.0.2.2")
	if err != nil {
		t.Fatal(err)
	}
	if got := w.rrset(zone, "a.deep.down.zone.eth", dns.TypeA); len(got) != 2 || !strings.HasSuffix(got[1], "192.0.2.2") {
		t.Errorf("A is %q", got)
	}
	if got := w.rrset(zone, "a.deep.down.zone.eth", dns.TypeMX); got != nil {
		t.Errorf("MX is %q", got)
	}
	if w.hasRecords(zone, "b.deep.down.zone.eth") || !w.hasRecords(zone, "a.deep.down.zone.eth") {
		t.Error("hasDNSRecords is wrong")
	}
	// Replacing an RRset does not count it twice: two deletions empty the name.
	if err := w.SetDNSRecords(ctx, zone, "a.deep.down.zone.eth. 60 A 192.0.2.9"); err != nil {
		t.Fatal(err)
	}
	for _, rrtype := range []uint16{dns.TypeA, dns.TypeTXT, dns.TypeMX} {
		if err := w.DeleteDNSRecords(ctx, zone, "A.deep.down.zone.eth", rrtype); err != nil {
			t.Fatal(err)
		}
	}
	if w.hasRecords(zone, "a.deep.down.zone.eth") || w.rrset(zone, "a.deep.down.zone.eth", dns.TypeA) != nil {
		t.Error("deleted records are still there")
	}
}

func TestOtherRecords(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	node := Namehash("empty.eth")
	for _, err := range []error{
		w.SetText(ctx, "empty.eth", "key", "value"),
		w.SetContenthash(ctx, "empty.eth", []byte{0xe3, 1}),
		w.SetAddr(ctx, "empty.eth", 60, account("eve").Bytes()),
		w.SetAddr(ctx, "empty.eth", 0, []byte{1, 2}),
		w.write(ctx, w.Resolver, Resolver, "setAddr(bytes32,address)", Namehash("bob.eth"), account("bob")),
		w.write(ctx, w.Resolver, Resolver, "setZonehash(bytes32,bytes)", node, []byte{7}),
		w.setName(ctx, "empty.eth", "somebody.eth"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, want []any) {
		t.Helper()
		got := []any{
			w.read(w.Resolver, Resolver, "text(bytes32,string)", node, "key")[0],
			w.read(w.Resolver, Resolver, "addr(bytes32)", node)[0],
			string(w.read(w.Resolver, Resolver, "contenthash(bytes32)", node)[0].([]byte)),
			string(w.read(w.Resolver, Resolver, "addr(bytes32,uint256)", node, new(big.Int))[0].([]byte)),
			string(w.read(w.Resolver, Resolver, "zonehash(bytes32)", node)[0].([]byte)),
			w.read(w.Resolver, Resolver, "name(bytes32)", node)[0],
			w.read(w.Resolver, Resolver, "recordVersions(bytes32)", node)[0],
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: %d: got %v, want %v", when, i, got[i], want[i])
			}
		}
	}
	check("written", []any{"value", account("eve"), "\xe3\x01", "\x01\x02", "\x07", "somebody.eth", uint64(0)})
	if err := w.ClearRecords(ctx, "empty.eth"); err != nil {
		t.Fatal(err)
	}
	check("cleared", []any{"", zero(), "", "", "", "", uint64(1)})
	if got := w.read(w.Resolver, Resolver, "addr(bytes32)", Namehash("bob.eth"))[0]; got != account("bob") {
		t.Errorf("bob.eth has %v", got)
	}
}

func TestInterfaces(t *testing.T) {
	w := reading(t)
	supports := func(c Contract, at common.Address, id uint32) bool {
		return w.read(at, c, "supportsInterface(bytes4)", [4]byte(binary.BigEndian.AppendUint32(nil, id)))[0].(bool)
	}
	for _, id := range []uint32{0x01ffc9a7, 0x3b3b57de, 0xf1cb7e06, 0xbc1c58d1, 0x59d1d43c, 0xa8fa5682, 0x5c98042b, 0x691f3431} {
		if !supports(Resolver, w.Resolver, id) {
			t.Errorf("Resolver does not support %08x", id)
		}
	}
	for c, at := range map[Contract]common.Address{WildcardResolver: w.WildcardResolver, OffchainResolver: w.OffchainResolver} {
		if !supports(c, at, 0x9061b923) || supports(c, at, 0xffffffff) {
			t.Errorf("%s: wrong interfaces", c)
		}
	}
	if supports(Resolver, w.Resolver, 0x9061b923) || supports(Resolver, w.Resolver, 0xffffffff) {
		t.Error("Resolver supports what it does not have")
	}
	if !supports(UniversalResolver, w.UniversalResolver, 0xcd191b34) {
		t.Error("UniversalResolver does not support IUniversalResolver")
	}
}

func TestRegistry(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	read := func(signature, name string) any { return w.read(w.Registry, Registry, signature, Namehash(name))[0] }
	if read("recordExists(bytes32)", "bare.eth") != true || read("recordExists(bytes32)", "nobody.eth") != false {
		t.Error("recordExists is wrong")
	}
	if read("owner(bytes32)", "alice.eth") != w.Owner || read("resolver(bytes32)", "alice.eth") != w.Resolver {
		t.Error("alice.eth has another owner or resolver")
	}
	if err := w.SetResolver(ctx, "bare.eth", w.WildcardResolver); err != nil || read("resolver(bytes32)", "bare.eth") != w.WildcardResolver {
		t.Errorf("resolver of bare.eth: %v", err)
	}
	if err := w.write(ctx, w.Registry, Registry, "setTTL(bytes32,uint64)", Namehash("bare.eth"), uint64(7)); err != nil || read("ttl(bytes32)", "bare.eth") != uint64(7) {
		t.Errorf("TTL of bare.eth: %v", err)
	}
	if err := w.SetOwner(ctx, "bare.eth", w.Registry); err != nil || read("owner(bytes32)", "bare.eth") != zero() {
		t.Errorf("a name owned by the registry: %v", err)
	}
	// What is no longer one's own cannot be written, neither in the registry nor in a resolver.
	if err := w.SetOwner(ctx, "alice.eth", account("alice")); err != nil {
		t.Fatal(err)
	}
	if err := w.SetResolver(ctx, "alice.eth", zero()); err == nil {
		t.Error("a stranger set the resolver")
	}
	if err := w.SetText(ctx, "alice.eth", "a", "b"); err == nil {
		t.Error("a stranger set a text")
	}
}

// TestEvents reads what the seeding logged, as a watcher would.
func TestEvents(t *testing.T) {
	w := reading(t)
	client := ethclient.NewClient(w.Client())
	newest, err := client.BlockNumber(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[common.Hash]int{}
	for number := uint64(1); number <= newest; number++ { // a busy machine may seed in more blocks than one
		block, err := client.BlockByNumber(t.Context(), new(big.Int).SetUint64(number))
		if err != nil {
			t.Fatal(err)
		}
		for _, tx := range block.Transactions() {
			receipt, err := client.TransactionReceipt(t.Context(), tx.Hash())
			if err != nil || receipt.Status != types.ReceiptStatusSuccessful {
				t.Fatalf("receipt %+v, %v", receipt, err)
			}
			for _, l := range receipt.Logs {
				seen[l.Topics[0]]++
			}
		}
	}
	for c, events := range map[Contract][]string{
		Registry: {"NewOwner", "NewResolver"},
		Resolver: {"DNSRecordChanged", "ContenthashChanged", "TextChanged", "AddrChanged", "AddressChanged", "NameChanged"},
	} {
		interfaces, err := ABI(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range events {
			if seen[interfaces.Events[name].ID] == 0 {
				t.Errorf("no %s among the events of %d kinds", name, len(seen))
			}
		}
	}
}

func TestDeploy(t *testing.T) {
	w := newWorld(t)
	at, err := w.Deploy(t.Context(), GarbageResolver, uint8(Junk), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, reverted, err := w.Call(t.Context(), at, []byte{1, 2, 3, 4}); err != nil || !reverted {
		t.Errorf("reverted %v, %v", reverted, err)
	}
	if _, err := w.Deploy(t.Context(), GarbageResolver, uint8(200), ""); err == nil {
		t.Error("a constructor that reverts went unnoticed")
	}
}

func TestBadRecords(t *testing.T) {
	w := reading(t)
	for _, record := range []string{"", "alice.eth. 60 A 1.2.3", "alice..eth. 60 A 192.0.2.1", "; nothing"} {
		if err := w.SetDNSRecords(t.Context(), "alice.eth", record); err == nil {
			t.Errorf("%q was stored", record)
		}
	}
	if _, err := WireName("a..b"); err == nil {
		t.Error("an empty label was packed")
	}
	if _, err := WireName(strings.Repeat("x", 256)); err == nil {
		t.Error("a label of 256 bytes was packed")
	}
}
