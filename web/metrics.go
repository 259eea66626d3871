package web

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Metrics are the Prometheus metrics of dens. All names begin with dens_.
type Metrics struct {
	protocols labels
	outcomes  labels
	zones     labels
	types     codes
	rcodes    codes

	queries *prometheus.CounterVec // protocol, type
	replies *prometheus.CounterVec // outcome, zone, rcode
	seconds *prometheus.HistogramVec

	// What was used once is found by index, so that counting a hit neither hashes nor allocates.
	queryCells []cell // by protocol, type
	replyCells []cell // by outcome, zone, rcode
	timeCells  []prometheus.Observer
}

// cell is one series of a CounterVec, from its first use on.
type cell struct {
	counter atomic.Pointer[prometheus.Counter]
}

// Sources are asked at each scrape, concurrently at times. nil: without these metrics.
type Sources struct {
	Chains    func() []Chain
	Backends  func() []Backend
	Upstreams func() []Upstream
	Recursion func() Recursion
	Cache     func() Cache
	Traffic   func() Traffic
}

// NewMetrics registers the metrics. It fails where the registry has some of their names already.
func NewMetrics(reg prometheus.Registerer, version string, src Sources) (*Metrics, error) {
	m := &Metrics{
		protocols: newLabels("udp", "tcp", "dot", "doh"),
		outcomes:  newLabels("hit", "miss", "stale", "prefetch", "shed", "silent", "uncached"),
		zones:     newLabels("", "onchain", "forward", "special", "local", "recursive"),
		types:     typeCodes(),
		rcodes:    rcodeCodes(),
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dens_queries_total", Help: "Queries by transport protocol and record type.",
		}, []string{"protocol", "type"}),
		replies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dens_replies_total", Help: "Replies by outcome (hit, miss, ...), kind of zone and rcode; rcode is none when there was no reply.",
		}, []string{"outcome", "zone", "rcode"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "dens_reply_seconds", Help: "Time from a query to its reply, by outcome.",
			Buckets: []float64{25e-6, 100e-6, 500e-6, 2e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10},
		}, []string{"outcome"}),
	}
	m.queryCells = make([]cell, len(m.protocols)*len(m.types.names))
	m.replyCells = make([]cell, len(m.outcomes)*len(m.zones)*(len(m.rcodes.names)+1))
	for _, o := range m.outcomes {
		m.timeCells = append(m.timeCells, m.seconds.WithLabelValues(o))
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "dens_build_info", Help: "1, with the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	for _, c := range []prometheus.Collector{m.queries, m.replies, m.seconds, info, newStateCollector(src)} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Observation is one request that was answered.
type Observation struct {
	Protocol string // udp, tcp, dot, doh
	Outcome  string // hit, miss, stale, prefetch, shed, silent, uncached
	Zone     string // onchain, forward, special, local, recursive, or ""
	Type     uint16
	Rcode    uint16 // extended; of no account when Outcome is silent
	Took     time.Duration
}

// Observe counts one request. It allocates nothing for a combination that was seen before. It is safe
// for concurrent use.
func (m *Metrics) Observe(o Observation) {
	p, t := m.protocols.index(o.Protocol), m.types.index(o.Type)
	q := &m.queryCells[p*len(m.types.names)+t]
	if c := q.counter.Load(); c != nil {
		(*c).Inc()
	} else {
		q.first(m.queries, m.protocols[p], m.types.names[t])
	}

	out, z, r := m.outcomes.index(o.Outcome), m.zones.index(o.Zone), m.rcodes.index(o.Rcode)
	if o.Outcome == "silent" {
		r = len(m.rcodes.names)
	}
	a := &m.replyCells[(out*len(m.zones)+z)*(len(m.rcodes.names)+1)+r]
	if c := a.counter.Load(); c != nil {
		(*c).Inc()
	} else {
		a.first(m.replies, m.outcomes[out], m.zones[z], m.rcode(r))
	}
	m.timeCells[out].Observe(o.Took.Seconds())
}

func (m *Metrics) rcode(i int) string {
	if i == len(m.rcodes.names) {
		return "none"
	}
	return m.rcodes.names[i]
}

// first counts the first of a series and keeps it for the next ones.
func (c *cell) first(vec *prometheus.CounterVec, values ...string) {
	counter := vec.WithLabelValues(values...)
	c.counter.Store(&counter)
	counter.Inc()
}

func (c *cell) value() uint64 {
	counter := c.counter.Load()
	if counter == nil {
		return 0
	}
	var d dto.Metric
	if err := (*counter).Write(&d); err != nil {
		return 0
	}
	return uint64(d.GetCounter().GetValue())
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
	for i := range m.queryCells {
		t.Queries += m.queryCells[i].value()
	}
	each := len(m.replyCells) / len(m.outcomes)
	for i := range m.replyCells {
		switch m.outcomes[i/each] {
		case "hit", "prefetch":
			t.Hits += m.replyCells[i].value()
		case "stale":
			t.Stale += m.replyCells[i].value()
		}
	}
	return t
}
