package web

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrape reads /metrics as Prometheus does.
func scrape(t *testing.T, reg *prometheus.Registry) map[string]*dto.MetricFamily {
	t.Helper()
	w := get(t, newHandler(t, Config{Gatherer: reg}), "/metrics")
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// value finds the series with the labels, given as name, value, name, value.
func value(t *testing.T, fam map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	f, ok := fam[name]
	if !ok {
		t.Errorf("no metric %s", name)
		return -1
	}
next:
	for _, m := range f.GetMetric() {
		if len(m.GetLabel()) != len(labels)/2 {
			continue
		}
		have := make(map[string]string)
		for _, l := range m.GetLabel() {
			have[l.GetName()] = l.GetValue()
		}
		for i := 0; i < len(labels); i += 2 {
			if have[labels[i]] != labels[i+1] {
				continue next
			}
		}
		switch {
		case m.GetCounter() != nil:
			return m.GetCounter().GetValue()
		case m.GetHistogram() != nil:
			return float64(m.GetHistogram().GetSampleCount())
		default:
			return m.GetGauge().GetValue()
		}
	}
	t.Errorf("no series %s%v in %v", name, labels, f)
	return -1
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := NewMetrics(reg, "1.2.3", Sources{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []struct {
		protocol, outcome, zone string
		typ, rcode              uint16
		took                    time.Duration
	}{
		{"udp", "hit", "onchain", 1, 0, 50 * time.Microsecond},
		{"udp", "hit", "onchain", 1, 0, 3 * time.Second},
		{"udp", "prefetch", "onchain", 1, 0, 0},
		{"doh", "miss", "forward", 262, 3, time.Second},
		{"tcp", "stale", "forward", 65, 0, time.Second},
		{"udp", "silent", "", 0, 0, 0},
		{"udp", "uncached", "", 0, 16, 0},
		{"quic", "what", "where", 40000, 4000, time.Hour},
		{"quic", "what", "where", 511, 10, time.Hour},
	} {
		m.Observe(seen(m, o.protocol, o.outcome, o.zone, o.typ, o.rcode, o.took))
	}
	fam := scrape(t, reg)
	for _, tt := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{3, "dens_queries_total", []string{"protocol", "udp", "type", "A"}},
		{2, "dens_queries_total", []string{"protocol", "udp", "type", "none"}},
		{1, "dens_queries_total", []string{"protocol", "doh", "type", "WALLET"}},
		{1, "dens_queries_total", []string{"protocol", "tcp", "type", "HTTPS"}},
		{2, "dens_queries_total", []string{"protocol", "other", "type", "other"}},
		{2, "dens_replies_total", []string{"outcome", "hit", "zone", "onchain", "rcode", "NOERROR"}},
		{1, "dens_replies_total", []string{"outcome", "miss", "zone", "forward", "rcode", "NXDOMAIN"}},
		{1, "dens_replies_total", []string{"outcome", "silent", "zone", "", "rcode", "none"}},
		{1, "dens_replies_total", []string{"outcome", "uncached", "zone", "", "rcode", "BADVERS"}},
		{2, "dens_replies_total", []string{"outcome", "other", "zone", "other", "rcode", "other"}},
		{2, "dens_reply_seconds", []string{"outcome", "hit"}},
		{0, "dens_reply_seconds", []string{"outcome", "shed"}},
		{1, "dens_build_info", []string{"version", "1.2.3"}},
	} {
		if got := value(t, fam, tt.name, tt.labels...); got != tt.want {
			t.Errorf("%s%v is %v, want %v", tt.name, tt.labels, got, tt.want)
		}
	}
	if got := m.Totals(); got != (Totals{Queries: 9, Hits: 3, Stale: 1}) {
		t.Errorf("totals %+v", got)
	}
	if _, err := NewMetrics(reg, "1.2.3", Sources{}); err == nil {
		t.Error("one registry took the metrics twice")
	}
}

// seen is an Observation by names.
func seen(m *Metrics, protocol, outcome, zone string, typ, rcode uint16, took time.Duration) Observation {
	return Observation{
		Protocol: m.Protocol(protocol), Outcome: m.Outcome(outcome), Zone: m.Zone(zone), Type: typ, Rcode: rcode, Took: took,
	}
}

// TestTimes: what was not timed counts like the one before it, and all readers' times come together.
func TestTimes(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := NewMetrics(reg, "1", Sources{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		reader uint8
		took   time.Duration
	}{{0, 30 * time.Microsecond}, {0, -1}, {0, -1}, {1, 25 * time.Microsecond}, {1, -1}, {0, time.Minute}, {0, -1}, {2, -1}} {
		o := seen(m, "udp", "hit", "", 1, 0, tt.took)
		o.Reader = tt.reader
		m.Observe(o)
	}
	checked := false
	for _, f := range scrape(t, reg)["dens_reply_seconds"].GetMetric() {
		if f.GetLabel()[0].GetValue() != "hit" {
			continue
		}
		checked = true
		h := f.GetHistogram()
		if h.GetSampleCount() != 8 || math.Abs(h.GetSampleSum()-120.00014) > 1e-9 {
			t.Errorf("%d samples of %v seconds", h.GetSampleCount(), h.GetSampleSum())
		}
		for i, want := range []uint64{3, 6, 6} {
			if got := h.GetBucket()[i].GetCumulativeCount(); got != want {
				t.Errorf("%d up to %v s, want %d", got, h.GetBucket()[i].GetUpperBound(), want)
			}
		}
		if ten := h.GetBucket()[13]; ten.GetUpperBound() != 10 || ten.GetCumulativeCount() != 6 {
			t.Errorf("%v", ten)
		}
	}
	if !checked {
		t.Error("no histogram of hits")
	}
}

// Whatever clients send, the number of series is bounded.
func TestSeriesAreBounded(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := NewMetrics(reg, "1", Sources{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1 << 16 {
		m.Observe(seen(m, "udp", "miss", "forward", uint16(i), uint16(i), 0))
	}
	fam := scrape(t, reg)
	if n := len(fam["dens_queries_total"].GetMetric()); n != len(m.types.names) || n > 40 {
		t.Errorf("%d series of queries", n)
	}
	if n := len(fam["dens_replies_total"].GetMetric()); n != len(m.rcodes.names) || n > 16 {
		t.Errorf("%d series of replies", n)
	}
}

func TestStateMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	b := Backend{Chain: "ethereum", Name: "a", Operator: "op", State: "closed", Up: true, Head: 100, Lag: 2, Latency: 250 * time.Millisecond, Calls: 7, Errors: 3}
	down := Backend{Chain: "ethereum", Name: "b\xff", Operator: "op\n\"", State: "open"}
	_, err := NewMetrics(reg, "1", Sources{
		Backends: func() []Backend { return []Backend{b, b, down} }, // two of one name must not spoil the scrape
		Upstreams: func() []Upstream {
			return []Upstream{{Zone: ".", Name: "dns", State: "ok", Up: true, Queries: 5, Errors: 1}}
		},
		Recursion: func() Recursion {
			return Recursion{
				Queries: map[string]uint64{"udp": 11, "tcp": 12}, Exhausted: map[string]uint64{"queries": 13, "depth": 0},
				Validations: map[string]uint64{"secure": 14}, Cached: map[string]int{"cuts": 15}, Servers: 16,
				Anchors: []Anchor{{Zone: ".", Tag: 1, State: "Valid"}, {Zone: ".", Tag: 2, State: "Valid"}, {Zone: ".", Tag: 3, State: "AddPend"}},
			}
		},
		Cache: func() Cache { return Cache{Entries: 4, Bytes: 500, Evictions: 6, Flights: 2} },
		Traffic: func() Traffic {
			return Traffic{Conns: []Conns{{Protocol: "tcp", Opened: 9, Refused: 8, Evicted: 7, Open: 6}}, Malformed: 1, Silent: 2, Shed: 3,
				Refused: 4, RateDropped: 5, RateSlipped: 6, RateCookies: 9, Cookies: map[string]uint64{"none": 10, "valid": 11}, WriteErrors: 7, Panics: 8, Handshakes: 12, Slow: 13, Abuse: 14}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	fam := scrape(t, reg)
	a := []string{"chain", "ethereum", "backend", "a", "operator", "op"}
	for _, tt := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{1, "dens_backend_up", a},
		{1, "dens_backend_up", []string{"chain", "ethereum", "backend", "a #2", "operator", "op"}},
		{0, "dens_backend_up", []string{"chain", "ethereum", "backend", "b?", "operator", "op\n\""}},
		{1, "dens_backend_state", append(a[:6:6], "state", "closed")},
		{100, "dens_backend_head", a}, {2, "dens_backend_lag_blocks", a}, {0.25, "dens_backend_latency_seconds", a},
		{7, "dens_backend_calls_total", a}, {3, "dens_backend_errors_total", a},
		{1, "dens_upstream_up", []string{"zone", ".", "upstream", "dns"}},
		{1, "dens_upstream_state", []string{"zone", ".", "upstream", "dns", "state", "ok"}},
		{5, "dens_upstream_queries_total", []string{"zone", ".", "upstream", "dns"}},
		{1, "dens_upstream_errors_total", []string{"zone", ".", "upstream", "dns"}},
		{11, "dens_recursive_queries_total", []string{"transport", "udp"}}, {12, "dens_recursive_queries_total", []string{"transport", "tcp"}},
		{13, "dens_recursive_budget_exhausted_total", []string{"budget", "queries"}}, {0, "dens_recursive_budget_exhausted_total", []string{"budget", "depth"}},
		{14, "dens_recursive_validations_total", []string{"status", "secure"}}, {15, "dens_recursive_cache_entries", []string{"cache", "cuts"}},
		{16, "dens_recursive_servers", nil},
		{2, "dens_trust_anchor_keys", []string{"zone", ".", "state", "Valid"}}, {1, "dens_trust_anchor_keys", []string{"zone", ".", "state", "AddPend"}},
		{4, "dens_cache_entries", nil}, {500, "dens_cache_bytes", nil}, {6, "dens_cache_evictions_total", nil}, {2, "dens_cache_flights", nil},
		{6, "dens_connections_open", []string{"protocol", "tcp"}}, {9, "dens_connections_opened_total", []string{"protocol", "tcp"}},
		{8, "dens_connections_refused_total", []string{"protocol", "tcp"}}, {7, "dens_connections_evicted_total", []string{"protocol", "tcp"}},
		{1, "dens_malformed_total", nil}, {2, "dens_silent_total", nil}, {3, "dens_shed_total", nil}, {4, "dens_refused_total", nil},
		{5, "dens_rate_dropped_total", nil}, {6, "dens_rate_slipped_total", nil}, {9, "dens_rate_badcookie_total", nil},
		{10, "dens_dns_cookies_total", []string{"state", "none"}}, {11, "dens_dns_cookies_total", []string{"state", "valid"}}, {7, "dens_write_errors_total", nil}, {8, "dens_panics_total", nil},
		{12, "dens_handshakes_failed_total", nil}, {13, "dens_slow_total", nil}, {14, "dens_abuse_total", nil},
	} {
		if got := value(t, fam, tt.name, tt.labels...); got != tt.want {
			t.Errorf("%s%v is %v, want %v", tt.name, tt.labels, got, tt.want)
		}
	}
}

// TestNoAnchors: that there is no trust anchor shows, too.
func TestNoAnchors(t *testing.T) {
	reg := prometheus.NewRegistry()
	if _, err := NewMetrics(reg, "1", Sources{Recursion: func() Recursion { return Recursion{} }}); err != nil {
		t.Fatal(err)
	}
	if got := value(t, scrape(t, reg), "dens_trust_anchor_keys", "zone", ".", "state", "Valid"); got != 0 {
		t.Errorf("%v keys", got)
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	m, err := NewMetrics(prometheus.NewRegistry(), "1", Sources{})
	if err != nil {
		t.Fatal(err)
	}
	o := seen(m, "udp", "hit", "onchain", 28, 0, 5*time.Microsecond)
	if n := testing.AllocsPerRun(1000, func() { m.Observe(o) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestObserveConcurrently(t *testing.T) {
	m, err := NewMetrics(prometheus.NewRegistry(), "1", Sources{})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for reader := range 8 {
		group.Go(func() {
			for i := range 1000 {
				o := seen(m, "udp", "hit", "", uint16(i%300), 0, 0)
				o.Reader = uint8(reader * 37)
				m.Observe(o)
			}
		})
	}
	group.Wait()
	if got := m.Totals(); got.Queries != 8000 || got.Hits != 8000 {
		t.Errorf("totals %+v, want 8000", got)
	}
}

func BenchmarkObserveParallel(b *testing.B) {
	m, err := NewMetrics(prometheus.NewRegistry(), "1", Sources{})
	if err != nil {
		b.Fatal(err)
	}
	var readers atomic.Uint32
	b.RunParallel(func(pb *testing.PB) {
		o := seen(m, "udp", "hit", "onchain", 28, 0, -1)
		o.Reader = uint8(readers.Add(1))
		for pb.Next() {
			m.Observe(o)
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	m, err := NewMetrics(prometheus.NewRegistry(), "1", Sources{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	o := seen(m, "udp", "hit", "onchain", 28, 0, 5*time.Microsecond)
	for b.Loop() {
		m.Observe(o)
	}
}

// What dens answers by itself (ANY, class CH) is a kind of zone like the others.
func TestLocalZone(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := NewMetrics(reg, "1", Sources{})
	if err != nil {
		t.Fatal(err)
	}
	m.Observe(seen(m, "udp", "miss", "local", 255, 0, 0))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, s := range f.GetMetric() {
			for _, l := range s.GetLabel() {
				if f.GetName() == "dens_replies_total" && l.GetName() == "zone" && l.GetValue() != "local" {
					t.Errorf("zone %q", l.GetValue())
				}
			}
		}
	}
}
