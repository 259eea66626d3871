package intake

import (
	"context"
	"sync/atomic"
	"time"

	"dens/internal/wire"
)

// Intake takes requests from the transports to the Handler. It is safe for concurrent use.
type Intake struct {
	conf   atomic.Pointer[Config]
	route  atomic.Pointer[route]
	start  time.Time
	base   context.Context
	cancel context.CancelFunc
	epochs epochs
	conns  *connTable

	udp, stream, large gate
	panicked           atomic.Int64 // when a panic was last logged, in Unix nanoseconds
}

// route is the way of a request: the guards, in their order, and the Handler.
type route struct {
	guards  []Guard
	meters  []Meter // those of guards that are Meters
	handler Handler
}

// sent tells the Meters of a reply.
func (r *route) sent(q *wire.Query, size int) {
	for _, m := range r.meters {
		m.Sent(q, size)
	}
}

// New returns an Intake that serves with h behind the guards.
func New(conf Config, h Handler, guards ...Guard) *Intake {
	in := &Intake{start: time.Now(), conns: newConnTable()}
	in.base, in.cancel = context.WithCancel(context.Background())
	in.epochs.base = in.base
	in.Configure(conf)
	in.SetHandler(h, guards...)
	return in
}

// Configure takes a new Config into force. One without Stats keeps the old ones.
func (in *Intake) Configure(conf Config) {
	if old := in.conf.Load(); old != nil && conf.Stats == nil {
		conf.Stats = old.Stats
	}
	conf = conf.WithDefaults()
	in.conf.Store(&conf)
}

// Conf returns the Config in force, with its defaults filled in. It is not to be changed.
func (in *Intake) Conf() *Config { return in.conf.Load() }

// SetHandler swaps the Handler and the guards. Requests that wait end with the old ones.
func (in *Intake) SetHandler(h Handler, guards ...Guard) {
	way := &route{guards: guards, handler: h}
	for _, g := range guards {
		if m, ok := g.(Meter); ok {
			way.meters = append(way.meters, m)
		}
	}
	in.route.Store(way)
}

// Close ends the contexts of all requests that still wait.
func (in *Intake) Close() { in.cancel() }

// Base returns the context that Close ends.
func (in *Intake) Base() context.Context { return in.base }

// Take reads the request in q.Msg, which is all that has to be set besides q.From (but its Cookie) and
// q.Start, and answers it when that needs no waiting: done reports whether it did. The reply is appended to
// buf[:0]; an empty one means to stay silent. A request that is not done goes to Wait. It allocates nothing.
//
// Whoever sent what is q.Kind Silent speaks no DNS: a stream is to be closed.
func (in *Intake) Take(q *wire.Query, buf []byte) (reply []byte, done bool) {
	conf := in.conf.Load()
	if q.Reader == 0 {
		q.Reader = uint8(q.From.Addr.Port()) // a transport that does not say: by connection
	}
	defer func() {
		if cause := recover(); cause != nil {
			reply, done = in.panicReply(conf, cause, q, buf), true
		}
	}()
	q.Peek()
	if q.Kind == wire.Silent {
		conf.Stats.Malformed.Add(1)
		return buf[:0], true
	}
	conf.Cookies.judge(q)
	if q.From.Cookie.State != wire.CookieNone {
		conf.Stats.Cookies[q.From.Cookie.State].Add(q.Reader)
	}
	conf.limit(q)
	way := in.route.Load()
	for _, g := range way.guards {
		if reply, pass := g.Check(q, buf); !pass {
			conf.countSilent(reply)
			return reply, true
		}
	}
	if reply, done = way.handler.Hit(q, buf); done {
		conf.countSilent(reply)
		way.sent(q, len(reply))
	}
	return reply, done
}

// Wait answers a request that Take did not. The caller holds a place (EnterUDP, EnterStream) meanwhile.
func (in *Intake) Wait(q *wire.Query, buf []byte) []byte {
	return in.WaitContext(in.epochs.context(in.conf.Load().QueryTimeout), q, buf)
}

// WaitContext is Wait for a client that may go away: ctx ends then, or when the request's time is up.
func (in *Intake) WaitContext(ctx context.Context, q *wire.Query, buf []byte) (reply []byte) {
	conf := in.conf.Load()
	defer func() {
		if cause := recover(); cause != nil {
			reply = in.panicReply(conf, cause, q, buf)
		}
	}()
	way := in.route.Load()
	reply = way.handler.Miss(ctx, q, buf)
	conf.countSilent(reply)
	way.sent(q, len(reply))
	return reply
}

// Answer is for transports whose requests have a goroutine each: Take and, where that is not enough, a place
// (EnterStream) and WaitContext. ok is false when there was no place.
func (in *Intake) Answer(ctx context.Context, q *wire.Query, buf []byte) (reply []byte, ok bool) {
	if reply, done := in.Take(q, buf); done {
		return reply, true
	}
	if !in.EnterStream() {
		return buf[:0], false
	}
	defer in.LeaveStream()
	ctx, cancel := context.WithTimeout(ctx, in.conf.Load().QueryTimeout)
	defer cancel()
	return in.WaitContext(ctx, q, buf), true
}

// limit says how long the reply may be, and what a client is told that asks for how long it may stay.
func (c *Config) limit(q *wire.Query) {
	q.Limit, q.Keepalive = wire.MaxMessage, 0
	switch q.From.Protocol {
	case wire.UDP:
		q.Limit = min(q.UDPSize, c.UDPSize)
		if q.From.Cookie.State != wire.CookieValid {
			q.Limit = min(q.Limit, c.MaxUnproven)
		}
	case wire.TCP, wire.DoT:
		q.Keepalive = uint16(min(c.IdleTimeout/(100*time.Millisecond), 1<<16-1))
	}
}

func (c *Config) countSilent(reply []byte) {
	if len(reply) == 0 {
		c.Stats.Silent.Add(1)
	}
}

// panicReply is the answer to a request whose handling panicked: silence, when making that panics, too.
func (in *Intake) panicReply(conf *Config, cause any, q *wire.Query, buf []byte) (reply []byte) {
	conf.Stats.Panics.Add(1)
	in.logPanic(conf, cause)
	defer func() {
		if recover() != nil {
			reply = buf[:0]
		}
	}()
	return q.AppendStatus(buf[:0], q.Msg, wire.Status{Rcode: wire.RcodeServerFailure, Cookie: q.From.Cookie.Option()})
}

// LogPanic counts and logs a panic that a transport has survived.
func (in *Intake) LogPanic(cause any) {
	conf := in.conf.Load()
	conf.Stats.Panics.Add(1)
	in.logPanic(conf, cause)
}
