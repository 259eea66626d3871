package reply

import (
	"log/slog"
	"time"
)

// Config is what a Source needs besides its resolver.
type Config struct {
	Version     string           // version.bind and version.server of class CH; default "": REFUSED
	Hostname    string           // hostname.bind and id.server of class CH (RFC 4892); default "": REFUSED
	MaxTTL      time.Duration    // cap for all TTLs; default 24h
	NegativeTTL time.Duration    // cap for NXDOMAIN and NODATA; default 15m
	FailureTTL  time.Duration    // how long a failure is kept (RFC 9520: 1s to 5min); default 5s
	Log         *slog.Logger     // default slog.Default()
	Now         func() time.Time // default time.Now
}

func (c Config) withDefaults() Config {
	if c.MaxTTL <= 0 {
		c.MaxTTL = 24 * time.Hour
	}
	if c.NegativeTTL <= 0 {
		c.NegativeTTL = 15 * time.Minute
	}
	if c.FailureTTL <= 0 {
		c.FailureTTL = 5 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}
