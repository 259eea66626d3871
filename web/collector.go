package web

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// stateCollector turns snapshots into metrics at each scrape.
type stateCollector struct {
	src   Sources
	descs map[string]*prometheus.Desc
}

func newStateCollector(src Sources) *stateCollector {
	backend, upstream := []string{"chain", "backend", "operator"}, []string{"zone", "upstream"}
	proto, chain, beacon := []string{"protocol"}, []string{"chain"}, []string{"chain", "beacon"}
	c := &stateCollector{src: src, descs: make(map[string]*prometheus.Desc)}
	for _, d := range []struct {
		on     bool
		name   string
		help   string
		labels []string
	}{
		{src.Chains != nil, "chain_info", "1, with what answers of the chain rest on: trust (proven, quorum, single) and anchor, who vouches for its blocks.", append(chain[:1:1], "trust", "anchor")},
		{src.Chains != nil, "chain_anchor_block", "Number of the newest block that is vouched for; 0 while there is none.", chain},
		{src.Chains != nil, "chain_anchor_slot", "Slot of the newest block that is vouched for, with a light client.", chain},
		{src.Chains != nil, "chain_anchor_age_seconds", "Age of the newest block that is vouched for, by the local clock.", chain},
		{src.Chains != nil, "chain_anchor_expires_seconds", "Time until the newest block that is vouched for is too old; 0 while there is none.", chain},
		{src.Chains != nil, "chain_calls_total", "Calls that were executed over proven state.", chain},
		{src.Chains != nil, "chain_trips_total", "Rounds of requests for proofs and code.", chain},
		{src.Chains != nil, "chain_fetched_bytes_total", "Octets of proofs and code that were fetched.", chain},
		{src.Chains != nil, "chain_bad_proofs_total", "Answers of RPC backends that did not prove what they were asked for.", chain},
		{src.Chains != nil, "chain_state_blocks", "Blocks whose proven state is held.", chain},
		{src.Chains != nil, "chain_state_bytes", "Octets of proven state and code that are held.", chain},
		{src.Chains != nil, "light_client_period", "Sync committee period of the committee in force.", chain},
		{src.Chains != nil, "light_client_finalized_slot", "Newest final slot that is proven.", chain},
		{src.Chains != nil, "light_client_failing_seconds", "For how long no beacon API has brought anything new; 0 is well.", chain},
		{src.Chains != nil, "beacon_up", "1 when the beacon API is in use.", beacon},
		{src.Chains != nil, "beacon_slot", "Newest slot that the beacon API proved.", beacon},
		{src.Chains != nil, "beacon_requests_total", "Requests to the beacon API.", beacon},
		{src.Chains != nil, "beacon_errors_total", "Failed requests to the beacon API.", beacon},
		{src.Backends != nil, "backend_up", "1 when the RPC backend is in use.", backend},
		{src.Backends != nil, "backend_state", "1 for the state that the RPC backend's circuit is in.", append(backend[:3:3], "state")},
		{src.Backends != nil, "backend_head", "Number of the newest block that the RPC backend has told.", backend},
		{src.Backends != nil, "backend_lag_blocks", "Blocks that the RPC backend is behind the best of its chain.", backend},
		{src.Backends != nil, "backend_latency_seconds", "Smoothed latency of the RPC backend.", backend},
		{src.Backends != nil, "backend_calls_total", "Calls to the RPC backend.", backend},
		{src.Backends != nil, "backend_errors_total", "Failed calls to the RPC backend.", backend},
		{src.Upstreams != nil, "upstream_up", "1 when the upstream server is in use.", upstream},
		{src.Upstreams != nil, "upstream_state", "1 for the state that the upstream server is in.", append(upstream[:2:2], "state")},
		{src.Upstreams != nil, "upstream_latency_seconds", "Smoothed latency of the upstream server.", upstream},
		{src.Upstreams != nil, "upstream_queries_total", "Queries to the upstream server.", upstream},
		{src.Upstreams != nil, "upstream_errors_total", "Failed queries to the upstream server.", upstream},
		{src.Recursion != nil, "recursive_queries_total", "Messages sent to authoritative servers.", []string{"transport"}},
		{src.Recursion != nil, "recursive_budget_exhausted_total", "Questions that were given up, by the budget that was spent.", []string{"budget"}},
		{src.Recursion != nil, "recursive_validations_total", "Responses that were judged by DNSSEC.", []string{"status"}},
		{src.Recursion != nil, "recursive_cache_entries", "What is remembered besides replies.", []string{"cache"}},
		{src.Recursion != nil, "recursive_servers", "Authoritative servers that are remembered.", nil},
		{src.Recursion != nil, "trust_anchor_keys", "Keys that are, may become or were trust anchors, by state (RFC 5011).", []string{"zone", "state"}},
		{src.Certificates != nil, "certificate_expires_seconds", "Time until the certificate of the encrypted listeners ends; 0 while there is none.", []string{"kind"}},
		{src.Certificates != nil, "certificate_failing", "1 when the last attempt to renew or reload the certificate failed.", []string{"kind"}},
		{src.Cache != nil, "cache_entries", "Replies in the cache.", nil},
		{src.Cache != nil, "cache_bytes", "Octets of the replies in the cache.", nil},
		{src.Cache != nil, "cache_evictions_total", "Replies that made room for others.", nil},
		{src.Cache != nil, "cache_flights", "Misses under way.", nil},
		{src.Traffic != nil, "connections_open", "Connections now.", proto},
		{src.Traffic != nil, "connections_opened_total", "Connections taken.", proto},
		{src.Traffic != nil, "connections_refused_total", "Connections closed at once, over a limit.", proto},
		{src.Traffic != nil, "connections_evicted_total", "Idle connections closed to make room.", proto},
		{src.Traffic != nil, "malformed_total", "Messages that are no DNS requests.", nil},
		{src.Traffic != nil, "silent_total", "Requests left without a reply, those over the rate too.", nil},
		{src.Traffic != nil, "shed_total", "Requests not taken, since too many were under way.", nil},
		{src.Traffic != nil, "refused_total", "Requests of clients that are not allowed.", nil},
		{src.Traffic != nil, "rate_dropped_total", "Requests over the rate that got no reply.", nil},
		{src.Traffic != nil, "rate_slipped_total", "Requests over the rate that got a truncated reply.", nil},
		{src.Traffic != nil, "rate_badcookie_total", "Requests over the rate that were told their cookie.", nil},
		{src.Traffic != nil, "dns_cookies_total", "Requests, by what their DNS cookie was worth.", []string{"state"}},
		{src.Traffic != nil, "write_errors_total", "Replies that could not be sent.", nil},
		{src.Traffic != nil, "panics_total", "Panics that were survived.", nil},
		{src.Traffic != nil, "handshakes_failed_total", "Handshakes of TLS and QUIC that failed: no TLS at all, a wrong ALPN, too slow.", nil},
		{src.Traffic != nil, "slow_total", "Messages, headers and bodies that did not come whole in time.", nil},
		{src.Traffic != nil, "abuse_total", "Connections ended since they broke their protocol or flooded with its frames.", nil},
	} {
		if d.on {
			c.descs[d.name] = prometheus.NewDesc("dens_"+d.name, d.help, d.labels, nil)
		}
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	if c.src.Chains != nil {
		c.chains(ch)
	}
	if c.src.Backends != nil {
		c.backends(ch)
	}
	if c.src.Upstreams != nil {
		c.upstreams(ch)
	}
	if c.src.Recursion != nil {
		c.recursion(ch)
	}
	if c.src.Certificates != nil {
		for _, s := range c.src.Certificates() {
			c.gauge(ch, "certificate_expires_seconds", max(s.ExpiresIn, 0).Seconds(), s.Kind)
			c.gauge(ch, "certificate_failing", one(s.Failing), s.Kind)
		}
	}
	if c.src.Cache != nil {
		s := c.src.Cache()
		c.gauge(ch, "cache_entries", float64(s.Entries))
		c.gauge(ch, "cache_bytes", float64(s.Bytes))
		c.count(ch, "cache_evictions_total", s.Evictions)
		c.gauge(ch, "cache_flights", float64(s.Flights))
	}
	if c.src.Traffic != nil {
		c.traffic(ch)
	}
}

func (c *stateCollector) chains(ch chan<- prometheus.Metric) {
	for _, s := range c.src.Chains() {
		c.gauge(ch, "chain_info", 1, s.Name, s.Trust, s.Anchor)
		if p := s.Proofs; p != nil {
			c.anchor(ch, s)
			c.count(ch, "chain_calls_total", p.Calls, s.Name)
			c.count(ch, "chain_trips_total", p.Trips, s.Name)
			c.count(ch, "chain_fetched_bytes_total", p.Bytes, s.Name)
			c.count(ch, "chain_bad_proofs_total", p.Bad, s.Name)
			c.gauge(ch, "chain_state_blocks", float64(p.Blocks), s.Name)
			c.gauge(ch, "chain_state_bytes", float64(p.Memory), s.Name)
		}
		if s.Light != nil {
			c.light(ch, s.Name, s.Light)
		}
	}
}

// anchor has series where there is no block too: an alert must not fall silent with its cause.
func (c *stateCollector) anchor(ch chan<- prometheus.Metric, s Chain) {
	var b Block
	if s.Block != nil {
		b = *s.Block
		c.gauge(ch, "chain_anchor_age_seconds", b.Age.Seconds(), s.Name)
	}
	c.gauge(ch, "chain_anchor_block", float64(b.Number), s.Name)
	c.gauge(ch, "chain_anchor_expires_seconds", b.ExpiresIn.Seconds(), s.Name)
	if s.Light != nil {
		c.gauge(ch, "chain_anchor_slot", float64(b.Slot), s.Name)
	}
}

func (c *stateCollector) light(ch chan<- prometheus.Metric, chain string, l *Light) {
	c.gauge(ch, "light_client_period", float64(l.Period), chain)
	c.gauge(ch, "light_client_finalized_slot", float64(l.Finalized), chain)
	c.gauge(ch, "light_client_failing_seconds", l.Failing.Seconds(), chain)
	seen := make(map[string]int)
	for _, e := range l.Endpoints {
		name := unique(seen, chain, e.Name)
		c.gauge(ch, "beacon_up", one(e.Up), chain, name)
		c.gauge(ch, "beacon_slot", float64(e.Slot), chain, name)
		c.count(ch, "beacon_requests_total", e.Requests, chain, name)
		c.count(ch, "beacon_errors_total", e.Errors, chain, name)
	}
}

func (c *stateCollector) backends(ch chan<- prometheus.Metric) {
	seen := make(map[string]int)
	for _, b := range c.src.Backends() {
		l := []string{b.Chain, unique(seen, b.Chain, b.Name), b.Operator}
		c.gauge(ch, "backend_up", one(b.Up), l...)
		c.gauge(ch, "backend_state", 1, append(l[:3:3], b.State)...)
		c.gauge(ch, "backend_head", float64(b.Head), l...)
		c.gauge(ch, "backend_lag_blocks", float64(b.Lag), l...)
		c.gauge(ch, "backend_latency_seconds", b.Latency.Seconds(), l...)
		c.count(ch, "backend_calls_total", b.Calls, l...)
		c.count(ch, "backend_errors_total", b.Errors, l...)
	}
}

func (c *stateCollector) upstreams(ch chan<- prometheus.Metric) {
	seen := make(map[string]int)
	for _, u := range c.src.Upstreams() {
		l := []string{u.Zone, unique(seen, u.Zone, u.Name)}
		c.gauge(ch, "upstream_up", one(u.Up), l...)
		c.gauge(ch, "upstream_state", 1, append(l[:2:2], u.State)...)
		c.gauge(ch, "upstream_latency_seconds", u.Latency.Seconds(), l...)
		c.count(ch, "upstream_queries_total", u.Queries, l...)
		c.count(ch, "upstream_errors_total", u.Errors, l...)
	}
}

func (c *stateCollector) recursion(ch chan<- prometheus.Metric) {
	r := c.src.Recursion()
	counts := func(name string, by map[string]uint64) {
		for label, n := range by {
			c.count(ch, name, n, label)
		}
	}
	counts("recursive_queries_total", r.Queries)
	counts("recursive_budget_exhausted_total", r.Exhausted)
	counts("recursive_validations_total", r.Validations)
	for kind, n := range r.Cached {
		c.gauge(ch, "recursive_cache_entries", float64(n), kind)
	}
	c.gauge(ch, "recursive_servers", float64(r.Servers))
	type series struct{ zone, state string }
	keys := map[series]int{{".", "Valid"}: 0} // none is worth a warning, and so a series
	for _, a := range r.Anchors {
		keys[series{a.Zone, a.State}]++
	}
	for s, n := range keys {
		c.gauge(ch, "trust_anchor_keys", float64(n), s.zone, s.state)
	}
}

func (c *stateCollector) traffic(ch chan<- prometheus.Metric) {
	t := c.src.Traffic()
	seen := make(map[string]int)
	for _, n := range t.Conns {
		p := unique(seen, "", n.Protocol)
		c.gauge(ch, "connections_open", float64(n.Open), p)
		c.count(ch, "connections_opened_total", n.Opened, p)
		c.count(ch, "connections_refused_total", n.Refused, p)
		c.count(ch, "connections_evicted_total", n.Evicted, p)
	}
	c.count(ch, "malformed_total", t.Malformed)
	c.count(ch, "silent_total", t.Silent)
	c.count(ch, "shed_total", t.Shed)
	c.count(ch, "refused_total", t.Refused)
	c.count(ch, "rate_dropped_total", t.RateDropped)
	c.count(ch, "rate_slipped_total", t.RateSlipped)
	c.count(ch, "rate_badcookie_total", t.RateCookies)
	for state, n := range t.Cookies {
		c.count(ch, "dns_cookies_total", n, state)
	}
	c.count(ch, "write_errors_total", t.WriteErrors)
	c.count(ch, "panics_total", t.Panics)
	c.count(ch, "handshakes_failed_total", t.Handshakes)
	c.count(ch, "slow_total", t.Slow)
	c.count(ch, "abuse_total", t.Abuse)
}

func (c *stateCollector) gauge(ch chan<- prometheus.Metric, name string, v float64, labels ...string) {
	c.send(ch, name, prometheus.GaugeValue, v, labels)
}

func (c *stateCollector) count(ch chan<- prometheus.Metric, name string, v uint64, labels ...string) {
	c.send(ch, name, prometheus.CounterValue, float64(v), labels)
}

func (c *stateCollector) send(ch chan<- prometheus.Metric, name string, kind prometheus.ValueType, v float64, labels []string) {
	valid := make([]string, len(labels))
	for i, l := range labels {
		valid[i] = strings.ToValidUTF8(l, "?") // what is not spoils the whole scrape
	}
	ch <- prometheus.MustNewConstMetric(c.descs[name], kind, v, valid...)
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
