package main

import (
	"fmt"
	"maps"
	"slices"

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
	lookup := lookupHost(hosts)
	anywhere := dial.New(dial.Config{Lookup: lookup})
	public := dial.New(dial.Config{Lookup: lookup, Allow: dial.Public})
	for _, name := range slices.Sorted(maps.Keys(cfg.Chains)) {
		conf := cfg.Chains[name]
		c, err := s.newChain(name, conf, anywhere.DialContext)
		if err != nil {
			return fmt.Errorf("chain %s: %w", name, err)
		}
		gateways := public
		if conf.CCIP.AllowPrivate {
			gateways = anywhere
		}
		follower := ccip.New(c.caller, ccip.Config{
			Dial:         gateways.DialContext,
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

// newChain builds the Callers of one chain: the stack of them is its trust.
func (s *stack) newChain(name string, conf configs.Chain, dialer chain.Dialer) (chainStack, error) {
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
			Dial:          dialer,
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
