package intake

import (
	"net/netip"

	"dens/internal/wire"
)

// Access is a Guard that lets only clients within its prefixes ask; others get REFUSED with the extended
// error 18, Prohibited (RFC 8914 section 4.19).
type Access struct {
	allow []netip.Prefix
	stats *Stats
}

// NewAccess returns a guard. stats counts the refused.
func NewAccess(allow []netip.Prefix, stats *Stats) *Access {
	return &Access{allow: allow, stats: stats}
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

// Check implements Guard.
func (a *Access) Check(q *wire.Query, buf []byte) (reply []byte, pass bool) {
	if a.Allows(q.From.Addr.Addr()) {
		return buf[:0], true
	}
	a.stats.Refused.Add(1)
	const prohibited = 18
	return q.AppendStatus(buf[:0], q.Msg, wire.Status{
		Rcode: wire.RcodeRefused, HasEDE: true, EDECode: prohibited, Cookie: q.From.Cookie.Option(),
	}), false
}
