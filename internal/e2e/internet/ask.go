package internet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// clientTimeout is how long a client waits for a resolver.
const clientTimeout = 16 * time.Second

// Reply is what a client was told, in a form to compare.
type Reply struct {
	Rcode  string // TIMEOUT for none
	AD     bool
	Answer []string // records in order of their text, without TTL
	EDE    []string
	Took   time.Duration
	Msg    *dns.Msg // nil for no reply
}

// Same tells whether two replies say the same.
func (r Reply) Same(other Reply) bool {
	return r.Rcode == other.Rcode && r.AD == other.AD && slices.Equal(r.Answer, other.Answer)
}

func (r Reply) String() string {
	text := r.Rcode
	if r.AD {
		text += " AD"
	}
	for _, a := range r.Answer {
		if len(a) > 90 {
			a = a[:90] + "…"
		}
		text += " | " + a
		if len(text) > 400 {
			return fmt.Sprintf("%s … (%d records)", text, len(r.Answer))
		}
	}
	if len(r.EDE) > 0 {
		text += " (EDE " + strings.Join(r.EDE, ", ") + ")"
	}
	return text
}

// Ask asks a resolver, by UDP and where the reply is truncated by TCP.
func (r *Resolver) Ask(ctx context.Context, q Question) Reply {
	start := time.Now()
	client := &dns.Client{Timeout: clientTimeout, UDPSize: 4096}
	m, _, err := client.ExchangeContext(ctx, q.message(), r.Address)
	if err == nil && m.Truncated {
		client.Net = "tcp"
		m, _, err = client.ExchangeContext(ctx, q.message(), r.Address)
	}
	reply := Reply{Rcode: "TIMEOUT", Took: time.Since(start)}
	if err != nil {
		return reply
	}
	reply.Msg, reply.Rcode, reply.AD = m, dns.RcodeToString[m.Rcode], m.AuthenticatedData
	if m.Rcode == dns.RcodeServerFailure {
		// BIND shows the links of a loop. Nobody may use what comes with a failure.
		reply.AD, m.Answer = false, nil
	}
	for _, rr := range m.Answer {
		f := strings.Fields(strings.ToLower(rr.String()))
		reply.Answer = append(reply.Answer, strings.Join(append(f[:1], f[3:]...), " "))
	}
	slices.Sort(reply.Answer)
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if ede, ok := o.(*dns.EDNS0_EDE); ok {
				reply.EDE = append(reply.EDE, strings.TrimSpace(fmt.Sprintf("%d %s", ede.InfoCode, ede.ExtraText)))
			}
		}
	}
	return reply
}

// Truth is what the program that holds a question's zone says to it, without any server in between.
func (n *Internet) Truth(ctx context.Context, q Question) Reply {
	for _, s := range n.sites {
		for _, server := range q.Zone.Servers {
			if server.Site == s.name {
				direct := &Resolver{Name: s.name, Address: s.address()}
				return direct.Ask(ctx, q)
			}
		}
	}
	return Reply{Rcode: "TIMEOUT"}
}

// AskAll asks a resolver all questions, so many at a time.
func (r *Resolver) AskAll(ctx context.Context, questions []Question, atOnce int) []Reply {
	replies := make([]Reply, len(questions))
	work := make(chan int)
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for i := range work {
				replies[i] = r.Ask(ctx, questions[i])
			}
		})
	}
	for i := range questions {
		work <- i
	}
	close(work)
	group.Wait()
	return replies
}
