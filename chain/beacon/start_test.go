package beacon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dens/chain"
	"dens/chain/light"
	"dens/internal/demo/consensus"
)

const ageOff = 100 * 365 * 24 * time.Hour

// gated is honest, but for one kind of which it answers nothing until the gate is closed.
func gated(what string, gate chan struct{}) script {
	return func(kind string, rw http.ResponseWriter, r *http.Request, honest http.Handler) {
		if kind == what {
			select {
			case <-gate:
			case <-r.Context().Done():
				return
			}
		}
		honest.ServeHTTP(rw, r)
	}
}

// TestOldBlocksAtStart: what a client proves on its way to the newest block is given out by nobody's clock.
func TestOldBlocksAtStart(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"optimistic_update", "finality_update"} {
		t.Run(what, func(t *testing.T) {
			inBubble(t, consensus.Config{History: 1}, func(t *testing.T, w *world) {
				gate := make(chan struct{})
				s, endpoint := w.inside("alpha", gated(what, gate))
				cfg := w.config(endpoint)
				cfg.MaxHeadAge, cfg.Timeout, cfg.Finalized = ageOff, time.Minute, what == "finality_update"
				cfg.Patience = 0 // as by default
				c := w.client(cfg)
				time.Sleep(time.Second)
				if b := c.Status().Anchor.Beacon; s.count(what) == 0 || b == nil || b.Slot <= w.slot {
					t.Fatalf("it has not caught up with the periods: %+v", b)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
				defer cancel()
				_, err := c.Anchor(ctx)
				if !errors.Is(err, chain.ErrNotReady) || !strings.Contains(err.Error(), "catches up") || c.Ready() || ctx.Err() != nil {
					t.Errorf("anchor: %v", err)
				}
				close(gate)
				time.Sleep(time.Second)
				want := w.chain.Head().Slot
				if cfg.Finalized {
					want = w.chain.Finalized().Slot
				}
				if a := anchor(t, c); a.Beacon.Slot != want || !c.Ready() {
					t.Errorf("slot %d, want %d", a.Beacon.Slot, want)
				}
				// From then on age alone decides.
				s.set(status(everything, 500, ""))
				time.Sleep(10 * time.Minute)
				anchor(t, c)
			})
		})
	}
}

// TestOldState: a block that the state file remembers is given out while it is young, even if age is off.
func TestOldState(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	inBubble(t, consensus.Config{}, func(t *testing.T, w *world) {
		s, endpoint := w.inside("alpha", nil)
		cfg := w.config(endpoint)
		cfg.State, cfg.MaxHeadAge = path, ageOff
		c := w.client(cfg)
		old := anchor(t, c).Beacon.Slot
		c.Close()
		s.set(status(everything, 500, ""))
		c = w.client(cfg)
		if a := anchor(t, c); a.Beacon.Slot != old {
			t.Errorf("slot %d, want %d", a.Beacon.Slot, old)
		}
		time.Sleep(6 * time.Minute)
		if _, err := c.Anchor(t.Context()); !errors.Is(err, chain.ErrNotReady) || !strings.Contains(err.Error(), "HTTP status 500") || c.Ready() {
			t.Errorf("anchor: %v", err)
		}
		s.set(nil)
		time.Sleep(2*backoffAlone + time.Second) // its rest may have begun just behind a look at all
		w.fresh(c)
	})
}

// TestHopeless: nobody waits for what has failed already, nor long for what is silent; and when an endpoint
// works at last it is found soon.
func TestHopeless(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		do   script
		down bool
		most time.Duration
		said string
	}{
		{"404", status(everything, 404, ""), false, 100 * time.Millisecond, "no endpoint has the checkpoint"},
		{"500", status(everything, 500, ""), false, 100 * time.Millisecond, "HTTP status 500"},
		{"refused", nil, true, 100 * time.Millisecond, "nobody listens"},
		{"silent", func(_ string, _ http.ResponseWriter, r *http.Request, _ http.Handler) { sleep(r, time.Hour) }, false,
			2*time.Second + 100*time.Millisecond, "no checkpoint yet"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, consensus.Config{}, func(t *testing.T, w *world) {
				first, alpha := w.inside("alpha", tt.do)
				second, beta := w.inside("beta", tt.do)
				reach := make(chan struct{})
				endpoints := []Endpoint{alpha, beta}
				for i, e := range endpoints {
					endpoints[i].Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
						select {
						case <-reach:
						default:
							if tt.down {
								return nil, errors.New("nobody listens")
							}
						}
						return e.Dial(ctx, network, address)
					}
				}
				cfg := w.config(endpoints...)
				cfg.Patience = 0 // as by default
				c := w.client(cfg)
				for range 2 {
					began := time.Now()
					ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
					_, err := c.Anchor(ctx)
					cancel()
					if took := time.Since(began); !errors.Is(err, chain.ErrNotReady) || !strings.Contains(err.Error(), tt.said) || took > tt.most {
						t.Errorf("after %v: %v", took, err)
					}
				}
				time.Sleep(4 * time.Minute)
				close(reach)
				first.set(nil)
				second.set(nil)
				time.Sleep(backoffIdle + 2*time.Second)
				w.fresh(c)
			})
		})
	}
}

// TestWrongNetwork: a configuration under which no signature holds is suspected first, and shortly.
func TestWrongNetwork(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*light.Network){
		"validators root": func(n *light.Network) { n.ValidatorsRoot[0] ^= 1 },
		"fork version": func(n *light.Network) {
			n.Forks = append([]light.Fork(nil), n.Forks...)
			for i := range n.Forks {
				n.Forks[i].Version[3] ^= 1
			}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, consensus.Config{History: 1}, func(t *testing.T, w *world) {
				_, first := w.inside("alpha", nil)
				_, second := w.inside("beta", nil)
				cfg := w.config(first, second)
				n := *w.network
				change(&n)
				cfg.Network = &n
				c := w.client(cfg)
				time.Sleep(10 * time.Second)
				_, err := c.Anchor(t.Context())
				at := strings.Index(fmt.Sprint(err), "genesis_validators_root or a fork version of the network may be wrong, or the API lies: wrong signatures from alpha.example, beta.example")
				if !errors.Is(err, light.ErrUnproven) || at < 0 || at > 100 {
					t.Errorf("anchor: %v", err)
				}
				for _, e := range c.Status().Endpoints {
					if !strings.HasPrefix(e.LastError, "genesis_validators_root or a fork") || !strings.Contains(e.LastError, "wrong signature") {
						t.Errorf("status %+v", e)
					}
				}
			})
		})
	}
}

// TestShownHost: the host is shown where the endpoint is called by it, and long lists are cut.
func TestShownHost(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, said, want string
	}{
		{"", "look-up of Beacon.Example failed for topsecret", "beacon.example:5052: look-up of Beacon.Example failed for ***"},
		{"BEACON.example:5052", "look-up of beacon.example:5052 failed", "BEACON.example:5052: look-up of beacon.example:5052 failed"},
		{"mine", "look-up of beacon.example failed for topsecret", "mine: look-up of *** failed for ***"},
		{"mine", "no server answered: " + strings.Repeat("192.0.2.1:53, 2001:db8::1, ", 26), "mine: no server answered: 192.0.2.1:53"},
		{"mine", strings.Repeat("x", maxDial-5) + "topsecret", strings.Repeat("x", maxDial-5)},
	}
	for _, tt := range tests {
		e := Endpoint{URL: "https://topsecret@Beacon.Example:5052/topsecret", Name: tt.name, Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New(tt.said)
		}}
		peers, err := newPeers(t.Context(), Config{Endpoints: []Endpoint{e}, Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		_, err = peers[0].get(t.Context(), "optimistic_update", "", 10)
		shown := fmt.Sprintf("%s: %v", peers[0].name, err)
		if !strings.Contains(shown, tt.want) || strings.Contains(shown, "tops") || len(shown) > maxDial+30 {
			t.Errorf("%q, want %q", shown, tt.want)
		}
	}
}
