// Package dial opens connections without the system's resolver, which may be asking dens: host names
// go to a look-up that is passed in. The address that a policy has allowed is the address that is
// dialed, so a name that points elsewhere the next moment (DNS rebinding) gains nothing.
package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// maxAddresses bounds how many addresses of one host are tried.
const maxAddresses = 8

// Errors that callers branch on.
var (
	// ErrRefused means that the policy allows none of the host's addresses.
	ErrRefused = errors.New("address is not allowed")
	// ErrNoAddress means that the host has no address of the family asked for.
	ErrNoAddress = errors.New("host has no address")
)

// Config says how a Dialer finds and judges addresses.
type Config struct {
	// Lookup returns the addresses of a host name. Without it host names cannot be dialed.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Allow returns an error for an address that must not be dialed, be it from Lookup or a literal;
	// nil allows all. It gets IPv4-mapped addresses as IPv4.
	Allow   func(netip.Addr) error
	Timeout time.Duration // for one DialContext in all, look-up included; 10 s
	Attempt time.Duration // for one address; 4 s
	Stagger time.Duration // until the next address is tried beside the one before (RFC 8305 section 5); 250 ms
}

func (c Config) withDefaults() Config {
	if c.Lookup == nil {
		c.Lookup = func(context.Context, string) ([]netip.Addr, error) {
			return nil, errors.New("host names are not resolved here")
		}
	}
	if c.Allow == nil {
		c.Allow = func(netip.Addr) error { return nil }
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Attempt <= 0 {
		c.Attempt = 4 * time.Second
	}
	if c.Stagger <= 0 {
		c.Stagger = 250 * time.Millisecond
	}
	return c
}

// Dialer dials by a Config. It is safe for concurrent use.
type Dialer struct {
	cfg  Config
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// New returns a Dialer.
func New(cfg Config) *Dialer {
	cfg = cfg.withDefaults()
	return &Dialer{cfg: cfg, dial: (&net.Dialer{Timeout: cfg.Attempt}).DialContext}
}

// DialContext connects to address, "host:port" with a port in digits, over tcp, tcp4, tcp6, udp, udp4
// or udp6. Errors do not repeat the host name.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	fits, ok := families[network]
	if !ok {
		return nil, net.UnknownNetworkError(network)
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, errors.New("dial: not an address of the form host:port")
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return nil, errors.New("dial: the port is not a number from 1 to 65535")
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	addrs, err := d.addresses(ctx, host, fits)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	conn, err := d.race(ctx, network, addrs, uint16(port))
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	return conn, nil
}

// families says which addresses a network can carry.
var families = map[string]func(netip.Addr) bool{
	"tcp": netip.Addr.IsValid, "tcp4": netip.Addr.Is4, "tcp6": netip.Addr.Is6,
	"udp": netip.Addr.IsValid, "udp4": netip.Addr.Is4, "udp6": netip.Addr.Is6,
}

// addresses returns the host's addresses that are allowed, in the order in which to try them.
func (d *Dialer) addresses(ctx context.Context, host string, fits func(netip.Addr) bool) ([]netip.Addr, error) {
	var found []netip.Addr
	if a, err := netip.ParseAddr(host); err == nil {
		found = []netip.Addr{a}
	} else if found, err = d.cfg.Lookup(ctx, host); err != nil {
		return nil, fmt.Errorf("look-up of the host: %w", err)
	}
	var allowed []netip.Addr
	var refused error
	for _, a := range found {
		a = a.Unmap()
		if !a.IsValid() || !fits(a) {
			continue
		}
		if err := d.cfg.Allow(a); err != nil {
			refused = err
			continue
		}
		allowed = append(allowed, a)
	}
	switch {
	case len(allowed) > 0:
		return interleave(allowed), nil
	case refused != nil:
		return nil, fmt.Errorf("%w: %w", ErrRefused, refused)
	}
	return nil, ErrNoAddress
}

// interleave returns up to maxAddresses addresses, IPv6 and IPv4 by turns, IPv6 first (RFC 8305 section 4).
func interleave(addrs []netip.Addr) []netip.Addr {
	var six, four, out []netip.Addr
	for _, a := range addrs {
		if a.Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	for i := 0; len(out) < maxAddresses && (i < len(six) || i < len(four)); i++ {
		if i < len(six) {
			out = append(out, six[i])
		}
		if i < len(four) && len(out) < maxAddresses {
			out = append(out, four[i])
		}
	}
	return out
}
