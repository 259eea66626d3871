package recursive

import (
	"testing"

	"github.com/miekg/dns"

	"dens/dnssec"
	"dens/resolver"
)

func TestSignalName(t *testing.T) {
	if got := signalName(rootTags(dnssec.RootAnchors())); got != "_ta-4f66-9728." {
		t.Errorf("got %s", got)
	}
	if got := signalName(nil); got != "" {
		t.Errorf("got %s", got)
	}
}

func TestSentinel(t *testing.T) {
	r, err := New(Config{UDP: nobody{}, TCP: nobody{}, Anchors: dnssec.RootAnchors})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		rrtype  uint16
		refused bool
	}{
		{"root-key-sentinel-is-ta-20326.example.", dns.TypeA, false},
		{"root-key-sentinel-not-ta-20326.example.", dns.TypeA, true},
		{"root-key-sentinel-is-ta-38696.example.", dns.TypeAAAA, false},
		{"root-key-sentinel-is-ta-11112.example.", dns.TypeAAAA, true},
		{"root-key-sentinel-not-ta-11112.example.", dns.TypeA, false},
		{"root-key-sentinel-not-ta-20326.example.", dns.TypeTXT, false},
		{"root-key-sentinel-not-ta-020326.example.", dns.TypeA, false},
		{"root-key-sentinel-not-ta-99999.example.", dns.TypeA, false},
		{"root-key-sentinel-not-ta-.example.", dns.TypeA, false},
		{"www.root-key-sentinel-not-ta-20326.example.", dns.TypeA, false},
	}
	for _, tt := range tests {
		if err := r.sentinel(resolver.Query{Name: tt.name, Type: tt.rrtype}); (err != nil) != tt.refused {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
