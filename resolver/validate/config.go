package validate

import (
	"log/slog"
	"time"

	"github.com/miekg/dns"

	"dens/dnssec"
)

// Bounds of what one judgement may ask for, and of what a name server can make it look at.
const (
	maxTries   = 3  // fetches of one DS or DNSKEY RRset whose earlier copies were bogus
	maxDS      = 20 // fetches of DS for one response
	maxDNSKEY  = 24 // fetches of DNSKEY for one response
	maxSigners = 2  // zones that are said to have signed one RRset, that are looked at
	maxSets    = 64 // RRsets of one answer or authority section
	maxAnchors = 32 // zones that Probe looks at
)

// Config is what a Chain needs.
type Config struct {
	Source    Source
	Validator *dnssec.Validator // dnssec.New(dnssec.Config{})
	// Negative are zones that are insecure, with all below them up to a closer trust anchor (RFC 7646).
	Negative []string
	Keys     int // 10000; zones whose keys are remembered
	Now      func() time.Time
	Log      *slog.Logger // discards
}

func (c Config) withDefaults() Config {
	if c.Validator == nil {
		c.Validator = dnssec.New(dnssec.Config{})
	}
	if c.Keys <= 0 {
		c.Keys = 10000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// canonical returns the set of names in canonical form.
func canonical(names []string) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, n := range names {
		out[dns.CanonicalName(n)] = true
	}
	return out
}
