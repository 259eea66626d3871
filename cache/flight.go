package cache

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"dens/internal/wire"
)

// Extended DNS errors (RFC 8914 section 4).
const (
	edeOther         = 0
	edeStale         = 3
	edeStaleNXDomain = 19
	edeUnreachable   = 22
)

// A flight is one call of the Source, on which any number of requests may wait:
//
//	begin -> the Source replies, fails, panics or runs out of time -> stored -> done is closed
//
// It ends by itself, whether or not anyone still waits. One that takes long may hang on a backend that
// went away, while a new try would find it back: after Config.Overtake the next request begins another.
type flight struct {
	key   string
	req   []byte
	keep  bool      // the reply may be stored, and others may join
	began time.Time // also of the data: it is not younger
	since time.Time // when the first flight began of those that overtook each other
	done  chan struct{}
	entry *Packed // the reply, after done was closed; nil is silence
}

// flights is the flights under way.
type flights struct {
	mu      sync.Mutex
	byKey   map[string]*flight // those that may be joined
	n       int
	closing bool
	idle    []chan struct{} // closed when n gets to 0
}

// join returns the flight to a key, which it begins if there is none. It returns the entry instead if
// one came in meanwhile, and neither when too much is under way.
func (c *Cache) join(key string) (*flight, *Packed) {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	now := time.Now()
	slow := c.flights.byKey[key]
	if slow != nil && now.Sub(slow.began) < c.cfg.Overtake {
		return slow, nil
	}
	// A flight may have landed after the caller found nothing.
	if p, ok := c.store.Get([]byte(key)); ok && p.fresh(now.UnixNano()) {
		return nil, p
	}
	f := c.begin(key, wire.AppendRequest(nil, []byte(key)), true, now)
	if slow == nil {
		return f, nil
	}
	if f == nil {
		return slow, nil
	}
	f.since = slow.since
	return f, nil
}

// prefetch begins a flight to a key whose entry is still fresh, unless much is under way.
func (c *Cache) prefetch(key string) {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	if c.flights.byKey[key] == nil && c.flights.n < c.cfg.MaxFlights/2 && !c.flights.closing {
		c.begin(key, wire.AppendRequest(nil, []byte(key)), true, time.Now())
	}
}

// direct begins a flight that nobody joins and whose reply is not kept.
func (c *Cache) direct(key string, req []byte) *flight {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	return c.begin(key, req, false, time.Now())
}

// begin needs flights.mu.
func (c *Cache) begin(key string, req []byte, keep bool, now time.Time) *flight {
	if c.flights.n >= c.cfg.MaxFlights {
		return nil
	}
	f := &flight{key: key, req: req, keep: keep, began: now, since: now, done: make(chan struct{})}
	c.flights.n++
	if keep {
		c.flights.byKey[key] = f
	}
	go c.fly(f)
	return f
}

func (c *Cache) fly(f *flight) {
	defer c.flights.end(f)
	ctx, cancel := context.WithTimeout(c.ctx, c.cfg.Timeout)
	defer cancel()
	e, err := c.ask(ctx, f)
	now := time.Now()
	switch {
	case ctx.Err() != nil && (err != nil || e.Failure && e.TTL <= 0):
		// Not a client's time but the Source's own was up: that is kept like any failure.
		f.entry = c.failure(f.key, edeUnreachable, "timed out", now)
	case err != nil:
		c.log.Debug("no reply from the source", "err", err)
	default:
		f.entry, err = c.prepare(f.key, e, now)
		if err != nil {
			c.log.Error("reply not sent", "err", err)
			f.entry = c.failure(f.key, edeOther, "internal error", now)
		}
	}
	if f.keep {
		c.keep(f, e.Tags, now)
	}
}

// ask calls the Source. Its panic costs one question, not the server.
func (c *Cache) ask(ctx context.Context, f *flight) (e Entry, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("panic in the source", "panic", p, "stack", string(debug.Stack()))
			e, err = c.failed(f.key, edeOther, "internal error"), nil
		}
	}()
	return c.source.Reply(ctx, f.req)
}

// keep stores what a flight brought. A failure does not replace an entry that can still be used: it
// keeps the Source from being asked again at once. What was overtaken does not replace what is younger.
func (c *Cache) keep(f *flight, tags []string, now time.Time) {
	old, found := c.store.Get([]byte(f.key))
	good := found && old.usable(now.UnixNano(), c.cfg.Stale)
	younger := good && old.stored > f.began.UnixNano() && c.flights.overtaken(f)
	if f.entry == nil || f.entry.failure() {
		if good && !younger {
			old.hold(now.Add(c.cfg.FailureTTL).UnixNano())
		}
		if good || c.flights.overtaken(f) {
			return
		}
	}
	if f.entry == nil || f.entry.ttl == 0 || younger || c.flights.draining() {
		return
	}
	c.drops.unlessDropped(tags, f.began, func() { c.store.Set(f.entry) })
}

// overtaken reports whether a younger flight to the same key is, or was, under way.
func (fs *flights) overtaken(f *flight) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.byKey[f.key] != f
}

func (fs *flights) end(f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.byKey[f.key] == f {
		delete(fs.byKey, f.key)
	}
	close(f.done)
	if fs.n--; fs.n > 0 {
		return
	}
	for _, ch := range fs.idle {
		close(ch)
	}
	fs.idle = nil
}

func (fs *flights) draining() bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.closing
}

// drain returns a channel that is closed when no flight is under way.
func (fs *flights) drain() <-chan struct{} {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.closing = true
	ch := make(chan struct{})
	if fs.n == 0 {
		close(ch)
	} else {
		fs.idle = append(fs.idle, ch)
	}
	return ch
}

func (fs *flights) count() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.n
}
