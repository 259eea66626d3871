package intake

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/internal/wire"
)

// handlerFunc has everything at hand.
type handlerFunc func(q *wire.Query, buf []byte) []byte

func (f handlerFunc) Hit(q *wire.Query, buf []byte) ([]byte, bool) { return f(q, buf), true }

func (f handlerFunc) Miss(_ context.Context, q *wire.Query, buf []byte) []byte { return f(q, buf) }

// empty answers all questions without records.
func empty(q *wire.Query, buf []byte) []byte {
	return q.AppendStatus(buf[:0], q.Msg, wire.Status{Cookie: q.From.Cookie.Option()})
}

func query(req []byte, from wire.Peer) *wire.Query {
	return &wire.Query{Request: wire.Peek(req), Msg: req, From: from, Start: time.Now(), Limit: wire.MaxMessage}
}

// take has a request answered at once.
func take(in *Intake, req []byte, from wire.Peer) []byte {
	reply, _ := in.Take(&wire.Query{Msg: req, From: from, Start: time.Now()}, nil)
	return reply
}

// judge says what the cookie in a request is worth.
func judge(c interface{ judge(*wire.Query) }, req []byte, client netip.Addr) wire.Cookie {
	q := query(req, wire.Peer{Addr: netip.AddrPortFrom(client, 53)})
	c.judge(q)
	return q.From.Cookie
}

func question(name string) *dns.Msg { return new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA) }

func packed(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}
