package intake

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dens/internal/wire"
)

// connTable bounds connections: in all and for each client, over all listeners together.
type connTable struct {
	mu      sync.Mutex
	all     map[*Place]struct{}
	clients map[netip.Prefix]int
}

func newConnTable() *connTable {
	return &connTable{all: make(map[*Place]struct{}), clients: make(map[netip.Prefix]int)}
}

// Place is a connection's place in the table of all connections.
type Place struct {
	in       *Intake
	client   netip.Prefix
	proxy    bool // MaxConnsPerClient does not hold
	counters *connStats
	close    func() // closes the connection, to make room for another
	under    atomic.Int32
	last     atomic.Int64 // when the last request ended, or the connection began, as Intake.age
}

// Admit gives a connection a place, or returns nil when there is none: the connection is to be closed. When
// all places are taken, one that has been idle for long makes room: close is called then, from any goroutine,
// and has to end the connection; it must not wait.
func (in *Intake) Admit(client netip.Addr, proto wire.Protocol, close func()) *Place {
	conf := in.conf.Load()
	p := &Place{in: in, client: clientOf(client), proxy: conf.isProxy(client), counters: &conf.Stats.conns[proto], close: close}
	p.last.Store(in.age())
	victim, ok := in.conns.put(p, conf)
	if victim != nil {
		victim.counters.evicted.Add(1)
		victim.counters.open.Add(-1)
		victim.close()
	}
	if !ok {
		p.counters.refused.Add(1)
		return nil
	}
	p.counters.opened.Add(1)
	p.counters.open.Add(1)
	return p
}

func (t *connTable) put(p *Place, conf *Config) (victim *Place, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.clients[p.client] >= conf.MaxConnsPerClient && !p.proxy {
		return nil, false
	}
	if len(t.all) >= conf.MaxConns {
		if victim = t.idle(); victim == nil {
			return nil, false
		}
		t.remove(victim)
	}
	t.all[p] = struct{}{}
	t.clients[p.client]++
	return victim, true
}

// isProxy reports whether a peer is within one of the Proxies.
func (c *Config) isProxy(peer netip.Addr) bool {
	peer = peer.Unmap().WithZone("")
	return slices.ContainsFunc(c.Proxies, func(p netip.Prefix) bool { return p.Contains(peer) })
}

// idleSample is how many connections are looked at for the one that makes room: a flood of new connections
// must not cost a walk over all of them each.
const idleSample = 64

// idle returns the connection that has been idle for longest among some, or among all when none of these is.
func (t *connTable) idle() *Place {
	var oldest *Place
	var first int64
	seen := 0
	for p := range t.all {
		if since := p.last.Load(); p.under.Load() == 0 && (oldest == nil || since < first) {
			oldest, first = p, since
		}
		if seen++; seen >= idleSample && oldest != nil {
			break
		}
	}
	return oldest
}

func (t *connTable) remove(p *Place) bool {
	if _, ok := t.all[p]; !ok {
		return false
	}
	delete(t.all, p)
	if t.clients[p.client]--; t.clients[p.client] <= 0 {
		delete(t.clients, p.client)
	}
	return true
}

// Begin says that n requests came, End that n were answered: a connection with requests under way is not idle.
func (p *Place) Begin(n int) { p.under.Add(int32(n)) }

// End says that n requests were answered.
func (p *Place) End(n int) {
	p.last.Store(p.in.age())
	p.under.Add(-int32(n))
}

// Idle returns for how long no request has been under way.
func (p *Place) Idle() time.Duration {
	if p.under.Load() > 0 {
		return 0
	}
	return time.Duration(p.in.age() - p.last.Load())
}

// Leave gives the place back. It may be called more than once.
func (p *Place) Leave() {
	p.in.conns.mu.Lock()
	left := p.in.conns.remove(p)
	p.in.conns.mu.Unlock()
	if left {
		p.counters.open.Add(-1)
	}
}

// age is how old the Intake is, in nanoseconds. Nobody sets this clock while it runs.
func (in *Intake) age() int64 { return int64(time.Since(in.start)) }

// clientOf is what counts as one client: an IPv4 address, or the /64 that one IPv6 host or home has.
func clientOf(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap()
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
