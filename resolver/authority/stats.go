package authority

import "sync/atomic"

// Stats are counters since the start, and what is remembered now.
type Stats struct {
	UDP, TCP    uint64 // messages sent
	Timeouts    uint64 // messages by UDP without a reply
	Unreachable uint64 // messages that found no server
	Late        uint64 // messages whose reply was not waited for before another was sent
	Probes      uint64 // messages sent alongside, to servers that may be back
	Truncated   uint64 // replies that were
	Plain       uint64 // messages sent again without EDNS
	Case        uint64 // replies in another case than the question
	Forged      uint64 // floods of replies to something else
	Lame        uint64 // replies of lame servers
	Failures    uint64 // replies with a failure rcode
	Garbled     uint64 // replies that could not be read
	Spared      uint64 // messages not sent since the server failed a moment ago
	Busy        uint64 // messages not sent since too many were under way
	Exhausted   uint64 // Asks that ended at the bound of messages

	Servers            int  // remembered
	Penalties          int  // servers remembered as of no use for a zone
	IPv4Down, IPv6Down bool // the family seems not to work
}

type counters struct {
	udp, tcp, timeouts, unreachable, late, probes, truncated, plain, oddCase, forged, lame, failures, garbled, spared,
	busy, exhausted atomic.Uint64
}

// Stats returns a snapshot.
func (s *Servers) Stats() Stats {
	c := &s.counters
	out := Stats{
		UDP: c.udp.Load(), TCP: c.tcp.Load(), Timeouts: c.timeouts.Load(), Unreachable: c.unreachable.Load(),
		Late: c.late.Load(), Probes: c.probes.Load(), Truncated: c.truncated.Load(), Plain: c.plain.Load(),
		Case: c.oddCase.Load(), Forged: c.forged.Load(), Lame: c.lame.Load(), Failures: c.failures.Load(),
		Garbled: c.garbled.Load(), Spared: c.spared.Load(), Busy: c.busy.Load(), Exhausted: c.exhausted.Load(),
	}
	m := s.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	out.Servers, out.Penalties = m.servers.Len(), m.zones.Len()
	out.IPv4Down, out.IPv6Down = m.families[ipv4].down, m.families[ipv6].down
	return out
}
