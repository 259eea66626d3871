package denial

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dens/dnssec"
)

// zone is what is known about one zone: one chain, the newest, as far as it is known. Its records are in
// order and do not overlap; where a new one contradicts an old one, the old one goes.
type zone struct {
	apex   string // wire form
	text   string
	labels int          // of apex
	used   atomic.Int64 // the time of the last use, in ns
	soa    atomic.Pointer[start]

	mu       sync.RWMutex
	closed   bool // dropped from the Cache
	chain    chain
	apexHash [20]byte
	hand     int // where the next record to evict is looked for
}

func newZone(apex []byte, text string) *zone {
	var at [128]uint8
	return &zone{apex: string(apex), text: text, labels: starts(apex, &at)}
}

// alive says whether z can answer at all.
func (z *zone) alive(now time.Time) bool {
	s := z.soa.Load()
	return s != nil && now.Before(s.expires)
}

// add takes in the records of a response and its SOA, nil when there was none. It returns by how many
// records z has grown.
func (z *zone) add(ch chain, s *start, now time.Time, c *Cache) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.closed {
		return 0
	}
	before := len(z.chain.records)
	if s != nil {
		z.soa.Store(s)
	} else if s = z.soa.Load(); s == nil {
		return 0
	}
	if !z.chain.same(&ch) || before == 0 { // a new salt, or another kind of denial
		z.chain = chain{hashed: ch.hashed, iterations: ch.iterations, salt: ch.salt}
		if ch.hashed {
			z.apexHash = dnssec.HashWire([]byte(z.apex), ch.iterations, ch.salt)
		}
	}
	for _, r := range ch.records {
		if end := now.Add(s.limit); end.Before(r.expires) {
			r.expires = end
		}
		z.insert(r)
	}
	for len(z.chain.records) > c.cfg.ZoneRecords {
		z.evict(now)
		c.evicted.Add(1)
	}
	return len(z.chain.records) - before
}

// insert puts r into its place, instead of the record that was there and of those that contradict it: r
// says that nothing is between its ends, and that its owner is there.
func (z *zone) insert(r *record) {
	list := z.chain.records
	i := z.search([]byte(r.key))
	if i >= 0 && list[i].key == r.key {
		list = slices.Delete(list, i, i+1)
		i--
	} else if len(list) > 0 {
		p := i
		if p < 0 {
			p = len(list) - 1
		}
		if list[p].spans([]byte(r.key)) {
			list = slices.Delete(list, p, p+1)
			if p <= i {
				i--
			}
		}
	}
	list = slices.Insert(list, i+1, r)
	i++
	z.chain.records = list
	end := z.search([]byte(r.next)) // the last that is not after r.next
	if end >= 0 && list[end].key == r.next {
		end--
	}
	if r.key < r.next {
		list = slices.Delete(list, i+1, end+1)
	} else {
		list = slices.Delete(list, i+1, len(list))
		list = slices.Delete(list, 0, end+1)
	}
	z.chain.records = list
}

// evict drops one record: the next that has expired or was of no use since the last time round.
func (z *zone) evict(now time.Time) {
	for {
		if z.hand >= len(z.chain.records) {
			z.hand = 0
		}
		r := z.chain.records[z.hand]
		if !r.used.Swap(false) || !now.Before(r.expires) {
			z.chain.records = slices.Delete(z.chain.records, z.hand, z.hand+1)
			return
		}
		z.hand++
	}
}

// expire drops the records that have expired and returns how many they were.
func (z *zone) expire(now time.Time) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	before := len(z.chain.records)
	z.chain.records = slices.DeleteFunc(z.chain.records, func(r *record) bool { return !now.Before(r.expires) })
	return before - len(z.chain.records)
}

// close empties z for good and returns the number of its records.
func (z *zone) close() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	count := len(z.chain.records)
	z.closed = true
	z.chain.records = nil
	z.soa.Store(nil)
	return count
}

// search returns the index of the record at k, or the last before it; -1 when all are after it.
func (z *zone) search(k []byte) int {
	low, high := 0, len(z.chain.records)
	for low < high {
		mid := int(uint(low+high) / 2)
		if z.chain.records[mid].key <= string(k) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low - 1
}

// find returns the record at k, or else the one that spans k; nil when neither is known.
func (z *zone) find(k []byte, now time.Time) (r *record, at bool) {
	if len(z.chain.records) == 0 {
		return nil, false
	}
	i := z.search(k)
	if i < 0 {
		i = len(z.chain.records) - 1
	}
	r = z.chain.records[i]
	if !now.Before(r.expires) {
		return nil, false
	}
	if r.key == string(k) {
		return r, true
	}
	if r.spans(k) {
		return r, false
	}
	return nil, false
}
