package server

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"dens/internal/wire"
)

// connTable bounds connections: in all and for each client, over all listeners together.
type connTable struct {
	mu      sync.Mutex
	all     map[*slot]struct{}
	clients map[netip.Prefix]int
}

func newConnTable() *connTable {
	return &connTable{all: make(map[*slot]struct{}), clients: make(map[netip.Prefix]int)}
}

// slot is a connection's place in the table. As a net.Conn it gives the place back when it is closed.
type slot struct {
	*net.TCPConn
	table    *connTable
	client   netip.Prefix
	counters *connStats
	once     sync.Once
	under    atomic.Int32 // requests under way
	last     atomic.Int64 // when the last of them ended, or the connection began, in Unix nanoseconds
}

// take gives conn a place, or closes it and returns nil. When all places are taken, the connection that
// has been idle for longest makes room.
func (t *connTable) take(conn *net.TCPConn, proto wire.Protocol, conf *Config) *slot {
	counters := &conf.Stats.conns[proto]
	s := &slot{TCPConn: conn, table: t, client: clientOf(conn.RemoteAddr()), counters: counters}
	s.last.Store(time.Now().UnixNano())
	victim, ok := t.put(s, conf)
	if victim != nil {
		victim.counters.evicted.Add(1)
		victim.Close()
	}
	if !ok {
		counters.refused.Add(1)
		conn.Close()
		return nil
	}
	counters.opened.Add(1)
	counters.open.Add(1)
	return s
}

func (t *connTable) put(s *slot, conf *Config) (victim *slot, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.clients[s.client] >= conf.MaxConnsPerClient {
		return nil, false
	}
	if len(t.all) >= conf.MaxConns {
		if victim = t.idlest(); victim == nil {
			return nil, false
		}
		t.remove(victim)
	}
	t.all[s] = struct{}{}
	t.clients[s.client]++
	return victim, true
}

func (t *connTable) idlest() *slot {
	var oldest *slot
	var first int64
	for s := range t.all {
		if since := s.last.Load(); s.under.Load() == 0 && (oldest == nil || since < first) {
			oldest, first = s, since
		}
	}
	return oldest
}

func (t *connTable) remove(s *slot) {
	if _, ok := t.all[s]; !ok {
		return
	}
	delete(t.all, s)
	if t.clients[s.client]--; t.clients[s.client] <= 0 {
		delete(t.clients, s.client)
	}
}

// begin says that a request came, end that it was answered.
func (s *slot) begin() { s.under.Add(1) }

func (s *slot) end() {
	s.last.Store(time.Now().UnixNano())
	s.under.Add(-1)
}

// idle returns for how long no request has been under way.
func (s *slot) idle() time.Duration {
	if s.under.Load() > 0 {
		return 0
	}
	return time.Since(time.Unix(0, s.last.Load()))
}

// Close closes the connection and gives its place back.
func (s *slot) Close() error {
	err := s.TCPConn.Close()
	s.once.Do(func() {
		s.table.mu.Lock()
		s.table.remove(s)
		s.table.mu.Unlock()
		s.counters.open.Add(-1)
	})
	return err
}

// clientOf is what counts as one client: an IPv4 address, or the /64 that one IPv6 host or home has.
func clientOf(addr net.Addr) netip.Prefix {
	ip := addrPortOf(addr).Addr()
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

// addrPortOf returns the address of a peer, IPv4 in its plain form.
func addrPortOf(addr net.Addr) netip.AddrPort {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// tableListener is a net.Listener whose connections have a place in the table.
type tableListener struct {
	*net.TCPListener
	s     *Server
	proto wire.Protocol
}

// Accept returns the next connection that there is room for.
func (l tableListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		if s := l.s.table.take(conn, l.proto, l.s.conf.Load()); s != nil {
			return s, nil
		}
	}
}
