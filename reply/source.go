// Package reply is the one place where bytes become meaning and back: it reads a request, asks the
// resolver, turns answers and errors into rcode, extended error and TTL, and packs the reply once.
package reply

import (
	"context"
	"errors"
	"time"

	"github.com/miekg/dns"

	"dens/cache"
	"dens/internal/wire"
	"dens/resolver"
)

// ErrSilent means that a request is not to be answered: it is too short, or itself a reply.
var ErrSilent = errors.New("not a request")

// Source makes replies. It implements cache.Source.
type Source struct {
	resolver resolver.Resolver
	cfg      Config
	log      *failureLog
}

// New returns a Source that asks r.
func New(r resolver.Resolver, cfg Config) *Source {
	cfg = cfg.withDefaults()
	return &Source{resolver: r, cfg: cfg, log: newFailureLog(cfg.Log)}
}

// Reply answers one request message. Whatever the request holds gets a reply, with an rcode that says
// what is wrong with it; the only error is ErrSilent. RD is not asked for: clients that leave it out get
// the same answer.
func (s *Source) Reply(ctx context.Context, req []byte) (cache.Entry, error) {
	r := wire.Peek(req)
	switch r.Kind {
	case wire.Silent:
		return cache.Entry{}, ErrSilent
	case wire.Broken:
		return s.status(newMessage(req, &r), verdict{rcode: int(r.Rcode)}), nil
	}
	m := newMessage(req, &r)
	if len(m.Question) == 0 {
		return s.status(m, verdict{rcode: dns.RcodeFormatError}), nil
	}
	q := resolver.Query{Name: m.Question[0].Name, Type: r.Type, Class: r.Class, DO: r.DO, CD: r.CD()}
	if v := judge(q); v != nil {
		return s.status(m, *v), nil
	}
	switch {
	case q.Class == dns.ClassCHAOS:
		return s.chaos(m, q), nil
	case q.Type == dns.TypeANY:
		return s.hinfo(m, q), nil
	}
	answer, err := s.resolver.Resolve(ctx, q)
	if err == nil && answer == nil {
		err = errNoAnswer
	}
	if err != nil {
		v := diagnose(err)
		s.log.report(ctx, s.cfg.Now(), q, v, err)
		return s.status(m, v), nil
	}
	return s.entry(ctx, m, q, answer), nil
}

// errNoAnswer is the error of a resolver that broke its contract.
var errNoAnswer = errors.New("the resolver gave neither an answer nor an error")

// newMessage returns the reply to a request without records and rcode. It has the question in lower
// case, if there is one.
func newMessage(req []byte, r *wire.Request) *dns.Msg {
	m := &dns.Msg{Compress: true}
	m.Response = true
	m.Opcode = int(r.Opcode())
	m.RecursionDesired, m.RecursionAvailable, m.CheckingDisabled = r.RD(), true, r.CD()
	if !r.HasQuestion {
		return m
	}
	name, _, err := dns.UnpackDomainName(req, 12)
	if err != nil {
		return m
	}
	m.Question = []dns.Question{{Name: dns.CanonicalName(name), Qtype: r.Type, Qclass: r.Class}}
	return m
}

// entry packs an answer.
func (s *Source) entry(ctx context.Context, m *dns.Msg, q resolver.Query, a *resolver.Answer) cache.Entry {
	ttl := s.fill(m, q, a)
	packed, err := pack(m)
	if err != nil {
		v := verdict{rcode: dns.RcodeServerFailure, failure: true, hasEDE: true, ede: resolver.EDE{Text: "the answer does not fit into a message"}}
		s.log.report(ctx, s.cfg.Now(), q, v, err)
		return s.status(m, v)
	}
	e := cache.Entry{
		Wire: packed, TTL: ttl, Stored: s.cfg.Now(), Failure: isFailure(m.Rcode),
		Rcode: uint16(m.Rcode), Zone: a.Zone, Tags: a.Tags,
	}
	if len(a.EDE) > 0 {
		e.HasEDE, e.EDECode, e.EDEText = true, a.EDE[0].Code, a.EDE[0].Text
	}
	if a.Uncacheable {
		e.TTL = 0
	}
	e.Origin = encodeOrigin(a.Origin)
	return e
}

// leastFailureTTL is the shortest time that a failure is kept (RFC 9520 section 3.2).
const leastFailureTTL = time.Second

// status packs a reply without records.
func (s *Source) status(m *dns.Msg, v verdict) cache.Entry {
	m.Answer, m.Ns, m.Extra = nil, nil, nil
	m.Authoritative, m.AuthenticatedData = false, false
	m.Rcode = v.rcode & 0xf // the rest of an extended rcode goes into OPT, which the cache adds
	e := cache.Entry{
		Stored: s.cfg.Now(), Failure: v.failure, Rcode: uint16(v.rcode),
		HasEDE: v.hasEDE, EDECode: v.ede.Code, EDEText: v.ede.Text, Zone: v.zone,
	}
	switch {
	case v.fleeting:
		e.TTL = leastFailureTTL
	case v.failure:
		e.TTL = s.cfg.FailureTTL
	}
	packed, err := m.Pack()
	if err != nil {
		m.Question = nil // a header alone always packs
		packed, _ = m.Pack()
	}
	e.Wire = packed
	return e
}

// pack packs a reply, without the additional section where that makes it fit.
func pack(m *dns.Msg) ([]byte, error) {
	packed, err := m.Pack()
	if err == nil && len(packed) > maxReply && len(m.Extra) > 0 {
		m.Extra = nil
		packed, err = m.Pack()
	}
	switch {
	case err != nil:
		return nil, err
	case len(packed) > maxReply:
		return nil, errTooLong
	}
	return packed, nil
}

var errTooLong = errors.New("the reply is longer than a message can be")

// maxReply leaves room for the OPT record in a message of 64 KiB.
const maxReply = 1<<16 - 1 - 2048
