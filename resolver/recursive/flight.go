package recursive

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"dens/resolver"
)

// errCircle means that a look-up waits for itself: servers whose names are in each other's zones
// (TsuNAME).
var errCircle = errors.New("name servers' addresses depend on each other")

// flights lets equal steps of concurrent iterations share one exchange. A flight that needs others (a
// server's address) waits for them; that nobody waits in a circle is seen to before the waiting begins.
type flights struct {
	most int
	mu   sync.Mutex
	by   map[string]*flight
}

// flight is one step under way. It runs on when those who asked for it are gone, until its leader's
// deadline.
type flight struct {
	of    *flights
	done  chan struct{} // closed when out and err are set
	out   *outcome
	err   error
	waits map[*flight]int // what it waits for; under flights.mu
}

// do returns what fn returns, or what the flight under way with the same key returns. The leader's
// limits are not the others': who shared a flight that ended by one of them flies alone.
func (fs *flights) do(ctx context.Context, key string, fn func(context.Context) (*outcome, error)) (*outcome, error) {
	w := workOf(ctx)
	f, leader, err := fs.join(key, w.flight)
	if err != nil {
		return nil, err
	}
	if leader {
		go fs.run(ctx, key, f, fn)
	}
	out, err := fs.wait(ctx, f, w.flight)
	if leader || err == nil || ctx.Err() != nil || !isLeadersOwn(err) {
		return out, err
	}
	return fn(ctx)
}

// isLeadersOwn says whether err is due to who asked first, rather than to what was asked.
func isLeadersOwn(err error) bool {
	var limit *limitError
	return errors.As(err, &limit) || errors.Is(err, errCircle) || errors.Is(err, context.DeadlineExceeded)
}

// join finds the flight, or makes it, and notes that from waits for it.
func (fs *flights) join(key string, from *flight) (f *flight, leader bool, err error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f, found := fs.by[key]
	if !found {
		if len(fs.by) >= fs.most {
			return nil, false, &limitError{"flights", fmt.Sprintf("more than %d exchanges with name servers under way", fs.most)}
		}
		f = &flight{of: fs, done: make(chan struct{}), waits: make(map[*flight]int)}
		fs.by[key] = f
	}
	if from != nil {
		if found && f.reaches(from, make(map[*flight]bool)) {
			return nil, false, errCircle
		}
		from.waits[f]++
	}
	return f, !found, nil
}

// reaches says whether f is, or waits for, other. Those that were seen are not looked at again.
func (f *flight) reaches(other *flight, seen map[*flight]bool) bool {
	if f == other {
		return true
	}
	seen[f] = true
	for next := range f.waits {
		if !seen[next] && next.reaches(other, seen) {
			return true
		}
	}
	return false
}

func (fs *flights) wait(ctx context.Context, f, from *flight) (*outcome, error) {
	defer func() {
		if from == nil {
			return
		}
		fs.mu.Lock()
		defer fs.mu.Unlock()
		if from.waits[f]--; from.waits[f] <= 0 {
			delete(from.waits, f)
		}
	}()
	select {
	case <-f.done:
		return f.out, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run flies, apart from the leader's cancellation, within the leader's deadline.
func (fs *flights) run(ctx context.Context, key string, f *flight, fn func(context.Context) (*outcome, error)) {
	leader := workOf(ctx)
	w := *leader
	w.flight = f
	ctx, cancel := context.WithDeadline(w.in(context.WithoutCancel(ctx)), w.deadline)
	defer cancel()
	out, err := resolver.Safely(func() (*outcome, error) { return fn(ctx) })
	fs.mu.Lock()
	delete(fs.by, key)
	fs.mu.Unlock()
	f.out, f.err = out, err
	close(f.done)
}
