package cache

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"time"
	"unsafe"

	"dens/internal/wire"
)

// TestSize measures what entries take, against what is said of them.
func TestSize(t *testing.T) {
	if n := unsafe.Sizeof(Packed{}); n > 80 {
		t.Errorf("an entry is %d octets, and Go's allocator makes more of it", n)
	}
	c := New(nil, nil, Config{})
	tests := []struct {
		story string
		tags  int
		text  string
		most  int64 // octets that an entry may take in all
	}{
		{story: "a reply with an address", most: 200},
		{story: "an answer from a chain", tags: 5, text: "ens: proven: optimistic", most: 400},
	}
	for _, tt := range tests {
		const entries = 20_000
		before := live()
		m := NewMemory(MemoryConfig{Entries: entries})
		for i := range entries {
			key := keyOf(fmt.Sprintf("host%06d-example", i))
			msg := wire.AppendFailure(nil, key, wire.RcodeSuccess)
			msg[7] = 1
			msg = append(msg, 0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1)
			e := Entry{Wire: msg, TTL: time.Hour, HasEDE: tt.text != "", EDEText: tt.text, Zone: "onchain"}
			for n := range tt.tags {
				e.Tags = append(e.Tags, fmt.Sprintf("node:%d:%d", i, n))
			}
			p, err := c.prepare(string(key), e, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			m.Set(p)
		}
		each := (live() - before) / entries
		said := m.Stats().Bytes / entries
		t.Logf("%s: %d octets, said to be %d", tt.story, each, said)
		over := 1.25
		if strconv.IntSize == 32 {
			over = 1.5 // pointers are counted as on 64 bits
		}
		if each > tt.most || said < each*9/10 || float64(said) > float64(each)*over {
			t.Errorf("%s: %d octets, said to be %d, want at most %d", tt.story, each, said, tt.most)
		}
		if n := m.Stats().Entries; n != entries {
			t.Errorf("%d entries are kept, want %d", n, entries)
		}
	}
}

func live() int64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// BenchmarkDrop drops one tag of a million entries, each of which has five.
func BenchmarkDrop(b *testing.B) {
	const entries = 1_000_000
	for _, tags := range []int{0, 5} {
		m := NewMemory(MemoryConfig{Entries: entries, MaxBytes: 1 << 30})
		for i := range entries {
			var list []string
			for n := range tags {
				list = append(list, fmt.Sprintf("node:%d:%d", i, n))
			}
			m.Set(kept(fmt.Sprintf("host%d", i), list...))
		}
		b.Run(fmt.Sprintf("%d tags", tags), func(b *testing.B) {
			longest := time.Duration(0)
			for b.Loop() {
				start := time.Now()
				m.shards[0].drop(newTagSet([]string{"node:1"}))
				longest = max(longest, time.Since(start))
				m.Drop("node:1")
			}
			b.ReportMetric(float64(longest.Microseconds()), "µs-of-one-shard")
		})
		b.Run(fmt.Sprintf("below/%d tags", tags), func(b *testing.B) {
			for b.Loop() {
				m.DropBelow([]byte("\x07example\x00"))
			}
		})
	}
}
