package pool

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"dens/chain"
	"dens/chain/verify"
)

var _ verify.Anchorer = (*Pool)(nil)

func TestAnchor(t *testing.T) {
	t.Parallel()
	p, nodes := calm(t, Config{MaxHeadAge: time.Minute}, "a", "b")
	before, _, _ := nodes[0].Counts()
	a, err := p.Anchor(t.Context())
	if err != nil || a.Head != nodes[0].Head() || a.Source != chain.AnchorTrusted || strings.Join(a.Vouchers, " ") != "a" || a.Beacon != nil {
		t.Errorf("%+v, %v", a, err)
	}
	if after, _, _ := nodes[0].Counts(); after != before {
		t.Errorf("a fresh head cost %d requests", after-before)
	}
	p.endpoints[0].health.blame(&failure{kind: chain.ErrBadProof}, true, time.Minute, time.Now())
	if a, err = p.Anchor(t.Context()); err != nil || strings.Join(a.Vouchers, " ") != "b" {
		t.Errorf("after a lie: %+v, %v", a, err)
	}
	p.Close()
	if _, err = p.Anchor(t.Context()); !errors.Is(err, chain.ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
}

// TestAnchorFailsOver: a head that is too old or does not come is the next backend's to tell.
func TestAnchorFailsOver(t *testing.T) {
	t.Parallel()
	p, nodes := several(t, Config{MaxHeadAge: time.Minute}, func(ec *EndpointConfig) { ec.BlockInterval, ec.IdlePoll = time.Hour, time.Hour }, "a", "b", "c")
	for _, e := range p.endpoints {
		e.mu.Lock()
		e.ring.seen = e.ring.seen.Add(-3 * time.Hour) // a head has to be asked for
		e.mu.Unlock()
	}
	prefer(p)
	nodes[0].Extend(99, 1, "old", time.Now().Add(-time.Hour))
	nodes[1].Intercept(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	a, err := p.Anchor(within(t, 30*time.Second))
	if err != nil || a.Vouchers[0] != "c" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestAnchorStale(t *testing.T) {
	t.Parallel()
	p, nodes := three(t, Config{MaxHeadAge: time.Minute, Timeout: time.Second}, "a", "b")
	for _, n := range nodes {
		n.Extend(99, 1, "old", time.Now().Add(-time.Hour))
	}
	eventually(t, "the old head", func() bool { return !p.Ready() })
	if _, err := p.Anchor(context.Background()); !errors.Is(err, chain.ErrStaleHead) {
		t.Errorf("error %v", err)
	}
	for _, n := range nodes {
		n.Close()
	}
	eventually(t, "both down", func() bool {
		_, err := p.Anchor(context.Background())
		return err != nil && !errors.Is(err, chain.ErrStaleHead)
	})
	for _, n := range nodes {
		n.Restart()
	}
}

// TestUseEndsIdling: with look-ups that are proven, Fetch and Anchor are all the use that there is.
func TestUseEndsIdling(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(*Pool, chain.Head) error{
		"anchor": func(p *Pool, _ chain.Head) error { _, err := p.Anchor(context.Background()); return err },
		"fetch": func(p *Pool, at chain.Head) error {
			return p.Fetch(context.Background(), proofs(at), func(chain.Reply) error { return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, nodes := several(t, Config{}, func(ec *EndpointConfig) {
				ec.BlockInterval, ec.IdlePoll, ec.IdleAfter = 50*time.Millisecond, time.Hour, time.Hour
			}, "a")
			_, _, before := nodes[0].Counts()
			time.Sleep(300 * time.Millisecond)
			if _, _, idle := nodes[0].Counts(); idle != before {
				t.Fatalf("%d polls with nobody there", idle-before)
			}
			if err := use(p, nodes[0].Head()); err != nil {
				t.Fatal(err)
			}
			eventually(t, "polls", func() bool { _, _, now := nodes[0].Counts(); return now > before+4 })
		})
	}
}
