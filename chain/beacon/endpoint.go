package beacon

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"dens/chain/light"
)

// Bounds of what an endpoint may send, in bytes. A header with its branches is some 4 KiB of JSON, a
// committee of 512 some 50 KiB; three to five times that allows for white space and later forks.
const (
	maxHeadBody   = 32 << 10
	maxPeriodBody = 192 << 10 // of a bootstrap, and of each period's update
)

// maxPeriods is how many periods are asked for in one request. The API allows 128.
const maxPeriods = 16

// peer is an endpoint in use.
type peer struct {
	name   string
	client *client
	health health
}

// newPeers checks the endpoints and gives names to those that have none.
func newPeers(ctx context.Context, cfg Config) ([]*peer, error) {
	taken := make(map[string]bool, len(cfg.Endpoints))
	peers := make([]*peer, 0, len(cfg.Endpoints))
	for i, e := range cfg.Endpoints {
		addr, err := parseAddress(e.URL)
		if err != nil {
			return nil, fmt.Errorf("beacon endpoint %d: %w", i+1, err)
		}
		name, host := e.Name, strings.ToLower(addr.url.Host)
		if name == "" {
			name = host
		}
		if strings.EqualFold(name, host) {
			addr.showHost()
		}
		unique := name
		for n := 2; taken[unique]; n++ {
			unique = name + " #" + strconv.Itoa(n)
		}
		taken[unique] = true
		peers = append(peers, &peer{name: unique, client: newClient(ctx, addr, e.Dial, cfg.Timeout)})
	}
	return peers, nil
}

// get makes one request.
func (p *peer) get(ctx context.Context, what, query string, limit int64) ([]byte, error) {
	p.health.request()
	return p.client.get(ctx, what, query, limit)
}

// bootstrap is a task: it begins with the checkpoint, unless another one has done so meanwhile.
func (c *Client) bootstrap(p *peer) error {
	body, err := p.get(c.ctx, "bootstrap/"+c.cfg.Checkpoint.Hex(), "", maxPeriodBody)
	if err != nil {
		return err
	}
	b, err := light.DecodeBootstrap(c.cfg.Network, body)
	if err != nil {
		return p.client.judge(err)
	}
	store, err := light.NewStore(c.cfg.Network, c.cfg.Checkpoint, b)
	if err != nil {
		return p.client.judge(err)
	}
	p.health.works()
	c.core.Lock()
	defer c.core.Unlock()
	if c.store == nil {
		c.store, c.dirty = store, true
		c.publish(p.name)
	}
	return nil
}

// periods returns a task that fetches the updates of count periods from start on, and hands the committees
// over.
func (c *Client) periods(start, count uint64) task {
	count = min(count, c.cfg.batch)
	query := fmt.Sprintf("start_period=%d&count=%d", start, count)
	return func(p *peer) error {
		body, err := p.get(c.ctx, "updates", query, int64(count)*maxPeriodBody)
		if err != nil {
			return err
		}
		updates, err := light.DecodeUpdates(c.cfg.Network, body)
		if err != nil {
			return p.client.judge(err)
		}
		for _, u := range updates {
			_, err := c.apply(p, u)
			if errors.Is(err, light.ErrPastPeriod) {
				continue // another endpoint has brought it meanwhile
			}
			if err != nil {
				return p.client.judge(err)
			}
		}
		if next, left := c.missing(); left > 0 && next == start {
			return &failure{kind: absent, text: fmt.Sprintf("it has no update that hands over the committee of period %d", start)}
		}
		p.health.works()
		c.core.Lock()
		defer c.core.Unlock()
		c.dirty = true
		return nil
	}
}

// head is a task: it fetches the newest block, and the newest finalised one when that may have changed.
func (c *Client) head(p *peer) error {
	body, err := p.get(c.ctx, "optimistic_update", "", maxHeadBody)
	if f := (*failure)(nil); errors.As(err, &f) && f.kind == absent {
		return &failure{kind: broken, text: f.text} // whoever serves this API has a head
	}
	if err != nil {
		return err
	}
	u, err := light.DecodeOptimisticUpdate(c.cfg.Network, body)
	if err != nil {
		return p.client.judge(err)
	}
	first, err := c.apply(p, u)
	if err != nil {
		return p.client.judge(err)
	}
	if c.finalityDue(c.cfg.now()) {
		if err := c.finality(p); err != nil && !isKind(err, absent) {
			return err
		}
	}
	p.health.succeeded(u.Slot(), c.headSlot(), first)
	return nil
}

// finality fetches the newest finalised block.
func (c *Client) finality(p *peer) error {
	body, err := p.get(c.ctx, "finality_update", "", maxHeadBody)
	if err != nil {
		return err
	}
	u, err := light.DecodeFinalityUpdate(c.cfg.Network, body)
	if err != nil {
		return p.client.judge(err)
	}
	if _, err = c.apply(p, u); err != nil {
		return p.client.judge(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.view.answered = true
	return nil
}

// apply verifies u and takes over what it proves. first says that it is the newest block so far. The error
// is the core's own, or that of tooOld.
func (c *Client) apply(p *peer, u *light.Update) (first bool, err error) {
	c.core.Lock()
	defer c.core.Unlock()
	now := c.cfg.now()
	if err := c.tooOld(now); err != nil { // the machine may have slept since this was asked for
		return false, err
	}
	if _, err := c.store.Apply(u, now); err != nil {
		return false, err
	}
	return c.publish(p.name), nil
}
