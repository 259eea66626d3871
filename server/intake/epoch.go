package intake

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// epochs hands out contexts that end by themselves. All requests of one second share a context, so that
// a deadline costs no timer and no allocation per request; it comes up to a second late.
type epochs struct {
	base context.Context
	now  atomic.Pointer[epoch]
	mu   sync.Mutex // held to make the next epoch
}

type epoch struct {
	ctx   context.Context
	start time.Time
	life  time.Duration
}

const epochLength = time.Second

// context returns one that ends after life, or up to a second later.
func (e *epochs) context(life time.Duration) context.Context {
	if ep := e.now.Load(); ep.serves(life) {
		return ep.ctx
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if ep := e.now.Load(); ep.serves(life) {
		return ep.ctx
	}
	ep := &epoch{start: time.Now(), life: life}
	// The timer ends the context: whoever holds it may outlive this epoch, so nobody may cancel it.
	ctx, cancel := context.WithTimeout(e.base, life+epochLength)
	context.AfterFunc(ctx, cancel)
	ep.ctx = ctx
	e.now.Store(ep)
	return ep.ctx
}

func (ep *epoch) serves(life time.Duration) bool {
	return ep != nil && ep.life == life && time.Since(ep.start) < epochLength
}
