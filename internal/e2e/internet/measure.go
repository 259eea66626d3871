package internet

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// quiet is how long no query may come before a resolver is thought to have ended what it does on the side.
const quiet = 150 * time.Millisecond

// Settle waits until the servers have seen no query for a while.
func (n *Internet) Settle(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for last, since := -1, time.Now(); time.Since(since) < quiet; time.Sleep(20 * time.Millisecond) {
		if now := len(n.Seen(nil)); now != last {
			last, since = now, time.Now()
		}
		if time.Now().After(deadline) {
			t.Fatal("resolvers do not come to rest")
		}
	}
}

// Cost is what one question made a resolver do.
type Cost struct {
	Reply   Reply
	Queries []Seen
}

// Measure asks a resolver one question and returns what it cost, with what the resolver does on the side.
func (n *Internet) Measure(t testing.TB, r *Resolver, name string, rrtype uint16) Cost {
	t.Helper()
	n.Settle(t)
	n.Forget()
	reply := r.Ask(t.Context(), Question{Name: dns.Fqdn(name), Type: rrtype, Flags: AD})
	n.Settle(t)
	return Cost{reply, n.Sent(r)}
}

// must asks a resolver and fails the test unless the reply begins as expected: "NOERROR AD".
func (r *Resolver) must(t testing.TB, name string, rrtype uint16, want string) Reply {
	t.Helper()
	reply := r.Ask(context.WithoutCancel(t.Context()), Question{Name: dns.Fqdn(name), Type: rrtype, Flags: AD})
	if !strings.HasPrefix(reply.String(), want) {
		t.Errorf("%s: %s %s: %s, expected %s", r.Name, name, dns.Type(rrtype), reply, want)
	}
	return reply
}

// describe lists queries, for the message of a test that found too many.
func describe(queries []Seen) string {
	var b strings.Builder
	for i, s := range queries {
		if i == 40 {
			fmt.Fprintf(&b, "\n\t... %d more", len(queries)-i)
			break
		}
		proto := "udp"
		if s.TCP {
			proto = "tcp"
		}
		fmt.Fprintf(&b, "\n\t%s %s %s %s", s.To, proto, s.Name, dns.Type(s.Type))
	}
	return b.String()
}
