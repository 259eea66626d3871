package anchors

import (
	"context"
	"time"
)

// longestSleep bounds how long a clock that was set goes unnoticed.
const longestSleep = time.Hour

// sigTimes are what RFC 5011 section 2.3 takes from the signature that was validated.
type sigTimes struct {
	ttl  time.Duration // the original TTL
	left time.Duration // until the signature expires
}

// refreshAfter is queryInterval of RFC 5011 section 2.3: MAX(1 hr, MIN(15 days, 1/2 TTL, 1/2 expiration)).
func refreshAfter(cfg Config, t sigTimes) time.Duration {
	return max(cfg.MinInterval, min(cfg.MaxInterval, t.ttl/2, t.left/2))
}

// Run refreshes the zones when they are due, until ctx ends.
func (s *Store) Run(ctx context.Context) {
	if s.cfg.Fetch == nil {
		return
	}
	for {
		zone, wait := s.due()
		if wait > 0 {
			timer := time.NewTimer(min(wait, longestSleep))
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
			continue
		}
		err := s.Refresh(ctx, zone)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.cfg.Log.Warn("trust anchors not refreshed", "zone", zone, "err", err)
		}
	}
}

// due returns the zone to refresh next, and in what time. Zones whose keys are all revoked have nothing left
// to refresh.
func (s *Store) due() (zone string, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	wait = longestSleep
	for _, p := range s.points {
		if !p.configured || p.trust().Empty() {
			continue
		}
		left := p.next.Sub(now)
		if left > s.cfg.MaxInterval { // the clock went back
			left = 0
		}
		if zone == "" || left < wait {
			zone, wait = p.zone, left
		}
	}
	return zone, wait
}
