package cache

import (
	"hash/maphash"
	"sync/atomic"
)

// MemoryConfig bounds a Memory.
type MemoryConfig struct {
	Entries  int   // 200000
	MaxBytes int64 // 256 MiB; an estimate that counts the index too
}

func (c MemoryConfig) withDefaults() MemoryConfig {
	if c.Entries <= 0 {
		c.Entries = 200000
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = 256 << 20
	}
	return c
}

// Memory is a Store in memory: shards that are read without a lock, each with one for changes. The bounds are
// those of all shards together.
type Memory struct {
	seed   maphash.Seed
	hash   func(maphash.Seed, []byte) uint64
	shards []shard

	maxEntries, maxBytes atomic.Int64
	_                    [64]byte
	entries, bytes       atomic.Int64 // what is kept, and what is about to be
}

// MemoryStats is how full a Memory is.
type MemoryStats struct {
	Entries   int
	Bytes     int64
	Evictions uint64 // entries that made room for others, since the start
}

const (
	maxShards     = 64
	shardEntries  = 256       // fewer than these are not divided
	shardMaxBytes = 512 << 10 // a shard takes some of the greatest messages
)

// NewMemory returns an empty Memory.
func NewMemory(cfg MemoryConfig) *Memory {
	cfg = cfg.withDefaults()
	n := 1
	for n < maxShards && cfg.Entries/(2*n) >= shardEntries && cfg.MaxBytes/int64(2*n) >= shardMaxBytes {
		n *= 2
	}
	m := &Memory{seed: maphash.MakeSeed(), hash: maphash.Bytes, shards: make([]shard, n)}
	for i := range m.shards {
		m.shards[i].init()
	}
	m.Resize(cfg)
	return m
}

// Resize changes the bounds, and evicts what is above them.
func (m *Memory) Resize(cfg MemoryConfig) {
	cfg = cfg.withDefaults()
	m.maxEntries.Store(int64(cfg.Entries))
	m.maxBytes.Store(cfg.MaxBytes)
	m.shrink(0)
}

// place returns an entry's shard, and its hash there.
func (m *Memory) place(key []byte) (shard int, hash uint32) {
	sum := m.hash(m.seed, key)
	return int(sum) & (len(m.shards) - 1), uint32(sum >> 32)
}

// Get returns the entry with the key, fresh or not.
func (m *Memory) Get(key []byte) (*Packed, bool) {
	i, hash := m.place(key)
	p := m.shards[i].get(hash, key)
	return p, p != nil
}

// Set keeps p in place of what has the same key. What is too large, or has too many tags, is not kept; and
// neither is what it would have replaced.
func (m *Memory) Set(p *Packed) {
	key := p.key()
	i, hash := m.place(key)
	p.hash = hash
	if m.put(&m.shards[i], key, p) {
		m.shrink(i + 1)
	}
}

// put reports whether there is too much now, and nothing left in the shard to make room.
func (m *Memory) put(s *shard, key []byte, p *Packed) (over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.table.Load().find(p.hash, key)
	if p.size() > m.maxBytes.Load() || p.extra != nil && len(p.extra.tags) > MaxTags {
		if old != nil {
			s.remove(old)
			m.account(-1, -old.size())
		}
		return false
	}
	if old != nil {
		m.account(0, p.size()-old.size())
	} else {
		m.account(1, p.size())
	}
	for over = m.over(); over; over = m.over() {
		if out := s.evict(old); out != nil {
			m.account(-1, -out.size())
			continue
		}
		break
	}
	s.put(old, p)
	return over
}

func (m *Memory) over() bool {
	return m.entries.Load() > m.maxEntries.Load() || m.bytes.Load() > m.maxBytes.Load()
}

func (m *Memory) account(entries int, bytes int64) {
	m.entries.Add(int64(entries))
	m.bytes.Add(bytes)
}

// shrink evicts a few entries of each shard in turn, beginning with one, until the bounds hold.
func (m *Memory) shrink(first int) {
	const few = 16
	for more := true; more && m.over(); {
		more = false
		for i := range m.shards {
			more = m.evict(&m.shards[(first+i)%len(m.shards)], few) || more
		}
	}
}

// evict takes up to n entries out of a shard while the bounds do not hold, and reports whether any was there.
func (m *Memory) evict(s *shard, n int) (some bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; n > 0 && m.over(); n-- {
		out := s.evict(nil)
		if out == nil {
			break
		}
		m.account(-1, -out.size())
		some = true
	}
	return some
}

// Drop removes all entries that carry at least one of the tags and returns how many there were. It looks at
// every entry that has tags; those without cost nothing.
func (m *Memory) Drop(tags ...string) int {
	set := newTagSet(tags)
	return m.dropEach(func(s *shard) (int, int64) { return s.drop(set) })
}

// DropBelow removes all entries whose question is for one of the names or for a name below it, and returns
// how many there were. Names are in wire form and lower case. It looks at every entry.
func (m *Memory) DropBelow(names ...[]byte) int {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = string(name)
	}
	return m.dropEach(func(s *shard) (int, int64) { return s.dropBelow(list) })
}

func (m *Memory) dropEach(drop func(*shard) (int, int64)) int {
	total := 0
	for i := range m.shards {
		n, bytes := drop(&m.shards[i])
		m.account(-n, -bytes)
		total += n
	}
	return total
}

// Stats returns how full the Memory is.
func (m *Memory) Stats() MemoryStats {
	st := MemoryStats{Entries: int(m.entries.Load()), Bytes: m.bytes.Load()}
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		st.Evictions += s.evictions
		s.mu.Unlock()
	}
	return st
}
