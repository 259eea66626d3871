package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"dens/internal/wire"
	"dens/server/certs"
	"dens/server/doh"
	"dens/server/intake"
	"dens/server/stream"
)

// Server owns the listeners.
//
//	New --Start--> running --Reconfigure--> running --Shutdown--> closed
//
// Its methods may be called concurrently.
type Server struct {
	in   *intake.Intake
	doh  *doh.Resource
	conf atomic.Pointer[Config]

	handshakes *stream.Handshakes // of all listeners
	tickets    *certs.Tickets

	mu     sync.Mutex // guards what follows
	state  state
	open   map[binding][]listener
	drains sync.WaitGroup // listeners that Reconfigure has removed
}

type state uint8

const (
	stateNew state = iota
	stateRunning
	stateClosed
)

// listener is one socket.
type listener interface {
	addr() net.Addr
	serve()                // until drained
	drain(context.Context) // after serve was started: answers what was read, closes
	abandon()              // instead of serve
}

// New returns a Server that does not listen yet. h answers behind the guards until SetHandler names others.
func New(conf Config, h intake.Handler, guards ...intake.Guard) *Server {
	conf = conf.withDefaults()
	s := &Server{
		in:         intake.New(conf.Config, h, guards...),
		handshakes: stream.NewHandshakes(0, 0),
		tickets:    new(certs.Tickets),
		open:       make(map[binding][]listener),
	}
	s.doh = doh.New(s.in, conf.resource())
	s.conf.Store(&conf)
	return s
}

// SetHandler swaps the Handler and the guards. Requests under way end with the old ones.
func (s *Server) SetHandler(h intake.Handler, guards ...intake.Guard) { s.in.SetHandler(h, guards...) }

// Start binds all addresses and serves in the background. It binds all or none; its error names the
// address, the cause, and what can be done about it.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateNew {
		return ErrClosed
	}
	if err := s.apply(*s.conf.Load()); err != nil {
		return err
	}
	s.state = stateRunning
	return nil
}

// Reconfigure takes a new Config into force, all or nothing: when a new address cannot be bound, it
// returns why and nothing has changed. Listeners whose address stays are not touched, and their
// connections live on; those that are gone are drained in the background. A Config without Stats keeps
// the old ones. An address that overlaps an old one (":53" for "127.0.0.1:53") needs a restart.
func (s *Server) Reconfigure(conf Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateRunning {
		return ErrClosed
	}
	if conf.Stats == nil {
		conf.Stats = s.in.Conf().Stats
	}
	return s.apply(conf.withDefaults())
}

// apply opens what is new, then closes what is gone. s.mu is held.
func (s *Server) apply(conf Config) error {
	want, err := conf.bindings()
	if err != nil {
		return err
	}
	added := make(map[binding][]listener)
	for _, b := range want {
		if _, ok := s.open[b]; ok {
			continue
		}
		ls, err := s.listen(b, &conf, added)
		if err != nil {
			for _, opened := range added {
				each(opened, listener.abandon)
			}
			if errors.Is(err, syscall.EADDRINUSE) && s.holds(b) {
				err = fmt.Errorf("listen on %s: %w", b.address, errOwnPort)
			}
			return err
		}
		added[b] = ls
	}
	s.in.Configure(conf.Config)
	resource := conf.resource()
	resource.AltSvc = s.altSvc(&conf, added)
	s.doh.Configure(resource)
	s.conf.Store(&conf)
	for b, ls := range s.open {
		if !slices.Contains(want, b) {
			delete(s.open, b)
			s.retire(ls)
			continue
		}
		refreshQUIC(ls)
	}
	for b, ls := range added {
		s.open[b] = ls
		each(ls, func(l listener) { go l.serve() })
	}
	return nil
}

// retire drains listeners in the background, within the time that a request can take.
func (s *Server) retire(ls []listener) {
	conf := s.in.Conf()
	ctx, cancel := context.WithTimeout(s.in.Base(), conf.QueryTimeout+conf.WriteTimeout+2*time.Second)
	var group sync.WaitGroup
	each(ls, func(l listener) { group.Go(func() { l.drain(ctx) }) })
	s.drains.Go(func() {
		defer cancel()
		group.Wait()
	})
}

// Shutdown stops reading, has everything answered that was read, and closes. When ctx ends first, it
// closes all the same and returns the context's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.state = stateClosed
	open := s.open
	s.open = make(map[binding][]listener)
	s.mu.Unlock()

	var group sync.WaitGroup
	for _, ls := range open {
		each(ls, func(l listener) { group.Go(func() { l.drain(ctx) }) })
	}
	group.Wait()
	intake.WaitOr(ctx, &s.drains)
	err := ctx.Err()
	s.in.Close() // ends what is left
	s.drains.Wait()
	return err
}

// Bound is one address that the Server listens on.
type Bound struct {
	Protocol wire.Protocol
	Address  string         // as in the Config
	Addr     netip.AddrPort // with the port that 0 became
}

// Addrs returns what the Server listens on now.
func (s *Server) Addrs() []Bound {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Bound
	for b, ls := range s.open {
		for _, l := range ls {
			at := bound(b, l.addr())
			if q, ok := l.(quicListener); ok {
				for _, p := range q.protocols() {
					out = append(out, Bound{p, at.Address, at.Addr})
				}
				continue
			}
			out = append(out, at)
		}
	}
	sortBound(out)
	return out
}
