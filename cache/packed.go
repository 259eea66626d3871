package cache

import (
	"bytes"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"dens/internal/wire"
)

// Packed is one reply as a Store keeps it. What the cache reads never changes, but for state and retry. There
// may be millions: keep it within 80 octets, which is a size class of Go's allocator.
type Packed struct {
	next atomic.Pointer[Packed] // in the shard's table

	wire   string // the reply, its question in lower case, its TTLs capped
	extra  *extra // what most replies do not have, or nil
	stored int64  // Unix nanoseconds

	older, newer *Packed // in the shard's queue

	hash  uint32        // in the shard's table
	ttl   uint32        // milliseconds
	retry atomic.Uint32 // milliseconds after stored, before which the Source is not asked again
	state atomic.Uint32 // what is learned while it is kept

	edeCode uint16
	flags   uint8
	zone    Zone
	queue   queueName
}

// extra is the part of a reply that is rare: on-chain answers have it, and failures.
type extra struct {
	edeText string
	origin  []byte
	tags    []uint64 // hashes by tagSeed
	rcode   uint16   // when above 15

	older, newer *extra // in the shard's list of what has tags
	owner        *Packed
}

const (
	flagFailure = 1 << iota
	flagEDE
	flagVariant // and above: the octet that ends the key
)

const variantShift = 2

// The fields of Packed.state.
const (
	freqOne  = 1      // hits since a sweep of the queue came by, up to maxFreq
	maxFreq  = 3      //
	hitOne   = 1 << 2 // hits in its life, up to popular
	hitMask  = 3 << 2 //
	renewing = 1 << 4 // a prefetch began
)

// headerLen is the length of a DNS header (RFC 1035 section 4.1.1).
const headerLen = 12

// popular is how many hits in its life make an entry worth a prefetch.
const popular = 2

// maxSkew is how far an entry may come from the future, before the clock counts as set back and the entry's
// age as unknown.
const maxSkew = int64(time.Minute)

var errReply = errors.New("cache: the source's reply is malformed or answers another question")

// prepare packs the Source's reply to a key's question.
func (c *Cache) prepare(key string, e Entry, now time.Time) (*Packed, error) {
	msg, layout, err := answerTo([]byte(key), &e)
	if err != nil {
		return nil, err
	}
	longest := c.cfg.MaxTTL
	switch {
	case e.Failure:
		longest = min(longest, c.cfg.FailureTTL)
	case layout.Negative:
		longest = min(longest, c.cfg.NegativeTTL)
	}
	wire.CapTTLs(msg, layout.QuestionEnd, uint32(min(longest/time.Second, math.MaxInt32)))
	e.TTL = min(e.TTL, longest)
	if e.Stored.IsZero() || e.Stored.After(now) {
		e.Stored = now
	}
	return pack(key[len(key)-1], msg, &e), nil
}

// answerTo returns a copy of the message in a Source's reply, as an answer to a key's question.
func answerTo(key []byte, e *Entry) ([]byte, wire.Layout, error) {
	layout, ok := wire.ParseReply(e.Wire)
	question := wire.KeyQuestion(key)
	if ok && layout.NameEnd == 0 {
		msg := wire.AppendFailure(nil, key, wire.Rcode(e.Wire)|e.Rcode)
		layout.NameEnd, layout.QuestionEnd = len(msg)-4, len(msg)
		return msg, layout, nil
	}
	if !ok || layout.QuestionEnd != headerLen+len(question) {
		return nil, layout, errReply
	}
	msg := bytes.Clone(e.Wire)
	name, rest := msg[headerLen:layout.NameEnd], msg[layout.NameEnd:layout.QuestionEnd]
	if !wire.EqualFold(name, question[:len(name)]) || !bytes.Equal(rest, question[len(name):]) {
		return nil, layout, errReply
	}
	copy(name, question)
	return msg, layout, nil
}

// pack packs an entry, but with msg in the place of its message.
func pack(variant byte, msg []byte, e *Entry) *Packed {
	p := &Packed{
		wire: string(msg), stored: e.Stored.UnixNano(), ttl: millis(e.TTL), edeCode: e.EDECode,
		flags: variant << variantShift, zone: zoneOf(e.Zone),
	}
	if e.Failure {
		p.flags |= flagFailure
	}
	if e.HasEDE {
		p.flags |= flagEDE
	}
	if e.EDEText == "" && len(e.Origin) == 0 && len(e.Tags) == 0 && e.Rcode <= 15 {
		return p
	}
	p.extra = &extra{edeText: e.EDEText, origin: bytes.Clone(e.Origin), rcode: e.Rcode, owner: p}
	if len(e.Tags) > 0 {
		p.extra.tags = make([]uint64, len(e.Tags))
		for i, tag := range e.Tags {
			p.extra.tags[i] = tagHash(tag)
		}
	}
	return p
}

// millis rounds up, so that only zero is zero.
func millis(d time.Duration) uint32 {
	return uint32(min((max(d, 0)+time.Millisecond-1)/time.Millisecond, math.MaxUint32))
}

// failure packs SERVFAIL with an extended error for a key's question.
func (c *Cache) failure(key string, code uint16, text string, now time.Time) *Packed {
	e := c.failed(key, code, text)
	e.Stored = now
	return pack(key[len(key)-1], e.Wire, &e)
}

// failed makes the Source's reply where it has none.
func (c *Cache) failed(key string, code uint16, text string) Entry {
	return Entry{
		Wire: wire.AppendFailure(nil, []byte(key), wire.RcodeServerFailure), TTL: c.cfg.FailureTTL,
		Failure: true, HasEDE: true, EDECode: code, EDEText: text,
	}
}

// key returns the key that p has. It is made anew, since it is rarely asked for.
func (p *Packed) key() []byte {
	end := headerLen
	for p.wire[end] != 0 {
		end += 1 + int(p.wire[end])
	}
	return append([]byte(p.wire[headerLen:end+5]), p.flags>>variantShift)
}

// has reports whether p is what the key stands for.
func (p *Packed) has(key []byte) bool {
	n := len(key) - 1
	return len(p.wire) >= headerLen+n && p.wire[headerLen:headerLen+n] == string(key[:n]) && p.flags>>variantShift == key[n]
}

// name returns the question's name and all that follows it.
func (p *Packed) name() string { return p.wire[headerLen:] }

func (p *Packed) failure() bool { return p.flags&flagFailure != 0 }

// age returns how old p is, in nanoseconds.
func (p *Packed) age(now int64) int64 {
	age := now - p.stored
	if age >= 0 {
		return age
	}
	if age < -maxSkew {
		return math.MaxInt64
	}
	return 0
}

// life returns the TTL in nanoseconds.
func (p *Packed) life() int64 { return int64(p.ttl) * int64(time.Millisecond) }

func (p *Packed) fresh(now int64) bool { return p.age(now) < p.life() }

// usable reports whether p may answer when the Source cannot, for at most stale past its TTL.
func (p *Packed) usable(now int64, stale time.Duration) bool {
	return !p.failure() && p.ttl > 0 && p.age(now) < p.life()+int64(stale)
}

// rcode returns the extended rcode in full.
func (p *Packed) rcode() uint16 {
	if p.extra != nil && p.extra.rcode > 15 {
		return p.extra.rcode
	}
	return uint16(p.wire[3]) & 0xf
}

// hit counts a hit and reports whether p should be renewed now, which it does but once.
func (p *Packed) hit(now int64) bool {
	state := p.state.Load()
	next := state
	if next&maxFreq < maxFreq {
		next += freqOne
	}
	if next&hitMask < popular*hitOne {
		next += hitOne
	}
	if next&hitMask >= popular*hitOne && next&renewing == 0 && !p.failure() && (p.life()-p.age(now))*10 <= p.life() {
		next |= renewing
	}
	if next == state {
		return false
	}
	// One that lost against another hit is not counted: this need not be exact, but for who renews.
	return p.state.CompareAndSwap(state, next) && next&renewing > state&renewing
}

// hold keeps the Source from being asked again until then.
func (p *Packed) hold(until int64) {
	if d := until - p.stored; d >= 0 {
		p.retry.Store(millis(time.Duration(d)))
	}
}

func (p *Packed) held(now int64) bool {
	return now < p.stored+int64(p.retry.Load())*int64(time.Millisecond)
}

// size estimates the octets that p takes in memory, with its share of the shard's table.
func (p *Packed) size() int64 {
	const (
		fixed = 80 + 24 // the struct; its places in a table and in the ghosts, which are as large again at worst
		more  = 96      // of extra
	)
	n := fixed + allocated(len(p.wire))
	if x := p.extra; x != nil {
		n += more + allocated(len(x.edeText)) + allocated(len(x.origin)) + allocated(8*len(x.tags))
	}
	return int64(n)
}

// allocated is about what Go's allocator takes for n octets.
func allocated(n int) int {
	if n > 256 {
		n += n / 16
	}
	return (n + 15) &^ 15
}
