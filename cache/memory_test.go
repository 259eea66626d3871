package cache

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"dens/internal/wire"
)

// keyOf returns the key to the A record of a name of one label.
func keyOf(label string) []byte {
	return append(append([]byte{byte(len(label))}, label...), "\x00\x00\x01\x00\x01\x00"...)
}

// keptAs makes an entry of 100 octets.
func keptAs(key []byte, tags ...string) *Packed {
	msg := wire.AppendFailure(nil, key, wire.RcodeSuccess)
	if len(msg) < 100 {
		msg = append(msg, make([]byte, 100-len(msg))...)
	}
	return pack(key[len(key)-1], msg, &Entry{TTL: time.Hour, Stored: time.Now(), Tags: tags})
}

func kept(label string, tags ...string) *Packed { return keptAs(keyOf(label), tags...) }

func (m *Memory) has(label string) bool { return m.hasKey(keyOf(label)) }

func (m *Memory) hasKey(key []byte) bool {
	p, ok := m.Get(key)
	return ok && string(p.key()) == string(key)
}

// checkIndex compares each shard's table, queues and tags, and the sums of all.
func checkIndex(t *testing.T, m *Memory) {
	t.Helper()
	var entries, bytes int64
	for i := range m.shards {
		s := &m.shards[i]
		tagged := map[*Packed]bool{}
		for name, q := range map[queueName]*queue{inSmall: &s.small, inMain: &s.main} {
			n, sum := 0, int64(0)
			for p, older := q.oldest, (*Packed)(nil); p != nil; p, older = p.newer, p {
				n, sum = n+1, sum+p.size()
				if got := s.table.Load().find(p.hash, p.key()); got != p || p.queue != name || p.older != older {
					t.Fatalf("%q is in queue %d, and its table has %p, want %d %p", p.key(), p.queue, got, name, p)
				}
				tagged[p] = p.extra != nil && len(p.extra.tags) > 0
			}
			if n != q.n || sum != q.bytes {
				t.Fatalf("%d entries of %d octets counted as %d of %d", n, sum, q.n, q.bytes)
			}
			entries, bytes = entries+int64(n), bytes+sum
		}
		checkTable(t, s, tagged)
	}
	if m.entries.Load() != entries || m.bytes.Load() != bytes || entries > m.maxEntries.Load() || bytes > m.maxBytes.Load() {
		t.Fatalf("%d entries of %d octets counted as %d of %d", entries, bytes, m.entries.Load(), m.bytes.Load())
	}
}

// checkTable compares a shard's table and its list of what has tags with what is in its queues.
func checkTable(t *testing.T, s *shard, tagged map[*Packed]bool) {
	t.Helper()
	n := 0
	for i := range s.table.Load().chains {
		for p := s.table.Load().chains[i].Load(); p != nil; p = p.next.Load() {
			n++
		}
	}
	if n != len(tagged) {
		t.Fatalf("%d entries in the table, %d in queues", n, len(tagged))
	}
	for x, newer := s.tagged, (*extra)(nil); x != nil; x, newer = x.older, x {
		if !tagged[x.owner] || x.newer != newer || x.owner.extra != x {
			t.Fatalf("%q is not in the shard, has no tags, or is listed twice", x.owner.key())
		}
		tagged[x.owner] = false
	}
	for p, missing := range tagged {
		if missing {
			t.Fatalf("%q is not found by its tags", p.key())
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
		m.Set(keptAs([]byte(k), "tag", k))
	}
	if n := m.DropBelow([]byte("\x03eth\x00"), []byte("\x04corp\x07example\x00")); n != len(gone) {
		t.Errorf("%d entries dropped, want %d", n, len(gone))
	}
	for _, k := range gone {
		if m.hasKey([]byte(k)) {
			t.Errorf("%q is still there", k)
		}
	}
	for _, k := range stays {
		if !m.hasKey([]byte(k)) {
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
	if p, _ := m.Get(keyOf("a")); p != nil {
		p.hit(p.stored)
		p.hit(p.stored)
	}
	m.Set(kept("d", "all", "d"))
	if m.has("b") || !m.has("a") || !m.has("c") || !m.has("d") {
		t.Error("the oldest that was not asked for again should be gone, and it alone")
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
	large := func(label string) *Packed {
		return pack(0, append(wire.AppendFailure(nil, keyOf(label), 0), make([]byte, 60000)...), &Entry{TTL: time.Hour, Tags: []string{"tag"}})
	}
	m := NewMemory(MemoryConfig{Entries: 1000, MaxBytes: 200_000})
	for i := range 10 {
		m.Set(large(fmt.Sprintf("large%d", i)))
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
	m.Set(large("large"))
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
	if p, ok := m.Get(keyOf("bob")); ok {
		t.Fatalf("%q", p.key())
	}
	m.Set(kept("bob", "node:bob"))
	if !m.has("alice") || !m.has("bob") {
		t.Error("both have one hash, and should be there")
	}
	if n := m.Drop("node:alice"); n != 1 || m.has("alice") || !m.has("bob") {
		t.Errorf("%d dropped, want alice", n)
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
					if p, ok := m.Get(keyOf(key)); ok && string(p.key()) != string(keyOf(key)) {
						t.Errorf("asked for %s, got %q", key, p.key())
					} else if ok {
						p.hit(p.stored)
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
