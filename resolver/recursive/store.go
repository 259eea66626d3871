package recursive

import (
	"container/list"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// store remembers values, up to a number of them and to a weight in bytes. What is used again by a later
// question is kept apart: names that somebody makes up, each of them used once, push out one another and
// not what others need. It is safe for concurrent use.
//
//	add -> fresh --used again, not at once--> proven --too many--> fresh --too many--> forgotten
type store[K, V comparable] struct {
	most, bytes int
	weigh       func(V) int
	now         func() time.Time

	mu     sync.Mutex
	items  map[K]*list.Element // of *stored, in one of the lists
	fresh  segment
	proven segment
}

// segment is a list of values, the one that was used last in front.
type segment struct {
	list.List
	bytes int
}

type stored[K, V comparable] struct {
	key    K
	value  V
	weight int
	since  time.Time
	in     *segment
}

const (
	soonAfter = 2 * time.Second // a use that soon is part of what the value was stored for
	heaviest  = 16              // a value that alone is this part of the weight is not remembered
)

func newStore[K, V comparable](most, bytes int, weigh func(V) int, now func() time.Time) *store[K, V] {
	return &store[K, V]{most: most, bytes: bytes, weigh: weigh, now: now, items: make(map[K]*list.Element)}
}

// get returns what is stored under key.
func (s *store[K, V]) get(key K) (v V, ok bool) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.items[key]
	if !ok {
		return v, false
	}
	it := e.Value.(*stored[K, V])
	if it.in == &s.fresh && now.Sub(it.since) >= soonAfter {
		s.move(e, &s.proven)
		s.trim()
	} else {
		it.in.MoveToFront(e)
	}
	return it.value, true
}

// add stores v under key, in the place of what was there.
func (s *store[K, V]) add(key K, v V) {
	now, weight := s.now(), s.weigh(v)
	s.mu.Lock()
	defer s.mu.Unlock()
	in := &s.fresh
	if e, ok := s.items[key]; ok {
		in = e.Value.(*stored[K, V]).in // it is in use, whatever its value
		s.drop(e)
	}
	if weight > s.bytes/heaviest {
		return
	}
	s.put(&stored[K, V]{key: key, value: v, weight: weight, since: now}, in)
	s.trim()
}

// remove forgets v, if that is what is stored under key.
func (s *store[K, V]) remove(key K, v V) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.items[key]; ok && e.Value.(*stored[K, V]).value == v {
		s.drop(e)
	}
}

// len returns how many values are stored, and their weight.
func (s *store[K, V]) len() (values, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.items), s.fresh.bytes + s.proven.bytes
}

func (s *store[K, V]) put(it *stored[K, V], in *segment) {
	it.in = in
	in.bytes += it.weight
	s.items[it.key] = in.PushFront(it)
}

func (s *store[K, V]) drop(e *list.Element) *stored[K, V] {
	it := e.Value.(*stored[K, V])
	it.in.Remove(e)
	it.in.bytes -= it.weight
	delete(s.items, it.key)
	return it
}

func (s *store[K, V]) move(e *list.Element, to *segment) { s.put(s.drop(e), to) }

// trim makes room: three quarters of it are for what was used again.
func (s *store[K, V]) trim() {
	for s.proven.Len() > s.most*3/4 || s.proven.bytes > s.bytes/4*3 {
		s.move(s.proven.Back(), &s.fresh)
	}
	for len(s.items) > s.most || s.fresh.bytes+s.proven.bytes > s.bytes {
		oldest := s.fresh.Back()
		if oldest == nil {
			oldest = s.proven.Back()
		}
		s.drop(oldest)
	}
}

// What values take of memory beside their data, about.
const (
	valueBytes  = 512
	recordBytes = 256
	hostBytes   = 128
)

// weightOf is about what records take of memory: their data as text, in the worst case.
func weightOf(rrs []dns.RR) int {
	n := 0
	for _, rr := range rrs {
		n += recordBytes + 3*dns.Len(rr)
	}
	return n
}

// weight is that of a response and of the judgement that may come to it.
func (r *response) weight() int { return valueBytes + weightOf(r.Answer) + weightOf(r.Ns) }

func (c *cut) weight() int {
	n := valueBytes + weightOf(c.referral) + hostBytes*len(c.servers)
	for _, host := range c.hosts {
		n += hostBytes + len(host) + hostBytes*len(c.glue[host])
	}
	return n
}
