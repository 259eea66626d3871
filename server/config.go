package server

import (
	"net/netip"

	"dens/server/certs"
	"dens/server/doh"
	"dens/server/intake"
)

// Config says where to listen and what to bear. Addresses are "host:port": an IPv4 or IPv6 host takes
// that family only ("[::]:53" is IPv6 alone), an empty one takes both.
type Config struct {
	intake.Config

	DNS []string // UDP and TCP, each on every address
	DoT []string // DNS over TLS (RFC 7858)
	DoH []string // DNS over HTTPS (RFC 8484), HTTP/2 and HTTP/1.1, and HTTP/3 on the UDP port
	DoQ []string // DNS over QUIC (RFC 9250)

	Certificate certs.Source // needed by DoT, DoH and DoQ
	Path        string       // of the DoH resource; "/dns-query". A URI template's "{?dns}" may follow
	JSON        JSONCodec    // nil: no application/dns-json
	// TrustedProxies are peers whose X-Forwarded-For and Forwarded fields say who the client of a DoH request is
	// (RFC 7239). None are trusted unless they are named here.
	TrustedProxies []netip.Prefix
}

func (c Config) withDefaults() Config {
	c.Config = c.Config.WithDefaults()
	c.Proxies = c.TrustedProxies
	return c
}

// resource is what server/doh has to know.
func (c *Config) resource() doh.Config {
	return doh.Config{Path: c.Path, JSON: c.JSON, TrustedProxies: c.TrustedProxies}
}
