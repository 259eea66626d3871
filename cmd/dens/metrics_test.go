package main

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"dens/cache"
	"dens/internal/wire"
	"dens/web"
)

// TestMetricsKnowAll: whatever the cache can tell has a series of its own.
func TestMetricsKnowAll(t *testing.T) {
	m, err := web.NewMetrics(prometheus.NewRegistry(), "1", web.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range wire.Protocols {
		if name := wire.Protocol(i).String(); m.Protocol(name) == m.Protocol("none of these") {
			t.Errorf("protocol %q counts as other", name)
		}
	}
	for i := range cache.Outcomes {
		if name := cache.Outcome(i).String(); m.Outcome(name) == m.Outcome("none of these") {
			t.Errorf("outcome %q counts as other", name)
		}
	}
	for i := range cache.Zones - 1 {
		if name := cache.Zone(i).String(); m.Zone(name) == m.Zone("none of these") {
			t.Errorf("zone %q counts as other", name)
		}
	}
	observe := observer(m)
	observe(cache.Event{Protocol: wire.DoQ, Outcome: cache.Uncached, Zone: cache.Zone(cache.Zones - 1), Duration: cache.Untimed})
	observe(cache.Event{Outcome: cache.Hit})
	if got := m.Totals(); got.Queries != 2 || got.Hits != 1 {
		t.Errorf("%+v", got)
	}
}
