package doh

import (
	"slices"
	"time"

	"dens/internal/wire"
	"dens/server/intake"
)

// h2stream is a stream that is not answered yet. Those that are answered at once never become one.
//
//	[receiving] --> [working] --> [blocked] --> gone
type h2stream struct {
	id       uint32
	stage    streamStage
	deadline time.Time // of receiving, and of blocked
	window   int64     // to the client

	// While receiving.
	from     wire.Peer
	next     step
	refused  *refusal
	bodyless bool
	named    bool
	json     bool
	large    bool   // it has a place among the large requests
	msg      []byte // the message, or what has come of it
	held     int    // octets of it that Session.held counts
	got      int    // octets of the body
	length   int64  // that were announced; -1: none
	room     int    // window from the client

	// While blocked.
	rest []byte
	sent bool // what comes before rest was written
}

type streamStage uint8

const (
	stageReceiving streamStage = iota
	stageWorking
	stageBlocked
	stageGone
)

// open keeps a stream until its body has come. failed is what it is going to be refused with then.
func (s *Session) open(st *h2stream, next step, failed *refusal, length int64) {
	conf, x := s.r.in.Conf(), s.x
	if len(s.streams) >= conf.MaxPipeline {
		conf.Stats.Shed.Add(1)
		s.reset(st.id, codeRefused)
		return
	}
	st = s.keep(st)
	st.deadline, st.room = s.now.Add(conf.ReadTimeout), window
	st.from, st.next, st.refused, st.length = x.q.From, next, failed, length
	st.named, st.json = x.named, x.json
	if next == stepTake && failed == nil {
		if !s.hold(st, len(x.q.Msg)) {
			s.abandon(st, errBusy)
			return
		}
		st.msg = append([]byte(nil), x.q.Msg...)
	}
	s.arm(st.deadline)
}

// maxHeld bounds the octets of requests that one connection has begun and not ended: far more than queries have
// that are under way at once, and far less than all of its streams could make it keep.
const maxHeld = 32 << 10

// hold takes room for n octets of a request that has not come whole.
func (s *Session) hold(st *h2stream, n int) bool {
	if s.held+n > maxHeld {
		s.r.in.Conf().Stats.Shed.Add(1)
		return false
	}
	s.held += n
	st.held += n
	return true
}

// letGo gives that room back.
func (s *Session) letGo(st *h2stream) {
	s.held -= st.held
	st.held = 0
}

// keep has a stream known until it is answered.
func (s *Session) keep(st *h2stream) *h2stream {
	if st == &s.direct {
		st = new(h2stream)
		*st = s.direct
	}
	if s.streams == nil {
		s.streams = make(map[uint32]*h2stream)
	}
	s.streams[st.id] = st
	return st
}

// drop forgets a stream.
func (s *Session) drop(st *h2stream) {
	delete(s.streams, st.id)
	s.letGo(st)
	if st.large {
		s.r.in.LeaveLarge()
		st.large = false
	}
	if st.stage != stageBlocked {
		return
	}
	s.queued -= len(st.rest)
	s.done++
	st.stage, st.rest = stageGone, nil
	if i := slices.Index(s.blocked, st); i >= 0 {
		s.blocked = slices.Delete(s.blocked, i, i+1)
	}
}

// data takes a part of a body (RFC 9113 section 6.1).
func (s *Session) data(f *frame) *connError {
	if f.id == 0 || f.id > s.last || f.id%2 == 0 {
		return errStreamID
	}
	if len(f.payload) > s.recvWindow {
		return errWindow
	}
	s.recvWindow -= len(f.payload)
	if s.recvWindow < window/2 {
		s.out = appendNumber(s.out, typeWindowUpdate, 0, uint32(window-s.recvWindow))
		s.recvWindow = window
	}
	body, err := f.unpadded()
	if err != nil {
		return err
	}
	st := s.streams[f.id]
	if st == nil || st.stage != stageReceiving {
		if s.wasCut(f.id) {
			return s.pay(1)
		}
		if st != nil {
			s.drop(st)
		}
		s.reset(f.id, codeStreamClosed)
		return s.pay(5)
	}
	if len(f.payload) > st.room {
		s.drop(st)
		s.reset(f.id, codeFlowControl)
		return s.pay(5)
	}
	st.room -= len(f.payload)
	st.got += len(body)
	if st.length >= 0 && int64(st.got) > st.length {
		s.malformed(st)
		return s.pay(5)
	}
	if f.has(flagEndStream) {
		s.complete(st, body)
		return nil
	}
	return s.more(st, body)
}

// more keeps a part of a body, and lets the client send the next.
func (s *Session) more(st *h2stream, body []byte) *connError {
	if st.got > maxMessage {
		s.abandon(st, errTooLong)
		return nil
	}
	if st.next == stepBody {
		if st.got > intake.MaxSmall && !st.large {
			if !s.r.in.EnterLarge() {
				s.abandon(st, errBusy)
				return nil
			}
			s.letGo(st)
			st.large = true
		}
		if !st.large && !s.hold(st, len(body)) {
			s.abandon(st, errBusy)
			return nil
		}
		st.msg = append(st.msg, body...)
	}
	if st.room < window/2 {
		s.out = appendNumber(s.out, typeWindowUpdate, st.id, uint32(window-st.room))
		st.room = window
	}
	first := len(body) > 0 && st.got == len(body) // many clients send a query whole, and then an empty frame that ends it
	if len(body) < 64 && !first {
		return s.pay(5)
	}
	return nil
}
