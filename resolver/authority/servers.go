package authority

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// maxLingering is how many exchanges may go on, for what can be learned from them, when their question
// is answered already.
const maxLingering = 256

// Servers asks name servers and remembers what helps to ask them again. It is safe for concurrent use.
type Servers struct {
	cfg       Config
	udp, tcp  resolver.Exchanger
	asIs      AsIs // nil when there is no such way
	memory    *memory
	counters  counters
	underway  atomic.Int64
	lingering atomic.Int64
	buffers   sync.Pool // of *[replyRoom]byte
	log       *slog.Logger
}

// replyRoom is enough for replies by UDP.
const replyRoom = 4096

// New returns a Servers that knows nothing yet.
func New(cfg Config) *Servers {
	cfg = cfg.withDefaults()
	s := &Servers{cfg: cfg, udp: cfg.UDP, tcp: cfg.TCP, memory: newMemory(&cfg), log: cfg.Log}
	s.asIs, _ = cfg.UDP.(AsIs)
	s.buffers.New = func() any { return new([replyRoom]byte) }
	return s
}

// exchange is one message on its way.
type exchange struct {
	s        *Servers
	srv      *server
	addr     netip.AddrPort
	form     form
	patience time.Duration // until it is late
	limit    time.Duration // until it has failed
	start    time.Time     // for round-trip times
	began    time.Time     // in the memory's time
	cancel   context.CancelFunc
	state    atomic.Int32
	amend    func(func(*resolver.Step))

	// For the ask that it is part of:
	to      *candidate
	late    bool
	confirm bool // it is to show whether the server drops EDNS
}

// States of an exchange.
const (
	waitedFor int32 = iota
	lingers
	over
)

// result is how an exchange ended: with a reply that is whole, or an error.
type result struct {
	*exchange
	msg  *dns.Msg
	took time.Duration
	err  error
}

// run sends req and notes what the outcome tells about the server, whoever still wants it.
func (ex *exchange) run(ctx context.Context, q *Question, req []byte) result {
	defer ex.cancel()
	buf := ex.s.buffers.Get().(*[replyRoom]byte)
	defer ex.s.buffers.Put(buf) // what is read out of a reply is a copy
	raw, err := resolver.Safely(func() ([]byte, error) { return ex.carry(ctx, req, buf[:]) })
	res := result{exchange: ex, took: time.Since(ex.start), err: err}
	if err == nil {
		res.msg, res.err = resolver.Safely(func() (*dns.Msg, error) { return readReply(raw, q) })
	}
	ex.note(&res, err == nil)
	ex.s.memory.done(ex.srv)
	if ex.state.Swap(over) == lingers {
		ex.s.lingering.Add(-1)
	}
	return res
}

// carry sends req and waits for the reply, unless too many others do that: who has no sockets left cannot
// serve clients either.
func (ex *exchange) carry(ctx context.Context, req, buf []byte) ([]byte, error) {
	defer ex.s.underway.Add(-1)
	if ex.s.underway.Add(1) > int64(ex.s.cfg.Messages) {
		ex.s.counters.busy.Add(1)
		return nil, classify(resolver.ErrBusy)
	}
	var raw []byte
	var err error
	switch {
	case ex.form.tcp:
		raw, err = ex.s.tcp.Exchange(ctx, ex.addr, req, buf)
	case ex.form.asIs:
		raw, err = ex.s.asIs.ExchangeAsIs(ctx, ex.addr, req, buf)
	default:
		raw, err = ex.s.udp.Exchange(ctx, ex.addr, req, buf)
	}
	if err != nil {
		return nil, classify(err)
	}
	return raw, nil
}

// note remembers what an exchange tells about the server as such.
func (ex *exchange) note(res *result, came bool) {
	m := ex.s.memory
	switch {
	case came && ex.form.tcp:
		ex.s.familyChanged(ex.addr, m.replied(ex.addr, ex.srv, 0), true)
	case came:
		ex.s.familyChanged(ex.addr, m.replied(ex.addr, ex.srv, max(res.took, 1)), true)
	case errors.Is(res.err, resolver.ErrCase):
		ex.s.familyChanged(ex.addr, m.replied(ex.addr, ex.srv, 0), true)
	case ex.form.tcp || ex.confirm:
		// Says nothing about UDP, or about anything but EDNS.
	case errors.Is(res.err, ErrTimeout):
		ex.s.counters.timeouts.Add(1)
		whole := ex.limit >= ex.s.cfg.Timeout
		ex.s.familyChanged(ex.addr, m.late(ex.addr, ex.srv, ex.began, whole), false)
	case errors.Is(res.err, ErrUnreachable):
		ex.s.counters.unreachable.Add(1)
		ex.s.familyChanged(ex.addr, m.unreachable(ex.addr, ex.srv, noRoute(res.err)), false)
	}
	if ex.form.edns && res.msg != nil && isAnswer(res.msg.Rcode) && res.msg.IsEdns0() != nil {
		m.knowsEDNS(ex.srv)
	}
}

// familyChanged logs that a family of addresses went down or came up.
func (s *Servers) familyChanged(addr netip.AddrPort, changed, up bool) {
	if !changed {
		return
	}
	family := "IPv4"
	if familyOf(addr.Addr()) == ipv6 {
		family = "IPv6"
	}
	if up {
		s.log.Info("name servers answer again", "family", family)
		return
	}
	s.log.Info("name servers do not answer, others are asked first", "family", family)
}

// leave ends the wait for an exchange. With linger it goes on while there is room for that.
func (ex *exchange) leave(linger bool) {
	if !linger || ex.s.lingering.Add(1) > maxLingering {
		if linger {
			ex.s.lingering.Add(-1)
		}
		ex.cancel()
		return
	}
	if !ex.state.CompareAndSwap(waitedFor, lingers) {
		ex.s.lingering.Add(-1)
	}
}
