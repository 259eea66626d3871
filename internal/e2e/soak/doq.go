package soak

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"
)

// session is a QUIC connection.
type session struct{ *quic.Conn }

// Close ends it as a client of DoQ does.
func (s *session) Close() error { return s.CloseWithError(0, "") }

// overQUIC is a client of DoQ: a stream for each question (RFC 9250 section 4.2).
type overQUIC struct{ keeper[*session] }

func newDoQ(t *Target) *overQUIC {
	c := new(overQUIC)
	c.dial = func(ctx context.Context) (*session, error) {
		conn, err := t.DialQUIC(ctx, t.DoQ, "doq")
		if err != nil {
			return nil, err
		}
		return &session{conn}, nil
	}
	return c
}

// DialQUIC opens a QUIC connection with the given ALPN protocol.
func (t *Target) DialQUIC(ctx context.Context, to, alpn string) (*quic.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return quic.DialAddr(ctx, to, t.config(alpn), nil)
}

func (c *overQUIC) Exchange(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	return c.retry(ctx, func(s *session) (*dns.Msg, error) {
		reply, err := s.ask(ctx, query)
		if err == nil {
			reply.Id = query.Id
		}
		return reply, err
	})
}

// ask asks by a stream of its own, with an ID of zero (RFC 9250 section 4.2.1).
func (s *session) ask(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	m := query.Copy()
	m.Id = 0
	raw, err := m.Pack()
	if err != nil {
		return nil, err
	}
	stream, err := s.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	defer stream.CancelRead(3) // DOQ_REQUEST_CANCELLED, where the reply is not read to its end
	defer context.AfterFunc(ctx, func() { stream.CancelRead(3) })()
	if _, err := stream.Write(Frame(raw)); err != nil {
		return nil, err
	}
	if err := stream.Close(); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(stream, 1<<17))
	if err != nil {
		return nil, err
	}
	if len(data) < 2 || int(binary.BigEndian.Uint16(data)) != len(data)-2 {
		return nil, fmt.Errorf("%w: no message with its length: %x", ErrWrong, data)
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(data[2:]); err != nil || reply.Id != 0 {
		return nil, fmt.Errorf("%w: no message with an ID of 0: %w: %x", ErrWrong, err, data)
	}
	return reply, nil
}
