package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// provenOrigin is where a proven answer comes from.
func provenOrigin(change func(o *resolver.Origin)) *resolver.Origin {
	o := &resolver.Origin{
		Name: "alice.eth.", Chain: "ethereum", Block: 23800000, BlockHash: "0xb10c", BlockTime: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC),
		Resolver: "0x231b0Ee14048e9dCcD1d247744d114a4EB5E8E63", Trust: "proven", Backends: []string{"a.example"},
		Proof: &resolver.Proof{
			Anchor: "beacon", Vouchers: []string{"beacon.example"}, StateRoot: "0x57a7e",
			Beacon: &resolver.BeaconProof{
				Network: "mainnet", Fork: "fulu", Checkpoint: "0xc4ec", CheckpointSlot: 13000000, Period: 1587, Slot: 13008000, Root: "0xbeac",
				SignatureSlot: 13008001, Signers: 489, Committee: 512,
			},
			Accounts: []resolver.ProofAccount{{Address: "0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e", Slots: 1}, {Address: "0x231b0Ee14048e9dCcD1d247744d114a4EB5E8E63", Slots: 16}},
			Trips:    2, Bytes: 90965,
		},
	}
	if change != nil {
		change(o)
	}
	return o
}

// TestPrintEvidence: the chain of evidence from what is believed to the contracts' storage.
func TestPrintEvidence(t *testing.T) {
	for file, a := range map[string]finding{
		"proven_optimistic.txt": {Authenticated: true, zone: "onchain", Origin: provenOrigin(nil), CheckpointAge: 3 * 86400},
		"proven_finalized.txt": {Authenticated: true, zone: "onchain", rcode: dns.RcodeNameError, Origin: provenOrigin(func(o *resolver.Origin) {
			o.Proof.Beacon.Finalized, o.Proof.LeftOut, o.Proof.Trips, o.Proof.Bytes = true, 7, 1, 1
		})},
		"proven_checkpoint.txt": {Authenticated: true, zone: "onchain", Origin: provenOrigin(func(o *resolver.Origin) {
			b := o.Proof.Beacon
			b.Root, b.Slot, b.SignatureSlot, b.Signers, b.Finalized = b.Checkpoint, b.CheckpointSlot, 0, 0, true
		})},
		"proven_quorum.txt": {Authenticated: true, zone: "onchain", Origin: provenOrigin(func(o *resolver.Origin) {
			o.Proof.Anchor, o.Proof.Beacon, o.Proof.Vouchers = "quorum", nil, []string{"a.example", "b.example"}
		})},
		"proven_trusted.txt": {Authenticated: true, zone: "onchain", Origin: provenOrigin(func(o *resolver.Origin) {
			o.Proof.Anchor, o.Proof.Beacon, o.Proof.Vouchers = "trusted", nil, []string{"geth.ipc"}
		})},
		"proven_signed_gateway.txt": {zone: "onchain", Origin: provenOrigin(func(o *resolver.Origin) { o.Gateways, o.Signature = []string{"gw.example"}, true })},
		"proven_gateway.txt":        {zone: "onchain", Origin: provenOrigin(func(o *resolver.Origin) { o.Gateways = []string{"gw.example"} })},
		"proven_hostile.txt": {zone: "onchain", Origin: provenOrigin(func(o *resolver.Origin) {
			o.Proof.Vouchers, o.Backends, o.Proof.Beacon.Network = []string{"a\x1b[2J\nb"}, []string{"c\rd"}, "e\x00f"
		})},
	} {
		t.Run(file, func(t *testing.T) {
			var out strings.Builder
			if err := printTrust(&out, "Chain of trust of alice.eth. A", a); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("trust", file), out.String())
			out.Reset()
			all := findings{Name: "alice.eth.", Answers: []finding{a}}
			if err := all.print(&out); err != nil || !strings.Contains(out.String(), "\ntrust       "+describeTrust(a.Origin)[:20]) {
				t.Errorf("%v:\n%s", err, out.String())
			}
			if strings.ContainsAny(out.String(), "\x1b\x00\r") {
				t.Errorf("it steers the terminal: %q", out.String())
			}
			data, err := json.Marshal(all)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{`"anchor":"` + a.Origin.Proof.Anchor + `"`, `"state_root":"0x57a7e"`, `"trips":`, `"accounts":[{"address":"0x0000`} {
				if !strings.Contains(string(data), want) {
					t.Errorf("no %s in %s", want, data)
				}
			}
			if has := strings.Contains(string(data), `"checkpoint_age":259200`); has != (a.CheckpointAge > 0) {
				t.Errorf("checkpoint_age: %s", data)
			}
		})
	}
}

func TestCheckpointAge(t *testing.T) {
	n, err := readNetwork("a", parseConfig(t, "names: []\nchains: { a: { id: 1, rpc: [/a, /b] } }\n").Chains["a"])
	if err != nil {
		t.Fatal(err)
	}
	o := provenOrigin(nil)
	now := n.SlotStart(o.Proof.Beacon.CheckpointSlot).Add(time.Hour)
	for name, tt := range map[string]struct {
		origin *resolver.Origin
		own    bool
		want   time.Duration
	}{
		"by its own network":   {o, true, time.Hour},
		"by a built-in one":    {o, false, time.Hour},
		"of an unknown one":    {provenOrigin(func(o *resolver.Origin) { o.Proof.Beacon.Network = "demo" }), false, 0},
		"without a checkpoint": {provenOrigin(func(o *resolver.Origin) { o.Proof.Beacon = nil }), true, 0},
		"without a proof":      {provenOrigin(func(o *resolver.Origin) { o.Proof = nil }), true, 0},
		"without an origin":    {nil, true, 0},
		"of the future":        {provenOrigin(func(o *resolver.Origin) { o.Proof.Beacon.CheckpointSlot = 1 << 63 }), true, 0},
	} {
		network := n
		if !tt.own {
			network = nil
		}
		if got := checkpointAge(tt.origin, network, now); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestDays(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 90 * time.Second: "1m30s", 119*time.Minute + time.Second: "119 minutes", 3 * time.Hour: "3 hours", 47 * time.Hour: "47 hours",
		49 * time.Hour: "2 days", 400 * 24 * time.Hour: "400 days",
	} {
		if got := days(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
