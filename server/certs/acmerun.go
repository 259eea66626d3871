package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"golang.org/x/crypto/acme"
)

// How long Run waits after attempts that failed. Who has said no, such as for a name that does not lead here,
// says so only so often: Let's Encrypt five times an hour.
const (
	firstWait   = 5 * time.Second // where the ACME server was not reached, or is not well
	refusedWait = 15 * time.Minute
	longestWait = 12 * time.Hour  // also where the server asks for more
	renewWait   = 5 * time.Second // after a success, however short the life of the certificate is
)

// Run implements Keeper.
func (a *ACME) Run(ctx context.Context) {
	if a.conf.ReadOnly {
		return
	}
	defer a.transport.CloseIdleConnections()
	tries := retries{kinds: a.kinds()}
	for a.sleepUntilDue(ctx, tries.succeeded) {
		cert, err := a.attempt(ctx, tries.kind())
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			tries.success(time.Now())
			a.accept(cert)
			continue
		}
		select {
		case <-a.retry: // of before the failure
		default:
		}
		wait := tries.failure(err)
		wait += time.Duration(float64(wait) * a.conf.Chance() / 10)
		reason := a.note(err)
		a.conf.Log.Error("no certificate from the ACME server", "error", reason, "names", a.conf.Domains, "next attempt in", wait.Round(time.Second))
		rest := a.rest
		if _, limited := rateLimit(err); limited {
			rest = sleep
		}
		if !rest(ctx, wait) {
			return
		}
	}
}

// rest waits after a failure, until Retry at most.
func (a *ACME) rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-a.retry:
	}
	return true
}

// attempt is one try by one challenge.
func (a *ACME) attempt(ctx context.Context, kind string) (*tls.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, a.conf.Timeout)
	defer cancel()
	return a.obtain(ctx, kind)
}

// accept puts a certificate in force, and keeps it.
func (a *ACME) accept(cert *tls.Certificate) {
	a.current.Store(cert)
	err := a.keep(cert)
	a.note(err)
	if err != nil {
		a.conf.Log.Error("the certificate is in force, but could not be kept for the next start", "error", err)
	}
	a.conf.Log.Info("certificate from the ACME server", "names", a.conf.Domains, "expires", cert.Leaf.NotAfter)
}

// retries says when to try again, and by which challenge.
type retries struct {
	kinds              []string
	at                 int       // in kinds
	failures, refusals int       // since the last success
	succeeded          time.Time // zero: not yet
}

func (r *retries) kind() string { return r.kinds[r.at] }

func (r *retries) success(now time.Time) { *r = retries{kinds: r.kinds, at: r.at, succeeded: now} }

// failure returns how long to wait. After a refusal it is another challenge's turn, the first time soon.
func (r *retries) failure(err error) time.Duration {
	if !isRefusal(err) {
		r.failures++
		return min(firstWait<<min(r.failures-1, 16), longestWait)
	}
	if asked, limited := rateLimit(err); limited {
		return min(max(asked, refusedWait), longestWait)
	}
	r.at = (r.at + 1) % len(r.kinds)
	r.refusals++
	if rounds := r.refusals / len(r.kinds); rounds > 0 {
		return min(refusedWait<<min(rounds-1, 16), longestWait)
	}
	return firstWait
}

// isRefusal reports whether the ACME server itself has said no, or has given what is of no use, and would again.
func isRefusal(err error) bool {
	if errors.Is(err, errUseless) {
		return true
	}
	if _, ok := errors.AsType[*acme.AuthorizationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*acme.OrderError](err); ok {
		return true
	}
	e, ok := errors.AsType[*acme.Error](err)
	return ok && e.StatusCode >= 400 && e.StatusCode < 500
}

// rateLimit reports whether the server asks to come back later, and when.
func rateLimit(err error) (time.Duration, bool) {
	e, ok := errors.AsType[*acme.Error](err)
	if !ok {
		return 0, false
	}
	return acme.RateLimit(e)
}

// sleepUntilDue waits until the certificate is to be renewed, in steps, since the clock may be set meanwhile. It
// reports whether that time has come. Where the clock is far off a new certificate may look old, and is not
// renewed before half of its life has passed all the same.
func (a *ACME) sleepUntilDue(ctx context.Context, succeeded time.Time) bool {
	early := a.conf.Chance()
	for {
		cert := a.current.Load()
		if cert == nil || !covers(cert.Leaf, a.names, a.addrs) {
			return ctx.Err() == nil
		}
		life := cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore)
		left := time.Until(renewAt(cert.Leaf).Add(-time.Duration(float64(life) * early / 30)))
		if !succeeded.IsZero() {
			left = max(left, max(life/2, renewWait)-time.Since(succeeded))
		}
		if left <= 0 {
			return ctx.Err() == nil
		}
		if !sleep(ctx, min(left, checkInterval)) {
			return false
		}
	}
}

// sleep reports whether ctx lasted for so long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
