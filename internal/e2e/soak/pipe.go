package soak

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// pipe is a connection or UDP socket with many questions under way, which are told apart by their IDs.
type pipe struct {
	conn   net.Conn
	framed bool // each message behind its length

	writing sync.Mutex
	mu      sync.Mutex
	waiting map[uint16]chan *dns.Msg // guarded by mu, as below
	err     error                    // why it has ended
	ended   chan struct{}
}

func newPipe(conn net.Conn, framed bool) *pipe {
	p := &pipe{conn: conn, framed: framed, waiting: map[uint16]chan *dns.Msg{}, ended: make(chan struct{})}
	go p.read()
	return p
}

func (p *pipe) Close() error { return p.conn.Close() }

// read hands out replies until the connection ends.
func (p *pipe) read() {
	err := p.readAll()
	p.conn.Close() //nolint:errcheck // as below
	p.mu.Lock()
	p.err = fmt.Errorf("the connection has ended: %w", err)
	p.mu.Unlock()
	close(p.ended)
}

func (p *pipe) readAll() error {
	buf := make([]byte, dns.MaxMsgSize)
	for {
		var raw []byte
		if p.framed {
			var length [2]byte
			if _, err := io.ReadFull(p.conn, length[:]); err != nil {
				return err
			}
			raw = buf[:binary.BigEndian.Uint16(length[:])]
			if _, err := io.ReadFull(p.conn, raw); err != nil {
				return err
			}
		} else {
			n, err := p.conn.Read(buf)
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			if err != nil {
				continue // nobody listened just then
			}
			raw = buf[:n]
		}
		reply := new(dns.Msg)
		if err := reply.Unpack(raw); err != nil {
			return fmt.Errorf("%w: no message: %w: %x", ErrWrong, err, raw)
		}
		p.mu.Lock()
		if wanted := p.waiting[reply.Id]; wanted != nil {
			delete(p.waiting, reply.Id)
			wanted <- reply
		} else if p.framed {
			p.mu.Unlock()
			return fmt.Errorf("%w: nobody waits for it: %v", ErrWrong, reply)
		}
		p.mu.Unlock()
	}
}

// enter takes an ID that no other question under way has.
func (p *pipe) enter() (uint16, chan *dns.Msg) {
	wanted := make(chan *dns.Msg, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if id := dns.Id(); p.waiting[id] == nil {
			p.waiting[id] = wanted
			return id, wanted
		}
	}
}

func (p *pipe) send(m *dns.Msg) error {
	raw, err := m.Pack()
	if err != nil {
		return err
	}
	if p.framed {
		raw = Frame(raw)
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	p.conn.SetWriteDeadline(time.Now().Add(dialTimeout)) //nolint:errcheck // the write says so
	_, err = p.conn.Write(raw)
	return err
}

// ask sends a question, once more after each patience without a reply (0 is never), and calls late then.
func (p *pipe) ask(ctx context.Context, query *dns.Msg, patience time.Duration, late func()) (*dns.Msg, error) {
	id, wanted := p.enter()
	m := query.Copy()
	m.Id = id
	if err := p.send(m); err != nil && p.framed {
		return nil, err
	}
	var again <-chan time.Time
	if patience > 0 {
		ticker := time.NewTicker(patience)
		defer ticker.Stop()
		again = ticker.C
	}
	for {
		select {
		case reply := <-wanted:
			reply.Id = query.Id
			return reply, nil
		case <-again:
			late()
			p.send(m) //nolint:errcheck // there is another time
		case <-p.ended:
			p.mu.Lock()
			defer p.mu.Unlock()
			return nil, p.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Frame is a message behind its length (RFC 1035 section 4.2.2).
func Frame(raw []byte) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, 0, len(raw)+2), uint16(len(raw))), raw...)
}

// piped is a client of TCP, DoT or UDP.
type piped struct {
	keeper[*pipe]
	patience time.Duration
}

func newUDP(to string) *piped {
	c := &piped{patience: time.Second}
	c.dial = func(ctx context.Context) (*pipe, error) {
		conn, err := dial(ctx, "udp", "", to)
		if err != nil {
			return nil, err
		}
		return newPipe(conn, false), nil
	}
	return c
}

func newTCP(t *Target) *piped {
	c := new(piped)
	c.dial = func(ctx context.Context) (*pipe, error) {
		conn, err := dial(ctx, "tcp", "", t.DNS)
		if err != nil {
			return nil, err
		}
		return newPipe(conn, true), nil
	}
	return c
}

func newDoT(t *Target) *piped {
	c := new(piped)
	c.dial = func(ctx context.Context) (*pipe, error) {
		conn, err := t.DialTLS(ctx, "", t.DoT, "dot")
		if err != nil {
			return nil, err
		}
		return newPipe(conn, true), nil
	}
	return c
}

func (c *piped) Exchange(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	return c.retry(ctx, func(p *pipe) (*dns.Msg, error) {
		return p.ask(ctx, query, c.patience, func() { c.lost.Add(1) })
	})
}
