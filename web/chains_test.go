package web

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// someChains are a chain with a light client that fails, one that waits for its first block, one that a
// quorum vouches for, and one that is believed.
func someChains() []Chain {
	return []Chain{
		{Name: "ethereum", Trust: "proven", Anchor: "beacon (optimistic)",
			Block: &Block{Number: 23800000, Slot: 13008000, Age: 90 * time.Second, ExpiresIn: 210 * time.Second},
			Light: &Light{Period: 1587, Finalized: 13007900, Failing: 72 * time.Second, Endpoints: []BeaconEndpoint{
				{Name: "beacon.example", Up: true, Slot: 13008000, Requests: 40, Errors: 2},
				{Name: "beacon.example", Slot: 12999999, Requests: 3, Errors: 3, Reason: "<refused>"},
			}},
			Proofs: &Proofs{Calls: 7, Trips: 9, Bytes: 90965, Bad: 4, Blocks: 2, Memory: 26804}},
		{Name: "starting", Trust: "proven", Anchor: "beacon (finalized)", Light: &Light{}, Proofs: &Proofs{}},
		{Name: "base", Trust: "proven", Anchor: "quorum (2 of 3 operators)", Reason: "no checkpoint is configured",
			Block: &Block{Number: 11, Age: time.Second, ExpiresIn: 100 * 365 * 24 * time.Hour}, Proofs: &Proofs{Calls: 1}},
		{Name: "own", Trust: "single", Anchor: "none"},
	}
}

func TestChainMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	if _, err := NewMetrics(reg, "1", Sources{Chains: someChains}); err != nil {
		t.Fatal(err)
	}
	fam := scrape(t, reg)
	for _, tt := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{1, "dens_chain_info", []string{"chain", "ethereum", "trust", "proven", "anchor", "beacon (optimistic)"}},
		{1, "dens_chain_info", []string{"chain", "own", "trust", "single", "anchor", "none"}},
		{23800000, "dens_chain_anchor_block", []string{"chain", "ethereum"}},
		{13008000, "dens_chain_anchor_slot", []string{"chain", "ethereum"}},
		{90, "dens_chain_anchor_age_seconds", []string{"chain", "ethereum"}},
		{210, "dens_chain_anchor_expires_seconds", []string{"chain", "ethereum"}},
		{0, "dens_chain_anchor_expires_seconds", []string{"chain", "starting"}},
		{0, "dens_chain_anchor_block", []string{"chain", "starting"}},
		{11, "dens_chain_anchor_block", []string{"chain", "base"}},
		{7, "dens_chain_calls_total", []string{"chain", "ethereum"}},
		{9, "dens_chain_trips_total", []string{"chain", "ethereum"}},
		{90965, "dens_chain_fetched_bytes_total", []string{"chain", "ethereum"}},
		{4, "dens_chain_bad_proofs_total", []string{"chain", "ethereum"}},
		{2, "dens_chain_state_blocks", []string{"chain", "ethereum"}},
		{26804, "dens_chain_state_bytes", []string{"chain", "ethereum"}},
		{1587, "dens_light_client_period", []string{"chain", "ethereum"}},
		{13007900, "dens_light_client_finalized_slot", []string{"chain", "ethereum"}},
		{72, "dens_light_client_failing_seconds", []string{"chain", "ethereum"}},
		{0, "dens_light_client_failing_seconds", []string{"chain", "starting"}},
		{1, "dens_beacon_up", []string{"chain", "ethereum", "beacon", "beacon.example"}},
		{0, "dens_beacon_up", []string{"chain", "ethereum", "beacon", "beacon.example #2"}},
		{12999999, "dens_beacon_slot", []string{"chain", "ethereum", "beacon", "beacon.example #2"}},
		{40, "dens_beacon_requests_total", []string{"chain", "ethereum", "beacon", "beacon.example"}},
		{3, "dens_beacon_errors_total", []string{"chain", "ethereum", "beacon", "beacon.example #2"}},
	} {
		if got := value(t, fam, tt.name, tt.labels...); got != tt.want {
			t.Errorf("%s%v is %v, want %v", tt.name, tt.labels, got, tt.want)
		}
	}
	for name, want := range map[string]int{"dens_chain_info": 4, "dens_chain_calls_total": 3, "dens_chain_anchor_age_seconds": 2, "dens_chain_anchor_slot": 2} {
		if got := len(fam[name].GetMetric()); got != want {
			t.Errorf("%s has %d series, want %d", name, got, want)
		}
	}
}

// TestChainsOnPage: the page shows what is in force, and the state of each beacon API.
func TestChainsOnPage(t *testing.T) {
	conf := Config{
		Ready: func() []Part {
			return []Part{{Name: "chain ethereum", Ready: true, Degraded: true, Reason: "not for long"}}
		},
		Status: func() Status { return Status{Chains: someChains()} },
	}
	w := get(t, newHandler(t, conf), "/")
	for _, want := range []string{
		"<h2>Chains</h2>", "beacon (optimistic)", "23800000", "13008000", "1m30s", "3m30s", "no checkpoint is configured", ">never<",
		"<h2>Beacon APIs of ethereum</h2>", "resting", "in use", "&lt;refused&gt;", ">degraded<", "not for long",
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in:\n%s", want, w.Body)
		}
	}
	if strings.Contains(w.Body.String(), "Beacon APIs of base") || strings.Contains(w.Body.String(), "<refused>") {
		t.Errorf("too much in:\n%s", w.Body)
	}
}

// TestDegradedPart: one part that is ready, but not well, is told of, and does not end readiness.
func TestDegradedPart(t *testing.T) {
	up := Part{Name: "a", Ready: true}
	ill := Part{Name: "b", Ready: true, Degraded: true, Reason: "soon"}
	aside := Part{Name: "c", Ready: true, Aside: true, Names: "dns.example", Expires: "2027-01-01T00:00:00Z"}
	if w := get(t, newHandler(t, Config{Ready: func() []Part { return []Part{{Name: "a"}, aside} }}), "/readyz"); w.Code != 503 {
		t.Errorf("ready by what answers no questions: %d", w.Code)
	}
	for _, tt := range []struct {
		parts []Part
		want  string
	}{
		{[]Part{ill}, `{"status":"degraded","parts":[{"name":"b","ready":true,"degraded":true,"reason":"soon"}]}`},
		{[]Part{up, ill}, `{"status":"degraded","parts":[{"name":"a","ready":true},{"name":"b","ready":true,"degraded":true,"reason":"soon"}]}`},
		{[]Part{up}, `{"status":"ready","parts":[{"name":"a","ready":true}]}`},
		{[]Part{up, aside}, `{"status":"ready","parts":[{"name":"a","ready":true},{"name":"c","ready":true,"names":"dns.example","expires":"2027-01-01T00:00:00Z"}]}`},
	} {
		w := get(t, newHandler(t, Config{Ready: func() []Part { return tt.parts }}), "/readyz")
		if w.Code != 200 || strings.TrimSpace(w.Body.String()) != tt.want {
			t.Errorf("status %d, %s, want %s", w.Code, w.Body, tt.want)
		}
	}
}
