package cache

import (
	"bytes"
	"hash/maphash"
	"slices"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
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

// Memory is a Store in memory: shards, each with a lock of its own, that forget what was not used for
// longest. The bounds are divided among the shards.
type Memory struct {
	seed   maphash.Seed
	hash   func(maphash.Seed, []byte) uint64
	shards []shard
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
	n := len(m.shards)
	for i := range m.shards {
		m.shards[i].resize(max((cfg.Entries+n-1)/n, 1), max(cfg.MaxBytes/int64(n), 1))
	}
}

func (m *Memory) shard(key []byte) (*shard, uint64) {
	sum := m.hash(m.seed, key)
	return &m.shards[sum&uint64(len(m.shards)-1)], sum
}

// Get returns the entry with the key, fresh or not.
func (m *Memory) Get(key []byte) (*Entry, bool) {
	s, sum := m.shard(key)
	return s.get(sum, key)
}

// Set keeps an entry in place of the one with the same key. An entry that is too large, or has too many
// tags to be found by, is not kept; and neither is the one that it would have replaced.
func (m *Memory) Set(e *Entry) {
	s, sum := m.shard(e.Key)
	s.set(sum, e)
}

// Drop removes all entries that carry at least one of the tags and returns how many there were.
func (m *Memory) Drop(tags ...string) int {
	n := 0
	for i := range m.shards {
		n += m.shards[i].drop(tags)
	}
	return n
}

// DropBelow removes all entries whose question is for one of the names or for a name below it, and returns
// how many there were. Names are in wire form and lower case. It looks at every entry.
func (m *Memory) DropBelow(names ...[]byte) int {
	n := 0
	for i := range m.shards {
		n += m.shards[i].dropBelow(names)
	}
	return n
}

// Stats sums up the shards.
func (m *Memory) Stats() MemoryStats {
	var st MemoryStats
	for i := range m.shards {
		m.shards[i].addStats(&st)
	}
	return st
}

// shard is an LRU list by hash of key, with an index from tags to hashes that has exactly the entries
// that are in the list. Two keys of one hash push each other out.
type shard struct {
	mu         sync.Mutex
	lru        *simplelru.LRU[uint64, *Entry]
	tags       map[string]map[uint64]struct{}
	maxEntries int
	maxBytes   int64
	bytes      int64
	evictions  uint64
}

func (s *shard) init() {
	// The list's own bound is never reached: room is made here, where the index is known.
	s.lru, _ = simplelru.NewLRU[uint64, *Entry](1<<31-1, nil) // fails for sizes below 1 only
	s.tags = make(map[string]map[uint64]struct{})
}

func (s *shard) get(sum uint64, key []byte) (*Entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.lru.Get(sum)
	if !ok || !bytes.Equal(e.Key, key) {
		return nil, false
	}
	return e, true
}

func (s *shard) set(sum uint64, e *Entry) {
	size := e.size()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(sum)
	if size > s.maxBytes || len(e.Tags) > MaxTags {
		return
	}
	s.shrink(s.maxEntries-1, s.maxBytes-size)
	s.lru.Add(sum, e)
	s.bytes += size
	for _, tag := range e.Tags {
		set := s.tags[tag]
		if set == nil {
			set = make(map[uint64]struct{}, 1)
			s.tags[tag] = set
		}
		set[sum] = struct{}{}
	}
}

// remove takes an entry out of the list and the index.
func (s *shard) remove(sum uint64) bool {
	e, ok := s.lru.Peek(sum)
	if !ok {
		return false
	}
	s.lru.Remove(sum)
	s.bytes -= e.size()
	for _, tag := range e.Tags {
		set := s.tags[tag]
		delete(set, sum)
		if len(set) == 0 {
			delete(s.tags, tag)
		}
	}
	return true
}

// shrink evicts the oldest until the bounds hold.
func (s *shard) shrink(entries int, size int64) {
	for s.lru.Len() > entries || s.bytes > size {
		sum, _, ok := s.lru.GetOldest()
		if !ok {
			return
		}
		s.remove(sum)
		s.evictions++
	}
}

func (s *shard) resize(entries int, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxEntries, s.maxBytes = entries, size
	s.shrink(entries, size)
}

func (s *shard) drop(tags []string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, tag := range tags {
		for sum := range s.tags[tag] {
			if s.remove(sum) {
				n++
			}
		}
	}
	return n
}

func (s *shard) dropBelow(names [][]byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, sum := range s.lru.Keys() {
		e, ok := s.lru.Peek(sum)
		if ok && slices.ContainsFunc(names, func(name []byte) bool { return below(e.Key, name) }) && s.remove(sum) {
			n++
		}
	}
	return n
}

// below reports whether a key's name is that name, or ends in it after a whole label.
func below(key, name []byte) bool {
	for off := 0; off < len(key); off += 1 + int(key[off]) {
		if bytes.HasPrefix(key[off:], name) {
			return true
		}
		if key[off] == 0 {
			break
		}
	}
	return false
}

func (s *shard) addStats(st *MemoryStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Entries += s.lru.Len()
	st.Bytes += s.bytes
	st.Evictions += s.evictions
}
