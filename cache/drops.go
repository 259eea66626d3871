package cache

import (
	"sync"
	"time"
)

// maxDrops bounds the tags that a dropLog remembers.
const maxDrops = 4096

// dropLog remembers which tags were dropped while flights were under way: what the Source found before
// a drop must not be stored after it.
type dropLog struct {
	mu  sync.Mutex
	at  map[string]time.Time
	all time.Time // all tags count as dropped then
}

// add remembers that the tags are dropped now. No flight that is still under way began before oldest.
func (d *dropLog) add(tags []string, now, oldest time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at == nil {
		d.at = make(map[string]time.Time)
	}
	for _, tag := range tags {
		if len(d.at) >= maxDrops {
			d.prune(now, oldest)
		}
		d.at[tag] = now
	}
}

func (d *dropLog) prune(now, oldest time.Time) {
	for tag, at := range d.at {
		if at.Before(oldest) {
			delete(d.at, tag)
		}
	}
	if len(d.at) >= maxDrops/2 { // so that it is long until the next time
		clear(d.at)
		d.all = now
	}
}

// unlessDropped calls store if none of the tags was dropped since then. No drop is remembered while it
// runs, so that a Store.Drop after add finds what it stored.
func (d *dropLog) unlessDropped(tags []string, since time.Time, store func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.all.Before(since) {
		return
	}
	for _, tag := range tags {
		if at, ok := d.at[tag]; ok && !at.Before(since) {
			return
		}
	}
	store()
}
