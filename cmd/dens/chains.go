package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"dens/chain"
	"dens/chain/ccip"
	"dens/chain/pool"
	"dens/chain/quorum"
	"dens/configs"
	"dens/internal/dial"
	"dens/resolver"
)

// chainStack is what answers calls to one chain.
type chainStack struct {
	name   string
	trust  chain.Trust
	pool   *pool.Pool
	quorum *quorum.Quorum // nil when one backend is believed
	caller chain.Caller
}

// ready says whether a call has a chance now.
func (c chainStack) ready() bool {
	if c.quorum != nil {
		return c.quorum.Ready()
	}
	return c.pool.Ready()
}

func (s *stack) addChains(cfg *configs.Config, hosts resolver.Resolver) error {
	plain, secured := lookupHost(hosts), lookupHost(unvalidated(hosts))
	dialers := dialers{dial.New(dial.Config{Lookup: plain}), dial.New(dial.Config{Lookup: secured})}
	for _, name := range slices.Sorted(maps.Keys(cfg.Chains)) {
		conf := cfg.Chains[name]
		c, err := s.newChain(name, conf, dialers)
		if err != nil {
			return fmt.Errorf("chain %s: %w", name, err)
		}
		to := dial.Config{Lookup: secured, Allow: dial.Public}
		if conf.CCIP.AllowHTTP {
			to.Lookup = plain
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
		s.closers = append(s.closers, follower.Close)
		c.caller = follower
		s.chains = append(s.chains, c)
	}
	return nil
}

// dialers connect to backends. Where a certificate shows who is at the other end, the host's addresses need
// not validate: a broken trust anchor or a wrong clock, which make all signed names of the DNS bogus, are no
// harm to names on a chain then.
type dialers struct{ plain, secured *dial.Dialer }

func (d dialers) to(url string) chain.Dialer {
	if strings.HasPrefix(url, "https:") || strings.HasPrefix(url, "wss:") {
		return d.secured.DialContext
	}
	return d.plain.DialContext
}

// newChain builds the Callers of one chain: the stack of them is its trust.
func (s *stack) newChain(name string, conf configs.Chain, dialers dialers) (chainStack, error) {
	log := s.log.With("chain", name)
	c := chainStack{name: name, trust: chain.Single}
	poolConf := pool.Config{MaxHeadAge: conf.MaxHeadAge, Timeout: conf.Timeout, Log: log}
	for _, rpc := range conf.RPC {
		name := "" // the host's
		if rpc.Hidden() {
			name = rpc.Operator
		}
		poolConf.Endpoints = append(poolConf.Endpoints, pool.EndpointConfig{
			Name:          name,
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
	if c.pool, err = pool.New(poolConf); err != nil {
		return c, err
	}
	s.closers = append(s.closers, c.pool.Close)
	c.caller = c.pool
	if conf.Trust != "quorum" {
		return c, nil
	}
	var backends []quorum.Backend
	for _, e := range c.pool.Endpoints() {
		backends = append(backends, e)
	}
	if c.quorum, err = quorum.New(quorum.Config{K: conf.Quorum, Backends: backends, MaxHeadAge: conf.MaxHeadAge, Timeout: conf.Timeout, Fresh: conf.BlockTime + conf.BlockTime/2, Log: log}); err != nil {
		return c, err
	}
	s.closers = append(s.closers, c.quorum.Close)
	c.caller, c.trust = c.quorum, chain.Quorum
	return c, nil
}
