package server

import (
	"log/slog"
	"time"
)

// Config says where to listen and what to bear. Addresses are "host:port": an IPv4 or IPv6 host takes
// that family only ("[::]:53" is IPv6 alone), an empty one takes both.
type Config struct {
	DNS []string // UDP and TCP, each on every address
	DoT []string // DNS over TLS (RFC 7858)
	DoH []string // DNS over HTTPS (RFC 8484), HTTP/2 and HTTP/1.1

	Certificate *Certificate // needed by DoT and DoH
	Path        string       // of the DoH resource; "/dns-query"
	JSON        JSONCodec    // nil: no application/dns-json
	Cookies     *Cookies     // nil: the COOKIE option is ignored (RFC 7873)

	Log   *slog.Logger // slog.DiscardHandler
	Stats *Stats       // a new one

	QueryTimeout time.Duration // 10 s: the life of a request's context
	IdleTimeout  time.Duration // 10 s: a stream without a query under way (RFC 7766 section 6.2.3)
	ReadTimeout  time.Duration // 5 s: a whole message, a TLS handshake, an HTTP header
	WriteTimeout time.Duration // 5 s: one reply to a client that does not read

	MaxUDP            int // 4096: UDP requests under way, in all
	MaxStream         int // 16384: requests under way on TCP, DoT and DoH, in all
	MaxLarge          int // 512: of these, requests of more than 4096 octets
	MaxPipeline       int // 64: requests under way on one connection
	MaxConns          int // 4096: connections, in all
	MaxConnsPerClient int // 64: connections of one IPv4 address or IPv6 /64
}

func (c Config) withDefaults() Config {
	if c.Path == "" {
		c.Path = "/dns-query"
	}
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
