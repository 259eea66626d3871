package beacon

import (
	"errors"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// task asks one endpoint for something. Its error is a failure.
type task func(*peer) error

// race lets endpoints do a task in their order: the next one when the one before failed, was not enough, or
// takes long. It returns when it was enough or all have ended. Those that were overtaken go on for as long
// as a request may take: what they bring is taken over, and how they did is noted.
func (c *Client) race(peers []*peer, do task, enough func(error) bool) {
	ended := make(chan error, len(peers))
	var over atomic.Bool
	defer over.Store(true)
	hedge := time.NewTimer(c.hedge())
	defer hedge.Stop()
	running := 0
	next := func() {
		for len(peers) > 0 {
			p := peers[0]
			peers = peers[1:]
			if c.spawn(p, do, func(err error) {
				ended <- err // it has room for each peer
				if over.Load() {
					c.late(err)
				}
			}) {
				running++
				hedge.Reset(c.hedge())
				return
			}
		}
	}
	for next(); running > 0; {
		select {
		case err := <-ended:
			running--
			if enough(err) {
				return
			}
			next()
		case <-hedge.C:
			next()
		case <-c.ctx.Done():
			return
		}
	}
}

// hedge is how long an endpoint may take before the next one is asked too.
func (c *Client) hedge() time.Duration {
	return max(min(c.cfg.Timeout/4, c.cfg.Network.SlotTime/4), 50*time.Millisecond)
}

// spawn lets p do a task in the background, unless it is at one, and calls ended. Only run calls it.
func (c *Client) spawn(p *peer, do task, ended func(error)) bool {
	if !p.health.take(c.cfg.now()) {
		return false
	}
	c.tasks.Go(func() {
		err := c.guarded(p, do)
		var f *failure
		if errors.As(err, &f) {
			p.health.failed(f, c.cfg.now(), c.cfg.chance())
		}
		p.health.give()
		ended(err)
	})
	return true
}

// late is called for a task that nobody has waited for. When it went well while others had trouble there is
// somebody to ask again.
func (c *Client) late(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && (c.view.trouble != nil || !c.view.synced) {
		c.nudge()
	}
}

// nudge makes run go on at once.
func (c *Client) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// guarded does a task. A panic over what a stranger sent must not end the server.
func (c *Client) guarded(p *peer, do task) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			c.cfg.Log.Error("panic over the answer of a beacon endpoint", slog.String("endpoint", p.name),
				slog.Any("panic", cause), slog.String("stack", string(debug.Stack())))
			err = &failure{kind: broken, text: "its answer could not be read"}
		}
	}()
	return do(p)
}
