package stream

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
)

// lengthSize is that of the length before each message (RFC 1035 section 4.2.2).
const lengthSize = 2

// Why a DNS session ends.
var (
	errMalformed = errors.New("malformed message")
	errSilent    = errors.New("a message that deserves no reply")
	errShed      = errors.New("too many requests under way")
	errLong      = errors.New("a reply is too long to be sent")
)

// dnsSession is DNS over TCP (RFC 7766) and over TLS (RFC 7858): pipelined requests, replies in any order.
type dnsSession struct {
	c *Conn
	// large is a message of more than intake.MaxSmall octets, as far as it has come; its capacity is its length.
	// It has a place among the large ones.
	large []byte
}

// newDNSSession is the default of Config.NewSession. What else TLS has agreed on carries no data (such as the
// challenges of RFC 8737).
func newDNSSession(c *Conn, alpn string) Session {
	if alpn != "" && alpn != "dot" {
		c.Stop(0)
	}
	return &dnsSession{c: c}
}

// Receive implements Session.
func (s *dnsSession) Receive(in, out []byte) (n int, reply []byte, err error) {
	l := s.c.l
	q, ok := l.queries.Get().(*wire.Query)
	if !ok {
		q = new(wire.Query)
	}
	defer l.queries.Put(q)
	q.From = wire.Peer{Addr: s.c.peer, Protocol: l.conf.Protocol}
	q.Start = time.Now()
	limit := int32(l.conf.Intake.Conf().MaxPipeline)
	if s.large != nil {
		if n = s.fill(in); len(s.large) == cap(s.large) {
			out, err = s.takeLarge(q, out)
		}
		return n, out, err
	}
	for err == nil {
		msg, state := next(in[n:])
		switch {
		case state == frameShort || len(out) >= fullSlab:
			s.touch(n)
			return n, out, nil
		case state == frameEmpty:
			l.conf.Intake.Conf().Stats.Malformed.Add(1)
			err = errMalformed
		case s.c.under.Load() >= limit:
			s.c.pause = limit
			s.touch(n)
			return n, out, nil
		case state == frameLarge:
			err = s.startLarge(size(in[n:]))
			return n + lengthSize, out, err
		default:
			n += lengthSize + len(msg)
			q.Msg = msg
			out, err = s.take(q, out, false)
		}
	}
	return n, out, err
}

// touch says that the connection is in use.
func (s *dnsSession) touch(n int) {
	if n > 0 {
		s.c.place.End(0)
	}
}

func size(in []byte) int { return int(binary.BigEndian.Uint16(in)) }

// frameState is what stands at the beginning of what has come.
type frameState uint8

const (
	frameShort frameState = iota // not all of a message
	frameWhole
	frameEmpty // one of length zero, which no DNS message has
	frameLarge // the length of one that needs a place among the large ones
)

// next returns the first message.
func next(in []byte) (msg []byte, state frameState) {
	if len(in) < lengthSize {
		return nil, frameShort
	}
	switch n := size(in); {
	case n == 0:
		return nil, frameEmpty
	case n > intake.MaxSmall:
		return nil, frameLarge
	case len(in)-lengthSize < n:
		return nil, frameShort
	default:
		return in[lengthSize : lengthSize+n], frameWhole
	}
}

// take has a request answered at once, or starts on its answer. It owns the place of a large one.
func (s *dnsSession) take(q *wire.Query, out []byte, large bool) ([]byte, error) {
	out = slices.Grow(out, lengthSize)
	at := len(out) + lengthSize
	reply, done := s.c.l.conf.Intake.Take(q, out[at:at])
	if !done {
		return out, s.wait(q, large)
	}
	if large {
		s.c.l.conf.Intake.LeaveLarge()
	}
	switch {
	case q.Kind == wire.Silent:
		return out, errMalformed
	case len(reply) == 0:
		return out, errSilent // the client would wait for a reply
	case len(reply) > wire.MaxMessage:
		s.c.l.conf.Intake.Conf().Log.Error(errLong.Error(), "octets", len(reply))
		return out, errLong
	}
	return frame(out, reply), nil
}

// frame appends a reply and its length. It may stand where it belongs already.
func frame(out, reply []byte) []byte {
	at := len(out) + lengthSize
	out = binary.BigEndian.AppendUint16(out, uint16(len(reply)))
	if cap(out) > at && &out[:at+1][at] == &reply[0] {
		return out[:at+len(reply)]
	}
	return append(out, reply...)
}

// startLarge takes a place for a large message, and room for it.
func (s *dnsSession) startLarge(size int) error {
	if !s.c.l.conf.Intake.EnterLarge() {
		return errShed
	}
	s.large = make([]byte, 0, size)
	s.c.Await(true)
	return nil
}

func (s *dnsSession) fill(in []byte) int {
	n := min(len(in), cap(s.large)-len(s.large))
	s.large = append(s.large, in[:n]...)
	return n
}

// takeLarge takes the large message that has come.
func (s *dnsSession) takeLarge(q *wire.Query, out []byte) ([]byte, error) {
	s.c.Await(false)
	q.Msg, s.large = s.large, nil
	return s.take(q, out, true)
}

// End implements Session.
func (s *dnsSession) End() {
	if s.large != nil {
		s.large = nil
		s.c.l.conf.Intake.LeaveLarge()
	}
}

// miss is a request that waits for its reply, with the room for both.
type miss struct {
	c     *Conn
	large bool
	q     wire.Query
	req   [intake.MaxSmall]byte
	reply [lengthSize + intake.MaxSmall]byte
}

// wait has a request answered by a goroutine of its own.
func (s *dnsSession) wait(q *wire.Query, large bool) error {
	l := s.c.l
	if !l.conf.Intake.EnterStream() {
		if large {
			l.conf.Intake.LeaveLarge()
		}
		return errShed
	}
	m, ok := l.misses.Get().(*miss)
	if !ok {
		m = new(miss)
	}
	m.c, m.large, m.q = s.c, large, *q
	if large {
		s.c.pause = 1 // one at a time: it holds memory that others cannot have
	} else {
		m.q.Msg = m.req[:copy(m.req[:], q.Msg)]
	}
	s.c.Begin(1)
	go m.answer()
	return nil
}

// answer waits for the reply and writes it.
func (m *miss) answer() {
	c := m.c
	in := c.l.conf.Intake
	reply := in.Wait(&m.q, m.reply[lengthSize:lengthSize])
	switch {
	case len(reply) == 0:
		c.Stop(0) // the client would wait for a reply
	case len(reply) > wire.MaxMessage:
		in.Conf().Log.Error(errLong.Error(), "octets", len(reply))
		c.Stop(0)
	default:
		_ = c.Write(frame(m.reply[:0], reply)) // counted, and the connection closed, where it happens
	}
	if m.large {
		in.LeaveLarge()
	}
	m.c, m.q = nil, wire.Query{}
	c.l.misses.Put(m)
	c.End(1)
	in.LeaveStream()
}
