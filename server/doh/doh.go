// Package doh is the DNS over HTTPS resource (RFC 8484), for any HTTP server, and a lean HTTP/2 server
// (RFC 9113) that has this resource and nothing else.
package doh

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dens/server/intake"
)

// Config says what the resource is.
type Config struct {
	Path string    // "/dns-query"; the variable of a URI template at its end, "{?dns}", is left out
	JSON JSONCodec // nil: no application/dns-json
	// TrustedProxies are peers whose X-Forwarded-For and Forwarded fields say who the client is.
	TrustedProxies []netip.Prefix
	// AltSvc tells clients of HTTP/1.1 and HTTP/2 with TLS where HTTP/3 is (RFC 7838 section 3). "": nowhere.
	AltSvc string
}

func (c Config) withDefaults() Config {
	c.Path = strings.TrimSuffix(c.Path, "{?dns}") // RFC 8484 section 4.1, RFC 6570
	if c.Path == "" {
		c.Path = "/dns-query"
	}
	return c
}

// Resource answers DNS queries that came by HTTP. It is safe for concurrent use.
type Resource struct {
	in        *intake.Intake
	conf      atomic.Pointer[Config]
	exchanges sync.Pool // *exchange
	clock     atomic.Pointer[stamp]
}

// New returns a Resource whose requests are answered by in.
func New(in *intake.Intake, conf Config) *Resource {
	r := &Resource{in: in}
	r.exchanges.New = func() any { return new(exchange) }
	r.Configure(conf)
	return r
}

// Configure takes a new Config into force.
func (r *Resource) Configure(conf Config) {
	conf = conf.withDefaults()
	r.conf.Store(&conf)
}

// stamp is a second in the form of the Date field (RFC 9110 section 6.6.1).
type stamp struct {
	unix int64
	text string
}

// date returns the second that now is in.
func (r *Resource) date(now time.Time) string {
	unix := now.Unix()
	if s := r.clock.Load(); s != nil && s.unix == unix {
		return s.text
	}
	s := &stamp{unix: unix, text: now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}
	r.clock.Store(s)
	return s.text
}
