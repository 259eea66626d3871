package doh

import (
	"bytes"
	"encoding/binary"
	"net/http"
)

// headers handles a HEADERS frame at the beginning of in, with all CONTINUATION frames (RFC 9113 section 6.2). It
// returns how long these are, 0 when they are not all there.
func (s *Session) headers(f *frame, in []byte, size int) (int, *connError) {
	if f.id%2 == 0 {
		return 0, errStreamID
	}
	block, parent, err := f.block()
	if err == nil && !f.has(flagEndHeaders) {
		block, size, err = continued(f.id, block, in, size)
	}
	if err != nil || size == 0 {
		return 0, err
	}
	x := s.fresh()
	x.head.reset()
	if s.decoder.decode(block, &x.head) != nil {
		return 0, errCompression
	}
	if st := s.streams[f.id]; st != nil {
		return size, s.trailers(st, f)
	}
	switch {
	case f.id <= s.last && s.wasCut(f.id): // trailers, of a client that may not know yet
		return size, s.pay(1)
	case f.id == s.last:
		return 0, errClosed
	case f.id < s.last:
		return 0, errStreamID
	}
	s.last = f.id
	s.direct = h2stream{id: f.id, window: s.firstWindow}
	if parent == f.id || x.head.size <= maxHeader && !x.head.well() {
		s.malformed(&s.direct)
		return size, s.pay(5)
	}
	s.request(&s.direct, f.has(flagEndStream))
	return size, nil
}

// block is the payload of HEADERS without padding and priority; parent is what the stream is said to depend on.
func (f *frame) block() (block []byte, parent uint32, err *connError) {
	if block, err = f.unpadded(); err != nil || !f.has(flagPriority) {
		return block, 0, err
	}
	if len(block) < 5 {
		return nil, 0, errFrameSize
	}
	return block[5:], binary.BigEndian.Uint32(block) & maxWindow, nil
}

// continued adds the CONTINUATION frames (RFC 9113 section 6.10). It takes a flood of them for what it is before it
// is all there.
func continued(id uint32, block, in []byte, size int) ([]byte, int, *connError) {
	block = append([]byte(nil), block...)
	for range maxBlockIn {
		rest := in[size:]
		if len(rest) >= frameHead {
			n := int(rest[0])<<16 | int(rest[1])<<8 | int(rest[2])
			switch {
			case rest[3] != typeContinuation || binary.BigEndian.Uint32(rest[5:])&maxWindow != id:
				return nil, 0, errContinuation
			case n+len(block) > maxBlock:
				return nil, 0, errBlock
			}
		}
		f, n, err := readFrame(rest)
		if err != nil || n == 0 {
			return nil, 0, err
		}
		block = append(block, f.payload...)
		size += n
		if f.has(flagEndHeaders) {
			return block, size, nil
		}
	}
	return nil, 0, errBlock
}

// trailers ends a body. Their fields mean nothing here.
func (s *Session) trailers(st *h2stream, f *frame) *connError {
	h := &s.x.head
	if st.stage != stageReceiving {
		s.drop(st)
		s.reset(st.id, codeStreamClosed)
		return s.pay(5)
	}
	if h.bad || h.seen != 0 || !f.has(flagEndStream) {
		s.malformed(st)
		return s.pay(5)
	}
	s.complete(st, nil)
	return nil
}

// request handles a request whose header is in s.x.
func (s *Session) request(st *h2stream, ended bool) {
	x := s.x
	h := &x.head
	st.bodyless = h.method == http.MethodHead
	x.q.Start, x.bodyless = s.now, st.bodyless
	next, failed := stepDone, errHeader
	if h.size <= maxHeader {
		path, query, _ := bytes.Cut(h.target, []byte("?"))
		next, failed = x.read(s.r.conf.Load(), &request{
			method: h.method, path: path, query: query, accept: h.accept, contentType: h.contentType, length: h.length,
			forwardedFor: h.forwardedFor, forwarded: h.forwarded, from: s.from,
		})
	}
	switch {
	case !ended && failed != nil && h.expects: // the body does not come before an answer
		s.abandon(st, failed)
	case !ended && (failed != nil || next != stepDone):
		if h.expects {
			_ = s.conn.Write(s.appendContinue(nil, st.id)) // at once, like the first SETTINGS: the body may be here
		}
		s.open(st, next, failed, h.length)
	case ended && h.length > 0: // RFC 9113 section 8.1.1
		s.malformed(st)
	case failed != nil:
		s.refuse(st, failed)
	case next == stepDone:
		if s.answer(st); !ended {
			s.reset(st.id, codeNone)
		}
	default: // a body that is empty is no message
		s.take(st)
	}
}
