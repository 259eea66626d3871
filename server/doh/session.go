package doh

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"time"

	"dens/internal/wire"
	"dens/server/stream"
)

// Conn is the connection below a Session. Its methods may be called from any goroutine.
type Conn interface {
	// Write sends p, or fails within Limits.WriteTimeout; then the connection ends.
	Write(p []byte) error
	// Begin and End say that n requests are under way, or no longer: the connection stays open meanwhile.
	Begin(n int)
	End(n int)
	// Peer is the client.
	Peer() netip.AddrPort
	// Cause is why nothing is received any more, for Session.End.
	Cause() error
}

// Session is one HTTP/2 connection (RFC 9113) that has the resource and nothing else. What can be answered at once
// is answered in the burst that it came with; what has to wait has a goroutine each.
//
//	preface --> SETTINGS --> open --error, End--> ended: what is under way is answered
//
// The header blocks that it sends do not depend on each other, so that they may leave in any order. The frames of one
// stream keep theirs: what is left of a reply when a window was full follows only once the beginning was written.
type Session struct {
	r    *Resource
	conn Conn
	from wire.Peer

	// writing is held from the making of frames to their writing by all but Receive. It is taken before mu.
	writing sync.Mutex

	mu      sync.Mutex // guards what follows
	stage   stage
	decoder decoder
	out     []byte    // what whoever holds mu is going to write
	x       *exchange // likewise, what is being answered
	now     time.Time // likewise, when that began
	later   bool      // what is made now may leave after what Receive will make
	done    int       // requests under way no longer, once out is written
	direct  h2stream  // of a request that is there at once

	last    uint32 // the highest stream of the client
	streams map[uint32]*h2stream
	working int         // goroutines, those of streams that are gone too
	blocked []*h2stream // those whose reply waits for a window, in their order
	queued  int         // octets of these
	held    int         // octets of requests that have not come whole, but of those with a place among the large ones
	cut     [8]uint32   // the last streams that were reset here
	cuts    int

	sendWindow  int64 // of the connection
	firstWindow int64 // of a new stream, to the client
	recvWindow  int   // of the connection, from the client
	smallTable  bool  // the client has a smaller table than the default
	advertised  bool  // the client knows of HTTP/3
	credit      int
	creditSince time.Time
	timer       *time.Timer // of expire
	timing      bool        // it runs
}

type stage uint8

const (
	stagePreface stage = iota
	stageSettings
	stageOpen
	stageEnded
)

// NewSession returns what is spoken on a connection of a stream.Listener, or nil for another server than that for
// HTTP/2 (Server).
func (r *Resource) NewSession(c *stream.Conn, alpn string) stream.Session {
	if alpn != "h2" {
		return nil
	}
	return newSession(r, c)
}

func newSession(r *Resource, c Conn) *Session {
	return &Session{
		r: r, conn: c, from: wire.Peer{Addr: c.Peer(), Protocol: wire.DoH},
		sendWindow: window, firstWindow: window, recvWindow: window, credit: maxCredit,
	}
}

// fullReply is where replies have become so long that they are to be written.
const fullReply = 12 << 10

// Receive implements stream.Session.
func (s *Session) Receive(in, out []byte) (n int, reply []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out, s.now = out[:0], time.Now()
	answered := s.last
	failed := s.greet(in, &n)
	for failed == nil && s.stage != stagePreface && len(s.out) < fullReply {
		var size int
		if size, failed = s.next(in[n:]); size == 0 {
			break
		}
		n += size
	}
	if failed != nil {
		s.r.in.Conf().Stats.Abuse.Add(1)
		s.out = appendGoAway(s.out, s.last, failed.code)
		s.stage = stageEnded
		n, err = len(in), failed
	}
	if s.last != answered || s.done > 0 {
		s.conn.End(s.done) // without any it says that the connection was not idle
		s.done = 0
	}
	return n, s.rest(), err
}

// rest is what was made since it was called last, and gives back what making it took.
func (s *Session) rest() []byte {
	if s.x != nil {
		s.x.release()
		s.x = nil
	}
	out := s.out
	s.out = nil
	return out
}

// flush writes what was made with both locks held, the end of st perhaps among it, and gives back mu.
func (s *Session) flush(st *h2stream) {
	for {
		out, done := s.rest(), s.done
		s.done = 0
		if len(out) > 0 {
			s.mu.Unlock()
			_ = s.conn.Write(out) // counted there
			s.mu.Lock()
		}
		if done > 0 {
			s.conn.End(done)
		}
		if st == nil || st.stage != stageBlocked {
			break
		}
		// A window may have opened meanwhile. From when there is nothing more to write now, Receive goes on.
		if s.push(st); len(s.out) == 0 && s.done == 0 {
			st.sent = true
			break
		}
	}
	s.mu.Unlock()
}

// greet reads the preface, and sends that of a server.
func (s *Session) greet(in []byte, n *int) *connError {
	if s.stage != stagePreface {
		return nil
	}
	have := min(len(in), len(preface))
	if string(in[:have]) != preface[:have] {
		return errPreface
	}
	if have < len(preface) {
		return nil
	}
	*n, s.stage, s.creditSince = have, stageSettings, s.now
	// Written at once: what Receive returns may leave after a reply that was waited for, and these come first.
	_ = s.conn.Write(appendSettings(nil, s.r.in.Conf().MaxPipeline))
	return nil
}

// next handles the frame at the beginning of in. It returns how long that is, 0 when it is not all there.
func (s *Session) next(in []byte) (int, *connError) {
	f, size, err := readFrame(in)
	if err != nil || size == 0 {
		return 0, err
	}
	if s.stage == stageSettings && (f.kind != typeSettings || f.has(flagAck)) {
		return 0, errFirst
	}
	switch f.kind {
	case typeHeaders:
		return s.headers(&f, in, size)
	case typeData:
		err = s.data(&f)
	case typePriority:
		err = s.priority(&f)
	case typeReset:
		err = s.resetByClient(&f)
	case typeSettings:
		err = s.settings(&f)
	case typePing:
		err = s.ping(&f)
	case typeGoAway:
		err = s.goAway(&f)
	case typeWindowUpdate:
		err = s.windowUpdate(&f)
	case typePushPromise:
		err = errPush
	case typeContinuation:
		err = errContinuation
	default: // RFC 9113 section 5.5
		err = s.pay(1)
	}
	return size, err
}

// End implements stream.Session.
func (s *Session) End() {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	if s.timer != nil {
		s.timer.Stop()
	}
	told := (s.stage == stageSettings || s.stage == stageOpen) && errors.Is(s.conn.Cause(), os.ErrDeadlineExceeded)
	if told {
		// The client is still there. What it asks from now on is not seen: it may ask elsewhere.
		s.out = appendGoAway(nil, s.last, codeNone)
	}
	s.stage = stageEnded
	for _, st := range s.streams {
		if st.stage == stageWorking {
			continue
		}
		if told && st.stage == stageReceiving {
			s.reset(st.id, codeRefused) // nor was this looked at (RFC 9113 section 8.7)
		}
		s.drop(st) // no body and no window comes any more
	}
	s.flush(nil)
}
