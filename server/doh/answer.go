package doh

import "time"

// complete has a stream answered whose last octets are body.
func (s *Session) complete(st *h2stream, body []byte) {
	if st.length >= 0 && int64(st.got) != st.length { // RFC 9113 section 8.1.1
		s.malformed(st)
		return
	}
	x := s.fresh()
	x.q.From, x.q.Start, x.q.Msg = st.from, s.now, st.msg
	x.bodyless, x.named, x.json = st.bodyless, st.named, st.json
	x.large, st.large = st.large, false // it is given back with x
	s.drop(st)
	switch {
	case st.refused != nil:
		s.refuse(st, st.refused)
		return
	case st.next == stepTake:
	case st.got > maxMessage:
		s.refuse(st, errTooLong)
		return
	case len(st.msg) == 0:
		x.q.Msg = body // which is somebody else's
	default:
		x.q.Msg = append(st.msg, body...)
	}
	s.take(st)
}

// abandon answers a stream whose body is not wanted any more, before that has come (RFC 9113 section 8.1).
func (s *Session) abandon(st *h2stream, err *refusal) {
	s.drop(st)
	s.fresh().bodyless = st.bodyless
	s.refuse(st, err)
	if blocked := s.streams[st.id]; blocked != nil {
		s.drop(blocked)
	}
	s.reset(st.id, codeNone)
}

// refuse answers with an error.
func (s *Session) refuse(st *h2stream, err *refusal) {
	s.x.refuse(err)
	s.answer(st)
}

// malformed resets a stream whose request is none (RFC 9113 section 8.1.1).
func (s *Session) malformed(st *h2stream) {
	s.r.in.Conf().Stats.Malformed.Add(1)
	s.drop(st)
	s.reset(st.id, codeProtocol)
}

// fresh returns an empty exchange, which is s.x.
func (s *Session) fresh() *exchange {
	if s.x == nil {
		s.x = s.r.exchange()
	} else {
		s.x.clear()
	}
	return s.x
}

// take has the message of s.x answered: at once, or by a goroutine.
func (s *Session) take(st *h2stream) {
	x, conf := s.x, s.r.in.Conf()
	switch {
	case x.take():
		s.answer(st)
		return
	case s.working >= conf.MaxPipeline: // the client exceeds the SETTINGS, or has reset what is still worked for
		conf.Stats.Shed.Add(1)
		s.reset(st.id, codeRefused)
		return
	case !s.r.in.EnterStream():
		s.refuse(st, errBusy)
		return
	}
	x.own()
	s.x = nil
	st = s.keep(st)
	st.stage = stageWorking
	s.working++
	s.conn.Begin(1)
	go s.wait(st, x)
}

// wait answers what has to be waited for.
func (s *Session) wait(st *h2stream, x *exchange) {
	x.wait()
	s.r.in.LeaveStream()
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	s.working--
	s.x, s.now, s.later = x, time.Now(), true
	if s.streams[st.id] == st { // it was not reset meanwhile
		delete(s.streams, st.id)
		s.answer(st)
	}
	s.later = false
	s.done++ // a reply that waits for a window has begun anew
	s.flush(st)
}

// maxQueued bounds the octets of replies that wait for the windows of one connection. Their number is bounded as
// SETTINGS say, which a client may exceed since its streams are open until it lets their replies come.
const maxQueued = 128 << 10

// answer sends the response of s.x, or what fits the windows.
func (s *Session) answer(st *h2stream) {
	resp := &s.x.response
	body := resp.body
	if s.x.bodyless {
		body = nil
	}
	s.out = s.appendHead(s.out, st.id, resp, len(body) == 0)
	s.credit = min(s.credit+creditAnswer, maxCredit)
	if body = s.sendBody(st, body); len(body) == 0 {
		return
	}
	conf := s.r.in.Conf()
	if s.stage == stageEnded || s.queued+len(body) > maxQueued || len(s.streams) >= conf.MaxPipeline {
		conf.Stats.WriteErrors.Add(1)
		s.reset(st.id, codeEnhanceYourCalm)
		return
	}
	st = s.keep(st)
	st.stage, st.rest, st.sent = stageBlocked, append([]byte(nil), body...), !s.later
	st.deadline = s.now.Add(conf.WriteTimeout)
	s.blocked = append(s.blocked, st)
	s.queued += len(body)
	s.conn.Begin(1)
	s.arm(st.deadline)
}

// sendBody sends as much of a body as the windows let through, and returns the rest.
func (s *Session) sendBody(st *h2stream, body []byte) []byte {
	for len(body) > 0 {
		n := int(min(int64(len(body)), maxFrame, s.sendWindow, st.window))
		if n <= 0 {
			break
		}
		flags := uint8(0)
		if n == len(body) {
			flags = flagEndStream
		}
		s.out = append(appendFrame(s.out, n, typeData, flags, st.id), body[:n]...)
		s.sendWindow -= int64(n)
		st.window -= int64(n)
		body = body[n:]
	}
	return body
}

// push sends more of a reply that waits.
func (s *Session) push(st *h2stream) {
	rest := s.sendBody(st, st.rest)
	s.queued -= len(st.rest) - len(rest)
	if st.rest = rest; len(rest) == 0 {
		s.drop(st)
	}
}

// pushAll sends what waits and has found a window.
func (s *Session) pushAll() {
	for i := 0; i < len(s.blocked) && s.sendWindow > 0; {
		st := s.blocked[i]
		if st.sent {
			s.push(st)
		}
		if i < len(s.blocked) && s.blocked[i] == st {
			i++
		}
	}
}

// reset resets a stream.
func (s *Session) reset(id uint32, c code) {
	s.out = appendNumber(s.out, typeReset, id, uint32(c))
	s.cut[s.cuts%len(s.cut)] = id
	s.cuts++
}

// wasCut reports whether a stream was reset here lately, so that the client may not know yet.
func (s *Session) wasCut(id uint32) bool {
	for _, c := range s.cut {
		if c == id {
			return true
		}
	}
	return false
}
