package cache

import (
	"time"

	"dens/internal/wire"
)

// staleTTL is the TTL of stale records, in seconds (RFC 8767 section 4).
const staleTTL = 30

// send makes the reply to a request from an entry: copy, patch, and truncate where it has to be.
func (c *Cache) send(q *wire.Query, e *Entry, outcome Outcome, buf []byte) []byte {
	c.observe(q, e.rcode(), e.Zone, outcome)
	msg := append(buf[:0], e.Wire...)
	q.Readdress(msg, q.Msg, e.Rcode)
	if outcome == Stale {
		wire.SetTTLs(msg, e.ttls, staleTTL)
		// RFC 8767 does not say: whatever proved the data, signatures or a block of the chain, was good for
		// as long as its TTL, and nobody has looked since.
		wire.ClearAD(msg)
	} else {
		wire.Age(msg, e.ttls, uint32(e.age(q.Start)/time.Second), e.limit)
	}
	if !q.EDNS {
		return wire.Truncate(msg, q.Limit)
	}
	opt := wire.OPT{Rcode: e.rcode(), DO: q.DO, HasEDE: e.HasEDE, EDECode: e.EDECode, EDEText: e.EDEText, Cookie: q.From.Cookie.Option()}
	if outcome == Stale {
		opt.HasEDE, opt.EDECode, opt.EDEText = true, staleCode(e), ""
	}
	if q.Origin && len(e.Origin) > 0 {
		opt.Origin = e.Origin
	}
	return fit(msg, &opt, q.Limit)
}

func staleCode(e *Entry) uint16 {
	if e.rcode() == wire.RcodeNameError {
		return edeStaleNXDomain
	}
	return edeStale
}

// fit adds the OPT record and keeps within limit: the origin goes first, then the extended error, before
// any record does (RFC 8914 section 3), and the client is told to come back for them.
func fit(msg []byte, opt *wire.OPT, limit int) []byte {
	dropped := false
	if opt.Origin != nil && len(msg)+opt.Len() > limit {
		opt.Origin, dropped = nil, limit < wire.MaxMessage // else there is no better transport to come back by
	}
	if opt.HasEDE && len(msg)+opt.Len() > limit {
		opt.EDEText = ""
		if len(msg)+opt.Len() > limit {
			opt.HasEDE, dropped = false, true
		}
	}
	msg = wire.Truncate(msg, limit-opt.Len())
	if dropped {
		msg = wire.SetTC(msg)
	}
	return wire.AddOPT(msg, opt)
}
