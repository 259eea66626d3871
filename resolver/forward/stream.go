package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"dens/resolver"
)

var (
	errClosed = errors.New("connection was closed")
	errSilent = errors.New("connection is silent")
	errBusy   = resolver.ErrBusy
)

const (
	maxConns   = 4   // to one server
	maxServers = 256 // with open connections; idle ones make room
	spread     = 64  // questions on a connection from which on another one is opened
	maxPending = 1024
)

// StreamConfig is what NewStream needs.
type StreamConfig struct {
	Dial           Dialer        // connects to addresses only
	TLS            *tls.Config   // nil is TCP
	ConnectTimeout time.Duration // 3 s
	IdleTimeout    time.Duration // 20 s
	Rand           rand.Source   // ChaCha8 with a random seed; used under a lock
}

// Stream exchanges messages over TCP (RFC 7766) or TLS (RFC 7858). Connections are kept, and carry many
// questions at a time; the replies come in any order.
//
//	dialing --> open <--> idle --IdleTimeout--> closed
//	              \--error, garbage---------------^
//	              \--silence--> retired --empty---^
type Stream struct {
	cfg    StreamConfig
	chance *chance
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	servers map[string]*server
	closed  bool
}

// server is one server's connections.
type server struct {
	conns   []*conn
	dialing *dialing // at most one at a time
}

type dialing struct {
	done chan struct{} // closed when conn and err are set
	conn *conn
	err  error
}

// NewStream returns a Stream. Close it to close its connections.
func NewStream(cfg StreamConfig) *Stream {
	if cfg.Dial == nil {
		cfg.Dial = dialAddress
	}
	if cfg.ConnectTimeout <= 0 {
		cfg.ConnectTimeout = 3 * time.Second
	}
	if cfg.IdleTimeout <= 0 {
		cfg.IdleTimeout = 20 * time.Second
	}
	s := &Stream{cfg: cfg, chance: newChance(cfg.Rand), servers: make(map[string]*server)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Exchange implements resolver.Exchanger. When a connection that was used before turns out dead or
// silent, the question is asked once more on a new one.
func (s *Stream) Exchange(ctx context.Context, to netip.AddrPort, req, buf []byte) ([]byte, error) {
	return s.exchange(ctx, to.String(), req, buf)
}

func (s *Stream) exchange(ctx context.Context, addr string, req, buf []byte) ([]byte, error) {
	question, ok := questionOf(req)
	if !ok || len(req) > maxMessage {
		return nil, errRequest
	}
	c, reused, err := s.get(ctx, addr, false)
	if err != nil {
		return nil, err
	}
	reply, err := c.roundTrip(ctx, req, question, buf, !reused)
	again := reused && (errors.Is(err, errClosed) || errors.Is(err, errSilent)) && ctx.Err() == nil
	if !again {
		return reply, err
	}
	if c, _, err = s.get(ctx, addr, true); err != nil {
		return nil, err
	}
	return c.roundTrip(ctx, req, question, buf, true)
}

// get returns a connection to addr, and claims a place on it. reused says that it was open already; with fresh it never was.
func (s *Stream) get(ctx context.Context, addr string, fresh bool) (c *conn, reused bool, err error) {
	for waits := 0; waits <= maxConns; waits++ {
		c, d, err := s.take(addr, fresh)
		if err != nil {
			return nil, false, err
		}
		if c != nil {
			return c, waits == 0, nil
		}
		select {
		case <-d.done:
			if d.err != nil {
				return nil, false, d.err
			}
			if fresh {
				d.conn.claim()
				return d.conn, false, nil
			}
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
	return nil, false, errBusy // the others that waited were faster, time and again
}

// take returns a connection to addr, or the dialing that is to be waited for.
func (s *Stream) take(addr string, fresh bool) (*conn, *dialing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, errClosed
	}
	srv := s.servers[addr]
	if srv == nil {
		if len(s.servers) >= maxServers && !s.evict() {
			return nil, nil, errBusy
		}
		srv = &server{}
		s.servers[addr] = srv
	}
	best, load := srv.pick()
	room := len(srv.conns) < maxConns || fresh && len(srv.conns) < 2*maxConns // some may be dead
	usable := best != nil && load < maxPending && !fresh
	if srv.dialing == nil && room && (!usable || load >= spread) {
		d := &dialing{done: make(chan struct{})}
		srv.dialing = d
		s.wg.Go(func() { s.open(addr, srv, d) })
	}
	switch {
	case usable:
		best.claim()
		return best, nil, nil
	case srv.dialing != nil:
		return nil, srv.dialing, nil
	default:
		return nil, nil, errBusy
	}
}

// evict forgets the server whose connections have been idle for longest, if there is one. Under
// Stream.mu, so that nobody claims a place on them.
func (s *Stream) evict() bool {
	var oldest string
	var since time.Time
	for addr, srv := range s.servers {
		if at, idle := srv.idleSince(); idle && (oldest == "" || at.Before(since)) {
			oldest, since = addr, at
		}
	}
	srv := s.servers[oldest]
	if srv == nil {
		return false
	}
	for _, c := range srv.conns {
		c.closeIdle()
	}
	delete(s.servers, oldest)
	return true
}

// idleSince returns when something last came from the server; false when a question or a connection is
// under way. Under Stream.mu.
func (srv *server) idleSince() (last time.Time, idle bool) {
	if srv.dialing != nil {
		return last, false
	}
	for _, c := range srv.conns {
		at, ok := c.idleSince()
		if !ok {
			return last, false
		}
		if at.After(last) {
			last = at
		}
	}
	return last, true
}

// pick returns the connection with the fewest questions, and how many these are; nil when none is open.
// Under Stream.mu.
func (srv *server) pick() (best *conn, least int) {
	for _, c := range srv.conns {
		if n, ok := c.load(); ok && (best == nil || n < least) {
			best, least = c, n
		}
	}
	return best, least
}

// open makes d's connection. It has its own deadline, so that the one who asked first may go.
func (s *Stream) open(addr string, srv *server, d *dialing) {
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.ConnectTimeout)
	defer cancel()
	nc, err := s.connect(ctx, addr)

	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(d.done)
	srv.dialing = nil
	if err == nil && s.closed {
		nc.Close()
		err = errClosed
	}
	if d.err = err; err != nil {
		s.forget(addr, srv)
		return
	}
	d.conn = newConn(nc, s.chance, s.cfg.IdleTimeout, s.cfg.ConnectTimeout)
	srv.conns = append(srv.conns, d.conn)
	s.wg.Go(func() {
		d.conn.read()
		s.drop(addr, srv, d.conn)
	})
}

func (s *Stream) connect(ctx context.Context, addr string) (net.Conn, error) {
	nc, err := s.cfg.Dial(ctx, "tcp", addr)
	if err != nil || s.cfg.TLS == nil {
		return nc, err
	}
	tc := tls.Client(nc, s.cfg.TLS)
	if err := tc.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

// drop removes a connection that is closed.
func (s *Stream) drop(addr string, srv *server, c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range srv.conns {
		if other == c {
			srv.conns = append(srv.conns[:i], srv.conns[i+1:]...)
			break
		}
	}
	s.forget(addr, srv)
}

// forget removes a server without connections. Under Stream.mu.
func (s *Stream) forget(addr string, srv *server) {
	if len(srv.conns) == 0 && srv.dialing == nil && s.servers[addr] == srv {
		delete(s.servers, addr)
	}
}

// Close closes all connections; questions under way fail. It returns when nothing runs any more.
func (s *Stream) Close() error {
	s.mu.Lock()
	s.closed = true
	s.cancel()
	for _, srv := range s.servers {
		for _, c := range srv.conns {
			c.close(errClosed)
		}
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}
