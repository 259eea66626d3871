package cache

import "sync/atomic"

// table finds a shard's entries by hash. Readers take no lock: they walk chains that the one who holds the
// shard's lock changes a link at a time, so that each walk ends, and finds what is in the chain all along.
type table struct {
	chains []atomic.Pointer[Packed] // a power of two
}

func newTable(n int) *table { return &table{chains: make([]atomic.Pointer[Packed], n)} }

func (t *table) chain(hash uint32) *atomic.Pointer[Packed] {
	return &t.chains[int(hash)&(len(t.chains)-1)]
}

func (t *table) find(hash uint32, key []byte) *Packed {
	for p := t.chain(hash).Load(); p != nil; p = p.next.Load() {
		if p.hash == hash && p.has(key) {
			return p
		}
	}
	return nil
}

func (t *table) add(p *Packed) {
	first := t.chain(p.hash)
	p.next.Store(first.Load())
	first.Store(p)
}

// replace puts p, which has the same hash, in the place of old; nil takes old out. Whoever stands at old goes
// on from there.
func (t *table) replace(old, p *Packed) {
	after := old.next.Load()
	if p != nil {
		p.next.Store(after)
		after = p
	}
	link := t.chain(old.hash)
	for at := link.Load(); at != old; at = link.Load() {
		link = &at.next
	}
	link.Store(after)
}

// moveTo moves all entries to another table. Readers may miss them meanwhile, in both.
func (t *table) moveTo(other *table) {
	for i := range t.chains {
		for p := t.chains[i].Load(); p != nil; {
			after := p.next.Load()
			other.add(p)
			p = after
		}
	}
}

// ghosts remembers hashes of what went out lately: each until another takes its place.
type ghosts struct {
	seen []uint32 // a power of two; 0 is none
}

func (g *ghosts) grow(n int) {
	old := g.seen
	g.seen = make([]uint32, n)
	for _, hash := range old {
		g.add(hash)
	}
}

func (g *ghosts) add(hash uint32) { g.seen[int(hash)&(len(g.seen)-1)] = hash }

// take reports whether the hash is remembered, and forgets it.
func (g *ghosts) take(hash uint32) bool {
	at := &g.seen[int(hash)&(len(g.seen)-1)]
	if hash == 0 || *at != hash {
		return false
	}
	*at = 0
	return true
}
