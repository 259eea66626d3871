package cache

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/hashicorp/golang-lru/arc/v2"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// policy is a cache of names under one way of eviction.
type policy interface {
	// ask reports whether the name was there, and puts it there if not.
	ask(name uint64) bool
}

type keyed interface {
	Get(uint64) (struct{}, bool)
}

// library is a policy of golang-lru.
type library struct {
	keyed
	add func(uint64)
}

func (l library) ask(name uint64) bool {
	_, ok := l.Get(name)
	if !ok {
		l.add(name)
	}
	return ok
}

// ours is a Memory.
type ours struct{ *Memory }

func (o ours) ask(name uint64) bool {
	label := fmt.Sprintf("n%x", name)
	p, ok := o.Get(keyOf(label))
	if ok {
		p.hit(p.stored)
	} else {
		o.Set(kept(label))
	}
	return ok
}

func policies(t *testing.T, size int) map[string]policy {
	t.Helper()
	simple, err := simplelru.NewLRU[uint64, struct{}](size, nil)
	if err != nil {
		t.Fatal(err)
	}
	twoQueues, err := lru.New2Q[uint64, struct{}](size)
	if err != nil {
		t.Fatal(err)
	}
	adaptive, err := arc.NewARC[uint64, struct{}](size)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]policy{
		"ARC":  library{adaptive, func(name uint64) { adaptive.Add(name, struct{}{}) }},
		"LRU":  library{simple, func(name uint64) { simple.Add(name, struct{}{}) }},
		"2Q":   library{twoQueues, func(name uint64) { twoQueues.Add(name, struct{}{}) }},
		"ours": ours{NewMemory(MemoryConfig{Entries: size})},
	}
}

// TestFlood holds the hit rate of popular names while ten times as many random names come in as the cache
// has room for.
func TestFlood(t *testing.T) {
	const (
		size  = 1024
		names = 4 * size // that are asked for in earnest, by Zipf's law
		calm  = 20 * size
		flood = 10 * size
	)
	for _, flooded := range []struct{ perQuery, times int }{{1, 1}, {10, 1}, {10, 2}} {
		perQuery := flooded.perQuery // random names for each query in earnest
		rates := map[string]float64{}
		for name, p := range policies(t, size) {
			rnd := rand.New(rand.NewPCG(1, 2))
			zipf := rand.NewZipf(rnd, 1.1, 1, names-1)
			run := func(queries, random int) float64 {
				hits := 0
				for range queries {
					if p.ask(zipf.Uint64()) {
						hits++
					}
					for range random {
						one := 1<<63 | rnd.Uint64()
						for range flooded.times {
							p.ask(one)
						}
					}
				}
				return float64(hits) / float64(queries)
			}
			run(calm, 0)
			before := run(calm, 0)
			during := run(flood/perQuery, perQuery)
			t.Logf("%-5s hit rate %.3f, with %2d random names for each query, each %d times, %.3f (%.0f%%), after %.3f", name, before, perQuery, flooded.times, during, 100*during/before, run(size, 0))
			rates[name] = during
			if name == "ours" && during < 0.9*before {
				t.Errorf("the hit rate of popular names fell from %.3f to %.3f", before, during)
			}
		}
		if rates["ours"]+0.01 < max(rates["LRU"], rates["2Q"], rates["ARC"]) {
			t.Errorf("%v: another policy keeps more", rates)
		}
	}
}
