package cache

import (
	"bytes"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"dens/internal/wire"
)

// state is what is learned of an entry while it is kept. All of it is accessed atomically.
type state struct {
	hits    uint32 // counted up to popular
	renewed uint32 // 1 once a prefetch began
	retryAt int64  // Unix nanoseconds before which the Source is not asked again
}

// headerLen is the length of a DNS header (RFC 1035 section 4.1.1).
const headerLen = 12

// popular is how many hits in its life make an entry worth a prefetch.
const popular = 2

var errReply = errors.New("cache: the source's reply is malformed or answers another question")

// prepare makes an entry of the Source's reply to a key's question fit to be kept and sent.
func (c *Cache) prepare(key string, e Entry, now time.Time) (*Entry, error) {
	e.Key = []byte(key)
	layout, ok := wire.ParseReply(e.Wire)
	switch {
	case !ok:
		return nil, errReply
	case layout.NameEnd == 0:
		e.Wire = wire.AppendFailure(nil, e.Key, wire.Rcode(e.Wire)|e.Rcode)
	default:
		question := wire.KeyQuestion(e.Key)
		got := e.Wire[headerLen:layout.QuestionEnd]
		if len(got) != len(question) || !wire.EqualFold(got[:len(got)-4], question[:len(question)-4]) ||
			!bytes.Equal(got[len(got)-4:], question[len(question)-4:]) {
			return nil, errReply
		}
		e.ttls = layout.TTLs
	}
	if cap(e.Wire) > len(e.Wire)+64 {
		e.Wire = bytes.Clone(e.Wire) // no packing buffer is kept alive for a small reply
	}
	e.Tags = slices.Clip(e.Tags)
	if e.Stored.IsZero() || e.Stored.After(now) {
		e.Stored = now
	}
	longest := c.cfg.MaxTTL
	switch {
	case e.Failure:
		longest = min(longest, c.cfg.FailureTTL)
	case layout.Negative:
		longest = min(longest, c.cfg.NegativeTTL)
	}
	e.TTL = min(e.TTL, longest)
	e.limit = uint32(min(longest/time.Second, 1<<31-1))
	e.state = state{}
	return &e, nil
}

// failure makes an entry of SERVFAIL with an extended error for a key's question.
func (c *Cache) failure(key string, code uint16, text string, now time.Time) *Entry {
	return &Entry{
		Wire: wire.AppendFailure(nil, []byte(key), wire.RcodeServerFailure), Key: []byte(key),
		TTL: c.cfg.FailureTTL, Stored: now, Failure: true,
		HasEDE: true, EDECode: code, EDEText: text, Rcode: wire.RcodeServerFailure,
	}
}

func (e *Entry) age(now time.Time) time.Duration { return max(now.Sub(e.Stored), 0) }

func (e *Entry) fresh(now time.Time) bool { return e.age(now) < e.TTL }

// usable reports whether the entry may answer when the Source cannot, for at most stale past its TTL.
func (e *Entry) usable(now time.Time, stale time.Duration) bool {
	return !e.Failure && e.TTL > 0 && e.age(now) < e.TTL+stale
}

// rcode returns the extended rcode in full.
func (e *Entry) rcode() uint16 {
	if e.Rcode > 15 {
		return e.Rcode
	}
	return wire.Rcode(e.Wire)
}

// hit counts a hit and reports whether the entry should be renewed now, which it does but once.
func (e *Entry) hit(now time.Time) bool {
	hits := atomic.LoadUint32(&e.hits)
	if hits < popular {
		hits = atomic.AddUint32(&e.hits, 1)
	}
	if hits < popular || e.Failure || (e.TTL-e.age(now))*10 > e.TTL {
		return false
	}
	return atomic.LoadUint32(&e.renewed) == 0 && atomic.CompareAndSwapUint32(&e.renewed, 0, 1)
}

// hold keeps the Source from being asked again until then.
func (e *Entry) hold(until time.Time) { atomic.StoreInt64(&e.retryAt, until.UnixNano()) }

func (e *Entry) held(now time.Time) bool { return now.UnixNano() < atomic.LoadInt64(&e.retryAt) }

// size estimates the octets that an entry takes in memory, its places in the index included.
func (e *Entry) size() int64 {
	const (
		fixed  = 480 // the Entry, its node in the list and its place in the map
		perTag = 160 // a header, a place in the index, and a set of its own at worst
	)
	n := fixed + cap(e.Wire) + len(e.Key) + len(e.EDEText) + cap(e.Origin) + 2*cap(e.ttls)
	for _, tag := range e.Tags {
		n += perTag + len(tag)
	}
	return int64(n)
}
