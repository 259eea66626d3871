package doq

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/quic-go/quic-go"

	"dens/internal/wire"
	"dens/server/intake"
)

// room is the place for one query that has come and its reply.
type room struct {
	query wire.Query
	out   [lengthLen + intake.MaxSmall]byte
}

// maxCancelled is how many more queries of a connection may be cancelled than are answered: nobody needs that
// but who wants to have work done in vain (RFC 9250 section 4.3.1).
const maxCancelled = 1000

// serveDoQ serves DNS over QUIC: a query on each stream.
func (c *conn) serveDoQ() {
	go c.refuseUnidirectional()
	for {
		str, err := c.q.AcceptStream(c.accepting)
		if err != nil {
			break
		}
		go c.serveStream(str)
	}
	c.finish()
}

// refuseUnidirectional ends the connection of a client that opens a stream which cannot carry a reply (RFC
// 9250 section 4.3.3).
func (c *conn) refuseUnidirectional() {
	if _, err := c.q.AcceptUniStream(c.q.Context()); err == nil {
		c.blame(codeProtocol)
	}
}

func (c *conn) serveStream(str *quic.Stream) {
	conf := c.l.in.Conf()
	_ = str.SetReadDeadline(time.Now().Add(conf.ReadTimeout))
	buf := c.l.buffers.Get().(*[bufferLen]byte)
	defer c.l.buffers.Put(buf)
	msg, large, err := readMessage(str, buf[:], c.l.in.EnterLarge)
	if large {
		defer c.l.in.LeaveLarge()
	}
	if err != nil {
		c.unread(str, err, conf)
		return
	}
	c.begin()
	defer c.end()
	r := c.l.rooms.Get().(*room)
	defer c.l.rooms.Put(r)
	reply, code := c.answer(str.Context(), r, msg, conf)
	switch {
	case code == codeProtocol:
		c.blame(codeProtocol)
	case str.Context().Err() != nil:
		c.cancel(str, codeCancelled)
	case code != codeNoError:
		cut(str, code)
	default:
		c.write(str, reply, conf)
	}
}

// unread deals with a stream that brought no query.
func (c *conn) unread(str *quic.Stream, err error, conf *intake.Config) {
	late := errors.Is(err, os.ErrDeadlineExceeded)
	if late {
		conf.Stats.Slow.Add(1)
	}
	switch {
	case errors.Is(err, errTiny), errors.Is(err, errMore), errors.Is(err, errShort):
		conf.Stats.Malformed.Add(1)
		c.blame(codeProtocol)
	case late && errors.Is(err, errNoFIN): // RFC 9250 section 4.3.3
		c.blame(codeProtocol)
	case late:
		cut(str, codeUnspecified)
	case errors.Is(err, errNoRoom):
		cut(str, codeExcessiveLoad)
	default: // the client has reset the stream, or the connection is gone
		c.cancel(str, codeCancelled)
	}
}

// answer makes the reply, with its length before it. Another code than codeNoError is why there is none.
func (c *conn) answer(ctx context.Context, r *room, msg []byte, conf *intake.Config) ([]byte, quic.StreamErrorCode) {
	if msg[0]|msg[1] != 0 { // the message ID (RFC 9250 section 4.2.1)
		conf.Stats.Malformed.Add(1)
		return nil, codeProtocol
	}
	q := &r.query
	*q = wire.Query{Msg: msg, From: wire.Peer{Addr: c.peer(), Protocol: wire.DoQ}, Start: time.Now()}
	defer func() { q.Msg = nil }()
	buf := r.out[lengthLen:lengthLen]
	if !c.established() && !replayable(msg) {
		return status(q, r, tooEarly)
	}
	reply, done := c.l.in.Take(q, buf)
	switch {
	case q.Kind == wire.Silent, q.KeepaliveAsked: // RFC 9250 section 5.5.2
		return nil, codeProtocol
	case done:
	case !c.l.in.EnterStream():
		return nil, codeExcessiveLoad
	default:
		ctx, cancel := context.WithTimeout(ctx, conf.QueryTimeout)
		reply = c.l.in.WaitContext(ctx, q, buf)
		cancel()
		c.l.in.LeaveStream()
	}
	return framed(r, reply)
}

func framed(r *room, reply []byte) ([]byte, quic.StreamErrorCode) {
	if len(reply) == 0 {
		return nil, codeInternal
	}
	out := frame(r.out[:], reply)
	if out == nil {
		return nil, codeInternal
	}
	return out, codeNoError
}

// replayable reports whether it does no harm when a request is carried out again: QUERY and NOTIFY (RFC 9250
// section 4.5).
func replayable(msg []byte) bool {
	const query, notify = 0, 4
	opcode := msg[2] >> 3 & 0xf
	return opcode == query || opcode == notify
}

// tooEarly is the extended error for a request that may not come in 0-RTT data (RFC 9250 section 4.5).
const tooEarly = 26

// status is a reply without records, REFUSED for the reason of an extended error (RFC 8914).
func status(q *wire.Query, r *room, ede uint16) ([]byte, quic.StreamErrorCode) {
	q.Request, q.Limit = wire.Peek(q.Msg), wire.MaxMessage
	reply := q.AppendStatus(r.out[lengthLen:lengthLen], q.Msg, wire.Status{Rcode: wire.RcodeRefused, HasEDE: true, EDECode: ede})
	if len(reply) == 0 {
		return nil, codeProtocol
	}
	return framed(r, reply)
}

func (c *conn) write(str *quic.Stream, reply []byte, conf *intake.Config) {
	_ = str.SetWriteDeadline(time.Now().Add(conf.WriteTimeout))
	if _, err := str.Write(reply); err != nil {
		conf.Stats.WriteErrors.Add(1)
		c.cancel(str, codeCancelled)
		return
	}
	_ = str.Close()
	c.count(-1)
}

// cancel ends a stream whose client does not want its reply any more.
func (c *conn) cancel(str *quic.Stream, code quic.StreamErrorCode) {
	cut(str, code)
	if c.count(1) > maxCancelled && c.q.Context().Err() == nil {
		c.blame(c.codes.excessiveLoad)
	}
}

// count adds to how many more requests were cancelled than answered, which is never below zero.
func (c *conn) count(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancelled = max(0, c.cancelled+n)
	return c.cancelled
}

// blame ends the connection of a client that broke the protocol (RFC 9250 section 4.3.3, RFC 9114 section 8).
func (c *conn) blame(code quic.ApplicationErrorCode) {
	c.blamed.Do(func() {
		c.l.in.Conf().Stats.Abuse.Add(1)
		c.close(code)
	})
}

// cut ends both directions of a stream.
func cut(str *quic.Stream, code quic.StreamErrorCode) {
	str.CancelRead(code)
	str.CancelWrite(code)
}
