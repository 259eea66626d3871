package authority

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"dens/resolver"
)

// memory is what is remembered of servers. Nothing waits while it is locked.
type memory struct {
	now     func() time.Time
	timeout time.Duration

	mu       sync.Mutex
	rand     *rand.Rand
	servers  *simplelru.LRU[netip.AddrPort, *server]
	zones    *simplelru.LRU[zoneKey, *penalty]
	families [families]family
}

func newMemory(cfg *Config) *memory {
	m := &memory{now: cfg.Now, timeout: cfg.Timeout, rand: rand.New(cfg.Rand)}
	// Their errors are for sizes below 1, which withDefaults leaves none of.
	m.servers, _ = simplelru.NewLRU[netip.AddrPort, *server](cfg.Servers, nil)
	m.zones, _ = simplelru.NewLRU[zoneKey, *penalty](cfg.Servers, nil)
	return m
}

// server returns what is remembered of an address, from now on. Under mu.
func (m *memory) server(addr netip.AddrPort) *server {
	s, ok := m.servers.Get(addr)
	if !ok {
		s = &server{}
		m.servers.Add(addr, s)
	}
	return s
}

// admission is the leave to send a server a message, or why there is none.
type admission struct {
	srv      *server
	form     form
	patience time.Duration   // how long until the reply is late
	wait     <-chan struct{} // too many others are asking it: wait for that, or ask another
	silent   bool            // it may be silent for the sake of EDNS
	err      error           // it failed a moment ago
}

// admit asks for leave to put q to the server at addr; done gives it back. waited says that others found
// out how the server is while this question waited for that.
func (m *memory) admit(addr netip.AddrPort, q *Question, waited bool) admission {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if p, ok := m.zones.Get(zoneKey{addr, q.Zone}); ok && p.blocks(now, q) {
		return admission{err: p.cause}
	}
	s := m.server(addr)
	if s.blocked(now) || s.dead && waited {
		return admission{err: ErrTimeout}
	}
	if s.inflight >= s.limit() {
		if s.waiting >= waitLimit {
			return admission{err: classify(resolver.ErrBusy)}
		}
		return admission{wait: s.wait()}
	}
	s.inflight++
	adm := admission{srv: s, form: s.form(now, q.Signed), patience: s.rto(m.timeout)}
	if s.dead { // every other time it is probed without EDNS, which may be what it does not like
		adm.silent = s.probes%2 == 1
		s.probes++
	}
	return adm
}

// form returns how the server is to be asked.
func (s *server) form(now time.Time, signed bool) form {
	f := form{edns: signed || !now.Before(s.plainUntil)}
	if now.Before(s.oddUntil) {
		f.tcp, f.asIs = s.spelling == byTCP, s.spelling == asIs
	}
	return f
}

// again is admit for a message that follows from a reply.
func (m *memory) again(s *server) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.inflight++
}

// done gives an admission back.
func (m *memory) done(s *server) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.inflight--
	s.notify()
}

// replied notes that something came from a server. took is zero when it is no measure. It reports
// whether the family of addr came up by it.
func (m *memory) replied(addr netip.AddrPort, s *server, took time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	s.alive(now)
	if took > 0 {
		s.sample(now, took)
	}
	return m.families[familyOf(addr.Addr())].found()
}

// late notes that nothing came in answer to a message sent at began; whole says for as long as anybody
// waits. It reports whether the family of addr went down by it.
func (m *memory) late(addr netip.AddrPort, s *server, began time.Time, whole bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	return s.late(now, began, whole) && m.families[familyOf(addr.Addr())].lost(now)
}

// unreachable notes that there is no server at addr; noRoute says that there is no way to its network. It
// reports whether the family of addr went down by it.
func (m *memory) unreachable(addr netip.AddrPort, s *server, noRoute bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	s.bury(now)
	return noRoute && m.families[familyOf(addr.Addr())].lost(now)
}

// knowsEDNS notes an answer with an OPT record.
func (m *memory) knowsEDNS(s *server) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.knowsEDNS, s.plainUntil = true, time.Time{}
}

// isEDNS reports whether there was one.
func (m *memory) isEDNS(s *server) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return s.knowsEDNS
}

// plain notes that a server answers without EDNS and not with it; refused says that it says so.
func (m *memory) plain(s *server, refused bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	pause := silentFor
	if refused && !s.knowsEDNS {
		pause = refusedFor
	}
	s.knowsEDNS, s.plainUntil = false, m.now().Add(pause)
}

// coped notes a good answer to a name in random case.
func (m *memory) coped(s *server) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.copes = true
}

// copes reports whether there was one.
func (m *memory) copes(s *server) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return s.copes
}

// odd notes how a server that changes the case of names is asked.
func (m *memory) odd(s *server, how spelling) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.spelling, s.oddUntil = how, m.now().Add(oddFor)
}

// penalise notes that a server was of no use for q.
func (m *memory) penalise(addr netip.AddrPort, q *Question, cause error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := zoneKey{addr, q.Zone}
	p, ok := m.zones.Get(key)
	if !ok {
		p = &penalty{}
		m.zones.Add(key, p)
	}
	p.fail(m.now(), q, cause)
}

// forgive notes that a server was of use for a zone.
func (m *memory) forgive(addr netip.AddrPort, zone string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.zones.Remove(zoneKey{addr, zone})
}
