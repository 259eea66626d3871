package anchors

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dens/dnssec"
)

// TestRun lets a year pass: a roll-over without anybody's help, with the intervals of RFC 5011 section 2.3.
func TestRun(t *testing.T) {
	old, next := ksk(t, "."), ksk(t, ".")
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, dir: dir}
		w.configure(old)
		var fetches atomic.Int64
		begin := time.Now()
		cfg := w.config()
		cfg.Now = nil
		cfg.Fetch = func(context.Context, string) (dnssec.RRset, error) {
			n := fetches.Add(1)
			w.now = time.Now()
			since := w.now.Sub(begin)
			if n == 2 {
				return dnssec.RRset{}, errors.New("timed out")
			}
			switch {
			case since < 10*day:
				w.publish(signers(old), signers(old))
			case since < 100*day:
				w.publish(signers(old, next), signers(old))
			case since < 130*day:
				w.publish(signers(revoked(old), next), signers(revoked(old), next))
			default:
				w.publish(signers(next), signers(next))
			}
			return w.set(), nil
		}
		s, err := Load(cfg)
		if err != nil {
			t.Fatal(err)
		}
		w.store = s
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()

		time.Sleep(day + time.Minute) // at once, and after half the TTL
		if n := fetches.Load(); n != 2 {
			t.Errorf("%d fetches on the first day", n)
		}
		if st := s.Status()[0]; st.Error == "" || time.Until(st.Next) > time.Hour {
			t.Errorf("after a failure: %+v", st)
		}
		time.Sleep(time.Hour)
		if n := fetches.Load(); n != 3 {
			t.Errorf("%d fetches after the retry", n)
		}
		time.Sleep(299 * day)
		cancel()
		<-done
		w.now = time.Now()
		w.want(old, Removed)
		w.want(next, Valid)
		if n := fetches.Load(); n < 295 || n > 305 {
			t.Errorf("%d fetches in 300 days", n)
		}
	})
}

func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Load(Config{})
		if err != nil {
			t.Fatal(err)
		}
		s.Run(t.Context()) // without a way to fetch there is nothing to do
		if err := s.Refresh(t.Context(), "."); err == nil {
			t.Error("refreshed from nowhere")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s, err = Load(Config{
			State: filepath.Join(t.TempDir(), "state"),
			Fetch: func(ctx context.Context, _ string) (dnssec.RRset, error) {
				<-ctx.Done()
				return dnssec.RRset{}, ctx.Err()
			},
			FetchTimeout: 5 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		s.Run(ctx)
		if got := time.Since(begin); got != time.Minute {
			t.Errorf("ran for %v", got)
		}
	})
}

func TestIntervals(t *testing.T) {
	cfg := Config{}.withDefaults()
	for _, tt := range []struct{ ttl, left, want time.Duration }{
		{2 * day, 20 * day, day},
		{60 * day, 60 * day, 15 * day},
		{60 * day, 3 * time.Hour, 90 * time.Minute},
		{time.Minute, 20 * day, time.Hour},
		{0, 0, time.Hour},
	} {
		if got := refreshAfter(cfg, sigTimes{tt.ttl, tt.left}); got != tt.want {
			t.Errorf("TTL %v, %v left: %v, want %v", tt.ttl, tt.left, got, tt.want)
		}
	}
}
