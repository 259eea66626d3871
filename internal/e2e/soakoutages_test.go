package e2e

import (
	"context"
	"testing"
	"time"

	"dens/internal/e2e/bed"
	"dens/internal/e2e/soak"
)

// outages takes away what is behind the server, in part and wholly.
func (s *soaked) outages(ctx context.Context, t *testing.T) {
	for ctx.Err() == nil {
		s.away(ctx, nil, 2*time.Second, func() { s.relays[0].SetSilent(true) }, func() { s.relays[0].SetSilent(false) })
		s.away(ctx, &s.upstream, 1500*time.Millisecond, func() { s.eachRelay((*soak.Relay).Go) }, func() { s.returnRelays(t) })
		s.away(ctx, nil, 2*time.Second, func() { s.backends[0].Set(bed.Down) }, func() { s.backends[0].Set(bed.None) })
		s.away(ctx, &s.chain, 1500*time.Millisecond, func() { s.eachBackend(bed.Down) }, func() { s.eachBackend(bed.None) })
		s.away(ctx, &s.upstream, 2*time.Second, func() { s.eachRelay(func(r *soak.Relay) { r.SetSilent(true) }) }, func() { s.eachRelay(func(r *soak.Relay) { r.SetSilent(false) }) })
		s.away(ctx, nil, 2*time.Second, func() { s.backends[1].Set(bed.Garbage) }, func() { s.backends[1].Set(bed.None) })
		s.away(ctx, &s.chain, 2*time.Second, func() { s.eachBackend(bed.Slow) }, func() { s.eachBackend(bed.None) })
	}
}

// away takes something away for some time, and leaves all well for a while after it.
func (s *soaked) away(ctx context.Context, o *soak.Outages, d time.Duration, begin, end func()) {
	if ctx.Err() != nil {
		return
	}
	if o != nil {
		o.Begin()
	}
	begin()
	wait(ctx, d)
	end()
	if o != nil {
		o.End()
	}
	wait(ctx, 1500*time.Millisecond)
}

func (s *soaked) eachRelay(do func(*soak.Relay)) {
	for _, r := range s.relays {
		do(r)
	}
}

func (s *soaked) eachBackend(f bed.Fault) {
	for _, b := range s.backends {
		b.Set(f)
	}
}

// returnRelays opens the relays again. Their ports may be in use for a moment.
func (s *soaked) returnRelays(t *testing.T) {
	for _, r := range s.relays {
		var err error
		for range 100 {
			if err = r.Return(); err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if err != nil {
			t.Error(err)
		}
	}
}
