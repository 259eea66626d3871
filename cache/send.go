package cache

import (
	"math"
	"time"

	"dens/internal/wire"
)

// staleTTL is the TTL of stale records, in seconds (RFC 8767 section 4).
const staleTTL = 30

// send makes the reply to a request from an entry: copy, patch, and truncate where it has to be.
func (c *Cache) send(q *wire.Query, p *Packed, outcome Outcome, buf []byte) []byte {
	rcode := p.rcode()
	c.observe(q, rcode, p.zone, outcome)
	msg := append(buf[:0], p.wire...)
	q.Readdress(msg, q.Msg, rcode)
	if outcome == Stale {
		wire.SetTTLs(msg, q.QuestionEnd, staleTTL)
		// RFC 8767 does not say: whatever proved the data, signatures or a block of the chain, was good for
		// as long as its TTL, and nobody has looked since.
		wire.ClearAD(msg)
	} else if age := p.age(q.Start.UnixNano()) / int64(time.Second); age > 0 {
		wire.Age(msg, q.QuestionEnd, uint32(min(age, math.MaxUint32)))
	}
	if !q.EDNS {
		return wire.Truncate(msg, q.Limit)
	}
	opt := wire.OPT{Rcode: rcode, DO: q.DO, Cookie: q.From.Cookie.Option(), Keepalive: q.KeepaliveFor()}
	switch {
	case outcome == Stale:
		opt.HasEDE, opt.EDECode = true, staleCode(rcode)
	case p.flags&flagEDE != 0:
		opt.HasEDE, opt.EDECode = true, p.edeCode
	}
	if x := p.extra; x != nil {
		if outcome != Stale {
			opt.EDEText = x.edeText
		}
		if q.Origin && len(x.origin) > 0 {
			opt.Origin = x.origin
		}
	}
	return fit(q, msg, &opt)
}

func staleCode(rcode uint16) uint16 {
	if rcode == wire.RcodeNameError {
		return edeStaleNXDomain
	}
	return edeStale
}

// fit adds the OPT record and keeps within the limit. Padding only fills what is left.
func fit(q *wire.Query, msg []byte, opt *wire.OPT) []byte {
	if len(msg)+opt.Len() > q.Limit {
		msg = squeeze(msg, opt, q.Limit)
	}
	q.Pad(opt, len(msg))
	return wire.AddOPT(msg, opt)
}

// squeeze makes a message fit with its OPT record: the origin goes first, then the extended error, before any
// record does (RFC 8914 section 3), and the client is told to come back for them.
func squeeze(msg []byte, opt *wire.OPT, limit int) []byte {
	dropped := false
	if opt.Origin != nil {
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
	return msg
}
