package forward

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"time"

	"dens/resolver"
)

// Protocol is how an upstream server is spoken to.
type Protocol string

const (
	UDP   Protocol = "udp"   // with TCP for what does not fit (RFC 1035, 7766)
	TCP   Protocol = "tcp"   // RFC 7766
	TLS   Protocol = "tls"   // RFC 7858
	HTTPS Protocol = "https" // RFC 8484
)

// Upstream is one server to ask.
type Upstream struct {
	Protocol Protocol
	Addr     string // host:port to connect to
	// ServerName is the host name or IP address that the certificate must be for, and for HTTPS the
	// host of the URL. "" is the host of Addr.
	ServerName string
	Path       string // of the URL, for HTTPS: /dns-query. It may hold a secret and is never shown
	Name       string // for people: status, log, errors. "" is ServerName
}

// Dialer opens connections to upstream servers. dens may be the system's resolver, so host names are
// never resolved by the system: cmd passes one that asks dens's own upstreams.
type Dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// Config says whom a Forwarder asks, and how.
type Config struct {
	Upstreams []Upstream // at least one; the order counts until they were measured
	// Zone is what the upstreams answer for: probes ask for its SOA, and a DNAME above it has no say.
	Zone           string         // "."
	Dial           Dialer         // connects to IP addresses, refuses host names; not needed by UDP to an IP address
	Timeout        time.Duration  // 5 s: the whole of a question, over all upstreams
	ConnectTimeout time.Duration  // 3 s: TCP and TLS handshakes
	IdleTimeout    time.Duration  // 20 s: an unused connection is closed after that
	ProbeMin       time.Duration  // 500 ms: first pause between two probes of an upstream that is down
	ProbeMax       time.Duration  // 1.5 s: longest pause
	ProbeTimeout   time.Duration  // 2 s
	Explore        time.Duration  // 10 s: an upstream that was not asked for so long is measured again
	MaxOutstanding int            // 2048 questions at a time; more are refused with an EDE
	MaxPerUpstream int            // MaxOutstanding: attempts at one upstream at a time, again ones counted again; the others are asked then
	RootCAs        *x509.CertPool // the system's
	Rand           rand.Source    // ChaCha8 with a seed from crypto/rand; ids and spellings come from it
	Now            func() time.Time
	Log            *slog.Logger // discards
}

func (c Config) withDefaults() (Config, error) {
	if c.Zone == "" {
		c.Zone = "."
	}
	zone, err := resolver.CheckName(c.Zone)
	if err != nil {
		return c, err
	}
	c.Zone = zone
	if c.Dial == nil {
		c.Dial = dialAddress
	}
	for _, d := range []struct {
		v        *time.Duration
		fallback time.Duration
	}{
		{&c.Timeout, 5 * time.Second},
		{&c.ConnectTimeout, 3 * time.Second},
		{&c.IdleTimeout, 20 * time.Second},
		{&c.ProbeMin, 500 * time.Millisecond},
		{&c.ProbeMax, 1500 * time.Millisecond},
		{&c.ProbeTimeout, 2 * time.Second},
		{&c.Explore, 10 * time.Second},
	} {
		if *d.v <= 0 {
			*d.v = d.fallback
		}
	}
	if c.MaxOutstanding <= 0 {
		c.MaxOutstanding = 2048
	}
	if c.MaxPerUpstream <= 0 {
		c.MaxPerUpstream = c.MaxOutstanding
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if len(c.Upstreams) == 0 {
		return c, errors.New("no upstream server")
	}
	return c, nil
}

func (u Upstream) withDefaults() (Upstream, error) {
	host, port, err := net.SplitHostPort(u.Addr)
	if err != nil || host == "" || port == "" {
		return u, errors.New("upstream address is not host:port")
	}
	u.ServerName = strings.TrimSuffix(u.ServerName, ".")
	if u.ServerName == "" {
		u.ServerName = strings.TrimSuffix(host, ".")
	}
	if u.Name == "" {
		u.Name = u.ServerName
	}
	switch u.Protocol {
	case UDP, TCP, TLS:
	case HTTPS:
		if u.Path == "" {
			u.Path = "/dns-query"
		}
		if !strings.HasPrefix(u.Path, "/") {
			return u, fmt.Errorf("upstream %s: the path does not begin with a slash", u.Name)
		}
	default:
		return u, fmt.Errorf("upstream %s: protocol %q is none of udp, tcp, tls, https", u.Name, u.Protocol)
	}
	return u, nil
}

// dialAddress is the Dialer for those who have only addresses.
func dialAddress(ctx context.Context, network, addr string) (net.Conn, error) {
	if _, err := netip.ParseAddrPort(addr); err != nil {
		return nil, errors.New("no way to resolve the server's host name")
	}
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}
