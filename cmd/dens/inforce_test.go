package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/chain"
	"dens/chain/beacon"
	"dens/chain/light"
	"dens/web"
)

// TestLightPart: the loss of all beacon APIs shows while the anchor lives, and ends readiness when it has
// aged out.
func TestLightPart(t *testing.T) {
	for name, tt := range map[string]struct {
		backends bool
		ready    bool
		status   beacon.Status
		want     web.Part
	}{
		"well":              {true, true, beacon.Status{ExpiresIn: time.Minute}, web.Part{Ready: true}},
		"failing":           {true, true, beacon.Status{FailingFor: 90 * time.Second, ExpiresIn: 210*time.Second + 1, Reason: "a: refused"}, web.Part{Ready: true, Degraded: true, Reason: "no beacon API has brought anything new for 1m30s; what is proven is too old in 3m30s: a: refused"}},
		"aged out":          {true, false, beacon.Status{FailingFor: 6 * time.Minute, Reason: "newest block is too old"}, web.Part{Reason: "light client: newest block is too old"}},
		"aged out, as told": {true, false, beacon.Status{Reason: "newest block is too old: light client: slot 7"}, web.Part{Reason: "light client: newest block is too old: slot 7"}},
		"never synced":      {true, false, beacon.Status{}, web.Part{Reason: "light client: no block is proven yet"}},
		"no backend":        {false, true, beacon.Status{FailingFor: time.Minute, ExpiresIn: time.Minute}, web.Part{Reason: "backends"}},
		"nothing answers":   {false, false, beacon.Status{Reason: "x"}, web.Part{Reason: "light client: x"}},
		"failing, unnamed":  {true, true, beacon.Status{FailingFor: time.Second}, web.Part{Ready: true, Degraded: true, Reason: "no beacon API has brought anything new for 1s; what is proven is too old in 0s: no reason is known"}},
	} {
		p := web.Part{Ready: tt.backends}
		if !tt.backends {
			p.Reason = "backends"
		}
		if lightPart(&p, tt.ready, tt.status); p != tt.want {
			t.Errorf("%s: got %+v, want %+v", name, p, tt.want)
		}
	}
}

// TestBeaconLoss is the same with beacon APIs that fail one day, and come back.
func TestBeaconLoss(t *testing.T) {
	t.Parallel()
	w := newProvenWorld(t)
	s, err := newStack(w.config(t, "checkpoint: '"+w.root+"', anchor: optimistic, max_head_age: 8s"), nil, false, quietLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	c := s.chain("demo")
	reach := func(story string, want func(web.Part) bool) {
		t.Helper()
		var p web.Part
		waitFor(t.Context(), time.Minute, func() bool { p = c.part(); return want(p) })
		if !want(p) {
			t.Fatalf("%s: not within a minute: %+v", story, p)
		}
	}
	well := func(p web.Part) bool {
		return p == web.Part{Name: "chain demo", Ready: true, Trust: "proven", Anchor: "beacon (optimistic)"}
	}
	reach("synced", well)
	w.failing.Store(503)
	reach("lost", func(p web.Part) bool {
		return p.Ready && p.Degraded && strings.Contains(p.Reason, "no beacon API has brought anything new for") && strings.Contains(p.Reason, "503")
	})
	reach("aged out", func(p web.Part) bool { return !p.Ready && strings.HasPrefix(p.Reason, "light client: ") })
	if a := askStack(t, s, "alice.eth."); len(a.msg.Answer) > 0 || a.msg.Rcode != dns.RcodeServerFailure {
		t.Errorf("without a young anchor: %v", a.msg)
	}
	w.failing.Store(0)
	reach("back again", well)
}

func TestAnchoredBlock(t *testing.T) {
	now := time.Unix(1e9, 0)
	for _, tt := range []struct {
		head chain.Head
		most time.Duration
		want *web.Block
	}{
		{chain.Head{}, time.Minute, nil},
		{chain.Head{Number: 5, Time: now.Add(-10 * time.Second)}, time.Minute, &web.Block{Number: 5, Age: 10 * time.Second, ExpiresIn: 50 * time.Second}},
		{chain.Head{Number: 5, Time: now.Add(-time.Hour)}, time.Minute, &web.Block{Number: 5, Age: time.Hour}},
		{chain.Head{Number: 5, Time: now.Add(time.Second)}, 0, &web.Block{Number: 5, ExpiresIn: forEver}},
	} {
		got := anchoredBlock(tt.head, tt.most, now)
		if (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
			t.Errorf("%+v: got %+v, want %+v", tt.head, got, tt.want)
		}
	}
}

// TestChainStates: metrics and the page are told what is in force.
func TestChainStates(t *testing.T) {
	t.Parallel()
	w := newProvenWorld(t)
	s, err := newStack(w.config(t, "checkpoint: '"+w.root+"'"), nil, false, quietLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	askPatiently(t, s, "alice.eth.")
	all := s.chainStates()
	if len(all) != 1 {
		t.Fatalf("got %+v", all)
	}
	c := all[0]
	if c.Name != "demo" || c.Trust != "proven" || c.Anchor != "beacon (optimistic)" || c.Reason != "" || c.Block == nil || c.Block.Slot == 0 || c.Block.Number == 0 ||
		c.Block.ExpiresIn <= 0 || c.Light == nil || c.Light.Finalized == 0 || c.Light.Failing != 0 || c.Proofs == nil || c.Proofs.Calls == 0 || c.Proofs.Trips == 0 || c.Proofs.Bytes == 0 {
		t.Errorf("got %+v, %+v, %+v, %+v", c, c.Block, c.Light, c.Proofs)
	}
	if len(c.Light.Endpoints) != 1 || !c.Light.Endpoints[0].Up || c.Light.Endpoints[0].Slot == 0 || !strings.HasPrefix(c.Light.Endpoints[0].Name, "127.0.0.1") {
		t.Errorf("got %+v", c.Light.Endpoints)
	}
	parts := s.parts()
	if len(parts) == 0 || parts[0] != (web.Part{Name: "chain demo", Ready: true, Trust: "proven", Anchor: "beacon (optimistic)"}) {
		t.Errorf("parts %+v", parts)
	}
}

// TestAttributes: the log says how many signed a block, and that nobody did where it is the checkpoint itself.
func TestAttributes(t *testing.T) {
	network, _ := light.Named("mainnet")
	for signers, want := range map[int]string{489: "489 of 512", 0: "none, it is the checkpoint"} {
		a := chain.Anchor{Source: chain.AnchorBeacon, Beacon: &chain.BeaconEvidence{Signers: signers, Committee: 512}}
		if got := attributes(a, network, time.Now()); !slices.Contains(got, any(want)) {
			t.Errorf("%d signers: got %v, want %q in it", signers, got, want)
		}
	}
}
