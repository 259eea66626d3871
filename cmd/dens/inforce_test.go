package main

import (
	"strings"
	"testing"
	"time"

	"dens/chain"
	"dens/chain/beacon"
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
		"well":             {true, true, beacon.Status{ExpiresIn: time.Minute}, web.Part{Ready: true}},
		"failing":          {true, true, beacon.Status{FailingFor: 90 * time.Second, ExpiresIn: 210*time.Second + 1, Reason: "a: refused"}, web.Part{Ready: true, Degraded: true, Reason: "no beacon API has brought anything new for 1m30s; what is proven is too old in 3m30s: a: refused"}},
		"aged out":         {true, false, beacon.Status{FailingFor: 6 * time.Minute, Reason: "newest block is too old"}, web.Part{Reason: "light client: newest block is too old"}},
		"never synced":     {true, false, beacon.Status{}, web.Part{Reason: "light client: no block is proven yet"}},
		"no backend":       {false, true, beacon.Status{FailingFor: time.Minute, ExpiresIn: time.Minute}, web.Part{Reason: "backends"}},
		"nothing answers":  {false, false, beacon.Status{Reason: "x"}, web.Part{Reason: "light client: x"}},
		"failing, unnamed": {true, true, beacon.Status{FailingFor: time.Second}, web.Part{Ready: true, Degraded: true, Reason: "no beacon API has brought anything new for 1s; what is proven is too old in 0s: no reason is known"}},
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
	askStack(t, s, "alice.eth.")
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
	if len(parts) == 0 || parts[0] != (web.Part{Name: "chain demo", Ready: true}) {
		t.Errorf("parts %+v", parts)
	}
}
