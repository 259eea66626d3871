package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"

	"dens/configs"
	"dens/dnssec"
	"dens/ens"
	"dens/internal/dial"
	"dens/reply"
	"dens/resolver"
	"dens/resolver/discovery"
	"dens/resolver/forward"
	"dens/resolver/onchain"
	"dens/resolver/private"
	"dens/resolver/recursive"
	"dens/resolver/special"
	"dens/resolver/validate"
)

// stack is everything below the cache, as one configuration asks for it: who answers which zone, over
// which upstream servers and chains. A reload builds a new one.
type stack struct {
	source   *reply.Source
	router   *resolver.Router
	engine   *engine
	upstream resolver.Resolver // the servers that all is forwarded to; nil: none
	forwards []forwardGroup
	judges   []*judge // of what upstream servers say
	own      []string // zones with servers of their own
	guards   []string // zones that are not answered for want of trust anchors
	chains   []*chainStack
	hosts    resolver.Resolver                      // finds the hosts of backends and gateways; nil: nobody does
	closers  []func()                               // in the order of their making
	offer    atomic.Pointer[func() discovery.Offer] // what clients are told of the encrypted listeners; nil: nothing
	log      *slog.Logger
}

// forwardGroup is the upstream servers of one zone.
type forwardGroup struct {
	zone string
	*forward.Forwarder
}

// newStack builds the stack of a configuration and starts to follow its backends. It waits for nobody.
// What old has learned stays, where the configuration allows; nil is none. An onlooker's stack is for a
// few questions, beside a server that may be running.
func newStack(cfg *configs.Config, old *stack, onlooker bool, log *slog.Logger) (_ *stack, err error) {
	defer func() { err = cfg.Locate(err) }()
	s := &stack{log: log}
	var learned *engine
	if old != nil {
		learned = old.engine
	}
	if s.engine, err = newEngine(cfg, learned, onlooker, log); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, s.engine.release)
	if err := s.build(cfg, old, onlooker); err != nil {
		s.close()
		return nil, err
	}
	if s.engine.users == 1 {
		s.takeOver()
	}
	if !onlooker {
		s.engine.start()
		s.watchJudges()
		for _, c := range s.chains {
			c.watchAnchor()
		}
	}
	return s, nil
}

// takeOver has the engine and the chains ask this stack, rather than the one before it, for what is not their
// own to find.
func (s *stack) takeOver() {
	s.engine.hosts.set(unvalidated(s.router)) // as elsewhere, validation is for what the servers say
	s.engine.own.Store(&s.own)
	s.engine.upstream.set(s.upstream)
	for _, c := range s.chains {
		c.hosts.set(s.hosts)
		if c.light != nil {
			c.light.hosts.set(s.hosts)
		}
	}
}

// close ends all connections. Queries under way fail: let them end first.
func (s *stack) close() {
	for _, c := range slices.Backward(s.closers) {
		c()
	}
	s.closers = nil
}

func (s *stack) build(cfg *configs.Config, old *stack, onlooker bool) error {
	bootstrap, err := s.bootstrap(cfg)
	if err != nil {
		return err
	}
	for _, zone := range cfg.Resolve.Zones {
		s.own = append(s.own, zone.Zone)
	}
	routes := map[string]resolver.Route{}
	if err := s.addZones(cfg, bootstrap, routes); err != nil {
		return err
	}
	if err := s.addRoot(cfg, bootstrap, routes); err != nil {
		return err
	}
	s.addStubs(cfg, routes)
	// The host names of backends and gateways are those of ICANN's names: an on-chain name would need
	// the backends to find the backends.
	hosts := bootstrap
	if _, ok := routes["."]; ok {
		if hosts, err = s.findHosts(cfg, routes, onlooker); err != nil {
			return err
		}
	}
	if err := s.addChains(cfg, hosts, old, onlooker); err != nil {
		return err
	}
	if err := s.addNames(cfg, routes); err != nil {
		return err
	}
	if s.router, err = newRouter(routes); err != nil {
		return err
	}
	var top resolver.Resolver = s.router
	if cfg.Resolve.Private.Refuse {
		top = private.New(s.router, slices.Concat(cfg.Resolve.Private.Zones, s.own, special.Zones()))
	}
	s.source = reply.New(s.discover(cfg, top), reply.Config{
		Version:     cfg.Chaos.Version.Reveal(),
		Hostname:    cfg.Chaos.Hostname.Reveal(),
		MaxTTL:      cfg.Cache.MaxTTL,
		NegativeTTL: cfg.Cache.NegativeTTL,
		FailureTTL:  cfg.Cache.FailureTTL,
		Log:         s.log,
	})
	return nil
}

// findHosts returns who finds the hosts of backends and gateways. An onlooker's look-ups show what it takes to
// answer a question: what the backends' hosts have taught one engine is not to be known to the other.
func (s *stack) findHosts(cfg *configs.Config, routes map[string]resolver.Route, onlooker bool) (resolver.Resolver, error) {
	if onlooker && cfg.Resolve.Mode == configs.ModeRecursive && len(cfg.Resolve.Fallback) == 0 {
		own, err := newEngine(cfg, nil, true, s.log)
		if err != nil {
			return nil, err
		}
		s.closers = append(s.closers, own.release)
		routes = maps.Clone(routes)
		routes["."] = resolver.Route{Zone: ".", Kind: recursive.Kind, Resolver: own.Resolver}
	}
	return newRouter(routes)
}

// findOut has an onlooker know whether the fallback servers are needed: nothing of its engine runs in
// the background, where that would be noticed.
func (s *stack) findOut(ctx context.Context, cfg *configs.Config) {
	if cfg.Resolve.Mode == configs.ModeRecursive && len(cfg.Resolve.Fallback) > 0 {
		s.engine.Check(ctx)
	}
	s.engine.loadLocalRoot(ctx)
}

// newRouter adds the special-use names that the configuration gives to nobody else.
func newRouter(routes map[string]resolver.Route) (*resolver.Router, error) {
	all := maps.Clone(routes)
	own := special.New()
	for _, zone := range special.Zones() {
		if _, taken := all[zone]; !taken {
			all[zone] = resolver.Route{Zone: zone, Kind: special.Kind, Resolver: own}
		}
	}
	return resolver.NewRouter(slices.Collect(maps.Values(all)))
}

// bootstrap answers for the host names of upstream servers, by servers that are known by address.
func (s *stack) bootstrap(cfg *configs.Config) (resolver.Resolver, error) {
	var upstreams []forward.Upstream
	for _, addr := range cfg.Resolve.Bootstrap {
		upstreams = append(upstreams, forward.Upstream{Protocol: forward.UDP, Addr: addr.String(), Name: addr.String()})
	}
	for _, u := range slices.Concat(cfg.Resolve.Forward, cfg.Resolve.Fallback) {
		if _, ok := u.Addr(); ok && len(cfg.Resolve.Bootstrap) == 0 {
			upstreams = append(upstreams, toUpstream(u))
		}
	}
	if len(upstreams) == 0 {
		return nil, nil
	}
	return s.addForwarder(forward.Config{Upstreams: upstreams, Timeout: cfg.Resolve.Timeout, Log: s.log})
}

func (s *stack) addForwarder(conf forward.Config) (*forward.Forwarder, error) {
	f, err := forward.New(conf)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() { f.Close() }) //nolint:errcheck // it only says that it was closed before
	return f, nil
}

// addZones adds the zones with upstream servers of their own.
func (s *stack) addZones(cfg *configs.Config, bootstrap resolver.Resolver, routes map[string]resolver.Route) error {
	for _, zone := range cfg.Resolve.Zones {
		if len(zone.Forward) == 0 {
			continue
		}
		f, err := s.addForward(cfg, zone.Zone, zone.Forward, bootstrap)
		if err != nil {
			return err
		}
		var r resolver.Resolver = f
		if trusted := s.anchorsOf(zone); trusted != nil {
			r = s.validating(cfg, zone.Zone, f, trusted)
		} else if zone.Validate {
			r = s.guard(zone.Zone, f)
		}
		routes[zone.Zone] = resolver.Route{Zone: zone.Zone, Kind: forward.Kind, Resolver: r}
	}
	return nil
}

// anchorsOf returns the trust anchors that a zone with servers of its own is validated by; nil is none.
func (s *stack) anchorsOf(zone configs.Zone) func() *dnssec.Anchors {
	store := s.engine.anchors
	switch {
	case store == nil:
		return nil
	case zone.Validate:
		return store.Anchors
	case len(store.Anchors().Within(zone.Zone).Zones()) > 0:
		return func() *dnssec.Anchors { return store.Anchors().Within(zone.Zone) }
	}
	return nil
}

// validating wraps upstream servers, so that what they say is validated here.
func (s *stack) validating(cfg *configs.Config, zone string, f resolver.Resolver, trusted func() *dnssec.Anchors) resolver.Resolver {
	v := validate.NewResolver(validate.ResolverConfig{
		Upstream: f, Anchors: trusted, Negative: cfg.Resolve.NegativeAnchors, Log: s.log,
	})
	s.judges = append(s.judges, &judge{zone: zone, chain: v.Chain(), trusted: trusted})
	return v
}

// guard keeps the names of a zone from being answered unvalidated where there are no anchors to validate
// them from.
func (s *stack) guard(zone string, r resolver.Resolver) resolver.Resolver {
	if s.engine.broken == nil {
		return r
	}
	s.guards = append(s.guards, zone)
	return &guarded{r}
}

// addRoot adds who answers all other names: iteration from the root, or upstream servers.
func (s *stack) addRoot(cfg *configs.Config, bootstrap resolver.Resolver, routes map[string]resolver.Route) error {
	upstreams := cfg.Resolve.Forward
	if cfg.Resolve.Mode == configs.ModeRecursive {
		upstreams = cfg.Resolve.Fallback
	}
	root := resolver.Route{Zone: ".", Kind: recursive.Kind, Resolver: s.engine.Resolver}
	if len(upstreams) > 0 {
		f, err := s.addForward(cfg, ".", upstreams, bootstrap)
		if err != nil {
			return err
		}
		s.upstream = f
		var r resolver.Resolver = f
		if cfg.Resolve.Validate {
			r = s.validating(cfg, ".", f, s.engine.trusted)
		}
		if cfg.Resolve.Mode == configs.ModeRecursive {
			root.Resolver = s.engine.WithFallback(r)
		} else {
			root.Kind, root.Resolver = forward.Kind, r
		}
	} else if cfg.Resolve.Mode == configs.ModeForward {
		return nil // nobody answers them
	}
	if cfg.Resolve.Validate {
		root.Resolver = s.guard(".", root.Resolver)
	}
	routes["."] = root
	return nil
}

// addStubs adds the zones with authoritative servers of their own.
func (s *stack) addStubs(cfg *configs.Config, routes map[string]resolver.Route) {
	for _, zone := range cfg.Resolve.Zones {
		if len(zone.Stub) == 0 {
			continue
		}
		at := resolver.Delegation{Zone: zone.Zone, Servers: zone.Stub, Trust: resolver.ByOwnAnchors}
		if zone.Validate {
			at.Trust = resolver.ByAnchors
		}
		var r resolver.Resolver = &stubZone{s.engine, at, routes["."].Resolver}
		if zone.Validate {
			r = s.guard(zone.Zone, r)
		}
		routes[zone.Zone] = resolver.Route{Zone: zone.Zone, Kind: recursive.Kind, Resolver: r}
	}
}

func (s *stack) addForward(cfg *configs.Config, zone string, upstreams []configs.Upstream, bootstrap resolver.Resolver) (*forward.Forwarder, error) {
	dialer := dial.New(dial.Config{Lookup: lookupHost(bootstrap)})
	conf := forward.Config{Zone: zone, Dial: dialer.DialContext, Timeout: cfg.Resolve.Timeout, Log: s.log}
	for _, u := range upstreams {
		conf.Upstreams = append(conf.Upstreams, toUpstream(u))
	}
	f, err := s.addForwarder(conf)
	if err != nil {
		return nil, fmt.Errorf("forwarding of %s: %w", zone, err)
	}
	s.forwards = append(s.forwards, forwardGroup{zone, f})
	return f, nil
}

func (s *stack) addNames(cfg *configs.Config, routes map[string]resolver.Route) error {
	for _, n := range cfg.Names {
		at := slices.IndexFunc(s.chains, func(c *chainStack) bool { return c.name == n.Chain })
		if at < 0 {
			return fmt.Errorf("zone %s: there is no chain %s", n.Zone, n.Chain)
		}
		system := ens.New(s.chains[at].caller, ens.Deployment{
			Chain:             n.Chain,
			ChainID:           cfg.Chains[n.Chain].ID,
			Zone:              n.Zone,
			Registry:          common.Address(n.Registry),
			UniversalResolver: common.Address(n.UniversalResolver),
		})
		zone := onchain.New(system, onchain.Config{
			Zone:         n.Zone,
			Aliases:      n.Aliases,
			Parent:       routes["."].Resolver,
			Iterator:     s.engine,
			GatewayA:     n.Gateways.A,
			GatewayAAAA:  n.Gateways.AAAA,
			TTL:          n.TTL,
			NegativeTTL:  n.NegativeTTL,
			NS:           n.NS,
			MaxRecordTTL: cfg.Cache.MaxTTL,
		})
		for _, suffix := range append([]string{n.Zone}, n.Aliases...) {
			if _, taken := routes[suffix]; taken {
				return fmt.Errorf("zone %s is both on chain and forwarded", suffix)
			}
			routes[suffix] = resolver.Route{Zone: suffix, Kind: onchain.Kind, Resolver: zone}
		}
	}
	return nil
}

// toUpstream translates one upstream server of the configuration.
func toUpstream(u configs.Upstream) forward.Upstream {
	up := forward.Upstream{
		Protocol:   forward.Protocol(u.Scheme),
		Addr:       net.JoinHostPort(u.Host, strconv.Itoa(int(u.Port))),
		ServerName: u.ServerName,
		Name:       u.String(),
	}
	if resource, err := url.Parse(u.URL); err == nil { // configs has checked it
		up.Path = resource.RequestURI()
	}
	return up
}
