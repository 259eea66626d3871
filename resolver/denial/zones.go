package denial

import (
	"time"
)

const (
	// sample is how many zones compete for being evicted.
	sample = 16
	// sweepEvery is how often what has expired is looked for.
	sweepEvery = 5 * time.Minute
)

// enclosing returns the deepest zone with proofs that n is in; nil when there is none.
func (c *Cache) enclosing(n []byte, now time.Time) *zone {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for {
		if z := c.zones[string(n)]; z != nil && z.alive(now) {
			return z
		}
		if len(n) == 1 {
			return nil
		}
		n = parent(n)
	}
}

// known returns the zone at apex if it has proofs.
func (c *Cache) known(apex []byte, now time.Time) *zone {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if z := c.zones[string(apex)]; z != nil && z.alive(now) {
		return z
	}
	return nil
}

// zone returns the zone at apex, a new one if need be.
func (c *Cache) zone(apex []byte, text string) *zone {
	c.mu.Lock()
	defer c.mu.Unlock()
	z := c.zones[string(apex)]
	if z == nil {
		z = newZone(apex, text)
		c.zones[z.apex] = z
	}
	return z
}

// shrink evicts zones that were not used for long until the Cache is within its bounds again. keep is not
// evicted; by itself it is within them.
func (c *Cache) shrink(keep *zone) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.zones) > c.cfg.Zones || int(c.records.Load()) > c.cfg.Records {
		var oldest *zone
		seen := 0
		for _, z := range c.zones { // in no order: a sample
			if z == keep {
				continue
			}
			if oldest == nil || z.used.Load() < oldest.used.Load() {
				oldest = z
			}
			if seen++; seen == sample {
				break
			}
		}
		if oldest == nil {
			return
		}
		c.evicted.Add(uint64(c.drop(oldest)))
	}
}

// drop takes z out; it needs c.mu. It returns the number of z's records.
func (c *Cache) drop(z *zone) int {
	count := z.close()
	c.records.Add(-int64(count))
	delete(c.zones, z.apex)
	return count
}

// sweep drops what has expired, now and then. Nothing expired is ever used; this frees its memory.
func (c *Cache) sweep(now time.Time) {
	c.mu.Lock()
	if now.Sub(c.swept) < sweepEvery {
		c.mu.Unlock()
		return
	}
	c.swept = now
	rest := make([]*zone, 0, len(c.zones))
	for _, z := range c.zones {
		if z.alive(now) {
			rest = append(rest, z)
		} else {
			c.drop(z)
		}
	}
	c.mu.Unlock()
	for _, z := range rest {
		c.records.Add(-int64(z.expire(now)))
	}
}
