package forward

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/miekg/dns"

	"dens/resolver"
)

// trace notes in the Trace of ctx, if there is one, that the upstream is asked, and returns what notes how
// that went.
func (u *upstream) trace(ctx context.Context, q resolver.Query) (ended func(took time.Duration, r reply, err error)) {
	trace := resolver.TraceOf(ctx)
	if trace == nil {
		return func(time.Duration, reply, error) {}
	}
	amend := trace.Add(resolver.Step{
		Kind: resolver.StepQuery, Depth: resolver.DepthOf(ctx), Zone: u.zone,
		Name: q.Name, Type: dns.Type(q.Type).String(), Server: u.Name, Transport: string(u.Protocol), Outcome: "no reply before the end",
	})
	return func(took time.Duration, r reply, err error) {
		amend(func(s *resolver.Step) {
			s.RTT, s.Outcome = took, outcome(r, err)
			if err == nil {
				s.Rcode = rcodeText(r.rcode)
			}
		})
	}
}

// outcome says in a few words what asking an upstream led to.
func outcome(r reply, err error) string {
	var verdict *resolver.Error
	switch {
	case errors.As(err, &verdict):
		return verdict.Text
	case errors.Is(err, context.Canceled):
		return "called off: another server was faster"
	case err != nil:
		return describe(err)
	case r.answer == nil && len(r.ede) > 0:
		return strings.TrimSpace("no answer " + r.ede[0].Text)
	case r.answer == nil:
		return "no answer"
	case r.answer.Rcode == dns.RcodeNameError:
		return "no such name"
	case len(r.answer.Answer) == 0:
		return "no such record"
	default:
		return "answer"
	}
}
