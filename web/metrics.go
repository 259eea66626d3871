package web

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the Prometheus metrics of dens. All names begin with dens_.
type Metrics struct {
	protocols labels
	outcomes  labels
	zones     labels
	types     codes
	rcodes    codes
	silent    Label // the outcome without an rcode
	stripes   [stripes]*stripe
}

// Sources are asked at each scrape, concurrently at times. nil: without these metrics.
type Sources struct {
	Chains    func() []Chain
	Backends  func() []Backend
	Upstreams func() []Upstream
	Recursion func() Recursion
	Cache     func() Cache
	Traffic   func() Traffic
	// Certificates has those of the encrypted listeners.
	Certificates func() []Certificate
}

// NewMetrics registers the metrics. It fails where the registry has some of their names already.
func NewMetrics(reg prometheus.Registerer, version string, src Sources) (*Metrics, error) {
	m := &Metrics{
		protocols: newLabels("udp", "tcp", "dot", "doh", "doh3", "doq"),
		outcomes:  newLabels("hit", "miss", "stale", "prefetch", "shed", "silent", "uncached"),
		zones:     newLabels("", "onchain", "forward", "special", "local", "recursive"),
		types:     typeCodes(),
		rcodes:    rcodeCodes(),
	}
	m.silent = m.Outcome("silent")
	for i := range m.stripes {
		m.stripes[i] = newStripe(len(m.protocols)*len(m.types.names), len(m.outcomes)*len(m.zones)*(len(m.rcodes.names)+1), len(m.outcomes))
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "dens_build_info", Help: "1, with the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	for _, c := range []prometheus.Collector{newTrafficCollector(m), info, newStateCollector(src)} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Label is a protocol, outcome or kind of zone, as the Metrics that returned it know it.
type Label uint8

// Protocol returns the label of a transport: udp, tcp, dot, doh, doh3 or doq. All others count as one.
func (m *Metrics) Protocol(name string) Label { return Label(m.protocols.index(name)) }

// Outcome returns the label of an outcome: hit, miss, stale, prefetch, shed, silent or uncached. All others count
// as one.
func (m *Metrics) Outcome(name string) Label { return Label(m.outcomes.index(name)) }

// Zone returns the label of a kind of zone: onchain, forward, special, local, recursive, or "" for none. All
// others count as one.
func (m *Metrics) Zone(name string) Label { return Label(m.zones.index(name)) }

// Observation is one request that was answered.
type Observation struct {
	Protocol, Outcome, Zone Label // of the Metrics' functions of these names

	Reader uint8 // who counts at the same time should have another one
	Type   uint16
	Rcode  uint16        // extended; of no account when Outcome is silent
	Took   time.Duration // below zero: not known, and taken to be that of the last one
}

// Observe counts one request. It allocates nothing, and is safe for concurrent use.
func (m *Metrics) Observe(o Observation) {
	s := m.stripes[o.Reader%stripes]
	s.queries[m.queryIndex(int(o.Protocol), m.types.index(o.Type))].Add(1)
	rcode := len(m.rcodes.names)
	if o.Outcome != m.silent {
		rcode = m.rcodes.index(o.Rcode)
	}
	s.replies[m.replyIndex(int(o.Outcome), int(o.Zone), rcode)].Add(1)
	s.times[o.Outcome].observe(o.Took)
}

// Totals are counts since the start.
type Totals struct {
	Queries uint64
	Hits    uint64 // answered from the cache while fresh
	Stale   uint64 // answered from the cache past the TTL
}

// Totals sums up what was observed.
func (m *Metrics) Totals() Totals {
	var t Totals
	for i := range m.stripes[0].queries {
		t.Queries += m.query(i)
	}
	each := m.replyIndex(1, 0, 0)
	for i := range m.stripes[0].replies {
		switch m.outcomes[i/each] {
		case "hit", "prefetch":
			t.Hits += m.reply(i)
		case "stale":
			t.Stale += m.reply(i)
		}
	}
	return t
}
