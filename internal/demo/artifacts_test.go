package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/ethereum/go-ethereum/common"
)

func TestArtifactsMatchSources(t *testing.T) {
	all, err := loadArtifacts()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("contracts/*.sol")
	if err != nil || len(files) == 0 {
		t.Fatalf("sources: %v, %v", files, err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(source)
		if got, want := all.Sources[filepath.Base(file)], hex.EncodeToString(sum[:]); got != want {
			t.Errorf("%s has changed since it was compiled: run contracts/compile.mjs", file)
		}
	}
	if len(all.Sources) != len(files) {
		t.Errorf("compiled from %d files, there are %d", len(all.Sources), len(files))
	}
}

// TestSelectors holds the contracts against the selectors and topics that ENS has.
func TestSelectors(t *testing.T) {
	functions := []struct {
		contract        Contract
		signature, want string
	}{
		{UniversalResolver, "resolve(bytes,bytes)", "9061b923"},
		{UniversalResolver, "resolveWithGateways(bytes,bytes,string[])", "a1472844"},
		{UniversalResolver, "findResolver(bytes)", "a1cbcbaf"},
		{UniversalResolver, "requireResolver(bytes)", "c285238a"},
		{UniversalResolver, "reverse(bytes,uint256)", "5d78a217"},
		{UniversalResolver, "reverseWithGateways(bytes,uint256,string[])", "b7d6ca64"},
		{UniversalResolver, "ccipReadCallback(bytes,bytes)", "ef46c0b8"},
		{Resolver, "multicall(bytes[])", "ac9650d8"},
		{Resolver, "contenthash(bytes32)", "bc1c58d1"},
		{Resolver, "addr(bytes32)", "3b3b57de"},
		{Resolver, "addr(bytes32,uint256)", "f1cb7e06"},
		{Resolver, "text(bytes32,string)", "59d1d43c"},
		{Resolver, "dnsRecord(bytes32,bytes32,uint16)", "a8fa5682"},
		{Resolver, "hasDNSRecords(bytes32,bytes32)", "4cbf6ba4"},
		{Resolver, "zonehash(bytes32)", "5c98042b"},
		{Resolver, "name(bytes32)", "691f3431"},
		{Resolver, "setDNSRecords(bytes32,bytes)", "0af179d7"},
		{Registry, "resolver(bytes32)", "0178b8bf"},
		{Registry, "owner(bytes32)", "02571be3"},
		{OffchainResolver, "resolveWithProof(bytes,bytes)", "f4d4d2f8"},
	}
	for _, tt := range functions {
		m, err := method(tt.contract, tt.signature)
		if err != nil || hex.EncodeToString(m.ID) != tt.want {
			t.Errorf("%s.%s = %x, %v; want %s", tt.contract, tt.signature, m.ID, err, tt.want)
		}
	}
	events := []struct {
		contract   Contract
		name, want string
	}{
		{Registry, "NewResolver", "335721b0"},
		{Registry, "NewOwner", "ce0457fe"},
		{Registry, "Transfer", "d4735d92"},
		{Registry, "NewTTL", "1d4f9bbf"},
		{Resolver, "DNSRecordChanged", "52a608b3"},
		{Resolver, "DNSRecordDeleted", "03528ed0"},
		{Resolver, "DNSZonehashChanged", "8f15ed4b"},
		{Resolver, "ContenthashChanged", "e379c162"},
		{Resolver, "AddrChanged", "52d7d861"},
		{Resolver, "AddressChanged", "65412581"},
		{Resolver, "TextChanged", "448bc014"},
		{Resolver, "VersionChanged", "c6621ccb"},
	}
	for _, tt := range events {
		interfaces, err := ABI(tt.contract)
		if err != nil {
			t.Fatal(err)
		}
		if id := interfaces.Events[tt.name].ID; hex.EncodeToString(id[:4]) != tt.want {
			t.Errorf("event %s.%s = %x, want %s", tt.contract, tt.name, id[:4], tt.want)
		}
	}
	errs := map[string]string{
		"ResolverNotFound": "77209fe8", "ResolverNotContract": "1e9535f2", "UnsupportedResolverProfile": "7b1c461b",
		"ResolverError": "95c0c752", "HttpError": "01800152", "OffchainLookup": "556f1830",
	}
	for name, want := range errs {
		if id := errorNamed(t, name).ID; hex.EncodeToString(id[:4]) != want {
			t.Errorf("error %s = %x, want %s", name, id[:4], want)
		}
	}
}

func TestArtifactMistakes(t *testing.T) {
	if _, err := CreationCode("Nothing"); err == nil {
		t.Error("an unknown contract has code")
	}
	if _, err := CreationCode(Registry); err == nil {
		t.Error("a missing argument went unnoticed")
	}
	if _, err := Pack(Resolver, "addr()"); err == nil {
		t.Error("an unknown function was packed")
	}
	if _, err := Pack(Resolver, "addr(bytes32)", "x"); err == nil {
		t.Error("an argument of the wrong type was packed")
	}
	if _, err := Unpack(Resolver, "addr(bytes32)", []byte{1}); err == nil {
		t.Error("a short output was unpacked")
	}
	if _, err := RuntimeCode(UniversalResolver, common.Address{1}); err != nil {
		t.Error(err)
	}
}
