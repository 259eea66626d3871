package cache

import (
	"strings"
	"sync"
	"sync/atomic"
)

// shard is a part of a Memory, by hash of the key, that evicts by S3-FIFO (Yang et al., "FIFO queues are all
// you need for cache eviction", SOSP 2023):
//
//	new -> small -- asked for often --> main -- asked for since the last sweep --> main
//	         |                            |
//	         +--> ghosts -- comes back -->+--> gone
//
// What is asked for but once or twice passes through small, a tenth of the shard, and leaves main alone: a flood of
// random names cannot push out what is popular. A hit changes a counter in the entry, and nothing else.
type shard struct {
	table atomic.Pointer[table]
	moves atomic.Uint32 // odd while entries move to a larger table
	_     [48]byte      // what is read for each hit, apart from what changes

	mu          sync.Mutex
	small, main queue
	ghosts      ghosts
	tagged      *extra // the newest of those that have tags
	evictions   uint64
	_           [16]byte // the next shard's part that is read begins a cache line
}

const (
	firstChains = 64
	smallShare  = 10 // small is evicted from while it is more than one of so many parts
	promoting   = 2  // hits that an entry in small needs for main: to ask for random names twice is not enough
	maxSweep    = 64 // entries that an eviction looks at, before it takes any
)

func (s *shard) init() {
	s.table.Store(newTable(firstChains))
	s.ghosts.grow(firstChains)
}

func (s *shard) get(hash uint32, key []byte) *Packed {
	moves := s.moves.Load()
	if p := s.table.Load().find(hash, key); p != nil {
		return p
	}
	if moves&1 == 0 && s.moves.Load() == moves {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Load().find(hash, key)
}

func (s *shard) len() int { return s.small.n + s.main.n }

func (s *shard) queue(p *Packed) *queue {
	if p.queue == inMain {
		return &s.main
	}
	return &s.small
}

// put adds p, or puts it in the place of old, which has its key, or is nil.
func (s *shard) put(old, p *Packed) {
	if old != nil {
		// Renewed is asked for again.
		p.queue = old.queue
		p.state.Store(min(old.state.Load()&maxFreq+freqOne, maxFreq))
		s.queue(p).replace(old, p)
		s.table.Load().replace(old, p)
		s.untag(old)
		old.queue = inNone
	} else {
		p.queue = inSmall
		if s.ghosts.take(p.hash) {
			p.queue = inMain
		}
		s.queue(p).push(p)
		s.table.Load().add(p)
	}
	s.tag(p)
	if n := len(s.table.Load().chains); s.len() > n {
		s.grow(2 * n)
	}
}

func (s *shard) grow(n int) {
	larger := newTable(n)
	s.moves.Add(1)
	s.table.Load().moveTo(larger)
	s.table.Store(larger)
	s.moves.Add(1)
	s.ghosts.grow(n)
}

// remove takes p, which is in the shard, out of it.
func (s *shard) remove(p *Packed) {
	s.queue(p).remove(p)
	s.table.Load().replace(p, nil)
	s.untag(p)
	p.queue = inNone
}

// evict removes one entry, but not the one to keep, and returns it, or nil when there is no other.
func (s *shard) evict(keep *Packed) *Packed {
	for range maxSweep {
		p := s.candidate(keep)
		if p == nil {
			return nil
		}
		freq := p.state.Load() & maxFreq
		switch {
		case p.queue == inSmall && freq >= promoting:
			p.forget(freq)
			s.requeue(p, inMain)
		case p.queue == inMain && freq > 0:
			p.forget(freqOne)
			s.requeue(p, inMain)
		default:
			return s.expel(p)
		}
	}
	return s.expel(s.candidate(keep))
}

// candidate returns what is next to go out unless it was asked for, but not the one to keep.
func (s *shard) candidate(keep *Packed) *Packed {
	queues := [...]*queue{&s.main, &s.small}
	if s.small.n*smallShare >= s.len() || s.small.bytes*smallShare >= s.small.bytes+s.main.bytes {
		queues = [...]*queue{&s.small, &s.main}
	}
	for _, q := range queues {
		p := q.oldest
		if p != nil && p == keep {
			p = p.newer
		}
		if p != nil {
			return p
		}
	}
	return nil
}

func (s *shard) requeue(p *Packed, to queueName) {
	s.queue(p).remove(p)
	p.queue = to
	s.queue(p).push(p)
}

func (s *shard) expel(p *Packed) *Packed {
	if p.queue == inSmall {
		s.ghosts.add(p.hash)
	}
	s.remove(p)
	s.evictions++
	return p
}

// forget lowers the frequency by n, which it has. A hit at the same time may be lost.
func (p *Packed) forget(n uint32) {
	for {
		state := p.state.Load()
		if p.state.CompareAndSwap(state, state-min(n, state&maxFreq)) {
			return
		}
	}
}

// tag adds p to the list of what has tags.
func (s *shard) tag(p *Packed) {
	x := p.extra
	if x == nil || len(x.tags) == 0 {
		return
	}
	x.older, x.newer = s.tagged, nil
	if s.tagged != nil {
		s.tagged.newer = x
	}
	s.tagged = x
}

func (s *shard) untag(p *Packed) {
	x := p.extra
	if x == nil || len(x.tags) == 0 {
		return
	}
	if x.newer != nil {
		x.newer.older = x.older
	} else {
		s.tagged = x.older
	}
	if x.older != nil {
		x.older.newer = x.newer
	}
	x.older, x.newer = nil, nil
}

// drop removes what carries one of the tags and returns what it was worth.
func (s *shard) drop(tags tagSet) (n int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := s.tagged; x != nil; {
		older := x.older
		if tags.meets(x.tags) {
			n, bytes = n+1, bytes+x.owner.size()
			s.remove(x.owner)
		}
		x = older
	}
	return n, bytes
}

// dropBelow removes what is for one of the names, or a name below it, and returns what it was worth.
func (s *shard) dropBelow(names []string) (n int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range []*queue{&s.small, &s.main} {
		for p := q.oldest; p != nil; {
			newer := p.newer
			if below(p.name(), names) {
				n, bytes = n+1, bytes+p.size()
				s.remove(p)
			}
			p = newer
		}
	}
	return n, bytes
}

// below reports whether a question's name is one of the names, or ends in it after a whole label.
func below(question string, names []string) bool {
	for off := 0; off < len(question); off += 1 + int(question[off]) {
		for _, name := range names {
			if strings.HasPrefix(question[off:], name) {
				return true
			}
		}
		if question[off] == 0 {
			break
		}
	}
	return false
}
