// Package beacon follows the head of Ethereum's consensus by a light client over several beacon endpoints,
// none of which has to be trusted.
//
// What is proven is for package light to say. This package brings it the updates: it asks one endpoint in
// each slot, the next one when that fails, lies, is late or withholds what the clock says is due, and it
// remembers what was proven on disk.
package beacon

import (
	"context"
	"sync"
	"time"

	"dens/chain/light"
)

// Client is a light client. All methods are safe for concurrent use.
//
//	New -> syncing, following -> Close
type Client struct {
	cfg   Config
	peers []*peer
	ctx   context.Context // ends with Close
	stop  context.CancelFunc
	done  chan struct{}  // closed when run has ended
	tasks sync.WaitGroup // requests under way
	wake  chan struct{}  // has one element when run is to go on at once
	start time.Time

	core  sync.Mutex   // guards what follows; held while something is verified, never while waiting
	store *light.Store // nil: no checkpoint yet
	dirty bool         // something new that the state file should hold

	mu   sync.Mutex // guards view; may be taken while core is held, not the other way round
	view view
}

// New checks the configuration, reads the state and begins to follow. It waits for nobody.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, done: make(chan struct{}), wake: make(chan struct{}, 1), start: cfg.now()}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.view.changed = make(chan struct{})
	c.view.used = c.start
	peers, err := newPeers(c.ctx, cfg)
	if err != nil {
		c.stop()
		return nil, err
	}
	c.peers = peers
	c.restore()
	go c.run()
	return c, nil
}

// Close ends the following, waits for it, and writes the state.
func (c *Client) Close() {
	c.stop()
	<-c.done
}
