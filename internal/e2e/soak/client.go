package soak

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Client asks over one transport, as a stub resolver does: it keeps its connection, and takes a new one when
// that ends. It may be used concurrently.
type Client interface {
	// Exchange returns the reply, or an error when there was none before ctx ended.
	Exchange(ctx context.Context, query *dns.Msg) (*dns.Msg, error)
	// Lost is how many connections ended while they were in use, or datagrams got no reply in time.
	Lost() int64
	Close()
}

// Transports are the names of all transports.
func Transports() []string { return []string{"udp", "tcp", "dot", "h1", "h2", "h3", "doq"} }

// NewClient returns a client of one of Transports.
func NewClient(t *Target, transport string) Client {
	switch transport {
	case "udp":
		return &fallback{newUDP(t.DNS), newTCP(t)}
	case "tcp":
		return newTCP(t)
	case "dot":
		return newDoT(t)
	case "doq":
		return newDoQ(t)
	default:
		return newDoH(t, transport)
	}
}

// fallback asks by UDP, and by TCP what is truncated.
type fallback struct{ udp, tcp Client }

func (f *fallback) Exchange(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	reply, err := f.udp.Exchange(ctx, query)
	if err != nil || !reply.Truncated {
		return reply, err
	}
	if len(reply.Question) != 1 || reply.Question[0] != query.Question[0] || len(reply.Answer) > 0 {
		return nil, fmt.Errorf("%w: truncated, with answers or to another question: %v", ErrWrong, reply)
	}
	return f.tcp.Exchange(ctx, query)
}

func (f *fallback) Lost() int64 { return f.udp.Lost() + f.tcp.Lost() }

func (f *fallback) Close() {
	f.udp.Close()
	f.tcp.Close()
}

// keeper keeps one connection for all who ask.
type keeper[C interface {
	comparable
	Close() error
}] struct {
	dial func(context.Context) (C, error)
	lost atomic.Int64

	mu   sync.Mutex // held while dialling: all wait for the one connection
	conn C
}

// get returns the connection, a new one when there is none.
func (k *keeper[C]) get(ctx context.Context) (C, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var none C
	if k.conn != none {
		return k.conn, nil
	}
	conn, err := k.dial(ctx)
	if err == nil {
		k.conn = conn
	}
	return conn, err
}

// drop forgets a connection that has ended.
func (k *keeper[C]) drop(conn C) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var none C
	if k.conn == conn {
		k.conn = none
		k.lost.Add(1)
	}
	conn.Close() //nolint:errcheck // it has ended
}

func (k *keeper[C]) Lost() int64 { return k.lost.Load() }

func (k *keeper[C]) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	var none C
	if k.conn != none {
		k.conn.Close() //nolint:errcheck // the end
		k.conn = none
	}
}

// retryPause is between two tries to get a connection.
const retryPause = 50 * time.Millisecond

// retry asks until there is a reply, on new connections where old ones end.
func (k *keeper[C]) retry(ctx context.Context, ask func(C) (*dns.Msg, error)) (*dns.Msg, error) {
	for {
		conn, err := k.get(ctx)
		if err == nil {
			var reply *dns.Msg
			if reply, err = ask(conn); err == nil {
				return reply, nil
			}
			if errors.Is(err, ErrWrong) {
				return nil, err
			}
			if ctx.Err() == nil {
				k.drop(conn)
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(retryPause):
		}
	}
}
