package reply_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"dens/cache"
	"dens/chain"
	"dens/internal/wire"
	"dens/names"
	"dens/reply"
	"dens/resolver"
	"dens/resolver/onchain"
)

// system is a name system of fixed content. A name that is not there does not exist.
type system map[string]names.Records

func (s system) Lookup(_ context.Context, name string, _ uint16) (names.Records, error) {
	rec, ok := s[name]
	if !ok {
		rec = names.Records{Apex: "eth.", Source: by(chain.Proven)}
	}
	return rec, nil
}

func by(trust chain.Trust, gateways ...string) names.Source {
	return names.Source{Chain: "ethereum", Head: chain.Head{Number: 1, Time: now}, Trust: trust, Gateways: gateways}
}

func stored(t testing.TB, src names.Source, record string) names.Records {
	t.Helper()
	rr := rrs(t, record)[0]
	buf := make([]byte, 512)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	h := rr.Header()
	return names.Records{Exists: true, Apex: h.Name, Source: src, RRsets: []names.RRset{{Owner: h.Name, Type: h.Rrtype, Wire: buf[:n]}}}
}

// icann answers for the rest of the DNS, securely or not.
type icann map[string]resolver.Answer

func (i icann) Resolve(_ context.Context, q resolver.Query) (*resolver.Answer, error) {
	a := i[q.Name]
	a.AuthenticatedData = a.AuthenticatedData && !q.CD
	return &a, nil
}

// whole is all that answers, with a cache and without the sockets.
func whole(t testing.TB) *cache.Cache {
	answer := func(secure bool, records ...string) resolver.Answer {
		return resolver.Answer{AuthenticatedData: secure, Answer: rrs(t, records...)}
	}
	rest := icann{
		"secure.org.":       answer(true, "secure.org. 60 IN A 192.0.2.80"),
		"plain.org.":        answer(false, "plain.org. 60 IN A 192.0.2.81"),
		"to-proven.org.":    answer(true, "to-proven.org. 60 IN CNAME alice.eth."),
		"to-quorum.org.":    answer(true, "to-quorum.org. 60 IN CNAME quorum.eth."),
		"to-gateway.org.":   answer(true, "to-gateway.org. 60 IN CNAME gateway.eth."),
		"to-alias.org.":     answer(true, "to-alias.org. 60 IN CNAME alice.eth.limo."),
		"plain-to-eth.org.": answer(false, "plain-to-eth.org. 60 IN CNAME alice.eth."),
		"there.org.":        answer(true, "there.org. 60 IN CNAME to-secure.eth."),
	}
	zone := onchain.New(system{
		"alice.eth.":       stored(t, by(chain.Proven), "alice.eth. 60 IN A 192.0.2.1"),
		"quorum.eth.":      stored(t, by(chain.Quorum), "quorum.eth. 60 IN A 192.0.2.2"),
		"single.eth.":      stored(t, by(chain.Single), "single.eth. 60 IN A 192.0.2.3"),
		"gateway.eth.":     stored(t, by(chain.Proven, "g.example"), "gateway.eth. 60 IN A 192.0.2.4"),
		"to-secure.eth.":   stored(t, by(chain.Proven), "to-secure.eth. 60 IN CNAME secure.org."),
		"to-plain.eth.":    stored(t, by(chain.Proven), "to-plain.eth. 60 IN CNAME plain.org."),
		"to-quorum.eth.":   stored(t, by(chain.Proven), "to-quorum.eth. 60 IN CNAME quorum.eth."),
		"from-quorum.eth.": stored(t, by(chain.Quorum), "from-quorum.eth. 60 IN CNAME alice.eth."),
		"to-alice.eth.":    stored(t, by(chain.Proven), "to-alice.eth. 60 IN CNAME alice.eth."),
		"round.eth.":       stored(t, by(chain.Proven), "round.eth. 60 IN CNAME there.org."),
		"to-nobody.eth.":   stored(t, by(chain.Proven), "to-nobody.eth. 60 IN CNAME nobody.eth."),
	}, onchain.Config{Zone: "eth.", Aliases: []string{"eth.limo."}})
	router, err := resolver.NewRouter([]resolver.Route{
		{Zone: ".", Kind: "recursive", Resolver: rest},
		{Zone: "eth.", Kind: onchain.Kind, Resolver: zone}, {Zone: "eth.limo.", Kind: onchain.Kind, Resolver: zone},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := cache.New(cache.NewMemory(cache.MemoryConfig{}), reply.New(router, reply.Config{Now: time.Now}), cache.Config{})
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

func askCache(t testing.TB, c *cache.Cache, name string, rrtype uint16, change func(*dns.Msg)) *dns.Msg {
	t.Helper()
	peer := wire.Peer{Addr: netip.MustParseAddrPort("127.0.0.1:53"), Protocol: wire.TCP}
	got := new(dns.Msg)
	if err := got.Unpack(answer(t, c, request(t, name, rrtype, change), peer)); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestAuthenticToWhoAsks: AD is for clients that asked for it by AD or DO, if all that an answer is made of
// is authentic, whoever asked first and left the reply in the cache (RFC 6840 sections 5.7 and 5.8).
func TestAuthenticToWhoAsks(t *testing.T) {
	clients := []struct {
		what   string
		change func(*dns.Msg)
		asks   bool
	}{
		{"plain", func(*dns.Msg) {}, false},
		{"AD", func(m *dns.Msg) { m.AuthenticatedData = true }, true},
		{"EDNS", func(m *dns.Msg) { m.SetEdns0(1232, false) }, false},
		{"DO", func(m *dns.Msg) { m.SetEdns0(1232, true) }, true},
		{"DO and AD", func(m *dns.Msg) { m.SetEdns0(1232, true); m.AuthenticatedData = true }, true},
		{"CD", func(m *dns.Msg) { m.CheckingDisabled = true }, false},
		{"CD and AD", func(m *dns.Msg) { m.CheckingDisabled = true; m.AuthenticatedData = true }, false},
		{"CD and DO", func(m *dns.Msg) { m.SetEdns0(1232, true); m.CheckingDisabled = true }, false},
	}
	for _, tt := range []struct {
		name      string
		rrtype    uint16
		rcode     int
		authentic bool
	}{
		{"alice.eth.", dns.TypeA, dns.RcodeSuccess, true},
		{"alice.eth.", dns.TypeMX, dns.RcodeSuccess, true},
		{"alice.eth.", dns.TypeSOA, dns.RcodeSuccess, false},
		{"alice.eth.", dns.TypeANY, dns.RcodeSuccess, false},
		{"nobody.eth.", dns.TypeA, dns.RcodeNameError, true},
		{"xn--a.eth.", dns.TypeA, dns.RcodeNameError, true}, // of this system, which has no rules
		{"quorum.eth.", dns.TypeA, dns.RcodeSuccess, false},
		{"quorum.eth.", dns.TypeMX, dns.RcodeSuccess, false},
		{"single.eth.", dns.TypeA, dns.RcodeSuccess, false},
		{"gateway.eth.", dns.TypeA, dns.RcodeSuccess, false},
		{"gateway.eth.", dns.TypeMX, dns.RcodeSuccess, false},
		{"alice.eth.limo.", dns.TypeA, dns.RcodeSuccess, false},
		{"to-secure.eth.", dns.TypeA, dns.RcodeSuccess, true},
		{"to-plain.eth.", dns.TypeA, dns.RcodeSuccess, false},
		{"to-quorum.eth.", dns.TypeA, dns.RcodeSuccess, false},
		{"from-quorum.eth.", dns.TypeA, dns.RcodeSuccess, false},
		{"to-alice.eth.", dns.TypeA, dns.RcodeSuccess, true},
		{"to-nobody.eth.", dns.TypeA, dns.RcodeNameError, true},
		{"round.eth.", dns.TypeA, dns.RcodeSuccess, true},
		{"to-proven.org.", dns.TypeA, dns.RcodeSuccess, true},
		{"to-quorum.org.", dns.TypeA, dns.RcodeSuccess, false},
		{"to-gateway.org.", dns.TypeA, dns.RcodeSuccess, false},
		{"to-alias.org.", dns.TypeA, dns.RcodeSuccess, false},
		{"plain-to-eth.org.", dns.TypeA, dns.RcodeSuccess, false},
	} {
		for first := range clients {
			c := whole(t)
			for i := range 2 * len(clients) { // each is first once, and each gets a miss and a hit
				client := clients[(first+i)%len(clients)]
				m := askCache(t, c, tt.name, tt.rrtype, client.change)
				if m.Rcode != tt.rcode || m.AuthenticatedData != (tt.authentic && client.asks) {
					t.Errorf("%s: got %v", fmt.Sprint(tt.name, " ", dns.Type(tt.rrtype), " for ", client.what, " after ", clients[first].what), m)
				}
			}
		}
	}
}
