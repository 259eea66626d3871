package cache

import (
	"log/slog"
	"time"
)

// Config is how long a Cache keeps what, and how much it does at a time.
type Config struct {
	MaxTTL      time.Duration // 24h
	NegativeTTL time.Duration // 15m; for NXDOMAIN and NODATA (RFC 2308)
	FailureTTL  time.Duration // 2s; also how long a name that failed is answered stale without a new try
	Stale       time.Duration // 0 is off; how long past its TTL an entry may still be used (RFC 8767)
	StaleAfter  time.Duration // 1.8s; how long the Source has before a stale entry is used
	Timeout     time.Duration // 8s; how long the Source has in all
	Overtake    time.Duration // 2.5s; a call of the Source older than this is not waited for by new requests
	MaxFlights  int           // 10000; calls of the Source at a time
	NoPrefetch  bool          // false; popular entries are renewed before they expire

	// Observe is called once for each request, before its reply goes out. It must not block; nil is none.
	Observe func(Event)
	Log     *slog.Logger // slog.Default()
}

func (c Config) withDefaults() Config {
	duration := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	duration(&c.MaxTTL, 24*time.Hour)
	duration(&c.NegativeTTL, 15*time.Minute)
	duration(&c.FailureTTL, 2*time.Second)
	duration(&c.StaleAfter, 1800*time.Millisecond)
	duration(&c.Timeout, 8*time.Second)
	duration(&c.Overtake, 2500*time.Millisecond)
	c.Stale = max(c.Stale, 0)
	if c.MaxFlights <= 0 {
		c.MaxFlights = 10000
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}
