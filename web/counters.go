package web

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// stripes is how many sets of counters there are: readers of clients that run at the same time count apart,
// and a scrape adds up.
const stripes = 16

// stripe is a set of counters.
type stripe struct {
	queries []atomic.Uint64 // by protocol, type
	replies []atomic.Uint64 // by outcome, zone, rcode
	times   []timing        // by outcome
}

// timing is a histogram. Its sum may run ahead of its buckets while a request is counted.
type timing struct {
	buckets [len(bounds) + 1]atomic.Uint64 // not cumulative; the last is above all bounds
	sum     atomic.Int64                   // nanoseconds
	last    atomic.Int64                   // nanoseconds that the last one took
}

// bounds are the upper ends of the buckets of dens_reply_seconds.
var bounds = [...]time.Duration{
	25 * time.Microsecond, 100 * time.Microsecond, 500 * time.Microsecond, 2 * time.Millisecond, 10 * time.Millisecond,
	25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// observe counts a request that took so long; below zero, as long as the one before it.
func (t *timing) observe(took time.Duration) {
	last := t.last.Load()
	if took < 0 {
		took = time.Duration(last)
	} else if int64(took) != last {
		t.last.Store(int64(took))
	}
	i := 0
	for i < len(bounds) && took > bounds[i] {
		i++
	}
	t.sum.Add(int64(took))
	t.buckets[i].Add(1)
}

func newStripe(queries, replies, outcomes int) *stripe {
	return &stripe{
		queries: make([]atomic.Uint64, queries),
		replies: make([]atomic.Uint64, replies),
		times:   make([]timing, outcomes),
	}
}

func (m *Metrics) queryIndex(protocol, typ int) int { return protocol*len(m.types.names) + typ }

// replyIndex finds the counter of a reply. rcode is an index into the rcodes' names, or behind them for none.
func (m *Metrics) replyIndex(outcome, zone, rcode int) int {
	return (outcome*len(m.zones)+zone)*(len(m.rcodes.names)+1) + rcode
}

func (m *Metrics) query(i int) (n uint64) {
	for _, s := range m.stripes {
		n += s.queries[i].Load()
	}
	return n
}

func (m *Metrics) reply(i int) (n uint64) {
	for _, s := range m.stripes {
		n += s.replies[i].Load()
	}
	return n
}

// trafficCollector adds up the counters at each scrape.
type trafficCollector struct {
	*Metrics
	queries, replies, seconds *prometheus.Desc
}

func newTrafficCollector(m *Metrics) *trafficCollector {
	return &trafficCollector{
		Metrics: m,
		queries: prometheus.NewDesc("dens_queries_total", "Queries by transport protocol and record type.", []string{"protocol", "type"}, nil),
		replies: prometheus.NewDesc("dens_replies_total", "Replies by outcome (hit, miss, ...), kind of zone and rcode; rcode is none when there was no reply.",
			[]string{"outcome", "zone", "rcode"}, nil),
		seconds: prometheus.NewDesc("dens_reply_seconds", "Time from a query to its reply, by outcome. One hit in 64 is timed, and those until the next one count like it.",
			[]string{"outcome"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *trafficCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.queries
	ch <- c.replies
	ch <- c.seconds
}

// Collect implements prometheus.Collector. What was never counted has no series.
func (c *trafficCollector) Collect(ch chan<- prometheus.Metric) {
	for p, protocol := range c.protocols {
		for t, typ := range c.types.names {
			if n := c.query(c.queryIndex(p, t)); n > 0 {
				ch <- prometheus.MustNewConstMetric(c.queries, prometheus.CounterValue, float64(n), protocol, typ)
			}
		}
	}
	for o, outcome := range c.outcomes {
		for z, zone := range c.zones {
			for r := range len(c.rcodes.names) + 1 {
				if n := c.reply(c.replyIndex(o, z, r)); n > 0 {
					ch <- prometheus.MustNewConstMetric(c.replies, prometheus.CounterValue, float64(n), outcome, zone, c.rcode(r))
				}
			}
		}
		ch <- c.histogram(o, outcome)
	}
}

func (c *trafficCollector) histogram(outcome int, name string) prometheus.Metric {
	var sum int64
	var count uint64
	buckets := make(map[float64]uint64, len(bounds))
	for i := range len(bounds) + 1 {
		for _, s := range c.stripes {
			count += s.times[outcome].buckets[i].Load()
		}
		if i < len(bounds) {
			buckets[bounds[i].Seconds()] = count
		}
	}
	for _, s := range c.stripes {
		sum += s.times[outcome].sum.Load()
	}
	return prometheus.MustNewConstHistogram(c.seconds, count, time.Duration(sum).Seconds(), buckets, name)
}

func (c *trafficCollector) rcode(i int) string {
	if i == len(c.rcodes.names) {
		return "none"
	}
	return c.rcodes.names[i]
}
