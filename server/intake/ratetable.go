package intake

import (
	"hash/maphash"
	"sync"
)

// rateTable bounds the requests of each key. It remembers a fixed number of keys.
type rateTable struct {
	cost int64 // nanoseconds of one request
	room int64 // nanoseconds that a burst may run ahead
	slip int   // as RateConfig.Slip
	seed maphash.Seed
	sets []rateSet
}

// rateSet is one row of the table: keys whose hash is the same. It is small enough that finding one
// and the one to forget is a walk over it.
type rateSet struct {
	mu   sync.Mutex
	ways [8]rateEntry
}

// rateEntry has leaky buckets in the form of the generic cell rate algorithm: full is when all that
// was let through will have been paid for, in nanoseconds since RateLimit.start.
type rateEntry struct {
	key     [16]byte
	full    int64
	cookies int64  // likewise, of those that got BADCOOKIE
	over    uint32 // requests over the rate that got TC or nothing
}

func newRateTable(cost, room int64, conf *RateConfig) *rateTable {
	return &rateTable{
		cost: cost,
		room: room,
		slip: conf.Slip,
		seed: maphash.MakeSeed(),
		sets: make([]rateSet, (conf.Networks+7)/8),
	}
}

// rateVerdict is what becomes of a request.
type rateVerdict uint8

const (
	rateOK     rateVerdict = iota
	rateCookie             // BADCOOKIE
	rateSlip               // TC
	rateDrop
)

// take counts one request. Those over the rate that have a client cookie get BADCOOKIE, whose source may
// be forged as well, and which therefore has a bound of its own: the victim of a flood gets no more
// packets than a client might.
func (t *rateTable) take(key [16]byte, cookie bool, now int64) rateVerdict {
	set := &t.sets[maphash.Comparable(t.seed, key)%uint64(len(t.sets))]
	set.mu.Lock()
	defer set.mu.Unlock()
	e := set.entry(key)
	if pay(&e.full, t.cost, t.room, now) {
		return rateOK
	}
	if cookie && pay(&e.cookies, t.cost/provenFactor, t.room, now) {
		return rateCookie
	}
	e.over++
	if t.slip > 0 && e.over%uint32(t.slip) == 0 {
		return rateSlip
	}
	return rateDrop
}

// pay adds cost to a bucket, unless it would run more than room ahead of now.
func pay(full *int64, cost, room, now int64) bool {
	from := max(*full, now)
	if from+cost-now > room {
		return false
	}
	*full = from + cost
	return true
}

// entry finds the key, or puts it where the one was that has been within its rate for longest.
func (s *rateSet) entry(key [16]byte) *rateEntry {
	least := &s.ways[0]
	for i := range s.ways {
		e := &s.ways[i]
		if e.key == key && e.full != 0 {
			return e
		}
		if e.full < least.full {
			least = e
		}
	}
	*least = rateEntry{key: key}
	return least
}
