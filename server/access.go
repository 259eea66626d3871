package server

import (
	"context"
	"fmt"
	"net/netip"

	"dens/internal/wire"
)

// Access lets only clients within its prefixes ask; others get REFUSED with the extended error 18,
// Prohibited (RFC 8914 section 4.19).
type Access struct {
	next  Handler
	allow []netip.Prefix
	stats *Stats
}

// NewAccess wraps next. stats counts the refused.
func NewAccess(next Handler, allow []netip.Prefix, stats *Stats) *Access {
	return &Access{next: next, allow: allow, stats: stats}
}

// Allows reports whether a client at addr may ask.
func (a *Access) Allows(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("") // a prefix never contains an address with a zone
	for _, p := range a.allow {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// ServeWire implements Handler.
func (a *Access) ServeWire(ctx context.Context, req []byte, from wire.Peer, buf []byte) []byte {
	if a.Allows(from.Addr.Addr()) {
		return a.next.ServeWire(ctx, req, from, buf)
	}
	a.stats.Refused.Add(1)
	const prohibited = 18
	return wire.AppendStatus(buf[:0], req, wire.Status{Rcode: wire.RcodeRefused, HasEDE: true, EDECode: prohibited})
}

// ParseAllow turns words into prefixes: loopback, private (RFC 1918, RFC 4193, RFC 6598, link-local),
// any, a prefix, or a single address.
func ParseAllow(words []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, w := range words {
		switch w {
		case "loopback":
			out = append(out, prefixes("127.0.0.0/8", "::1/128")...)
		case "private":
			out = append(out, prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
				"169.254.0.0/16", "fc00::/7", "fe80::/10")...)
		case "any":
			out = append(out, prefixes("0.0.0.0/0", "::/0")...)
		default:
			p, err := parsePrefix(w)
			if err != nil {
				return nil, fmt.Errorf("%q is no prefix, no address, and none of loopback, private, any", w)
			}
			out = append(out, p)
		}
	}
	return out, nil
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

// parsePrefix reads a prefix or an address. One that is written as IPv4 in IPv6 (::ffff:10.0.0.0/104)
// is turned into IPv4, since clients are compared in that form.
func parsePrefix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, err
		}
		addr = addr.Unmap().WithZone("")
		return addr.Prefix(addr.BitLen())
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}
