package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"dens/chain"
	"dens/chain/beacon"
	"dens/chain/ccip"
	"dens/chain/pool"
	"dens/chain/quorum"
	"dens/chain/verify"
	"dens/configs"
	"dens/internal/dial"
	"dens/resolver"
)

// chainStack is what answers calls to one chain, with all that it has learned: heads, proven state, code. A
// reload that does not change its configuration keeps it.
type chainStack struct {
	name     string
	cfg      chainConfig
	source   chain.AnchorSource // who vouches for blocks from the start; chain.AnchorNone without trust proven
	why      string             // why that is not the light client, where it could be
	pool     *pool.Pool
	quorum   *quorum.Quorum   // with trust quorum, and with anchor quorum from the start
	light    *lightClient     // with a beacon anchor
	anchors  verify.Anchorer  // with trust proven
	fallback *fallbackAnchors // with a beacon anchor that nobody asked for; nil: none
	verifier *verify.Verifier // with trust proven
	caller   chain.Caller
	hosts    lateResolver // of backends and gateways
	closers  []func()     // in the order of their making
	log      *slog.Logger
	cancel   context.CancelFunc // ends what runs in the background
	running  sync.WaitGroup
	users    int // stacks that have it; only serve's goroutine counts
}

// addChains builds the chains of a configuration, or takes them over from an old stack.
func (s *stack) addChains(cfg *configs.Config, hosts resolver.Resolver, old *stack, onlooker bool) error {
	release, err := parseBuiltIn(checkpoint)
	if err != nil {
		return err
	}
	s.hosts = hosts
	for _, name := range slices.Sorted(maps.Keys(cfg.Chains)) {
		conf, err := newChainConfig(name, cfg.Chains[name], release, hosts != nil, onlooker)
		if err != nil {
			return err // it names the key
		}
		was := old.chain(name)
		if was != nil && reflect.DeepEqual(was.cfg, conf) {
			was.users++
			s.closers, s.chains = append(s.closers, was.release), append(s.chains, was)
			continue
		}
		c, err := newChain(conf, hosts, was, s.log.With("chain", name))
		if err != nil {
			return fmt.Errorf("chain %s: %w", name, err)
		}
		s.closers, s.chains = append(s.closers, c.release), append(s.chains, c)
	}
	return nil
}

// chain returns the chain of that name, nil where there is none.
func (s *stack) chain(name string) *chainStack {
	if s == nil {
		return nil
	}
	for _, c := range s.chains {
		if c.name == name {
			return c
		}
	}
	return nil
}

// newChain builds the Callers of one chain: the stack of them is its trust. The light client of the chain
// that was there before goes on where it is to be the same.
func newChain(cfg chainConfig, hosts resolver.Resolver, was *chainStack, log *slog.Logger) (*chainStack, error) {
	c := &chainStack{name: cfg.name, cfg: cfg, source: cfg.source, why: cfg.why, log: log, users: 1}
	c.hosts.set(hosts)
	if err := c.build(was); err != nil {
		c.release()
		return nil, err
	}
	return c, nil
}

func (c *chainStack) build(was *chainStack) error {
	dialers := newDialers(&c.hosts)
	if err := c.addPool(dialers); err != nil {
		return err
	}
	c.caller = c.pool
	switch c.cfg.conf.Trust {
	case configs.TrustQuorum:
		if err := c.addQuorum(); err != nil {
			return err
		}
		c.caller = c.quorum
	case configs.TrustProven:
		if err := c.cfg.makeState(); err != nil {
			// What is remembered only saves requests: names are answered without it.
			c.log.Error("nothing will be remembered over a restart", "error", err)
			c.cfg.conf.State, c.cfg.light.state = configs.Secret{}, ""
		}
		if err := c.addAnchors(was); err != nil {
			return err
		}
		if err := c.addVerifier(); err != nil {
			return err
		}
		c.caller = c.verifier
	}
	c.follow(dialers)
	return nil
}

// follow wraps the caller in off-chain look-ups.
func (c *chainStack) follow(dialers dialers) {
	conf := c.cfg.conf
	to := dial.Config{Lookup: dialers.lookupSecured, Allow: dial.Public}
	if conf.CCIP.AllowHTTP {
		to.Lookup = dialers.lookupPlain
	}
	if conf.CCIP.AllowPrivate {
		to.Allow = nil
	}
	follower := ccip.New(c.caller, ccip.Config{
		Dial:         dial.New(to).DialContext,
		AllowHTTP:    conf.CCIP.AllowHTTP,
		AllowPrivate: conf.CCIP.AllowPrivate,
		Timeout:      conf.CCIP.Timeout,
	})
	c.closers = append(c.closers, follower.Close)
	c.caller = follower
}

// release ends the chain when no stack has it any more.
func (c *chainStack) release() {
	if c.users--; c.users > 0 {
		return
	}
	if c.cancel != nil {
		c.cancel()
	}
	for _, end := range slices.Backward(c.closers) {
		end()
	}
	c.running.Wait()
}

// lookupFunc finds the addresses of a host.
type lookupFunc func(context.Context, string) ([]netip.Addr, error)

// dialers connect to backends. Where a certificate shows who is at the other end, the host's addresses need
// not validate: a broken trust anchor or a wrong clock, which make all signed names of the DNS bogus, are no
// harm to names on a chain then.
type dialers struct {
	plain, secured             *dial.Dialer
	lookupPlain, lookupSecured lookupFunc
}

func newDialers(hosts *lateResolver) dialers {
	var d dialers
	d.lookupPlain = func(ctx context.Context, host string) ([]netip.Addr, error) {
		return lookupHost(hosts.get())(ctx, host)
	}
	d.lookupSecured = func(ctx context.Context, host string) ([]netip.Addr, error) {
		return lookupHost(unvalidated(hosts.get()))(ctx, host)
	}
	d.plain, d.secured = dial.New(dial.Config{Lookup: d.lookupPlain}), dial.New(dial.Config{Lookup: d.lookupSecured})
	return d
}

func (d dialers) to(url string) chain.Dialer {
	if strings.HasPrefix(url, "https:") || strings.HasPrefix(url, "wss:") {
		return d.secured.DialContext
	}
	return d.plain.DialContext
}

func (c *chainStack) addPool(dialers dialers) error {
	conf := c.cfg.conf
	poolConf := pool.Config{MaxHeadAge: conf.MaxHeadAge, Timeout: conf.Timeout, Log: c.log}
	for _, rpc := range conf.RPC {
		poolConf.Endpoints = append(poolConf.Endpoints, pool.EndpointConfig{
			Name:          shownName(rpc.Endpoint),
			Operator:      rpc.Operator,
			URL:           rpc.URL,
			HideHost:      rpc.Hidden(),
			ChainID:       conf.ID,
			Rate:          rpc.Rate,
			NoBatch:       !rpc.Batch,
			Dial:          dialers.to(rpc.URL),
			Timeout:       conf.Timeout,
			BlockInterval: conf.BlockTime,
		})
	}
	var err error
	if c.pool, err = pool.New(poolConf); err == nil {
		c.closers = append(c.closers, c.pool.Close)
	}
	return err
}

// shownName is what people see of an endpoint; "" is its host.
func shownName(e configs.Endpoint) string {
	if e.Hidden() {
		return e.Operator
	}
	return ""
}

func hasAddressHost(e configs.Endpoint) bool {
	_, err := netip.ParseAddr(e.Host())
	return err == nil
}

func (c *chainStack) newQuorum() (*quorum.Quorum, error) {
	conf := c.cfg.conf
	var backends []quorum.Backend
	for _, e := range c.pool.Endpoints() {
		backends = append(backends, e)
	}
	return quorum.New(quorum.Config{
		K: conf.Quorum, Backends: backends, MaxHeadAge: conf.MaxHeadAge, Timeout: conf.Timeout,
		Fresh: conf.BlockTime + conf.BlockTime/2, Log: c.log,
	})
}

func (c *chainStack) addQuorum() (err error) {
	if c.quorum, err = c.newQuorum(); err == nil {
		c.closers = append(c.closers, c.quorum.Close)
	}
	return err
}

// addAnchors adds who vouches for the blocks that calls are executed at.
func (c *chainStack) addAnchors(was *chainStack) error {
	if c.source == chain.AnchorBeacon {
		if err := c.addLight(was); err != nil || c.light != nil {
			return err
		}
	}
	if c.source == chain.AnchorTrusted {
		c.anchors = c.pool
		return nil
	}
	if err := c.addQuorum(); err != nil {
		return err
	}
	c.anchors = c.quorum
	return nil
}

// addLight adds the light client, but for one that has nothing but the checkpoint of an old release.
func (c *chainStack) addLight(was *chainStack) error {
	var light *lightClient
	if was != nil && was.light != nil && reflect.DeepEqual(was.light.cfg, c.cfg.light) {
		light = was.light
		light.users++
	} else {
		var err error
		if light, err = newLightClient(c.cfg.light, c.hosts.get(), c.log); err != nil {
			return err
		}
		if expired := c.cfg.expired(light.started); expired != "" && !light.begun() {
			light.release()
			c.source, c.why = chain.AnchorQuorum, expired
			return nil
		}
	}
	c.light, c.anchors = light, light
	c.closers = append(c.closers, light.release)
	if c.cfg.conf.Anchor == configs.AnchorAuto && c.cfg.conf.CanAgree() {
		c.fallback = newFallbackAnchors(c)
		c.closers = append(c.closers, c.fallback.close)
		c.anchors = c.fallback
	}
	return nil
}

func (c *chainStack) addVerifier() (err error) {
	c.verifier, err = verify.New(verify.Config{
		ChainID: c.cfg.conf.ID, Provider: c.pool, Anchors: c.anchors, MaxAnchorAge: c.cfg.conf.MaxHeadAge,
		CodeDir: c.cfg.codeDir(), Timeout: c.cfg.conf.Timeout, Log: c.log,
	})
	if err == nil {
		c.closers = append(c.closers, c.verifier.Close)
	}
	return err
}

// lightClient is a light client that reloads may keep.
type lightClient struct {
	*beacon.Client
	cfg     lightConfig
	started time.Time
	hosts   lateResolver
	users   int // chains that have it; only serve's goroutine counts
}

// begun reports whether the light client has a block to go on from, be it too old: the checkpoint's, or one
// that it remembers.
func (l *lightClient) begun() bool { return l.Status().Finalized.Beacon != nil }

// tooOldAtStart reports whether the block to go on from was too old when the light client began. One that
// became so since was kept from advancing, by somebody or by chance.
func (l *lightClient) tooOldAtStart() bool {
	from := l.Status().Finalized.Beacon
	return from != nil && l.cfg.maxCheckpointAge > 0 && slotAge(l.cfg.network, from.Slot, l.started) > l.cfg.maxCheckpointAge
}

func newLightClient(cfg lightConfig, hosts resolver.Resolver, log *slog.Logger) (*lightClient, error) {
	l := &lightClient{cfg: cfg, started: time.Now(), users: 1}
	l.hosts.set(hosts)
	var err error
	if l.Client, err = beacon.New(cfg.beacon(newDialers(&l.hosts), log)); err != nil {
		return nil, fmt.Errorf("light client: %w", err)
	}
	return l, nil
}

// onlookerPatience is how long dens check and dens lookup wait for a light client that is silent.
const onlookerPatience = 10 * time.Second

// beacon translates the configuration.
func (cfg lightConfig) beacon(dialers dialers, log *slog.Logger) beacon.Config {
	conf := beacon.Config{
		Network: cfg.network, Checkpoint: cfg.checkpoint, Finalized: cfg.finalized,
		MaxCheckpointAge: cfg.maxCheckpointAge, MaxHeadAge: cfg.maxHeadAge,
		State: cfg.state, ReadOnly: cfg.readOnly, Log: log,
	}
	if cfg.readOnly { // who looks on has nobody waiting, and may have to find the endpoints' hosts first
		conf.Patience = onlookerPatience
	}
	for _, e := range cfg.endpoints {
		conf.Endpoints = append(conf.Endpoints, beacon.Endpoint{URL: e.URL, Name: shownName(e.Endpoint), Dial: dialers.to(e.URL)})
	}
	return conf
}

// release ends the light client when no chain has it any more.
func (l *lightClient) release() {
	if l.users--; l.users == 0 {
		l.Close()
	}
}
