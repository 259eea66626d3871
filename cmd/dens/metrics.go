package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"dens/cache"
	"dens/chain/pool"
	"dens/configs"
	"dens/internal/wire"
	"dens/resolver/forward"
	"dens/web"
)

func (d *daemonState) addMetrics() error {
	d.registry = prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := d.registry.Register(c); err != nil {
			return err
		}
	}
	var err error
	d.metrics, err = web.NewMetrics(d.registry, version, web.Sources{
		Chains:    func() []web.Chain { return d.current.Load().stack.chainStates() },
		Backends:  func() []web.Backend { return d.current.Load().stack.backends() },
		Upstreams: func() []web.Upstream { return d.current.Load().stack.upstreams() },
		Recursion: func() web.Recursion { return d.current.Load().stack.recursion() },
		Cache:     func() web.Cache { return d.cacheState() },
		Traffic:   d.traffic,

		Certificates: func() []web.Certificate { return d.current.Load().certificateState() },
	})
	return err
}

// observer returns what tells the metrics of each request. It finds labels by number, since it is called for
// every hit.
func observer(m *web.Metrics) func(cache.Event) {
	var protocols [wire.Protocols]web.Label
	var outcomes [cache.Outcomes]web.Label
	var zones [cache.Zones]web.Label
	for i := range protocols {
		protocols[i] = m.Protocol(wire.Protocol(i).String())
	}
	for i := range outcomes {
		outcomes[i] = m.Outcome(cache.Outcome(i).String())
	}
	for i := range zones {
		zones[i] = m.Zone(cache.Zone(i).String())
	}
	return func(e cache.Event) {
		m.Observe(web.Observation{
			Protocol: protocols[e.Protocol],
			Outcome:  outcomes[e.Outcome],
			Zone:     zones[e.Zone],
			Reader:   e.Reader,
			Type:     e.Type,
			Rcode:    e.Rcode,
			Took:     e.Duration,
		})
	}
}

func (d *daemonState) status() web.Status {
	gen := d.current.Load()
	return web.Status{
		Chains:    gen.stack.chainStates(),
		Backends:  gen.stack.backends(),
		Upstreams: gen.stack.upstreams(),
		Recursion: gen.stack.recursion(),
		Cache:     d.cacheState(),
	}
}

func (d *daemonState) cacheState() web.Cache {
	s := d.store.Stats()
	return web.Cache{Entries: s.Entries, Bytes: s.Bytes, Evictions: s.Evictions, Flights: d.current.Load().cache.Stats().Flights}
}

func (d *daemonState) traffic() web.Traffic {
	s := d.stats
	t := web.Traffic{
		Malformed:   s.Malformed.Load(),
		Silent:      s.Silent.Load(),
		Shed:        s.Shed.Load(),
		Refused:     s.Refused.Load(),
		RateDropped: s.RateDropped.Load(),
		RateSlipped: s.RateSlipped.Load(),
		RateCookies: s.RateCookies.Load(),
		Cookies:     make(map[string]uint64, len(s.Cookies)),
		WriteErrors: s.WriteErrors.Load(),
		Panics:      s.Panics.Load(),
		Handshakes:  s.Handshakes.Load(),
		Slow:        s.Slow.Load(),
		Abuse:       s.Abuse.Load(),
	}
	for state := range s.Cookies {
		t.Cookies[wire.CookieState(state).String()] = s.Cookies[state].Load()
	}
	for _, c := range s.Conns() {
		t.Conns = append(t.Conns, web.Conns{Protocol: c.Protocol.String(), Opened: c.Opened, Refused: c.Refused, Evicted: c.Evicted, Open: c.Open})
	}
	return t
}

// parts are what can answer questions, each ready or not, and what it takes to be asked.
func (g *generation) parts() []web.Part {
	parts := g.stack.parts()
	if g.identity != nil {
		parts = append(parts, certificatePart(g.identity.Status(), time.Now()))
	}
	return parts
}

func (s *stack) parts() []web.Part {
	var parts []web.Part
	for _, c := range s.chains {
		parts = append(parts, c.part())
	}
	parts = append(parts, s.engine.parts(time.Now())...)
	for _, f := range s.forwards {
		p := web.Part{Name: s.forwardName(f.zone), Ready: f.Ready()}
		if !p.Ready {
			p.Reason = "no upstream server answers"
		} else if p.Name != fallbackName {
			p.Reason = s.validationProblem(f.zone)
			p.Ready = p.Reason == ""
		}
		parts = append(parts, p)
	}
	return parts
}

// fallbackName is what the upstream servers are called that stand in for the root.
const fallbackName = "fallback ."

// forwardName is what the upstream servers of a zone are there for.
func (s *stack) forwardName(zone string) string {
	if zone == "." && s.engine.cfg.mode == configs.ModeRecursive {
		return fallbackName
	}
	return "forward " + zone
}

func firstReason(endpoints []pool.Status) string {
	for _, e := range endpoints {
		if e.LastError != "" {
			return e.Name + ": " + e.LastError
		}
	}
	return "the backends have not answered yet, or do not agree on a block"
}

func (s *stack) chainStates() []web.Chain {
	var out []web.Chain
	for _, c := range s.chains {
		out = append(out, c.state(time.Now()))
	}
	return out
}

func (s *stack) backends() []web.Backend {
	var out []web.Backend
	for _, c := range s.chains {
		for _, e := range c.pool.Status() {
			out = append(out, web.Backend{
				Chain:    c.name,
				Name:     e.Name,
				Operator: e.Operator,
				State:    e.State.String(),
				Up:       e.State == pool.Closed,
				Head:     e.Head.Number,
				Lag:      e.Lag,
				Latency:  e.Latency,
				Calls:    e.Calls,
				Errors:   e.Errors,
				Reason:   e.LastError,
			})
		}
	}
	return out
}

func (s *stack) upstreams() []web.Upstream {
	var out []web.Upstream
	for _, f := range s.forwards {
		for _, u := range f.Status() {
			out = append(out, web.Upstream{
				Zone:    f.zone,
				Name:    u.Name,
				State:   string(u.State),
				Up:      u.State != forward.Down,
				Latency: u.RTT.Round(time.Microsecond),
				Queries: u.Queries,
				Errors:  u.Errors,
				Reason:  u.LastError,
			})
		}
	}
	return out
}
