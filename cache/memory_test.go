package cache

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

func kept(key string, tags ...string) *Entry {
	return &Entry{Key: []byte(key), Wire: make([]byte, 100), TTL: time.Hour, Tags: tags}
}

func (m *Memory) has(key string) bool {
	e, ok := m.Get([]byte(key))
	return ok && string(e.Key) == key
}

// checkIndex compares each shard's index and its sum of sizes with its entries.
func checkIndex(t *testing.T, m *Memory) {
	t.Helper()
	for i := range m.shards {
		s := &m.shards[i]
		var bytes int64
		places := 0
		for _, sum := range s.lru.Keys() {
			e, _ := s.lru.Peek(sum)
			bytes += e.size()
			unique := map[string]bool{}
			for _, tag := range e.Tags {
				unique[tag] = true
				if _, ok := s.tags[tag][sum]; !ok {
					t.Fatalf("%q is not found by %q", e.Key, tag)
				}
			}
			places += len(unique)
		}
		for tag, set := range s.tags {
			if len(set) == 0 {
				t.Fatalf("an empty set is left for %q", tag)
			}
			places -= len(set)
		}
		if places != 0 || bytes != s.bytes || s.lru.Len() > s.maxEntries || s.bytes > s.maxBytes {
			t.Fatalf("shard %d: %d places too few, %d bytes counted as %d, %d entries", i, places, bytes, s.bytes, s.lru.Len())
		}
	}
}

func TestDropBelow(t *testing.T) {
	const tail = "\x00\x01\x00\x01\x00" // type, class and variant of a key
	key := func(name string) string { return name + "\x00" + tail }
	m := NewMemory(MemoryConfig{Entries: 100_000})
	gone := []string{key("\x03eth"), key("\x05alice\x03eth"), key("\x01a\x05alice\x03eth"), key("\x03a.b\x03eth"), key("\x01x\x04corp\x07example")}
	stays := []string{key(""), key("\x03org"), key("\x04beth"), key("\x03eth\x03org"), key("\x05x\x03eth\x03org"), key("\x07example"), key("\x05xcorp\x07example")}
	for _, k := range append(append([]string(nil), gone...), stays...) {
		m.Set(kept(k, "tag", k))
	}
	if n := m.DropBelow([]byte("\x03eth\x00"), []byte("\x04corp\x07example\x00")); n != len(gone) {
		t.Errorf("%d entries dropped, want %d", n, len(gone))
	}
	for _, k := range gone {
		if m.has(k) {
			t.Errorf("%q is still there", k)
		}
	}
	for _, k := range stays {
		if !m.has(k) {
			t.Errorf("%q is gone", k)
		}
	}
	checkIndex(t, m)
	if n := m.DropBelow(); n != 0 {
		t.Errorf("%d entries dropped for no name", n)
	}
	if n := m.DropBelow([]byte{0}); n != len(stays) || m.Stats().Entries != 0 {
		t.Errorf("%d entries dropped below the root, want all %d", n, len(stays))
	}
}

func TestEviction(t *testing.T) {
	m := NewMemory(MemoryConfig{Entries: 3})
	for _, key := range []string{"a", "b", "c"} {
		m.Set(kept(key, "all", key))
	}
	m.Get([]byte("a"))
	m.Set(kept("d", "all", "d"))
	if m.has("b") || !m.has("a") || !m.has("c") || !m.has("d") {
		t.Error("the one that was not used for longest should be gone, and it alone")
	}
	m.Set(kept("d", "new"))
	if st := m.Stats(); st.Entries != 3 || st.Evictions != 1 {
		t.Errorf("%+v: to replace is not to evict", st)
	}
	if n := m.Drop("b", "d"); n != 0 {
		t.Errorf("%d dropped by tags that nothing has any more", n)
	}
	if n := m.Drop("new", "all", "new"); n != 3 {
		t.Errorf("%d dropped, want 3", n)
	}
	checkIndex(t, m)
}

func TestBytes(t *testing.T) {
	large := kept("large", "tag")
	large.Wire = make([]byte, 65535)
	m := NewMemory(MemoryConfig{Entries: 1000, MaxBytes: 200_000})
	for i := range 10 {
		e := *large
		e.Key = fmt.Appendf(nil, "large%d", i)
		m.Set(&e)
	}
	if st := m.Stats(); st.Entries != 3 || st.Bytes > 200_000 || st.Evictions != 7 {
		t.Errorf("%+v", st)
	}
	checkIndex(t, m)
	m.Resize(MemoryConfig{Entries: 1000, MaxBytes: 100_000})
	if st := m.Stats(); st.Entries != 1 || !m.has("large9") {
		t.Errorf("%+v", st)
	}
	m.Resize(MemoryConfig{Entries: 1000, MaxBytes: 60_000})
	m.Set(large)
	if st := m.Stats(); st.Entries != 0 || st.Bytes != 0 {
		t.Errorf("%+v: larger than all there is", st)
	}
	checkIndex(t, m)
}

func TestTooManyTags(t *testing.T) {
	m := NewMemory(MemoryConfig{})
	m.Set(kept("a", "old"))
	m.Set(kept("a", make([]string, MaxTags+1)...))
	if m.has("a") {
		t.Error("an entry that cannot be found by its tags was kept, or its forerunner was")
	}
	m.Set(kept("a", "twice", "twice"))
	if n := m.Drop("twice"); n != 1 {
		t.Errorf("%d dropped, want 1", n)
	}
	checkIndex(t, m)
}

func TestCollision(t *testing.T) {
	m := NewMemory(MemoryConfig{})
	m.hash = func(maphash.Seed, []byte) uint64 { return 42 }
	m.Set(kept("alice", "node:alice"))
	if m.has("bob") {
		t.Fatal("bob got alice's entry")
	}
	if e, ok := m.Get([]byte("bob")); ok {
		t.Fatalf("%+v", e)
	}
	m.Set(kept("bob", "node:bob"))
	if m.has("alice") || !m.has("bob") {
		t.Error("the later one counts")
	}
	if n := m.Drop("node:alice"); n != 0 {
		t.Errorf("bob was dropped as alice")
	}
	checkIndex(t, m)
}

func TestShardsAreFew(t *testing.T) {
	tests := []struct {
		cfg  MemoryConfig
		want int
	}{
		{MemoryConfig{}, 64},
		{MemoryConfig{Entries: 1}, 1},
		{MemoryConfig{Entries: 1024}, 4},
		{MemoryConfig{MaxBytes: 1 << 20}, 2},
	}
	for _, tt := range tests {
		m := NewMemory(tt.cfg)
		if len(m.shards) != tt.want {
			t.Errorf("%+v: %d shards, want %d", tt.cfg, len(m.shards), tt.want)
		}
	}
}

func TestMemoryConcurrently(t *testing.T) {
	m := NewMemory(MemoryConfig{Entries: 2000, MaxBytes: 2 << 20})
	var wg sync.WaitGroup
	for g := range 4 {
		rnd := rand.New(rand.NewPCG(1, uint64(g)))
		wg.Go(func() {
			for range 5000 {
				n := rnd.IntN(4000)
				key := fmt.Sprintf("key%d", n)
				switch rnd.IntN(20) {
				case 0:
					m.Drop(fmt.Sprintf("node:%d", n))
				case 1, 2, 3, 4, 5, 6, 7, 8:
					m.Set(kept(key, fmt.Sprintf("node:%d", n), fmt.Sprintf("zone:%d", n%7)))
				default:
					if e, ok := m.Get([]byte(key)); ok && string(e.Key) != key {
						t.Errorf("asked for %s, got %s", key, e.Key)
					}
				}
			}
			m.Resize(MemoryConfig{Entries: 1000 + 100*g, MaxBytes: 2 << 20})
		})
	}
	wg.Wait()
	checkIndex(t, m)
	for i := range 7 {
		m.Drop(fmt.Sprintf("zone:%d", i))
	}
	if st := m.Stats(); st.Entries != 0 || st.Bytes != 0 {
		t.Errorf("%+v", st)
	}
	checkIndex(t, m)
}
