package intake

import "sync/atomic"

// Counter counts what happens for each query, in several places, lest all cores write to one. The zero value
// is ready.
type Counter struct {
	stripes [16]stripe
}

type stripe struct {
	n atomic.Uint64
	_ [56]byte // to the end of a cache line
}

// Add counts one of a reader's (wire.Query.Reader).
func (c *Counter) Add(reader uint8) { c.stripes[int(reader)%len(c.stripes)].n.Add(1) }

// Load returns how many were counted.
func (c *Counter) Load() (n uint64) {
	for i := range c.stripes {
		n += c.stripes[i].n.Load()
	}
	return n
}
