package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"dens/internal/wire"
)

// streamListener is one TCP socket, for DNS or DNS over TLS.
//
//	open --drain--> accepts and reads for drainGrace --> all replies written --> closed
type streamListener struct {
	s     *Server
	l     tableListener
	proto wire.Protocol
	tls   *tls.Config   // nil: plain TCP
	ended chan struct{} // closed when the accepting has ended
	work  sync.WaitGroup

	mu       sync.Mutex // guards what follows
	streams  map[*stream]struct{}
	draining bool
}

func newStreamListener(s *Server, socket *net.TCPListener, proto wire.Protocol) *streamListener {
	l := &streamListener{
		s:       s,
		l:       tableListener{TCPListener: socket, s: s, proto: proto},
		proto:   proto,
		ended:   make(chan struct{}),
		streams: make(map[*stream]struct{}),
	}
	if proto == wire.DoT {
		l.tls = s.tlsConfig("dot")
	}
	return l
}

func (l *streamListener) addr() net.Addr { return l.l.Addr() }

func (l *streamListener) serve() {
	defer close(l.ended)
	for {
		conn, err := l.l.Accept()
		switch {
		case err == nil:
			c := newStream(l.s, conn.(*slot), l.proto, l.tls)
			l.add(c)
			go func() {
				defer l.remove(c)
				c.serve()
			}()
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return
		default:
			// Mostly too many open files: the others go on, and one of them will end.
			l.s.in.Conf().Log.Warn("accept failed", "address", l.addr().String(), "error", err)
			time.Sleep(acceptPause)
		}
	}
}

// acceptPause keeps a lack of file descriptors from becoming a busy loop.
const acceptPause = 100 * time.Millisecond

func (l *streamListener) add(c *stream) {
	l.work.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.streams[c] = struct{}{}
	if l.draining {
		c.stop(drainGrace)
	}
}

func (l *streamListener) remove(c *stream) {
	l.mu.Lock()
	delete(l.streams, c)
	l.mu.Unlock()
	l.work.Done()
}

// drain takes what the kernel has accepted, answers all that is read within drainGrace, and closes.
// When ctx ends first, the connections are closed under their requests.
func (l *streamListener) drain(ctx context.Context) {
	_ = l.l.SetDeadline(time.Now().Add(drainGrace))
	l.each(func(c *stream) { c.stop(drainGrace) })
	<-l.ended
	l.l.Close()
	waitOr(ctx, &l.work)
	l.each(func(c *stream) { c.slot.Close() })
}

// each marks the listener as draining and visits its streams.
func (l *streamListener) each(do func(*stream)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.draining = true
	for c := range l.streams {
		do(c)
	}
}

func (l *streamListener) abandon() { l.l.Close() }
