package cache

import (
	"bytes"
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"dens/internal/wire"
)

// grace is how much longer than the Source's time a request waits for its reply.
const grace = 500 * time.Millisecond

// Cache answers DNS requests from a Store, and from a Source what the Store does not have. It is a
// server.Handler, and safe for concurrent use.
type Cache struct {
	store  Store
	source Source
	cfg    Config
	log    *slog.Logger

	ctx    context.Context // of the flights: no client's
	cancel context.CancelFunc

	flights flights
	drops   dropLog
	shed    atomic.Uint64
}

// New returns a Cache. The Store may hold what another Cache put there; that one should be closed soon.
func New(store Store, source Source, cfg Config) *Cache {
	cfg = cfg.withDefaults()
	c := &Cache{store: store, source: source, cfg: cfg, log: cfg.Log}
	c.flights.byKey = make(map[string]*flight)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Hit appends to buf[:0] the reply to a request when no Source has to be asked for it, and reports whether
// that is so; an empty reply means to stay silent.
func (c *Cache) Hit(q *wire.Query, buf []byte) (reply []byte, ok bool) {
	switch q.Kind {
	case wire.Silent:
		c.observe(q, 0, 0, Silent)
		return buf[:0], true
	case wire.Broken:
		return c.status(q, q.Rcode, buf), true
	case wire.Probe:
		return c.status(q, probed(q.From.Cookie.State), buf), true
	case wire.Other:
		return buf[:0], false
	}
	// The key is built where the reply will be: what is handed to an interface's method would otherwise
	// cost an allocation.
	key := q.AppendKey(buf[:0], q.Msg)
	p, found := c.store.Get(key)
	if !found {
		return buf[:0], false
	}
	now := q.Start.UnixNano()
	if !p.fresh(now) {
		return buf[:0], false
	}
	outcome := Hit
	if p.hit(now) && !c.cfg.NoPrefetch {
		outcome = Prefetch
		c.prefetch(string(key))
	}
	return c.send(q, p, outcome, buf), true
}

// Miss appends to buf[:0] the reply to a request that Hit has no reply to. When ctx ends first it answers
// with what there is.
func (c *Cache) Miss(ctx context.Context, q *wire.Query, buf []byte) []byte {
	key := q.AppendKey(buf[:0], q.Msg)
	if q.Kind == wire.Other {
		return c.await(ctx, q, c.direct(string(key), bytes.Clone(q.Msg)), nil, Uncached, buf)
	}
	p, ok := c.store.Get(key)
	if !ok || !p.usable(q.Start.UnixNano(), c.cfg.Stale) {
		p = nil
	}
	return c.miss(ctx, q, string(key), p, buf)
}

// miss asks the Source. stale is what can be used if that takes long or fails, or nil.
func (c *Cache) miss(ctx context.Context, q *wire.Query, key string, stale *Packed, buf []byte) []byte {
	if stale != nil && stale.held(q.Start.UnixNano()) {
		return c.send(q, stale, Stale, buf)
	}
	f, p := c.join(key)
	if p != nil {
		return c.send(q, p, Hit, buf)
	}
	return c.await(ctx, q, f, stale, Miss, buf)
}

// await answers with what a flight brings. A nil flight could not begin.
func (c *Cache) await(ctx context.Context, q *wire.Query, f *flight, stale *Packed, outcome Outcome, buf []byte) []byte {
	if f == nil {
		c.shed.Add(1)
		if stale != nil {
			return c.send(q, stale, Stale, buf)
		}
		return c.fail(q, "overloaded", Shed, buf)
	}
	patience := c.cfg.Timeout + grace
	if stale != nil {
		patience = c.cfg.StaleAfter - q.Start.Sub(f.since)
	}
	landed := wait(ctx, f, patience)
	switch {
	case stale != nil && (!landed || f.entry == nil || f.entry.failure()):
		return c.send(q, stale, Stale, buf)
	case !landed:
		return c.fail(q, "no answer in time", outcome, buf)
	case f.entry == nil:
		c.observe(q, 0, 0, Silent)
		return buf[:0]
	}
	return c.send(q, f.entry, outcome, buf)
}

// wait reports whether a flight landed before the context or the time ended.
func wait(ctx context.Context, f *flight, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-f.done:
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}

// status answers without an entry.
func (c *Cache) status(q *wire.Query, rcode uint16, buf []byte) []byte {
	c.observe(q, rcode, 0, Uncached)
	return q.AppendStatus(buf[:0], q.Msg, wire.Status{Rcode: rcode, Cookie: q.From.Cookie.Option()})
}

// probed is what a client is told of its server cookie (RFC 7873 section 5.4).
func probed(s wire.CookieState) uint16 {
	switch s {
	case wire.CookieNone:
		return wire.RcodeFormatError // without cookies in use, a question is missing
	case wire.CookieBad:
		return wire.RcodeBadCookie
	default:
		return wire.RcodeSuccess
	}
}

// fail answers SERVFAIL without an entry.
func (c *Cache) fail(q *wire.Query, text string, outcome Outcome, buf []byte) []byte {
	c.observe(q, wire.RcodeServerFailure, 0, outcome)
	return q.AppendStatus(buf[:0], q.Msg, wire.Status{
		Rcode: wire.RcodeServerFailure, HasEDE: true, EDECode: edeOther, EDEText: text, Cookie: q.From.Cookie.Option(),
	})
}

// timedHits is the share of hits that are timed, by the ID of the request: one of so many.
const timedHits = 64

func (c *Cache) observe(q *wire.Query, rcode uint16, zone Zone, outcome Outcome) {
	if c.cfg.Observe == nil {
		return
	}
	e := Event{
		Protocol: q.From.Protocol, Outcome: outcome, Type: q.Type, Rcode: rcode, Zone: zone, Reader: q.Reader, Duration: Untimed,
	}
	if outcome != Hit || q.ID%timedHits == 0 {
		e.Duration = time.Since(q.Start)
	}
	c.cfg.Observe(e)
}

// Drop removes all entries that carry at least one of the tags and returns how many there were. What the
// Source has begun to look up before is answered, but not kept.
func (c *Cache) Drop(tags ...string) int {
	now := time.Now()
	c.drops.add(tags, now, now.Add(-c.cfg.Timeout-grace))
	return c.store.Drop(tags...)
}

// Stats returns what the Cache is doing.
func (c *Cache) Stats() Stats {
	return Stats{Flights: c.flights.count(), Shed: c.shed.Load()}
}

// Close waits until no call of the Source is under way. When ctx ends first, it cancels them and returns
// the context's error. Requests that come late are still answered, but nothing is stored any more: the
// Store may by then serve another Cache.
func (c *Cache) Close(ctx context.Context) error {
	select {
	case <-c.flights.drain():
		return nil
	case <-ctx.Done():
		c.cancel()
		return ctx.Err()
	}
}
