package server

import (
	"context"
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
	return wire.AppendStatus(buf[:0], req, wire.Status{Rcode: wire.RcodeRefused, HasEDE: true, EDECode: prohibited, Cookie: from.Cookie.Option()})
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}
