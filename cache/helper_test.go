package cache_test

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/cache"
	"dens/internal/wire"
)

// source is a Source whose answers a test sets.
type source struct {
	mu     sync.Mutex
	calls  int
	seen   []*dns.Msg
	answer func(ctx context.Context, req *dns.Msg) (cache.Entry, error)
}

func (s *source) Reply(ctx context.Context, req []byte) (cache.Entry, error) {
	m := new(dns.Msg)
	if err := m.Unpack(req); err != nil {
		return cache.Entry{}, err
	}
	s.mu.Lock()
	s.calls++
	if len(s.seen) < 10 { // a fuzz run asks for ever
		s.seen = append(s.seen, m)
	}
	answer := s.answer
	s.mu.Unlock()
	return answer(ctx, m)
}

func (s *source) set(answer func(ctx context.Context, req *dns.Msg) (cache.Entry, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *source) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// entry packs a reply to a request. Its records are in presentation form; those of type SOA go to the
// authority section.
func entry(req *dns.Msg, ttl time.Duration, rcode int, rrs ...string) cache.Entry {
	m := new(dns.Msg)
	m.SetRcode(req, rcode)
	m.Id, m.RecursionDesired, m.AuthenticatedData, m.Compress = 0, false, true, true
	m.Question[0].Name = dns.CanonicalName(m.Question[0].Name)
	for _, s := range rrs {
		rr, err := dns.NewRR(s)
		if err != nil {
			panic(err)
		}
		if _, ok := rr.(*dns.SOA); ok {
			m.Ns = append(m.Ns, rr)
		} else {
			m.Answer = append(m.Answer, rr)
		}
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return cache.Entry{Wire: b, TTL: ttl, Zone: "onchain"}
}

// always answers with the same records.
func always(ttl time.Duration, rrs ...string) func(context.Context, *dns.Msg) (cache.Entry, error) {
	return func(_ context.Context, req *dns.Msg) (cache.Entry, error) {
		return entry(req, ttl, dns.RcodeSuccess, rrs...), nil
	}
}

// onchain answers as a chain does: with what the answer rests on.
func onchain(_ context.Context, req *dns.Msg) (cache.Entry, error) {
	e := entry(req, time.Hour, dns.RcodeSuccess, aliceA)
	e.HasEDE, e.EDECode, e.EDEText = true, dns.ExtendedErrorCodeOther, "ens: proven, optimistic, block 21000000"
	e.Tags = []string{"zone:eth", "node:" + req.Question[0].Name}
	e.Origin = []byte(`{"block":21000000}`)
	return e, nil
}

// failing answers SERVFAIL with an extended error, as when all backends are down.
func failing(_ context.Context, req *dns.Msg) (cache.Entry, error) {
	e := entry(req, time.Minute, dns.RcodeServerFailure)
	e.Failure, e.HasEDE, e.EDECode, e.EDEText = true, true, dns.ExtendedErrorCodeNoReachableAuthority, "backends are down"
	return e, nil
}

// bench is a cache under test with its source.
type bench struct {
	*cache.Cache
	t      testing.TB
	source *source
	store  *cache.Memory
	events *events
}

type events struct {
	mu   sync.Mutex
	list []cache.Event
}

func (e *events) add(ev cache.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
}

func (e *events) last(t testing.TB) cache.Event {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.list) == 0 {
		t.Fatal("no event")
	}
	return e.list[len(e.list)-1]
}

func newBench(t testing.TB, cfg cache.Config, answer func(context.Context, *dns.Msg) (cache.Entry, error)) *bench {
	b := &bench{t: t, source: &source{answer: answer}, store: cache.NewMemory(cache.MemoryConfig{}), events: &events{}}
	cfg.Observe = b.events.add
	cfg.Log = slog.New(slog.DiscardHandler)
	b.Cache = cache.New(b.store, b.source, cfg)
	return b
}

func request(t testing.TB, name string, qtype uint16, change ...func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.Id = 0x1234
	for _, f := range change {
		f(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func edns(size uint16) func(*dns.Msg) { return func(m *dns.Msg) { m.SetEdns0(size, false) } }
func do(m *dns.Msg)                   { m.SetEdns0(4096, true) }
func origin(m *dns.Msg) {
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: wire.OptionOrigin}}
}

func peer(p wire.Protocol) wire.Peer {
	return wire.Peer{Addr: netip.MustParseAddrPort("127.0.0.1:53"), Protocol: p}
}

// serve answers a request as the transports have it done.
func serve(ctx context.Context, c *cache.Cache, req []byte, from wire.Peer, buf []byte) []byte {
	q := wire.Query{Msg: req, From: from, Start: time.Now(), Limit: wire.MaxMessage}
	q.Peek()
	if from.Protocol == wire.UDP {
		q.Limit = min(q.UDPSize, 1232)
	}
	if reply, ok := c.Hit(&q, buf); ok {
		return reply
	}
	return c.Miss(ctx, &q, buf)
}

// raw sends a request by a transport and returns the reply's bytes.
func (b *bench) raw(ctx context.Context, p wire.Protocol, req []byte) []byte {
	return serve(ctx, b.Cache, req, peer(p), make([]byte, 0, 2048))
}

// ask sends a request by UDP and reads the reply, which there has to be.
func (b *bench) ask(name string, qtype uint16, change ...func(*dns.Msg)) *dns.Msg {
	b.t.Helper()
	return b.askBy(wire.UDP, name, qtype, change...)
}

func (b *bench) askBy(p wire.Protocol, name string, qtype uint16, change ...func(*dns.Msg)) *dns.Msg {
	b.t.Helper()
	return unpack(b.t, b.raw(b.t.Context(), p, request(b.t, name, qtype, change...)))
}

func unpack(t testing.TB, reply []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(reply); err != nil {
		t.Fatalf("reply %x: %v", reply, err)
	}
	return m
}

// ede returns the code of a reply's extended error, or -1.
func ede(m *dns.Msg) int {
	if o := m.IsEdns0(); o != nil {
		for _, option := range o.Option {
			if e, ok := option.(*dns.EDNS0_EDE); ok {
				return int(e.InfoCode)
			}
		}
	}
	return -1
}

// want checks the outcome of the last request, and how often the source was asked so far.
func (b *bench) want(outcome cache.Outcome, calls int) {
	b.t.Helper()
	if got := b.events.last(b.t).Outcome; got != outcome {
		b.t.Errorf("outcome %v, want %v", got, outcome)
	}
	if got := b.source.count(); got != calls {
		b.t.Errorf("the source was asked %d times, want %d", got, calls)
	}
}
