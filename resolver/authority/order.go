package authority

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

const (
	maxServers  = 64                     // of one zone that are considered
	bandLeast   = 5 * time.Millisecond   // servers this much slower than the best are as good
	slowBest    = 150 * time.Millisecond // when the best is slower, others are soon tried
	tryUnknown  = 8                      // one question in so many goes to a server that was not measured
	trySlow     = 2                      // likewise when the best is slow
	tryFar      = 24                     // one in so many goes to a server that is not among the best
	tryDoubtful = 24                     // one in so many goes to one that was late as well
)

// class is how good a server looks.
type class uint8

const (
	known    class = iota // measured
	unknown               // never asked, or never answered yet
	doubtful              // was late
	away                  // its family seems not to work
	useless               // was of no use for the zone lately
	gone                  // dead
)

// standing is what order puts servers in order by.
type standing struct {
	addr  netip.AddrPort
	class class
	rtt   time.Duration // expected
	bad   int           // failures with the zone
	dice  uint32
}

func (st standing) compare(other standing) int {
	switch {
	case st.class != other.class:
		return cmp.Compare(st.class, other.class)
	case st.bad != other.bad:
		return cmp.Compare(st.bad, other.bad)
	case st.rtt != other.rtt:
		return cmp.Compare(st.rtt, other.rtt)
	default:
		return cmp.Compare(st.dice, other.dice)
	}
}

// order returns the servers of a zone in the order in which to ask them, each once: the fast first, in
// random order among those that are as good, now and then led by another that is to be measured; those
// that were of no use lately last. probe is the index of a server that should be asked as well, to see whether
// it has come back, or -1; nobody is to wait for it.
func (m *memory) order(zone string, servers []netip.AddrPort) (list []standing, probe int) {
	list = make([]standing, 0, min(len(servers), maxServers))
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	first := 0
	if len(servers) > maxServers { // the list may be sorted, so that its beginning is one network's
		first = m.rand.IntN(len(servers))
	}
	for i := range servers {
		addr := servers[(first+i)%len(servers)]
		if len(list) == maxServers {
			break
		}
		if !has(list, addr) {
			list = append(list, m.standing(now, zone, addr))
		}
	}
	slices.SortFunc(list, standing.compare)
	measured := count(list, known)
	strange := list[measured : measured+count(list[measured:], unknown)]
	alternate(strange)
	if measured == 0 {
		return list, m.probe(now, list)
	}
	m.lead(list, measured, len(strange))
	return list, m.probe(now, list)
}

func has(list []standing, addr netip.AddrPort) bool {
	for i := range list {
		if list[i].addr == addr {
			return true
		}
	}
	return false
}

// count returns how many servers at the front of list are of a class.
func count(list []standing, c class) int {
	n := 0
	for n < len(list) && list[n].class == c {
		n++
	}
	return n
}

// standing looks at one server. It does not make it known.
func (m *memory) standing(now time.Time, zone string, addr netip.AddrPort) standing {
	st := standing{addr: addr, class: unknown, dice: m.rand.Uint32()}
	s, ok := m.servers.Get(addr)
	if ok {
		st.rtt = s.rtt
		switch {
		case s.dead:
			st.class, st.rtt = gone, -now.Sub(s.lastLate) // the longest dead first
		case s.timeouts > 0 && (s.rtt == 0 || now.Sub(s.lastLate) < lostFor):
			st.class, st.rtt = doubtful, s.rto(m.timeout)
		case s.rtt > 0:
			st.class = known
		}
	}
	if m.families[familyOf(addr.Addr())].down && st.class < away {
		st.class = away
	}
	if p, ok := m.zones.Get(zoneKey{addr, zone}); ok && st.class != gone && now.Before(p.until) {
		st.class, st.bad = useless, p.failures
	}
	return st
}

// alternate mixes the families of servers about which nothing is known: if the first does not work
// because of its family, the second does.
func alternate(list []standing) {
	for i := 1; i < len(list); i++ {
		if familyOf(list[i].addr.Addr()) != familyOf(list[i-1].addr.Addr()) {
			continue
		}
		for j := i + 1; j < len(list); j++ {
			if familyOf(list[j].addr.Addr()) != familyOf(list[i].addr.Addr()) {
				list[i], list[j] = list[j], list[i]
				break
			}
		}
	}
}

// lead settles who comes first: list begins with servers that were measured, the fastest first, and
// goes on with some of which nothing is known.
func (m *memory) lead(list []standing, measured, strange int) {
	best := list[0].rtt
	band := 1
	for band < measured && list[band].rtt <= best+max(best/4, bandLeast) {
		band++
	}
	m.rand.Shuffle(band, func(i, j int) { list[i], list[j] = list[j], list[i] })
	odds := tryUnknown
	if best > slowBest {
		odds = trySlow
	}
	switch {
	case strange > 0 && m.rand.IntN(odds) == 0:
		toFront(list, measured)
	case measured > band && m.rand.IntN(tryFar) == 0:
		toFront(list, band+m.rand.IntN(measured-band))
	}
}

func toFront(list []standing, i int) {
	st := list[i]
	copy(list[1:i+1], list[:i])
	list[0] = st
}

// probe picks a server that should be asked although it is not its turn, and there are others.
func (m *memory) probe(now time.Time, list []standing) int {
	if len(list) == 0 || list[0].class > unknown {
		return -1
	}
	for i := range list {
		st := &list[i]
		switch st.class {
		case doubtful:
			if m.rand.IntN(tryDoubtful) == 0 {
				return i
			}
		case away:
			if m.families[familyOf(st.addr.Addr())].due(now) {
				return i
			}
		case gone:
			if s, ok := m.servers.Get(st.addr); ok && !now.Before(s.until) && s.inflight == 0 {
				return i
			}
		}
	}
	return -1
}

func isClosed(ch <-chan struct{}) bool {
	if ch == nil {
		return false
	}
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
