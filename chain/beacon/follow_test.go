package beacon

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dens/chain"
	"dens/internal/demo/consensus"
)

// inBubble runs a test with a chain of 12 s slots in a time of its own.
func inBubble(t *testing.T, cfg consensus.Config, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg.SlotTime, cfg.Auto = 12*time.Second, true
		test(t, newWorld(t, cfg))
	})
}

// before is a genesis such that slot begins in n slots. It is for bubbles.
func before(slot, n uint64) time.Time {
	return time.Now().Add(-time.Duration(slot-n) * 12 * time.Second).Truncate(time.Second)
}

const minute = 5 * 12 * time.Second // in slots

// TestPeriodRollover: committees hand over while the client follows.
func TestPeriodRollover(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const end = 2 * consensus.SlotsPerPeriod
		w := newWorld(t, consensus.Config{SlotTime: 12 * time.Second, Auto: true, Genesis: before(end, 60)})
		_, endpoint := w.inside("alpha", nil)
		c := w.client(w.config(endpoint))
		anchor(t, c)
		if p := c.Status().Period; p != 1 {
			t.Fatalf("period %d", p)
		}
		for w.chain.Now() < end+4*consensus.SlotsPerEpoch {
			time.Sleep(minute)
			a := w.fresh(c)
			if want := a.Beacon.SignatureSlot / consensus.SlotsPerPeriod; a.Beacon.Period != want {
				t.Fatalf("signed by period %d, want %d", a.Beacon.Period, want)
			}
		}
		if s := c.Status(); s.Period != 2 || s.Finalized.Beacon.Slot < end || s.Reason != "" || s.Endpoints[0].Errors > 2 {
			t.Errorf("status %+v", s)
		}
	})
}

// TestManyPeriods: a client that begins long ago fetches all committees in between.
func TestManyPeriods(t *testing.T) {
	t.Parallel()
	inBubble(t, consensus.Config{History: 3}, func(t *testing.T, w *world) {
		s, endpoint := w.inside("alpha", nil)
		cfg := w.config(endpoint)
		cfg.batch = 2
		w.same(anchor(t, w.client(cfg)))
		if n := s.count("updates"); n != 2 {
			t.Errorf("%d requests for 4 periods, want 2", n)
		}
	})
}

// TestGap: a committee that nobody hands over, since the chain did not finalise in its time, is never jumped
// over; what is left to do is said.
func TestGap(t *testing.T) {
	t.Parallel()
	inBubble(t, consensus.Config{History: 1}, func(t *testing.T, w *world) {
		s, endpoint := w.inside("alpha", instead("updates", []byte("[]")))
		c := w.client(w.config(endpoint))
		time.Sleep(minute)
		_, err := c.Anchor(t.Context())
		if err == nil || !strings.Contains(err.Error(), "did not finalise") || !strings.Contains(err.Error(), "configure it as the checkpoint") ||
			!strings.Contains(err.Error(), "alpha.example: committee not known yet") {
			t.Errorf("anchor: %v", err)
		}
		s.set(nil)
		time.Sleep(minute)
		w.fresh(c)
		if s := c.Status(); s.Reason != "" {
			t.Errorf("status %+v", s)
		}
		s.set(status(everything, 500, ""))
		time.Sleep(minute)
		if s := c.Status(); s.Reason == "" || strings.Contains(s.Reason, "finalise") {
			t.Errorf("status %+v", s)
		}
	})
}

// TestNextCommitteeWithheld: the committee after the present one is not yet needed; it is asked for at times.
func TestNextCommitteeWithheld(t *testing.T) {
	t.Parallel()
	inBubble(t, consensus.Config{}, func(t *testing.T, w *world) {
		s, endpoint := w.inside("alpha", instead("updates", []byte("[]")))
		c := w.client(w.config(endpoint))
		time.Sleep(30 * time.Minute)
		if n := s.count("updates"); n < 3 || n > 8 || c.Status().Reason != "" || !c.Ready() {
			t.Errorf("%d requests in 30 minutes, %+v", n, c.Status())
		}
	})
}

// TestForkBoundary: rules and formats change while the client follows.
func TestForkBoundary(t *testing.T) {
	t.Parallel()
	const epoch = 3 * consensus.EpochsPerPeriod / 2
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, consensus.Config{
			SlotTime: 12 * time.Second, Auto: true, Genesis: before(epoch*consensus.SlotsPerEpoch, 20),
			Forks: map[string]uint64{"capella": 0, "deneb": 100, "electra": 300, "fulu": epoch, "gloas": epoch + 1},
		})
		_, endpoint := w.inside("alpha", nil)
		c := w.client(w.config(endpoint))
		seen := map[string]bool{}
		for range 5 * consensus.SlotsPerEpoch / 2 {
			a := w.fresh(c)
			seen[a.Beacon.Fork] = true
			start := w.network.SlotStart(a.Beacon.Slot)
			if gloas := a.Beacon.Fork == "gloas"; gloas != a.Time.Equal(start) || gloas != (a.Number == 0) {
				t.Fatalf("%s: time %v, number %d", a.Beacon.Fork, a.Time, a.Number)
			}
			time.Sleep(12 * time.Second)
		}
		if s := c.Status(); !seen["electra"] || !seen["fulu"] || !seen["gloas"] || s.Reason != "" || s.Endpoints[0].Errors != 0 {
			t.Errorf("saw %v, status %+v", seen, s)
		}
	})
}

// TestFinalityLag: without finality the newest block is still proven; who wants finalised ones is told.
func TestFinalityLag(t *testing.T) {
	t.Parallel()
	inBubble(t, consensus.Config{}, func(t *testing.T, w *world) {
		s, endpoint := w.inside("alpha", nil)
		cfg := w.config(endpoint)
		optimistic := w.client(cfg)
		cfg.Finalized = true
		finalized := w.client(cfg)
		anchor(t, optimistic)
		time.Sleep(4 * consensus.SlotsPerEpoch * 12 * time.Second) // the chain's past has few blocks
		a := anchor(t, finalized)
		if final := w.chain.Finalized(); a.Hash != final.Hash || !a.Beacon.Finalized || a.Beacon.Signers != 500 {
			t.Fatalf("anchor %+v, want %v", a.Beacon, final)
		}
		w.chain.SetFinalityLag(1000)
		before := s.count("finality_update")
		// It shows before the anchor is refused.
		time.Sleep(8 * time.Minute)
		if s := finalized.Status(); !finalized.Ready() || s.ExpiresIn <= 0 || s.FailingFor < 8*time.Minute || !strings.Contains(s.Reason, "no endpoint proves a finalised block") {
			t.Errorf("status %+v", s)
		}
		if s := optimistic.Status(); s.FailingFor != 0 || s.Reason != "" {
			t.Errorf("status %+v", s)
		}
		time.Sleep(32 * time.Minute)
		if a := anchor(t, optimistic); !w.blocks.has(a.Hash) {
			t.Errorf("anchor %+v", a)
		}
		if n := s.count("finality_update") - before; n > 80 {
			t.Errorf("%d requests for finality in 200 slots by two clients", n)
		}
		if _, err := finalized.Anchor(t.Context()); !errors.Is(err, chain.ErrStaleHead) {
			t.Errorf("finalised anchor: %v", err)
		}
		if s := finalized.Status(); finalized.Ready() || !strings.Contains(s.Reason, "too old") || s.ExpiresIn != 0 {
			t.Errorf("status %+v", s)
		}
		w.chain.SetFinalityLag(0)
		time.Sleep(9 * minute)
		if a := anchor(t, finalized); a.Hash != w.chain.Finalized().Hash {
			t.Errorf("anchor %+v, want %v", a.Beacon, w.chain.Finalized())
		}
		if s := finalized.Status(); s.FailingFor != 0 || s.Reason != "" {
			t.Errorf("status %+v", s)
		}
	})
}

// TestNoFinalityServed: an endpoint that has no finality update, as it may be before the first one, has the
// newest block all the same.
func TestNoFinalityServed(t *testing.T) {
	t.Parallel()
	inBubble(t, consensus.Config{}, func(t *testing.T, w *world) {
		s, endpoint := w.inside("alpha", status("finality_update", 404, ""))
		c := w.client(w.config(endpoint))
		anchor(t, c)
		for range 2 * consensus.SlotsPerEpoch {
			time.Sleep(12 * time.Second)
			w.fresh(c)
			if s := c.Status(); s.Reason != "" || !s.Endpoints[0].Usable || s.Endpoints[0].Errors != 0 {
				t.Fatalf("status %+v", s)
			}
		}
		if s.count("finality_update") == 0 {
			t.Error("nobody asked for finality")
		}
	})
}

// TestEndpointsLost: that no endpoint works is seen at once, long before the anchor is refused; and when
// one works again it is found.
func TestEndpointsLost(t *testing.T) {
	t.Parallel()
	inBubble(t, consensus.Config{}, func(t *testing.T, w *world) {
		alpha, first := w.inside("alpha", nil)
		beta, second := w.inside("beta", nil)
		var log logged
		cfg := w.config(first, second)
		cfg.Log = log.logger()
		c := w.client(cfg)
		anchor(t, c)
		time.Sleep(minute)
		w.fresh(c)
		alpha.set(status(everything, 500, ""))
		beta.set(status(everything, 503, `{"message":"node is syncing"}`))
		time.Sleep(24 * time.Second)
		s := c.Status()
		if s.FailingFor < 12*time.Second || s.ExpiresIn < 3*time.Minute || !c.Ready() || s.Endpoints[0].Usable || s.Endpoints[1].Usable {
			t.Errorf("status %+v", s)
		}
		if !strings.Contains(s.Reason, "alpha.example: HTTP status 500") || !strings.Contains(s.Reason, "beta.example: HTTP status 503: node is syncing") {
			t.Errorf("reason %q", s.Reason)
		}
		anchor(t, c)
		asked := alpha.count("") + beta.count("")
		time.Sleep(10 * time.Minute)
		_, err := c.Anchor(t.Context()) // it must not wait for what has failed for long
		if !errors.Is(err, chain.ErrStaleHead) || errors.Is(err, chain.ErrNotReady) || !strings.Contains(err.Error(), "node is syncing") || c.Ready() {
			t.Errorf("anchor after ten minutes: %v", err)
		}
		if n := alpha.count("") + beta.count("") - asked; n > 320 {
			t.Errorf("%d requests in ten minutes to endpoints that fail", n)
		}
		beta.set(nil)
		time.Sleep(2*backoffAlone + time.Second) // its rest may have begun just behind a look at all
		w.fresh(c)
		if s := c.Status(); s.FailingFor != 0 || s.Reason != "" || !s.Endpoints[1].Usable {
			t.Errorf("status %+v", s)
		}
		text := log.String()
		if strings.Count(text, "level=WARN") != 1 || strings.Count(text, "bring new blocks again") != 1 || strings.Count(text, "is synced") != 1 {
			t.Errorf("log:\n%s", text)
		}
	})
}

// TestIdle: nobody asks, and the client asks less; but what it holds is good at any time.
func TestIdle(t *testing.T) {
	t.Parallel()
	inBubble(t, consensus.Config{}, func(t *testing.T, w *world) {
		s, endpoint := w.inside("alpha", nil)
		c := w.client(w.config(endpoint))
		anchor(t, c)
		time.Sleep(idleAfter + minute)
		before := s.count("optimistic_update")
		for range 15 {
			time.Sleep(minute)
			if s := c.Status(); !c.Ready() || s.ExpiresIn < 3*time.Minute || s.FailingFor != 0 {
				t.Fatalf("status %+v", s)
			}
		}
		if n := s.count("optimistic_update") - before; n > 17 {
			t.Errorf("%d requests in an idle quarter of an hour", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Anchor(ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		w.fresh(c)
	})
}

// TestAsleep: a machine that slept finds an anchor that is too old, and asks before it refuses.
func TestAsleep(t *testing.T) {
	t.Parallel()
	inBubble(t, consensus.Config{}, func(t *testing.T, w *world) {
		_, endpoint := w.inside("alpha", nil)
		cfg := w.config(endpoint)
		c := w.client(cfg)
		anchor(t, c)
		time.Sleep(time.Until(w.network.SlotStart(w.network.Slot(time.Now()) + 1).Add(6 * time.Second))) // the next poll is far
		woken := time.Now()
		// As if there had been no time for a round.
		c.mu.Lock()
		c.view.settled = c.view.settled.Add(-time.Hour)
		c.view.optimistic.Beacon.Slot -= 300
		c.mu.Unlock()
		w.fresh(c)
		if took := time.Since(woken); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestWithheldByAll: endpoints that all stay at an old block are not believed to be all there is.
func TestWithheldByAll(t *testing.T) {
	t.Parallel()
	inBubble(t, consensus.Config{}, func(t *testing.T, w *world) {
		_, first := w.inside("alpha", withholding())
		_, second := w.inside("beta", withholding())
		c := w.client(w.config(first, second))
		anchor(t, c)
		time.Sleep(3 * minute)
		s := c.Status()
		if s.FailingFor < 2*minute || !strings.Contains(s.Reason, "withhold") || !c.Ready() || s.Endpoints[0].Usable {
			t.Errorf("status %+v", s)
		}
		time.Sleep(3 * minute)
		if _, err := c.Anchor(t.Context()); !errors.Is(err, chain.ErrStaleHead) {
			t.Errorf("anchor: %v", err)
		}
	})
}

// TestLeftOutSlots: slots without a block are no reason to ask everybody for long.
func TestLeftOutSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, consensus.Config{SlotTime: 12 * time.Second})
		s, endpoint := w.inside("alpha", nil)
		c := w.client(w.config(endpoint))
		w.same(anchor(t, c))
		before := s.count("optimistic_update")
		for range 20 { // every third slot has a block
			w.advance()
			time.Sleep(36 * time.Second)
			w.same(anchor(t, c))
		}
		if n := s.count("optimistic_update") - before; n > 130 || c.Status().FailingFor != 0 {
			t.Errorf("%d requests for 60 slots, %+v", n, c.Status())
		}
	})
}

// TestClock: a local clock that is wrong is called so.
func TestClock(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		by    time.Duration
		class error
		text  string
	}{
		{"behind", -time.Hour, chain.ErrStaleHead, "local clock is behind"},
		{"before the checkpoint", -300 * 24 * time.Hour, chain.ErrNotReady, "local clock is behind"},
		{"ahead", time.Hour, chain.ErrStaleHead, "local clock is ahead"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, consensus.Config{History: 1}, func(t *testing.T, w *world) {
				_, endpoint := w.inside("alpha", nil)
				var log logged
				cfg := w.config(endpoint)
				cfg.now, cfg.Log = func() time.Time { return time.Now().Add(tt.by) }, log.logger()
				c := w.client(cfg)
				time.Sleep(minute)
				_, err := c.Anchor(t.Context())
				if !errors.Is(err, tt.class) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("anchor: %v", err)
				}
				if before := tt.class == chain.ErrNotReady; before != strings.Contains(log.String(), "is behind: it is before slot") {
					t.Errorf("log:\n%s", log.String())
				}
			})
		})
	}
}
