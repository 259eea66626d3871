package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"dens/configs"
	"dens/web"
)

// reloadFrom puts the configuration that load returns into force, all or nothing.
func (d *daemonState) reloadFrom(ctx context.Context, load func() (*configs.Config, error)) error {
	cfg, err := load()
	if err != nil {
		return err
	}
	return d.reload(ctx, cfg)
}

// reload builds all that is new before it takes down anything that is old: queries under way end with
// the old generation, and the cache stays, but for the zones whose contracts, chain or quorum have changed.
func (d *daemonState) reload(ctx context.Context, cfg *configs.Config) error {
	old := d.current.Load()
	gen, conf, err := d.newGeneration(cfg)
	if err != nil {
		return err
	}
	plain, err := d.movePlain(old.cfg, cfg)
	if err == nil {
		if err = d.server.Reconfigure(conf); err != nil {
			plain.undo()
		}
	}
	if err != nil {
		gen.stack.close()
		return err
	}
	gen.stack.warmUp(ctx, old.stack)
	d.store.Resize(memoryConfig(cfg))
	d.current.Store(gen)
	gen.stack.takeOver()
	d.server.SetHandler(gen.cache, gen.rate, gen.access)
	gen.stack.announceChains(old.stack)
	plain.apply()
	gen.succeed(old, d)
	d.dropChanged(old, gen)
	d.retire(old)
	d.dropChanged(old, gen) // what the queries have left that were under way
	return nil
}

// dropChanged drops from the cache what the new generation answers in another way than the old one.
func (d *daemonState) dropChanged(old, gen *generation) {
	dropped := 0
	tags := changed(zoneTags(old.cfg, old.stack.checkpoints()), zoneTags(gen.cfg, gen.stack.checkpoints()))
	if len(tags) > 0 {
		dropped += gen.cache.Drop(tags...)
	}
	zones := append(changed(routeKinds(old.cfg), routeKinds(gen.cfg)), changed(old.told(), gen.told())...)
	if len(zones) > 0 {
		var names [][]byte
		for _, zone := range zones {
			names = append(names, wireName(zone))
		}
		dropped += d.store.DropBelow(names...)
	}
	if dropped > 0 {
		d.log.Info("dropped from the cache", "tags", strings.Join(tags, " "), "zones", strings.Join(zones, " "), "entries", dropped)
	}
}

// lateTime is how long a request may have held the old handler without having begun to ask: it is on its
// way between two lines of code, in a goroutine that waits for a processor.
const lateTime = 250 * time.Millisecond

// retire ends an old generation once its queries are answered.
func (d *daemonState) retire(old *generation) {
	time.Sleep(lateTime)
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	if err := old.cache.Close(ctx); err != nil {
		d.log.Warn("queries of the old configuration were cut off", "error", err)
	}
	old.stack.close()
}

func (d *daemonState) endWeb(w *web.Server) {
	if w == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
	defer cancel()
	if err := w.Shutdown(ctx); err != nil {
		d.log.Warn("http listener", "error", err)
	}
}

// moves are the plain HTTP listeners that a reload has opened at other addresses.
type moves struct {
	d    *daemonState
	list []move
}

type move struct {
	at    **web.Server
	fresh *web.Server // nil: none any more
}

// movePlain opens the plain HTTP listeners at their new addresses, all or none.
func (d *daemonState) movePlain(was, is *configs.Config) (*moves, error) {
	m := &moves{d: d}
	for _, l := range []struct {
		at     **web.Server
		was    netip.AddrPort
		is     netip.AddrPort
		listen func(netip.AddrPort) (*web.Server, error)
	}{
		{&d.web, was.Listen.HTTP, is.Listen.HTTP, d.listenWeb},
		{&d.challenge, was.TLS.ACME.HTTP, is.TLS.ACME.HTTP, d.listenChallenge},
	} {
		if l.was == l.is {
			continue
		}
		w, err := l.listen(l.is)
		if err != nil {
			m.undo()
			return nil, err
		}
		m.list = append(m.list, move{l.at, w})
	}
	return m, nil
}

func (m *moves) undo() {
	for _, l := range m.list {
		m.d.endWeb(l.fresh)
	}
}

// apply ends the listeners at the old addresses.
func (m *moves) apply() {
	for _, l := range m.list {
		go m.d.endWeb(*l.at)
		*l.at = l.fresh
	}
}

// warmUp waits, for a bounded time, until what the old stack could answer can be answered by the new one.
func (s *stack) warmUp(ctx context.Context, old *stack) {
	had := map[string]bool{}
	for _, p := range old.parts() {
		had[p.Name] = p.Ready
	}
	waitFor(ctx, warmUpTime, func() bool {
		return !slices.ContainsFunc(s.parts(), func(p web.Part) bool { return had[p.Name] && !p.Ready })
	})
}

// waitReady waits, for a bounded time, until all parts of the stack are ready.
func (s *stack) waitReady(ctx context.Context, limit time.Duration) {
	waitFor(ctx, limit, func() bool {
		return !slices.ContainsFunc(s.parts(), func(p web.Part) bool { return !p.Ready })
	})
}

func waitFor(ctx context.Context, limit time.Duration, ok func() bool) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// changed are the keys of what is not in both maps with one value.
func changed(was, is map[string]string) []string {
	var keys []string
	for key, value := range was {
		if now, ok := is[key]; !ok || now != value {
			keys = append(keys, key)
		}
	}
	for key := range is {
		if _, ok := was[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// routeKinds maps each zone and alias to who answers it, and whether it is validated: one that is added,
// removed, or answered on other grounds has all below it dropped. Upstream servers of one zone count as
// equal; so do authoritative servers.
func routeKinds(cfg *configs.Config) map[string]string {
	r, kinds := &cfg.Resolve, map[string]string{}
	grounds := func(validate bool) string {
		if !validate {
			return ""
		}
		return " validated from " + r.TrustAnchor.Reveal()
	}
	switch {
	case r.Mode == configs.ModeRecursive:
		kinds["."] = "recursive" + grounds(r.Validate)
	case len(r.Forward) > 0:
		kinds["."] = "forward" + grounds(r.Validate)
	}
	for _, z := range r.Zones {
		kinds[z.Zone] = "forward"
		if len(z.Stub) > 0 {
			kinds[z.Zone] = "stub"
		}
		kinds[z.Zone] += grounds(z.Validate)
	}
	for _, zone := range r.NegativeAnchors {
		kinds[zone] += " not validated"
	}
	if r.Private.Refuse {
		kinds["."] += " but for private addresses outside of " + strings.Join(r.Private.Zones, " ")
	}
	for _, n := range cfg.Names {
		for _, zone := range append([]string{n.Zone}, n.Aliases...) {
			kinds[zone] = "names " + n.Zone
		}
	}
	return kinds
}

// wireName packs the name of a zone, which the configuration's check has let through.
func wireName(zone string) []byte {
	buf := make([]byte, 255)
	n, err := dns.PackDomainName(zone, buf, 0, nil, false)
	if err != nil {
		return []byte{0} // the root: better a drop too many
	}
	return buf[:n]
}

// zoneTags maps the cache's tag of each zone to all of the configuration that its answers depend on. That
// is also who vouches for it: what fewer backends said, or another consensus, must not outlive the change.
// checkpoints are those of its chains by name, as read from files.
func zoneTags(cfg *configs.Config, checkpoints map[string]string) map[string]string {
	tags := map[string]string{}
	for _, n := range cfg.Names {
		c := cfg.Chains[n.Chain]
		if c.Trust != configs.TrustQuorum && c.Trust != configs.TrustProven {
			c.Quorum = 1
		}
		data, err := json.Marshal([]any{n, c.ID, c.Trust, c.Quorum, c.Anchor, checkpoints[n.Chain], c.Network})
		if err != nil {
			data = fmt.Append(nil, err) // never equal to what it was: better a drop too many
		}
		tags["zone:"+strings.TrimSuffix(n.Zone, ".")] = string(data)
	}
	return tags
}
