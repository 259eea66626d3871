package intake

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"net/netip"
	"sync"
)

// rateTable bounds what each key gets. It remembers a fixed number of keys.
type rateTable struct {
	cost int64 // nanoseconds of one request
	room int64 // nanoseconds that a burst may run ahead
	slip int   // as RateConfig.Slip
	seed [2]uint64
	sets []rateSet
}

// rateSet is one row of the table: keys whose hash begins alike. It is small enough that finding one and the
// one to forget is a walk over it, and what each request needs is in its first two cache lines.
//
// The buckets are leaky, in the form of the generic cell rate algorithm: full is when all that was let
// through will have been paid for, in nanoseconds since RateLimit.start; 0 where there is no key.
type rateSet struct {
	mu      sync.Mutex
	tags    [rateWays]uint32 // the end of the hash of each key
	_       [64 - 8 - 4*rateWays]byte
	full    [rateWays]int64
	cookies [rateWays]int64  // likewise, of those that got BADCOOKIE
	over    [rateWays]uint32 // requests over the rate that got TC or nothing
	_       [64 - 4*rateWays]byte
}

const rateWays = 8

func newRateTable(cost, room int64, conf *RateConfig) *rateTable {
	t := &rateTable{cost: cost, room: room, slip: conf.Slip, sets: make([]rateSet, (conf.Networks+rateWays-1)/rateWays)}
	var seed [16]byte
	rand.Read(seed[:]) //nolint:errcheck // it never fails
	t.seed = [2]uint64{binary.LittleEndian.Uint64(seed[:]), binary.LittleEndian.Uint64(seed[8:])}
	return t
}

// rateKey is a network: an address without its host bits, of IPv4 in the mapped form, which no IPv6 address of
// a client has after Unmap.
type rateKey struct{ hi, lo uint64 }

// newRateKey returns the network of an address that is unmapped. The zero Addr is in one of its own.
func newRateKey(addr netip.Addr, bits4, bits6 int) rateKey {
	a := addr.As16()
	keep := bits6
	if addr.Is4() {
		keep = 96 + bits4
	}
	k := rateKey{binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(a[8:])}
	// A shift by 64 leaves nothing.
	k.hi &= ^uint64(0) << (64 - min(keep, 64))
	k.lo &= ^uint64(0) << (128 - max(keep, 64))
	return k
}

// find returns the set of a key, and what tells it from the others there. The seed keeps strangers from
// finding networks that share a set.
func (t *rateTable) find(k rateKey) (*rateSet, uint32) {
	hi, lo := bits.Mul64(k.hi^t.seed[0], k.lo^t.seed[1])
	hi, lo = bits.Mul64(hi^lo^t.seed[1], t.seed[0]|1)
	row, _ := bits.Mul64(hi^lo, uint64(len(t.sets)))
	return &t.sets[row], uint32(hi ^ lo)
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
func (t *rateTable) take(key rateKey, cookie bool, now int64) rateVerdict {
	set, tag := t.find(key)
	set.mu.Lock()
	defer set.mu.Unlock()
	i := set.way(tag)
	if pay(&set.full[i], t.cost, t.room, now) {
		return rateOK
	}
	if cookie && pay(&set.cookies[i], t.cost/provenFactor, t.room, now) {
		return rateCookie
	}
	set.over[i]++
	if t.slip > 0 && set.over[i]%uint32(t.slip) == 0 {
		return rateSlip
	}
	return rateDrop
}

// charge counts a long reply as n requests more, after it was sent. What is owed never grows beyond another
// burst, however many such replies were under way.
func (t *rateTable) charge(key rateKey, n, now int64) {
	set, tag := t.find(key)
	set.mu.Lock()
	defer set.mu.Unlock()
	full := &set.full[set.way(tag)]
	*full = max(*full, min(max(*full, now)+n*t.cost, now+2*t.room))
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

// way finds the key, or puts it where the one was that has been within its rate for longest.
func (s *rateSet) way(tag uint32) int {
	least := 0
	for i, full := range s.full {
		if s.tags[i] == tag && full != 0 {
			return i
		}
		if full < s.full[least] {
			least = i
		}
	}
	s.tags[least], s.full[least], s.cookies[least], s.over[least] = tag, 0, 0, 0
	return least
}
