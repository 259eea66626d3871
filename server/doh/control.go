package doh

import (
	"encoding/binary"
	"time"
)

// A connection has credit for frames that ask for nothing: what floods are made of (PING, SETTINGS, RST_STREAM soon
// after HEADERS, empty DATA and so on) is paid for, answers and time give it back. Who has none left is cut.
const (
	maxCredit    = 1000
	creditAnswer = 4                     // for each answer: a client may open windows for it, and say its priority
	creditTime   = 10 * time.Millisecond // what one more comes after
)

// pay takes credit.
func (s *Session) pay(cost int) *connError {
	if s.credit -= cost; s.credit >= 0 {
		return nil
	}
	if d := s.now.Sub(s.creditSince); d >= creditTime {
		s.credit = min(s.credit+int(min(d/creditTime, maxCredit)), maxCredit)
		s.creditSince = s.now
	}
	if s.credit < 0 {
		return errFlood
	}
	return nil
}

// settings is RFC 9113 section 6.5.
func (s *Session) settings(f *frame) *connError {
	switch {
	case f.id != 0:
		return errStreamID
	case f.has(flagAck) && len(f.payload) == 0:
		return s.pay(1)
	case f.has(flagAck) || len(f.payload)%6 != 0:
		return errFrameSize
	}
	for p := f.payload; len(p) > 0; p = p[6:] {
		if err := s.setting(binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:])); err != nil {
			return err
		}
	}
	s.stage = stageOpen
	s.out = appendFrame(s.out, 0, typeSettings, flagAck, 0)
	s.pushAll()
	return s.pay(5 + len(f.payload)/6)
}

func (s *Session) setting(id uint16, value uint32) *connError {
	switch id {
	case settingTableSize:
		if value < tableSize && !s.smallTable {
			s.settle() // header blocks of before go out before the acknowledgement
			s.smallTable = true
		}
	case settingPush:
		if value > 1 {
			return errSettings
		}
	case settingWindow:
		if value > maxWindow {
			return errWindow
		}
		delta := int64(value) - s.firstWindow
		if delta < 0 {
			s.settle() // likewise what the wider windows let through
		}
		s.firstWindow = int64(value)
		for _, st := range s.streams {
			if st.window += delta; st.window > maxWindow {
				return errWindow
			}
		}
	case settingFrame: // longer frames than the default are never sent
		if value < maxFrame || value >= 1<<24 {
			return errSettings
		}
	}
	return nil
}

// settle waits until all frames that others have made are written.
func (s *Session) settle() {
	out, x, now, done := s.out, s.x, s.now, s.done
	s.out, s.x, s.done = nil, nil, 0
	s.mu.Unlock()
	s.writing.Lock()
	s.mu.Lock()
	s.writing.Unlock()
	s.out, s.x, s.now, s.done = out, x, now, done
}

// ping is RFC 9113 section 6.7.
func (s *Session) ping(f *frame) *connError {
	switch {
	case f.id != 0:
		return errStreamID
	case len(f.payload) != 8:
		return errFrameSize
	case f.has(flagAck):
		return s.pay(5)
	}
	s.out = append(appendFrame(s.out, 8, typePing, flagAck, 0), f.payload...)
	return s.pay(5)
}

// priority is RFC 9113 section 6.3: it means nothing any more.
func (s *Session) priority(f *frame) *connError {
	switch {
	case f.id == 0:
		return errStreamID
	case len(f.payload) != 5:
		return errFrameSize
	case binary.BigEndian.Uint32(f.payload)&maxWindow == f.id:
		return errStreamID
	}
	return s.pay(1)
}

// goAway is RFC 9113 section 6.8. The client closes the connection itself.
func (s *Session) goAway(f *frame) *connError {
	switch {
	case f.id != 0:
		return errStreamID
	case len(f.payload) < 8:
		return errFrameSize
	}
	return s.pay(5)
}

// resetByClient is RFC 9113 section 6.4. What is already worked for goes on, and counts until it ends.
func (s *Session) resetByClient(f *frame) *connError {
	switch {
	case len(f.payload) != 4:
		return errFrameSize
	case f.id == 0 || f.id%2 == 0 || f.id > s.last:
		return errStreamID
	}
	st := s.streams[f.id]
	if st == nil {
		return s.pay(1)
	}
	s.drop(st)
	return s.pay(10)
}

// windowUpdate is RFC 9113 section 6.9.
func (s *Session) windowUpdate(f *frame) *connError {
	if len(f.payload) != 4 {
		return errFrameSize
	}
	n := int64(binary.BigEndian.Uint32(f.payload) & maxWindow)
	switch {
	case n == 0:
		return errIncrement
	case f.id == 0:
		if s.sendWindow += n; s.sendWindow > maxWindow {
			return errWindow
		}
		s.pushAll()
		return s.pay(1)
	case f.id%2 == 0 || f.id > s.last:
		return errStreamID
	}
	if st := s.streams[f.id]; st != nil {
		if st.window += n; st.window > maxWindow {
			s.drop(st)
			s.reset(f.id, codeFlowControl)
		} else if st.stage == stageBlocked && st.sent {
			s.push(st)
		}
	}
	return s.pay(1)
}

// arm has expire called at a time, or when it is called for another stream.
func (s *Session) arm(at time.Time) {
	if s.timing || s.stage == stageEnded {
		return
	}
	s.timing = true
	if d := time.Until(at); s.timer == nil {
		s.timer = time.AfterFunc(d, s.expire)
	} else {
		s.timer.Reset(d)
	}
}

// expire ends streams whose body did not come, or whose reply nobody takes. One slow stream holds up no other.
func (s *Session) expire() {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	s.timing, s.now = false, time.Now()
	var next time.Time
	for _, st := range s.streams {
		switch {
		case st.stage == stageWorking || s.stage == stageEnded:
		case s.now.Before(st.deadline):
			if next.IsZero() || st.deadline.Before(next) {
				next = st.deadline
			}
		case st.stage == stageReceiving:
			s.abandon(st, errSlow)
		default:
			s.r.in.Conf().Stats.WriteErrors.Add(1)
			s.drop(st)
			s.reset(st.id, codeCancel)
		}
	}
	if !next.IsZero() {
		s.arm(next)
	}
	s.flush(nil)
}
