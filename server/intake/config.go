package intake

import (
	"log/slog"
	"net/netip"
	"time"
)

// Config is what the transports have in common.
type Config struct {
	Limits
	Cookies *Cookies     // nil: the COOKIE option is ignored (RFC 7873)
	Log     *slog.Logger // slog.DiscardHandler
	Stats   *Stats       // a new one
	// Proxies are peers that speak for many clients: MaxConnsPerClient does not hold for them.
	Proxies []netip.Prefix
}

// Limits bound what the clients can ask for.
type Limits struct {
	QueryTimeout time.Duration // 10 s: the life of a request's context
	IdleTimeout  time.Duration // 10 s: a connection without a query under way (RFC 7766 section 6.2.3)
	ReadTimeout  time.Duration // 5 s: a whole message, a TLS handshake, an HTTP header
	WriteTimeout time.Duration // 5 s: one reply to a client that does not read

	UDPSize     int // 1232: octets of a reply by UDP, at least 512 (RFC 9715)
	MaxUnproven int // UDPSize: likewise, to a client whose cookie does not prove its address

	MaxUDP            int // 4096: UDP requests that wait for their replies, in all
	MaxStream         int // 16384: likewise on all other transports
	MaxLarge          int // 512: of these, requests of more than 4096 octets
	MaxPipeline       int // 64: requests of one connection that wait for their replies
	MaxConns          int // 4096: connections, in all
	MaxConnsPerClient int // 64: connections of one IPv4 address or IPv6 /64
}

// WithDefaults fills in what is not set.
func (c Config) WithDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Stats == nil {
		c.Stats = new(Stats)
	}
	setDefault(&c.QueryTimeout, 10*time.Second)
	setDefault(&c.IdleTimeout, 10*time.Second)
	setDefault(&c.ReadTimeout, 5*time.Second)
	setDefault(&c.WriteTimeout, 5*time.Second)
	setDefault(&c.UDPSize, 1232)
	c.UDPSize = max(c.UDPSize, 512)
	setDefault(&c.MaxUnproven, c.UDPSize)
	c.MaxUnproven = max(c.MaxUnproven, 512)
	setDefault(&c.MaxUDP, 4096)
	setDefault(&c.MaxStream, 16384)
	setDefault(&c.MaxLarge, 512)
	setDefault(&c.MaxPipeline, 64)
	setDefault(&c.MaxConns, 4096)
	setDefault(&c.MaxConnsPerClient, 64)
	return c
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}
